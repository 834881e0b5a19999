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

import structlog

from actors.cells.alarms import DUE_MAX, HORIZON_MS, REFRESH_MS, Alarms
from actors.cells.committing import Committer
from actors.cells.concluding import Concluding
from actors.cells.gathering import Gathering
from actors.cells.leaving import Leaving
from actors.cells.live import Envelope, Live
from actors.cells.loading import ArchiveReader, Loaded, reached
from actors.cells.loads import Loads
from actors.cells.mailboxes import Mailboxes
from actors.cells.population import Population
from actors.decisions.deciding import TimerDue
from actors.fault import Fault
from actors.lines import Line
from actors.rules import accounts
from actors.rules.policies import Policies
from actors.rules.policy import Policy
from actors.state import journey as journeys
from actors.way_out.outlet import Outlet
from actors.way_out.untaken import READ_MAX
from protocol.journal import Unsettled, Verdict
from protocol.links import (
    AnyLink,
    Ask,
    CellIs,
    FamiliesAre,
    FencesRaised,
    Heard,
    Input,
    ListWatched,
    Outcome,
    PoliciesAre,
    PolicyIs,
    Quarantine,
    ReadCustomer,
    Settle,
    Settled,
    TailIs,
    TakersAre,
    UnwatchConversation,
    UnwatchList,
    WatchConversation,
    WatchList,
)
from protocol.shards import OWN_SCOPES, SHARD_SCOPES, scope_of, shard_of

_log = structlog.get_logger(__name__)

