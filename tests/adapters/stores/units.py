"""Commit units for tests of the journal: small, and each recognisable by its body."""

from collections.abc import Sequence

from msgspec import msgpack

from protocol.journal import FamilyStep, Fence, Unit

AT_MS = 1_700_000_000_000


class Writer:
    """One scope's writer: numbers its units as a cell does."""

    def __init__(self, fence: Fence) -> None:
        self.scope = fence.scope
        self.epoch = fence.epoch
        self.batch = fence.batch

    def unit(
        self,
        customer: str,
        *identities: str,
        at_ms: int = AT_MS,
        released: Sequence[tuple[str, bytes]] = (),
        inherits: Sequence[tuple[str, int]] = (),
        family: Sequence[FamilyStep] = (),
    ) -> Unit:
        """The scope's next unit."""
        self.batch += 1
        body = msgpack.encode(f"{self.scope}/{self.epoch}/{self.batch}")
        return Unit(
            self.scope, self.epoch, self.batch, customer, at_ms, list(identities), 1, body,
            list(released), list(inherits), list(family),
        )  # fmt: skip
