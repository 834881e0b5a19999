"""Look-ups: events whose identities memory does not know wait here while the store is asked for all that have gathered.

An event that shares an identity with one that waits, waits behind it: both go on in the order in which they were taken.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import structlog

from actors.fault import Tasks
from orchestrator.way_in.known_identities import KnownIdentities
from orchestrator.way_in.proposals import TakenEvent, number_of

_log = structlog.get_logger(__name__)

LookUp = Callable[[Sequence[str]], Awaitable[dict[str, str]]]
"""The customers of those identities that have one."""


class Lookups:
    """`customers_of` asks the store, and `known` learns what it says. `is_known` tells which identities need no asking;
    `route` gets each event when there is nothing left to ask, `refuse` where the store failed, and `broke` hears of a
    bug in either."""

    def __init__(
        self,
        customers_of: LookUp,
        known: KnownIdentities,
        *,
        is_known: Callable[[str], bool],
        route: Callable[[TakenEvent], None],
        refuse: Callable[[TakenEvent], None],
        broke: Callable[[Exception], None],
    ) -> None:
        self._customers_of = customers_of
        self._known = known
        self._is_known = is_known
        self._route = route
        self._refuse = refuse
        self._tasks = Tasks(broke)
        self._waiting: list[TakenEvent] = []
        self.awaited: Counter[str] = Counter()
        """Identities of those that wait."""
        self._looking = False

    def add(self, taken: TakenEvent) -> None:
        """The event waits for the store, or behind one that does."""
        self._wait(taken)
        if not self._looking:
            self._looking = True
            self._tasks.begin(self._look_up())

    def _wait(self, taken: TakenEvent) -> None:
        self._waiting.append(taken)
        self.awaited.update(taken.identities)

    async def _look_up(self) -> None:
        """Looks up what waits, a batch at a time, and routes it in the order of taking."""
        while self._waiting:
            batch = list(self._waiting)
            wanted = list({i for taken in batch for i in taken.identities if not self._is_known(i)})
            try:
                found = await self._customers_of(wanted) if wanted else {}
            except Exception as exc:  # noqa: BLE001 - whatever the store's fault is, who waits is told to come again
                self._give_up(exc)
                break
            for identity, customer in found.items():
                self._known.learn(identity, customer)
            self._go_on({identity for taken in batch for identity in taken.identities})
        self._looking = False

    def _go_on(self, looked_up: set[str]) -> None:
        """Routes what waited; what came meanwhile was not looked up, and takes another round, with what waits behind
        it."""
        for taken in sorted(self._take_out(), key=number_of):
            if any(i not in looked_up or i in self.awaited for i in taken.identities):
                self._wait(taken)
            else:
                self._route(taken)

    def _give_up(self, exc: Exception) -> None:
        _log.error("attribution.lookup_failed", error=type(exc).__name__, events=len(self._waiting))
        for taken in self._take_out():
            self._refuse(taken)

    def _take_out(self) -> list[TakenEvent]:
        waiting, self._waiting = self._waiting, []
        self.awaited.clear()
        return waiting
