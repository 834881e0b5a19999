"""The life of the server's processes: deaths are recovered, the end is clean, leftovers are ours alone."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from orchestrator.cluster import leftovers
from orchestrator.cluster.data_folder import mark_of
from orchestrator.cluster.run_folder import run_prefix
from orchestrator.policy.former_lines import noted_lines
from tests.orchestrator.toy_parts import BREAKS, DIES, FAILS, HANGS, LEAVES, REFUSES
from tests.orchestrator.toy_server import DEADLINE_S, REFUSED, ToyServer, gone

pytestmark = pytest.mark.slow

REBUILD_S_MAX = 15.0
"""On a machine that does nothing else, where it takes 4; one that does gets as much longer as its work queues."""
STOP_S_MAX = 10.0


class Shared:
    """Servers on one folder, one after the other, for the tests that leave one running or end one that others had: a
    start takes seconds."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._servers: list[ToyServer] = []

    def running(self) -> ToyServer:
        """The one that runs; a new one where there is none."""
        if not self._servers or self._servers[-1].process.poll() is not None:
            self._servers.append(ToyServer(self._data))
            self._servers[-1].ready()
            self._servers[-1].told("born", 5)
        return self._servers[-1]

    def close(self) -> None:
        """Ends the last one, in order."""
        for ended in self._servers[:-1]:
            ended.process.communicate()
            ended.let_go()
        for last in self._servers[-1:]:
            last.close()
            assert last.process.returncode == 0


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """For this module."""
    servers = Shared(tmp_path_factory.mktemp("shared"))
    yield servers
    servers.close()


@pytest.fixture
def server(shared: Shared) -> ToyServer:
    """A server that runs."""
    return shared.running()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[ToyServer]:
    """A server for a test that ends it."""
    running = ToyServer(tmp_path)
    yield running
    running.close()


def test_a_start_notes_which_channels_its_accounts_are_lines_of(server: ToyServer) -> None:
    """For the next one; also that there are none."""
    assert noted_lines(server.data) == [{}]


def test_every_actor_comes_back_from_a_kill(server: ToyServer) -> None:
    """One after the other is killed, and is born again as another process, without its neighbours."""
    names = ["journal", "archive", "cell-0", "channels", "gateway"]
    living = {name: _process(server, name) for name in names}
    for name in names:
        living[name].kill()
        assert [(name, pid) for _, pid in server.told("born", 1)] == [(name, _process(server, name).pid)]
    assert all(_process(server, name).pid != living[name].pid for name in names)


def test_an_actor_that_breaks_comes_back_without_its_words_in_the_log(server: ToyServer) -> None:
    """An exception ends the process and its life begins anew; its text, which may quote a customer, is not logged."""
    (server.data / f"{BREAKS}-cell-0").touch()
    _process(server, "cell-0").kill()
    assert [name for name, _ in server.told("born", 1)] == ["cell-0"]
    log = (server.data / "log" / "cell-0.log").read_text()
    assert '"type": "ValueError"' in log
    assert "words" not in log


def test_an_actor_that_hangs_is_ended_and_comes_back(server: ToyServer) -> None:
    """Its loop does not turn any more, and no exception says so: after the bound it is killed, and begins anew."""
    hung = _process(server, "cell-0")
    (server.data / f"{HANGS}-cell-0").touch()
    assert [name for name, _ in server.told("born", 1)] == ["cell-0"]
    assert gone([hung.pid])
    log = (server.data / "log" / "node.log").read_text()
    assert '"event": "node.process_hangs"' in log
    assert "cell-0: it had not answered for 8 s, and was ended" in log


def test_a_start_that_raises_is_tried_again_in_a_fresh_process(server: ToyServer) -> None:
    """A bug at the start, also one that gets past the host or kills it, costs a process and no more once the part has
    served; each of these ends is counted, and none twice."""
    before = _deaths(server)
    (server.data / f"{FAILS}-cell-0").write_text("1")
    (server.data / f"{LEAVES}-cell-0").write_text("1")
    (server.data / f"{DIES}-cell-0").write_text("1")
    _process(server, "cell-0").kill()
    assert [name for name, _ in server.told("born", 1)] == ["cell-0"]
    assert _deaths(server) - before == 4
    log = (server.data / "log" / "cell-0.log").read_text()
    assert '"event": "host.start_broke"' in log
    assert "words" not in log


@pytest.mark.parametrize("program", ["raylet", "gcs_server"])
def test_the_death_of_a_vital_process_of_ray_rebuilds_everything(server: ToyServer, program: str) -> None:
    """All is made anew, soon, and nothing of the old life goes on."""
    before = leftovers.ours(server.mark)
    victim = next(process for process in before if process.name() == program)
    since = time.monotonic()
    victim.kill()
    serving = server.ready()
    took_s = time.monotonic() - since
    assert took_s < REBUILD_S_MAX * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    assert gone([process.pid for process in before])
    assert {name for name, _ in server.told("born", 5)} == set(serving.facts)


def test_the_death_of_the_node_rebuilds_everything(server: ToyServer) -> None:
    """The driver itself is no special case."""
    before = leftovers.ours(server.mark)
    _node(server).kill()
    server.ready()
    assert gone([process.pid for process in before])
    server.told("born", 5)


def test_a_second_server_on_the_folder_is_refused(server: ToyServer) -> None:
    """It says whose the folder is, and the first one does not notice."""
    second = ToyServer(server.data)
    try:
        _, words = second.process.communicate(timeout=20)
        assert second.process.returncode == REFUSED
        assert f"in use by another server, process {server.process.pid}" in words.decode()
        assert leftovers.ours(server.mark)
    finally:
        second.let_go()


