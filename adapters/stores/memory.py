"""Journal and archive in memory: the same rules and the same SQL as on disk, without a thread and without a file.

They ship for tests and for simulations, where everything must happen in one order. The *disk* outlives the store
object, as a file outlives its process: open another store on the same disk after `crash()`, which forgets what was not
synced, as a power failure does.
"""

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar

from adapters.stores import archive_rows, merged_rules, migrations
from adapters.stores.archive_schema import ARCHIVE
from adapters.stores.errors import StoreFailed, StoreLocked
from adapters.stores.journal_rules import (
    Free,
    JournalState,
    Settlement,
    Unmade,
    check_trimmed,
    forgotten,
    forgotten_below,
    raised,
    settle,
)
from adapters.stores.merged_rules import Merged, root_of
from adapters.stores.sqlite_archive import ArchiveReads, ArchiveWrites
from protocol.ids import POLICY
from protocol.journal import POLICIES_KEPT, Fence, Record, Taken, Unit, Unsettled, Verdict

P = ParamSpec("P")
R = TypeVar("R")

Fault = Literal["lost", "ambiguous"]
"""How a commit fails: before anything is kept, or after everything is."""


@dataclass(slots=True)
class _Image:
    """Everything a journal's disk holds."""

    generation: str = ""
    unsynced: bool = False
    trimmed: int = 0
    records: list[Record] = field(default_factory=list)
    owners: dict[str, str] = field(default_factory=dict)
    free: dict[str, Free] = field(default_factory=dict)
    fences: dict[str, Fence] = field(default_factory=dict)
    fence_floor: int = 0
    """The highest epoch of a fence that was forgotten."""
    unmade: dict[tuple[str, int], Unmade] = field(default_factory=dict)
    policies: list[bytes] = field(default_factory=list)
    merged: dict[str, Merged] = field(default_factory=dict)

    @property
    def position(self) -> int:
        return self.trimmed + len(self.records)


class MemoryDisk:
    """What a `MemoryJournal` is kept on: every change in order, and how many of them are synced.

    A change is published when its transaction is over: until then readers do not see it, as they do not see what an
    SQLite connection is about to sync.
    """

    def __init__(self) -> None:
        self.image = _Image()
        self.published = _Image()
        """What readers see."""
        self._published = 0
        self.in_use = False
        self.synced_position = 0
        """Up to here every unit survives a crash."""
        self._changes: list[Callable[[_Image], None]] = []
        self._synced = 0

    def write(self, change: Callable[[_Image], None]) -> None:
        """Makes a change, not yet synced."""
        change(self.image)
        self._changes.append(change)

    def sync(self) -> None:
        """All changes so far survive a crash."""
        self._synced = len(self._changes)
        self.synced_position = self.image.position

    @property
    def unpublished(self) -> int:
        """How many changes readers do not see yet."""
        return len(self._changes) - self._published

    def publish(self) -> None:
        """Readers see all changes so far."""
        for change in self._changes[self._published :]:
            change(self.published)
        self._published = len(self._changes)

    def crash(self) -> int:
        """Power failure: what was not synced never was, and nobody has the disk any more. Returns how many changes
        are lost."""
        lost = len(self._changes) - self._synced
        del self._changes[self._synced :]
        self.image, self.published, self._published = _Image(), _Image(), 0
        for change in self._changes:
            change(self.image)
        self.publish()
        self.in_use = False
        return lost


class MemoryJournalReader:
    """A read-only view of the disk, also while no journal has it open."""

    def __init__(self, disk: MemoryDisk) -> None:
        self.disk = disk

    async def first_position(self) -> int:
        """The oldest position that is still kept; the next one to come where nothing is."""
        return self._seen().trimmed + 1

    async def generation(self) -> str:
        """Names the life of its positions."""
        return self._seen().generation

    async def position(self) -> int:
        """The newest committed position; 0 where nothing is."""
        return self._seen().position

    async def position_before(self, at_ms: int) -> int:
        """The newest position up to which every unit was committed before `at_ms`; one below the oldest where none."""
        image = self._seen()
        young = next((record.position for record in image.records if record.at_ms >= at_ms), image.position + 1)
        return young - 1

    async def read(self, after: int, limit: int) -> list[Record]:
        """At most `limit` records after the position, ascending."""
        image = self._seen()
        start = max(0, after - image.trimmed)
        return image.records[start : start + limit]

    async def customers_of(self, identities: Sequence[str]) -> dict[str, str]:
        """The customers of those identities that have one."""
        image = self._seen()
        return {each: root_of(image.merged, image.owners[each]) for each in identities if each in image.owners}

    def _seen(self) -> _Image:
        return self.disk.published


