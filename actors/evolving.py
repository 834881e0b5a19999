"""Evolving: how each fact changes a conversation. It never refuses: what was journaled happened."""

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from sys import intern
from typing import Any

from actors import handoff_states, knowing, recent
from actors.conversation import LEFT_BY_MAX, Conversation, Spoken, Work, interaction_of, name_speakers, resting
from actors.tagging import merged
from protocol.entities import Delivery, Interaction, MissingField, Status, Tags
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

REFERENCES_MAX = 64
"""Thread references a conversation answers to; the oldest are forgotten, and then time and openness decide."""
MISSING_MAX = 256
"""Fields that were found missing; the oldest are forgotten, and may be asked for once more."""
INTERACTIONS_MAX = 32
"""Contacts of a live conversation. Ended ones leave memory; the archive has them."""


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
            if interaction := interaction_of(state, event.interaction):
                interaction.ended_at_ms, interaction.end_reason = event.at_ms, intern(event.reason)
                _set_rest(state)
        case InteractionWentOn():
            if interaction := interaction_of(state, event.interaction):
                interaction.rest_at_ms = event.rest_at_ms
                _set_rest(state)
        case RepeatContactFound() | CorrelationCorrected():
            if event.relation is not None or event.previous is not None:
                state.relation = event.relation
            if isinstance(event, CorrelationCorrected) and event.correction == UNMERGE:
                _disown(state, event.other)
                state.subject = state.subject if event.subject is None else event.subject
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
            state.context = knowing.drop(state.context, event)
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
        case DeliveryConfirmed() | ContextRefused() | ActivityCarried():
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
    state.context = {**state.context, event.key: knowing.put(state.context.get(event.key), event)}


def _miss(state: Conversation, event: FieldMissing) -> None:
    gap = MissingField(
        field=event.field,
        action=event.action,
        channel=event.channel,
        interaction=event.interaction,
        at_ms=event.at_ms,
    )
    state.missing = (*state.missing, gap)[-MISSING_MAX:]


def _start(state: Conversation, event: InteractionStarted) -> None:
    state.interaction_count = event.interaction
    started = Interaction(
        number=event.interaction,
        # A few words that all conversations share: each is kept once.
        channel=intern(event.channel),
        account=intern(event.account),
        identity=event.identity,
        direction=event.direction,
        started_at_ms=event.at_ms,
        last_at_ms=event.at_ms,
        session=event.session,
        reason=intern(event.reason),
        before=event.before,
        rest_at_ms=event.rest_at_ms,
    )
    state.interactions = (*state.interactions, started)
    _bound(state)
    _set_rest(state)


def _bound(state: Conversation) -> None:
    if len(state.interactions) > INTERACTIONS_MAX:
        # The first contact may leave, and says where we speak as long as nothing else does.
        state.spoken = state.spoken or Spoken(channel=state.channel)
        ended = next((old for old in state.interactions[:-1] if old.ended_at_ms), state.interactions[0])
        _part(state, [ended])


def _part(state: Conversation, leaving: Sequence[Interaction]) -> None:
    """These contacts are not in memory here any more; what was said in them still says who said it."""
    if state.context:
        state.context = name_speakers(state, leaving)
    gone = {each.number for each in leaving}
    state.interactions = tuple(each for each in state.interactions if each.number not in gone)


def _set_rest(state: Conversation) -> None:
    state.rest_at_ms = min((each.rest_at_ms for each in resting(state)), default=0)


def _work(state: Conversation) -> Work:
    if state.work is None:
        state.work = Work()
    return state.work


def _tag(state: Conversation, event: InteractionTagged) -> None:
    found = Tags(
        topic=event.topic,
        intent=event.intent,
        product_line=event.product_line,
        segment=event.segment,
        keys=tuple(event.keys),
    )
    if interaction := interaction_of(state, event.interaction):
        interaction.tags = merged(interaction.tags, found)
    # A classifier's answer about a contact may come when the next one has said what they want by now.
    state.tags = merged(state.tags, found, later=_is_latest(interaction, state.interactions))


