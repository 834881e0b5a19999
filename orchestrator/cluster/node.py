"""The node: Ray's driver process. Starts Ray, creates the table's actors, runs each again after its death.

`python -m orchestrator.cluster.node RUN_FOLDER BUILD`, started by the supervisor only.

    stdin     `drain` asks for the end; end of file means the supervisor is gone, and ends everything at once
    stdout    one JSON `Said` a line
    exit      `ExitCode`
"""

import asyncio
import contextlib
import functools
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import psutil
import ray
import structlog
from ray.exceptions import ActorUnavailableError, RayError, RayTaskError, TaskCancelledError

from orchestrator.cluster import figures, leftovers, ray_profile
from orchestrator.cluster.hanging import LOOK_EVERY_S, Hanging
from orchestrator.cluster.host import Ended, Host
from orchestrator.cluster.hosts import Hosts
from orchestrator.cluster.logs import log_to
from orchestrator.cluster.run_folder import read_settings
from orchestrator.cluster.said import Died, ExitCode, Gone, Hopeless, Ready, Said, Up
from orchestrator.cluster.starts import FAILED_STARTS_MAX, Starts
from orchestrator.cluster.states import States, steady_ms
from orchestrator.cluster.table import Process, cell_process, processes

_log = structlog.get_logger("orchestrator.cluster.node")  # Not `__name__`: this module runs as `__main__`.

SUPERVISOR = "supervisor"
WATCH_EVERY_S = 0.5
"""How often Ray's vital processes are looked at: two system calls each."""

AGAIN_AFTER_S = 0.1
AGAIN_AFTER_MAX_S = 5.0
"""Between a process's deaths: doubled with each that follows within a minute, so that one that dies of the same
thing again and again does not keep the machine busy with starting it. Ray brings the process back meanwhile."""
CALM_AFTER_S = 60.0
RUN_RETRIES = 0
"""A call that met a life's end says so, and whether there is another life is the node's to decide. The actor as a whole
allows retries, since only then a call that comes while Ray brings it back waits for it; else it fails at once."""
ECHO_S = 30.0
"""How long after a process's end a call may still meet that end, where no other life has begun: until Ray has noticed,
after which a call waits for the next one."""


class _Over(Exception):
    """Ends the node with this code."""

    def __init__(self, code: ExitCode) -> None:
        super().__init__(code.name)
        self.code = code


