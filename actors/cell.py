"""The cell: hosts the live journeys of its scopes, one mailbox order each, behind one output gate.

    received → mailbox → decide, evolve → open step ─┐
                                                     ├─ one append under way at a time → settled → gated output leaves
    received → mailbox → decide, evolve → open step ─┘

There is no await between deciding and recording: a journey that is in memory is stepped in the very turn its input
arrives. While an append is under way, what is decided gathers in open steps; they make the next append. Nothing leaves
the cell (ack, update, delivery, read) before the commit of what it depends on.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import assert_never

import structlog

from actors import journey as journeys
from actors import merging, snapshots
from actors.alarms import DUE_MAX, HORIZON_MS, REFRESH_MS, Alarms
from actors.belonging import Reload
from actors.committing import Committer
from actors.deciding import TimerDue
from actors.fault import Fault
from actors.gathering import Gathering
from actors.journey import Journey
from actors.lines import Line
from actors.live import Given, Live, Population, Step, following, heir, knowing, weight
from actors.loading import ArchiveReader, load_whole, reached
from actors.outlet import Outlet
from actors.policies import Policies
from actors.policy import Policy
from actors.rehoming import Rehomings
from actors.stepping import Later, step, take_in
from actors.untaken import READ_MAX
from protocol.commands import GiveCustomer
from protocol.errors import Code
from protocol.ids import customer_of
from protocol.journal import (
    Committed,
    Released,
    Skipped,
    Stale,
    Taken,
    Unmergeable,
    Unsettled,
    Verdict,
)
from protocol.links import (
    AnyLink,
    Ask,
    CellIs,
    Elsewhere,
    FamiliesAre,
    FencesRaised,
    Heard,
    Input,
    ListWatched,
    Moved,
    Outcome,
    PoliciesAre,
    PolicyIs,
    Quarantine,
    ReadCustomer,
    Refused,
    Rehomed,
    Settle,
    Settled,
    SnapshotTaken,
    TailIs,
    TakersAre,
    UnwatchConversation,
    UnwatchList,
    WatchConversation,
    WatchList,
)
from protocol.shards import OWN_SCOPES, SHARD_SCOPES, scope_of, shard_of

_log = structlog.get_logger(__name__)

BEGUN_MAX = 20_000
"""Proposed customers, remembered for as long as inputs under the same proposal may be on their way: seconds, of which
each brings some thousands of new customers at most."""
SNAPSHOT_EVERY = 64
"""Events of a journey between snapshots: a load reads a snapshot and at most about as many events."""
TICK_S = 0.25
"""How often time is looked at: alarms, passivation. Coarser than any promise made in seconds, and free when idle."""
OUTCOME_WITHIN_MS = 30_000
"""When a customer that left with an attempt under way is looked at, should the outcome not have brought it back."""
ROWS_EVERY = 4
HEADS_EVERY = 20
"""Ticks between rows of lists of which only heads moved (1 s), and between heads for heartbeats (5 s)."""
_NOT_MOVED = (None, None)


class Cell:
    """The actor. `served_by` says which kind of peer serves an account's deliveries.

    Pooled, `shards` are those it hosts: it takes their scopes at the start, and a customer that leaves memory stays its
    own. Dedicated it hosts no shard: `scope` names a customer's own, which is taken as the customer comes (`take`), and
    whoever set `on_left` hears that a customer has left memory and is nobody's here any more.
    """

    def __init__(
        self,
        index: int,
        shards: Sequence[int],
        archive: ArchiveReader,
        policy: Policy,
        *,
        served_by: Mapping[str, str],
        population: Population,
        now_ms: Callable[[], int],
        scope: Callable[[str], str] = scope_of,
    ) -> None:
        self._index = index
        self._shards = list(shards)
        self._scope = scope
        self.on_left: Callable[[str, int | None], None] | None = None
        self._leaving: set[str] = set()
        """Customers that are to leave as soon as they are quiet."""
        self._archive = archive
        self._policies = Policies(policy)
        self._policy = policy
        """The newest: every decision is made under it, or under one that it names for its conversation."""
        self._policy_told = asyncio.Event()
        self._now_ms = now_ms
        self._population = population
        self._alarms = Alarms()
        self._served_first = served_by
        self._served_by = {**served_by, **_served_by_gateways(policy)}
        self._rehomings = Rehomings()
        self._outlet = Outlet(self._served_by, self._refuse, self._rehomings.said)
        self._fronts: dict[str, Line] = {}
        """Gateways and channel hosts, by name: they hear of the policy from here."""
        self._committer = Committer(self._settled)
        self._generation = ""
        self._archive_line: Line | None = None
        self._started = False
        self._told: list[Unsettled] = []
        """What customers have to take in of merges, as it was told before the start was over."""
        self._checked: set[str] = set()
        """Customers that are loaded anew for the sake of a message, which is the next that they are stepped with."""
        self._begun: dict[str, tuple[set[str] | None, tuple[str, str] | None]] = {}
        """See `BEGUN_MAX`; the oldest first. With `Live.moved` and `Live.moved_to` of those that left memory."""
        self._loads: set[asyncio.Task[None]] = set()
        self._fault = Fault()
        self._gathering = Gathering(self._committer, self._fault)
        self._refresh_at_ms = 0
        self.position = 0
        self.inputs = 0
        self.events = 0

    # Life

    async def start(self) -> None:
        """Takes its scopes, waits for the archive, and finds what time and the outbox owe. Needs its journal's line."""
        other_placement = OWN_SCOPES if self._shards else SHARD_SCOPES
        raised = await self._committer.take([f"{SHARD_SCOPES}{n}" for n in self._shards], void=other_placement)
        self._generation, self.position = raised.generation, raised.position
        # It came before the fences did, on the same line: nothing is decided under an older one.
        await self._policy_told.wait()
        await reached(self._archive, raised.position)
        await self._refresh_alarms(self._now_ms())
        for customer, account in await self._archive.untaken(self._shards, READ_MAX) if self._shards else ():
            self._outlet.untaken.waits(customer, [account])
        self._started = True
        told, self._told = self._told, []
        self._hear_of(told)

    async def run(self) -> None:
        """Looks at the time until cancelled; raises what a load failed with."""
        tick = 0
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await self._fault.raised()
            tick += 1
            now_ms = self._now_ms()
            if now_ms >= self._refresh_at_ms:
                await self._refresh_alarms(now_ms)
            self.tick(now_ms)
            self._outlet.watchers.send_overflowed()
            if tick % ROWS_EVERY == 0:
                self._outlet.watchers.send_rows()
            if tick % HEADS_EVERY == 0:
                self._outlet.watchers.send_heads()

    def tick(self, now_ms: int) -> None:
        """Does what time asks for: alarms ring, idle journeys leave memory."""
        for customer in (*self._alarms.due(now_ms), *self._outlet.look_for_takers()):
            self._give(customer, Given(None, TimerDue(customer, self._outlet.untaken.taken)), now_ms)
        for live in self._population.leaving(now_ms, _may_leave):
            self._passivate(live)
        self._leave_quiet()

    async def drain(self) -> None:
        """Returns when everything decided is committed."""
        await self._gathering.drained()

    def status(self) -> dict[str, int | str]:
        """Figures for operators."""
        return {
            "cell": self._index,
            "live_journeys": len(self._population),
            "live_bytes": self._population.bytes,
            "position": self.position,
            "inputs": self.inputs,
            "events": self.events,
            "policy": self._policy.version,
            "gathering": len(self._gathering),
            "alarms": len(self._alarms),
            "attempts_under_way": len(self._outlet.dispatch),
            **self._outlet.watchers.counts(),
        }

    # Customers that come and go, in dedicated placement

    async def take(self, customer: str) -> None:
        """Becomes the customer's one writer, before anything is given that is for it."""
        raised = await self._committer.take([self._scope(customer)])
        # Whoever watches was told another one: a new life says what is so.
        assert raised.generation == self._generation, "the journal is another one than at the start"
        self.position = max(self.position, raised.position)

    def look(self, customer: str) -> None:
        """Time has come for the customer: loads it if it is not live, and does what is due."""
        self._give(customer, Given(None, TimerDue(customer, self._outlet.untaken.taken)), self._now_ms())

    def leave(self, customer: str) -> None:
        """Has the customer leave memory, now or as soon as all it decided is committed and its attempts are with who
        makes them; what comes for it meanwhile must not be given here."""
        live = self._population.get(customer)
        if live is None:
            self._let_go(customer, None)
        elif live.quiet and not self._outlet.dispatch.unwritten(customer):
            self._passivate(live)
        else:
            self._leaving.add(customer)

    def _leave_quiet(self) -> None:
        for customer in list(self._leaving):
            self.leave(customer)

    # Lines

    def opened(self, line: Line, *, fresh: bool) -> None:
        """The journal: what it did not answer is asked again. A gateway or channel host: it hears who we are."""
        match line.peer.partition(":")[0]:
            case "journal":
                self._committer.opened(line, fresh=fresh)
                self._gathering.flush_soon()
            case "archive":
                self._archive_line = line
            case _:
                if fresh:
                    self._outlet.watchers.forget(line.peer)
                    self._rehomings.forget(line.peer)
                    line.send(CellIs(self._index, self._generation))
                    if self._policies.body:
                        line.send(PolicyIs(self._policy.version, self._policies.body))
                self._fronts[line.peer] = line
                self._outlet.dispatch.opened(line, fresh=fresh)

    def closed(self, line: Line) -> None:
        """The line reconnects by itself; what is committed meanwhile waits in it."""

    def broke(self, exc: Exception) -> None:
        """A bug met on the way: `run` raises it, since states may be half-stepped and messages are lost."""
        self._fault.set(exc)

    def received(self, line: Line, message: AnyLink) -> None:
        """One message, from whichever peer."""
        match message:
            case Input() | Quarantine() | Ask() | Outcome() | WatchConversation() | ReadCustomer() | Settle():
                self.inputs += 1
                if self._rehomings.turns_away(line, message.customer, message):
                    return
                self._give(message.customer, Given(line, message), self._now_ms())
            case UnwatchConversation():
                self._unwatch(message, line)
            case WatchList():
                self._outlet.watchers.watch_list(message.list, line)
                line.send(ListWatched(message.ref, message.list, self.position))
            case UnwatchList():
                self._outlet.watchers.unwatch_list(message.list, line)
            case Settled() | FencesRaised() | TailIs():
                self._committer.received(message)
            case PoliciesAre():
                self._learn(message)
            case FamiliesAre():
                self._hear_of(message.unsettled)
            case TakersAre():
                self._outlet.untaken.takers_are(line.peer, message.accounts)
            case Heard():
                self._rehomings.heard(line, message.customer)
            case _:
                raise AssertionError(f"a cell is not sent {type(message).__name__}")

    def _learn(self, told: PoliciesAre) -> None:
        """The switch: what is decided from here on is decided under the newest version. Open steps take no more, so
        that each unit is of one version; what comes for them waits for their commit."""
        self._policy_told.set()
        if not self._policies.learn(told.versions):
            return
        self._policy = self._policies.newest
        for live in self._gathering:
            assert live.open is not None
            live.open.sealed = True
        self._served_by.clear()
        self._served_by.update({**self._served_first, **_served_by_gateways(self._policy)})
        for line in self._fronts.values():
            line.send(PolicyIs(self._policy.version, self._policies.body))
        _log.info("cell.policy", version=self._policy.version)

    def _hear_of(self, unsettled: Sequence[Unsettled]) -> None:
        """Has the customers that this cell hosts take in what happened to them, also those that nobody asks for. In
        dedicated placement whoever does not sit takes it in when it comes."""
        if not self._started:
            self._told += unsettled
            return
        for told in unsettled:
            if shard_of(told.customer) in self._shards or self._population.get(told.customer) is not None:
                settle = Settle(0, told.customer, told.other, told.turn, told.turn % 2 == 0)
                self._give(told.customer, Given(None, settle), self._now_ms())

    # Mailbox

    def _give(self, customer: str, given: Given, now_ms: int) -> None:
        """Steps the journey with `given` now, or as soon as it is loaded."""
        live = self._population.get(customer) or self._begin(customer, given)
        self._population.touch(live, now_ms)
        if isinstance(given.message, Input) and given.message.proposed:
            self._note_proposed(live)
        if live.moved_to and given.line is not None and isinstance(moved := following(given, live), Moved):
            given.line.send(moved)
        elif live.mailbox or live.journey is None or live.crowded or not self._step(live, given, now_ms):
            live.wait(given)

    def _begin(self, customer: str, given: Given) -> Live:
        """Makes the customer's place, and its journey where no store can know it; else has it loaded."""
        live = Live(customer, self._scope(customer))
        live.moved, live.moved_to = self._begun.get(customer, _NOT_MOVED)
        self._population.weigh(live, weight(None))
        if isinstance(given.message, Input) and given.message.proposed and not self._was_here(given.message):
            # Nobody has the identities, as far as the gateway saw: no store knows this customer. Where that is
            # wrong the journal's unique identity key refuses the unit, and the journey is loaded after all.
            live.journey = Journey(customer=customer)
        else:
            self._load(live)
        return live

    def _was_here(self, proposed: Input) -> bool:
        """Whether a proposed customer may be real by now: an earlier input under the same proposal made it so, and it
        has left memory since, or it came with that input to another life or seat."""
        return proposed.again or proposed.customer in self._begun

    def _note_proposed(self, live: Live) -> None:
        """However it was begun: one that was loaded leaves memory as well, and another proposal of it may be late."""
        self._begun[live.customer] = _NOT_MOVED if live.moved_to is None else (live.moved, live.moved_to)
        if len(self._begun) > BEGUN_MAX:
            del self._begun[next(iter(self._begun))]

    def _work_off(self, live: Live) -> None:
        """Steps the journey with what waits, until its open step is large enough."""
        now_ms, stepped, waiting = self._now_ms(), 0, live.mailbox or []
        for given in waiting:
            if live.crowded or not self._step(live, given, now_ms):
                break
            stepped += 1
        live.mailbox = waiting[stepped:] or None

    def _unwatch(self, message: UnwatchConversation, line: Line) -> None:
        """Takes its place behind a watch that still waits for its journey."""
        live = self._population.get(message.customer or customer_of(message.conversation))
        if live is not None and live.mailbox:
            live.wait(Given(line, message))
        else:
            self._outlet.watchers.unwatch(message.conversation, line)

    def _load(self, live: Live) -> None:
        task = asyncio.get_running_loop().create_task(self._load_and_step(live))
        self._loads.add(task)
        task.add_done_callback(self._loaded)

    async def _load_and_step(self, live: Live) -> None:
        loaded = await load_whole(live.customer, self._archive, self._committer.tail)
        journey, live.position = loaded.journey, loaded.position
        journeys.forget_old_keys(journey, self._policy, self._now_ms())
        live.journey = journey
        self.position = max(self.position, live.position)
        # What was listed before a step was refused still counts: its watchers have not heard of what came since.
        live.unlisted = tuple(dict.fromkeys((*live.unlisted, *(live.listed or ()))))
        self._outlet.relist(live, journey)
        if (family := merging.family_of(journey)) is not None:
            for member, turn in dict.fromkeys(family.left.values()):
                # Whoever asks here for one that has left was told, or the one who should have told them is dead.
                self._rehomings.tell(self._fronts.values(), Rehomed(0, member, member, turn))
        for settling in loaded.settling:
            take_in(live, settling, self._policy, self._now_ms())
        if live.open is not None:
            self._gathering.add(live)
        self._population.weigh(live, weight(journey))
        self._outlet.loaded(journey)
        self._alarms.set(live.customer, journeys.next_due_ms(journey), self._now_ms())
        if live.mailbox:
            self._work_off(live)
        if self._leaving:
            self._leave_quiet()

    def _loaded(self, task: asyncio.Task[None]) -> None:
        self._loads.discard(task)
        if not task.cancelled() and (exc := task.exception()):
            self._fault.set(exc)

    def _step(self, live: Live, given: Given, now_ms: int) -> bool:
        """False where it must wait for the open step's commit, since it is decided under another version."""
        had_open = live.open is not None
        checked = bool(self._checked) and live.customer in self._checked
        try:
            reply = step(live, given, self._outlet.watchers, self._policy, now_ms, checked=checked)
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
        self._outlet.reply(live, given, reply, self.position)
        if isinstance(given.message, TimerDue) and live.gate is None and live.journey is not None:
            # It rang and nothing was due: what is next, is later.
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
            self._load(live)

    # Committing

    def _settled(self, lives: list[Live], verdicts: list[Verdict]) -> None:
        now_ms = self._now_ms()
        for live, verdict in zip(lives, verdicts, strict=True):
            self._conclude(live, verdict, now_ms)
        self._gathering.settled()

    def _conclude(self, live: Live, verdict: Verdict, now_ms: int) -> None:
        match verdict:
            case Committed():
                self._release(live, verdict.position, now_ms)
            case Taken() | Released() | Unmergeable() | Skipped():
                self._decide_again(live, verdict)
            case Stale():
                self._give_up(live, verdict)
            case _:
                assert_never(verdict)

    # After the commit

    def _release(self, live: Live, position: int, now_ms: int) -> None:
        """The step is committed: what was gated leaves, in order."""
        committed, live.in_flight = live.in_flight, None
        assert committed is not None
        assert live.journey is not None
        live.position = position
        if position > self.position:
            self.position = position
        self.events += len(committed.entries)
        self._outlet.release(live, live.journey, committed, position)
        if committed.family:
            self._change_hands(live, committed)
        live.unsaved += len(committed.entries)
        # Grows by what came in; the next snapshot measures again.
        self._population.weigh(live, live.bytes + committed.bytes)
        if live.open is None:
            self._settled_down(live, live.journey, now_ms)
        if live.mailbox:
            self._work_off(live)
        if self._leaving:
            self._leave_quiet()

    def _change_hands(self, live: Live, committed: Step) -> None:
        """What watches and serves conversations that are another cell's from now on does so there."""
        assert live.journey is not None
        for taken in committed.family:
            match taken.step:
                case "give":
                    # Rows of what was committed up to here, ahead of the other's.
                    self._outlet.relist(live, live.journey)
                    self._outlet.watchers.send_rows()
                    for conversation in live.journey.kept:
                        self._outlet.watchers.unwatch_all(conversation.id)
                    self._outlet.dispatch.forget(live.customer)
                    said = Rehomed(0, taken.customer, taken.other, taken.turn)
                    self._rehomings.tell(self._fronts.values(), said)
                    if self.on_left is not None:
                        self._leaving.add(live.customer)
                case "release":
                    self._outlet.watchers.unwatch_of(committed.left)
                    self._outlet.dispatch.forget_of(committed.left)
                    said = Rehomed(0, taken.customer, taken.customer, taken.turn)
                    self._rehomings.tell(self._fronts.values(), said)
                case _:
                    pass

    def _settled_down(self, live: Live, journey: Journey, now_ms: int) -> None:
        """Memory and journal agree for a moment: what shows the state as a whole is told now."""
        self._outlet.relist(live, journey)
        self._alarms.set(live.customer, journeys.next_due_ms(journey), now_ms)
        if live.unsaved >= SNAPSHOT_EVERY:
            self._snapshot(live, journey)

    def _refuse(self, outcome: Outcome) -> None:
        """An attempt that nobody serves is over; decided in a turn of its own, behind what is decided now."""
        asyncio.get_running_loop().call_soon(self._fault.guarded, self._refused, outcome)

    def _refused(self, outcome: Outcome) -> None:
        # A customer that has left meanwhile is loaded again, and its attempt refused again, wherever it comes next.
        if self.on_left is None or self._population.get(outcome.customer) is not None:
            self._give(outcome.customer, Given(None, outcome), self._now_ms())

    def _decide_again(self, live: Live, verdict: Taken | Released | Unmergeable | Skipped) -> None:
        """The journal refused the step: forget the state, load it, and decide what was gated once more, in order."""
        gated = [g.given for step in (live.in_flight, live.open) if step is not None for g in step.gated]
        waiting = [*gated, *(live.mailbox or ())]
        live.in_flight = live.open = live.journey = None
        self._gathering.drop(live)
        live.mailbox = None
        for given in waiting:
            known = _knowing(given, verdict, live.customer)
            if isinstance(known, Moved) and isinstance(given.message, Input):
                live.move(given.message.identities, (known.identity, known.customer))
            elif isinstance(known, Given):
                known = following(known, live)
            if isinstance(known, Given):
                live.wait(known)
            elif given.line is not None:
                given.line.send(known)
        # Loaded even if nothing waits: what was committed before has timers and watchers.
        self._load(live)

    def _give_up(self, live: Live, verdict: Stale) -> None:
        """Another writer has the scope: everything unsent is void."""
        _log.error("cell.stale", scope=live.scope, epoch=verdict.epoch)
        if self.on_left is None:
            # Nobody is answered: whoever asked will find the scope's new cell. Of what else is hosted the fences may
            # be gone as well. Exiting is the only state that cannot fork; Ray starts us with new ones.
            self._fault.set(RuntimeError(f"{live.scope} has another writer: epoch {verdict.epoch}"))
            return
        gated = [g.given for step in (live.in_flight, live.open) if step is not None for g in step.gated]
        for given in (*gated, *(live.mailbox or ())):
            if given.line is not None and not isinstance(given.message, UnwatchConversation | TimerDue):
                given.line.send(Elsewhere(given.message.ref))
        self._gathering.drop(live)
        self._population.remove(live)
        self._let_go(live.customer, live.journey)

    # Leaving memory

    def _snapshot(self, live: Live, journey: Journey) -> None:
        if merging.given_of(journey) is not None:
            # Its position may be one that a resent give was answered with: what the other did in between is not in it.
            live.unsaved = 0
            return
        journeys.forget_old_keys(journey, self._policy, self._now_ms())
        body = snapshots.freeze(journey)
        self._population.weigh(live, weight(journey))
        live.unsaved = 0
        # A line that is full drops it: the next one is as good, and a load only reads more events meanwhile.
        if self._archive_line is not None and not self._archive_line.full:
            self._archive_line.send(SnapshotTaken(live.customer, live.position, body))

    def _passivate(self, live: Live) -> None:
        if live.unsaved and live.journey is not None:
            self._snapshot(live, live.journey)
        if live.moved_to is not None:
            self._note_proposed(live)
        self._population.remove(live)
        if self.on_left is not None:
            self._outlet.watchers.send_rows()
            self._let_go(live.customer, live.journey)

    def _let_go(self, customer: str, journey: Journey | None) -> None:
        """The customer is nobody's here any more: what was kept for it goes."""
        now_ms = self._now_ms()
        due_ms = None
        if journey is not None:
            due_ms = journeys.next_due_ms(journey)
            if journeys.attempting(journey):
                # Its outcome is near; should it never come, loading the journey asks for it.
                due_ms = min(due_ms or now_ms + OUTCOME_WITHIN_MS, now_ms + OUTCOME_WITHIN_MS)
            for conversation in journey.kept:
                self._outlet.watchers.unwatch_all(conversation.id)
        self._alarms.set(customer, None, now_ms)
        self._outlet.forget(customer)
        self._committer.give_up(self._scope(customer))
        self._leaving.discard(customer)
        if self.on_left is not None:
            self.on_left(customer, due_ms)

    async def _refresh_alarms(self, now_ms: int) -> None:
        if not self._shards:
            return  # The usher looks after who is not live.
        due = await self._archive.due(self._shards, now_ms + HORIZON_MS, DUE_MAX)
        self._refresh_at_ms = now_ms + (REFRESH_MS if len(due) < DUE_MAX else REFRESH_MS // 30)
        for each in due:
            live = self._population.get(each.customer)
            if live is None:
                self._alarms.set(each.customer, each.due_ms, now_ms)
            elif live.journey is not None:
                # The live state knows better than the archive, and its alarm may have lain beyond the horizon.
                self._alarms.set(each.customer, journeys.next_due_ms(live.journey), now_ms)


def _knowing(given: Given, verdict: Taken | Released | Unmergeable | Skipped, customer: str) -> Given | Moved | Refused:
    """What becomes of an input now that the journal has refused a step with this verdict."""
    match verdict:
        case Taken():
            return knowing(given, verdict, customer)
        case Released():
            return heir(given, verdict)
        case Unmergeable():
            message = given.message
            if isinstance(message, Ask) and isinstance(message.command, GiveCustomer):
                return Refused(message.ref, Code.NOT_ALLOWED_NOW, verdict.reason, "other")
            return given
        case Skipped():
            return given
        case _:
            assert_never(verdict)


def _may_leave(live: Live) -> bool:
    """A quiet journey may leave memory; one with an attempt under way stays, since its outcome is near."""
    return live.quiet and live.journey is not None and not journeys.attempting(live.journey)


def _served_by_gateways(policy: Policy) -> dict[str, str]:
    """The policy's own accounts, all of which gateway clients serve."""
    return dict.fromkeys(policy.accounts, "gateway")
