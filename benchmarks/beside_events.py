"""The commands for what goes on beside a load of events: questions, and new rules."""

from typing import Annotated

import typer

from benchmarks import bars, context_report, policy_report
from benchmarks import context as contexts
from benchmarks import policy as policies
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


def context(
    *,
    rate: Annotated[float, typer.Option(min=1, max=1e5, help="Questions a second.")] = 200,
    events: Annotated[float, typer.Option(min=1, max=1e6, help="Events a second beside them.")] = 2000,
    seconds: Annotated[float, typer.Option(min=1, max=600, help="How long to measure.")] = 10,
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
    """Ask what is known of customers, as an IVR does before it greets, beside a load of events."""
    if url and bundle:
        raise typer.BadParameter("--bundle needs a server of the run's own")
    plan = contexts.Plan(
        setup=Setup(folder=folder, cells=cells, keep=keep, bundle=bundle),
        reads=rate,
        events=events,
        seconds=seconds,
        customers=customers,
        shape=Shape(gateways=gateways, agents=agents, window=window, batch=batch),
        text_bytes=text_bytes,
        server=server_at(url, token, owned=i_own_this_server),
        account=account,
        queue=queue,
    )
    carry_out(
        lambda phases: contexts.run(plan, phases=phases),
        show=context_report.show,
        panels=context_report.panels,
        as_json=as_json,
        file=plot,
        bars=bars.of_context if check else None,
    )


def policy(
    *,
    rate: Annotated[float, typer.Option(min=1, max=1e6, help="Events a second.")] = 5000,
    seconds: Annotated[float, typer.Option(min=1, max=600, help="How long, without a switch and once more with.")] = 10,
    versions: Annotated[int, typer.Option(min=1, max=100, help="Versions that come into force meanwhile.")] = 5,
    customers: Customers = 2000,
    gateways: Gateways = 4,
    agents: Agents = 20,
    window: Window = 512,
    batch: Batch = 16,
    text_bytes: TextBytes = 160,
    cells: Cells = 0,
    bundle: Bundle = "insurer",
    folder: Folder = FOLDER,
    keep: Keep = False,
    check: Check = False,
    as_json: Json = False,
    plot: Plot = None,
) -> None:
    """Put new versions of a bundle in force under a load of events: is one lost, and how long is the pause?"""
    plan = policies.Plan(
        setup=Setup(folder=folder, cells=cells, keep=keep, bundle=bundle),
        rate=rate,
        seconds=seconds,
        versions=versions,
        customers=customers,
        shape=Shape(gateways=gateways, agents=agents, window=window, batch=batch),
        text_bytes=text_bytes,
    )
    carry_out(
        lambda phases: policies.run(plan, phases=phases),
        show=policy_report.show,
        panels=policy_report.panels,
        as_json=as_json,
        file=plot,
        bars=bars.of_policy if check else None,
    )
