"""Contact: what a conversation makes of an inbound event. Pure; the state is read, never changed.

A word of the customer wakes a snoozed conversation and opens a resolved one again; a machine's answer does neither.
"""

from collections.abc import Sequence
from typing import assert_never

from actors.inbound import confirming
from actors.rules.policy import Policy
from actors.state.conversation import Conversation, interaction_of, resting
from protocol.entities import Before, CarryOver, Direction, Interaction, Relation, Status
from protocol.errors import Code, Refusal, shown
from protocol.events import (
    ActivitySeen,
    AnyEvent,
    AutomaticReplyReceived,
    ConversationOpened,
    ConversationReopened,
    ConversationWoken,
    InteractionEnded,
    InteractionStarted,
    InteractionWentOn,
    MessageReceived,
)
from protocol.events.event import CUSTOMER, SYSTEM
from protocol.inbound import (
    ActivityArrived,
    DeliveryReport,
    InboundEvent,
    InteractionBegan,
    InteractionStopped,
    MessageArrived,
    PastConversation,
)

CLOSING = "conversation closed"
"""Why a contact ended that went on when its conversation closed."""


def open_for(
    event: InboundEvent,
    customer: str,
    relation: Relation | None,
    policy: Policy,
    now_ms: int,
    *,
    reason: str = "",
    carried: CarryOver | None = None,
) -> AnyEvent:
    """The first fact of a new conversation that `event` begins."""
    return ConversationOpened(
        at_ms=now_ms,
        actor=CUSTOMER,
        policy=policy.version,
        customer=customer,
        queue=policy.queues.get(event.account, policy.queue_default),
        subject=event.data.subject if isinstance(event.data, MessageArrived | InteractionBegan) else "",
        relation=relation,
        reason=reason,
        carried=carried,
    )


def decide(state: Conversation, event: InboundEvent, policy: Policy, now_ms: int, reason: str = "") -> list[AnyEvent]:
    """What happens in the conversation through `event`; `reason` is why it belongs here. Raises `Refusal` where it fits
    nothing."""
    identity = event.identities[0] if event.identities else ""
    match event.data:
        case MessageArrived():
            return _message(state, event, event.data, identity, policy, now_ms, reason)
        case ActivityArrived(name=name, properties=properties):
            number, events = _interaction(state, event, identity, "", policy, now_ms, reason)
            seen = ActivitySeen(
                at_ms=now_ms,
                actor=CUSTOMER,
                interaction=number,
                channel=event.channel,
                identity=identity,
                provider_ms=event.time_ms,
                name=name,
                properties=properties,
            )
            return [*events, seen]
        case InteractionBegan(session=session):
            began = _interaction(state, event, identity, session, policy, now_ms, reason)[1] + _awaken(state, now_ms)
            if not began:
                raise Refusal(
                    Code.NOT_ALLOWED_NOW,
                    f"an interaction with session {shown(session)!r} goes on already at account {event.account}",
                    ref=event.id,
                    field="data.session",
                )
            return began
        case InteractionStopped(session=session, reason=end_reason):
            interaction = _ongoing(state, event, session=session)
            if interaction is None:
                raise Refusal(
                    Code.NOT_FOUND,
                    f"no interaction with session {shown(session)!r} goes on at account {event.account}",
                    ref=event.id,
                    field="data.session",
                )
            number = interaction.number
            return [InteractionEnded(at_ms=now_ms, actor=CUSTOMER, interaction=number, reason=end_reason)]
        case DeliveryReport():
            return confirming.confirm(state, event, event.data, policy, now_ms)
        case PastConversation():
            raise AssertionError("a contact of the past is imported as a whole")
        case _:
            assert_never(event.data)


def _message(
    state: Conversation,
    event: InboundEvent,
    data: MessageArrived,
    identity: str,
    policy: Policy,
    now_ms: int,
    reason: str,
) -> list[AnyEvent]:
    if (over := said_in(state, event)) is not None:
        number, events = over.number, list[AnyEvent]()
    else:
        number, events = _interaction(state, event, identity, data.session, policy, now_ms, reason)
    if data.automatic:
        automatic = AutomaticReplyReceived(
            at_ms=now_ms,
            actor=f"account:{event.account}",
            interaction=number,
            channel=event.channel,
            identity=identity,
            source=event.source,
            id=event.id,
            provider_ms=event.time_ms,
            text=data.text,
            subject=data.subject,
            attachments=data.attachments,
            reference=data.reference,
        )
        return [*events, automatic]
    message = MessageReceived(
        at_ms=now_ms,
        actor=CUSTOMER,
        interaction=number,
        channel=event.channel,
        identity=identity,
        source=event.source,
        id=event.id,
        provider_ms=event.time_ms,
        text=data.text,
        subject=data.subject,
        attachments=data.attachments,
        reference=data.reference,
        in_reply_to=data.in_reply_to,
    )
    awakened = _awaken(state, now_ms) if over is None or _said_since(state, event) else []
    return [*events, *awakened, message]


def _said_since(state: Conversation, event: InboundEvent) -> bool:
    """Whether words of a contact that is over were said after the conversation was done. Others, such as a transcript
    that is ready only now, open nothing again; and what is snoozed was snoozed after the contact began."""
    return state.status is Status.RESOLVED and event.time_ms > state.resolved_at_ms


