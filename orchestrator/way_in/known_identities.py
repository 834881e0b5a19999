"""Known identities: whose an identity is, as far as memory goes. Bounded; the longest unused go first.

Two generations: what is asked for moves from the old one to the young one, and when that is full it becomes the old one
and what the old one still had is forgotten. So a hit costs one look into a dictionary, and an entry nothing but itself.
"""

KEPT_MAX = 200_000
"""In both generations together; about 250 bytes each."""


class KnownIdentities:
    """Identity → customer."""

    def __init__(self, kept_max: int = KEPT_MAX) -> None:
        self._generation_max = kept_max // 2
        self._young: dict[str, str] = {}
        self._old: dict[str, str] = {}

    def __contains__(self, identity: str) -> bool:
        return identity in self._young or identity in self._old

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, identity: str) -> str | None:
        """The identity's customer; None where memory does not know."""
        customer = self._young.get(identity)
        if customer is not None or (customer := self._old.get(identity)) is None:
            return customer
        # A look forgets nothing, so that of several identities of one event all that were there are found.
        if len(self._young) < self._generation_max:
            self._young[identity] = self._old.pop(identity)
        return customer

    def learn(self, identity: str, customer: str) -> None:
        """The identity is this customer's."""
        self._old.pop(identity, None)
        self._young[identity] = customer
        if len(self._young) > self._generation_max:
            self._young, self._old = {}, self._young

    def forget(self, identity: str) -> None:
        """It may be anyone's."""
        self._young.pop(identity, None)
        self._old.pop(identity, None)

    def clear(self) -> None:
        """Forgets all."""
        self._young, self._old = {}, {}
