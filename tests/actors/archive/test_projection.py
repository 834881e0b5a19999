"""The projection: which rows follow from which events, and that several patches of a row are as good as one."""

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, msgpack

from actors.archive import conversation_rows
from actors.archive.projection import UnreadableEvent, coalesce, project, runs
from actors.archive.rows import INT_MAX, as_json
from actors.archive.timers import TIMED, timer_changes
from protocol import events as ev
from protocol.archive import RISING, Patch, filled
from protocol.entities import Before, Interaction, Relation, RelationKind, Tag, Tags
from protocol.handoffs import HandoffPackage, PackageItem
from protocol.inbound import Attachment
from protocol.journal import Entry, Record
from protocol.losses import LossLine
from protocol.shards import shard_of

CUSTOMER = "cu1"
CONVERSATION = "cu1-1"
AT_MS = 1_700_000_000_000

SAMPLES: list[ev.AnyEvent] = [
    ev.ConversationOpened(
        at_ms=AT_MS,
        customer=CUSTOMER,
        queue="bills",
        relation=Relation(kind=RelationKind.REPEATS, conversation="cu1-0", reason="same invoice"),
    ),
    ev.InteractionStarted(
        at_ms=AT_MS, interaction=1, channel="sms", account="sms", identity="tel:+447700900123", rest_at_ms=AT_MS + 9
    ),
    ev.InteractionEnded(at_ms=AT_MS, interaction=1, reason="rest"),
    ev.MessageReceived(
        at_ms=AT_MS,
        actor="customer",
        interaction=1,
        channel="email",
        identity="mailto:a@example.org",
        source="smtp",
        id="m1",
        provider_ms=AT_MS - 5,
        text="hello",
        subject="Bill",
        attachments=[Attachment(name="bill.pdf", size_bytes=7)],
        reference="m1@example.org",
    ),
    ev.AutomaticReplyReceived(
        at_ms=AT_MS,
        interaction=1,
        channel="email",
        identity="mailto:a@example.org",
        source="smtp",
        id="m2",
        provider_ms=AT_MS,
        text="away",
        attachments=[Attachment(name="away.ics", size_bytes=5)],
    ),
    ev.ActivitySeen(
        at_ms=AT_MS,
        interaction=1,
        channel="web",
        identity="web:1",
        provider_ms=AT_MS,
        name="bill.viewed",
        properties={"no": 7},
    ),
    ev.OwnerChanged(at_ms=AT_MS, actor="agent:ann", owner="ann"),
    ev.QueueChanged(at_ms=AT_MS, actor="agent:ann", queue="legal", previous="bills"),
    ev.ConversationSnoozed(at_ms=AT_MS, actor="agent:ann", until_ms=AT_MS + 9),
    ev.ConversationWoken(at_ms=AT_MS, actor="system", reason="time"),
    ev.ConversationResolved(at_ms=AT_MS, actor="agent:ann", close_at_ms=AT_MS + 99, reason="paid"),
    ev.ConversationReopened(at_ms=AT_MS, actor="customer", reason="the customer spoke"),
    ev.ConversationClosed(at_ms=AT_MS, actor="system", reason="resolved"),
    ev.NoteAdded(at_ms=AT_MS, actor="agent:ann", text="calls back"),
    ev.InteractionWentOn(at_ms=AT_MS, interaction=1, rest_at_ms=AT_MS + 9),
    ev.InteractionTagged(
        at_ms=AT_MS,
        actor="system",
        interaction=1,
        topic=Tag(value="bill", tagger="subject", matched="bill"),
        keys=["invoice:R700123"],
    ),
    ev.RepeatContactFound(
        at_ms=AT_MS,
        interaction=1,
        earlier="cu1-0",
        topic="bill",
        resolved_at_ms=AT_MS - 9,
        channel="sms",
        relation=Relation(kind=RelationKind.REPEATS, conversation="cu1-0", reason="the same topic"),
        previous=Relation(kind=RelationKind.FOLLOWS_UP, conversation="cu1-0"),
    ),
    ev.CorrelationCorrected(
        at_ms=AT_MS,
        actor="agent:ann",
        correction="relate",
        other="cu1-0",
        relation=Relation(kind=RelationKind.ESCALATES, conversation="cu1-0", reason="a complaint"),
        previous=Relation(kind=RelationKind.REPEATS, conversation="cu1-0"),
        reason="a complaint",
    ),
    ev.InteractionReceived(
        at_ms=AT_MS,
        actor="agent:ann",
        interaction=Interaction(
            number=2,
            channel="phone",
            account="line",
            identity="tel:+447700900123",
            rest_at_ms=AT_MS + 9,
            tags=Tags(topic=Tag(value="claim"), keys=("claim:CLM1",)),
            before=Before(actions=1),
            origins=(("cu1-2", 1),),
        ),
        came_from="cu1-2",
        channel="phone",
    ),
    ev.InteractionMoved(
        at_ms=AT_MS, actor="agent:ann", interaction=2, to="cu1-3", number=1, channel="sms", keys=["claim:CLM1"]
    ),
    ev.ContextSet(at_ms=AT_MS, actor="agent:ann", key="invoice", value="R-7", version=2),
    ev.HandoffOffered(
        at_ms=AT_MS,
        actor="agent:ann",
        policy=3,
        lease=1,
        kind="tier1-tier2",
        giver="ann",
        to="queue:tier2",
        continuity="agent:ann",
        package=HandoffPackage(
            conversation=CONVERSATION,
            lease=1,
            through=6,
            items=[PackageItem(key="invoice", version=2)],
            missing=["pin"],
        ),
        sha256="ab",
        expires_at_ms=AT_MS + 600_000,
    ),
    ev.HandoffAccepted(at_ms=AT_MS, actor="agent:bob", lease=1, sha256="ab", continuity="agent:bob"),
    ev.HandoffDeclined(at_ms=AT_MS, actor="agent:bob", lease=1, reason="not ours"),
    ev.HandoffExpired(at_ms=AT_MS, actor="system", lease=1),
    ev.HandoffWithdrawn(at_ms=AT_MS, actor="agent:ann", lease=1, reason="moved to queue legal"),
    ev.MessageQueued(
        at_ms=AT_MS,
        actor="agent:ann",
        interaction=1,
        delivery="cu1-1.4",
        channel="sms",
        account="sms",
        to="tel:+447700900123",
        text="yes",
    ),
    ev.DeliveryAttempted(at_ms=AT_MS, delivery="cu1-1.4", attempt=2),
    ev.DeliverySent(at_ms=AT_MS, delivery="cu1-1.4", external_id="SM1"),
    ev.DeliveryFailed(at_ms=AT_MS, delivery="cu1-1.4", code="429", reason="too many", retry_at_ms=AT_MS + 4),
    ev.DeliveryUncertain(at_ms=AT_MS, delivery="cu1-1.4", code="504", reason="broke off"),
    ev.DeliveryDead(at_ms=AT_MS, delivery="cu1-1.4", code="550", reason="no mailbox"),
    ev.DeliveryReplayed(at_ms=AT_MS, actor="agent:op", delivery="cu1-1.4"),
    ev.DeliveryConfirmed(at_ms=AT_MS, delivery="cu1-1.4", status="read"),
    ev.PastImported(at_ms=AT_MS, actor="account:mail", source="old", id="7", conversation=CONVERSATION),
    ev.CustomerErased(at_ms=AT_MS, actor="operator:root", reason="asked"),
    ev.IdentityLinked(at_ms=AT_MS, actor="agent:ann", identity="tel:+447700900123", evidence="agent"),
    ev.IdentityUnlinked(at_ms=AT_MS, actor="agent:ann", identity="tel:+447700900124", reason="a wrong number"),
    ev.IdentityConflictFound(
        at_ms=AT_MS, identity="chat:x", other="cu2", kind="merge", evidence="login", verified=True
    ),
    ev.IdentityReviewClosed(at_ms=AT_MS, actor="agent:ann", identity="chat:y", other="cu2", reason="twins"),
    ev.CustomerGiven(at_ms=AT_MS, actor="agent:ann", to="cu2", turn=1, members=["cu1"], reason="called"),
    ev.CustomerMerged(at_ms=AT_MS, actor="agent:ann", other="cu3", turn=1, given_at=4, members=["cu3"]),
    ev.CustomerReleased(at_ms=AT_MS, actor="agent:ann", other="cu3", turn=2, members=["cu3"]),
    ev.CustomerReturned(at_ms=AT_MS, actor="agent:ann", other="cu2", turn=2, released_at=9),
    ev.InputQuarantined(
        at_ms=AT_MS,
        quarantine="cu1.1",
        account="chat",
        source="/chat",
        id="1",
        code=4202,
        field="id",
        reason="another payload",
        raw=b"\xff",
    ),
    ev.ContextRefused(at_ms=AT_MS, actor="account:app", key="k", value=1, channel="app", reason="full"),
    ev.ContextWithdrawn(at_ms=AT_MS, actor="agent:ann", key="k", channel="sms", side="customer", came_from="c-1"),
    ev.ContextWithheld(at_ms=AT_MS, actor="system", policy=4, channel="sms", keys=["iban"], rule="carries: …"),
    ev.ChannelSwitched(
        at_ms=AT_MS,
        actor="customer",
        policy=4,
        from_channel="sms",
        to_channel="phone",
        interaction=2,
        by="customer",
        continuity="queue:bills",
        rule="any to phone",
        required=["contract", "reason"],
        missing=["reason"],
        items_before=1,
        items_after=1,
        kept=1,
    ),
    ev.ActivityCarried(at_ms=AT_MS, channel="app", identity="user:7", provider_ms=1, name="bill.viewed"),
    ev.PolicyApplied(at_ms=AT_MS, actor="operator:op", version=2, files={"general.yaml": ""}, body=b"x"),
    ev.ReportMade(at_ms=AT_MS, actor="system:report", from_ms=1, until_ms=9, due_ms=9, lines=3, opened=1),
    ev.FindingOpened(
        at_ms=AT_MS,
        finding="report-1",
        line=LossLine(measure="asked_again", channels="email → sms", count=6, occasions=9, examples=["cu1-1"]),
        from_ms=1,
        until_ms=9,
    ),
    ev.FindingChanged(
        at_ms=AT_MS, actor="system:report", finding="report-1", version=3, since_ms=8, rules=["templates[sms]"]
    ),
    ev.FindingCompared(
        at_ms=AT_MS,
        finding="report-1",
        version=3,
        from_ms=10,
        until_ms=19,
        count=1,
        occasions=8,
        before_count=6,
        before_occasions=9,
        outcome="better",
    ),
    ev.FindingDismissed(at_ms=AT_MS, actor="operator:op", finding="report-1", reason="tests"),
    ev.QuarantineReplayed(at_ms=AT_MS, actor="agent:op", quarantine="cu1.1", stream="cu1-1", seq=3),
    ev.ReplayBegun(at_ms=AT_MS, actor="operator:op", quarantine="cu1.1", raw=b"{}"),
    ev.ReplayRefused(at_ms=AT_MS, actor="operator:op", quarantine="cu1.1", code=4205, reason="no number"),
    ev.FieldMissing(
        at_ms=AT_MS,
        actor="system",
        field="contract",
        interaction=1,
        channel="chat",
        template="chat",
        action="ask_agent",
    ),
    ev.InputErased(at_ms=AT_MS, actor="operator:root", quarantine="cu1.1", reason="asked"),
    ev.FactDropped(at_ms=AT_MS, once=ev.Once(7, 8)),
]

