"""Importing: a contact of the past, as the facts it would have left. Pure.

It comes in closed, at its own times: it is nobody's work, rings nobody, and what was sent is not sent again. That it
was imported is a fact of now, in the customer's own stream, and carries the once-key. All of it is decided in one unit.
"""

from collections.abc import Iterable

import msgspec

from actors.rules.policy import Policy
from actors.tags.about import tagged
from actors.tags.tagging import merged, tags_of
from protocol.entities import Direction, Tags
from protocol.events import (
    AnyEvent,
    ConversationClosed,
    ConversationOpened,
    DeliverySent,
    InteractionEnded,
    InteractionStarted,
    MessageQueued,
    MessageReceived,
    PastImported,
)
from protocol.events.event import CUSTOMER, SYSTEM
from protocol.inbound import InboundEvent, InteractionBegan, MessageArrived, PastConversation, PastMessage

IMPORTED = "imported"
"""The actor of the opening and the reason of the closing: the journey goes on with what is now, and puts it among what
is over by its time and not by its arrival."""


def decide(
    event: InboundEvent, past: PastConversation, customer: str, conversation: str, policy: Policy, now_ms: int
) -> list[tuple[str, AnyEvent]]:
    """The facts, with their streams: of the customer first, then of the new `conversation`."""
    own = PastImported(
        at_ms=now_ms,
        actor=f"account:{event.account}",
        policy=policy.version,
        source=event.source,
        id=event.id,
        conversation=conversation,
    )
    return [(customer, own), *((conversation, fact) for fact in _facts(event, past, customer, conversation, policy))]


def _facts(
    event: InboundEvent, past: PastConversation, customer: str, conversation: str, policy: Policy
) -> Iterable[AnyEvent]:
    messages = sorted(past.messages, key=_at_ms)
    begun_ms = min(event.time_ms, messages[0].at_ms) if messages else event.time_ms
    ended_ms = max(past.ended_ms, begun_ms, messages[-1].at_ms if messages else 0)
    outbound = bool(messages) and messages[0].direction is Direction.OUTBOUND
    identity = event.identities[0]
    yield ConversationOpened(
        at_ms=begun_ms,
        actor=IMPORTED,
        policy=policy.version,
        customer=customer,
        queue=past.queue or policy.queues.get(event.account, policy.queue_default),
        subject=past.subject,
    )
    yield InteractionStarted(
        at_ms=begun_ms,
        actor=CUSTOMER,
        interaction=1,
        channel=event.channel,
        account=event.account,
        identity=identity,
        direction=Direction.OUTBOUND if outbound else Direction.INBOUND,
    )
    seq, known = 2, None
    if not messages:
        found = _about(event, InteractionBegan(subject=past.subject), policy)
        yield from tagged(1, None, found, actor=SYSTEM, now_ms=begun_ms)
    for n, message in enumerate(messages, start=1):
        said = _said(event, message, f"{event.id}#{n}", f"{conversation}.{seq + 1}", identity)
        if message.direction is Direction.INBOUND:
            words = MessageArrived(text=message.text, subject="" if known else past.subject)
            found = _about(event, words, policy)
            said += tagged(1, known, found, actor=SYSTEM, now_ms=message.at_ms)
            known = merged(known, found)
        seq += len(said)
        yield from said
    yield InteractionEnded(at_ms=ended_ms, actor=SYSTEM, interaction=1, reason=IMPORTED)
    yield ConversationClosed(at_ms=ended_ms, actor=SYSTEM, reason=IMPORTED)


def _about(event: InboundEvent, data: MessageArrived | InteractionBegan, policy: Policy) -> Tags:
    """What it says what it is about, by the taxonomy of now: the next contact about the same finds it by that."""
    return tags_of(msgspec.structs.replace(event, data=data), policy.taxonomy)


def _said(event: InboundEvent, message: PastMessage, id: str, delivery: str, identity: str) -> list[AnyEvent]:
    """A message; one of ours was sent then, and is never to be."""
    if message.direction is Direction.INBOUND:
        received = MessageReceived(
            at_ms=message.at_ms,
            actor=CUSTOMER,
            interaction=1,
            channel=event.channel,
            identity=identity,
            source=event.source,
            id=id,
            provider_ms=message.at_ms,
            text=message.text,
        )
        return [received]
    queued = MessageQueued(
        at_ms=message.at_ms,
        actor=f"agent:{message.author}" if message.author else SYSTEM,
        interaction=1,
        delivery=delivery,
        channel=event.channel,
        account=event.account,
        to=identity,
        text=message.text,
    )
    return [queued, DeliverySent(at_ms=message.at_ms, actor=SYSTEM, delivery=delivery)]


def _at_ms(message: PastMessage) -> int:
    return message.at_ms
