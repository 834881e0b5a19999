"""What arrived outside: every reply that left the server, by its words, over mail, SMS and a chat's gateway client."""

from collections import Counter
from collections.abc import Iterable

from adapters.channels.fakes.mailbox import Mailbox
from adapters.channels.fakes.twilio_api import FakeTwilio
from orchestrator.client import GatewayClient
from protocol.events import AnyEvent, DeliveryDead, DeliverySent, DeliveryUncertain, MessageQueued

UNDER_WAY = "under way"


class Arrivals:
    """Counts by words. Chat deliveries are taken from their gateway client while `run` runs."""

    def __init__(self, mailbox: Mailbox, twilio: FakeTwilio) -> None:
        self._mailbox = mailbox
        self._twilio = twilio
        self._chat: Counter[str] = Counter()

    async def run(self, client: GatewayClient) -> None:
        """Takes what the client is given, and says that it was sent."""
        async for delivery in client.deliveries():
            self._chat[delivery.text] += 1
            client.delivered(delivery, "sent", external_id=f"chat-{delivery.delivery}-{delivery.attempt}")

    def counted(self) -> Counter[str]:
        """How often each reply arrived, anywhere."""
        letters = Counter(letter.text.strip() for letter in self._mailbox.letters)
        texts = Counter(message.body for message in self._twilio.messages)
        return letters + texts + self._chat


class Fate:
    """What the journal says of one delivery."""

    def __init__(self, queued: MessageQueued) -> None:
        self.queued = queued
        self.state = UNDER_WAY
        self.doubts = 0
        """How often it was uncertain whether an attempt had been made."""


def fates(events: Iterable[AnyEvent]) -> dict[str, Fate]:
    """By delivery; the events of a conversation in their order."""
    found: dict[str, Fate] = {}
    for event in events:
        match event:
            case MessageQueued():
                found[event.delivery] = Fate(event)
            case DeliverySent():
                found[event.delivery].state = "sent"
            case DeliveryUncertain():
                found[event.delivery].doubts += not event.earlier
                found[event.delivery].state = UNDER_WAY if event.retry_at_ms else "held"
            case DeliveryDead():
                found[event.delivery].state = "dead"
            case _:
                pass
    return found


def judged(deliveries: dict[str, Fate], arrived: Counter[str]) -> list[str]:
    """Where what arrived does not fit what the journal says: sent once, or visibly uncertain."""
    faults: list[str] = []
    for delivery, fate in deliveries.items():
        count = arrived[fate.queued.text]
        if count > 1 + fate.doubts:
            faults.append(f"delivery {delivery} arrived {count} times with {fate.doubts} doubts in the journal")
        if fate.state == "sent" and count == 0:
            faults.append(f"delivery {delivery} is said to be sent and never arrived")
        if fate.state == "dead" and count:
            faults.append(f"delivery {delivery} is said to be dead and arrived {count} times")
        if fate.state == UNDER_WAY:
            faults.append(f"delivery {delivery} was never settled")
    return faults