OWN = (
    ev.PastImported,
    ev.CustomerErased,
    ev.InputErased,
    ev.IdentityLinked,
    ev.IdentityUnlinked,
    ev.IdentityConflictFound,
    ev.IdentityReviewClosed,
    ev.CustomerGiven,
    ev.CustomerMerged,
    ev.CustomerReleased,
    ev.CustomerReturned,
    ev.InputQuarantined,
    ev.QuarantineReplayed,
    ev.ReplayBegun,
    ev.ReplayRefused,
    ev.PolicyApplied,
    ev.ReportMade,
    ev.FindingOpened,
    ev.FindingChanged,
    ev.FindingCompared,
    ev.FindingDismissed,
)
"""Events of the customer's own stream; the others are here a conversation's."""

WRITES: dict[type[ev.AnyEvent], dict[str, dict[str, Any] | None]] = {
    ev.ConversationOpened: {
        "conversation": {"customer": CUSTOMER, "status": "open", "queue": "bills", "head": 7, "opened_at_ms": AT_MS},
        "work": {"queue": "bills", "owner": "", "status": "open", "since_ms": AT_MS},
        "relation": {"kind": "repeats", "reason": "same invoice"},
    },
    ev.InteractionStarted: {
        "conversation": {"channel": "sms"},
        "interaction": {"direction": "inbound"},
        "timer": {"due_ms": AT_MS + 9},
    },
    ev.InteractionEnded: {"interaction": {"ended_at_ms": AT_MS, "end_reason": "rest"}, "timer": None},
    ev.MessageReceived: {
        "conversation": {},
        "attachment": {"name": "bill.pdf", "size_bytes": 7, "media_type": "application/octet-stream"},
    },
    ev.AutomaticReplyReceived: {"attachment": {"name": "away.ics", "size_bytes": 5}},
    ev.ActivitySeen: {},
    ev.FactDropped: {},
    ev.InteractionWentOn: {"timer": {"due_ms": AT_MS + 9}},
    ev.InteractionTagged: {"interaction": {"topic": "bill"}, "interaction_key": {}},
    ev.RepeatContactFound: {
        "repeat_contact": {"earlier": "cu1-0", "topic": "bill", "resolved_at_ms": AT_MS - 9},
        "relation": {"kind": "repeats", "reason": "the same topic"},
    },
    ev.CorrelationCorrected: {
        "correction": {"kind": "relate", "relation": "escalates", "previous_relation": "repeats"},
        "relation": {"kind": "escalates", "reason": "a complaint"},
        "action": {"kind": "corrected", "detail": "relate cu1-0"},
    },
    ev.InteractionMoved: {
        "conversation": {"channel": "sms"},
        "interaction": None,
        "interaction_key": None,
        "timer": None,
    },
    ev.InteractionReceived: {
        "conversation": {"channel": "phone"},
        "interaction": {"channel": "phone", "topic": "claim", "prior_actions": 1},
        "interaction_key": {},
        "timer": {"due_ms": AT_MS + 9},
        "moved": {"conversation": CONVERSATION, "interaction": 2},
    },
    ev.OwnerChanged: {
        "conversation": {"owner": "ann"},
        "work": {"owner": "ann", "since_ms": AT_MS},
        "action": {"kind": "owner_changed", "detail": "ann", "actor": "agent:ann"},
    },
    ev.QueueChanged: {
        "conversation": {"queue": "legal"},
        "work": {"queue": "legal", "since_ms": AT_MS},
        "action": {"kind": "queue_changed", "detail": "legal"},
    },
    ev.ConversationSnoozed: {
        "conversation": {"status": "snoozed", "wake_at_ms": AT_MS + 9, "close_at_ms": None, "resolved_at_ms": None},
        "work": {"status": "snoozed"},
        "action": {"kind": "snoozed"},
        "timer": {"customer": CUSTOMER, "shard": shard_of(CUSTOMER), "due_ms": AT_MS + 9},
    },
    ev.ConversationWoken: {
        "conversation": {"status": "open", "wake_at_ms": None},
        "work": {"status": "open"},
        "action": {"kind": "woken", "detail": "time"},
        "timer": None,
    },
    ev.ConversationResolved: {
        "conversation": {"status": "resolved", "close_at_ms": AT_MS + 99, "resolved_at_ms": AT_MS},
        "work": {"status": "resolved"},
        "action": {"kind": "resolved", "detail": "paid"},
        "timer": {"due_ms": AT_MS + 99},
    },
    ev.ConversationReopened: {
        "conversation": {"status": "open", "close_at_ms": None, "resolved_at_ms": None},
        "work": {"status": "open"},
        "action": {"kind": "reopened"},
        "timer": None,
    },
    ev.ConversationClosed: {
        "conversation": {"status": "closed", "closed_at_ms": AT_MS},
        "work": None,
        "action": {"kind": "closed"},
        "timer": None,
    },
    ev.NoteAdded: {"action": {"kind": "note", "detail": "calls back"}},
    ev.ContextSet: {
        "context_item": {"value": '"R-7"', "version": 2, "sensitivity": "normal", "rule": "", "channel": ""},
        "context_value": {"value": '"R-7"', "version": 2, "verified": 0},
    },
    ev.ContextRefused: {"action": {"kind": "context_refused", "detail": "k: full"}},
    ev.ContextWithdrawn: {"context_value": None, "context_item": None},
    ev.ContextWithheld: {"context_withheld": {"channel": "sms", "rule": "carries: …", "policy": 4}},
    ev.ChannelSwitched: {
        "channel_switch": {
            "from_channel": "sms",
            "to_channel": "phone",
            "caused_by": "customer",
            "continuity": "queue:bills",
            "required": '["contract","reason"]',
            "missing": '["reason"]',
            "missing_count": 1,
            "policy": 4,
        }
    },
    ev.ActivityCarried: {},
    ev.HandoffOffered: {
        "handoff": {
            "state": "offered",
            "giver": "ann",
            "offered_to": "queue:tier2",
            "continuity": "agent:ann",
            "items": 1,
            "missing": '["pin"]',
            "seq": 7,
            "offered_at_ms": AT_MS,
            "ended_at_ms": None,
            "policy": 3,
        },
        "action": {"kind": "handoff_offered", "detail": "tier1-tier2 to queue:tier2"},
        "timer": {"due_ms": AT_MS + 600_000},
    },
    ev.HandoffAccepted: {
        "handoff": {"state": "accepted", "ended_at_ms": AT_MS, "ended_by": "agent:bob", "continuity": "agent:bob"},
        "action": {"kind": "handoff_accepted", "detail": ""},
        "timer": None,
    },
    ev.HandoffDeclined: {
        "handoff": {"state": "declined", "ended_by": "agent:bob", "reason": "not ours"},
        "action": {"kind": "handoff_declined", "detail": "not ours"},
        "timer": None,
    },
    ev.HandoffExpired: {
        "handoff": {"state": "expired", "ended_by": "system"},
        "action": {"kind": "handoff_expired"},
        "timer": None,
    },
    ev.HandoffWithdrawn: {
        "handoff": {"state": "withdrawn", "reason": "moved to queue legal"},
        "action": {"kind": "handoff_withdrawn", "detail": "moved to queue legal"},
        "timer": None,
    },
    ev.MessageQueued: {
        "outbox": {"state": "queued", "shard": shard_of(CUSTOMER), "queued_at_ms": AT_MS},
        "timer": {"due_ms": AT_MS},
    },
    ev.DeliveryAttempted: {
        "outbox": {"state": "attempting", "attempt": 2},
        "timer": {"due_ms": AT_MS},
    },
    ev.DeliverySent: {
        "outbox": {"state": "sent", "sent_at_ms": AT_MS, "external_id": "SM1"},
        "timer": None,
    },
    ev.DeliveryFailed: {
        "outbox": {"state": "waiting", "code": "429", "next_at_ms": AT_MS + 4},
        "timer": {"due_ms": AT_MS + 4},
    },
    ev.DeliveryUncertain: {"outbox": {"state": "uncertain", "code": "504", "next_at_ms": None}, "timer": None},
    ev.DeliveryDead: {
        "outbox": {"state": "dead", "code": "550"},
        "action": {"kind": "delivery_dead", "detail": "cu1-1.4"},
        "timer": None,
    },
    ev.DeliveryReplayed: {
        "outbox": {"state": "queued", "next_at_ms": AT_MS},
        "action": {"kind": "delivery_replayed"},
        "timer": {"due_ms": AT_MS},
    },
    ev.DeliveryConfirmed: {"outbox": {"confirmed": "read"}},
    ev.IdentityLinked: {
        "identity": {"customer": CUSTOMER, "kind": "tel", "evidence": "agent", "linked_by": "agent:ann"},
        "action": {"kind": "identity_linked"},
    },
    ev.PastImported: {"action": {"kind": "imported", "detail": f"{CONVERSATION} was 7 of old"}},
    ev.CustomerErased: {"action": {"kind": "erased", "actor": "operator:root", "detail": "asked"}},
    ev.IdentityUnlinked: {
        "identity": None,
        "action": {"kind": "identity_unlinked", "detail": "tel:+447700900124", "actor": "agent:ann"},
    },
    ev.IdentityConflictFound: {
        "identity_review": {"kind": "merge", "evidence": "login", "verified": 1, "closed_at_ms": None},
        "action": {"kind": "identity_conflict", "detail": "chat:x belongs to cu2"},
    },
    ev.CustomerGiven: {"action": {"kind": "given", "detail": "cu2"}},
    ev.CustomerMerged: {"action": {"kind": "merged", "detail": "cu3"}},
    ev.CustomerReleased: {"action": {"kind": "released", "detail": "cu3"}},
    ev.CustomerReturned: {"action": {"kind": "returned", "detail": "cu2"}},
    ev.IdentityReviewClosed: {
        "identity_review": {"closed_by": "agent:ann", "closed_at_ms": AT_MS, "reason": "twins"},
        "action": {"kind": "identity_review_closed", "detail": "chat:y"},
    },
    ev.InputQuarantined: {"quarantine": {"raw": b"\xff", "code": 4202, "stream": CUSTOMER, "replayed_at_ms": None}},
    ev.PolicyApplied: {},
    ev.ReportMade: {"report": {"due_ms": 9, "lines": 3, "opened": 1, "compared": 0}},
    ev.FindingOpened: {"finding": {"state": "open", "measure": "asked_again", "count": 6, "examples": '["cu1-1"]'}},
    ev.FindingChanged: {"finding": {"state": "changed", "changed_version": 3, "changed_since_ms": 8}},
    ev.FindingCompared: {"finding": {"state": "compared", "outcome": "better", "before_count": 6, "after_count": 1}},
    ev.FindingDismissed: {"finding": {"state": "dismissed", "dismissed_by": "operator:op", "reason": "tests"}},
    ev.QuarantineReplayed: {
        "quarantine": {"replayed_at_ms": AT_MS, "replaying_at_ms": None, "replayed_stream": "cu1-1", "replayed_seq": 3},
        "action": {"kind": "quarantine_replayed", "detail": "cu1.1"},
    },
    ev.FieldMissing: {},
    ev.ReplayBegun: {
        "quarantine": {"replaying_at_ms": AT_MS, "edited": b"{}"},
        "action": {"kind": "replay_begun", "detail": "cu1.1"},
    },
    ev.ReplayRefused: {
        "quarantine": {"replaying_at_ms": None, "refused_code": 4205, "refused_reason": "no number"},
        "action": {"kind": "replay_refused", "detail": "cu1.1"},
    },
    ev.InputErased: {
        "quarantine": {"replaying_at_ms": None},
        "action": {"kind": "input_erased", "actor": "operator:root", "detail": "cu1.1"},
    },
}
"""What each sample changes beside its `event` row and the head: table → some columns, or None where rows go."""


