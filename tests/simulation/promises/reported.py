"""Promises 8 and 9, of what the provider says later: it is taken in, once, and what it says left is not sent again.

Whoever says that it left is right, so that nothing of it is in doubt from then on. An agent may be wrong who said
before that it did not; what is said of another message changes nothing here.
"""

from collections import Counter

from actors.commands.outcomes import NOT_LEFT
from actors.state.closing import CLOSED_MAX
from protocol.entities import Status
from protocol.events import DeliveryAttempted, DeliveryConfirmed, DeliveryDead, DeliverySent, DeliveryUncertain
from protocol.ids import conversation_of
from protocol.inbound import ARRIVED, DeliveryReport
from tests.simulation.sources import Offer
from tests.simulation.world import World

TAKEN = ("committed", "repeat")
Said = tuple[str, str, str]
"""Delivery, account, status."""


async def check(world: World) -> None:
    """Compares what was said with what the journal has of it."""
    if not world.plan.reported:
        return
    said: Counter[Said] = Counter()
    keys: set[int] = set()
    for offer in world.book.offers:
        if not isinstance(offer.event.data, DeliveryReport):
            continue
        if not await _is_gone(world, offer):
            _check_other(world, offer) if offer.event.id in world.reporting.others else _check_taken(world, offer)
        if offer.key in world.ledger.by_once and offer.key not in keys:
            keys.add(offer.key)
            said[offer.event.data.delivery, offer.event.account, offer.event.data.status] += 1
    noted: Counter[Said] = Counter()
    for stream in world.ledger.streams:
        for event in world.ledger.told(stream):
            if isinstance(event, DeliveryConfirmed) and event.actor.startswith("account:"):
                noted[event.delivery, event.actor.removeprefix("account:"), event.status] += 1
        _check_outcomes(world, stream)
    if noted != said:
        world.broken("once", f"reports that were taken, and that are journaled: {said - noted}, {noted - said}")


def _check_other(world: World, offer: Offer) -> None:
    """It is on another message, and means nothing."""
    taken = [answer for answer in offer.answers if not answer.startswith("refused")]
    if taken or offer.key in world.ledger.by_once:
        data, account = offer.event.data, offer.event.account
        world.broken("sent_once", f"{data} by {account} is on no message of that conversation, and was taken: {taken}")


def _check_taken(world: World, offer: Offer) -> None:
    """It is true."""
    if refused := [answer for answer in offer.answers if answer not in TAKEN]:
        world.broken("refused", f"{offer.event.data} is true, and was answered {refused}")


async def _is_gone(world: World, offer: Offer) -> bool:
    """Whether nobody here knows any more what left: the conversation was dropped, or left memory as one that closed too
    long ago; or whose it was is forgotten. By its id alone a report may be taken then, and may be refused."""
    assert isinstance(offer.event.data, DeliveryReport)
    conversation = conversation_of(offer.event.data.delivery)
    if await world.disks.archive.dropped("conversation", conversation) is not None:
        return True
    customer = world.ledger.customer(conversation)
    own = [each for each in world.ledger.streams if "-" in each and world.ledger.customer(each) == customer]
    over = [each for each in own if world.folds.views(each)[-1].status is Status.CLOSED]
    forgotten = any(world.ledger.is_redacted(conversation, seq + 1) for seq in range(world.ledger.head(conversation)))
    return forgotten or (conversation in over and len(over) > CLOSED_MAX)


def _check_outcomes(world: World, stream: str) -> None:
    known: set[str] = set()
    """Of which the provider said that they left."""
    denied: set[str] = set()
    """Of which an agent said that they did not, before the customer had them."""
    over: dict[str, str] = {}
    for event in world.ledger.told(stream):
        match event:
            case DeliveryConfirmed(delivery=delivery) if event.actor.startswith("account:"):
                known.add(delivery)
                if event.status in ARRIVED:
                    denied.discard(delivery)
            case DeliveryAttempted(delivery=delivery):
                if delivery in known - denied:
                    world.broken("sent_once", f"{stream}: {delivery} was reported on, and is sent again")
                over[delivery] = ""
            case DeliveryDead(delivery=delivery):
                over[delivery] = "dead"
                if event.code == NOT_LEFT:
                    denied.add(delivery)
            case DeliveryUncertain(delivery=delivery):
                over[delivery] = "" if event.retry_at_ms else "uncertain"
            case DeliverySent(delivery=delivery):
                over[delivery] = "sent"
            case _:
                pass
    for delivery in known - denied:
        if over.get(delivery) != "sent":
            world.broken("sent_once", f"{stream}: {delivery} was reported on, and is {over.get(delivery) or 'tried'}")
