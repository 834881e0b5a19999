"""Handed out: the deliveries that a gateway client's application was given, and what became of them.

A delivery is handed out once, over any number of connections. What became of it is remembered, so that a repeated
`deliver` is answered and not sent to the customer again. It is remembered with the delivery's words: after a restore
from a backup (the `welcome` names another generation) the server may give the id to another message.
"""

from collections.abc import Sequence

import msgspec

from protocol.frames import Deliver, Delivered
from protocol.oldest import forget_oldest

OUTCOMES_MAX = 10_000
"""Outcomes of deliveries remembered; a server repeats one within minutes, and older ones are of no use."""

_Attempt = tuple[str, int]
"""A delivery's id, and which attempt it is."""


class HandedOut:
    """One client's deliveries."""

    def __init__(self) -> None:
        self._working: dict[_Attempt, int] = {}
        """What the application has, with the hash of its words."""
        self._former: dict[_Attempt, int] = {}
        """What it was given by a former generation and has not answered: nobody has asked for its outcome since."""
        self._outcomes: dict[str, tuple[int, Delivered]] = {}
        """The newest outcome of each delivery and the hash of its words, the longest unchanged first."""
        self._unsaid: list[Delivered] = []

    @property
    def idle(self) -> bool:
        """Whether the application owes no outcome."""
        return not self._working

    def take(self, frame: Deliver, *, room: bool) -> Deliver | Delivered | None:
        """A `deliver` came. Returns it where it is to be handed out; what answers it, where its outcome is known, or
        there is no `room` for it (`failed`: surely not sent, to be tried later); None where the application has it."""
        attempt, words = (frame.delivery, frame.attempt), _words(frame)
        known_words, known = self._outcomes.get(frame.delivery, (words, None))
        # What was sent stays sent, whatever attempt asks; another outcome answers its own attempt alone.
        if known and known_words == words and (known.status == "sent" or known.attempt == frame.attempt):
            return msgspec.structs.replace(known, attempt=frame.attempt)
        if self._working.get(attempt) == words:
            return None
        if self._former.get(attempt) == words:
            self._working[attempt] = self._former.pop(attempt)
            return None
        if not room:
            reason = "the client has too many deliveries waiting"
            return Delivered(delivery=frame.delivery, attempt=frame.attempt, status="failed", reason=reason)
        self._working[attempt] = words
        return frame

    def settle(self, delivery: Deliver, outcome: Delivered, *, connected: bool) -> Sequence[Delivered]:
        """The application says what became of a delivery. Returns what is to be said now; what is not waits for the
        next connection, or, of a former generation's delivery, until it is asked for again."""
        attempt, words = (delivery.delivery, delivery.attempt), _words(delivery)
        if self._working.get(attempt) != words and self._former.get(attempt) == words:
            # Said, it would be taken for the outcome of whatever message has this id by now.
            del self._former[attempt]
            self._outcomes.setdefault(delivery.delivery, (words, outcome))
            return ()
        self._working.pop(attempt, None)
        self._outcomes.pop(delivery.delivery, None)
        self._outcomes[delivery.delivery] = (words, outcome)
        forget_oldest(self._outcomes, OUTCOMES_MAX)
        if connected:
            return (outcome,)
        self._unsaid.append(outcome)
        return ()

    def unsaid(self) -> Sequence[Delivered]:
        """Takes the outcomes that no connection was there to say."""
        unsaid, self._unsaid = self._unsaid, []
        return unsaid

    def begin_generation(self) -> None:
        """The journal is another one: what is owed to the former is owed to nobody."""
        self._former.update(self._working)
        forget_oldest(self._former, OUTCOMES_MAX)
        self._working.clear()
        self._unsaid.clear()


def _words(delivery: Deliver) -> int:
    """What tells a message from another one under its id; in this process alone."""
    return hash((delivery.to, delivery.text, delivery.subject))
