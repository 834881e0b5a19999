"""The commands for what a server costs and bears: options in, a scenario run, its result out."""

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.commands.option_sets import Load, OtherServer, OwnServer
from benchmarks.commands.options import Agents, AtMost, Bundle, Checked, Shown, carry_out
from benchmarks.figures import bars
from benchmarks.inputs.traffic import NEW_EVERY
from benchmarks.load.filling import Filling
from benchmarks.reports import latency as latency_report
from benchmarks.reports import memory as memory_report
from benchmarks.reports import placement as placement_report
from benchmarks.reports import recovery as recovery_report
from benchmarks.reports import throughput as throughput_report
from benchmarks.scenarios import latency as latencies
from benchmarks.scenarios import memory as memories
from benchmarks.scenarios import placement as placements
from benchmarks.scenarios import recovery as recoveries
from benchmarks.scenarios import throughput as throughputs

RATES = (100.0, 1000.0, 5000.0)


def throughput(
    *,
    seconds: Annotated[float, typer.Option(min=1, max=600, help="How long to measure; the relay takes as long.")] = 10,
    rate: Annotated[float, typer.Option(min=0, max=1e6, help="Offer so many events a second; 0: a closed loop.")] = 0,
    preload: Annotated[int, typer.Option(min=0, max=20_000_000, help="Events the stores hold before.")] = 0,
    preloaded: Annotated[
        Path | None, typer.Option(file_okay=False, help="Keep the preload in this folder, for the next run.")
    ] = None,
    sustained: Annotated[float, typer.Option(min=0, max=1e6, help="Also: does this rate hold?")] = 0,
    search: Annotated[bool, typer.Option("--search", help="Also: which rate holds?")] = False,
    trial_seconds: Annotated[float, typer.Option(min=1, max=600, help="How long such a rate is offered.")] = 20,
    new_every: Annotated[
        int, typer.Option(min=0, max=1_000_000, help="Every so many events one of a stranger; 0: none.")
    ] = NEW_EVERY,
    load: Load,
    bundle: Bundle = "",
    own: OwnServer,
    other: OtherServer,
    out: Checked,
) -> None:
    """Push events through a server and through a raw relay, and compare; exits with 1 where the counts disagree."""
    other.excludes(preload=preload, sustained=sustained, search=search)
    plan = throughputs.Plan(
        load=load.plan(own, other, bundle=bundle),
        seconds=seconds,
        rate=rate,
        new_every=new_every,
        preload=preload,
        kept=preloaded,
        sustained=sustained,
        search=search,
        trial_s=trial_seconds,
    )
    carry_out(
        lambda phases: throughputs.run(plan, phases=phases),
        show=throughput_report.show,
        panels=throughput_report.panels,
        out=out,
        bars=bars.of_throughput,
    )


def latency(
    *,
    rate: Annotated[list[float] | None, typer.Option(min=1, max=1e6, help="A rate to offer; may be repeated.")] = None,
    seconds: Annotated[float, typer.Option(min=1, max=600, help="How long to measure each rate.")] = 10,
    idle_seconds: Annotated[float, typer.Option(min=0, max=600, help="How long to watch the idle server first.")] = 10,
    load: Load,
    bundle: Bundle = "",
    own: OwnServer,
    other: OtherServer,
    out: Checked,
) -> None:
    """Offer events by the clock and measure from when each was due: to its ack, and to its agent. Idle CPU first."""
    plan = latencies.Plan(
        load=load.plan(own, other, bundle=bundle),
        rates=rate or RATES,
        seconds=seconds,
        idle_s=idle_seconds,
    )
    carry_out(
        lambda phases: latencies.run(plan, phases=phases),
        show=latency_report.show,
        panels=latency_report.panels,
        out=out,
        bars=bars.of_latency,
    )


def memory(
    *,
    conversations: Annotated[int, typer.Option(min=1, max=5_000_000, help="Live conversations.")] = 200_000,
    messages: Annotated[int, typer.Option(min=1, max=30, help="Messages in each.")] = 4,
    message_bytes: Annotated[int, typer.Option(min=1, max=2048, help="Length of a message's text.")] = 256,
    agents: Annotated[int, typer.Option(min=1, max=9000, help="Connected agents.")] = 2000,
    seconds: AtMost = None,
    bundle: Bundle = "",
    own: OwnServer,
    out: Checked,
) -> None:
    """Fill a server with live conversations and agents, and measure what each takes."""
    plan = memories.Plan(
        setup=own.setup(bundle),
        filling=Filling(conversations=conversations, messages=messages, text_bytes=message_bytes),
        agents=agents,
        seconds=seconds,
    )
    carry_out(
        lambda phases: memories.run(plan, phases=phases),
        show=memory_report.show,
        panels=memory_report.panels,
        out=out,
        bars=bars.of_memory,
    )


def recovery(
    *,
    conversations: Annotated[int, typer.Option(min=1, max=1_000_000, help="Live conversations.")] = 100_000,
    messages: Annotated[int, typer.Option(min=1, max=30, help="Messages in each.")] = 2,
    watched: Annotated[int, typer.Option(min=1, max=20_000, help="Conversations that agents watch.")] = 2000,
    agents: Agents = 20,
    part: Annotated[list[str] | None, typer.Option(help="What to kill; may be repeated.")] = None,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="How often each is killed.")] = 1,
    seconds: AtMost = None,
    own: OwnServer,
    out: Checked,
) -> None:
    """Kill -9 each part of a full server: time to the first ack, and until every watched conversation goes on."""
    if unknown := set(part or ()) - set(recoveries.PARTS):
        raise typer.BadParameter(f"--part {unknown.pop()}: there are {', '.join(recoveries.PARTS)}")
    plan = recoveries.Plan(
        setup=own.setup(),
        filling=Filling(conversations=conversations, messages=messages),
        watched=watched,
        agents=agents,
        parts=part or recoveries.PARTS,
        rounds=rounds,
        seconds=seconds,
    )
    carry_out(
        lambda phases: recoveries.run(plan, phases=phases),
        show=recovery_report.show,
        panels=recovery_report.panels,
        out=out,
        bars=bars.of_recovery,
    )


def placement(
    *,
    which: Annotated[list[str] | None, typer.Option("--placement", help="Only this one; may be repeated.")] = None,
    conversations: Annotated[int, typer.Option(min=1, max=200, help="Live at once in both.")] = 12,
    pooled: Annotated[int, typer.Option(min=1, max=1_000_000, help="For pooled memory.")] = 5000,
    seconds: Annotated[float, typer.Option(min=1, max=600, help="How long to measure throughput.")] = 10,
    own: OwnServer,
    out: Shown,
) -> None:
    """What a conversation costs pooled and dedicated: start-up, memory, throughput."""
    if unknown := set(which or ()) - set(placements.PLACEMENTS):
        raise typer.BadParameter(f"--placement {unknown.pop()}: there are {', '.join(placements.PLACEMENTS)}")
    plan = placements.Plan(
        setup=own.setup(),
        placements=which or placements.PLACEMENTS,
        conversations=conversations,
        pooled=pooled,
        seconds=seconds,
    )
    carry_out(
        lambda phases: placements.run(plan, phases=phases),
        show=placement_report.show,
        panels=placement_report.panels,
        out=out,
    )
