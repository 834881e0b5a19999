"""`context`'s result as a table and as a curve."""

from rich.console import Console

from benchmarks.reports.plot import Line, Panel
from benchmarks.reports.report import known, milliseconds, show_figures, show_rest
from benchmarks.scenarios.context import Result


def show(result: Result, console: Console) -> None:
    """Prints it."""
    show_figures(
        "context: GET /v1/context beside events, ms from when a question was due",
        [
            ("reads", f"{result.reads_per_s:,.0f}/s", f"of {result.reads_offered_per_s:,.0f} offered"),
            ("  read", milliseconds(result.read_ms), "p50 / p90 / p99 / max"),
            ("  late", milliseconds(result.late_ms), "the load generator's own part"),
            ("events", f"{result.events_per_s:,.0f}/s", f"of {result.events_offered_per_s:,.0f} offered"),
            ("  ack", milliseconds(result.ack_ms), "p50 / p90 / p99 / max"),
            ("fsync", milliseconds(result.fsync_ms), "one page, idle disk"),
            ("server", known(result.server_cores, " cores"), "all processes"),
        ],
        console,
    )
    show_rest(result.setting, result.faults, result.cautions, console)


def panels(result: Result) -> list[Panel]:
    """Latency over percentile."""
    curve = [Line("read", *map(list, zip(*result.curve_ms, strict=True)))] if result.curve_ms else []
    return [Panel("From due to its answer", "percentile", "ms", curve, scale="log")]
