"""Places: where customers are, when that is no matter of their shards."""

from typing import Protocol

from protocol.links import TakersAre

NOWHERE = -1
"""The index of a customer's cell while it has none."""


class Places(Protocol):
    """Where customers are, when that is no matter of their shards. What it learns it says to `Sittings`."""

    def cell_of(self, customer: str, /) -> int:
        """The index of the customer's cell; `NOWHERE` while none is known: `look_for` finds one."""
        ...

    def sitting_at(self, index: int) -> str:
        """How that cell calls the time for which it has the customer that it is known to have."""
        ...

    def look_for(self, customer: str) -> None:
        """The customer is to have a cell."""
        ...

    def denied(self, customer: str, index: int) -> None:
        """That cell says that it does not have the customer; also to be looked for."""
        ...

    def takers_are(self, accounts: TakersAre, /) -> None:
        """Whoever wakes customers is to know that these accounts' deliveries are taken."""
        ...

    def unreachable(self) -> list[str]:
        """Whose pipe is down, though customers cannot be found without."""
        ...
