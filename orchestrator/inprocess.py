"""A whole server in one event loop: the very parts of the processes, with pipes in memory and the caller's clock.

For tests and simulation. Nothing is forked, no socket is opened but the gateway's and the channels' own. In dedicated
placement seats come and go as the usher wants them, as processes do on a node.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from actors.seats.seating import Wanted
from orchestrator.cluster.part import Part
from orchestrator.cluster.table import USHER, Process, cell_process, processes
from orchestrator.parts.building import part_of, peer_name, system_now_ms
from orchestrator.parts.surroundings import Surroundings
from orchestrator.parts.usher import UsherPart
from orchestrator.pipes.switchboard import MemoryExchange
from orchestrator.policy.first import lines_of
from orchestrator.policy.former_lines import note_lines
from orchestrator.settings import Settings
from orchestrator.storage import MemoryStorage, SqliteStorage, Storage

LOOK_EVERY_S = 0.25
"""How often a new life of the usher is looked for."""


class InProcess:
    """The parts by name, while they run. `only` names those that are wanted; the others are not there, but for the
    seats that an usher wants beside its first ones."""

    def __init__(
        self,
        settings: Settings,
        run: Path,
        *,
        storage: Callable[[], Storage],
        now_ms: Callable[[], int],
        only: Sequence[str] = (),
    ) -> None:
        self._settings = settings
        self._run = run
        self._storage = storage
        self._now_ms = now_ms
        self._exchange = MemoryExchange()
        self._table = [process for process in processes(settings) if not only or process.name in only]
        self._running: dict[str, asyncio.Task[None]] = {}
        self._following: asyncio.Task[None] | None = None
        self._seating: asyncio.Task[None] | None = None
        self.parts: dict[str, Part] = {}
        self.facts: dict[str, dict[str, str | int]] = {}

    def surroundings(self, name: str) -> Surroundings:
        """What a new life of the part `name` gets; also for a test's own peer of the cells."""
        switchboard = self._exchange.switchboard(peer_name(name), uuid.uuid4().hex)
        return Surroundings(self._settings, switchboard, self._storage(), run=self._run, now_ms=self._now_ms)

    async def start(self) -> None:
        """Starts all parts, side by side, as processes would."""
        if self._settings.store == "sqlite":
            note_lines(Path(self._settings.data), lines_of(self._settings))
        await asyncio.gather(*(self._start(process.name) for process in self._table))
        if USHER in self._running:
            self._following = asyncio.create_task(self._follow_usher(), name="seats")

    async def stop(self) -> None:
        """Drains them in the table's order, then stops all: the archive reads what the journal wrote to the last."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        if self._seating is not None:
            # One that failed is not what a stop may fail of: the others keep files open.
            await asyncio.gather(self._seating, return_exceptions=True)
        for process in sorted(self._table, key=lambda process: process.drain_order):
            if process.name in self._running:  # Else its restart was cut short: by what a test waited too long for.
                await self.parts[process.name].drain()
                await self._running.pop(process.name)
        for part in self.parts.values():
            await part.stop()

    async def restart(self, name: str) -> None:
        """Ends a part without draining it, and starts another life of it: what a process's death is to the others."""
        task = self._running.pop(name)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await self.parts[name].stop()
        await self._start(name)

    def cut(self, number: int) -> Callable[[], None]:
        """Breaks one of the pipes' wires, any number naming one; what is returned mends it."""
        return self._exchange.cut(number)

    async def _follow_usher(self) -> None:
        """Starts and ends seats as the usher wants, whichever life of it there is."""
        asked: tuple[Part | None, int] = (None, 0)
        while True:
            usher = self.parts[USHER]
            assert isinstance(usher, UsherPart)
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    known, wanted = await usher.wanted(asked[1] if usher is asked[0] else 0)
            except TimeoutError:
                continue  # Another usher may be there.
            asked = (usher, known)
            self._seating = asyncio.create_task(self._seat(wanted), name="seating")
            # To its end, also at a stop: a part that is half started is nobody's to stop.
            await asyncio.shield(self._seating)

    async def _seat(self, wanted: Wanted) -> None:
        there = {process.name for process in self._table}
        for process in map(cell_process, wanted.seats):
            if process.name not in there:
                self._table.append(process)
                await self._start(process.name)
        for process in map(cell_process, wanted.over):
            if process.name in there:
                await self._end(process)

    async def _end(self, process: Process) -> None:
        await self.parts[process.name].drain()
        await self._running.pop(process.name)
        await self.parts.pop(process.name).stop()
        self._table.remove(process)

    async def _start(self, name: str) -> None:
        part = part_of(name, self.surroundings(name))
        self.facts[name] = await part.start()
        self.parts[name] = part
        self._running[name] = asyncio.create_task(part.run(), name=name)


@asynccontextmanager
async def in_process(
    settings: Settings, run: Path, *, now_ms: Callable[[], int] = system_now_ms, only: Sequence[str] = ()
) -> AsyncIterator[InProcess]:
    """A running server on the stores that the settings name, drained and stopped at the end."""
    memory = MemoryStorage() if settings.store == "memory" else None
    server = InProcess(settings, run, storage=lambda: memory or SqliteStorage(settings), now_ms=now_ms, only=only)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
