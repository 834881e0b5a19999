"""Parts: the actors of a server with their pipes and stores, one for each process of the table.

The same parts run in Ray actors (`orchestrator/cluster`) and in one event loop (`orchestrator/inprocess.py`): what
differs is the switchboard they meet by and the storage they stand on. They may start in any order, at the same time:
each waits for whom it needs, and each writer is there before its readers.
"""

import asyncio
import base64
import secrets
import time
import uuid
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from actors.archive import Archive
from actors.cell import SHARDS, Cell
from actors.journal import Journal
from actors.live import Population
from orchestrator.cells import Cells
from orchestrator.cluster.host import Part
from orchestrator.cluster.table import cell_index, cells_of
from orchestrator.first_policy import policy_of, served_by
from orchestrator.intake import AccountRule, Intake, IntakeLimits
from orchestrator.settings import Settings, SettingsError
from orchestrator.storage import SqliteStorage, Storage
from orchestrator.switchboard import Arrival, Switchboard, UnixSwitchboard

ARCHIVE_GATHER_S = 0.02
"""How long the archive lets records gather: a read that must see a write waits about as long, and at 10,000 events/s
200 of them share one transaction."""

LIVE_BYTES_MAX = 512 * 1024 * 1024
"""Memory of one cell's live journeys, by estimate; over it the idlest are passivated."""


class Surroundings:
    """What a part gets from outside: the settings, who it meets, where it stores, the time."""

    def __init__(
        self,
        settings: Settings,
        switchboard: Switchboard,
        storage: Storage,
        *,
        run: Path,
        now_ms: Callable[[], int],
    ) -> None:
        self.settings = settings
        self.switchboard = switchboard
        self.storage = storage
        self.run = run
        """A folder for this run of the server, which only its owner can enter."""
        self.now_ms = now_ms


class JournalPart:
    """The journal, listening for cells and the archive."""

    def __init__(self, given: Surroundings) -> None:
        self._journal = Journal(given.storage.journal(), archive_lag_max=given.settings.limits.archive_lag_max)
        self._pipe = given.switchboard.listen(self._journal)

    async def start(self) -> dict[str, str | int]:
        """Opens the store, then the pipe."""
        await self._journal.start()
        await self._pipe.start()
        return {"generation": self._journal.generation, "position": self._journal.position}

    async def run(self) -> None:
        """Commits."""
        await self._journal.run()

    async def drain(self) -> None:
        """Settles what it has received."""
        self._journal.drain()

    async def stop(self) -> None:
        """Closes the pipe, then the store."""
        await self._pipe.stop()
        await self._journal.close()

    def status(self) -> dict[str, object]:
        """The journal's figures."""
        return dict(self._journal.status())


class ArchivePart:
    """The archive, following the journal, listening for cells' snapshots."""

    def __init__(self, given: Surroundings) -> None:
        self._storage = given.storage
        self._archive = Archive(
            given.storage.journal_reader(),
            given.storage.archive(),
            gather_s=ARCHIVE_GATHER_S,
            retention_ms=round(given.settings.retention_days * 86_400_000),
            now_ms=given.now_ms,
        )
        self._journal = Arrival(self._archive)
        self._dialer = given.switchboard.dial("journal", self._journal)
        self._listener = given.switchboard.listen(self._archive)

    async def start(self) -> dict[str, str | int]:
        """Waits for the journal, catches up with it, then listens."""
        await self._dialer.start()
        await self._journal.wait()
        await self._storage.open_readers()
        await self._archive.start()
        await self._listener.start()
        return {"position": self._archive.position}

    async def run(self) -> None:
        """Follows."""
        await self._archive.run()

    async def drain(self) -> None:
        """Catches up with the journal."""
        self._archive.drain()

    async def stop(self) -> None:
        """Closes pipes and stores."""
        await self._listener.stop()
        await self._dialer.stop()
        await self._archive.close()
        await self._storage.close_readers()

    def status(self) -> dict[str, object]:
        """The archive's figures."""
        return dict(self._archive.status())


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
                bytes_max=LIVE_BYTES_MAX,
                idle_ms=round(settings.limits.passivate_after_s * 1000),
            ),
            now_ms=given.now_ms,
        )
        self._archive = Arrival(self._cell)
        self._dialers = [given.switchboard.dial("journal", self._cell), given.switchboard.dial("archive", self._archive)]
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
        await _until(self._over, self._cell.run())

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


class Front:
    """What a gateway and a channel host have in common: lines to all cells, the intake, and readers of both stores."""

    def __init__(self, given: Surroundings) -> None:
        settings = given.settings
        self._storage = given.storage
        self.journal = given.storage.journal_reader()
        self.archive = given.storage.archive_reader()
        self.cells = Cells(cells_of(settings))
        self.intake = Intake(
            self.cells,
            self.journal.customers_of,
            {account.name: AccountRule(trusted=account.trusted) for account in settings.accounts},
            region=settings.region,
            limits=IntakeLimits(
                waiting_max=settings.limits.inputs_waiting_max,
                ahead_ms=round(settings.limits.events_ahead_s * 1000),
                behind_ms=round(settings.limits.events_behind_days * 86_400_000),
            ),
            now_ms=given.now_ms,
            new_customer=new_customer,
        )
        self._dialers = [given.switchboard.dial(f"cell:{index}", self.cells) for index in range(len(self.cells))]

    async def start(self) -> None:
        """Waits until every cell was reached, so that all that is asked can be answered."""
        for dialer in self._dialers:
            await dialer.start()
        await self.cells.opened_all()
        await self._storage.open_readers()

    async def stop(self) -> None:
        """Closes lines and readers."""
        for dialer in self._dialers:
            await dialer.stop()
        await self._storage.close_readers()


def new_customer() -> str:
    """An id for a customer nobody knew: 80 random bits, which no two of any number of customers will share."""
    return "cu" + base64.b32encode(secrets.token_bytes(10)).decode().lower()


async def _until(over: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Runs `work` until it breaks, which is raised, or `over` is set, which cancels it."""
    working, waiting = asyncio.ensure_future(work), asyncio.ensure_future(over.wait())
    try:
        await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
    finally:
        working.cancel()
        waiting.cancel()


def part_of(name: str, given: Surroundings) -> Part:
    """The part of the process of this name (see `orchestrator.cluster.table`)."""
    index = cell_index(name)
    if index is not None:
        return CellPart(given, index)
    return _SINGLE[name](given)


_SINGLE: dict[str, Callable[[Surroundings], Part]] = {
    "journal": JournalPart,
    "archive": ArchivePart,
}


def build(name: str, settings: Settings, run: Path) -> Part:
    """The part of one process of a server of many: sockets in `run`, files in the data folder, the system's clock."""
    if settings.store != "sqlite":
        raise SettingsError(f"settings: store is {settings.store!r}, which only a server in one process can share")
    switchboard = UnixSwitchboard(run, peer_name(name), uuid.uuid4().hex)
    return part_of(name, Surroundings(settings, switchboard, SqliteStorage(settings), run=run, now_ms=system_now_ms))


def peer_name(name: str) -> str:
    """How a process is called on pipes (see `actors.lines`)."""
    index = cell_index(name)
    if index is not None:
        return f"cell:{index}"
    return f"{name}:0" if name in ("gateway", "channels") else name


def system_now_ms() -> int:
    """The system's clock."""
    return time.time_ns() // 1_000_000
