"""The journal in memory: the same rules as on disk, without a thread and without a file.

It ships for tests and for simulations, where everything must happen in one order. Open another store on the same
`MemoryDisk` after `crash()`, which forgets what was not synced, as a power failure does.
"""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

from adapters.stores.errors import StoreFailed, StoreLocked
from adapters.stores.journal import merged_rules
from adapters.stores.journal.forgotten import SECRET_BYTES
from adapters.stores.journal.memory_disk import Image, MemoryDisk
from adapters.stores.journal.merged_rules import root_of
from adapters.stores.journal.rules import JournalState, check_trimmed, forgotten, raised, settle
from protocol.journal import Fence, Freed, Record, Unit, Unsettled, Verdict

Fault = Literal["lost", "ambiguous"]
"""How a commit fails: before anything is kept, or after everything is."""


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

    async def shared_with(self, generation: str) -> int | None:
        """Up to which position it is what it was in that life; None of another one than this or the one before."""
        image = self._seen()
        if generation == image.generation:
            return image.position
        return image.former_through if generation == image.former else None

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

    def _seen(self) -> Image:
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
        self._image: Image | None = None

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
        disk.write(lambda image: image.begin(generation, self._durability == "process"))
        disk.sync()
        disk.publish()
        self._image = disk.image
        return JournalState(generation, disk.image.position)

    async def close(self) -> None:
        """Syncs and marks a clean end; after a failure or a crash it only lets go."""
        if self._image is self.disk.image:
            generation = self._image.generation
            self.disk.write(lambda image: image.mark(generation, False))
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
        self.disk.write(lambda image: image.fence(fences, gone))
        await self._about_to_sync()
        self.disk.sync()
        self.disk.publish()
        return fences

    async def commit(self, units: Sequence[Unit]) -> list[Verdict]:
        """Settles the group by `rules`. Raises `StoreFailed` where told to, or after a crash."""
        image, fault = self._opened(), self.fail_next
        self.fail_next = None
        group = settle(
            units,
            position=image.position,
            fences=image.fences,
            unmade=image.unmade,
            owners=image.roots(units),
            free=image.free_of(units),
            merged=image.merged,
        )
        if fault == "lost":
            self._fail()
        self.disk.write(lambda image: image.keep(group))
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

    async def erase(self, customer: str, redacted: Sequence[Record], freed: Freed | None = None) -> None:
        """Puts the units' new bodies in the place of the old ones, and frees the customer's identities; marks of these
        stay, with what is said to be `freed`."""
        secret = self._opened().secret or secrets.token_bytes(SECRET_BYTES)
        self.disk.write(lambda image: image.erase(customer, redacted, freed, secret))
        self.disk.sync()
        self.disk.publish()

    async def trim(self, through: int) -> int:
        """Drops units at or below `through`. Returns how many went."""
        image = self._opened()
        dropped = max(0, min(through, image.position) - image.trimmed)
        self.disk.write(lambda image: image.trim(dropped))
        self.disk.sync()
        self.disk.publish()
        return dropped

    def _seen(self) -> Image:
        return self._opened()

    def _opened(self) -> Image:
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