TICK_S = 0.25
"""How often time is looked at: alarms, passivation. Coarser than any promise made in seconds, and free when idle."""
ROWS_EVERY = 4
HEADS_EVERY = 20
"""Ticks between rows of lists of which only heads moved (1 s), and between heads for heartbeats (5 s)."""


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
        self._archive = archive
        self._policies = Policies(policy)
        self._policy_told = asyncio.Event()
        self._now_ms = now_ms
        self._population = population
        self._alarms = Alarms()
        self._served_first = served_by
        self._served_by = {**served_by, **_served_by_gateways(policy)}
        self._generation = ""
        self._started = False
        self._told: list[Unsettled] = []
        """What customers have to take in of merges, as it was told before the start was over."""
        self._refresh_at_ms = 0
        self.inputs = 0
        # In the order of an input's way: loaded, stepped, gathered, committed, concluded; and out of memory again.
        self._fault = Fault()
        self._outlet = Outlet(self._served_by, self._refuse, self._moved_away)
        self._committer = Committer(self._settled)
        self._gathering = Gathering(self._committer, self._fault)
        self._loads = Loads(archive, self._committer.tail, self._entered, self._fault)
        self._mailboxes = Mailboxes(
            population, self._loads, self._policies, self._outlet, self._gathering, self._alarms, scope
        )
        self._leaving = Leaving(population, self._policies, self._outlet, self._alarms, self._committer, scope)
        self._concluding = Concluding(
            population, self._outlet, self._alarms, self._mailboxes, self._leaving, self._fault
        )

    @property
    def position(self) -> int:
        """Of the newest commit it knows of."""
        return self._outlet.position

    @property
    def on_left(self) -> Callable[[str, int | None], None] | None:
        """Hears of each customer that has left, and when its next alarm is due; None where customers stay."""
        return self._leaving.on_left

    @on_left.setter
    def on_left(self, on_left: Callable[[str, int | None], None]) -> None:
        self._leaving.on_left = on_left

    # Life

    async def start(self) -> None:
        """Takes its scopes, waits for the archive, and finds what time and the outbox owe. Needs its journal's line."""
        other_placement = OWN_SCOPES if self._shards else SHARD_SCOPES
        raised = await self._committer.take([f"{SHARD_SCOPES}{n}" for n in self._shards], void=other_placement)
        self._generation = raised.generation
        self._outlet.reached(raised.position)
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
            self._mailboxes.give(customer, Envelope(None, TimerDue(customer, self._outlet.taken)), now_ms)
        self._leaving.look(now_ms)

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
            "events": self._concluding.events,
            "policy": self._policies.newest.version,
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
        self._outlet.reached(raised.position)

    def look(self, customer: str) -> None:
        """Time has come for the customer: loads it if it is not live, and does what is due."""
        self._mailboxes.give(customer, Envelope(None, TimerDue(customer, self._outlet.taken)), self._now_ms())

    def leave(self, customer: str) -> None:
        """Has the customer leave memory, now or as soon as all it decided is committed and its attempts are with
        whoever makes them; what comes for it meanwhile must not be given here."""
        self._leaving.leave(customer, self._now_ms())

    # Lines

    def opened(self, line: Line, *, fresh: bool) -> None:
        """The journal: what it did not answer is asked again. A gateway or channel host: it hears who we are."""
        match line.peer.partition(":")[0]:
            case "journal":
                self._committer.opened(line, fresh=fresh)
                self._gathering.flush_soon()
            case "archive":
                self._leaving.opened(line)
            case _:
                if fresh:
                    line.send(CellIs(self._index, self._generation))
                    if self._policies.body:
                        line.send(self._policy_is())
                self._outlet.opened(line, fresh=fresh)

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
                if self._outlet.rehomings.turns_away(line, message.customer, message):
                    return
                self._mailboxes.give(message.customer, Envelope(line, message), self._now_ms())
            case UnwatchConversation():
                self._mailboxes.unwatch(message, line)
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
                self._outlet.takers_are(line.peer, message.accounts)
            case Heard():
                self._outlet.rehomings.heard(line, message.customer)
            case _:
                raise AssertionError(f"a cell is not sent {type(message).__name__}")

    def _learn(self, told: PoliciesAre) -> None:
        """The switch: what is decided from here on is decided under the newest version. Open steps take no more, so
        that each unit is of one version; what comes for them waits for their commit."""
        self._policy_told.set()
        if not self._policies.learn(told.versions):
            return
        newest = self._policies.newest
        for live in self._gathering:
            assert live.open is not None
            live.open.sealed = True
        self._served_by.clear()
        self._served_by.update({**self._served_first, **_served_by_gateways(newest)})
        self._outlet.accounts_changed()
        for line in self._outlet.fronts.values():
            line.send(self._policy_is())
        _log.info("cell.policy", version=newest.version)

    def _policy_is(self) -> PolicyIs:
        newest = self._policies.newest
        return PolicyIs(newest.version, self._policies.body, newest.former)

    def _moved_away(self, account: str, channel: str) -> str:
        return accounts.moved_away(account, channel, self._policies.newest)

    def _hear_of(self, unsettled: Sequence[Unsettled]) -> None:
        """Has the customers that this cell hosts take in what happened to them, also those that nobody asks for. In
        dedicated placement whoever does not sit takes it in when it comes."""
        if not self._started:
            self._told += unsettled
            return
        for told in unsettled:
            if shard_of(told.customer) in self._shards or self._population.get(told.customer) is not None:
                settle = Settle(0, told.customer, told.other, told.turn, told.turn % 2 == 0)
                self._mailboxes.give(told.customer, Envelope(None, settle), self._now_ms())

    # Journeys

    def _entered(self, live: Live, loaded: Loaded) -> None:
        now_ms = self._now_ms()
        self._mailboxes.enter(live, loaded, now_ms)
        if self._leaving.wanted:
            self._leaving.leave_quiet(now_ms)

    def _settled(self, lives: list[Live], verdicts: list[Verdict]) -> None:
        now_ms = self._now_ms()
        for live, verdict in zip(lives, verdicts, strict=True):
            self._concluding.conclude(live, verdict, now_ms)
        self._gathering.settled()

    def _refuse(self, outcome: Outcome) -> None:
        """An attempt that nobody serves is over; decided in a turn of its own, behind what is decided now."""
        asyncio.get_running_loop().call_soon(self._fault.guarded, self._refused, outcome)

    def _refused(self, outcome: Outcome) -> None:
        # A customer that has left meanwhile is loaded again, and its attempt refused again, wherever it comes next.
        if self.on_left is None or self._population.get(outcome.customer) is not None:
            self._mailboxes.give(outcome.customer, Envelope(None, outcome), self._now_ms())

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


def _served_by_gateways(policy: Policy) -> dict[str, str]:
    """The policy's own accounts, all of which gateway clients serve."""
    return dict.fromkeys(policy.accounts, "gateway")
