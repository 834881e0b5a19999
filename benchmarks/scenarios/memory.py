"""`memory`: what a live conversation takes of its cell, and a connected agent of the gateway.

server that puts nothing out of memory → a few of both, so that code and buffers are there → agents connect
→ conversations are filled in through the gateway → settled: resident memory before and after, by process
"""

import uvloop
from msgspec import Struct
from msgspec.structs import replace

from benchmarks.figures import cautions, disk
from benchmarks.figures.percentiles import Percentiles
from benchmarks.figures.phases import Phases
from benchmarks.figures.setting import Setting, setting
from benchmarks.load.crowd import listed, seated
from benchmarks.load.filling import SHAPE, Filled, Filling, fill, named, pace_s
from benchmarks.load.pushing import Shape
from benchmarks.load.resident import WARM, Snapshot, limits, live_journeys, settled
from benchmarks.load.server import QUEUE, LiveServer, Setup, serving
from benchmarks.scenarios import sustained

WARM_AGENTS = 20


class Plan(Struct, frozen=True, kw_only=True):
    """What to run."""

    setup: Setup
    filling: Filling
    agents: int = 2000
    seconds: float | None = None
    """For how long conversations are filled in at most."""
    shape: Shape = SHAPE


class Result(Struct, frozen=True, kw_only=True):
    """Growth of resident memory: RSS, and PSS beside it, which counts shared pages once."""

    conversations: int
    """That were filled in: all that were asked for, unless their time was up."""
    conversations_asked: int
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
    text_bytes_per_conversation: float
    filled_events_per_s: float
    archive_level_after_s: float | None
    rss_by_process: dict[str, int]
    """At the end; all cells are one."""
    pss_total: int
    fsync_ms: Percentiles | None
    faults: list[str]
    cautions: list[str]
    setting: Setting


def run(plan: Plan, *, phases: Phases) -> Result:
    """Runs it. Raises as `throughput.run` does."""
    under = disk.probed(plan.setup.folder)
    phases.begin("starting a server", 10.0)
    with serving(replace(plan.setup, more=limits(plan.filling.conversations))) as server:
        return uvloop.run(_measure(plan, server, phases, under))


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
            phases.begin(f"{plan.filling.conversations:,} conversations", pace_s(plan.filling, plan.seconds))
            filled = await fill(server, named(plan.filling), plan.shape, on_progress=phases.reach, seconds=plan.seconds)
            phases.begin("archive", 5.0)
            level_after_s = await sustained.level(server.data)
            expected = WARM.conversations + filled.conversations
            live = await live_journeys(server, expected)
            after = await settled(server)
    return _result(
        plan, before_agents, before, after, live=live, filled=filled, level_after_s=level_after_s, under=under,
    )  # fmt: skip


def _result(
    plan: Plan,
    before_agents: Snapshot,
    before: Snapshot,
    after: Snapshot,
    *,
    live: int,
    filled: Filled,
    level_after_s: float | None,
    under: disk.Disk,
) -> Result:
    conversations, agents = filled.conversations, plan.agents
    expected = WARM.conversations + conversations
    return Result(
        conversations=conversations,
        conversations_asked=plan.filling.conversations,
        live=live,
        bytes_per_conversation=round((after["cell"].rss - before["cell"].rss) / conversations, 1),
        pss_per_conversation=round((after["cell"].pss - before["cell"].pss) / conversations, 1),
        gateway_bytes_per_conversation=round((after["gateway"].rss - before["gateway"].rss) / conversations, 1),
        agents=agents,
        bytes_per_agent=round((before["gateway"].rss - before_agents["gateway"].rss) / agents, 1),
        pss_per_agent=round((before["gateway"].pss - before_agents["gateway"].pss) / agents, 1),
        text_bytes_per_conversation=round(plan.filling.text_bytes * filled.events / conversations, 1),
        filled_events_per_s=round(filled.per_s, 1),
        archive_level_after_s=None if level_after_s is None else round(level_after_s, 2),
        rss_by_process={role: of.rss for role, of in sorted(after.items())},
        pss_total=sum(of.pss for of in after.values()),
        fsync_ms=under.fsync_ms,
        faults=[] if live >= expected else [f"{expected - live} conversations were not in memory at the end"],
        cautions=cautions.of_filling(filled),
        setting=setting(under.kind, messages=plan.filling.messages, text_bytes=plan.filling.text_bytes),
    )
