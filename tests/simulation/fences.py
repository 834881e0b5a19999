"""Fences, watched from outside the store: who may write a scope, by what the store itself said."""

from collections.abc import Callable, Sequence

from protocol.journal import Committed, Fence, Stale, Unit, Verdict


class Fences:
    """Checks every commit against the newest fence of its scope, and counts its batches."""

    def __init__(self, broken: Callable[[str, str], None]) -> None:
        self._broken = broken
        self._fences: dict[str, Fence] = {}
        self.stale = 0
        """Units that the store refused to a former writer."""

    def raised(self, fences: Sequence[Fence]) -> None:
        """The store gave these out."""
        for fence in fences:
            known = self._fences.get(fence.scope)
            if known is not None and fence.epoch <= known.epoch:
                self._broken("one_writer", f"{fence.scope}: epoch {fence.epoch} was given out after {known.epoch}")
            self._fences[fence.scope] = fence

    def committed(self, units: Sequence[Unit], verdicts: Sequence[Verdict], before: int) -> None:
        """The store settled these; `before` was its position."""
        for unit, verdict in zip(units, verdicts, strict=True):
            if isinstance(verdict, Committed) and verdict.position > before:
                before = verdict.position
                self._check(unit)
            elif not isinstance(verdict, Committed):
                self.stale += isinstance(verdict, Stale)

    def _check(self, unit: Unit) -> None:
        fence = self._fences.get(unit.scope)
        if fence is None or unit.epoch != fence.epoch:
            epoch = fence.epoch if fence else 0
            self._broken("one_writer", f"{unit.scope}: committed under epoch {unit.epoch}, and it is at {epoch}")
