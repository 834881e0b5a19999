"""Deliveries: sent once, or visibly uncertain. The provider's own record against the journal."""

from collections import Counter, defaultdict

from protocol.events import (
    AnyEvent,
    DeliveryAttempted,
    DeliveryDead,
    DeliveryFailed,
    DeliveryReplayed,
    DeliverySent,
    DeliveryUncertain,
    MessageQueued,
)
from tests.simulation.promises.imported import sent_then
from tests.simulation.reporting import OPERATOR
from tests.simulation.world import World


def check(world: World) -> None:
    """Each message that really left was asked for, and left once but for what is said to be uncertain."""
    left: dict[str, Counter[int]] = defaultdict(Counter)
    for sending in world.provider.sent:
        left[sending.delivery][sending.attempt] += 1
        queued = [e for e in world.ledger.delivery_events(sending.delivery) if isinstance(e, MessageQueued)]
        if [(e.text, e.to, e.account) for e in queued] != [(sending.text, sending.to, sending.account)]:
            world.broken("sent_once", f"{sending.delivery} left and was not queued so")
    for delivery, attempts in left.items():
        events = world.ledger.delivery_events(delivery)
        again = sum(isinstance(event, DeliveryReplayed) or _doubts_the_newest(event) for event in events)
        if sum(attempts.values()) > 1 + again:
            world.broken("sent_once", f"{delivery} left {sum(attempts.values())} times, {again} of them accounted for")
        if max(attempts.values()) > 1:
            world.broken("sent_once", f"{delivery} left twice for one attempt: {dict(attempts)}")
    _check_outcomes(world, left)


def _doubts_the_newest(event: AnyEvent) -> bool:
    """Whether it says of the newest attempt that it may have left."""
    return isinstance(event, DeliveryUncertain) and not event.earlier


def _may_be_wrong(world: World, dead: DeliveryDead, left: Counter[int]) -> bool:
    """Whether a person said so who does not know it; an operator knows what had left by then."""
    if dead.actor == OPERATOR:
        return sum(left.values()) > world.reporting.looked.get(dead.delivery, 0)
    return dead.actor.startswith("agent:")


def _check_outcomes(world: World, left: dict[str, Counter[int]]) -> None:
    """What the journal says became of each. Where an agent says whether it left, that is the agent's word."""
    for stream in world.ledger.streams:
        attempt: dict[str, int] = {}
        newest: dict[str, int] = {}
        vouched: dict[str, int] = {}
        sent: set[str] = set()
        told = world.ledger.told(stream)
        before = sent_then(told)
        for event in told:
            delivery = getattr(event, "delivery", "")
            attempt[delivery] = getattr(event, "attempt", attempt.get(delivery, 0))
            newest[delivery] = getattr(event, "attempt", newest.get(delivery, 0))
            if isinstance(event, DeliveryAttempted | DeliveryReplayed) and delivery in sent:
                world.broken("sent_once", f"{stream}: {delivery} is said to be sent, and was sent again")
            if isinstance(event, DeliveryReplayed):
                attempt[delivery] = 0  # What is said of it from here on is of a next attempt, or of none.
            if isinstance(event, DeliverySent):
                sent.add(delivery)
                if not left[delivery] and delivery not in before and not event.actor.startswith("agent:"):
                    world.broken("sent_once", f"{stream}: {delivery} is said to be sent, and never left")
            if isinstance(event, DeliveryDead) and _may_be_wrong(world, event, left[delivery]):
                vouched[delivery] = newest[delivery]
                continue
            if isinstance(event, DeliveryFailed | DeliveryDead) and left[delivery][attempt[delivery]]:
                world.broken("sent_once", f"{stream}: {delivery} left, and its attempt is said to have failed")
            unvouched = range(vouched.get(delivery, 0) + 1, newest[delivery] + 1)
            if isinstance(event, DeliveryDead) and any(left[delivery][each] for each in unvouched):
                world.broken("sent_once", f"{stream}: {delivery} left by an earlier attempt, and is a dead letter")
