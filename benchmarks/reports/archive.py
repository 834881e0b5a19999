"""`archive`'s result as a table, and as bars."""

from rich.console import Console

from benchmarks.reports.plot import Bars, Panel
from benchmarks.reports.report import show_columns, show_rest
from benchmarks.scenarios.archive_follow import Result


def show(result: Result, console: Console) -> None:
    """Prints it."""
    heads = ("archive, batches of", "CPU an event", "in the kernel", "events/s", "file an event")
    rows = [
        (
            f"{each.batch:,}",
            f"{each.cpu_us_per_event} µs",
            f"{each.kernel_us_per_event} µs",
            f"{each.events_per_s:,.0f}",
            f"{each.file_bytes_per_event:,.0f} B",
        )
        for each in result.followed
    ]
    show_columns("archive", heads, rows, console)
    loads = result.loads
    console.print(f"{result.events:,} events, {result.facts:,} facts")
    console.print(f"Loading a journey of {loads.events:g} events without a snapshot: {loads.cpu_ms:g} ms of CPU")
    show_rest(result.setting, result.faults, result.cautions, console)


def panels(result: Result) -> list[Panel]:
    """What an event costs by the size of the batch."""
    names = [f"{each.batch:,}" for each in result.followed]
    values = [each.cpu_us_per_event for each in result.followed]
    return [Panel("The archive's CPU an event, by records in a batch", "", "µs", Bars(names, values))]
