"""Homeless questions: those of customers that have no cell now, in dedicated placement.

asked while the customer has no seat            wait for its next seat
asked of a seat that another customer got       wait as well; but the seat may have answered before it let go, and
                                                the answer be on its way: the question lingers there, until it is
                                                answered, denied, or asked at the next seat
"""

from collections.abc import Callable, Collection

from orchestrator.cell_lines.questions import Asked, Done
from protocol.links import AnyToCell


class Homeless:
    """The questions of one gateway or channel host. Bounded by the inputs that it lets in."""

    def __init__(self) -> None:
        self._of: dict[str, Asked] = {}
        self._lingering: dict[int, tuple[str, int]] = {}
        """By ref: the customer, and the cell that may still answer."""

    def __len__(self) -> int:
        return sum(map(len, self._of.values()))

    def add(self, customer: str, asked: Asked, *, lingers_at: int | None = None) -> None:
        """These wait for the customer's next cell; one that had them may still answer."""
        if asked:
            self._of.setdefault(customer, {}).update(asked)
            if lingers_at is not None:
                self._lingering.update(dict.fromkeys(asked, (customer, lingers_at)))

    def of(self, customer: str) -> list[tuple[AnyToCell, Done]]:
        """The customer's."""
        return list(self._of.get(customer, {}).values())

    def take(self, customer: str) -> Asked:
        """Takes out the customer's, which are to be asked now."""
        asked = self._of.pop(customer, {})
        for ref in asked:
            self._lingering.pop(ref, None)
        return asked

    def take_some(self, customer: str, refs: Collection[int]) -> Asked:
        """Takes out those of the customer's with these refs, which no cell was asked yet."""
        asked = self._of.get(customer, {})
        found = {ref: asked.pop(ref) for ref in refs if ref in asked}
        if not asked:
            self._of.pop(customer, None)
        return found

    def take_about(self, is_about: Callable[[int, AnyToCell], bool]) -> Asked:
        """Takes out those that are about somebody, whosever they wait for."""
        found = {ref: each for asked in self._of.values() for ref, each in asked.items() if is_about(ref, each[0])}
        for customer in list(self._of) if found else ():
            self._of[customer] = {ref: each for ref, each in self._of[customer].items() if ref not in found}
            if not self._of[customer]:
                del self._of[customer]
        for ref in found:
            self._lingering.pop(ref, None)
        return found

    def answered(self, ref: int) -> Done | None:
        """A former cell has answered: who asked, unless that was asked elsewhere by now."""
        customer = self.denied(ref)
        if customer is None:
            return None
        _, done = self._of[customer].pop(ref)
        if not self._of[customer]:
            del self._of[customer]
        return done

    def denied(self, ref: int) -> str | None:
        """A former cell will not answer: the customer, unless that was asked elsewhere by now."""
        customer, _ = self._lingering.pop(ref, (None, 0))
        return customer

    def ended(self, index: int) -> list[str]:
        """A cell will answer nothing of what it was asked before: whose questions lingered there."""
        refs = [ref for ref, (_, cell) in self._lingering.items() if cell == index]
        return list(dict.fromkeys(self._lingering.pop(ref)[0] for ref in refs))
