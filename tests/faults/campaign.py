"""The campaign: a server under load, struck again and again, and judged when it has stopped.

start → load → (calm → strike → back → caught up)* → load ends → all settled → stop → the files are read
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from random import Random
from typing import assert_never

from msgspec import Struct, field

from orchestrator.client import AgentClient, GatewayClient
from tests.faults.arrivals import UNDER_WAY, Arrivals, fates, judged
from tests.faults.evidence import archive_follows, commands_kept, words_kept
from tests.faults.lateness import Outage, by_strike, outages, shown
from tests.faults.memory import grown_mib, resident
from tests.faults.others import OTHERS
from tests.faults.recovery import Probe, Recovery, caught_up, until
from tests.faults.strikes import AnyStrike, Standstill, Strike, Target
from tests.faults.traffic import Record, Traffic
from tests.faults.truth import Truth
from tests.faults.victim import Victim
from tests.faults.watchers import View, commuting, watching
from tests.people import outside

SETTLE_S_MAX = 45.0
"""After the load: eight attempts of a delivery with doubling pauses take 25 s at most."""
GATEWAY_CLIENTS = 2
SECOND_S_MAX = 10.0


class Result(Struct):
    """What came out. No `faults`: every promise was kept."""

    seed: int
    placement: str
    recoveries: list[Recovery] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    words: int = 0
    events: int = 0
    repeats: int = 0
    replies: int = 0
    doubts: int = 0
    shown: int = 0
    """Events whose way from ack to view was measured, once for each view."""
    slowest_ack_s: float = 0.0

    @property
    def kills(self) -> int:
        """Processes killed; everything at once counts as one."""
        return sum(recovery.kills for recovery in self.recoveries)


class Load(Struct, frozen=True):
    """How much is going on: `rate` is in events a second, of all customers together."""

    people: int = 16
    rate: float = 60.0
    agents: int = 3


LOADS = {"pooled": Load(), "dedicated": Load(people=7, rate=10.0, agents=2)}
"""A dedicated server has a process for each live customer: a few people fill the machine, and there is one more now and
then who needs another's seat."""


