"""Evolving: how each fact changes a conversation. It never refuses: what was journaled happened."""

from collections.abc import Callable
from sys import intern
from typing import Any

from actors.commands.outcomes import NOT_LEFT
from actors.handoffs import handoff_states
from actors.state import context_items, interactions, recent, worded
from actors.state.conversation import DELIVERIES_MAX, LEFT_BY_MAX, Conversation, Spoken, Work, interaction_of
from protocol.entities import Delivery, MissingField, Status
from protocol.events import (
    ActivityCarried,
    ActivitySeen,
    AnyEvent,
    AutomaticReplyReceived,
    ChannelSwitched,
    ContextRefused,
    ContextSet,
    ContextWithdrawn,
    ContextWithheld,
    ConversationClosed,
    ConversationOpened,
    ConversationReopened,
    ConversationResolved,
    ConversationSnoozed,
    ConversationWoken,
    CorrelationCorrected,
    DeliveryAttempted,
    DeliveryConfirmed,
    DeliveryDead,
    DeliveryFailed,
    DeliveryReplayed,
    DeliverySent,
    DeliveryUncertain,
    FactDropped,
    FieldMissing,
    HandoffAccepted,
    HandoffDeclined,
    HandoffExpired,
    HandoffOffered,
    HandoffWithdrawn,
    InteractionEnded,
    InteractionMoved,
    InteractionReceived,
    InteractionStarted,
    InteractionTagged,
    InteractionWentOn,
    MessageQueued,
    MessageReceived,
    NoteAdded,
    OwnerChanged,
    QueueChanged,
    RepeatContactFound,
)
from protocol.events.corrections import UNMERGE
from protocol.inbound import ARRIVED, SENT

REFERENCES_MAX = 64
"""Thread references a conversation answers to; the oldest are forgotten, and then time and openness decide."""
MISSING_MAX = 256
"""Fields that were found missing; the oldest are forgotten, and may be asked for once more."""


def evolve(state: Conversation, event: AnyEvent, encoded: bytes) -> Conversation:
    """Applies the fact that follows `state.head`. `encoded` are the event's bytes, as watchers get them.

    Changes `state` in place and returns it: a journey that must forget what was refused is loaded anew. The facts of
    nearly every conversation are found by one look: each case that is tried in vain takes 0.1 µs.
    """
    state.head += 1
    state.updated_at_ms = event.at_ms
    state.recent, state.recent_count = recent.add(state.recent, state.recent_count, encoded)
    if (often := _OFTEN.get(type(event))) is not None:
        often(state, event)
        return state
    match event:
        case InteractionEnded():
            interactions.end(state, event)
        case InteractionWentOn():
            interactions.go_on(state, event)
        case RepeatContactFound() | CorrelationCorrected():
            if event.relation is not None or event.previous is not None:
                state.relation = event.relation
            if isinstance(event, CorrelationCorrected) and event.correction == UNMERGE:
                _disown(state, event.other)
                if event.subject is not None:
                    state.subject, state.subject_by = event.subject, event.subject_by
        case InteractionMoved():
            _move(state, event)
        case InteractionReceived():
            _receive(state, event)
        case OwnerChanged():
            state.owner = event.owner
        case QueueChanged():
            state.queue = event.queue
        case ConversationSnoozed():
            state.status, state.until_ms = Status.SNOOZED, event.until_ms
        case ConversationResolved():
            work = _work(state)
            work.actions += 1
            work.resolutions += 1
            work.resolved_at_ms = event.since_ms or event.at_ms
            state.status, state.until_ms = Status.RESOLVED, event.close_at_ms
        case ConversationWoken() | ConversationReopened():
            state.status, state.until_ms = Status.OPEN, 0
        case ConversationClosed():
            state.status, state.until_ms, state.rest_at_ms = Status.CLOSED, 0, 0
        case ChannelSwitched():
            state.spoken = Spoken(channel=intern(event.to_channel))
        case ContextWithdrawn():
            state.context = context_items.drop(state.context, event)
        case ContextWithheld():
            state.spoken = Spoken(channel=intern(event.channel), withheld=(*state.withheld, *event.keys))
        case HandoffOffered() | HandoffAccepted() | HandoffDeclined() | HandoffExpired() | HandoffWithdrawn():
            work = _work(state)
            work.handoff = handoff_states.evolve(work.handoff, event)
        case NoteAdded():
            _work(state).actions += 1
        case FactDropped():
            # Nobody is shown this in the place of what was said: who resumes here gets the state as a whole.
            state.recent, state.recent_count = b"", 0
        case ContextRefused() | ActivityCarried():
            pass
        case _:
            raise AssertionError(f"{type(event).__name__} is not a conversation's event")
    return state


