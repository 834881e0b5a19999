"""The stores: the real rules and the real SQL in memory, slow, failing where they are told to, and cut off with the
process that used them.

A disk outlives processes. What a process has written and not synced outlives the process too, and not the machine:
`lose_power` forgets it, of the journal and of the archive.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

from adapters.stores.archive.memory import MemoryArchive
from adapters.stores.errors import StoreFailed
from adapters.stores.journal.memory import MemoryJournal, MemoryJournalReader
from adapters.stores.journal.memory_disk import MemoryDisk
from protocol.archive import Changes
from protocol.journal import Fence, Freed, Record, Unit, Verdict
from tests.simulation.fences import Fences
from tests.simulation.ledger import Ledger
from tests.simulation.life import Life
from tests.simulation.pace import Pace
from tests.simulation.rules import Deciding

Trouble = Literal["lost", "ambiguous", "before", "after"]
"""What befalls the next commit: it fails with nothing kept or with everything kept; or the journal's process dies
before it, or after it and before it says so."""
TROUBLES: dict[Trouble, str] = {
    "lost": "commit_lost",
    "ambiguous": "commit_ambiguous",
    "before": "crash_before_commit",
    "after": "crash_after_commit",
}
"""What the plan calls them."""
Ambiguity = Literal["lost", "ambiguous"]
"""How the archive's next transaction fails: with nothing kept, or with everything."""


class Disks:
    """The two stores of one server, and what is to befall them."""

    def __init__(self, pace: Pace, broken: Callable[[str, str], None]) -> None:
        self.pace = pace
        self.disk = MemoryDisk()
        self.archive = MemoryArchive()
        self.archive_open = False
        self.ledger = Ledger(self.disk, broken)
        self.fences = Fences(broken)
        self.deciding = Deciding(self.ledger, broken)
        self.generations = 0
        self.trouble: Trouble | None = None
        self.fence_trouble = False
        """The next fences are raised, and who asked is not told: the journal's store fails."""
        self.archive_trouble: Ambiguity | None = None
        self.die: Callable[[], None] = _nobody
        """Ends the journal's process; set by who supervises it."""
        self.struck: Callable[[str], None] = _unheard
        """Hears of each fault, by the plan's name, as it takes effect."""
        self.commits = 0
        self.lost = 0
        """Changes of the journal that a power failure took."""

    def new_generation(self) -> str:
        """Names the journal's next life."""
        self.generations += 1
        return f"g{self.generations}"

    def take_troubles(self) -> tuple[Trouble | None, bool, Ambiguity | None]:
        """What is to befall a server that is stopped befalls nobody else."""
        troubles = self.trouble, self.fence_trouble, self.archive_trouble
        self.trouble, self.fence_trouble, self.archive_trouble = None, False, None
        return troubles

    def give_back(self, troubles: tuple[Trouble | None, bool, Ambiguity | None]) -> None:
        """It is going on."""
        self.trouble, self.fence_trouble, self.archive_trouble = troubles

    def lose_power(self) -> None:
        """What was not synced never was. No process may be alive."""
        self.lost += self.disk.crash()
        if self.archive_open:
            self.archive.crash()
        self.archive_open = False


class SimulatedStorage:
    """The stores as one life of a process reaches them (see `orchestrator.storage.Storage`)."""

    def __init__(self, disks: Disks, life: Life) -> None:
        self._disks = disks
        self._life = life

    def journal(self) -> "SlowJournal":
        return SlowJournal(self._disks, self._life)

    def archive(self) -> "SlowArchive":
        return SlowArchive(self._disks, self._life)

    def journal_reader(self, sharing: Any = None) -> Any:
        return Slow(MemoryJournalReader(self._disks.disk), self._disks.pace, self._life)

    def archive_reader(self, sharing: Any = None) -> Any:
        return Slow(_OfWorld(self._disks), self._disks.pace, self._life)

    async def open_readers(self) -> None:
        """They need no opening."""

    async def close_readers(self) -> None:
        """Nor closing."""


class EraserStorage(SimulatedStorage):
    """The stores as who erases reaches them. Its journal's reader also has what retention trimmed, so that the ledger
    is redacted as far back as the archive is, which goes on having it."""

    def journal_reader(self, sharing: Any = None) -> Any:
        return Slow(_Untrimmed(self._disks), self._disks.pace, self._life)


