"""Delivery: the outbox as decisions of the conversation. Pure.

    queued → attempting → sent                            (leaves the outbox)
                        → waiting → attempting …          (untaken: goes on as soon as a client of its account connects)
                        → waiting → attempting …          (failed, or uncertain where the policy retries)
                        → uncertain                       (held for a person; waits or is queued again should it surely
                                                           not have left)
                        → dead                            (refused, or out of attempts: an operator replays it)
                        → uncertain                       (the same, where an earlier attempt may have sent it)
    uncertain → sent or dead                              (by a person's word, its provider's or a late answer)

This file is the line: which message's turn it is, and when. What an attempt came to is decided in `outcomes.py`.

An attempt is journaled (`DeliveryAttempted`) before anything is sent: the shell acts on the committed event. On one
channel of a conversation one message is under way at a time, so that they leave in order; a dead or held one steps out
of the line, visibly, and does not stop the others. A dead letter surely did not leave, by none of its attempts: it is
sent again, and its conversation goes on elsewhere, without anybody's asking the provider. Of those whom nobody sends
again the oldest leave memory, where a conversation has as many messages as it may: they are said anew, if ever. Should
one turn out to have left all the same, it is sent.

An attempt that nobody was there to take is none of those that the policy gives, and the wait for someone has one end,
set the first time: a client that comes and goes neither uses the attempts up nor makes it wait for ever.
"""

import itertools
from collections.abc import Collection

from actors.state.conversation import DELIVERIES_MAX, Conversation
from protocol.entities import Delivery
from protocol.events import AnyEvent, DeliveryAttempted
from protocol.events.event import SYSTEM
from protocol.links import Attempt

_IN_LINE = ("attempting", "waiting")
_TO_LEAVE = ("queued", *_IN_LINE)


def attempt_first(state: Conversation, channel: str, delivery: str, now_ms: int) -> list[AnyEvent]:
    """Begins the attempt of a message that is being queued, perhaps anew, unless another on its channel is under way or
    ahead."""
    if in_line(state, channel):
        return []
    known = state.deliveries.get(delivery)
    attempt = known.attempt + 1 if known else 1
    return [DeliveryAttempted(at_ms=now_ms, actor=SYSTEM, delivery=delivery, attempt=attempt)]


def has_room(state: Conversation) -> bool:
    """Whether one more message may be queued: those that may still leave, or may have left, are bounded. Dead letters
    stand in nobody's way: the oldest leaves memory (`evolving`)."""
    known = state.deliveries.values()
    return len(known) < DELIVERIES_MAX or any(delivery.state == "dead" for delivery in known)


def in_line(state: Conversation, channel: str = "") -> bool:
    """Whether a message still has to leave, by itself; on this channel, where one is named."""
    return any(d.state in _TO_LEAVE and channel in ("", d.channel) for d in state.deliveries.values())


def next_in_line(state: Conversation, channel: str, done: Collection[Delivery], now_ms: int) -> list[AnyEvent]:
    """Begins the attempt whose turn it is when these are `done`, unless another on the channel is ahead."""
    others = [d for d in state.deliveries.values() if d.channel == channel and d not in done]
    if any(other.state in _IN_LINE for other in others):
        return []
    queued = (other for other in others if other.state == "queued")
    return [
        DeliveryAttempted(at_ms=now_ms, actor=SYSTEM, delivery=first.id, attempt=first.attempt + 1)
        for first in itertools.islice(queued, 1)
    ]


def under_way(state: Conversation, id: str) -> bool:
    """Whether an attempt of the message is made now."""
    delivery = state.deliveries.get(id)
    return delivery is not None and delivery.state == "attempting"


def untried(state: Conversation, id: str) -> bool:
    """Whether no attempt of the message was made yet."""
    delivery = state.deliveries.get(id)
    return delivery is not None and delivery.attempt == 0


def decide_due(state: Conversation, now_ms: int, taken: Collection[str] = ()) -> list[AnyEvent]:
    """The attempts whose time has come; of those that nobody took it has where their account is among `taken`."""
    return [
        DeliveryAttempted(at_ms=now_ms, actor=SYSTEM, delivery=delivery.id, attempt=delivery.attempt + 1)
        for delivery in state.deliveries.values()
        if delivery.state == "waiting" and (delivery.next_at_ms <= now_ms or awaits_taker(delivery, taken))
    ]


def awaits_taker(delivery: Delivery, taken: Collection[str]) -> bool:
    """Whether it waits for one of these accounts to be taken."""
    return delivery.state == "waiting" and delivery.untaken_until_ms > 0 and delivery.account in taken


def untaken(state: Conversation) -> list[str]:
    """The accounts that its deliveries wait for someone to take."""
    return [d.account for d in state.deliveries.values() if d.state == "waiting" and d.untaken_until_ms]


def next_due_ms(state: Conversation) -> int | None:
    """When `decide_due` next has something to decide."""
    return min((d.next_at_ms for d in state.deliveries.values() if d.state == "waiting"), default=None)


def attempt_of(state: Conversation, delivery: str, *, again: bool) -> Attempt | None:
    """The attempt under way, for whoever makes it; None where it is over."""
    found = state.deliveries.get(delivery)
    if found is None or found.state != "attempting":
        return None
    return Attempt(
        customer=state.customer,
        conversation=state.id,
        delivery=found.id,
        number=found.attempt,
        channel=found.channel,
        account=found.account,
        to=found.to,
        text=found.text,
        subject=found.subject,
        references=found.references,
        again=again,
        automatic=found.author == SYSTEM,
    )