class Node:
    """The driver's side of all actors. `say` hands a `Said` to the supervisor."""

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
        say: "Say",
    ) -> None:
        self._table = table
        self._vital = vital
        self._seats: dict[Process, asyncio.Task[None]] = {}
        """Cells beyond the table, which the usher wants: what keeps each running."""
        self._run_folder = run_folder
        self._build = build
        self._logs = logs
        self._drain_s = drain_s
        self._hang_s = hang_s
        self._living: dict[str, psutil.Process] = {}
        """By process: the one that serves, or did last."""
        self._hung: set[str] = set()
        """Those that we ended because they hung, and whose end has not been heard yet."""
        self._say = say
        self._hosts = Hosts(run_folder, begins=self._has_begun, serves=self._is_up)
        self._handles: dict[str, Any] = {}
        self._deaths: dict[str, int] = {}
        self._starts = Starts()
        # Who cannot be asked is looked at: Ray's processes; and the supervisor, whose end alone is heard.
        self._looked_at = {ray_profile.program(process): process for process in vital}
        self._looked_at[SUPERVISOR] = psutil.Process(os.getppid())
        self._states = States([*(process.name for process in table), *self._looked_at], now_ms=steady_ms())
        self._over: dict[str, int] = {}
        """By process: the pid of the life that said last how it ended."""
        self._ended_s: dict[str, float] = {}
        """By process that ended and of which no life has begun since: when, by the loop's clock."""
        self._draining = False
        for name in self._looked_at:
            self._states.up(name, steady_ms())

    async def run(self, asked_to_end: asyncio.Event) -> None:
        """Creates the actors and keeps them until asked to end, then drains them. Raises `_Over`."""
        await self._hosts.open()
        for process in self._table:
            self._create(process)
        async with asyncio.TaskGroup() as group:
            kept = [group.create_task(self._keep(process)) for process in self._table]
            watch = group.create_task(self._watch())
            hanging = group.create_task(self._end_hanging())
            told = group.create_task(figures.publish(self._run_folder, self._statuses, self._states))
            seated = group.create_task(self._follow_usher(group))
            await asked_to_end.wait()
            self._draining = True
            seated.cancel()
            await self._drain()
            for task in (*kept, *self._seats.values(), watch, hanging, told):
                task.cancel()

    def _create(self, process: Process) -> None:
        self._handles[process.name] = _actor(process).remote(process, str(self._run_folder), self._build)

    def _statuses(self) -> Mapping[str, Callable[[], Awaitable[dict[str, Any]]]]:
        """By process, what asks it for its figures."""
        asked = {name: functools.partial(self._hosts.figures, name) for name in self._handles}
        looked_at = {name: functools.partial(_look_at, process) for name, process in self._looked_at.items()}
        return asked | looked_at

    async def _follow_usher(self, group: asyncio.TaskGroup) -> None:
        """Creates the cells that the usher wants beside the table's, and ends those it wants no more."""
        while True:
            wanted = await self._hosts.wanted()
            for process in map(cell_process, wanted.seats):
                if process.name not in self._handles:
                    self._states.joins(process.name, steady_ms())
                    self._create(process)
                    self._seats[process] = group.create_task(self._keep(process))
            for process in map(cell_process, wanted.over):
                if process in self._seats:
                    await self._end(process)

    async def _end(self, process: Process) -> None:
        """Ends an empty cell: it holds nothing, and is not brought back."""
        self._seats.pop(process).cancel()
        handle = self._handles.pop(process.name)
        # One that hangs must not keep others from being seated; it is killed right after.
        await self._hosts.drain(process.name, within_s=self._drain_s)
        ray.kill(handle)
        self._ended_s.pop(process.name, None)
        self._states.leaves(process.name)
        self._say(Gone(process.name))
        _log.info("node.cell_ended", name=process.name)

    async def _keep(self, process: Process) -> None:
        """Has the actor run, and run again after each end that nobody asked for."""
        loop = asyncio.get_running_loop()
        wait_s = AGAIN_AFTER_S
        while True:
            since = loop.time()
            ended = await self._life(process.name)
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

    async def _life(self, name: str) -> Ended | None:
        """One life of the actor, and how it ended. None where there was none: the call met a process being killed."""
        handle = self._handles[name]
        loop = asyncio.get_running_loop()
        try:
            ended: Ended = await _answer(handle.run.options(max_task_retries=RUN_RETRIES).remote())
        except (RayTaskError, TaskCancelledError) as exc:
            ended = Ended(f"{name}: {type(exc).__name__}")
        except RayError as exc:
            ended_s = self._ended_s.get(name, -ECHO_S)
            if isinstance(exc, ActorUnavailableError) and loop.time() - ended_s < ECHO_S:
                return None
            self._ended_s[name] = loop.time()
            if name in self._hung:
                self._hung.discard(name)
                return Ended(f"{name}: it had not answered for {self._hang_s:g} s, and was ended")
            # Whatever Ray calls it: nobody heard the process say why.
            return Ended(f"{name}: its process was killed, or crashed; the system's log may say why")
        self._over[name] = ended.pid
        if not self._draining:
            # It ended its work, but not its process: another life begins with nothing of this one.
            ray.kill(handle, no_restart=False)
            self._ended_s[name] = loop.time()
        return ended

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
        raise _Over(ExitCode.HOPELESS)

    def _log_of(self, name: str) -> Path:
        """Where the process says why; one that Ray could not even begin has written nothing, and the node has."""
        own = self._logs / f"{name}.log"
        return own if own.exists() else self._logs / "node.log"

    def _has_begun(self, name: str) -> None:
        """Another life of it: what is heard of an end from now on is its own."""
        self._ended_s.pop(name, None)

    def _is_up(self, name: str, facts: dict[str, str | int]) -> None:
        """It serves; unless the word of its end came before this one."""
        if name not in self._handles or facts["pid"] == self._over.get(name):
            return
        names = [process.name for process in self._table]
        self._hung.discard(name)
        with contextlib.suppress(psutil.NoSuchProcess):
            self._living[name] = psutil.Process(int(facts["pid"]))
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
                raise _Over(ExitCode.REBUILD)

    async def _end_hanging(self) -> None:
        """Kills who lives and does not answer: its next life begins as after any other death. Not through Ray, whose
        word a process that stands still does not hear."""
        hanging = Hanging(self._hang_s)
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            for name in hanging.look(self._states.at(steady_ms()), self._handles):
                if (living := self._living.pop(name, None)) is None:
                    continue
                _log.error("node.process_hangs", name=name, pid=living.pid, silent_s=self._hang_s)
                self._hung.add(name)
                # A process that has the pid since is not killed: psutil compares when it began.
                with contextlib.suppress(psutil.NoSuchProcess):
                    living.kill()

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


