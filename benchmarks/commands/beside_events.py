"""The commands for what goes on beside a load of events: questions, new rules, customers that become one."""

from typing import Annotated

import typer

from benchmarks.commands.option_sets import Load, OtherServer, OwnServer
from benchmarks.commands.options import Bundle, Checked, carry_out
from benchmarks.figures import bars
from benchmarks.reports import context as context_report
from benchmarks.reports import merge as merge_report
from benchmarks.reports import policy as policy_report
from benchmarks.scenarios import context as contexts
from benchmarks.scenarios import merge as merges
from benchmarks.scenarios import policy as policies


def context(
    *,
    rate: Annotated[float, typer.Option(min=1, max=1e5, help="Questions a second.")] = 200,
    events: Annotated[float, typer.Option(min=1, max=1e6, help="Events a second beside them.")] = 2000,
    seconds: Annotated[float, typer.Option(min=1, max=600, help="How long to measure.")] = 10,
    load: Load,
    bundle: Bundle = "",
    own: OwnServer,
    other: OtherServer,
    out: Checked,
) -> None:
    """Ask what is known of customers, as an IVR does before it greets, beside a load of events."""
    plan = contexts.Plan(
        load=load.plan(own, other, bundle=bundle),
        reads=rate,
        events=events,
        seconds=seconds,
    )
    carry_out(
        lambda phases: contexts.run(plan, phases=phases),
        show=context_report.show,
        panels=context_report.panels,
        out=out,
        bars=bars.of_context,
    )


def policy(
    *,
    rate: Annotated[float, typer.Option(min=1, max=1e6, help="Events a second.")] = 5000,
    seconds: Annotated[float, typer.Option(min=1, max=600, help="How long, without a switch and once more with.")] = 10,
    versions: Annotated[int, typer.Option(min=1, max=100, help="Versions that come into force meanwhile.")] = 5,
    load: Load,
    bundle: Bundle = "insurer",
    own: OwnServer,
    out: Checked,
) -> None:
    """Put new versions of a bundle in force under a load of events: is one lost, and how long is the pause?"""
    plan = policies.Plan(
        load=load.plan(own, bundle=bundle),
        rate=rate,
        seconds=seconds,
        versions=versions,
    )
    carry_out(
        lambda phases: policies.run(plan, phases=phases),
        show=policy_report.show,
        panels=policy_report.panels,
        out=out,
        bars=bars.of_policy,
    )


def merge(
    *,
    events: Annotated[int, typer.Option(min=1, max=200_000, help="Messages of each of the two customers.")] = 10_000,
    count: Annotated[int, typer.Option("--merges", min=1, max=100, help="Pairs of them, one after the other.")] = 3,
    rate: Annotated[float, typer.Option(min=1, max=1e6, help="Events a second of others, meanwhile.")] = 1000,
    load: Load,
    bundle: Bundle = "",
    own: OwnServer,
    other: OtherServer,
    out: Checked,
) -> None:
    """Merge two customers with many events each, and take them apart again, beside a load of others' events."""
    plan = merges.Plan(
        load=load.plan(own, other, bundle=bundle),
        events=events,
        merges=count,
        rate=rate,
    )
    carry_out(
        lambda phases: merges.run(plan, phases=phases),
        show=merge_report.show,
        panels=merge_report.panels,
        out=out,
        bars=bars.of_merge,
    )
