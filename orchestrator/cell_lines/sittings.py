"""Sittings: in dedicated placement, questions whose customers come to a cell and leave it.

    joined, gone          there is such a cell, or none any more: its customers are looked for
    displaced             another customer has that cell: what was asked of it may still be answered, or denied
    moved                 the customer has a cell: all that is unanswered goes there
    elsewhere             a cell denies a customer: it, and all that followed, wait for the next cell

While a customer has no cell its questions wait (`homeless.py`). Who sits where is known to `Places`.
"""

from collections.abc import Callable

from orchestrator.cell_lines.asking import Asking, answer
from orchestrator.cell_lines.deciders import Deciders
from orchestrator.cell_lines.places import NOWHERE, Places
from protocol.links import ForSitting, ListWatched, WatchList

LEFT_MAX = 64
"""Customers that left one cell, and that it may not have told of. Each left in a blob of its own, and a pipe
acknowledges after 32 blobs at the latest: this is twice as many."""


class Sittings:
    """`say_moved` tells those who watch a customer that it has another cell now."""

    def __init__(self, asking: Asking, deciders: Deciders, places: Places, say_moved: Callable[[str], None]) -> None:
        self._asking = asking
        self._deciders = deciders
        self._places = places
        self._say_moved = say_moved
        self._left: dict[int, dict[str, None]] = {}
        """By cell: customers that left it, the newest last. If it dies, what it said of them last may be lost."""

    # Cells

    def joined(self, index: int) -> None:
        """There is such a cell from now on; its line will open."""
        self._asking.add(index)

    def gone(self, index: int, *, lost: bool) -> None:
        """There is no such cell any more: its customers are looked for, and no list of it has anything to show. `lost`:
        what it said last may not have arrived."""
        customers, of_the_cell = self._asking.remove(index)
        self._deciders.forget(index)
        for ref, (question, done) in of_the_cell.items():
            if isinstance(question, WatchList):
                done(ListWatched(ref, question.list, 0))
        for customer in customers:
            self._places.look_for(customer)
        self._look_for_lingering(index)
        if lost:
            self._look_after_left(index)
        self._left.pop(index, None)

    def named_at(self, index: int) -> None:
        """Tells a cell in which sitting it is asked from here on."""
        line = self._asking.lines[index]
        if line is not None:
            line.send(ForSitting(self._places.sitting_at(index)))

    def renewed(self, index: int) -> None:
        """The cell is a new life: it knows nothing of customers that left, nor of what they asked."""
        self._look_for_lingering(index)
        self._look_after_left(index)

    # Customers

    def displaced(self, customer: str, index: int) -> None:
        """Another customer has that cell now. The cell has answered what was asked for this one, or will deny it; but
        that comes by its own pipe, perhaps after this, which the usher's pipe said."""
        self._asking.unseat(customer, index, lingers=True)
        left = self._left.setdefault(index, {})
        left.pop(customer, None)
        left[customer] = None
        if len(left) > LEFT_MAX:
            del left[next(iter(left))]

    def moved(self, customer: str, index: int, *, before: int) -> None:
        """The customer has that cell from now on: all that is unanswered goes there, in order, also what was asked of
        the cell `before`, which is this one where the customer left it and came back.

        Each question gets a new ref. Should the former asking be answered or denied all the same, that counts for
        nothing: the cell knows what was committed, and a denial of then says nothing of now.
        """
        if before != NOWHERE:
            self._asking.unseat(customer, before)
        self.named_at(index)
        overtaking = self._asking.seat(customer, index)
        self._say_moved(customer)
        answer(overtaking)

    def elsewhere(self, index: int, ref: int) -> None:
        """The cell does not have the question's customer: it, and all that followed it, wait for the next cell."""
        customer = self._asking.whose(index, ref)
        if customer is not None:
            self._asking.unseat(customer, index)
            self._places.denied(customer, index)
        elif (lingering := self._asking.denied(ref)) is not None:
            self._places.look_for(lingering)

    def _look_for_lingering(self, index: int) -> None:
        for customer in self._asking.ended(index):
            self._places.look_for(customer)

    def _look_after_left(self, index: int) -> None:
        """Whoever watches a customer that left this cell asks again, unless it did so where the customer sits now."""
        for customer in self._left.pop(index, {}):
            if self._asking.place(customer) == NOWHERE:
                self._say_moved(customer)