class Say:
    """Writes to the supervisor. That nobody reads any more is no error: the supervisor's death is heard on stdin."""

    def __init__(self, file: int) -> None:
        self._file = file

    def __call__(self, said: Said) -> None:
        """Writes one line."""
        try:
            os.write(self._file, msgspec.json.encode(said) + b"\n")
        except BrokenPipeError:
            return


def _actor(process: Process) -> Any:
    """Ray's class for one process. A subclass of its own, since Ray titles the process after the class."""
    titled = type(process.name, (Host,), {})
    options = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=1)  # See `RUN_RETRIES`.
    return options(titled).options(name=process.name)


async def _answer(ref: Any) -> Any:
    return await asyncio.wrap_future(ref.future())


async def _look_at(process: psutil.Process) -> dict[str, Any]:
    """Answers for a process that answers nobody: it lives, and does not stand still."""
    try:
        if process.status() == psutil.STATUS_STOPPED:
            raise TimeoutError
    except psutil.NoSuchProcess:
        raise TimeoutError from None
    return {}


async def _listen(stdin: int, asked_to_end: asyncio.Event) -> None:
    """Waits for what the supervisor asks. Raises `_Over` at its death."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(stdin, "rb", buffering=0)
    )
    while line := await reader.readline():
        assert line == b"drain\n", line
        asked_to_end.set()
    _log.error("node.supervisor_died")
    raise _Over(ExitCode.REBUILD)


async def _serve(run: Path, build: str, *, stdin: int, say: Say) -> None:
    settings = read_settings(run)
    logs = Path(settings.data) / "log"
    log_to(logs / "node.log", settings.log_level)
    asked_to_end = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        listening = group.create_task(_listen(stdin, asked_to_end))
        table = processes(settings)
        _log.info("node.starting")
        vital = await asyncio.to_thread(ray_profile.start, run / "r", workers=len(table))
        _log.info("node.ray_started")
        node = Node(
            table, vital, run, build, logs=logs, drain_s=settings.limits.drain_s, hang_s=settings.limits.hang_s, say=say
        )
        await node.run(asked_to_end)
        listening.cancel()


def main(run: Path, build: str) -> ExitCode:
    """Runs the node to its end."""
    stdin, stdout = _own_pipes()
    say = Say(stdout)
    code = ExitCode.STOPPED
    try:
        asyncio.run(_serve(run, build, stdin=stdin, say=say))
    except* _Over as group:
        code = _first(group).code
    if code is ExitCode.STOPPED:
        ray_profile.stop()
    return code


def _first(group: BaseExceptionGroup[_Over]) -> _Over:
    found = group.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found


def _own_pipes() -> tuple[int, int]:
    """Takes the supervisor's pipes off the standard descriptors, where Ray and its children would write to them."""
    stdin, stdout = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return stdin, stdout


if __name__ == "__main__":
    code = main(Path(sys.argv[1]), sys.argv[2])
    if code is not ExitCode.STOPPED:
        # Ray is in no state to be taken down politely; the supervisor may be gone as well.
        leftovers.end(os.environ[leftovers.MARK_VARIABLE], but=frozenset({os.getpid()}))
    # Not `sys.exit`: Ray's exit handlers wait for what was just ended.
    os._exit(code)
