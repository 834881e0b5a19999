"""Between the journal and the archive, and from cells to the archive: heads, positions, trims, snapshots."""

from protocol.links.link import Link


class HeadIs(Link, frozen=True, tag=60):
    """The journal's newest position."""

    position: int


class ArchivedIs(Link, frozen=True, tag=61):
    """The archive has all rows up to `position`, durably."""

    position: int


class TrimTo(Link, frozen=True, tag=63):
    """Retention: drop units at or below `position`, which the archive has on disk."""

    position: int


class SnapshotTaken(Link, frozen=True, tag=62):
    """A journey's state as of `position`: MessagePack, opaque to the archive."""

    customer: str
    position: int
    body: bytes
    words: tuple[str, ...] = ()
    """Conversations of which it says anything that retention takes."""
