"""A cell's part."""

import asyncio

from actors.cell import Cell
from actors.live import Population
from orchestrator.cluster.table import cells_of
from orchestrator.first_policy import policy_of, served_by
from orchestrator.parts.ending import until
from orchestrator.parts.surroundings import Surroundings
from orchestrator.switchboard import Arrival
from protocol.shards import SHARDS


class CellPart:
    """A cell, with its lines to journal and archive, listening for gateways and channel hosts."""

    def __init__(self, given: Surroundings, index: int) -> None:
        settings, count = given.settings, cells_of(given.settings)
        self._storage = given.storage
        self._cell = Cell(
            index,
            range(index, SHARDS, count),
            given.storage.archive_reader(),
            policy_of(settings),
            served_by=served_by(settings),
            population=Population(
                count_max=settings.limits.live_journeys_max,
                bytes_max=settings.limits.live_bytes_max,
                idle_ms=round(settings.limits.passivate_after_s * 1000),
            ),
            now_ms=given.now_ms,
        )
        self._archive = Arrival(self._cell)
        self._dialers = [
            given.switchboard.dial("journal", self._cell),
            given.switchboard.dial("archive", self._archive),
        ]
        self._listener = given.switchboard.listen(self._cell)
        self._over = asyncio.Event()

    async def start(self) -> dict[str, str | int]:
        """Waits for the archive, takes its scopes from the journal, then listens."""
        for dialer in self._dialers:
            await dialer.start()
        await self._archive.wait()
        await self._storage.open_readers()
        await self._cell.start()
        await self._listener.start()
        return {"position": self._cell.position}

    async def run(self) -> None:
        """Lives until drained."""
        await until(self._over, self._cell.run())

    async def drain(self) -> None:
        """Commits what it decided."""
        await self._cell.drain()
        self._over.set()

    async def stop(self) -> None:
        """Closes pipes and readers."""
        await self._listener.stop()
        for dialer in self._dialers:
            await dialer.stop()
        await self._storage.close_readers()

    def status(self) -> dict[str, object]:
        """The cell's figures."""
        return dict(self._cell.status())