def record(*events: ev.AnyEvent, position: int = 5, seq: int = 7, stream: str = "") -> Record:
    """The events as one unit, in the streams they belong to."""
    entries = [
        Entry(stream or (CUSTOMER if isinstance(e, OWN) else CONVERSATION), seq + n, Raw(msgpack.encode(e)))
        for n, e in enumerate(events)
    ]
    return Record(position, CUSTOMER, AT_MS, [], len(entries), msgpack.encode(entries))


def _sample(kind: type[ev.AnyEvent]) -> ev.AnyEvent:
    return next(event for event in SAMPLES if isinstance(event, kind))


def test_the_samples_are_complete() -> None:
    """Every member of the union is projected here."""
    assert {type(event) for event in SAMPLES} == set(get_args(ev.AnyEvent)) == set(WRITES)


@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: type(event).__name__)
def test_each_event_writes_its_rows(event: ev.AnyEvent) -> None:
    """Its own row whole, and in the other tables what it says."""
    unit = record(event)
    changes = project([unit])
    stream = CUSTOMER if isinstance(event, OWN) else CONVERSATION
    ((*place, body),) = changes.events
    assert place == [5, 0, stream, 7, type(event).__name__, AT_MS, event.actor]
    assert msgspec.json.decode(body, type=ev.AnyEvent) == event
    assert changes.heads == ([] if stream == CUSTOMER else [(7, AT_MS, 5, CONVERSATION)])
    assert changes.position == 5
    assert {patch.table for patch in changes.patches} == set(WRITES[type(event)])
    for patch in changes.patches:
        expected = WRITES[type(event)][patch.table]
        if expected is None or patch.values is None:
            assert patch.values is None
            continue
        assert (patch.values | patch.fill).items() >= expected.items()


