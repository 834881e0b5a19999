"""The commands: options in, a scenario run, its result out."""

from pathlib import Path
from typing import Annotated

import typer
from msgspec import structs

from benchmarks import (
    archive_follow,
    archive_report,
    bars,
    decide_report,
    latency_report,
    memory_report,
    merge_report,
    placement_report,
    recovery_report,
    throughput_report,
)
from benchmarks import decide as decides
from benchmarks import latency as latencies
from benchmarks import memory as memories
from benchmarks import merge as merges
from benchmarks import placement as placements
from benchmarks import recovery as recoveries
from benchmarks import throughput as throughputs
from benchmarks.beside_events import context, policy
from benchmarks.filling import Filling
from benchmarks.options import (
    FOLDER,
    Account,
    Agents,
    Batch,
    Bundle,
    Cells,
    Check,
    Customers,
    Folder,
    Gateways,
    Json,
    Keep,
    Own,
    Plot,
    Queue,
    TextBytes,
    Token,
    Url,
    Window,
    carry_out,
    server_at,
)
from benchmarks.pushing import Shape
from benchmarks.server import ACCOUNT, QUEUE, Setup
from benchmarks.traffic import NEW_EVERY

RATES = (100.0, 1000.0, 5000.0)

app = typer.Typer(help="Measure a Throughline server.", no_args_is_help=True)

AtMost = Annotated[
    float | None,
    typer.Option("--seconds", min=1, max=3600, help="At most so long; the result says how far it came."),
]


@app.callback()
def _benchmarks() -> None:
    """Keeps a command's name, however many there are."""


@app.command(epilog="Example: python -m benchmarks throughput --seconds 10 --json")
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
    customers: Customers = 2000,
    new_every: Annotated[
        int, typer.Option(min=0, max=1_000_000, help="Every so many events one of a stranger; 0: none.")
    ] = NEW_EVERY,
    gateways: Gateways = 4,
    agents: Agents = 20,
    window: Window = 512,
    batch: Batch = 16,
    text_bytes: TextBytes = 160,
    cells: Cells = 0,
    bundle: Bundle = "",
    folder: Folder = FOLDER,
    keep: Keep = False,
    url: Url = "",
    token: Token = "",
    i_own_this_server: Own = False,
    account: Account = ACCOUNT,
    queue: Queue = QUEUE,
    check: Check = False,
    as_json: Json = False,
    plot: Plot = None,
) -> None:
    """Push events through a server and through a raw relay, and compare; exits with 1 where the counts disagree."""
    plan = throughputs.Plan(
        setup=Setup(folder=folder, cells=cells, keep=keep, bundle=bundle),
        seconds=seconds,
        rate=rate,
        customers=customers,
        new_every=new_every,
        shape=Shape(gateways=gateways, agents=agents, window=window, batch=batch),
        text_bytes=text_bytes,
        preload=preload,
        kept=preloaded,
        sustained=sustained,
        search=search,
        trial_s=trial_seconds,
        server=server_at(url, token, owned=i_own_this_server),
        account=account,
        queue=queue,
    )
    if plan.server and (preload or sustained or search or bundle):
        raise typer.BadParameter("--preload, --sustained, --search and --bundle need a server of the run's own")
    carry_out(
        lambda phases: throughputs.run(plan, phases=phases),
        show=throughput_report.show,
        panels=throughput_report.panels,
        as_json=as_json,
        file=plot,
        bars=bars.of_throughput if check else None,
    )


@app.command(epilog="Example: python -m benchmarks latency --rate 100 --rate 5000 --seconds 20")
def latency(
    *,
    rate: Annotated[list[float] | None, typer.Option(min=1, max=1e6, help="A rate to offer; may be repeated.")] = None,
    seconds: Annotated[float, typer.Option(min=1, max=600, help="How long to measure each rate.")] = 10,
    idle_seconds: Annotated[float, typer.Option(min=0, max=600, help="How long to watch the idle server first.")] = 10,
    customers: Customers = 2000,
    gateways: Gateways = 4,
    agents: Agents = 20,
    window: Window = 512,
    batch: Batch = 16,
    text_bytes: TextBytes = 160,
    cells: Cells = 0,
    bundle: Bundle = "",
    folder: Folder = FOLDER,
    keep: Keep = False,
    url: Url = "",
    token: Token = "",
    i_own_this_server: Own = False,
    account: Account = ACCOUNT,
    queue: Queue = QUEUE,
    check: Check = False,
    as_json: Json = False,
    plot: Plot = None,
) -> None:
    """Offer events by the clock and measure from when each was due: to its ack, and to its agent. Idle CPU first."""
    if url and bundle:
        raise typer.BadParameter("--bundle needs a server of the run's own")
    plan = latencies.Plan(
        setup=Setup(folder=folder, cells=cells, keep=keep, bundle=bundle),
        rates=rate or RATES,
        seconds=seconds,
        idle_s=idle_seconds,
        customers=customers,
        shape=Shape(gateways=gateways, agents=agents, window=window, batch=batch),
        text_bytes=text_bytes,
        server=server_at(url, token, owned=i_own_this_server),
        account=account,
        queue=queue,
    )
    carry_out(
        lambda phases: latencies.run(plan, phases=phases),
        show=latency_report.show,
        panels=latency_report.panels,
        as_json=as_json,
        file=plot,
        bars=bars.of_latency if check else None,
    )


