"""Strangers: customers that somebody named, and perhaps nobody is. In dedicated placement they get no seat.

    named, and sits nowhere ──▶ looked up, with all that gather meanwhile ──▶ there is one: a seat is found for it
                                                                         └──▶ there is none: whoever asked hears so

There are few seats, and each has one customer at a time. Whoever may ask at all could have all of them taken by asking
for ids that they made up, and every customer put out for it.
"""

from collections.abc import Awaitable, Callable, Collection

import structlog

from actors.cells.loading import reached
from actors.fault import Tasks
from adapters.stores.archive.sides import ArchiveReads
from orchestrator.storage import JournalReads

_log = structlog.get_logger(__name__)

KnownOf = Callable[[Collection[str]], Awaitable[set[str]]]
"""Those of these names that are customers, or other streams in which something is."""


class Strangers:
    """`known_of` asks the stores. `there_is` and `there_is_none` hear of each that was looked up, the latter with the
    refs of the questions it was looked up for; `broke` hears of a bug in them."""

    def __init__(
        self,
        known_of: KnownOf,
        *,
        there_is: Callable[[str], None],
        there_is_none: Callable[[str, Collection[int]], None],
        broke: Callable[[Exception], None],
    ) -> None:
        self._known_of = known_of
        self._there_is = there_is
        self._there_is_none = there_is_none
        self._tasks = Tasks(broke)
        self._gathered: dict[str, list[int]] = {}
        """To be looked up next, by name: the refs. Bounded by the questions that wait for it."""
        self._looking = False

    def look_up(self, customer: str, ref: int) -> None:
        """Finds out whether there is such a customer, as of now, for a question."""
        self._gathered.setdefault(customer, []).append(ref)
        if not self._looking:
            self._looking = True
            self._tasks.begin(self._look_up())

    async def _look_up(self) -> None:
        while self._gathered:
            named, self._gathered = self._gathered, {}
            try:
                known: Collection[str] = await self._known_of(named.keys())
            except Exception as exc:  # noqa: BLE001 - whatever the store's fault is, nobody is denied for it
                # A seat is the most that it costs; and what waits may be what became of an attempt, which nobody says
                # twice.
                _log.error("strangers.lookup_failed", error=type(exc).__name__, customers=len(named))
                known = named.keys()
            for customer, refs in named.items():
                if customer in known:
                    self._there_is(customer)
                else:
                    self._there_is_none(customer, refs)
        self._looking = False


async def known_of(customers: Collection[str], journal: JournalReads, archive: ArchiveReads) -> set[str]:
    """Those that the archive has, or that were committed by now, which it is waited for to have. Raises
    `StoreFailed`."""
    known = await archive.known(customers)
    if len(known) < len(customers):
        await reached(archive, await journal.position())
        known |= await archive.known([each for each in customers if each not in known])
    return known
