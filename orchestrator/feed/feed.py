"""The feed: committed events in the journal's order, for other systems, each with the cursor to go on from.

A cursor is opaque to whoever holds it: `<generation>-<position>`, behind the whole commit unit at that position, or
`<generation>-<position>-<n>`, behind its event n. It is good for as long as the journal has what follows it: also one
of the life before this one, where the two share what it stands behind.
"""

import re
from collections.abc import Set
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from actors.archive.projection import entries_of
from actors.archive.rows import as_json
from protocol.errors import Code, Refusal
from protocol.events import AnyEvent, InputQuarantined, ReplayBegun
from protocol.journal import Record

NOW = "now"
"""In the place of a cursor: only what comes from here on."""
SCAN_RECORDS = 2000
"""Commit units one page looks at: a filter that fits little must not keep a reader at the journal for seconds."""
READ_RECORDS = 100
"""At once: to decode them keeps everybody who is served by the loop waiting, 1 ms or 2."""

PAGE_BYTES_MAX = 1024 * 1024
"""Of the units that are told on one page, and what goes over it with the last one."""


class Readable(Protocol):
    """The journal, read-only, by position."""

    async def generation(self) -> str:
        """Names the life of its positions."""
        ...

    async def shared_with(self, generation: str) -> int | None:
        """Up to which position it is what it was in that life, this one or the one before; None of another one."""
        ...

    async def position(self) -> int:
        """The newest committed position."""
        ...

    async def first_position(self) -> int:
        """The oldest position that is still kept; the next one to come where nothing is."""
        ...

    async def read(self, after: int, limit: int) -> list[Record]:
        """At most `limit` records after the position, ascending."""
        ...


class FeedEvent(Struct, kw_only=True, frozen=True):
    """One committed event. (`stream`, `seq`) names it for ever; `cursor` is where the feed goes on behind it."""

    cursor: str
    position: int
    customer: str
    stream: str
    """The conversation, or the customer for what concerns the person, or `account:<name>`."""
    seq: int
    type: str
    at_ms: int
    event: dict[str, Any]
    """The whole event; its types are in `docs/protocol.md`."""


class FeedPage(Struct, kw_only=True, frozen=True):
    """Events in order. `next` is the following page's `after`, also where nothing fitted; `more`: it has some now."""

    events: list[FeedEvent]
    next: str
    more: bool


class _Cursor(Struct, frozen=True):
    """Where a reader is: behind the unit at `position`, or behind its event `n` alone."""

    position: int
    n: int | None = None

    @property
    def follows(self) -> int:
        """The position of the oldest unit that is still to be read."""
        return self.position + 1 if self.n is None else self.position


async def read_page(journal: Readable, after: str, *, limit: int, types: Set[str] = frozenset()) -> FeedPage:
    """The next events behind the cursor; empty: the oldest that is kept. Only those of `types`, where there are any.

    Raises `Refusal`: `INVALID` for what is no cursor, `GONE` where the journal no longer has what follows it.
    """
    generation, first = await journal.generation(), await journal.first_position()
    cursor = await _place(journal, after, generation, first)
    found: list[FeedEvent] = []
    # A type's name stands in an event as it is: a unit without any of them needs no decoding.
    named = [each.encode() for each in types]
    scanned = told_bytes = 0
    while scanned < SCAN_RECORDS:
        records = await journal.read(cursor.follows - 1, READ_RECORDS)
        if not records:
            return FeedPage(events=found, next=_spell(generation, cursor), more=False)
        for record in records:
            if named and not any(name in record.body for name in named):
                cursor = _Cursor(record.position)
                continue
            for event in _events(record, generation, cursor):
                if types and event.type not in types:
                    continue
                found.append(event)
                if len(found) == limit:
                    return FeedPage(events=found, next=event.cursor, more=True)
            cursor = _Cursor(record.position)
            told_bytes += len(record.body)
            if told_bytes >= PAGE_BYTES_MAX:
                return FeedPage(events=found, next=_spell(generation, cursor), more=True)
        scanned += len(records)
    return FeedPage(events=found, next=_spell(generation, cursor), more=True)


def is_cursor(after: str) -> bool:
    """Whether it is written as the feed writes its cursors."""
    return _SPELLED.match(after) is not None


async def check_cursor(journal: Readable, after: str) -> None:
    """Raises `Refusal` as `read_page` would for this cursor."""
    await _place(journal, after, await journal.generation(), await journal.first_position())


async def oldest(journal: Readable) -> str:
    """The cursor before everything that is kept."""
    return _spell(await journal.generation(), _Cursor(await journal.first_position() - 1))


async def newest(journal: Readable) -> str:
    """The cursor behind everything that is committed."""
    return _spell(await journal.generation(), _Cursor(await journal.position()))


async def _place(journal: Readable, after: str, generation: str, first: int) -> _Cursor:
    if not after:
        return _Cursor(first - 1)
    if after == NOW:
        return _Cursor(await journal.position())
    match = _SPELLED.match(after)
    if match is None:
        raise Refusal(Code.INVALID, "after must be a cursor that the feed gave, or `now`", field="after")
    cursor = _Cursor(int(match["position"]), int(match["n"]) if match["n"] else None)
    start = _spell(generation, _Cursor(first - 1))
    shared = await journal.shared_with(match["generation"])
    if shared is None or (match["generation"] != generation and cursor.position > shared):
        message = f"this cursor is of another life of the journal; the oldest that is kept is {start}"
        raise Refusal(Code.GONE, message, ref=start, field="after")
    if cursor.follows < first:
        message = f"retention has taken what follows this cursor; the oldest that is kept is {start}"
        raise Refusal(Code.GONE, message, ref=start, field="after")
    if cursor.position > await journal.position():
        text = "this cursor lies beyond the journal's end, which is `now`: the feed has given no such one"
        raise Refusal(Code.INVALID, text, field="after")
    return cursor


def _events(record: Record, generation: str, cursor: _Cursor) -> list[FeedEvent]:
    """The events of a unit that lie behind the cursor."""
    seen = cursor.n if cursor.n is not None and cursor.position == record.position else -1
    found = []
    entries = entries_of(record)
    for n, (stream, seq, event) in enumerate(entries):
        if n <= seen:
            continue
        last = n == len(entries) - 1
        found.append(
            FeedEvent(
                cursor=_spell(generation, _Cursor(record.position, None if last else n)),
                position=record.position,
                customer=record.customer,
                stream=stream,
                seq=seq,
                type=type(event).__name__,
                at_ms=event.at_ms,
                event=_told(event),
            )
        )
    return found


def _told(event: AnyEvent) -> dict[str, Any]:
    """All that it says; but refused input itself, as it came or as it was edited, is an operator's to look at, in
    quarantine."""
    if isinstance(event, InputQuarantined | ReplayBegun):
        event = msgspec.structs.replace(event, raw=b"")
    told: dict[str, Any] = msgspec.json.decode(as_json(event))
    return told


def _spell(generation: str, cursor: _Cursor) -> str:
    return f"{generation}-{cursor.position}" + ("" if cursor.n is None else f"-{cursor.n}")


_SPELLED = re.compile(r"^(?P<generation>[^-]{1,64})-(?P<position>\d{1,18})(?:-(?P<n>\d{1,9}))?\Z", re.ASCII)
