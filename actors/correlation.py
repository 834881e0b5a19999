"""Correlation: which conversation an inbound event belongs to, as one pure function with a reason.

In this order: the delivery it reports on; a thread reference it answers; the contact (session) it is part of; the
customer's one open conversation, the newest where agents opened several; else a new one, related to the last.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from actors.conversation import Conversation
from protocol.entities import Relation, RelationKind
from protocol.ids import conversation_of
from protocol.inbound import (
    ActivityArrived,
    DeliveryReport,
    InboundEvent,
    InteractionBegan,
    InteractionStopped,
    MessageArrived,
)


class Correlated(Struct, frozen=True):
    """Where the event goes: an existing conversation's id, or empty for a new one with `relation` to an earlier."""

    conversation: str
    reason: str
    relation: Relation | None = None


def correlate(conversations: Mapping[str, Conversation], past: Sequence[str], event: InboundEvent) -> Correlated:
    """Finds the conversation of `event` among a customer's; `past` are ids of those that are over, oldest first."""
    if isinstance(event.data, DeliveryReport):
        return Correlated(conversation_of(event.data.delivery), "delivery")
    return (
        _by_reference(conversations, past, _references(event))
        or _by_session(conversations, event)
        or _by_openness(conversations)
        or _after_the_last(past)
    )


def _references(event: InboundEvent) -> Sequence[str]:
    return event.data.in_reply_to if isinstance(event.data, MessageArrived) else ()


def _by_reference(
    conversations: Mapping[str, Conversation], past: Sequence[str], references: Sequence[str]
) -> Correlated | None:
    for reference in references:
        for conversation in conversations.values():
            if conversation.live and reference in conversation.references:
                return Correlated(conversation.id, "thread reference")
        # Our own Message-IDs begin with the delivery's id, so they are known for as long as mails are kept.
        ours = conversation_of(reference.partition("@")[0])
        if ours in conversations and conversations[ours].live:
            return Correlated(ours, "thread reference")
        if ours in past:
            relation = Relation(kind=RelationKind.CONTINUES, conversation=ours, reason="answers a message of it")
            return Correlated("", "thread reference to a closed conversation", relation)
    return None


def _by_session(conversations: Mapping[str, Conversation], event: InboundEvent) -> Correlated | None:
    match event.data:
        case MessageArrived(session=session) | InteractionBegan(session=session) | InteractionStopped(session=session):
            pass
        case ActivityArrived() | DeliveryReport():
            return None
    if not session:
        return None
    for conversation in conversations.values():
        for interaction in conversation.interactions:
            if interaction.session == session and interaction.account == event.account and conversation.live:
                return Correlated(conversation.id, "session")
    return None


def _by_openness(conversations: Mapping[str, Conversation]) -> Correlated | None:
    live = [c for c in conversations.values() if c.live]
    match live:
        case []:
            return None
        case [only]:
            return Correlated(only.id, "the open conversation")
        case _:
            newest = max(live, key=lambda c: (c.updated_at_ms, c.id))
            return Correlated(newest.id, "the newest open conversation")


def _after_the_last(past: Sequence[str]) -> Correlated:
    if not past:
        return Correlated("", "first contact")
    relation = Relation(kind=RelationKind.FOLLOWS_UP, conversation=past[-1], reason="the customer's next contact")
    return Correlated("", "no conversation is open", relation)
