"""Keeper: keeps the table's processes running, and those that the usher wants beside them; drains them in the end.

Each is an actor of Ray's (`lives.py`). It is run again after each end that nobody asked for, with growing pauses, until
it is clear that it never will serve; one that hangs is ended. The supervisor hears of all of it.
"""

import asyncio
import functools
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
import structlog

from orchestrator.cluster import figures, ray_profile
from orchestrator.cluster.hanging import LOOK_EVERY_S, Hanging
from orchestrator.cluster.host import Ended
from orchestrator.cluster.hosts import Hosts
from orchestrator.cluster.lives import Lives
from orchestrator.cluster.said import Died, ExitCode, Gone, Hopeless, Ready, Said, Up
from orchestrator.cluster.starts import FAILED_STARTS_MAX, Starts
from orchestrator.cluster.states import States, steady_ms
from orchestrator.cluster.table import Process, cell_process

_log = structlog.get_logger(__name__)

SUPERVISOR = "supervisor"
WATCH_EVERY_S = 0.5
"""How often Ray's vital processes are looked at: two system calls each."""

AGAIN_AFTER_S = 0.1
AGAIN_AFTER_MAX_S = 5.0
"""Between a process's deaths: doubled with each that follows within a minute, so that one that dies of the same
thing again and again does not keep the machine busy with starting it. Ray brings the process back meanwhile."""
CALM_AFTER_S = 60.0


class Over(Exception):
    """Ends the node with this code."""

    def __init__(self, code: ExitCode) -> None:
        super().__init__(code.name)
        self.code = code


