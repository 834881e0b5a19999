"""Hanging: which processes have not answered for so long that they are to be ended and started again.

Counted in looks, not by the clock: a node that stood still itself, or a machine that slept, finds everybody silent for
as long, and must not end them all for it. One that answers once begins at nothing.
"""

from collections.abc import Iterable, Mapping

from orchestrator.cluster.states import Condition, ProcessState

LOOK_EVERY_S = 1.0


class Hanging:
    """Who hangs. `bound_s`: after so long without an answer; 0: nobody is ended for it."""

    def __init__(self, bound_s: float) -> None:
        self._looks_max = bound_s / LOOK_EVERY_S
        self._silent: dict[str, int] = {}

    def look(self, states: Mapping[str, ProcessState], endable: Iterable[str]) -> list[str]:
        """To be asked every `LOOK_EVERY_S`: those of `endable` whose time is over; each is named once."""
        if not self._looks_max:
            return []
        silent = [name for name in endable if name in states and states[name].condition is Condition.SILENT]
        self._silent = {name: self._silent.get(name, 0) + 1 for name in silent}
        over = [name for name, looks in self._silent.items() if looks >= self._looks_max]
        for name in over:
            del self._silent[name]
        return over