class MemoryJournal(MemoryJournalReader):
    """The journal's writer and its reader in one, on a `MemoryDisk`.

    `fail_next` makes the next commit raise `StoreFailed`; `before_sync`, where given, is awaited between the write
    and the sync of a commit or of fences: a test that holds it there and crashes the disk loses them.
    """

    def __init__(
        self,
        disk: MemoryDisk | None = None,
        *,
        durability: Literal["full", "process"] = "full",
        new_generation: Callable[[], str],
        before_sync: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__(disk or MemoryDisk())
        self.fail_next: Fault | None = None
        self._durability = durability
        self._new_generation = new_generation
        self._before_sync = before_sync
        self._image: _Image | None = None

    async def open(self) -> JournalState:
        """Raises `StoreLocked` where another store has the disk, or `StoreTrimmed`."""
        disk = self.disk
        if disk.in_use:
            raise StoreLocked("another journal in this process has the disk", pid=0)
        check_trimmed(self._durability, disk.image.trimmed)
        disk.in_use = True
        generation = disk.image.generation
        if not generation or disk.image.unsynced:
            generation = self._new_generation()
        disk.write(lambda image: _mark(image, generation, self._durability == "process"))
        disk.sync()
        disk.publish()
        self._image = disk.image
        return JournalState(generation, disk.image.position)

    async def close(self) -> None:
        """Syncs and marks a clean end; after a failure or a crash it only lets go."""
        if self._image is self.disk.image:
            generation = self._image.generation
            self.disk.write(lambda image: _mark(image, generation, False))
            self.disk.sync()
            self.disk.publish()
            self.disk.in_use = False
        self._image = None

    def crash(self) -> None:
        """The machine dies. This object is done; open another one on `disk`."""
        self.disk.crash()

    async def raise_fences(self, scopes: Sequence[str], over: Sequence[Fence] = (), void: str = "") -> list[Fence]:
        """Raises each scope's epoch. Answers in order."""
        image = self._opened()
        gone = forgotten(image.fences, over=over, void=void, raising=scopes)
        fences = raised(scopes, image.fences, image.fence_floor)
        self.disk.write(lambda image: _fence(image, fences, gone))
        await self._about_to_sync()
        self.disk.sync()
        self.disk.publish()
        return fences

    async def commit(self, units: Sequence[Unit]) -> list[Verdict]:
        """Settles the group by `journal_rules`. Raises `StoreFailed` where told to, or after a crash."""
        image, fault = self._opened(), self.fail_next
        self.fail_next = None
        group = settle(
            units,
            position=image.position,
            fences=image.fences,
            unmade=image.unmade,
            owners=_roots(image, units),
            free=image.free,
            merged=image.merged,
        )
        if fault == "lost":
            self._fail()
        self.disk.write(lambda image: _keep(image, group))
        await self._about_to_sync()
        if self._durability == "full":
            self.disk.sync()
        self.disk.publish()
        if fault == "ambiguous":
            self._fail()
        return group.verdicts

    async def whose_after(self, position: int) -> list[tuple[str, int]]:
        """The customer and the count of events of each unit after the position, in order."""
        image = self._opened()
        return [(record.customer, record.entries) for record in image.records[max(0, position - image.trimmed) :]]

    async def records(self, positions: Sequence[int]) -> list[Record]:
        """The units at these positions, in their order; those that were trimmed are left out."""
        image = self._opened()
        return [image.records[position - image.trimmed - 1] for position in positions if position > image.trimmed]

    async def policies(self) -> list[bytes]:
        """The bodies of the newest units of the customer `policy`, in order; they are kept whatever is trimmed."""
        return list(self._opened().policies)

    async def unsettled(self) -> list[Unsettled]:
        """What customers have to take in of merges, in the order in which it happened."""
        return merged_rules.unsettled(self._opened().merged)

    async def erase(self, customer: str, redacted: Sequence[Record]) -> None:
        """Puts the units' new bodies in the place of the old ones, and frees the customer's identities."""
        self._opened()
        self.disk.write(lambda image: _erase(image, customer, redacted))
        self.disk.sync()
        self.disk.publish()

    async def trim(self, through: int) -> int:
        """Drops units at or below `through`. Returns how many went."""
        image = self._opened()
        dropped = max(0, min(through, image.position) - image.trimmed)
        self.disk.write(lambda image: _trim(image, dropped))
        self.disk.sync()
        self.disk.publish()
        return dropped

    def _seen(self) -> _Image:
        return self._opened()

    def _opened(self) -> _Image:
        if self._image is None or self._image is not self.disk.image:
            raise StoreFailed("the journal is not open, or its disk crashed")
        return self._image

    async def _about_to_sync(self) -> None:
        if self._before_sync is not None:
            await self._before_sync()
            self._opened()

    def _fail(self) -> None:
        self._image, self.disk.in_use = None, False
        raise StoreFailed("the commit was told to fail")


class MemoryArchive(ArchiveWrites, ArchiveReads):
    """The archive's writer and its reader in one, on an SQLite database in memory that runs inline.

    `crash()` brings back what the last `sync()` kept: nothing without one.
    """

    def __init__(self) -> None:
        self._kept = b""
        self._db: _Inline | None = None

    async def open(self) -> int:
        """Returns the position."""
        if self._db is not None:
            raise StoreLocked("the archive is open already", pid=0)
        db = sqlite3.connect(":memory:", isolation_level=None)
        if self._kept:
            db.deserialize(self._kept)
        migrations.migrate(db, ARCHIVE)
        self._db = _Inline(db)
        return archive_rows.position(db)

    async def rows(self, table: str) -> list[tuple[Any, ...]]:
        """Every row of a table, whole, in the order of its key (its first columns): for who compares two archives."""
        sql = f"SELECT * FROM {table} ORDER BY 1, 2"  # noqa: S608 - a table's name is no one's input
        return self._opened().db.execute(sql).fetchall()

    async def sync(self) -> int:
        """What was applied survives a crash from here on."""
        db = self._opened().db
        self._kept = db.serialize()
        return archive_rows.position(db)

    async def copy(self) -> "MemoryArchive":
        """Another one, open, that holds the same."""
        other = MemoryArchive()
        other._kept = self._opened().db.serialize()
        await other.open()
        return other

    def crash(self) -> None:
        """The machine dies; open it again."""
        self._opened().db.close()
        self._db = None

    async def close(self) -> None:
        """Syncs and closes; nothing where it is not open."""
        if self._db is not None:
            await self.sync()
            self.crash()

    def _opened(self) -> "_Inline":
        if self._db is None:
            raise StoreFailed("the archive is not open")
        return self._db


class _Inline:
    """Runs steps at once, in the caller's turn."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db

    async def run(self, step: Callable[Concatenate[sqlite3.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return step(self.db, *args, **kwargs)
        except sqlite3.Error as exc:
            raise StoreFailed(f"archive in memory: {exc}") from exc


def _roots(image: _Image, units: Sequence[Unit]) -> dict[str, str]:
    """Whose the identities that the units name are."""
    named = {identity for unit in units for identity in (*unit.identities, *(each for each, _ in unit.released))}
    return {each: root_of(image.merged, image.owners[each]) for each in named if each in image.owners}


def _mark(image: _Image, generation: str, unsynced: bool) -> None:
    image.generation, image.unsynced = generation, unsynced


def _fence(image: _Image, fences: Sequence[Fence], forgotten: Sequence[Fence]) -> None:
    for fence in forgotten:
        del image.fences[fence.scope]
    image.fence_floor = max(image.fence_floor, *(fence.epoch for fence in forgotten), 0)
    image.fences |= {fence.scope: fence for fence in fences}
    gone = {fence.scope for fence in (*fences, *forgotten)}
    image.unmade = {place: verdict for place, verdict in image.unmade.items() if place[0] not in gone}


def _keep(image: _Image, group: Settlement) -> None:
    for position, unit in group.committed:
        image.records.append(Record(position, unit.customer, unit.at_ms, unit.identities, unit.entries, unit.body))
        if unit.customer == POLICY:
            image.policies = [*image.policies, unit.body][-POLICIES_KEPT:]
    for identity in group.free:
        image.owners.pop(identity, None)
    for identity in group.owners:
        image.free.pop(identity, None)
    image.owners |= group.owners
    image.free |= group.free
    for customer, row in group.merged.items():
        if row is None:
            image.merged.pop(customer, None)
        else:
            image.merged[customer] = row
    for scope, batch in group.batches.items():
        image.fences[scope] = Fence(scope, image.fences[scope].epoch, batch)
    oldest = {scope: forgotten_below(group.batches[scope]) for scope, _ in group.unmade}
    kept = {place: v for place, v in image.unmade.items() if place[1] >= oldest.get(place[0], 0)}
    image.unmade = kept | group.unmade


def _trim(image: _Image, dropped: int) -> None:
    del image.records[:dropped]
    image.trimmed += dropped


def _erase(image: _Image, customer: str, redacted: Sequence[Record]) -> None:
    new = {record.position: record for record in redacted}
    image.records = [
        Record(
            record.position,
            record.customer,
            record.at_ms,
            [] if record.customer == customer else record.identities,
            record.entries,
            record.body,
        )
        for record in (new.get(record.position, record) for record in image.records)
    ]
    image.owners = {identity: owner for identity, owner in image.owners.items() if owner != customer}
    image.unmade = {
        place: Taken("", customer) if isinstance(verdict, Taken) and verdict.customer == customer else verdict
        for place, verdict in image.unmade.items()
    }