app.command(epilog="Example: python -m benchmarks context --rate 200 --events 2000 --seconds 60 --check")(context)
app.command(epilog="Example: python -m benchmarks policy --rate 5000 --seconds 60 --check")(policy)


@app.command(epilog="Example: python -m benchmarks merge --events 10000 --check")
def merge(
    *,
    events: Annotated[int, typer.Option(min=1, max=200_000, help="Messages of each of the two customers.")] = 10_000,
    count: Annotated[int, typer.Option("--merges", min=1, max=100, help="Pairs of them, one after the other.")] = 3,
    rate: Annotated[float, typer.Option(min=1, max=1e6, help="Events a second of others, meanwhile.")] = 1000,
    customers: Customers = 2000,
    gateways: Gateways = 4,
    agents: Agents = 20,
    window: Window = 512,
    batch: Batch = 16,
    text_bytes: TextBytes = 160,
    cells: Cells = 0,
    bundle: Bundle = "",
    folder: Folder = FOLDER,
    keep: Keep = False,
    url: Url = "",
    token: Token = "",
    i_own_this_server: Own = False,
    account: Account = ACCOUNT,
    queue: Queue = QUEUE,
    check: Check = False,
    as_json: Json = False,
    plot: Plot = None,
) -> None:
    """Merge two customers with many events each, and take them apart again, beside a load of others' events."""
    plan = merges.Plan(
        setup=Setup(folder=folder, cells=cells, keep=keep, bundle=bundle),
        events=events,
        merges=count,
        rate=rate,
        customers=customers,
        shape=Shape(gateways=gateways, agents=agents, window=window, batch=batch),
        text_bytes=text_bytes,
        server=server_at(url, token, owned=i_own_this_server),
        account=account,
        queue=queue,
    )
    carry_out(
        lambda phases: merges.run(plan, phases=phases),
        show=merge_report.show,
        panels=merge_report.panels,
        as_json=as_json,
        file=plot,
        bars=bars.of_merge if check else None,
    )


@app.command(epilog="Example: python -m benchmarks memory --conversations 20000 --agents 200")
def memory(
    *,
    conversations: Annotated[int, typer.Option(min=1, max=5_000_000, help="Live conversations.")] = 200_000,
    messages: Annotated[int, typer.Option(min=1, max=30, help="Messages in each.")] = 4,
    message_bytes: Annotated[int, typer.Option(min=1, max=2048, help="Length of a message's text.")] = 256,
    agents: Annotated[int, typer.Option(min=1, max=9000, help="Connected agents.")] = 2000,
    seconds: AtMost = None,
    cells: Cells = 0,
    bundle: Bundle = "",
    folder: Folder = FOLDER,
    keep: Keep = False,
    check: Check = False,
    as_json: Json = False,
    plot: Plot = None,
) -> None:
    """Fill a server with live conversations and agents, and measure what each takes."""
    plan = memories.Plan(
        setup=Setup(folder=folder, cells=cells, keep=keep, bundle=bundle),
        filling=Filling(conversations=conversations, messages=messages, text_bytes=message_bytes),
        agents=agents,
        seconds=seconds,
    )
    carry_out(
        lambda phases: memories.run(plan, phases=phases),
        show=memory_report.show,
        panels=memory_report.panels,
        as_json=as_json,
        file=plot,
        bars=bars.of_memory if check else None,
    )


