"""What the archive needs of stores: the journal's records by position, and its own file's one writer."""

from collections.abc import Sequence
from typing import Protocol

from actors.archive.retention import Prunable
from protocol.archive import Changes
from protocol.journal import Record
from protocol.links import SnapshotTaken


class JournalReader(Protocol):
    """The journal's records, read-only."""

    async def generation(self) -> str:
        """Names the life of the journal's positions."""
        ...

    async def shared_with(self, generation: str) -> int | None:
        """Up to which position it is what it was in that life, this one or the one before; None of another one."""
        ...

    async def position(self) -> int:
        """The newest committed position."""
        ...

    async def first_position(self) -> int:
        """The oldest one that retention has left."""
        ...

    async def read(self, after: int, limit: int) -> list[Record]:
        """Up to `limit` records after the position, ascending; fewer where they are long, but at least one."""
        ...


class ArchiveStore(Prunable, Protocol):
    """The one writer of the archive's file; also what retention needs of it."""

    async def open(self) -> int:
        """Locks and opens it; returns the position it has."""
        ...

    async def generation(self) -> str:
        """The journal's generation that it follows."""
        ...

    async def adopt(self, generation: str, *, keeps: bool = False) -> int:
        """Empties it where it followed a journal of another generation, but where it `keeps` its rows; returns the
        position it has now."""
        ...

    async def apply(self, changes: Changes) -> None:
        """All of it and the position, in one transaction."""
        ...

    async def save_snapshots(self, snapshots: Sequence[SnapshotTaken]) -> set[str]:
        """Keeps the newest of each customer, but for those with words of what retention dropped: these conversations
        it returns."""
        ...

    async def index(self) -> int:
        """Brings the full text a small step nearer; 0 where it has all."""
        ...

    async def erase(self, customer: str, changes: Changes) -> None:
        """Puts all rows of the customer anew; what only they had is gone from the file."""
        ...

    async def reset(self) -> None:
        """Empties it, position 0."""
        ...

    async def redrop(self) -> None:
        """Drops again what retention had dropped before it was emptied."""
        ...

    async def policy(self) -> tuple[int, bytes] | None:
        """The newest applied version of the policy, and its rules' bytes."""
        ...

    async def close(self) -> None:
        """Closes and unlocks it."""
        ...
