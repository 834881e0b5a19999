"""Astray: inputs whose identity is not, or no longer, the customer's, and what a cell turns away behind them.

answered `Unlinked`     what its asker has sent already, and shares an identity with it, is answered so too. Decided
                        here it would overtake that input, even where the identity is the customer's, or is so again
sent here once more     the asker has heard (`Input.heard`), and holds all that it sent meanwhile: it is let in
"""

from actors.cells.live import Envelope
from protocol.links import Input, Unlinked
from protocol.oldest import forget_oldest

ASTRAY_MAX = 10_000
"""Identities of inputs that did not come again, the oldest going first. Mostly those inputs went to other customers;
the next one with such an identity is turned away once, needlessly. Where one is forgotten, order may be lost."""


class Astray:
    """Of one cell. Each gateway or channel host has its own order."""

    def __init__(self) -> None:
        self.refs: dict[tuple[str, str, str], int] = {}
        """By peer, customer and identity: the newest input that was turned away with it. Others only look whether there
        are any, for each message."""

    def turned_away(self, envelope: Envelope, unlinked: Unlinked) -> None:
        """Notes that the input was answered so. Not one with `apart`: it has no identity left that says it is of this
        customer, and no later input can overtake it here."""
        message = envelope.message
        if envelope.line is None or not isinstance(message, Input) or unlinked.apart:
            return
        for place in [(envelope.line.peer, message.customer, identity) for identity in message.identities]:
            self.refs.pop(place, None)
            self.refs[place] = message.ref
        forget_oldest(self.refs, ASTRAY_MAX)

    def answer_to(self, envelope: Envelope) -> Unlinked | None:
        """The answer to an input that would overtake one that was turned away; None for every other message."""
        message = envelope.message
        if envelope.line is None or not isinstance(message, Input):
            return None
        places = [(envelope.line.peer, message.customer, identity) for identity in message.identities]
        for place in places:
            if self.refs.get(place, 0) > message.heard:
                return Unlinked(message.ref, place[2], message.customer)
        for place in places:
            self.refs.pop(place, None)
        return None

    def forget(self, peer: str) -> None:
        """The peer is a new life, which asks anew."""
        self.refs = {place: ref for place, ref in self.refs.items() if place[0] != peer}