def _open(state: Conversation, event: ConversationOpened) -> None:
    state.queue, state.subject, state.relation = event.queue, event.subject, event.relation
    state.opened_at_ms, state.policy = event.at_ms, event.policy
    if event.carried is not None:
        state.work = Work(carried=event.carried)


def _disown(state: Conversation, earlier: str) -> None:
    """What was done in another person's conversation is no past of this one."""
    if state.work is not None and state.work.carried is not None and state.work.carried.conversation == earlier:
        state.work.carried = None


def _know(state: Conversation, event: ContextSet) -> None:
    state.context = {**state.context, event.key: context_items.put(state.context.get(event.key), event)}


def _miss(state: Conversation, event: FieldMissing) -> None:
    gap = MissingField(
        field=event.field,
        action=event.action,
        channel=event.channel,
        interaction=event.interaction,
        at_ms=event.at_ms,
    )
    state.missing = (*state.missing, gap)[-MISSING_MAX:]


def _work(state: Conversation) -> Work:
    if state.work is None:
        state.work = Work()
    return state.work


def _move(state: Conversation, event: InteractionMoved) -> None:
    interactions.take_out(state, event)
    if event.references:
        state.references = tuple(r for r in state.references if r not in event.references)
    state.missing = tuple(gap for gap in state.missing if gap.interaction != event.interaction)


def _receive(state: Conversation, event: InteractionReceived) -> None:
    interactions.put_in(state, event)
    for reference in event.references:
        _refer(state, reference)
    state.missing = (*state.missing, *event.gaps)[-MISSING_MAX:]


def _contact(
    state: Conversation, event: MessageReceived | AutomaticReplyReceived | ActivitySeen | MessageQueued
) -> None:
    interaction = interaction_of(state, event.interaction)
    # What is only written down after a contact's end was said in it, and makes it no newer than those that came since.
    over = interaction is not None and (interaction.ended_at_ms or not state.live)
    if interaction and not (over and isinstance(event, MessageReceived | AutomaticReplyReceived)):
        interaction.last_at_ms = event.at_ms
    match event:
        case MessageReceived() | AutomaticReplyReceived():
            if event.reference:
                _refer(state, event.reference)
            if event.subject and not state.subject:
                state.subject, state.subject_by = event.subject, event.identity
        case MessageQueued():
            work = _work(state)
            work.actions += 1
            if not work.left_by or work.left_by[-1][1] != event.account:
                work.left_by = (*work.left_by, (state.head, intern(event.account)))[-LEFT_BY_MAX:]
            work.worded = worded.add(work.worded, state.head, event.to, event.subject, event.text)
            if not event.to:
                return  # Whom it was for is forgotten: nobody sends it again.
            queued = Delivery(
                id=event.delivery,
                channel=event.channel,
                account=event.account,
                to=event.to,
                text=event.text,
                subject=event.subject,
                references=event.references,
                author=event.actor,
            )
            _make_room(state, work)
            state.deliveries = {**state.deliveries, queued.id: queued}
        case ActivitySeen():
            pass


