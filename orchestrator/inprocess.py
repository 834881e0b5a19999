"""A whole server in one event loop: the very parts of the processes, with pipes in memory and the caller's clock.

For tests and simulation. Nothing is forked, no socket is opened but the gateway's and the channels' own.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from orchestrator.cluster.host import Part
from orchestrator.cluster.table import processes
from orchestrator.parts.building import part_of, peer_name, system_now_ms
from orchestrator.parts.surroundings import Surroundings
from orchestrator.settings import Settings
from orchestrator.storage import MemoryStorage, SqliteStorage, Storage
from orchestrator.switchboard import MemoryExchange


class InProcess:
    """The parts by name, while they run. `only` names those that are wanted; the others are not there."""

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
        self.parts: dict[str, Part] = {}
        self.facts: dict[str, dict[str, str | int]] = {}

    def surroundings(self, name: str) -> Surroundings:
        """What a new life of the part `name` gets; also for a test's own peer of the cells."""
        switchboard = self._exchange.switchboard(peer_name(name), uuid.uuid4().hex)
        return Surroundings(self._settings, switchboard, self._storage(), run=self._run, now_ms=self._now_ms)

    async def start(self) -> None:
        """Starts all parts, side by side, as processes would."""
        await asyncio.gather(*(self._start(process.name) for process in self._table))

    async def stop(self) -> None:
        """Drains them in the table's order, then stops all: the archive reads what the journal wrote to the last."""
        for process in sorted(self._table, key=lambda process: process.drain_order):
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
