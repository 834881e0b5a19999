"""`memory`: what a live conversation takes of its cell, and a connected agent of the gateway.

server that puts nothing out of memory → a few of both, so that code and buffers are there → agents connect
→ conversations are filled in through the gateway → settled: resident memory before and after, by process
"""

import asyncio
import time

import uvloop
from msgspec import Struct
from msgspec.structs import replace

from benchmarks import disk, sustained
from benchmarks.crowd import listed, seated
from benchmarks.filling import Filling, fill, named
from benchmarks.percentiles import Percentiles
from benchmarks.phases import Phases
from benchmarks.processes import Memory, memory, role_of
from benchmarks.pushing import Shape
from benchmarks.server import QUEUE, LiveServer, NotServing, Setup, serving
from benchmarks.setting import Setting, setting

WARM = Filling(conversations=500)
"""What is there before anything is measured."""
WARM_AGENTS = 20
SETTLE_S = 2.0
COUNTED_WITHIN_S = 10.0
"""The figures of a cell are up to a second old, and more on a busy machine."""
PER_S = 8000
"""A guess at the bar's pace."""


class Plan(Struct, frozen=True, kw_only=True):
    """What to run."""

    setup: Setup
    filling: Filling
    agents: int = 2000
    shape: Shape = Shape(window=1024)


class Result(Struct, frozen=True, kw_only=True):
    """Growth of resident memory: RSS, and PSS beside it, which counts shared pages once."""

    conversations: int
    live: int
    """Conversations' journeys that were in memory at the end, by the cells' own count."""
    bytes_per_conversation: float
    """RSS of all cells."""
    pss_per_conversation: float
    gateway_bytes_per_conversation: float
    """What the gateway remembers of their identities."""
    agents: int
    bytes_per_agent: float
    """RSS of the gateway."""
    pss_per_agent: float
    text_bytes_per_conversation: int
    filled_events_per_s: float
    archive_level_after_s: float | None
    rss_by_process: dict[str, int]
    """At the end; all cells are one."""
    pss_total: int
    fsync_ms: Percentiles | None
    faults: list[str]
    setting: Setting


def run(plan: Plan, *, phases: Phases) -> Result:
    """Runs it. Raises as `throughput.run` does."""
    under = disk.probed(plan.setup.folder)
    phases.begin("starting a server", 10.0)
    with serving(replace(plan.setup, more=limits(plan.filling.conversations))) as server:
        return uvloop.run(_measure(plan, server, phases, under))


def limits(conversations: int) -> str:
    """Settings under which nothing leaves memory while it is measured."""
    most = 2 * conversations + 10_000
    return f"[limits]\nlive_journeys_max = {most}\nlive_bytes_max = {1024**4}\npassivate_after_s = 86400\n"


async def _measure(plan: Plan, server: LiveServer, phases: Phases, under: disk.Disk) -> Result:
    assert server.data is not None
    phases.begin("warming up", 2.0)
    await fill(server, named(WARM), plan.shape, on_progress=phases.reach)
    watched = (await listed(server, QUEUE))[:WARM_AGENTS]
    async with seated(server, watched):
        before_agents = await settled(server)
        phases.begin(f"{plan.agents:,} agents", 5.0)
        async with seated(server, [watched[number % len(watched)] for number in range(plan.agents)]):
            before = await settled(server)
            phases.begin(f"{plan.filling.conversations:,} conversations", plan.filling.events / PER_S)
            per_s = await fill(server, named(plan.filling), plan.shape, on_progress=phases.reach)
            phases.begin("archive", 5.0)
            level_after_s = await sustained.level(server.data)
            expected = WARM.conversations + plan.filling.conversations
            live = await live_journeys(server, expected)
            after = await settled(server)
    return _result(
        plan, before_agents, before, after, live=live, per_s=per_s, level_after_s=level_after_s, under=under,
    )  # fmt: skip


Snapshot = dict[str, Memory]
"""Memory by role."""


async def settled(server: LiveServer) -> Snapshot:
    """After a moment without anything to do."""
    await asyncio.sleep(SETTLE_S)
    found: Snapshot = {}
    for process in server.processes().values():
        one, role = memory(process), role_of(process.cmdline())
        had = found.get(role, Memory())
        found[role] = Memory(had.rss + one.rss, had.pss + one.pss)
    if not {"cell", "gateway"} <= found.keys():
        raise NotServing(f"a process is missing; there are {', '.join(sorted(found))}")
    return found


async def live_journeys(server: LiveServer, expected: int) -> int:
    """The journeys in memory, by the cells' own count; waits a little until it shows all."""
    until_s = time.monotonic() + COUNTED_WITHIN_S
    while True:
        live = sum((await asyncio.to_thread(server.figure, "live_journeys")).values())
        if live >= expected or time.monotonic() > until_s:
            return int(live)
        await asyncio.sleep(SETTLE_S / 4)


def _result(
    plan: Plan,
    before_agents: Snapshot,
    before: Snapshot,
    after: Snapshot,
    *,
    live: int,
    per_s: float,
    level_after_s: float | None,
    under: disk.Disk,
) -> Result:
    conversations, agents = plan.filling.conversations, plan.agents
    expected = WARM.conversations + conversations
    return Result(
        conversations=conversations,
        live=live,
        bytes_per_conversation=round((after["cell"].rss - before["cell"].rss) / conversations, 1),
        pss_per_conversation=round((after["cell"].pss - before["cell"].pss) / conversations, 1),
        gateway_bytes_per_conversation=round((after["gateway"].rss - before["gateway"].rss) / conversations, 1),
        agents=agents,
        bytes_per_agent=round((before["gateway"].rss - before_agents["gateway"].rss) / agents, 1),
        pss_per_agent=round((before["gateway"].pss - before_agents["gateway"].pss) / agents, 1),
        text_bytes_per_conversation=plan.filling.messages * plan.filling.text_bytes,
        filled_events_per_s=round(per_s, 1),
        archive_level_after_s=None if level_after_s is None else round(level_after_s, 2),
        rss_by_process={role: of.rss for role, of in sorted(after.items())},
        pss_total=sum(of.pss for of in after.values()),
        fsync_ms=under.fsync_ms,
        faults=[] if live >= expected else [f"{expected - live} conversations were not in memory at the end"],
        setting=setting(under.kind, messages=plan.filling.messages, text_bytes=plan.filling.text_bytes),
    )