def test_a_resolved_conversation_no_longer_sleeps() -> None:
    """One timer goes and another is set by the same event."""
    event = ev.ConversationResolved(at_ms=AT_MS, close_at_ms=AT_MS + 99)
    timers = {p.key[1]: p.values for p in project([record(event)]).patches if p.table == "timer"}
    assert timers["wake"] is None
    assert timers["close"] is not None


def test_what_was_done_before_is_done_since_then() -> None:
    """A conversation that contacts were taken out of was, and what they are in from now on begins resolved."""
    event = ev.ConversationResolved(at_ms=AT_MS, close_at_ms=AT_MS + 99, since_ms=AT_MS - 7)
    [values] = [p.values for p in project([record(event)]).patches if p.table == "conversation"]
    assert values is not None
    assert values["resolved_at_ms"] == AT_MS - 7


def test_what_failed_without_a_time_has_its_turn_with_its_line() -> None:
    """It is queued, and no timer rings for it."""
    failed = msgspec.structs.replace(_sample(ev.DeliveryFailed), retry_at_ms=0)
    rows = {patch.table: patch.values for patch in project([record(failed)]).patches}
    assert (rows["outbox"] or {})["state"] == "queued"
    assert (rows["outbox"] or {})["next_at_ms"] is None
    assert rows["timer"] is None


