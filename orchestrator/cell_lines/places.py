"""Places: which cell has a customer, in dedicated placement, where the shard does not say."""

from typing import Protocol

from protocol.links import TakersAre

NOWHERE = -1
"""The index of a customer's cell while it has none."""


class Places(Protocol):
    """Which cell has which customer. What it learns it tells `Sittings`."""

    def cell_of(self, customer: str, /) -> int:
        """The index of the customer's cell; `NOWHERE` while none is known: `look_for` finds one."""
        ...

    def sitting_at(self, index: int) -> str:
        """The name of that cell's present sitting, as far as is known (see `actors.seats.seat`)."""
        ...

    def look_for(self, customer: str) -> None:
        """Has a cell found for the customer."""
        ...

    def denied(self, customer: str, index: int) -> None:
        """That cell says that it does not have the customer; has another one found."""
        ...

    def takers_are(self, accounts: TakersAre, /) -> None:
        """Tells whoever wakes customers that these accounts' deliveries are taken."""
        ...

    def unreachable(self) -> list[str]:
        """Names of the parts without which customers cannot be found, and whose pipe is down."""
        ...
