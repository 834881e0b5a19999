"""Leaving: how journeys leave memory, and what is kept of them.

snapshot    goes to the archive now and then, and when a journey leaves: a load reads it and the events after it
passivate   the journey leaves memory; the customer stays its cell's, and is loaded when something comes
let go      in dedicated placement also the customer leaves: its scope, its watchers and its alarm are given up
"""

from collections.abc import Callable

from actors.cells import remains, snapshots
from actors.cells.alarms import Alarms
from actors.cells.committing import Committer
from actors.cells.live import Live
from actors.cells.population import Population, weight
from actors.identity import merging
from actors.lines import Line
from actors.rules.policies import Policies
from actors.state import journey as journeys
from actors.state.journey import Journey
from actors.way_out.outlet import Outlet
from protocol.links import SnapshotTaken

OUTCOME_WITHIN_MS = 30_000
"""When a customer that left with an attempt under way is looked at, should the outcome not have brought it back."""


class Leaving:
    """`on_left`, in dedicated placement, hears of each customer that has left this cell, and when its next alarm is
    due. Without it only journeys leave memory; their customers stay this cell's."""

    def __init__(
        self,
        population: Population,
        policies: Policies,
        outlet: Outlet,
        alarms: Alarms,
        committer: Committer,
        scope: Callable[[str], str],
    ) -> None:
        self._population = population
        self._policies = policies
        self._outlet = outlet
        self._alarms = alarms
        self._committer = committer
        self._scope = scope
        self._archive: Line | None = None
        self.on_left: Callable[[str, int | None], None] | None = None
        self.wanted: set[str] = set()
        """Customers that are to leave as soon as they are quiet."""

    def opened(self, archive: Line) -> None:
        """The archive is there: it gets the snapshots."""
        self._archive = archive

    def snapshot(self, live: Live, journey: Journey, now_ms: int) -> None:
        """Sends the archive the state as a whole; only when memory and journal agree."""
        if merging.given_of(journey) is not None:
            # The position may come from the answer to a resent give: what the other customer did before it is not in
            # this state.
            live.unsaved = 0
            return
        journeys.forget_old_keys(journey, self._policies.newest, now_ms)
        body = snapshots.freeze(journey)
        self._population.weigh(live, weight(journey))
        live.unsaved = 0
        # A line that is full drops it: the next one is as good, and a load only reads more events meanwhile.
        if self._archive is not None and not self._archive.full:
            self._archive.send(SnapshotTaken(live.customer, live.position, body, remains.words(journey)))

    def look(self, now_ms: int) -> None:
        """Has journeys leave that are idle or too many, and those of `wanted` that are quiet by now."""
        for live in self._population.leaving(now_ms, _may_leave):
            self._passivate(live, now_ms)
        self.leave_quiet(now_ms)

    def leave_quiet(self, now_ms: int) -> None:
        """Has those of `wanted` leave that are quiet by now."""
        for customer in list(self.wanted):
            self.leave(customer, now_ms)

    def leave(self, customer: str, now_ms: int) -> None:
        """Has the customer leave memory, now or as soon as all it decided is committed and its attempts are with
        whoever makes them; what comes for it meanwhile must not be given here."""
        live = self._population.get(customer)
        if live is None:
            self._let_go(customer, None, now_ms)
        elif live.quiet and not self._outlet.dispatch.unwritten(customer):
            self._passivate(live, now_ms)
        else:
            self.wanted.add(customer)

    def drive_out(self, live: Live, journey: Journey | None, now_ms: int) -> None:
        """Has it leave though it is not quiet, and without a snapshot: its last state was not committed."""
        self._population.remove(live)
        self._let_go(live.customer, journey, now_ms)

    def _passivate(self, live: Live, now_ms: int) -> None:
        if live.unsaved and live.journey is not None:
            self.snapshot(live, live.journey, now_ms)
        if live.moved_to is not None:
            self._population.note_proposed(live)
        self._population.remove(live)
        if self.on_left is not None:
            self._outlet.watchers.send_rows()
            self._let_go(live.customer, live.journey, now_ms)

    def _let_go(self, customer: str, journey: Journey | None, now_ms: int) -> None:
        """The customer is no longer this cell's: drops all that was kept for it."""
        due_ms = None
        if journey is not None:
            due_ms = journeys.next_due_ms(journey)
            if journeys.attempting(journey):
                # Its outcome is near; should it never come, loading the journey asks for it.
                due_ms = min(due_ms or now_ms + OUTCOME_WITHIN_MS, now_ms + OUTCOME_WITHIN_MS)
            if self._outlet.awaits_taken(journey):
                due_ms = now_ms  # It had not been looked at yet since somebody took the account.
            for conversation in journey.kept:
                self._outlet.watchers.unwatch_all(conversation.id)
        self._alarms.set(customer, None, now_ms)
        self._outlet.forget(customer)
        self._committer.give_up(self._scope(customer))
        self.wanted.discard(customer)
        if self.on_left is not None:
            self.on_left(customer, due_ms)


def _may_leave(live: Live) -> bool:
    """A quiet journey may leave memory; one with an attempt under way stays, since its outcome is near."""
    return live.quiet and live.journey is not None and not journeys.attempting(live.journey)
