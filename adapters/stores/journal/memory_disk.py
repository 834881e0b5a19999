"""The disk that a journal in memory is kept on: all it holds, and what of it a power failure leaves.

It outlives the store object, as a file outlives its process.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from adapters.stores.journal.forgotten import assigned, left_of, mark
from adapters.stores.journal.merged_rules import Merged, root_of
from adapters.stores.journal.rules import Free, Settlement, Unmade, forgotten_below
from protocol.ids import POLICY
from protocol.journal import CLAIM, POLICIES_KEPT, Fence, Freed, Record, Taken, Unit


class Marked(NamedTuple):
    """What is kept of an address that an erasure freed (see `forgotten.py`)."""

    free: Free
    until_ms: int


@dataclass(slots=True)
class Image:
    """Everything a journal's disk holds."""

    generation: str = ""
    former: str = ""
    """The generation before this one, and where that ended."""
    former_through: int = 0
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
    secret: bytes = b""
    forgotten: dict[bytes, Marked] = field(default_factory=dict)
    """By an address's mark."""

    @property
    def position(self) -> int:
        """Of the newest unit."""
        return self.trimmed + len(self.records)

    def roots(self, units: Sequence[Unit]) -> dict[str, str]:
        """Whose the identities that the units name are."""
        named = {identity for unit in units for identity in (*unit.identities, *(each for each, _ in unit.released))}
        return {each: root_of(self.merged, self.owners[each]) for each in named if each in self.owners}

    def begin(self, generation: str, unsynced: bool) -> None:
        """Opens it, in the same life or in a new one."""
        if self.generation and generation != self.generation:
            self.former, self.former_through = self.generation, self.position
        self.mark(generation, unsynced)

    def free_of(self, units: Sequence[Unit]) -> dict[str, Free]:
        """The identities that were unlinked; and of those that the units assign, those that an erasure freed."""
        if not self.forgotten:
            return self.free
        now_ms = max(unit.at_ms for unit in units)
        nobodys = assigned(units).difference(self.owners, self.free)
        marked = {each: self.forgotten.get(mark(each, self.secret)) for each in nobodys}
        freed = {each: known.free for each, known in marked.items() if known and known.until_ms > now_ms}
        return {**self.free, **freed}

    def mark(self, generation: str, unsynced: bool) -> None:
        """Says whether a commit may be lost."""
        self.generation, self.unsynced = generation, unsynced

    def fence(self, fences: Sequence[Fence], forgotten: Sequence[Fence]) -> None:
        """Raises and forgets fences."""
        for fence in forgotten:
            del self.fences[fence.scope]
        self.fence_floor = max(self.fence_floor, *(fence.epoch for fence in forgotten), 0)
        self.fences |= {fence.scope: fence for fence in fences}
        gone = {fence.scope for fence in (*fences, *forgotten)}
        self.unmade = {place: verdict for place, verdict in self.unmade.items() if place[0] not in gone}

    def keep(self, group: Settlement) -> None:
        """Keeps what a group came to."""
        for position, unit in group.committed:
            self.records.append(Record(position, unit.customer, unit.at_ms, unit.identities, unit.entries, unit.body))
            if unit.customer == POLICY:
                self.policies = [*self.policies, unit.body][-POLICIES_KEPT:]
        for identity in group.free:
            self.owners.pop(identity, None)
        for identity in group.owners:
            self.free.pop(identity, None)
        self.owners |= group.owners
        if self.forgotten:
            known = {mark(identity, self.secret) for identity in assigned(unit for _, unit in group.committed)}
            now_ms = max((unit.at_ms for _, unit in group.committed), default=0)
            self.forgotten = {
                each: marked
                for each, marked in self.forgotten.items()
                if each not in known and marked.until_ms > now_ms
            }
        self.free |= group.free
        for customer, row in group.merged.items():
            if row is None:
                self.merged.pop(customer, None)
            else:
                self.merged[customer] = row
        for scope, batch in group.batches.items():
            self.fences[scope] = Fence(scope, self.fences[scope].epoch, batch)
        oldest = {scope: forgotten_below(group.batches[scope]) for scope, _ in group.unmade}
        kept = {place: v for place, v in self.unmade.items() if place[1] >= oldest.get(place[0], 0)}
        self.unmade = kept | group.unmade

    def trim(self, dropped: int) -> None:
        """Drops the oldest units, and what they claimed."""
        for claim in (each for each in assigned(self.records[:dropped]) if each.startswith(CLAIM)):
            self.owners.pop(claim, None)
        del self.records[:dropped]
        self.trimmed += dropped

    def erase(self, customer: str, redacted: Sequence[Record], freed: Freed | None, secret: bytes) -> None:
        """Puts new bodies in the place of old ones, frees the customer's identities, and keeps marks of them."""
        unlinked = {each: keys for each, (_, keys) in self.free.items() if customer.encode() in keys}
        if freed is not None:
            self.secret = secret
            owned = [identity for identity, owner in self.owners.items() if owner == customer]
            owned += [each for each in freed.identities if each not in self.owners and each not in self.free]
            for identity, keys in left_of(customer, freed, owned, unlinked).items():
                self.forgotten.setdefault(mark(identity, secret), Marked((self.position, keys), freed.until_ms))
        self.free = {identity: free for identity, free in self.free.items() if identity not in unlinked}
        new = {record.position: record for record in redacted}
        self.records = [
            Record(
                record.position,
                record.customer,
                record.at_ms,
                [] if record.customer == customer else record.identities,
                record.entries,
                record.body,
            )
            for record in (new.get(record.position, record) for record in self.records)
        ]
        self.owners = {identity: owner for identity, owner in self.owners.items() if owner != customer}
        self.unmade = {
            place: Taken("", customer) if isinstance(verdict, Taken) and verdict.customer == customer else verdict
            for place, verdict in self.unmade.items()
        }


class MemoryDisk:
    """What a `MemoryJournal` is kept on: every change in order, and how many of them are synced.

    A change is published when its transaction is over: until then readers do not see it, as they do not see what an
    SQLite connection is about to sync.
    """

    def __init__(self) -> None:
        self.image = Image()
        self.published = Image()
        """What readers see."""
        self._published = 0
        self.in_use = False
        self.synced_position = 0
        """Up to here every unit survives a crash."""
        self._changes: list[Callable[[Image], None]] = []
        self._synced = 0

    def write(self, change: Callable[[Image], None]) -> None:
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
        self.image, self.published, self._published = Image(), Image(), 0
        for change in self._changes:
            change(self.image)
        self.publish()
        self.in_use = False
        return lost
