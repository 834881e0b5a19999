"""Mailboxes: the order in which journeys are stepped with what comes for them.

    given → in memory? ──▶ stepped in this very turn ──▶ open step, which gathers for the next append
              └─ no ─▶ waits while it is loaded ──▶ first what merges ask of it, then what waits, in order

There is no await between deciding and recording. What comes behind an open step that takes no more, or under another
version of the policy than the open step's, waits for that step's commit, and all that follows waits behind it.
"""

from collections.abc import Callable, Sequence

from actors.cells.alarms import Alarms
from actors.cells.belonging import Reload
from actors.cells.gathering import Gathering
from actors.cells.live import Envelope, Live
from actors.cells.loading import Loaded
from actors.cells.loads import Loads
from actors.cells.population import Population, weight
from actors.cells.stepping import Later, step, take_in
from actors.cells.verdicts import Uncommitted, following, knowing
from actors.decisions.deciding import TimerDue
from actors.identity import merging
from actors.lines import Line
from actors.rules.policies import Policies
from actors.state import journey as journeys
from actors.state.journey import Journey
from actors.way_out.outlet import Outlet
from protocol.ids import customer_of
from protocol.links import Elsewhere, Input, Moved, Unlinked, UnwatchConversation


class Mailboxes:
    """Those of all journeys of a cell. `scope` names the fence under which a customer's units are written."""

    def __init__(
        self,
        population: Population,
        loads: Loads,
        policies: Policies,
        outlet: Outlet,
        gathering: Gathering,
        alarms: Alarms,
        scope: Callable[[str], str],
    ) -> None:
        self._population = population
        self._loads = loads
        self._policies = policies
        self._outlet = outlet
        self._gathering = gathering
        self._alarms = alarms
        self._scope = scope
        self._checked: set[str] = set()
        """Customers that are loaded anew since a message asked for it (`Reload`): the next one they are stepped
        with."""

    def give(self, customer: str, envelope: Envelope, now_ms: int) -> None:
        """Steps the journey with `envelope` now, or as soon as it is loaded."""
        live = self._population.get(customer) or self._begin(customer, envelope)
        self._population.touch(live, now_ms)
        if isinstance(envelope.message, Input) and envelope.message.proposed:
            self._population.note_proposed(live)
        if live.moved_to and envelope.line is not None and isinstance(moved := following(envelope, live), Moved):
            envelope.line.send(moved)
        elif live.mailbox or live.journey is None or live.crowded or not self._step(live, envelope, now_ms):
            live.wait(envelope)

    def _begin(self, customer: str, envelope: Envelope) -> Live:
        """Makes the customer's place in memory, and a new journey where no store can have one; else has it loaded."""
        live = self._population.begin(customer, self._scope(customer))
        message = envelope.message
        if isinstance(message, Input) and message.proposed and not self._population.was_here(message):
            # Nobody has the identities, as far as the gateway saw: no store knows this customer. Where that is
            # wrong the journal's unique identity key refuses the unit, and the journey is loaded after all.
            live.journey = Journey(customer=customer)
        else:
            self._loads.begin(live)
        return live

    def _step(self, live: Live, envelope: Envelope, now_ms: int) -> bool:
        """Steps the journey. False where the message has to wait: for the open step's commit, since it is decided under
        another version of the policy, or for the journey to be loaded anew."""
        astray = self._outlet.astray
        if astray.refs and (unlinked := astray.answer_to(envelope)) is not None:
            astray.turned_away(envelope, unlinked)
            self._outlet.reply(live, envelope, unlinked)
            return True
        had_open = live.open is not None
        checked = bool(self._checked) and live.customer in self._checked
        try:
            reply = step(live, envelope, self._outlet.watchers, self._policies.newest, now_ms, checked=checked)
        except Later:
            assert live.open is not None
            live.open.sealed = True
            return False
        except Reload:
            self._reload(live)
            return False
        if checked:
            self._checked.discard(live.customer)
        if live.open is not None and not had_open:
            self._gathering.add(live)
        if isinstance(reply, Unlinked):
            astray.turned_away(envelope, reply)
        self._outlet.reply(live, envelope, reply)
        if isinstance(envelope.message, TimerDue) and live.gate is None and live.journey is not None:
            # The alarm rang early and nothing was due; with no commit to follow, the next one is set here.
            due_ms = journeys.next_due_ms(live.journey)
            if due_ms is not None and due_ms > now_ms:
                self._alarms.set(live.customer, due_ms, now_ms)
        return True

    def _reload(self, live: Live) -> None:
        """Has it loaded anew, as soon as memory and journal agree; the message that asked for it waits at the head."""
        if live.open is not None:
            live.open.sealed = True
        if live.gate is None:
            live.journey = None
            self._checked.add(live.customer)
            self._loads.begin(live)

    # What waits

    def enter(self, live: Live, loaded: Loaded, now_ms: int) -> None:
        """The journey is loaded: what merges ask of it is the first thing it does, then comes what waits."""
        journey, live.position = loaded.journey, loaded.position
        journeys.forget_old_keys(journey, self._policies.newest, now_ms)
        live.journey = journey
        self._outlet.reached(live.position)
        # After a refused step: list watchers have not heard what became of conversations that it had changed.
        live.unlisted = tuple(dict.fromkeys((*live.unlisted, *(live.listed or ()))))
        self._outlet.relist(live, journey)
        if (family := merging.family_of(journey)) is not None:
            for member, turn in dict.fromkeys(family.left.values()):
                # Said again: the life of this cell that should have told all of it may have died before.
                self._outlet.say_rehomed(member, member, turn)
        for settling in loaded.settling:
            take_in(live, settling, self._policies.newest, now_ms)
        if live.open is not None:
            self._gathering.add(live)
        self._population.weigh(live, weight(journey))
        if not journey.head:
            self._population.note_stranger(live)
        self._outlet.loaded(journey)
        self._alarms.set(live.customer, journeys.next_due_ms(journey), now_ms)
        if live.mailbox:
            self.work_off(live, now_ms)

    def work_off(self, live: Live, now_ms: int) -> None:
        """Steps the journey with what waits, until its open step is large enough."""
        stepped, waiting = 0, live.mailbox or []
        for envelope in waiting:
            if live.crowded or not self._step(live, envelope, now_ms):
                break
            stepped += 1
        live.mailbox = waiting[stepped:] or None

    def unwatch(self, message: UnwatchConversation, line: Line) -> None:
        """Ends a watch; behind a watch that still waits for its journey, it waits as well."""
        live = self._population.get(message.customer or customer_of(message.conversation))
        if live is not None and live.mailbox:
            live.wait(Envelope(line, message))
        else:
            self._outlet.watchers.unwatch(message.conversation, line)

    # What was decided and is void

    def decide_again(self, live: Live, verdict: Uncommitted) -> None:
        """The journal refused the step: forgets the state, loads it, and has what was gated decided again, in order."""
        for envelope in self._take_back(live):
            known = knowing(envelope, verdict, live.customer)
            if isinstance(known, Moved) and isinstance(envelope.message, Input):
                live.move(envelope.message.identities, (known.identity, known.customer))
            elif isinstance(known, Envelope):
                known = following(known, live)
            if isinstance(known, Envelope):
                live.wait(known)
            elif envelope.line is not None:
                envelope.line.send(known)
        # Loaded even if nothing waits: timers and watchers of what was committed before need the state.
        self._loads.begin(live)

    def send_elsewhere(self, live: Live) -> None:
        """Another cell has the customer: whoever waits for an answer asks there."""
        for envelope in self._take_back(live):
            if envelope.line is not None and not isinstance(envelope.message, UnwatchConversation | TimerDue):
                envelope.line.send(Elsewhere(envelope.message.ref))

    def _take_back(self, live: Live) -> Sequence[Envelope]:
        """Forgets the state, and returns all that was decided on it or waits, in order: none of it was answered."""
        gated = [each.envelope for step in (live.in_flight, live.open) if step is not None for each in step.gated]
        waiting = [*gated, *(live.mailbox or ())]
        live.in_flight = live.open = live.journey = None
        self._gathering.drop(live)
        live.mailbox = None
        return waiting
