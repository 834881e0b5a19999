"""Leftovers: a process is ours by its mark, or by what it holds open; also where no /proc shows that, as on macOS."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from orchestrator.cluster import host, leftovers
from orchestrator.cluster.run_folder import run_folder

MARK = "0123456789abcdef" * 2
HOLDS = "import sys; kept = open(sys.argv[1]); print('open', flush=True); sys.stdin.read()"


@contextmanager
def running(title: str, file: Path, **environ: str) -> Iterator[int]:
    """A process of this title that holds a file open; its id."""
    command = ["bash", "-c", 'exec -a "$0" "$@"', title, sys.executable, "-c", HOLDS, str(file)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **environ}
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        try:
            yield process.pid
        finally:
            process.kill()


@pytest.fixture(params=[True, False], ids=["proc", "no proc"])
def shown(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the kernel has a folder of what a process holds open."""
    if not request.param:
        monkeypatch.setattr(os.path, "isdir", lambda path: False)


@pytest.mark.usefixtures("shown")
def test_what_ray_retitled_is_known_by_what_it_holds_open() -> None:
    """Its title lies over the environment that had the mark. Who has only such a file, or such a title, stays."""
    with run_folder(MARK) as ours, run_folder("f" * 32) as others:
        for folder in (ours, others):
            (folder / "session.log").touch()
        with (
            running("ray::IDLE", ours / "session.log") as mine,
            running("ray::IDLE", others / "session.log") as another_servers,
            running("less", ours / "session.log") as a_readers,
        ):
            found = {process.pid for process in leftovers.ours(MARK)}
            assert mine in found
            assert not found & {another_servers, a_readers}


def test_what_carries_the_mark_is_ours_whatever_it_holds(tmp_path: Path) -> None:
    """And it is ended, and nothing else is."""
    (tmp_path / "file").touch()
    with (
        running("anything", tmp_path / "file", THROUGHLINE_NODE=MARK) as mine,
        running("anything", tmp_path / "file", THROUGHLINE_NODE="f" * 32) as another_servers,
    ):
        assert leftovers.end(MARK) == 1
        assert psutil.Process(mine).status() == psutil.STATUS_ZOMBIE
        assert psutil.Process(another_servers).status() != psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("system", ["linux", "darwin"])
def test_a_process_gives_way_as_its_system_counts(monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    """Linux keeps niceness by thread, of which Ray has started some; elsewhere it is the process's."""
    told: dict[int, int] = {}
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(os, "getpriority", lambda which, who: 15)
    monkeypatch.setattr(os, "setpriority", lambda which, who, by: told.update({who: by}))
    host._give_way(10)
    threads = {thread.id for thread in psutil.Process().threads()}
    assert told == dict.fromkeys(threads if system == "linux" else {0}, 19)
