"""Lives: the Ray actor of each process, whose lives follow each other until it is ended.

A call to an actor may meet the end of one life or the beginning of the next, and Ray says of neither which it was: this
file tells them apart.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import psutil
import ray
from ray.exceptions import ActorUnavailableError, RayError, RayTaskError, TaskCancelledError

from orchestrator.cluster.host import Ended, Host
from orchestrator.cluster.table import Process

RUN_RETRIES = 0
"""A call that met a life's end says so, and whether there is another life is the node's to decide. The actor as a whole
allows retries, since only then a call that comes while Ray brings it back waits for it; else it fails at once."""
ECHO_S = 30.0
"""How long after a process's end a call may still meet that end, where no other life has begun: until Ray has noticed,
after which a call waits for the next one."""


class Lives:
    """The actors there are, by the names of their processes."""

    def __init__(self, run_folder: Path, build: str, *, hang_s: float) -> None:
        self._run_folder = run_folder
        self._build = build
        self._hang_s = hang_s
        self._handles: dict[str, Any] = {}
        self._serving: dict[str, psutil.Process] = {}
        """The process that serves, or did last."""
        self._hung: set[str] = set()
        """Those that we ended because they hung, and whose end has not been heard yet."""
        self._over: dict[str, int] = {}
        """The pid of the life that said last how it ended."""
        self._ended_s: dict[str, float] = {}
        """Of those that ended and of which no life has begun since: when, by the loop's clock."""
        self._are_last = False

    @property
    def names(self) -> Collection[str]:
        """Of whom there is an actor."""
        return self._handles.keys()

    def create(self, process: Process) -> None:
        """Has Ray begin it, and begin it again after each end."""
        self._handles[process.name] = _actor(process).remote(process, str(self._run_folder), self._build)

    def release(self, name: str) -> Callable[[], None]:
        """It is wanted no more, and nothing is heard of it; what is returned ends it."""
        handle = self._handles.pop(name)

        def end() -> None:
            ray.kill(handle)
            self._ended_s.pop(name, None)

        return end

    def are_last(self) -> None:
        """From here on no life is followed by another."""
        self._are_last = True

    async def run(self, name: str) -> Ended | None:
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
        if not self._are_last:
            # It ended its work, but not its process: another life begins with nothing of this one.
            ray.kill(handle, no_restart=False)
            self._ended_s[name] = loop.time()
        return ended

    def begun(self, name: str) -> None:
        """Another life of it: what is heard of an end from now on is its own."""
        self._ended_s.pop(name, None)

    def serves(self, name: str, pid: int) -> bool:
        """This process serves; False where the word of its end came before this one, or it is not wanted any more."""
        if name not in self._handles or pid == self._over.get(name):
            return False
        self._hung.discard(name)
        with contextlib.suppress(psutil.NoSuchProcess):
            self._serving[name] = psutil.Process(pid)
        return True

    def end_hanging(self, name: str) -> int | None:
        """Kills the process of a life that does not answer; its pid, or None where none is known. Not through Ray,
        whose word a process that stands still does not hear. Its next life begins as after any other death."""
        if (serving := self._serving.pop(name, None)) is None:
            return None
        self._hung.add(name)
        # A process that has the pid since is not killed: psutil compares when it began.
        with contextlib.suppress(psutil.NoSuchProcess):
            serving.kill()
        return int(serving.pid)


def _actor(process: Process) -> Any:
    """Ray's class for one process. A subclass of its own, since Ray titles the process after the class."""
    titled = type(process.name, (Host,), {})
    options = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=1)  # See `RUN_RETRIES`.
    return options(titled).options(name=process.name)


async def _answer(ref: Any) -> Any:
    return await asyncio.wrap_future(ref.future())
