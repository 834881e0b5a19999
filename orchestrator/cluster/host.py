"""One process of the table, as Ray runs it: a plain class that builds its parts, serves, and ends when one breaks.

How it ended it returns as a plain value, never as an exception of ours: those need not survive pickling.
"""

import asyncio
import gc
import os
import sys
from importlib import import_module
from pathlib import Path

import msgspec
import psutil
import structlog
import uvloop
from msgspec import Struct

from orchestrator.cluster.logs import log_to
from orchestrator.cluster.node_line import NodeLine
from orchestrator.cluster.part import Build, Part, Seating
from orchestrator.cluster.run_folder import read_settings
from orchestrator.cluster.table import Process
from orchestrator.data_layout import LOGS
from orchestrator.parts.ending import first_of
from protocol.errors import ThroughlineError

_log = structlog.get_logger(__name__)


class Ended(Struct, frozen=True):
    """How a process came to its end. `reason` is empty where it was asked to stop.

    `hopeless`: it failed to start for a reason that another try will not change, and that `reason` tells the operator.
    `pid`: of the process that says so.
    """

    reason: str = ""
    hopeless: bool = False
    pid: int = 0


class Host:
    """The actor. `build` names a `Build` as `module:function`, so that tests can put other parts in."""

    def __init__(self, process: Process, run_folder: str, build: str) -> None:
        self._life = _Life(process.name, Path(run_folder), build)
        self._ended: Ended | None = None
        _give_way(process.nice)

    def run(self) -> Ended:
        """Serves until the end. Asked again, as after a lost answer, it says how it ended.

        Not a coroutine, and no method is one, since Ray would make the whole actor an asyncio one: this one holds the
        main thread, which `asked.py` says the reason of.
        """
        if self._ended is None:
            # Not closed, which would wait for threads that may hang on a disk: the node ends this process.
            ended = asyncio.Runner(loop_factory=uvloop.new_event_loop).run(self._life.serve())
            self._ended = msgspec.structs.replace(ended, pid=os.getpid())
        return self._ended


class _Life:
    """One process's life, from its part's start to its end."""

    def __init__(self, name: str, run_folder: Path, build: str) -> None:
        self._name = name
        self._run_folder = run_folder
        self._build = build
        self._line: NodeLine | None = None

    async def serve(self) -> Ended:
        try:
            return await self._serve()
        finally:
            if self._line is not None:
                await self._line.close()

    async def _serve(self) -> Ended:
        try:
            line, part, facts = await self._begin()
        except (ThroughlineError, OSError) as exc:
            _log.error("host.start_failed", reason=str(exc), exc_info=True)
            return Ended(f"{self._name}: {exc}", hopeless=True)
        except Exception as exc:  # noqa: BLE001 - a bug: another try may go well, and the node counts the tries
            _log.error("host.start_broke", exc_info=True)
            return Ended(f"{self._name}: {type(exc).__name__}")
        _settle_collector()
        _log.info("host.started", **facts)
        try:
            await serve_with(part, facts | {"pid": os.getpid()}, line)
        except Exception as exc:  # noqa: BLE001 - whatever it was, this process ends with it and comes back by recovery
            _log.error("host.broke", exc_info=True)
            # Errors raised on purpose say what to do; another's text may quote what it failed on.
            said = str(exc) if isinstance(exc, (ThroughlineError, OSError)) else type(exc).__name__
            return Ended(f"{self._name}: {said}")
        _log.info("host.stopped")
        return Ended()

    async def _begin(self) -> tuple[NodeLine, Part, dict[str, str | int]]:
        settings = read_settings(self._run_folder)
        log_to(Path(settings.data) / LOGS / f"{self._name}.log", settings.log_level)
        structlog.contextvars.bind_contextvars(process=self._name)
        self._line = line = await NodeLine.open(self._run_folder, self._name)
        part = _resolve(self._build)(self._name, settings, self._run_folder)
        return line, part, await part.start()


async def serve_with(part: Part, facts: dict[str, str | int], line: NodeLine) -> None:
    """Serves until the part is drained, and stops it. Raises what broke it, or the telling of the seats it wants:
    customers would wait for seats that nobody hears of."""
    line.serves(part, facts)
    telling = [asyncio.create_task(_tell_wanted(part, line))] if isinstance(part, Seating) else []
    await first_of(part.run(), telling)
    await part.stop()


async def _tell_wanted(part: Seating, line: NodeLine) -> None:
    known = 0
    while True:
        known, wanted = await part.wanted(known)
        line.wants(wanted)


def _give_way(by: int) -> None:
    """Raises this process's niceness. Linux keeps it by thread: those that Ray has started are told one by one."""
    threads = [thread.id for thread in psutil.Process().threads()] if sys.platform == "linux" else [0]
    for thread in threads:
        os.setpriority(os.PRIO_PROCESS, thread, min(os.getpriority(os.PRIO_PROCESS, thread) + by, 19))


def _settle_collector() -> None:
    """Makes the cyclic collector look at what lives long less often, and never at much at once.

    Live state is hundreds of thousands of objects without cycles, and a full collection walks all of them: in a profile
    under load it took more of a cell's time than deciding did. References still free what is not part of a cycle.
    What survives the youngest is walked once more, with that of the four times before, and then left alone.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTED_AFTER)


COLLECTED_AFTER = (30_000, 2, 2_500)
"""New objects between collections of the youngest, of these between those of the middle, of those between all. The
default is 700, 10, 10. All stands still meanwhile: with 50,000, and the survivors of twenty times together, a cell that
took in 200,000 conversations stood still for 2.9 s once, on a machine with other work; with these numbers for 0.14 s at
most, and 31 ms in the mean of the 64 times that the middle was looked at too."""


def _resolve(build: str) -> Build:
    module, _, function = build.partition(":")
    resolved: Build = getattr(import_module(module), function)
    return resolved