@app.command(epilog="Example: python -m benchmarks recovery --conversations 10000 --watched 200")
def recovery(
    *,
    conversations: Annotated[int, typer.Option(min=1, max=1_000_000, help="Live conversations.")] = 100_000,
    messages: Annotated[int, typer.Option(min=1, max=30, help="Messages in each.")] = 2,
    watched: Annotated[int, typer.Option(min=1, max=20_000, help="Conversations that agents watch.")] = 2000,
    agents: Agents = 20,
    part: Annotated[list[str] | None, typer.Option(help="What to kill; may be repeated.")] = None,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="How often each is killed.")] = 1,
    seconds: AtMost = None,
    cells: Cells = 0,
    folder: Folder = FOLDER,
    keep: Keep = False,
    check: Check = False,
    as_json: Json = False,
    plot: Plot = None,
) -> None:
    """Kill -9 each part of a full server: time to the first ack, and until every watched conversation goes on."""
    if unknown := set(part or ()) - set(recoveries.PARTS):
        raise typer.BadParameter(f"--part {unknown.pop()}: there are {', '.join(recoveries.PARTS)}")
    plan = recoveries.Plan(
        setup=Setup(folder=folder, cells=cells, keep=keep),
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
        as_json=as_json,
        file=plot,
        bars=bars.of_recovery if check else None,
    )


@app.command(epilog="Example: python -m benchmarks placement --conversations 12")
def placement(
    *,
    which: Annotated[list[str] | None, typer.Option("--placement", help="Only this one; may be repeated.")] = None,
    conversations: Annotated[int, typer.Option(min=1, max=200, help="Live at once in both.")] = 12,
    pooled: Annotated[int, typer.Option(min=1, max=1_000_000, help="For pooled memory.")] = 5000,
    seconds: Annotated[float, typer.Option(min=1, max=600, help="How long to measure throughput.")] = 10,
    cells: Cells = 0,
    folder: Folder = FOLDER,
    keep: Keep = False,
    as_json: Json = False,
    plot: Plot = None,
) -> None:
    """What a conversation costs pooled and dedicated: start-up, memory, throughput."""
    if unknown := set(which or ()) - set(placements.PLACEMENTS):
        raise typer.BadParameter(f"--placement {unknown.pop()}: there are {', '.join(placements.PLACEMENTS)}")
    plan = placements.Plan(
        setup=Setup(folder=folder, cells=cells, keep=keep),
        placements=which or placements.PLACEMENTS,
        conversations=conversations,
        pooled=pooled,
        seconds=seconds,
    )
    carry_out(
        lambda phases: placements.run(plan, phases=phases),
        show=placement_report.show,
        panels=placement_report.panels,
        as_json=as_json,
        file=plot,
    )


@app.command(epilog="Example: python -m benchmarks archive --events 1000000 --batch-of 8000")
def archive(
    *,
    events: Annotated[int, typer.Option(min=1, max=20_000_000, help="Events in the journal.")] = 200_000,
    batch_of: Annotated[
        list[int] | None, typer.Option(min=1, max=100_000, help="Records in one transaction; may be repeated.")
    ] = None,
    customers: Customers = 2000,
    text_bytes: TextBytes = 160,
    bundle: Bundle = "",
    seconds: AtMost = None,
    folder: Folder = FOLDER,
    as_json: Json = False,
    plot: Plot = None,
) -> None:
    """What following the journal costs the archive, alone, by the size of its batches."""
    plan = archive_follow.Plan(
        folder=folder, events=events, customers=customers, text_bytes=text_bytes, bundle=bundle, seconds=seconds
    )
    if batch_of:
        plan = structs.replace(plan, batches=batch_of)
    carry_out(
        lambda phases: archive_follow.run(plan, phases=phases),
        show=archive_report.show,
        panels=archive_report.panels,
        as_json=as_json,
        file=plot,
    )


@app.command(epilog="Example: python -m benchmarks decide --bundle utility")
def decide(
    *,
    events: Annotated[int, typer.Option(min=10, max=1_000_000, help="Events that channels send.")] = 20_000,
    customers: Customers = 500,
    text_bytes: TextBytes = 160,
    bundle: Annotated[str, typer.Option("--bundle", help="The policy: insurer, utility, or a folder.")] = "insurer",
    as_json: Json = False,
    plot: Plot = None,
) -> None:
    """What a bundle costs the decision on an event, alone, beside the settings' own policy."""
    plan = decides.Plan(bundle=bundle, events=events, customers=customers, text_bytes=text_bytes)
    carry_out(
        lambda phases: decides.run(plan, phases=phases),
        show=decide_report.show,
        panels=decide_report.panels,
        as_json=as_json,
        file=plot,
    )
