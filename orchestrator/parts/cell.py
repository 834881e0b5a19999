"""A cell's part."""

import asyncio
from pathlib import Path

from actors.cells.cell import Cell
from actors.cells.population import Population
from actors.seats.seat import Seat
from orchestrator.cluster.table import USHER, cells_of
from orchestrator.parts.ending import until
from orchestrator.parts.surroundings import Surroundings
from orchestrator.pipes.switchboard import Arrival
from orchestrator.policy.first import policy_of, served_by
from orchestrator.policy.former_lines import noted_lines
from protocol.shards import SHARDS, own_scope_of, scope_of


class CellPart:
    """A cell, with its lines to journal and archive, listening for gateways and channel hosts.

    Placement decides what is the cell's: a share of all shards, or one customer at a time, for whom it has a seat.
    """

    def __init__(self, surroundings: Surroundings, index: int) -> None:
        settings, count = surroundings.settings, cells_of(surroundings.settings)
        dedicated = settings.placement == "dedicated"
        self._storage = surroundings.storage
        self._cell = Cell(
            index,
            [] if dedicated else range(index, SHARDS, count),
            surroundings.storage.archive_reader(),
            policy_of(settings, noted_lines(Path(settings.data))),
            served_by=served_by(settings),
            population=Population(
                count_max=1 if dedicated else settings.limits.live_journeys_max,
                bytes_max=settings.limits.live_bytes_max,
                idle_ms=round(settings.limits.passivate_after_s * 1000),
            ),
            now_ms=surroundings.now_ms,
            scope=own_scope_of if dedicated else scope_of,
        )
        self._seat = Seat(index, self._cell, life=surroundings.switchboard.incarnation) if dedicated else None
        self._archive = Arrival(self._cell)
        self._dialers = [
            surroundings.switchboard.dial("journal", self._cell),
            surroundings.switchboard.dial("archive", self._archive),
        ]
        self._usher = surroundings.switchboard.dial(USHER, self._seat) if self._seat is not None else None
        self._listener = surroundings.switchboard.listen(self._seat or self._cell)
        self._over = asyncio.Event()

    async def start(self) -> dict[str, str | int]:
        """Waits for the archive, takes its scopes from the journal, then listens."""
        for dialer in self._dialers:
            await dialer.start()
        await self._archive.wait()
        await self._storage.open_readers()
        await self._cell.start()
        await self._listener.start()
        if self._usher is not None:
            await self._usher.start()
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
        if self._usher is not None and self._seat is not None:
            await self._usher.stop()
            await self._seat.stop()
        await self._listener.stop()
        for dialer in self._dialers:
            await dialer.stop()
        await self._storage.close_readers()

    def status(self) -> dict[str, object]:
        """The cell's figures."""
        return dict(self._cell.status())