def test_a_killed_supervisor_takes_everything_along(shared: Shared, server: ToyServer) -> None:
    """The node notices and ends; the next start on the folder works."""
    before = leftovers.ours(server.mark)
    server.stop(signal.SIGKILL)
    assert gone([process.pid for process in before])
    again = shared.running()
    assert again is not server
    assert leftovers.ours(again.mark)


def test_a_stop_drains_in_order_and_leaves_nothing(server: ToyServer) -> None:
    """Who takes input in drains first, who follows last; no process, no run folder, no server file stays."""
    before = leftovers.ours(server.mark)
    assert (server.data / "server.json").stat().st_mode & 0o777 == 0o600
    run = Path(_node(server).cmdline()[3])
    assert run.stat().st_mode & 0o777 == 0o700
    code, took_s = server.stop(signal.SIGINT)
    assert (code, took_s < STOP_S_MAX) == (0, True)
    order = [name for name, _ in server.told("drained", 5)]
    assert set(order[:2]) == {"gateway", "channels"}
    assert order[2:] == ["cell-0", "journal", "archive"]
    assert leftovers.ours(server.mark) == []
    assert gone([process.pid for process in before], 0)
    assert not run.exists()
    assert not (server.data / "server.json").exists()


def test_a_start_that_cannot_succeed_says_why(own: ToyServer) -> None:
    """A part that refuses to start ends the server with the part's reason, and nothing is left."""
    (own.data / f"{REFUSES}-cell-0").touch()
    _, words = own.process.communicate(timeout=40)
    assert own.process.returncode == REFUSED
    assert words.decode().strip() == f"cell-0: the file {REFUSES}-cell-0 says no"
    assert leftovers.ours(own.mark) == []


def test_a_part_that_never_starts_ends_the_server(own: ToyServer) -> None:
    """A bug at every start is no reason to go on silently: the operator hears whose it is and where to look."""
    (own.data / f"{FAILS}-cell-0").write_text("1000")
    _, words = own.process.communicate(timeout=DEADLINE_S)
    assert own.process.returncode == REFUSED
    log = own.data / "log" / "cell-0.log"
    assert words.decode().strip() == f"cell-0: ValueError; 5 starts in a row failed: see {log}"
    assert log.read_text().count('"host.start_broke"') == 5
    assert leftovers.ours(own.mark) == []


def test_only_processes_of_the_mark_are_ended(tmp_path: Path) -> None:
    """A leftover is known by its mark; one of another folder, and one without any, live on."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "other").mkdir()
    mine, other = mark_of(tmp_path / "mine"), mark_of(tmp_path / "other")
    sleepers = [_sleeper({leftovers.MARK_VARIABLE: mine}), _sleeper({leftovers.MARK_VARIABLE: other}), _sleeper({})]
    try:
        assert leftovers.end(mine) == 1
        assert leftovers.ours(mine) == [], "one that has ended, and whose parent has not looked, is none"
        assert sleepers[0].wait(5) == -signal.SIGKILL
        assert [sleeper.poll() for sleeper in sleepers[1:]] == [None, None]
    finally:
        for sleeper in sleepers:
            sleeper.kill()
            sleeper.wait()


def test_a_process_that_ray_titles_is_known_by_its_open_files(tmp_path: Path) -> None:
    """The title lies where its environment was; what it holds open in a run folder says whose it is."""
    (tmp_path / "mine").mkdir()
    mark = mark_of(tmp_path / "mine")
    waiting = [
        _waiting(title, tmp_path / f"{folder}x" / "r" / "logs")
        for title, folder in (("ray::agent", run_prefix(mark)), ("ray::agent", "tl-other-"), ("sh", run_prefix(mark)))
    ]
    try:
        assert [process.pid for process in leftovers.ours(mark)] == [waiting[0].pid]
    finally:
        for each in waiting:
            each.communicate(b"go on\n")


def test_a_copied_folder_has_a_mark_of_its_own(tmp_path: Path) -> None:
    """Else a server on a copy would end the server on the original."""
    (tmp_path / "one").mkdir()
    mark = mark_of(tmp_path / "one")
    assert mark == mark_of(tmp_path / "one")
    (tmp_path / "one").rename(tmp_path / "two")
    assert mark != mark_of(tmp_path / "two")


def _process(server: ToyServer, name: str) -> psutil.Process:
    """The living process of that name: Ray titles it so."""
    [found] = [process for process in leftovers.ours(server.mark) if f"ray::{name}" in process.cmdline()[0].split(".")]
    return found


def _deaths(server: ToyServer) -> int:
    """How many ends of processes the node has counted."""
    return (server.data / "log" / "node.log").read_text().count('"event": "node.process_died"')


def _node(server: ToyServer) -> psutil.Process:
    [found] = [process for process in leftovers.ours(server.mark) if "orchestrator.cluster.node" in process.cmdline()]
    return found


def _waiting(title: str, logs: Path) -> subprocess.Popen[bytes]:
    """A shell of this title that says so, and then waits for a word; its errors go to a file in `logs`."""
    logs.mkdir(parents=True, exist_ok=True)
    with (logs / f"{uuid4().hex}.err").open("wb") as errors:
        shell = [title, "-c", "echo; read word"]
        waiting = subprocess.Popen(
            shell, executable="/bin/sh", env={}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
        )
    assert waiting.stdout is not None
    waiting.stdout.readline()
    return waiting


def _sleeper(environment: dict[str, str]) -> subprocess.Popen[bytes]:
    program = [sys.executable, "-c", "import signal; print(flush=True); signal.pause()"]
    sleeper = subprocess.Popen(program, env=environment, stdout=subprocess.PIPE)
    assert sleeper.stdout is not None
    sleeper.stdout.readline()
    sleeper.stdout.close()
    return sleeper
