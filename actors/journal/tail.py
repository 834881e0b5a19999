"""The tail: which units the archive may not have yet, by customer, so that a journey can be loaded at any moment.

It keeps positions alone, about 60 bytes a unit; a load has the units read from the journal's file. So the archive may
be seconds of full load behind, and the events of these seconds are not held in memory.
"""

from collections import deque


class Tail:
    """Grows with commits, whose positions follow each other without a gap; shrinks as the archive says how far it
    is."""

    def __init__(self, position: int) -> None:
        self.first_known = position
        """It knows nothing of units up to here: they are assumed to be archived."""
        self.archived = position
        """All units up to here are in the archive, or will be when it has caught up with the start."""
        self.archived_word = 0
        """The newest position that the archive itself said."""
        self.events = 0
        """Events in the tail: how far the archive is behind."""
        self._first = position + 1
        """The position of the oldest unit in the tail."""
        self._units: deque[tuple[str, int]] = deque()
        """Each unit's customer and its count of events, the oldest first."""
        self._of: dict[str, list[int]] = {}

    def add(self, position: int, customer: str, events: int) -> None:
        """A unit was committed. The archive reads the journal's file, and may have had it before the journal knew."""
        if position <= self.archived:
            return
        if not self._units:
            self._first = position
        assert position == self._first + len(self._units), "a position was left out"
        self._units.append((customer, events))
        if mine := self._of.get(customer):
            mine.append(position)
        else:
            self._of[customer] = [position]
        self.events += events

    def archived_to(self, position: int) -> None:
        """The archive has everything up to `position`."""
        self.archived_word = max(self.archived_word, position)
        self.archived = max(self.archived, position)
        gone: dict[str, int] = {}
        while self._units and self._first <= position:
            customer, events = self._units.popleft()
            self._first += 1
            self.events -= events
            gone[customer] = gone.get(customer, 0) + 1
        for customer, count in gone.items():
            mine = self._of[customer]
            if count == len(mine):
                del self._of[customer]
            else:
                del mine[:count]

    def of(self, customer: str) -> list[int]:
        """The positions of the customer's units in the tail, ascending."""
        return list(self._of.get(customer, ()))
