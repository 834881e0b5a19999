"""One process of the table, as Ray runs it: a plain class that builds its parts, serves, and ends when one breaks.

What the node hears of it are plain values, never exceptions of ours: those need not survive pickling.
"""

import asyncio
import gc
import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Protocol, runtime_checkable

import psutil
import structlog
from msgspec import Struct

from actors.seating import Wanted
from orchestrator.cluster.logs import log_to
from orchestrator.cluster.run_folder import read_settings
from orchestrator.cluster.table import Process
from orchestrator.settings import Settings
from protocol.errors import ThroughlineError

_log = structlog.get_logger(__name__)


class Part(Protocol):
    """What a process hosts: a journal, an archive, a cell, a gateway, channels, each with its lines."""

    async def start(self) -> dict[str, str | int]:
        """Opens what it needs; it serves when this returns. Returns what others may know, such as a port."""
        ...

    async def run(self) -> None:
        """Serves until drained; raises what broke it."""
        ...

    async def drain(self) -> None:
        """Takes nothing new in, finishes what it holds, and makes `run` return."""
        ...

    async def stop(self) -> None:
        """Gives back what it opened."""
        ...

    def status(self) -> dict[str, object]:
        """Figures for operators."""
        ...


@runtime_checkable
class Seating(Protocol):
    """A part that wants cells to come and go: the usher's."""

    async def wanted(self, known: int) -> tuple[int, Wanted]:
        """Which seats there should be, once that is no longer the `known`-th word of it, with its number."""
        ...


Build = Callable[[str, Settings, Path], Part]
"""Builds the part of the process of this name, for these settings, with its sockets in this folder."""


class Ended(Struct, frozen=True):
    """How a process came to its end. `reason` is empty where it was asked to stop.

    `hopeless`: it failed to start for a reason that another try will not change, and that `reason` tells the operator.
    """

    reason: str = ""
    hopeless: bool = False


class Host:
    """The actor. `build` names a `Build` as `module:function`, so that tests can put other parts in."""

    def __init__(self, process: Process, run_folder: str, build: str) -> None:
        self._process = process
        self._run_folder = Path(run_folder)
        self._build = build
        self._serving: asyncio.Task[Ended] | None = None
        self._started = asyncio.Event()
        self._facts: dict[str, str | int] = {}
        self._part: Part | None = None
        _give_way(process.nice)

    async def run(self) -> Ended:
        """Serves until the end. Asked again, as after a lost answer, it goes on with what runs already."""
        if self._serving is None:
            self._serving = asyncio.create_task(self._serve(), name=self._process.name)
        return await asyncio.shield(self._serving)

    async def started(self) -> dict[str, str | int]:
        """Waits until it serves; the part's facts, with this process's `pid`."""
        await self._started.wait()
        return self._facts

    async def status(self) -> dict[str, object]:
        """The part's figures; empty while it starts."""
        return self._part.status() if self._part is not None else {}

    async def wanted(self, known: int) -> tuple[int, Wanted]:
        """See `Seating`."""
        await self._started.wait()
        part: object = self._part
        assert isinstance(part, Seating)
        return await part.wanted(known)

    async def drain(self) -> None:
        """Drains the part; returns when it is done."""
        if self._part is not None and self._serving is not None:
            await self._part.drain()
            await asyncio.shield(self._serving)

    async def _serve(self) -> Ended:
        try:
            part, facts = await self._begin()
        except (ThroughlineError, OSError) as exc:
            _log.error("host.start_failed", reason=str(exc), exc_info=True)
            return Ended(f"{self._process.name}: {exc}", hopeless=True)
        except Exception as exc:  # noqa: BLE001 - a bug: another try may go well, and the node counts the tries
            _log.error("host.start_broke", exc_info=True)
            return Ended(f"{self._process.name}: {type(exc).__name__}")
        self._part = part
        self._facts = facts | {"pid": os.getpid()}
        _settle_collector()
        self._started.set()
        _log.info("host.started", **facts)
        try:
            await part.run()
        except Exception as exc:  # noqa: BLE001 - whatever it was, this process ends with it and comes back by recovery
            _log.error("host.broke", exc_info=True)
            # Errors raised on purpose say what to do; another's text may quote what it failed on.
            said = str(exc) if isinstance(exc, (ThroughlineError, OSError)) else type(exc).__name__
            return Ended(f"{self._process.name}: {said}")
        await part.stop()
        _log.info("host.stopped")
        return Ended()

    async def _begin(self) -> tuple[Part, dict[str, str | int]]:
        settings = read_settings(self._run_folder)
        log_to(Path(settings.data) / "log" / f"{self._process.name}.log", settings.log_level)
        structlog.contextvars.bind_contextvars(process=self._process.name)
        part = _resolve(self._build)(self._process.name, settings, self._run_folder)
        return part, await part.start()


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


COLLECTED_AFTER = (10_000, 4, 2_500)
"""New objects between collections of the youngest, of these between those of the middle, of those between all. The
default is 700, 10, 10. All stands still meanwhile: with 50,000, and the survivors of twenty times together, a cell that
took in 200,000 conversations stood still for 2.9 s once, on a machine with other work; with these numbers for 0.13 s at
most, and 30 ms at the median of 33 times."""


def _resolve(build: str) -> Build:
    module, _, function = build.partition(":")
    resolved: Build = getattr(import_module(module), function)
    return resolved