def test_the_first_event_of_a_customers_stream_makes_the_customer() -> None:
    """An account's own stream is nobody's."""
    linked = record(_sample(ev.IdentityLinked), seq=1)
    assert [p.values for p in project([linked]).patches if p.table == "customer"] == [
        {"since_ms": AT_MS, "merged_into": ""}
    ]
    refused = record(_sample(ev.InputQuarantined), seq=1, stream="account:mail")
    account = Record(5, "account:mail", AT_MS, [], 1, refused.body)
    assert [p for p in project([account]).patches if p.table == "customer"] == []


def test_what_a_stranger_did_on_the_web_is_theirs_alone() -> None:
    """Activity outside a conversation touches no conversation."""
    seen = next(event for event in SAMPLES if isinstance(event, ev.ActivitySeen))
    changes = project([record(seen, stream=CUSTOMER)])
    assert [row[2:4] for row in changes.events] == [(CUSTOMER, 7)]
    assert (changes.heads, changes.patches) == ([], [])


def test_a_conversations_head_is_its_newest_event() -> None:
    """Once, however many events of a batch are its own."""
    first, second = record(SAMPLES[13]), record(SAMPLES[2], SAMPLES[13], position=6, seq=8)
    changes = project([first, second])
    assert changes.heads == [(9, AT_MS, 6, CONVERSATION)]
    assert [row[:4] for row in changes.events] == [
        (5, 0, CONVERSATION, 7),
        (6, 0, CONVERSATION, 8),
        (6, 1, CONVERSATION, 9),
    ]


