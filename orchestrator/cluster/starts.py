"""Starts: which processes have served, and when one that never did is given up.

A process that has served is brought back for ever: what broke it then may be over. One that fails at each of its first
starts will fail at the next too, and the operator, who is there, must hear of it.
"""

from collections.abc import Iterable

FAILED_STARTS_MAX = 5
"""In a row, before the first success: with the waits between them about ten seconds."""


class Starts:
    """The starts of all processes of one node."""

    def __init__(self) -> None:
        self._served: set[str] = set()
        self._failed: dict[str, int] = {}

    def served(self, name: str) -> bool:
        """The process serves; whether it is for the first time."""
        first = name not in self._served
        self._served.add(name)
        return first

    def has_served(self, name: str) -> bool:
        """Whether it ever did."""
        return name in self._served

    def have_all_served(self, names: Iterable[str]) -> bool:
        """Whether each of them ever did."""
        return self._served.issuperset(names)

    def ended(self, name: str) -> bool:
        """The process ended unasked; whether it is to be given up."""
        if name in self._served:
            return False
        self._failed[name] = self._failed.get(name, 0) + 1
        return self._failed[name] >= FAILED_STARTS_MAX
