"""What goes between the projection and an archive's store: patches in, rows out.

A patch is one row's change, without SQL: `actors/projection.py` makes patches from events, a store applies them with
the position they follow from, in one transaction. `docs/data-model.md` has every table and column.
"""

from typing import Any

from msgspec import Struct


class Patch(Struct, frozen=True):
    """One row's change.

    `new`: the row does not exist yet, `values` has all its columns but the key's and `position`; otherwise the named
    columns of an existing row change, and those of `fill` change where they are still empty text. `values` None: the
    row goes.
    """

    table: str
    key: tuple[str | int, ...]
    values: dict[str, Any] | None
    new: bool
    position: int
    fill: dict[str, str] = {}


class StoredSnapshot(Struct, frozen=True):
    """A journey's state as of `position`."""

    position: int
    body: bytes


class StoredEvent(Struct, frozen=True):
    """An event as the archive keeps it: `body` is JSON of one `AnyEvent`."""

    position: int
    stream: str
    seq: int
    body: bytes


class Due(Struct, frozen=True):
    """A customer whose journey has something to do at `due_ms`."""

    customer: str
    due_ms: int
