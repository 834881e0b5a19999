"""The projection: what committed units change in the archive's tables. Pure.

    records ── project ──> rows of `event`, heads, and patches, one a row ── a store's apply ──> rows, and the position

`docs/data-model.md` explains the tables. Every event is a row of `event`, and one of a conversation's stream is its
head; what else an event changes is below, table by table. Nothing is looked up: every value comes from the event and
its place, so that the archive can be made anew from the journal at any time. Where a customer's affairs change hands,
rows of many records change at once: those records end a run (`runs`), and a store carries it out by whose ids they are.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, assert_never

import msgspec

from actors.archive.context_rows import context_rows, switch_row, withdrawn_rows, withheld_rows
from actors.archive.conversation_rows import opened_rows, standing_rows
from actors.archive.correction_rows import came_rows, corrected_rows, moved_rows, repeat_rows, tagged_rows
from actors.archive.delivery_rows import outbox_change, outbox_row
from actors.archive.finding_rows import finding_rows
from actors.archive.handoff_rows import handoff_end, handoff_row
from actors.archive.identity_rows import identity_row, review_closed, review_row
from actors.archive.rows import (
    Place,
    action_row,
    as_json,
    attachment_rows,
    interaction_row,
    quarantine_row,
    timer_rows,
)
from actors.archive.timers import TIMED
from protocol import events as ev
from protocol.archive import Changes, EventRow, Head, Patch, Rehoming
from protocol.errors import ThroughlineError
from protocol.ids import ACCOUNT, PSEUDO
from protocol.journal import Record
from protocol.shards import shard_of


class UnreadableEvent(ThroughlineError):
    """A record has an event this program doesn't know: a newer version wrote it. Nothing is skipped: upgrade."""


_HANDING_OVER = (ev.CustomerGiven, ev.CustomerReleased)
_entries = msgspec.msgpack.Decoder(list[tuple[str, int, ev.AnyEvent]]).decode


