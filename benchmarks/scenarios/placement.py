"""`placement`: what a conversation costs pooled, many in one Ray actor, and dedicated, each in one of its own.

For each placement, on a fresh server:

    start-up     strangers one after the other: sent → acknowledged. Dedicated, each waits until the pool has a process
                 ready, since else one that is live loses its own; how long that takes is told apart
    memory       growth of the cells' PSS for each conversation that became live
    throughput   the same few conversations in a closed loop: acknowledged events/s, and CPU an event

The same code does both: what differs is one setting.
"""

import asyncio
import time
from collections.abc import Sequence

import uvloop
from msgspec import Struct
from msgspec.structs import replace

from benchmarks.figures import disk
from benchmarks.figures.percentiles import Percentiles, percentiles_ms
from benchmarks.figures.phases import Phases
from benchmarks.figures.setting import Setting, setting
from benchmarks.load.filling import Filling, fill, go_on, named
from benchmarks.load.pushing import Shape
from benchmarks.load.resident import WARM, live_journeys, settled
from benchmarks.load.server import LiveServer, NotServing, Setup, serving
from benchmarks.load.watchers import Sender
from orchestrator.client import GatewayClient

PLACEMENTS = ("pooled", "dedicated")
READY = 2
"""Processes that dedicated placement keeps ready: the first strangers get these."""
READY_WITHIN_S = 30.0
LOOK_S = 0.1
"""The figures change once a second, so that is what `ready_ms` is exact to."""


class Plan(Struct, frozen=True, kw_only=True):
    """What to run."""

    setup: Setup
    placements: Sequence[str] = PLACEMENTS
    conversations: int = 12
    """Live at once, for start-up and throughput in both, and for memory in dedicated."""
    pooled: int = 5000
    """Conversations for memory in pooled, where a dozen would drown in what the processes take anyway."""
    seconds: float = 10.0
    shape: Shape = Shape(window=256)


class Placed(Struct, frozen=True, kw_only=True):
    """One placement's figures."""

    placement: str
    conversations: int
    start_ms: Percentiles
    """From a stranger's first event to its ack."""
    ready_ms: Percentiles
    """Dedicated: from then until the pool has a process for the next one."""
    live: int
    """Conversations that were in memory together after that, by the cells' own count."""
    bytes_per_conversation: float
    """PSS of all cells, growth."""
    measured_on: int
    """Conversations that memory was measured with."""
    events_per_s: float
    ack_ms: Percentiles
    cpu_us_per_event: float


class Result(Struct, frozen=True, kw_only=True):
    """Both, side by side."""

    placements: list[Placed]
    fsync_ms: Percentiles | None
    faults: list[str]
    setting: Setting


def run(plan: Plan, *, phases: Phases) -> Result:
    """Runs it. Raises as `throughput.run` does."""
    under = disk.probed(plan.setup.folder)
    placed: list[Placed] = []
    for placement in plan.placements:
        phases.begin(f"{placement}: starting", 10.0)
        with serving(replace(plan.setup, more=_settings(plan, placement))) as server:
            placed.append(uvloop.run(_measure(plan, placement, server, phases)))
    return Result(
        placements=placed,
        fsync_ms=under.fsync_ms,
        faults=_faults(placed),
        setting=setting(under.kind, seconds=plan.seconds, gateways=plan.shape.gateways, window=plan.shape.window),
    )


def _settings(plan: Plan, placement: str) -> str:
    """Settings under which nobody of the run leaves memory."""
    if placement == "pooled":
        return ""
    most = plan.conversations + READY
    return f'placement = "{placement}"\n[limits]\ndedicated_max = {most}\ndedicated_warm = {READY}\n'


async def _measure(plan: Plan, placement: str, server: LiveServer, phases: Phases) -> Placed:
    phases.begin(f"{placement}: start-up", plan.conversations * (0.01 if placement == "pooled" else 1.0))
    few = named(Filling(conversations=plan.conversations, messages=1))
    before = await settled(server)
    start_s, ready_s = await _strangers(server, few, phases, pool=placement != "pooled")
    live = await live_journeys(server, plan.conversations)
    after = await settled(server)
    measured_on = plan.conversations
    if placement == "pooled":
        phases.begin(f"{placement}: memory", 2.0)
        measured_on = plan.pooled
        # Code and buffers come first, as in `memory`: a dedicated cell brings its own each time, and that is its cost.
        await fill(server, named(WARM), plan.shape, on_progress=phases.reach)
        before = await settled(server)
        await fill(server, named(Filling(conversations=plan.pooled)), plan.shape, on_progress=phases.reach)
        after = await settled(server)
    phases.begin(f"{placement}: throughput", plan.seconds)
    used = server.used()
    ledger = await go_on(server, few, plan.shape, first=few.events, seconds=plan.seconds)
    spent_s = sum(server.used().since(used).values())
    return Placed(
        placement=placement,
        conversations=plan.conversations,
        start_ms=percentiles_ms(start_s),
        ready_ms=percentiles_ms(ready_s),
        live=live,
        bytes_per_conversation=round((after["cell"].pss - before["cell"].pss) / measured_on, 1),
        measured_on=measured_on,
        events_per_s=round(ledger.rate(), 1),
        ack_ms=ledger.ack_ms(),
        cpu_us_per_event=round(1e6 * spent_s / max(1, ledger.sent), 1),
    )


async def _strangers(
    server: LiveServer, few: Filling, phases: Phases, *, pool: bool
) -> tuple[list[float], list[float]]:
    """Seconds from each stranger's first event to its acknowledgement, and from there to the pool's next process."""
    took_s: list[float] = []
    ready_s: list[float] = []
    async with GatewayClient(server.url, server.gateway_token) as gateway:
        sender = Sender(gateway)
        for number in range(few.conversations):
            began_s = time.perf_counter()
            sender.send(few, number)
            await sender.all_answered()
            acked_s = time.perf_counter()
            took_s.append(acked_s - began_s)
            if pool:
                await _pool_has(server, number + 1)
                ready_s.append(time.perf_counter() - acked_s)
            phases.reach(number + 1, few.conversations)
    return took_s, ready_s


async def _pool_has(server: LiveServer, taken: int) -> None:
    """Returns when the usher counts so many seats in use and one that is free. Raises `NotServing` after a while."""
    until_s = time.monotonic() + READY_WITHIN_S
    while True:
        in_use = sum((await asyncio.to_thread(server.figure, "seats_in_use")).values())
        free = sum((await asyncio.to_thread(server.figure, "seats_free")).values())
        if in_use >= taken and free >= 1:
            return
        if time.monotonic() > until_s:
            raise NotServing(
                f"no process is ready for another customer after {READY_WITHIN_S:.0f} s: {taken} are taken"
            )
        await asyncio.sleep(LOOK_S)


def _faults(placed: Sequence[Placed]) -> list[str]:
    return [
        f"{one.placement}: {one.conversations - one.live} of {one.conversations} conversations were not live together"
        for one in placed
        if one.live < one.conversations
    ]
