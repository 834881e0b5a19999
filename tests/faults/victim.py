"""The victim: a live server that can be struck, and looked at from outside while it comes back."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from random import Random

import psutil

from orchestrator.cluster import leftovers
from orchestrator.cluster.data_folder import mark_of
from tests.faults.strikes import ACTORS, CELLS, RESTARTED, Target, title_of
from tests.live_server import LiveServer

RAY_PROGRAMS = {Target.RAYLET: "raylet", Target.GCS: "gcs_server"}
NODE_PROGRAM = "orchestrator.cluster.node"
RAY = "ray::"
LASTING = {target.value for target in ACTORS if target is not Target.CELL}
SEATS = 5
"""Dedicated: live customers at once. Fewer than there are people, so that some always have to make room."""
HEADS = {"pooled": "", "dedicated": 'placement = "dedicated"\n'}
"""Pooled is what a server without the setting has."""
TAILS = {"pooled": "", "dedicated": f"[limits]\ndedicated_max = {SEATS}\n"}
SETTINGS_MARK = 'log_level = "debug"\n'


class Victim(LiveServer):
    """A live server under `placement`."""

    def __init__(self, folder: Path, *, placement: str = "pooled") -> None:
        super().__init__(folder)
        text = self._settings.read_text()
        assert SETTINGS_MARK in text, "tests.live_server writes another file than this one extends"
        text = text.replace(SETTINGS_MARK, f'log_level = "info"\n{HEADS[placement]}')
        self._settings.write_text(text + TAILS[placement])

    def processes(self) -> list[psutil.Process]:
        """All of its processes, Ray's too."""
        return leftovers.ours(mark_of(self.data))

    @property
    def pids(self) -> dict[str, int]:
        """The server's own processes by name, without those that are just ending, and Ray's that wait for work."""
        titles = {process.pid: _title(process) for process in self.processes()}
        names = {title.removeprefix(RAY): pid for pid, title in titles.items() if title.startswith(RAY)}
        return {name: pid for name, pid in names.items() if name in LASTING or name.startswith(CELLS)}

    @property
    def supervisor(self) -> int:
        """The process that the operator started."""
        assert self._process is not None
        return self._process.pid

    def pid_of(self, target: Target, draw: Random) -> int:
        """The process to strike. Raises `KeyError` where it is not there just now."""
        if target is Target.SUPERVISOR:
            return self.supervisor
        if (program := RAY_PROGRAMS.get(target)) is not None:
            return _pid_of(self.processes(), lambda process: process.name() == program)
        if target is Target.NODE:
            return _pid_of(self.processes(), lambda process: NODE_PROGRAM in process.cmdline())
        pids = self.pids
        return pids[title_of(target, pids, draw.choice)]

    def strike(self, target: Target, draw: Random) -> set[int]:
        """`kill -9`; returns the processes that are not to be seen again: Ray's end, and ours, are everybody's."""
        everybody = set(self.pids.values())
        if target is Target.EVERYTHING:
            self.kill()
            return everybody
        pid = self.pid_of(target, draw)
        os.kill(pid, signal.SIGKILL)
        if target is Target.SUPERVISOR:
            assert self._process is not None
            self._process.communicate()
            self._let_go()
        return {pid} if target in ACTORS else everybody

    def stop_still(self, targets: Iterable[Target], draw: Random) -> list[int]:
        """SIGSTOP; returns whom it met, for `go_on`."""
        pids = [self.pid_of(target, draw) for target in targets]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        return pids

    def go_on(self, pids: Iterable[int]) -> None:
        """SIGCONT."""
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def end(self) -> None:
        """Whatever runs of it still, in whatever state, is killed. For a test's end."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()  # First, so that it revives nothing.
        leftovers.end(mark_of(self.data))
        if self._process is not None and self._process.returncode is None:
            self._process.communicate()
        self._let_go()

    async def revive(self, target: Target) -> None:
        """Does what the operator does after such a strike, where anything is left to do."""
        if target in RESTARTED:
            await asyncio.to_thread(self.start)


def _title(process: psutil.Process) -> str:
    try:
        return str((process.cmdline() or [""])[0]).split(".")[0]
    except psutil.Error:
        return ""


def _pid_of(processes: list[psutil.Process], is_it: Callable[[psutil.Process], bool]) -> int:
    for process in processes:
        with suppress(psutil.Error):
            if is_it(process):
                return int(process.pid)
    raise KeyError("it is not there")
