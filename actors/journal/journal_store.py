"""What the journal needs of a store: one file's one writer, which checks and commits in one synced transaction.

Fences, once-only batches and unique identities are checked inside that transaction. An error of the store ends the
journal's process, which comes back by recovery.
"""

from collections.abc import Sequence
from typing import Protocol

from protocol.journal import Fence, Freed, Record, Unit, Unsettled, Verdict


class JournalState(Protocol):
    """What a store says of itself when opened."""

    @property
    def generation(self) -> str:
        """Names the life of the journal's positions."""
        ...

    @property
    def position(self) -> int:
        """The newest committed position."""
        ...


class JournalStore(Protocol):
    """The one writer of the journal's file."""

    async def open(self) -> JournalState:
        """Locks and opens it."""
        ...

    async def raise_fences(self, scopes: Sequence[str], over: Sequence[Fence], void: str) -> list[Fence]:
        """Raises each scope's epoch, durably, and forgets the fences that are `over` and those of scopes that begin
        with `void`."""
        ...

    async def commit(self, units: Sequence[Unit]) -> list[Verdict]:
        """Checks and commits in one transaction; synced when it returns."""
        ...

    async def first_position(self) -> int:
        """The oldest position that is still kept."""
        ...

    async def records(self, positions: Sequence[int]) -> list[Record]:
        """The units at these positions, in their order; those that were trimmed are left out."""
        ...

    async def whose_after(self, position: int) -> list[tuple[str, int]]:
        """The customer and the count of events of each unit after the position, in order."""
        ...

    async def policies(self) -> list[bytes]:
        """The bodies of the newest units of the customer `policy`, in order; they are kept whatever is trimmed."""
        ...

    async def unsettled(self) -> list[Unsettled]:
        """What customers have to take in of merges, in the order in which it happened."""
        ...

    async def erase(self, customer: str, redacted: Sequence[Record], freed: Freed | None) -> None:
        """Replaces these units' bodies and frees the customer's identities, in one transaction; whoever gets one of
        them next is refused until it knows what is said to be `freed`."""
        ...

    async def trim(self, through: int) -> int:
        """Drops units at or below `through`; returns how many."""
        ...

    async def close(self) -> None:
        """Closes and unlocks it."""
        ...