class Keeper:
    """The driver's side of all processes. `say` hands a `Said` to the supervisor."""

    def __init__(
        self,
        table: list[Process],
        vital: list[psutil.Process],
        run_folder: Path,
        build: str,
        *,
        logs: Path,
        drain_s: float,
        hang_s: float,
        say: Callable[[Said], None],
    ) -> None:
        self._table = table
        self._vital = vital
        self._seats: dict[Process, asyncio.Task[None]] = {}
        """Cells beyond the table, which the usher wants: what keeps each running."""
        self._run_folder = run_folder
        self._logs = logs
        self._drain_s = drain_s
        self._hang_s = hang_s
        self._say = say
        self._lives = Lives(run_folder, build, hang_s=hang_s)
        self._hosts = Hosts(run_folder, begins=self._lives.begun, serves=self._is_up)
        self._deaths: dict[str, int] = {}
        self._starts = Starts()
        # Processes that cannot be asked are looked at: Ray's processes; and the supervisor, whose end alone is heard.
        self._looked_at = {ray_profile.program(process): process for process in vital}
        self._looked_at[SUPERVISOR] = psutil.Process(os.getppid())
        self._states = States([*(process.name for process in table), *self._looked_at], now_ms=steady_ms())
        self._draining = False
        for name in self._looked_at:
            self._states.up(name, steady_ms())

    async def run(self, asked_to_end: asyncio.Event) -> None:
        """Creates the actors and keeps them until asked to end, then drains them. Raises `Over`."""
        await self._hosts.open()
        for process in self._table:
            self._lives.create(process)
        async with asyncio.TaskGroup() as group:
            kept = [group.create_task(self._keep(process)) for process in self._table]
            watch = group.create_task(self._watch())
            hanging = group.create_task(self._end_hanging())
            told = group.create_task(figures.publish(self._run_folder, self._statuses, self._states))
            seated = group.create_task(self._follow_usher(group))
            await asked_to_end.wait()
            self._draining = True
            self._lives.are_last()
            seated.cancel()
            await self._drain()
            for task in (*kept, *self._seats.values(), watch, hanging, told):
                task.cancel()

    def _statuses(self) -> Mapping[str, Callable[[], Awaitable[dict[str, Any]]]]:
        """By process, what asks it for its figures."""
        asked = {name: functools.partial(self._hosts.figures, name) for name in self._lives.names}
        looked_at = {name: functools.partial(_look_at, process) for name, process in self._looked_at.items()}
        return asked | looked_at

    async def _follow_usher(self, group: asyncio.TaskGroup) -> None:
        """Creates the cells that the usher wants beside the table's, and ends those it wants no more."""
        while True:
            wanted = await self._hosts.wanted()
            for process in map(cell_process, wanted.seats):
                if process.name not in self._lives.names:
                    self._states.joins(process.name, steady_ms())
                    self._lives.create(process)
                    self._seats[process] = group.create_task(self._keep(process))
            for process in map(cell_process, wanted.over):
                if process in self._seats:
                    await self._end(process)

    async def _end(self, process: Process) -> None:
        """Ends an empty cell: it holds nothing, and is not brought back."""
        self._seats.pop(process).cancel()
        end = self._lives.release(process.name)
        # One that hangs must not keep others from being seated; it is killed right after.
        await self._hosts.drain(process.name, within_s=self._drain_s)
        end()
        self._states.leaves(process.name)
        self._say(Gone(process.name))
        _log.info("node.cell_ended", name=process.name)

    async def _keep(self, process: Process) -> None:
        """Has the actor run, and run again after each end that nobody asked for."""
        loop = asyncio.get_running_loop()
        wait_s = AGAIN_AFTER_S
        while True:
            since = loop.time()
            ended = await self._lives.run(process.name)
            if self._draining:
                return
            if ended is None:
                await asyncio.sleep(AGAIN_AFTER_S)
                continue
            self._judge(process.name, ended)
            if loop.time() - since > CALM_AFTER_S:
                wait_s = AGAIN_AFTER_S
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, AGAIN_AFTER_MAX_S)

    def _judge(self, name: str, ended: Ended) -> None:
        """An end that nobody asked for: recovered from, unless the process never served and never will."""
        in_table = any(process.name == name for process in self._table)
        given_up = self._starts.ended(name) and in_table
        if ended.hopeless and in_table and not self._starts.has_served(name):
            self._give_up(ended.reason)
        if given_up:
            self._give_up(f"{ended.reason}; {FAILED_STARTS_MAX} starts in a row failed: see {self._log_of(name)}")
        self._deaths[name] = self._deaths.get(name, 0) + 1
        self._states.ended(name, ended.reason.removeprefix(f"{name}: "), steady_ms())
        _log.warning("node.process_died", name=name, reason=ended.reason, deaths=self._deaths[name])
        self._say(Died(name, ended.reason, self._deaths[name]))

    def _give_up(self, reason: str) -> None:
        _log.error("node.given_up", reason=reason)
        self._say(Hopeless(reason))
        raise Over(ExitCode.HOPELESS)

    def _log_of(self, name: str) -> Path:
        """Where the process says why; one that Ray could not even begin has written nothing, and the node has."""
        own = self._logs / f"{name}.log"
        return own if own.exists() else self._logs / "node.log"

    def _is_up(self, name: str, facts: dict[str, str | int]) -> None:
        """It serves; unless the word of its end came before this one."""
        if not self._lives.serves(name, int(facts["pid"])):
            return
        names = [process.name for process in self._table]
        self._states.up(name, steady_ms())
        self._say(Up(name, facts))
        _log.info("node.process_up", name=name, **facts)
        first = self._starts.served(name)
        if first and name in names and self._starts.have_all_served(names):
            self._say(Ready({ray_profile.program(process): process.pid for process in self._vital}))

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            if gone := ray_profile.dead(self._vital):
                _log.error("node.ray_died", program=gone)
                raise Over(ExitCode.REBUILD)

    async def _end_hanging(self) -> None:
        """Ends who lives and does not answer."""
        hanging = Hanging(self._hang_s)
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            for name in hanging.look(self._states.at(steady_ms()), self._lives.names):
                if (pid := self._lives.end_hanging(name)) is not None:
                    _log.error("node.process_hangs", name=name, pid=pid, silent_s=self._hang_s)

    async def _drain(self) -> None:
        """In the table's order; what is not done in time is ended as it is, which every actor must bear anyway."""
        try:
            async with asyncio.timeout(self._drain_s):
                there = [*self._table, *self._seats]
                for order in sorted({process.drain_order for process in there}):
                    names = [process.name for process in there if process.drain_order == order]
                    serving = [name for name in names if self._starts.has_served(name)]
                    await asyncio.gather(*map(self._hosts.drain, serving))
        except TimeoutError:
            _log.warning("node.drain_cut_short", drain_s=self._drain_s)


async def _look_at(process: psutil.Process) -> dict[str, Any]:
    """Answers for a process that answers nobody: it lives, and does not stand still."""
    try:
        if process.status() == psutil.STATUS_STOPPED:
            raise TimeoutError
    except psutil.NoSuchProcess:
        raise TimeoutError from None
    return {}
