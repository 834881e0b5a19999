"""A node in one process: the real journal, archive, cells and intake, on memory pipes and memory stores.

Nothing here is faked but the disk; `kill_…` ends an actor as a crash does, and its next life is wired in its place.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, cast

from actors.archive.archive import Archive
from actors.archive.archive_store import ArchiveStore
from actors.archive.retention import Retention
from actors.cells.cell import Cell
from actors.cells.population import Population
from actors.journal.journal import Journal
from actors.lines import LineOwner
from actors.rules.policy import Policy
from adapters.stores.archive.memory import MemoryArchive
from adapters.stores.journal.memory import MemoryJournal
from adapters.stores.journal.memory_disk import MemoryDisk
from orchestrator.cell_lines.cells import Cells
from orchestrator.pipes.lines import PipeSocket
from orchestrator.pipes.memory import MemoryWire, connect_in_memory, memory_end
from orchestrator.way_in.intake import AccountRule, Intake, IntakeLimits
from protocol.inbound import AnyData, InboundEvent, MessageArrived
from protocol.journal import Record
from protocol.links import Attempt, ListChanged, Outcome, Updated
from protocol.shards import SHARDS
from tests.actors.player import POLICY

ACCOUNTS = {
    "mail": AccountRule(trusted=False),
    "sms": AccountRule(trusted=False),
    "chat": AccountRule(trusted=True),
    "app": AccountRule(trusted=True),
    "phone": AccountRule(trusted=False),
}
SERVED_BY = {"mail": "channels", "sms": "channels", "chat": "gateway"}


class World:
    """One journal, one archive, `cells` cells, and a gateway's lines and intake."""

    def __init__(self, cells: int = 2, policy: Policy = POLICY) -> None:
        self.now_ms = 1_000_000_000
        self.policy = policy
        self.count_max = 1000
        self.disk = MemoryDisk()
        self.archive_store = MemoryArchive()
        self.lives = itertools.count(1)
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.wires: dict[tuple[str, str], MemoryWire] = {}
        self.cell_count = cells
        self.cell_actors: list[Cell | None] = [None] * cells
        self.cells = Cells(cells)
        self.updates: list[Updated] = []
        self.rows: list[ListChanged] = []
        self.delivers: list[Attempt] = []
        self.cells.on_updated = self.updates.append
        self.cells.on_list_changed = self.rows.append
        self.cells.on_deliver = self.delivers.append
        ids = itertools.count(1)
        self.intake = Intake(
            self.cells,
            lambda identities: self.journal_store.customers_of(identities),
            ACCOUNTS,
            region="GB",
            limits=IntakeLimits(waiting_max=10_000, ahead_ms=3_600_000, behind_ms=10**12),
            now_ms=lambda: self.now_ms,
            new_customer=lambda: f"cu{next(ids):016d}",
        )
        self.events = itertools.count(1)

    async def start(self) -> None:
        """Everything up, in the order a node starts."""
        await self.start_journal()
        await self.archive_store.open()
        await self.start_archive()
        for index in range(self.cell_count):
            await self.start_cell(index)

    async def stop(self) -> None:
        """Ends every actor."""
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)

    async def start_journal(self) -> None:
        """A new life of the journal on the disk there is."""
        self.journal_store = MemoryJournal(self.disk, new_generation=lambda: "g1")
        self.journal = Journal(self.journal_store, archive_lag_max=100_000)
        await self.journal.start()
        self._run("journal", self.journal.run())

    async def start_archive(self, retention: Retention | None = None) -> None:
        """A new life of the archive, caught up."""
        # It passes the rest on by name, which a type checker cannot see.
        store = cast(ArchiveStore, _Opened(self.archive_store))
        self.archive = Archive(_Journal(self), store, gather_s=0, retention=retention)
        await self.archive.start()
        self._run("archive", self.archive.run())
        self.connect("archive", self.archive, "journal", self.journal)

    async def start_cell(self, index: int) -> Cell:
        """A new life of a cell, connected to everyone."""
        population = Population(count_max=self.count_max, bytes_max=2**30, idle_ms=900_000)
        shards = [n for n in range(SHARDS) if n % self.cell_count == index]
        cell = Cell(
            index,
            shards,
            self.archive_store,
            self.policy,
            served_by=SERVED_BY,
            population=population,
            now_ms=lambda: self.now_ms,
        )
        self.cell_actors[index] = cell
        name = f"cell:{index}"
        self.connect(name, cell, "journal", self.journal)
        self.connect(name, cell, "archive", self.archive)
        await cell.start()
        self._run(name, cell.run())
        self.connect("gateway:0", self.cells, name, cell)
        return cell

    def kill_cell(self, index: int) -> None:
        """A cell dies: its memory and its lines are gone."""
        self._kill(f"cell:{index}")
        self.cell_actors[index] = None

    async def restart_journal(self, *, lose_unsynced: bool = True) -> None:
        """The journal dies and comes back on its disk; everyone reconnects."""
        self._kill("journal")
        if lose_unsynced:
            self.journal_store.crash()
        await self.start_journal()
        self.connect("archive", self.archive, "journal", self.journal)
        for index, cell in enumerate(self.cell_actors):
            if cell is not None:
                self.connect(f"cell:{index}", cell, "journal", self.journal)

    async def restart_archive(self, retention: Retention | None) -> None:
        """The archive dies and comes back with this retention; cells reach it when they start anew."""
        self._kill("archive")
        await self.start_archive(retention)

    def connect(self, one: str, owner: LineOwner, two: str, other: LineOwner) -> None:
        """Makes the pipe between two actors; each keeps the life it has."""
        lines = [self._line(one, two, owner), self._line(two, one, other)]
        self.wires[(one, two)] = connect_in_memory(lines[0], lines[1])

    def _line(self, name: str, peer: str, owner: LineOwner) -> PipeSocket:
        lines: dict[str, PipeSocket] = owner.__dict__.setdefault("_test_lines", {})
        life: str = owner.__dict__.setdefault("_test_life", str(next(self.lives)))
        if peer not in lines:
            lines[peer] = memory_end(name, life, owner)
        return lines[peer]

    def _kill(self, name: str) -> None:
        self.tasks.pop(name).cancel()
        for pair, wire in list(self.wires.items()):
            if name in pair:
                wire.close()
                del self.wires[pair]

    def _run(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self.tasks[name] = asyncio.ensure_future(work)

    def event(
        self,
        data: AnyData | str = "hello",
        *,
        account: str = "mail",
        identities: tuple[str, ...] = ("mailto:ann@example.org",),
        id: str = "",
    ) -> InboundEvent:
        """An inbound event, of text unless other data is given."""
        channel = {"mail": "email"}.get(account, account)
        return InboundEvent(
            id=id or f"e{next(self.events)}",
            source="test",
            time_ms=self.now_ms,
            account=account,
            channel=channel,
            identities=list(identities),
            data=MessageArrived(text=data) if isinstance(data, str) else data,
        )

    def report(self, attempt: Attempt, status: str) -> None:
        """The outbox's word on an attempt."""
        self.cells.ask(
            attempt.customer,
            lambda ref: Outcome(
                ref, attempt.customer, attempt.conversation, attempt.delivery, attempt.number, status, external_id="x@y"
            ),
            lambda reply: None,
        )

    async def until(self, condition: Callable[[], object], within_s: float = 10.0) -> None:
        """Lets the loop turn until `condition()`; fails after so long. By the clock: some of it waits for a
        thread, which a busy machine runs when it can."""
        clock = asyncio.get_running_loop().time
        end_s = clock() + within_s
        while clock() < end_s:
            if condition():
                return
            await asyncio.sleep(0)
        raise AssertionError("it did not come to be")

    async def archived(self) -> None:
        """Returns when the archive has all of the journal."""
        await self.until(lambda: self.archive.position >= self.journal.position)


class _Journal:
    """The archive's view of whichever journal store lives."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def generation(self) -> str:
        return await self._world.journal_store.generation()

    async def shared_with(self, generation: str) -> int | None:
        return await self._world.journal_store.shared_with(generation)

    async def position(self) -> int:
        return await self._world.journal_store.position()

    async def first_position(self) -> int:
        return await self._world.journal_store.first_position()

    async def read(self, after: int, limit: int) -> list[Record]:
        return await self._world.journal_store.read(after, limit)


class _Opened:
    """An archive store that is open already: its file outlives the actor."""

    def __init__(self, store: MemoryArchive) -> None:
        self._store = store

    async def open(self) -> int:
        return await self._store.position()

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


@asynccontextmanager
async def world(cells: int = 2, policy: Policy = POLICY) -> AsyncIterator[World]:
    """A world that is up, and ends with the block."""
    made = World(cells, policy)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()