class Campaign:
    """One server's. `on_strike` is told of each strike before it falls."""

    def __init__(
        self,
        server: Victim,
        strikes: Sequence[AnyStrike],
        *,
        seed: int,
        placement: str = "pooled",
        load: Load | None = None,
        on_strike: Callable[[int, AnyStrike], None] = lambda number, strike: None,
    ) -> None:
        self._server = server
        self._strikes = strikes
        self._load = load or LOADS[placement]
        self._on_strike = on_strike
        self._draw = Random(f"campaign {seed}")
        self._truth = Truth(server.data)
        self._record = Record()
        self._views: list[View] = []
        self.result = Result(seed, placement)

    async def run(self) -> Result:
        """Strikes, lets all settle, stops the server and judges. The server has been started."""
        async with outside(self._server) as (mailbox, twilio):
            arrivals = Arrivals(mailbox, twilio)
            await self._live(arrivals)
            code = await asyncio.to_thread(self._server.stop)
            if code != 0:
                self.result.faults.append(f"the server's exit code is {code}")
            await self._judge(arrivals)
        return self.result

    async def _live(self, arrivals: Arrivals) -> None:
        server, load = self._server, self._load
        traffic = Traffic(
            self._record,
            smtp_port=server.smtp_port,
            people=load.people,
            rate=load.rate,
            draw=Random(self._draw.random()),
        )
        async with AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(GatewayClient(server.url, server.gateway_token, accounts=["chat"]))
                for _ in range(GATEWAY_CLIENTS)
            ]
            agents: list[AgentClient] = []
            for number in range(load.agents):
                context = watching(server.url, server.agent_token, f"agent {number}")
                view, agent = await stack.enter_async_context(context)
                self._views.append(view)
                agents.append(agent)
            self._views.append(
                await stack.enter_async_context(commuting(server.url, server.agent_token, "the commuter"))
            )
            async with asyncio.TaskGroup() as group:
                taking = [group.create_task(arrivals.run(client)) for client in clients]
                talking = group.create_task(traffic.run(clients, agents[0]))
                probe = Probe(server, clients[0], self._truth, self._record)
                try:
                    for number, strike in enumerate(self._strikes):
                        await self._strike(number, strike, probe)
                    traffic.stop()
                    await self._settle(talking)
                except AssertionError as exc:
                    self.result.faults.append(f"after {len(self.result.recoveries)} strikes: {exc}")
                for task in (talking, *taking):
                    task.cancel()

    async def _strike(self, number: int, strike: AnyStrike, probe: Probe) -> None:
        await asyncio.sleep(strike.calm_s)
        self._on_strike(number, strike)
        before, memory = self._server.pids, resident(self._server)
        match strike:
            case Strike():
                struck_s = began_s = time.monotonic()
                gone = await self._kill(strike)
            case Standstill():
                pids = self._server.stop_still(strike.targets, self._draw)
                struck_s, gone = time.monotonic(), set()
                await asyncio.sleep(strike.seconds)
                self._server.go_on(pids)
                began_s = time.monotonic()
            case _:
                assert_never(strike)
        await probe.back(before, gone)
        whole_s = time.monotonic()
        await caught_up(self._views, self._truth.read().heads, SETTLE_S_MAX)
        factor = OTHERS.factor(time.monotonic() - began_s)
        self.result.recoveries.append(
            Recovery(
                strike.kind,
                strike.kills,
                Outage(struck_s, whole_s),
                back_s=whole_s - began_s,
                back_s_max=strike.back_s_max,
                factor=factor,
                grown_mib=grown_mib(memory, resident(self._server)),
            )
        )

    async def _kill(self, strike: Strike) -> set[int]:
        """Kills, and brings back what is not brought back by itself; returns who is not to be seen again."""
        struck = await asyncio.to_thread(self._server.strike, strike.target, self._draw)
        if strike.second is not None:
            await asyncio.sleep(strike.second_after_s)
            struck |= await self._strike_second(strike.second)
        await self._server.revive(strike.target)
        return struck

    async def _strike_second(self, target: Target) -> set[int]:
        """Kills the second of a pair, as soon as it is there: the first one's end may have taken it along."""
        struck: set[int] = set()

        def met() -> bool:
            with suppress(KeyError, ProcessLookupError):
                struck.update(self._server.strike(target, self._draw))
            return bool(struck)

        await until(met, SECOND_S_MAX, f"the {target} is not there to be killed")
        return struck

    async def _settle(self, talking: "asyncio.Task[None]") -> None:
        """Until all that was begun is acknowledged, every delivery has its end and every view all events."""
        await until(talking.done, SETTLE_S_MAX, "what was sent is not acknowledged")
        await until(self._is_settled, SETTLE_S_MAX, "deliveries and views do not settle")

    def _is_settled(self) -> bool:
        truth = self._truth.read()
        deliveries = fates(event for _, _, event in truth.events())
        return not any(fate.state == UNDER_WAY for fate in deliveries.values()) and not any(
            view.behind(truth.heads) for view in self._views
        )

    async def _judge(self, arrivals: Arrivals) -> None:
        truth, record, result = Truth(self._server.data).read(), self._record, self.result
        deliveries = fates(event for _, _, event in truth.events())
        result.faults += [*truth.faults, *record.faults, *words_kept(record, truth), *commands_kept(record, truth)]
        result.faults += judged(deliveries, arrivals.counted())
        for view in self._views:
            result.faults += [*view.faults, *view.compared(truth.streams)]
            if behind := view.behind(truth.heads):
                result.faults.append(f"{view.name} was not shown the end of {len(behind)} conversations")
        self._measure(truth)
        result.faults += [fault for recovery in result.recoveries for fault in recovery.faults()]
        result.faults += await archive_follows(self._server.data, truth, self._server.folder)
        result.words, result.events = len(record.acked), sum(truth.heads.values())
        result.repeats, result.replies = record.repeats, len(deliveries)
        result.doubts = sum(fate.doubts for fate in deliveries.values())
        result.slowest_ack_s = record.slowest_ack_s

    def _measure(self, truth: Truth) -> None:
        """How long each strike kept acks away, and how far any view was behind them afterwards."""
        recoveries = self.result.recoveries
        broken = [recovery.broken for recovery in recoveries]
        quiet = outages(broken, self._record.chat_acks_s)
        for recovery in recoveries:
            over = [each.lasted_s for each in quiet if each.within(recovery.broken.began_s, recovery.broken.ended_s)]
            recovery.without_s = max(over, default=0.0)
        for view in self._views:
            seen = list(shown(view, truth, self._record))
            self.result.shown += len(seen)
            for number, ones in by_strike(seen, [each.began_s for each in broken]).items():
                behind_s = max(one.behind_s(broken if view.begins_anew else quiet) for one in ones)
                recoveries[number].behind_s = max(recoveries[number].behind_s, behind_s)


async def campaign(
    folder: Path,
    strikes: Sequence[AnyStrike],
    *,
    seed: int,
    placement: str = "pooled",
    load: Load | None = None,
    on_strike: Callable[[int, AnyStrike], None] = lambda number, strike: None,
) -> Result:
    """A campaign on a fresh server in `folder`, of which nothing runs afterwards."""
    server = Victim(folder, placement=placement)
    await asyncio.to_thread(server.start)
    run = Campaign(server, strikes, seed=seed, placement=placement, load=load, on_strike=on_strike)
    try:
        return await run.run()
    finally:
        await asyncio.to_thread(server.end)
