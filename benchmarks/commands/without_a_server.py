"""The commands for one part alone, without a server around it."""

from typing import Annotated

import typer
from msgspec import structs

from benchmarks.commands.options import FOLDER, AtMost, Bundle, Customers, Folder, Shown, TextBytes, carry_out
from benchmarks.reports import archive as archive_report
from benchmarks.reports import counting as counting_report
from benchmarks.reports import decide as decide_report
from benchmarks.scenarios import archive_follow, counting
from benchmarks.scenarios import decide as decides


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
    out: Shown,
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
        out=out,
    )


def decide(
    *,
    events: Annotated[int, typer.Option(min=10, max=1_000_000, help="Events that channels send.")] = 20_000,
    customers: Customers = 500,
    text_bytes: TextBytes = 160,
    bundle: Annotated[str, typer.Option("--bundle", help="The policy: insurer, utility, or a folder.")] = "insurer",
    out: Shown,
) -> None:
    """What a bundle costs the decision on an event, alone, beside the settings' own policy."""
    plan = decides.Plan(bundle=bundle, events=events, customers=customers, text_bytes=text_bytes)
    carry_out(
        lambda phases: decides.run(plan, phases=phases),
        show=decide_report.show,
        panels=decide_report.panels,
        out=out,
    )


def report(
    *,
    events: Annotated[int, typer.Option(min=100, max=20_000_000, help="Events in the journal, about.")] = 300_000,
    each: Annotated[int, typer.Option(min=1, max=1000, help="Conversations of a customer, at least.")] = 1,
    bundle: Annotated[str, typer.Option("--bundle", help="The policy: insurer, utility, or a folder.")] = "insurer",
    folder: Folder = FOLDER,
    out: Shown,
) -> None:
    """What the report on lost context costs, over an archive of a service desk's half year."""
    plan = counting.Plan(folder=folder, events=events, each=each, bundle=bundle)
    carry_out(
        lambda phases: counting.run(plan, phases=phases),
        show=counting_report.show,
        panels=counting_report.panels,
        out=out,
    )