def _make_room(state: Conversation, work: Work) -> None:
    """Where there are as many messages as may be, the oldest dead letter leaves memory; it stays dead, in the
    archive."""
    if len(state.deliveries) < DELIVERIES_MAX:
        return
    oldest = next((id for id, delivery in state.deliveries.items() if delivery.state == "dead"), None)
    if oldest is not None:
        state.deliveries = {id: delivery for id, delivery in state.deliveries.items() if id != oldest}
        work.given_up = (*work.given_up, int(oldest.rpartition(".")[2]))[-DELIVERIES_MAX:]


def _refer(state: Conversation, reference: str) -> None:
    if reference and reference not in state.references:
        state.references = (*state.references, reference)[-REFERENCES_MAX:]


def _deliver(
    state: Conversation,
    event: DeliveryAttempted
    | DeliverySent
    | DeliveryFailed
    | DeliveryUncertain
    | DeliveryDead
    | DeliveryReplayed
    | DeliveryConfirmed,
) -> None:
    delivery = state.deliveries.get(event.delivery)
    if delivery is None:
        if isinstance(event, DeliverySent) and state.work is not None:
            state.work.given_up = tuple(seq for seq in state.work.given_up if f"{state.id}.{seq}" != event.delivery)
            _refer(state, event.external_id)
        return
    match event:
        case DeliveryAttempted():
            delivery.state, delivery.attempt, delivery.next_at_ms = "attempting", event.attempt, 0
            delivery.doubted, delivery.unsure = delivery.doubted or delivery.unsure, False
            delivery.reported, delivery.reported_id, delivery.said_sent = False, "", False
        case DeliverySent():
            state.deliveries = {id: other for id, other in state.deliveries.items() if other is not delivery}
            _refer(state, event.external_id)
        case DeliveryFailed():
            delivery.state = "waiting" if event.retry_at_ms else "queued"
            delivery.next_at_ms, delivery.reason, delivery.unsure = event.retry_at_ms, event.reason, False
            if event.untaken:
                delivery.attempts_before += 1
            delivery.untaken_until_ms = event.retry_at_ms if event.untaken else 0
        case DeliveryUncertain():
            delivery.state = "waiting" if event.retry_at_ms else "uncertain"
            delivery.unsure, delivery.earlier = event.retry_at_ms > 0, event.earlier
            delivery.next_at_ms, delivery.reason, delivery.untaken_until_ms = event.retry_at_ms, event.reason, 0
        case DeliveryDead():
            delivery.state, delivery.next_at_ms, delivery.reason = "dead", 0, event.reason
            delivery.unsure, delivery.earlier = False, False
            delivery.doubted = delivery.doubted and event.code != NOT_LEFT
        case DeliveryReplayed():
            delivery.unsure, delivery.earlier = delivery.state == "uncertain" and not delivery.earlier, False
            delivery.state, delivery.attempts_before, delivery.reason = "queued", delivery.attempt, ""
            delivery.untaken_until_ms = 0
        case DeliveryConfirmed():
            delivery.said_sent = delivery.said_sent or event.status == SENT
            if delivery.state == "attempting":
                delivery.reported, delivery.reported_id = True, event.external_id or delivery.reported_id
                delivery.arrived = delivery.arrived or event.status in ARRIVED


_OFTEN: dict[type[AnyEvent], Callable[[Conversation, Any], None]] = {
    MessageReceived: _contact,
    AutomaticReplyReceived: _contact,
    ActivitySeen: _contact,
    MessageQueued: _contact,
    ConversationOpened: _open,
    InteractionStarted: interactions.start,
    InteractionTagged: interactions.tag,
    ContextSet: _know,
    FieldMissing: _miss,
    DeliveryAttempted: _deliver,
    DeliverySent: _deliver,
    DeliveryFailed: _deliver,
    DeliveryUncertain: _deliver,
    DeliveryDead: _deliver,
    DeliveryReplayed: _deliver,
    DeliveryConfirmed: _deliver,
}
