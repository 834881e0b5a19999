"""Rehoming: which peers a cell has told that a customer's affairs have changed hands, and turns away since.

committed give     → Rehomed to every gateway and channel host; what each asks of the customer from then on is turned
                     away, until it says that it has heard (`Heard`): nothing asked before that may be overtaken
committed release  → Rehomed as well; each question of a member that has left is answered so (`belonging.py`)
"""

from collections.abc import Iterable

from actors.lines import Line
from protocol.links import AnyToCell, Heard, Rehomed, TakersAre, UnwatchConversation, UnwatchList, WatchList

_NOT_ANSWERED = (UnwatchConversation, UnwatchList, WatchList, Heard, TakersAre)


class Rehomings:
    """Bounded by the merges that peers have not heard of yet."""

    def __init__(self) -> None:
        self._turned: dict[tuple[str, str], Rehomed] = {}
        """By peer and customer."""

    def tell(self, fronts: Iterable[Line], said: Rehomed) -> None:
        """Tells all of them."""
        for line in fronts:
            line.send(said)
            self.said(line, said)

    def said(self, line: Line, said: Rehomed) -> None:
        """This peer was told: nothing that it asks of a customer that gave itself away is let in any more."""
        if said.home != said.customer:
            self._turned[(line.peer, said.customer)] = said

    def turns_away(self, line: Line, customer: str, message: AnyToCell) -> bool:
        """Whether the peer asked before it had heard; then it is told again."""
        said = self._turned.get((line.peer, customer)) if self._turned else None
        if said is None or isinstance(message, _NOT_ANSWERED):
            return False
        line.send(Rehomed(message.ref, customer, said.home, said.turn))
        return True

    def heard(self, line: Line, customer: str) -> None:
        """The peer has heard: what it asks from here on is let in."""
        self._turned.pop((line.peer, customer), None)

    def forget(self, peer: str) -> None:
        """The peer is a new life, which asks anew."""
        self._turned = {place: said for place, said in self._turned.items() if place[0] != peer}