def test_a_subject_is_filled_in_once() -> None:
    """A conversation that began without a subject gets the first one; it is not changed by the next."""
    opened, mail = SAMPLES[0], SAMPLES[3]
    other = msgspec.structs.replace(mail, subject="Another")
    rows = {p.table: p for p in project([record(opened, mail, other, seq=1)]).patches}
    assert (rows["conversation"].values or {})["subject"] == "Bill"
    later = {p.table: p for p in project([record(mail, other)]).patches}["conversation"]
    assert later.fill == {"subject": "Bill"}


def test_who_is_forgotten_ends_a_run() -> None:
    """What is theirs then is looked for among all rows; what they get afterwards stays."""
    linked, erased = _sample(ev.IdentityLinked), _sample(ev.CustomerErased)
    records = [record(linked), record(erased, position=6), record(linked, position=7)]
    made = [project(run) for run in runs(records)]
    assert [(changes.position, changes.forgotten) for changes in made] == [(6, CUSTOMER), (7, "")]


def test_an_unknown_event_stops_the_archive() -> None:
    """A newer version wrote it: skipping it would make a gap that nobody sees."""
    entry = [CONVERSATION, 1, {"type": "HeardFromMars", "at_ms": 1}]
    with pytest.raises(UnreadableEvent, match="record 9 has an event this version cannot read"):
        project([Record(9, CUSTOMER, AT_MS, [], 1, msgpack.encode([entry]))])