def _is_latest(interaction: Interaction | None, others: Iterable[Interaction]) -> bool:
    """Whether none of the others was spoken in after it; one that is no longer in memory is not the latest."""
    return interaction is not None and all(each.last_at_ms <= interaction.last_at_ms for each in others)


def _move(state: Conversation, event: InteractionMoved) -> None:
    # Where we speak is not where the first of the others was.
    state.spoken = state.spoken or Spoken(channel=state.channel)
    _part(state, [i for i in state.interactions if i.number == event.interaction])
    _set_rest(state)
    if event.references:
        state.references = tuple(r for r in state.references if r not in event.references)
    state.missing = tuple(gap for gap in state.missing if gap.interaction != event.interaction)
    # What it was about may have left with the interaction.
    state.tags = None
    before: list[Interaction] = []
    for interaction in state.interactions:
        if interaction.tags is not None:
            state.tags = merged(state.tags, interaction.tags, later=_is_latest(interaction, before))
        before.append(interaction)


def _receive(state: Conversation, event: InteractionReceived) -> None:
    if state.interactions:
        state.spoken = state.spoken or Spoken(channel=state.channel)
    received = (*state.interactions, copy(event.interaction))
    state.interactions = tuple(sorted(received, key=lambda interaction: interaction.number))
    state.interaction_count = max(state.interaction_count, event.interaction.number)
    _bound(state)
    _set_rest(state)
    if event.interaction.tags is not None:
        later = _is_latest(event.interaction, state.interactions)
        state.tags = merged(state.tags, event.interaction.tags, later=later)
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
            if not state.subject:
                state.subject = event.subject
        case MessageQueued():
            work = _work(state)
            work.actions += 1
            if not work.left_by or work.left_by[-1][1] != event.account:
                work.left_by = (*work.left_by, (state.head, intern(event.account)))[-LEFT_BY_MAX:]
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
            state.deliveries = {**state.deliveries, queued.id: queued}
        case ActivitySeen():
            pass


def _refer(state: Conversation, reference: str) -> None:
    if reference not in state.references:
        state.references = (*state.references, reference)[-REFERENCES_MAX:]


def _deliver(
    state: Conversation,
    event: DeliveryAttempted | DeliverySent | DeliveryFailed | DeliveryUncertain | DeliveryDead | DeliveryReplayed,
) -> None:
    delivery = state.deliveries.get(event.delivery)
    if delivery is None:
        return
    match event:
        case DeliveryAttempted():
            delivery.state, delivery.attempt, delivery.next_at_ms = "attempting", event.attempt, 0
            delivery.unsure = False
        case DeliverySent():
            state.deliveries = {id: other for id, other in state.deliveries.items() if other is not delivery}
            if event.external_id:
                _refer(state, event.external_id)
        case DeliveryFailed():
            delivery.state, delivery.next_at_ms, delivery.reason = "waiting", event.retry_at_ms, event.reason
            if event.untaken:
                delivery.attempts_before += 1
            delivery.untaken_until_ms = event.retry_at_ms if event.untaken else 0
        case DeliveryUncertain():
            delivery.state = "waiting" if event.retry_at_ms else "uncertain"
            delivery.unsure = event.retry_at_ms > 0
            delivery.next_at_ms, delivery.reason, delivery.untaken_until_ms = event.retry_at_ms, event.reason, 0
        case DeliveryDead():
            delivery.state, delivery.next_at_ms, delivery.reason = "dead", 0, event.reason
        case DeliveryReplayed():
            delivery.state, delivery.attempts_before, delivery.reason = "queued", delivery.attempt, ""
            delivery.untaken_until_ms = 0


_OFTEN: dict[type[AnyEvent], Callable[[Conversation, Any], None]] = {
    MessageReceived: _contact,
    AutomaticReplyReceived: _contact,
    ActivitySeen: _contact,
    MessageQueued: _contact,
    ConversationOpened: _open,
    InteractionStarted: _start,
    InteractionTagged: _tag,
    ContextSet: _know,
    FieldMissing: _miss,
    DeliveryAttempted: _deliver,
    DeliverySent: _deliver,
    DeliveryFailed: _deliver,
    DeliveryUncertain: _deliver,
    DeliveryDead: _deliver,
    DeliveryReplayed: _deliver,
}
