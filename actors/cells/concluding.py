"""Concluding: what follows from the journal's verdict on a journey's unit.

Committed                        the gate opens: what was gated leaves, then the journey goes on with what waits
Taken, Released, Unmergeable,
Skipped                          the state is forgotten, loaded anew, and what was gated is decided again
Stale                            another writer has the scope: the cell ends, or a dedicated one's customer leaves
"""

from typing import assert_never

import structlog

from actors.cells.alarms import Alarms
from actors.cells.leaving import Leaving
from actors.cells.live import Live, Step
from actors.cells.mailboxes import Mailboxes
from actors.cells.population import Population
from actors.fault import Fault
from actors.state import journey as journeys
from actors.state.journey import Journey
from actors.way_out.outlet import Outlet
from protocol import journal
from protocol.journal import Committed, Released, Skipped, Stale, Taken, Unmergeable, Verdict

_log = structlog.get_logger(__name__)

SNAPSHOT_EVERY = 64
"""Events of a journey between snapshots: a load reads a snapshot and at most about as many events."""


class Concluding:
    """`events` counts those committed in this life."""

    def __init__(
        self,
        population: Population,
        outlet: Outlet,
        alarms: Alarms,
        mailboxes: Mailboxes,
        leaving: Leaving,
        fault: Fault,
    ) -> None:
        self._population = population
        self._outlet = outlet
        self._alarms = alarms
        self._mailboxes = mailboxes
        self._leaving = leaving
        self._fault = fault
        self.events = 0

    def conclude(self, live: Live, verdict: Verdict, now_ms: int) -> None:
        """The unit that was under way has its verdict."""
        match verdict:
            case Committed():
                self._open_gate(live, verdict.position, now_ms)
            case Taken() | Released() | Unmergeable() | Skipped():
                self._mailboxes.decide_again(live, verdict)
            case Stale():
                self._give_up(live, verdict, now_ms)
            case _:
                assert_never(verdict)

    def _open_gate(self, live: Live, position: int, now_ms: int) -> None:
        """The step is committed: what was gated leaves, in order."""
        committed, live.in_flight = live.in_flight, None
        assert committed is not None
        assert live.journey is not None
        live.position = position
        self.events += len(committed.entries)
        self._outlet.open_gate(live, live.journey, committed, position)
        if committed.family:
            self._change_hands(live, live.journey, committed)
        live.unsaved += len(committed.entries)
        # An estimate that grows by what came in, until the next snapshot measures it again.
        self._population.weigh(live, live.bytes + committed.bytes)
        if live.open is None:
            self._settle_down(live, live.journey, now_ms)
        if live.mailbox:
            self._mailboxes.work_off(live, now_ms)
        if self._leaving.wanted:
            self._leaving.leave_quiet(now_ms)

    def _settle_down(self, live: Live, journey: Journey, now_ms: int) -> None:
        """Memory and journal agree for a moment: list watchers, alarms and the snapshot get the state as a whole."""
        self._outlet.relist(live, journey)
        self._alarms.set(live.customer, journeys.next_due_ms(journey), now_ms)
        if live.unsaved >= SNAPSHOT_EVERY:
            self._leaving.snapshot(live, journey, now_ms)

    def _change_hands(self, live: Live, journey: Journey, committed: Step) -> None:
        """Ends watches and attempts of conversations that are another customer's from now on; who had them asks
        there."""
        for taken in committed.family:
            match taken.step:
                case journal.GIVE:
                    # List watchers get the rows of what was committed up to here ahead of the other cell's.
                    self._outlet.relist(live, journey)
                    self._outlet.watchers.send_rows()
                    for conversation in journey.kept:
                        self._outlet.watchers.unwatch_all(conversation.id)
                    self._outlet.dispatch.forget(live.customer)
                    self._outlet.say_rehomed(taken.customer, taken.other, taken.turn)
                    if self._leaving.on_left is not None:
                        self._leaving.wanted.add(live.customer)
                case journal.RELEASE:
                    self._outlet.watchers.unwatch_of(committed.left)
                    self._outlet.dispatch.forget_of(committed.left)
                    self._outlet.say_rehomed(taken.customer, taken.customer, taken.turn)
                case journal.ADOPT | journal.RETURN:
                    pass  # What it brings is watched and sent from here: nothing ends.
                case _:
                    assert_never(taken.step)

    def _give_up(self, live: Live, verdict: Stale, now_ms: int) -> None:
        """Another writer has the scope: nothing that waits for a commit here may leave."""
        _log.error("cell.stale", scope=live.scope, epoch=verdict.epoch)
        if self._leaving.on_left is None:
            # Nobody is answered: whoever asked will find the scope's new cell. The fences of the other scopes may be
            # lost as well. A cell that has ended cannot fork a stream; its next life raises the fences anew.
            self._fault.set(RuntimeError(f"{live.scope} has another writer: epoch {verdict.epoch}"))
            return
        journey = live.journey
        self._mailboxes.send_elsewhere(live)
        self._leaving.drive_out(live, journey, now_ms)