def test_numbers_no_column_holds_are_cut() -> None:
    """An agent may snooze for longer than a database counts."""
    event = ev.ConversationSnoozed(at_ms=AT_MS, until_ms=2**64 - 1)
    due = [p.values for p in project([record(event)]).patches if p.table == "timer"]
    assert due[0] is not None
    assert due[0]["due_ms"] == INT_MAX


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": float("nan")}, '{"a":null}'),
        ({None: b"x"}, '{"None":"eA=="}'),
        ([{True: [1]}], '[{"True":[1]}]'),
        (2**64 - 1, "18446744073709551615"),
    ],
)
def test_what_json_has_not_is_described(value: object, text: str) -> None:
    """MessagePack carries more than JSON; whatever came in, the archive goes on."""
    assert as_json(value) == text


def test_extension_types_are_described() -> None:
    """As above, for the types that only a name is left of."""
    assert "Ext" in as_json({"a": msgspec.msgpack.Ext(5, b"x")})


_keys = st.sampled_from([("a", 1), ("b", 1)])
_columns = st.dictionaries(st.sampled_from("xyz"), st.sampled_from(["", "1", "2"]), max_size=3)
_ROW = ("x", "y", "z", "confirmed")
_words = st.dictionaries(st.just("confirmed"), st.sampled_from(RISING["confirmed"]), max_size=1)


