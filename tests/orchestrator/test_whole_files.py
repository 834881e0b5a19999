"""Whole files: on a full disk, after a writer's crash, by several writers at once."""

import errno
import os
import resource
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from adapters.stores.errors import StoreFailed
from orchestrator.cluster.data_folder import DataFolderInUse, mark_of
from orchestrator.erasure.pending import Waiting, ask, withdraw
from orchestrator.feed.webhook_files import Asked, asked_file, write
from orchestrator.policy.former_lines import note_lines
from orchestrator.tokens import Tokens
from orchestrator.whole_files import write_whole
from tests.adapters.test_synced import Calls


@contextmanager
def no_room(bytes_max: int = 10) -> Iterator[None]:
    """No file of this process grows beyond so many bytes meanwhile."""
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_max, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)


def names(folder: Path) -> list[str]:
    """Of the files there."""
    return sorted(each.name for each in folder.iterdir())


WRITERS: dict[str, Callable[[Path], object]] = {
    "an erasure": lambda folder: ask(folder, Waiting(customer="cu1", actor="operator:bo", reason="r", asked_at_ms=1)),
    "the lines": lambda folder: note_lines(folder, {"line": "sms"}),
    "the node's id": mark_of,
    "a token": lambda folder: Tokens(folder / "tokens.json", now_ms=lambda: 1).create(["agent"], "ann"),
    "a webhook": lambda folder: write(asked_file(folder, "crm"), Asked(by="operator:bo")),
}


@pytest.mark.parametrize("who", WRITERS)
def test_a_full_disk_keeps_no_half_of_a_file(tmp_path: Path, who: str) -> None:
    """Which would fill it the more, and be the next writer's to find."""
    with no_room(), pytest.raises((OSError, StoreFailed, DataFolderInUse)):
        WRITERS[who](tmp_path)
    assert [name for name in names(tmp_path) if not name.endswith(".lock")] == []


@pytest.mark.parametrize("step", ["write", "sync"])
def test_a_file_that_cannot_be_replaced_is_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Wherever the disk turns out to be full."""
    file = tmp_path / "file.json"
    write_whole(file, b"as it was")
    if step == "sync":
        monkeypatch.setattr("orchestrator.whole_files.os.fsync", _full)
    with no_room(), pytest.raises(OSError, match="No space" if step == "sync" else "File too large"):
        write_whole(file, b"as it is" if step == "sync" else b"as it is now")
    assert file.read_bytes() == b"as it was"
    assert names(tmp_path) == ["file.json"]


def test_what_a_crash_left_is_written_over(tmp_path: Path) -> None:
    """Also where it is longer."""
    (tmp_path / "file.json.new").write_bytes(b"what was to be written")
    write_whole(tmp_path / "file.json", b"as it is")
    assert (tmp_path / "file.json").read_bytes() == b"as it is"
    assert names(tmp_path) == ["file.json"]


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    """Tokens and names of endpoints are nobody else's."""
    write_whole(tmp_path / "file.json", b"")
    assert stat.S_IMODE((tmp_path / "file.json").stat().st_mode) == 0o600


def test_those_who_write_at_once_write_in_turn(tmp_path: Path) -> None:
    """Each writes a whole file and none is refused: what one of them writes is not renamed by another."""
    file = tmp_path / "file.json"
    whole = [letter * size for letter, size in ((b"a", 1), (b"b", 70_000), (b"c", 3000), (b"d", 200_000))]
    seen: set[bytes] = set()

    def write_often(content: bytes) -> None:
        for _ in range(25):
            write_whole(file, content)
            seen.add(file.read_bytes())

    with ThreadPoolExecutor(len(whole)) as pool:
        list(pool.map(write_often, whole))
    assert seen <= set(whole)
    assert names(tmp_path) == ["file.json"]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="a descriptor's file is read from /proc")
def test_what_is_written_or_taken_away_is_so_after_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also on macOS, whose fsync leaves it in the drive's cache: a token that was revoked would be good again, and an
    erasure that was taken back would be carried out."""
    calls = Calls(monkeypatch)
    folder = tmp_path / "erasures"
    ask(folder, Waiting(customer="cu1", actor="operator:bo", reason="r", asked_at_ms=1))
    assert calls.full == ["cu1.json.new", "erasures"]
    assert withdraw(folder, "cu1")
    assert calls.full == ["cu1.json.new", "erasures", "erasures"]
    assert calls.plain == []


def _full(_: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
