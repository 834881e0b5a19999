"""Timers: which durable timers an event sets and clears.

They are the `timer` rows, which find the conversations that are not live; what a live one waits for, its state says
(`actors.state.journey.next_due_ms`). A timer is named by its stream and its kind:

    wake              end of a snooze
    rest:<number>     when a contact may have rested, where the policy has time end it
    close             end of the time a resolved conversation waits for the customer's next word
    handoff           end of an open offer's lease
    delivery:<id>     a delivery that is queued, in flight, or waiting for its next attempt

A queued delivery and one in flight are due at once: nobody waits for them in a running server, but after a restart
whatever is due is looked at, and that is how they are found.
"""

from protocol.events import (
    AnyEvent,
    ConversationClosed,
    ConversationReopened,
    ConversationResolved,
    ConversationSnoozed,
    ConversationWoken,
    DeliveryAttempted,
    DeliveryDead,
    DeliveryFailed,
    DeliveryReplayed,
    DeliverySent,
    DeliveryUncertain,
    HandoffAccepted,
    HandoffDeclined,
    HandoffExpired,
    HandoffOffered,
    HandoffWithdrawn,
    InteractionEnded,
    InteractionMoved,
    InteractionReceived,
    InteractionStarted,
    InteractionWentOn,
    MessageQueued,
)

WAKE = "wake"
CLOSE = "close"
HANDOFF = "handoff"


def delivery_timer(delivery: str) -> str:
    """The kind of a delivery's timer."""
    return f"delivery:{delivery}"


def rest_timer(interaction: int) -> str:
    """The kind of a contact's timer."""
    return f"rest:{interaction}"


def timer_changes(event: AnyEvent) -> list[tuple[str, int | None]]:
    """The timers that `event` sets (kind, due in ms since 1970 UTC) and clears (kind, None) in its stream.

    Clearing one that is not set changes nothing. The most frequent come first: each case that is tried in vain takes
    0.1 µs.
    """
    match event:
        case MessageQueued() | DeliveryAttempted() | DeliveryReplayed():
            return [(delivery_timer(event.delivery), event.at_ms)]
        case DeliverySent() | DeliveryDead():
            return [(delivery_timer(event.delivery), None)]
        case InteractionStarted(rest_at_ms=rest_at_ms) | InteractionWentOn(rest_at_ms=rest_at_ms):
            return [(rest_timer(event.interaction), rest_at_ms)] if rest_at_ms else []
        case ConversationSnoozed():
            return [(WAKE, event.until_ms), (CLOSE, None)]
        case ConversationWoken():
            return [(WAKE, None)]
        case ConversationResolved():
            return [(WAKE, None), (CLOSE, event.close_at_ms)]
        case ConversationReopened() | ConversationClosed():
            return [(WAKE, None), (CLOSE, None)]
        case InteractionEnded() | InteractionMoved():
            return [(rest_timer(event.interaction), None)]
        case InteractionReceived(interaction=came):
            return [(rest_timer(came.number), came.rest_at_ms)] if came.rest_at_ms and not came.ended_at_ms else []
        case DeliveryFailed() | DeliveryUncertain():
            # 0 is no time: held for a person, or its turn comes with the line's.
            return [(delivery_timer(event.delivery), event.retry_at_ms or None)]
        case HandoffOffered():
            return [(HANDOFF, event.expires_at_ms)]
        case HandoffAccepted() | HandoffDeclined() | HandoffExpired() | HandoffWithdrawn():
            return [(HANDOFF, None)]
        case _:
            return []


TIMED = frozenset(
    {
        ConversationClosed,
        ConversationReopened,
        ConversationResolved,
        ConversationSnoozed,
        ConversationWoken,
        DeliveryAttempted,
        DeliveryDead,
        DeliveryFailed,
        DeliveryReplayed,
        DeliverySent,
        DeliveryUncertain,
        HandoffAccepted,
        HandoffDeclined,
        HandoffExpired,
        HandoffOffered,
        HandoffWithdrawn,
        InteractionEnded,
        InteractionMoved,
        InteractionReceived,
        InteractionStarted,
        InteractionWentOn,
        MessageQueued,
    }
)
"""Those that set or clear any: of every other event nobody need ask."""