class SlowJournal:
    """A `MemoryJournal` whose commits take time, and die on the way."""

    def __init__(self, disks: Disks, life: Life) -> None:
        self._disks = disks
        self._life = life
        self._inner = MemoryJournal(
            disks.disk, new_generation=disks.new_generation, before_sync=lambda: life.passing(disks.pace.commit_s())
        )
        self.close = self._inner.close
        self.first_position = self._inner.first_position
        self.trim = self._inner.trim
        self.records = self._inner.records
        self.whose_after = self._inner.whose_after
        self.policies = self._inner.policies
        self.unsettled = self._inner.unsettled

    async def open(self) -> Any:
        await self._life.passing(self._disks.pace.commit_s())
        disk = self._disks.disk
        disk.in_use = False  # The lock was the dead process's.
        if disk.unpublished and self._disks.pace.toss():
            # It died before readers saw what it wrote: whether the next life finds that is the store's affair.
            disk.crash()
        return await self._inner.open()

    async def raise_fences(self, scopes: Sequence[str], over: Sequence[Fence], void: str) -> list[Fence]:
        await self._life.passing(self._disks.pace.commit_s())
        fences = await self._inner.raise_fences(scopes, over, void)
        self._disks.fences.raised(fences)
        self._disks.deciding.raised(fences)
        if self._disks.fence_trouble:
            self._disks.fence_trouble = False
            self._disks.struck("fence_ambiguous")
            raise StoreFailed("the fences were told to fail")
        return fences

    async def commit(self, units: Sequence[Unit]) -> list[Verdict]:
        disks = self._disks
        await self._life.passing(disks.pace.commit_s())
        trouble, disks.trouble = disks.trouble, None
        if trouble is not None:
            disks.struck(TROUBLES[trouble])
        if trouble == "before":
            disks.die()
            await self._life.never()
        if trouble in ("lost", "ambiguous"):
            self._inner.fail_next = trouble
        before = await self._inner.position()
        try:
            verdicts = await self._inner.commit(units)
        finally:
            disks.commits += 1
            disks.ledger.read()
        disks.fences.committed(units, verdicts, before)
        disks.deciding.committed(units, verdicts, before)
        if trouble == "after":
            disks.die()
            await self._life.never()
        await self._life.passing(disks.pace.commit_s())
        return verdicts

    async def erase(self, customer: str, redacted: Sequence[Record], freed: Freed | None) -> None:
        await self._life.passing(self._disks.pace.commit_s())
        self._disks.ledger.read()
        trimmed = self._disks.disk.image.trimmed
        await self._inner.erase(customer, [each for each in redacted if each.position > trimmed], freed)
        self._disks.ledger.erased(customer, [each for each in redacted if each.position <= trimmed])
        await self._life.passing(self._disks.pace.commit_s())


class SlowArchive:
    """The writer's side of the archive, for one life of its process. The file is the world's."""

    def __init__(self, disks: Disks, life: Life) -> None:
        self._disks = disks
        self._life = life

    async def open(self) -> int:
        await self._life.passing(self._disks.pace.apply_s())
        if not self._disks.archive_open:
            self._disks.archive_open = True
            return await self._disks.archive.open()
        return await self._disks.archive.position()

    async def apply(self, changes: Changes) -> None:
        disks = self._disks
        await self._life.passing(disks.pace.apply_s())
        trouble, disks.archive_trouble = disks.archive_trouble, None
        if trouble != "lost":
            await disks.archive.apply(changes)
        if trouble is not None:
            disks.struck(f"archive_{trouble}")
            raise StoreFailed("the archive was told to fail")

    async def close(self) -> None:
        """The file stays."""

    def __getattr__(self, name: str) -> Any:
        write = getattr(self._disks.archive, name)

        async def slowly(*args: Any, **named: Any) -> Any:
            await self._life.passing(self._disks.pace.apply_s())
            return await write(*args, **named)

        return slowly


class Slow:
    """A reader whose reads take time; a dead process reads nothing."""

    def __init__(self, reader: Any, pace: Pace, life: Life) -> None:
        self._reader = reader
        self._pace = pace
        self._life = life

    def __getattr__(self, name: str) -> Any:
        async def slowly(*args: Any, **kwargs: Any) -> Any:
            await self._life.passing(self._pace.read_s())
            return await getattr(self._reader, name)(*args, **kwargs)

        return slowly


class _Untrimmed(MemoryJournalReader):
    """All records that there ever were."""

    def __init__(self, disks: Disks) -> None:
        super().__init__(disks.disk)
        self._ledger = disks.ledger

    async def read(self, after: int, limit: int) -> list[Record]:
        self._ledger.read()
        return self._ledger.records[after : after + limit]


class _OfWorld:
    """The archive's file, also where its process is dead; before its first life there is none, and nobody reads."""

    def __init__(self, disks: Disks) -> None:
        self._disks = disks

    def __getattr__(self, name: str) -> Any:
        return getattr(self._disks.archive, name)


def _unheard(_: str) -> None:
    """Nobody counts."""


def _nobody() -> None:
    raise AssertionError("nobody supervises the journal")