@st.composite
def _histories(draw: st.DrawFn) -> list[Patch]:
    """Patches as the projection makes them: rows begin, change and go in any order that has sense."""
    living: set[tuple[str, int]] = set()
    patches = []
    for position in range(draw(st.integers(1, 12))):
        key = draw(_keys)
        verb = draw(st.sampled_from(["change", "drop", "new"])) if key in living else "new"
        if verb == "new":
            living.add(key)
            patches.append(Patch("row", key, dict.fromkeys(_ROW, "") | draw(_columns), True, position))
        elif verb == "drop":
            living.discard(key)
            patches.append(Patch("row", key, None, False, position))
        else:
            values, filling = (draw(_columns) | draw(_words) for _ in range(2))
            patches.append(Patch("row", key, values, False, position, filling))
    return patches


def _applied(patches: list[Patch], rows: dict[Any, dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    for patch in patches:
        if patch.values is None:
            rows.pop(patch.key, None)
            continue
        row = {} if patch.new else rows[patch.key]
        row |= patch.values | {"position": patch.position}
        row |= {column: filled(column, row[column], text) for column, text in patch.fill.items()}
        rows[patch.key] = row
    return rows


@given(_histories(), st.integers(0, 12))
def test_coalesced_patches_have_the_same_effect(history: list[Patch], cut: int) -> None:
    """Wherever a batch begins, each row is patched at most once and ends as it would have one by one."""
    before, batch = history[:cut], history[cut:]
    one_by_one = _applied(history, {})
    coalesced = coalesce(batch)
    assert len({patch.key for patch in coalesced}) == len(coalesced)
    assert _applied(coalesced, _applied(before, {})) == one_by_one


def test_what_goes_the_short_way_changes_no_conversation_and_no_timer() -> None:
    """Else its row of `conversation`, or its timer, would silently be missing."""
    assert {type(event) for event in SAMPLES if timer_changes(event)} == TIMED
    for event in SAMPLES:
        if type(event) not in conversation_rows._MOVING:
            with pytest.raises(AssertionError, match="moves no conversation"):
                conversation_rows._changed(event)
        else:
            assert conversation_rows._filled(event) == {}
