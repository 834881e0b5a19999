"""What customers say: numbered events, each a pure function of the run's name and its number.

    0 … customers-1     everyone's first message, sent before anything is measured: the live conversations
    after that          one in `new_every` is a stranger's first message, the others go on with a live conversation

    below 0             -1 - n is message n of the past (`benchmarks.inputs.past`), which only comes as a repeat

A number can be sent again at any time and is the same event then, byte for byte: so duplicates need no memory.
"""

import random
from typing import Any

from benchmarks.inputs.past import Past

NEW_EVERY = 10
"""Every tenth event is of a customer whom nobody knew, where a run does not say another number."""
REPEATS_PER_MILLE = 20
"""Events sent a second time, as channels do after a lost answer: 2%."""
PAST_IN_REPEATS = 10
"""Every tenth repeat is of the past, where there is one: its customer must be loaded from the stores."""
_STRIDE = 7919
"""A prime, so that successive events belong to customers far apart."""


class Traffic:
    """The events of one run."""

    def __init__(
        self,
        run: str,
        *,
        customers: int,
        account: str,
        text_bytes: int,
        began_ms: int,
        past: Past | None = None,
        new_every: int = NEW_EVERY,
    ) -> None:
        """With `new_every` 0 there are no strangers."""
        self.customers = customers
        self._new_every = new_every
        self.past = past or Past()
        self.source = f"benchmark:{run}"
        self._run = run
        self.account = account
        self._began_ms = began_ms
        self._filler = ("My last bill is higher than the one before, and I do not see why. " * 64)[:text_bytes]

    def is_new(self, number: int) -> bool:
        """Whether the event is the first of its customer."""
        return number < self.customers or (self._new_every > 0 and number % self._new_every == 0)

    def customer(self, number: int) -> int:
        """Whose event it is: a customer goes by the number of their first event."""
        if self.is_new(number):
            return number
        # Counted without the strangers' events, since a tenth of the customers would never be met otherwise.
        strangers = number // self._new_every if self._new_every else 0
        return (number - strangers) * _STRIDE % self.customers

    def subject(self, number: int) -> str:
        """The subject of a customer's first event, which shows in inboxes; empty for later ones."""
        return f"{self._run} {number}" if self.is_new(number) else ""

    def number_of_subject(self, subject: str) -> int | None:
        """The event that opened the conversation with this subject; None for one that is not of this run."""
        run, _, number = subject.rpartition(" ")
        return int(number) if run == self._run and number.isdigit() else None

    def event(self, number: int) -> dict[str, Any]:
        """The event as it goes on the wire."""
        if number < 0:
            return self.past.event(-1 - number, self._began_ms)
        data = {"type": "throughline.message.received", "text": self._filler}
        if subject := self.subject(number):
            data["subject"] = subject
        return {
            "id": str(number),
            "source": self.source,
            "time_ms": self._began_ms,
            "account": self.account,
            "channel": "chat",
            "identities": [f"chat:{self._run}-{self.customer(number)}"],
            "data": data,
        }


class Order:
    """The order in which numbers are handed out: ascending, with repeats of any earlier ones strewn in."""

    def __init__(self, *, first: int, seed: int, past: int = 0, repeats: bool = True) -> None:
        """`past`: how many messages of the past there are."""
        self._per_mille = REPEATS_PER_MILLE if repeats else 0
        self.next = first
        self._past = past
        self._random = random.Random(seed)

    def take(self) -> tuple[int, bool]:
        """The next number, and whether it is a repeat."""
        if self.next and self._random.randrange(1000) < self._per_mille:
            if self._past and self._random.randrange(PAST_IN_REPEATS) == 0:
                return -1 - self._random.randrange(self._past), True
            return self._random.randrange(self.next), True
        self.next += 1
        return self.next - 1, False
