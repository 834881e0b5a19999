"""The past of a server: messages that its stores hold before a run begins, each a pure function of its number.

A customer of the past wrote `MESSAGES` times into one open conversation, in a queue that nobody of the run watches.
Any of them may come again as a repeat of an old event: its customer is known to the stores alone by then.
"""

from typing import Any

import msgspec
from msgspec import Struct

from protocol.inbound import InboundEvent

ACCOUNT = "past"
QUEUE = "past"
SOURCE = "benchmark:past"
MESSAGES = 37
EVENTS_EACH = MESSAGES + 3
"""Journal events of a customer: the conversation, the interaction and the identity begin once."""


class Past(Struct, frozen=True):
    """A past of `customers`; none of 0."""

    customers: int = 0
    text_bytes: int = 160

    @property
    def messages(self) -> int:
        """How many messages there are."""
        return self.customers * MESSAGES

    @property
    def events(self) -> int:
        """How many events the journal holds of them."""
        return self.customers * EVENTS_EACH

    def event(self, index: int, at_ms: int) -> dict[str, Any]:
        """A message as it goes on the wire. The server compares `data` alone, so its time may be another each time.

        Its id is below zero, so that it is none of the run's own numbers.
        """
        customer, message = divmod(index, MESSAGES)
        data = {"type": "throughline.message.received", "text": self._text(index)}
        if message == 0:
            data["subject"] = f"past {customer}"
        return {
            "id": str(-1 - index),
            "source": SOURCE,
            "time_ms": at_ms,
            "account": ACCOUNT,
            "channel": "chat",
            "identities": [identity_of(customer)],
            "data": data,
        }

    def arrived(self, index: int, at_ms: int) -> InboundEvent:
        """The same as the server has it."""
        return msgspec.convert(self.event(index, at_ms), InboundEvent)

    def _text(self, index: int) -> str:
        return (f"{index}: I wrote to you before, and I am still waiting for an answer. " * 64)[: self.text_bytes]


def past_of(events: int, *, text_bytes: int) -> Past:
    """A past of at least so many journal events."""
    return Past(-(-events // EVENTS_EACH), text_bytes)


def identity_of(customer: int) -> str:
    """What a customer of the past writes from."""
    return f"chat:past-{customer}"


def customer_id(customer: int) -> str:
    """Their id, of the usual length."""
    return f"cupast{customer:012d}"
