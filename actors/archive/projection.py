"""The projection: what committed units change in the archive's tables. Pure.

    records ── project ──> rows of `event`, heads, and patches, one a row ── a store's apply ──> rows, and the position

`docs/data-model.md` explains the tables. Every event is a row of `event`, and one of a conversation's stream is its
head; what else an event changes is in `contents.py`. Nothing is looked up: every value comes from the event and
its place, so that the archive can be made anew from the journal at any time. Where a customer's affairs change hands,
or the customer is forgotten, rows of many records change at once: those records end a run (`runs`), and a store carries
it out by whose ids they are.
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from actors.archive.contents import contents
from actors.archive.conversation_rows import opened_rows, standing_rows
from actors.archive.rows import Place, as_json, timer_rows
from actors.archive.timers import TIMED
from protocol import events as ev
from protocol.archive import Changes, EventRow, Head, Patch, Rehoming, filled
from protocol.errors import ThroughlineError
from protocol.ids import ACCOUNT, PSEUDO
from protocol.journal import Record
from protocol.shards import shard_of


class UnreadableEvent(ThroughlineError):
    """A record has an event this program doesn't know: a newer version wrote it. Nothing is skipped: upgrade."""


_HANDING_OVER = (ev.CustomerGiven, ev.CustomerReleased)
_ENDING = (b"CustomerGiven", b"CustomerReleased", b"CustomerErased")
_entries = msgspec.msgpack.Decoder(list[tuple[str, int, ev.AnyEvent]]).decode


def runs(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """The records in runs, each to be projected and applied by itself."""
    start = 0
    for end, record in enumerate(records, start=1):
        # Words that somebody wrote may look like it: then a run is shorter than it need be.
        if any(name in record.body for name in _ENDING):
            yield records[start:end]
            start = end
    if start < len(records):
        yield records[start:]


def project(records: Sequence[Record]) -> Changes:
    """The changes of a run of at least one record, in the journal's order. Raises `UnreadableEvent`."""
    events: list[EventRow] = []
    heads: dict[str, Head] = {}
    patches: list[Patch] = []
    rehomed: list[Rehoming] = []
    forgotten = ""
    for record in records:
        position, customer = record.position, record.customer
        for n, (stream, seq, event) in enumerate(entries_of(record)):
            at_ms, body = event.at_ms, as_json(event)
            events.append((position, n, stream, seq, type(event).__name__, at_ms, event.actor, body))
            if stream == customer:
                patches += _of_customer(Place(position, customer, stream, seq), event)
                if isinstance(event, _HANDING_OVER):
                    rehomed.append(_rehoming(position, event))
                elif isinstance(event, ev.CustomerErased):
                    forgotten = customer
                continue
            heads[stream] = (seq, at_ms, position, stream)
            if not _is_plain(event):
                patches += _of_conversation(Place(position, customer, stream, seq), event)
    return Changes(records[-1].position, events, list(heads.values()), coalesce(patches), rehomed, forgotten)


def _rehoming(position: int, event: ev.CustomerGiven | ev.CustomerReleased) -> Rehoming:
    if isinstance(event, ev.CustomerGiven):
        return Rehoming(position, event.members, event.to, shard_of(event.to), None)
    identities = [link.identity for link in event.links]
    return Rehoming(position, event.members, event.other, shard_of(event.other), identities)


def entries_of(record: Record) -> list[tuple[str, int, ev.AnyEvent]]:
    """The stream, seq and event of each of a unit's entries. Raises `UnreadableEvent`."""
    try:
        return _entries(record.body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise UnreadableEvent(
            f"the journal's record {record.position} has an event this version cannot read ({exc}): a newer one wrote "
            "it; start that one"
        ) from exc


def _is_plain(event: ev.AnyEvent) -> bool:
    """Whether its own row and the head are all that it changes: so it is with most, and they go the short way."""
    return isinstance(event, ev.MessageReceived) and not event.subject and not event.attachments


def coalesce(patches: Iterable[Patch]) -> list[Patch]:
    """Several patches of one row become one that has the same effect, with the newest position."""
    rows: dict[tuple[str, tuple[str | int, ...]], Patch] = {}
    for patch in patches:
        row = (patch.table, patch.key)
        if (before := rows.setdefault(row, patch)) is not patch:
            rows[row] = _merged(before, patch)
    return list(rows.values())


def _merged(before: Patch, patch: Patch) -> Patch:
    if patch.new or patch.values is None:
        return patch
    if before.values is None:
        raise AssertionError(f"a {patch.table} row changes at {patch.position} after it went")
    values = before.values | patch.values
    if not before.fill and not patch.fill:
        return Patch(patch.table, patch.key, values, before.new, patch.position)
    fill = {column: text for column, text in before.fill.items() if column not in patch.values}
    for column, text in patch.fill.items():
        if column in values:
            values[column] = filled(column, values[column], text)
        else:
            fill[column] = filled(column, fill.get(column, ""), text)
    return Patch(patch.table, patch.key, values, before.new, patch.position, fill)


def _of_customer(at: Place, event: ev.AnyEvent) -> Iterable[Patch]:
    """An event of the customer's own stream; the first one makes the customer."""
    if at.seq == 1 and not at.customer.startswith(ACCOUNT) and at.customer not in PSEUDO:
        yield at.new("customer", at.customer, since_ms=event.at_ms, merged_into="")
    yield from contents(at, event)


def _of_conversation(at: Place, event: ev.AnyEvent) -> Iterable[Patch]:
    """An event of a conversation's stream: where it stands now, what was said, what is due."""
    if isinstance(event, ev.ConversationOpened):
        yield from opened_rows(at, event)
        return
    yield from standing_rows(at, event)
    yield from contents(at, event)
    if type(event) in TIMED:
        yield from timer_rows(at, event)