def _awaken(state: Conversation, now_ms: int) -> list[AnyEvent]:
    match state.status:
        case Status.OPEN | Status.CLOSED:
            return []
        case Status.SNOOZED:
            return [ConversationWoken(at_ms=now_ms, actor=CUSTOMER, reason="the customer spoke")]
        case Status.RESOLVED:
            return [ConversationReopened(at_ms=now_ms, actor=CUSTOMER, reason="the customer spoke")]
        case _:
            assert_never(state.status)


def _interaction(
    state: Conversation, event: InboundEvent, identity: str, session: str, policy: Policy, now_ms: int, reason: str
) -> tuple[int, list[AnyEvent]]:
    """The number of the interaction that `event` is part of, and the events that begin it where it is a new one."""
    ongoing = _ongoing(state, event, session=session, identity=identity)
    events: list[AnyEvent] = []
    if ongoing is not None:
        if now_ms - ongoing.last_at_ms <= policy.channel(event.channel).rest_after_ms:
            return ongoing.number, []
        events.append(InteractionEnded(at_ms=now_ms, actor=SYSTEM, interaction=ongoing.number, reason="rest"))
    number = state.interaction_count + 1
    started = InteractionStarted(
        at_ms=now_ms,
        actor=CUSTOMER,
        interaction=number,
        channel=event.channel,
        account=event.account,
        identity=identity,
        direction=Direction.INBOUND,
        session=session,
        reason=reason,
        before=before(state),
        rest_at_ms=resting_ms(policy, event.channel, now_ms),
    )
    return number, [*events, started]


def resting_ms(policy: Policy, channel: str, now_ms: int) -> int:
    """When a contact that was last heard now is to be ended; 0 where no time ends it."""
    rules = policy.channel(channel)
    return now_ms + rules.rest_after_ms if rules.end_in_time else 0


def decide_due(state: Conversation, policy: Policy, now_ms: int) -> list[AnyEvent]:
    """Ends the contacts that rest by now; those that were heard meanwhile rest later."""
    if not state.rest_at_ms or state.rest_at_ms > now_ms:
        return []
    events: list[AnyEvent] = []
    for interaction in resting(state):
        if interaction.rest_at_ms > now_ms:
            continue
        at_ms = interaction.last_at_ms + policy.channel(interaction.channel).rest_after_ms
        number = interaction.number
        if at_ms <= now_ms:
            events.append(InteractionEnded(at_ms=now_ms, actor=SYSTEM, interaction=number, reason="rest"))
        else:
            events.append(InteractionWentOn(at_ms=now_ms, actor=SYSTEM, interaction=number, rest_at_ms=at_ms))
    return events


def end_all(state: Conversation, now_ms: int) -> list[AnyEvent]:
    """Ends the contacts whose time is watched, because their conversation ends."""
    return [
        InteractionEnded(at_ms=now_ms, actor=SYSTEM, interaction=interaction.number, reason=CLOSING)
        for interaction in resting(state)
    ]


def before(state: Conversation) -> Before | None:
    """How the conversation stands for a contact that begins now; None for its first."""
    if not state.interaction_count:
        return None
    return Before(
        actions=state.work.actions if state.work else 0,
        resolution_attempts=state.work.resolutions if state.work else 0,
        unresolved=state.status is not Status.RESOLVED,
    )


def said_in(state: Conversation, event: InboundEvent) -> Interaction | None:
    """The contact that is over in which the event's words were said: what was written down of a call comes after the
    call, and is no new one. None where they were said in none, or in one that goes on."""
    session = event.data.session if isinstance(event.data, MessageArrived) else ""
    if not session or (state.live and _ongoing(state, event, session=session) is not None):
        return None
    for interaction in reversed(state.interactions):
        if interaction.session == session and interaction.account == event.account:
            # One that nothing ended was over with its conversation.
            over = event.time_ms <= interaction.ended_at_ms or not interaction.ended_at_ms
            return interaction if over else None
    return None


def _ongoing(state: Conversation, event: InboundEvent, *, session: str, identity: str = "") -> Interaction | None:
    for interaction in reversed(state.interactions):
        if interaction.ended_at_ms or interaction.account != event.account:
            continue
        if session and interaction.session == session:
            return interaction
        # One account may serve several channels, an app's chat and its pages: each is a contact of its own.
        if not session and identity and interaction.identity == identity and interaction.channel == event.channel:
            return interaction
    return None


_IN_CONTACT = (MessageReceived, InteractionStarted, AutomaticReplyReceived, ActivitySeen)


def number_of(state: Conversation, event: InboundEvent, decided: Sequence[AnyEvent]) -> int:
    """The number of the interaction that a decided event is part of."""
    for fact in decided:
        if isinstance(fact, _IN_CONTACT):
            return fact.interaction
    session = event.data.session if isinstance(event.data, InteractionBegan) else ""
    ongoing = _ongoing(state, event, session=session, identity=event.identities[0] if event.identities else "")
    return ongoing.number if ongoing else 0


def other_speaker(state: Conversation, event: InboundEvent, number: int) -> str:
    """Who says what the event says, where that is not the one whose contact it is said in; else empty. `number` is of
    the contact; one that is not in memory yet begins by the event, and is its own."""
    speaker = event.identities[0] if event.identities else ""
    contact = interaction_of(state, number)
    return speaker if contact is not None and contact.identity != speaker else ""