def runs(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """The records in runs, each to be projected and applied by itself."""
    start = 0
    for end, record in enumerate(records, start=1):
        # Words that somebody wrote may look like it: then a run is shorter than it need be.
        if b"CustomerGiven" in record.body or b"CustomerReleased" in record.body:
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
    for record in records:
        position, customer = record.position, record.customer
        for n, (stream, seq, event) in enumerate(entries_of(record)):
            at_ms, body = event.at_ms, as_json(event)
            events.append((position, n, stream, seq, type(event).__name__, at_ms, event.actor, body))
            if stream == customer:
                patches += _of_customer(Place(position, customer, stream, seq), event)
                if isinstance(event, _HANDING_OVER):
                    rehomed.append(_rehoming(position, event))
                continue
            heads[stream] = (seq, at_ms, position, stream)
            if not _is_plain(event):
                patches += _of_conversation(Place(position, customer, stream, seq), event)
    return Changes(records[-1].position, events, list(heads.values()), coalesce(patches), rehomed)


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
            values[column] = values[column] or text
        else:
            fill[column] = fill.get(column) or text
    return Patch(patch.table, patch.key, values, before.new, patch.position, fill)


def _of_customer(at: Place, event: ev.AnyEvent) -> Iterable[Patch]:
    """An event of the customer's own stream; the first one makes the customer."""
    if at.seq == 1 and not at.customer.startswith(ACCOUNT) and at.customer not in PSEUDO:
        yield at.new("customer", at.customer, since_ms=event.at_ms, merged_into="")
    yield from _contents(at, event)


def _of_conversation(at: Place, event: ev.AnyEvent) -> Iterable[Patch]:
    """An event of a conversation's stream: where it stands now, what was said, what is due."""
    if isinstance(event, ev.ConversationOpened):
        yield from opened_rows(at, event)
        return
    yield from standing_rows(at, event)
    yield from _contents(at, event)
    if type(event) in TIMED:
        yield from timer_rows(at, event)


def _contents(at: Place, event: ev.AnyEvent) -> Iterable[Patch]:
    """The rows that hold what an event says. Those of nearly every conversation are found by one look: each case that
    is tried in vain takes 0.1 µs."""
    return _OFTEN.get(type(event), _seldom)(at, event)


def _linked(at: Place, event: ev.IdentityLinked) -> Iterable[Patch]:
    if event.identity:  # Else it is forgotten.
        yield identity_row(at, event)
    yield action_row(at, event, "identity_linked", event.identity)


_OFTEN: dict[type[ev.AnyEvent], Callable[[Place, Any], Iterable[Patch]]] = {
    ev.MessageReceived: attachment_rows,
    ev.InteractionStarted: lambda at, event: [interaction_row(at, event)],
    ev.InteractionTagged: tagged_rows,
    ev.IdentityLinked: _linked,
    ev.ContextSet: context_rows,
    ev.FieldMissing: lambda at, event: [],  # All of it is in `event`, of which `missing_field` is a view.
    ev.MessageQueued: lambda at, event: [outbox_row(at, event)],
    ev.DeliveryAttempted: lambda at, event: [outbox_change(at, event)],
    ev.DeliverySent: lambda at, event: [outbox_change(at, event)],
    ev.DeliveryFailed: lambda at, event: [outbox_change(at, event)],
    ev.DeliveryUncertain: lambda at, event: [outbox_change(at, event)],
}


def _seldom(at: Place, event: ev.AnyEvent) -> Iterable[Patch]:
    """The same for every other member of the union, one line each."""
    match event:
        case ev.AutomaticReplyReceived():
            yield from attachment_rows(at, event)
        case ev.ActivitySeen() | ev.ActivityCarried():
            pass  # All of it is in `event`, of which `activity` is a view.
        case ev.InteractionEnded():
            yield at.change(
                "interaction", at.stream, event.interaction, ended_at_ms=event.at_ms, end_reason=event.reason
            )
        case ev.RepeatContactFound():
            yield from repeat_rows(at, event)
        case ev.CorrelationCorrected():
            yield from corrected_rows(at, event)
        case ev.InteractionMoved():
            yield from moved_rows(at, event)
        case ev.InteractionReceived():
            yield from came_rows(at, event)
        case ev.InteractionWentOn():
            pass  # Its timer is all.
        case ev.ContextRefused():
            yield action_row(at, event, "context_refused", f"{event.key}: {event.reason}")
        case ev.ContextWithdrawn():
            yield from withdrawn_rows(at, event)
        case ev.ContextWithheld():
            yield from withheld_rows(at, event)
        case ev.ChannelSwitched():
            yield switch_row(at, event)
        case ev.HandoffOffered():
            yield handoff_row(at, event)
            yield action_row(at, event, "handoff_offered", f"{event.kind} to {event.to}")
        case ev.HandoffAccepted() | ev.HandoffDeclined() | ev.HandoffExpired() | ev.HandoffWithdrawn():
            yield from handoff_end(at, event)
        case ev.DeliveryDead():
            yield at.change(
                "outbox",
                event.delivery,
                state="dead",
                code=event.code,
                reason=event.reason,
                next_at_ms=None,
                dead_at_ms=event.at_ms,
            )
            yield action_row(at, event, "delivery_dead", event.delivery)
        case ev.DeliveryReplayed():
            yield at.change("outbox", event.delivery, state="queued", next_at_ms=event.at_ms, dead_at_ms=None)
            yield action_row(at, event, "delivery_replayed", event.delivery)
        case ev.DeliveryConfirmed():
            code = {"code": event.code} if event.code else {}  # Else what its attempt came to stays.
            yield at.change("outbox", event.delivery, confirmed=event.status, **code)
        case ev.OwnerChanged():
            yield action_row(at, event, "owner_changed", event.owner)
        case ev.QueueChanged():
            yield action_row(at, event, "queue_changed", event.queue)
        case ev.ConversationSnoozed():
            yield action_row(at, event, "snoozed", str(event.until_ms))
        case ev.ConversationWoken():
            yield action_row(at, event, "woken", event.reason)
        case ev.ConversationResolved():
            yield action_row(at, event, "resolved", event.reason)
        case ev.ConversationReopened():
            yield action_row(at, event, "reopened", event.reason)
        case ev.ConversationClosed():
            yield action_row(at, event, "closed", event.reason)
        case ev.NoteAdded():
            yield action_row(at, event, "note", event.text)
        case ev.IdentityUnlinked():
            yield at.drop("identity", event.identity)
            yield action_row(at, event, "identity_unlinked", event.identity)
        case ev.IdentityConflictFound():
            yield review_row(at, event)
            whose = f"belongs to {event.other}" if event.other else "is nobody's"
            yield action_row(at, event, "identity_conflict", f"{event.identity} {whose}")
        case ev.IdentityReviewClosed():
            yield at.change("identity_review", at.customer, event.identity, event.other, **review_closed(event))
            yield action_row(at, event, "identity_review_closed", event.identity)
        case ev.CustomerGiven():
            yield action_row(at, event, "given", event.to)
        case ev.CustomerMerged():
            yield action_row(at, event, "merged", event.other)
        case ev.CustomerReleased():
            yield action_row(at, event, "released", event.other)
        case ev.CustomerReturned():
            yield action_row(at, event, "returned", event.other)
        case ev.InputQuarantined():
            yield quarantine_row(at, event)
        case ev.QuarantineReplayed():
            yield at.change(
                "quarantine",
                event.quarantine,
                replayed_at_ms=event.at_ms,
                replaying_at_ms=None,
                replayed_stream=event.stream,
                replayed_seq=event.seq,
            )
            yield action_row(at, event, "quarantine_replayed", event.quarantine)
        case ev.PolicyApplied():
            pass  # All of it is in `event`, of which `policy` is a view.
        case ev.ReportMade() | ev.FindingOpened() | ev.FindingChanged() | ev.FindingCompared() | ev.FindingDismissed():
            yield from finding_rows(at, event)
        case ev.PastImported():
            yield action_row(at, event, "imported", f"{event.conversation} was {event.id} of {event.source}")
        case ev.CustomerErased():
            yield action_row(at, event, "erased", event.reason)
        case ev.ReplayBegun():
            edited = event.raw or None
            yield at.change("quarantine", event.quarantine, replaying_at_ms=event.at_ms, edited=edited)
            yield action_row(at, event, "replay_begun", event.quarantine)
        case ev.ReplayRefused():
            refused = {"refused_code": event.code, "refused_field": event.field, "refused_reason": event.reason}
            yield at.change("quarantine", event.quarantine, replaying_at_ms=None, **refused)
            yield action_row(at, event, "replay_refused", event.quarantine)
        case ev.InputErased():
            yield at.change("quarantine", event.quarantine, replaying_at_ms=None)
            yield action_row(at, event, "input_erased", event.quarantine)
        case ev.FactDropped():
            pass  # It is only met where what was left is looked at again: no journal has it.
        case ev.ConversationOpened():
            pass  # All of it is in `conversation`, `work` and `relation`.
        case (
            ev.MessageReceived()
            | ev.InteractionStarted()
            | ev.InteractionTagged()
            | ev.IdentityLinked()
            | ev.ContextSet()
            | ev.FieldMissing()
            | ev.MessageQueued()
            | ev.DeliveryAttempted()
            | ev.DeliverySent()
            | ev.DeliveryFailed()
            | ev.DeliveryUncertain()
        ):
            raise AssertionError(f"{type(event).__name__} is of those in `_OFTEN`")
        case _:
            assert_never(event)
