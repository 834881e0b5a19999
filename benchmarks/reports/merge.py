"""`merge`'s result as a table."""

from rich.console import Console

from benchmarks.reports.plot import Bars, Panel
from benchmarks.reports.report import milliseconds, show_figures, show_rest
from benchmarks.scenarios.merge import Result


def show(result: Result, console: Console) -> None:
    """Prints it."""
    show_figures(
        f"merge: two customers with {result.events_each:,} events each, ms from the command to its answer",
        [
            ("merge", milliseconds(result.merge_ms), "p50 / p90 / p99 / max"),
            ("unmerge", milliseconds(result.unmerge_ms), "p50 / p90 / p99 / max"),
            ("others' events", f"{result.others_per_s:,.0f}/s", f"of {result.others_offered_per_s:,.0f} offered"),
            ("  ack", milliseconds(result.ack_ms), "beside the merges; max is the longest pause"),
            ("  late", milliseconds(result.late_ms), "the load generator's own part"),
            ("  ack before", milliseconds(result.quiet_ack_ms), "without merges"),
            ("fsync", milliseconds(result.fsync_ms), "one page, idle disk"),
        ],
        console,
    )
    show_rest(result.setting, result.faults, result.cautions, console)


def panels(result: Result) -> list[Panel]:
    """The longest of each."""
    values = [result.merge_ms.max, result.unmerge_ms.max, result.ack_ms.max, result.quiet_ack_ms.max]
    return [
        Panel("The longest of each", "", "ms", Bars(["merge", "unmerge", "an ack beside", "an ack before"], values))
    ]
