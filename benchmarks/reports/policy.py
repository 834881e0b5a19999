"""`policy`'s result as a table, and as the pause of each switch."""

from rich.console import Console

from benchmarks.reports.plot import Line, Panel
from benchmarks.reports.report import milliseconds, show_columns, show_figures, show_rest
from benchmarks.scenarios.policy import Result


def show(result: Result, console: Console) -> None:
    """Prints it."""
    rows = [(f"{one.version}", f"{one.took_ms:,.1f}", f"{one.pause_ms:,.1f}") for one in result.switches]
    show_columns(
        "policy: new versions under events; ms", ("version", "in force after", "longest pause in acks"), rows, console
    )
    show_figures(
        "",
        [
            ("events", f"{result.events_per_s:,.0f}/s", f"of {result.offered_per_s:,.0f} offered"),
            ("  lost", f"{result.lost:,}", "must be none"),
            ("longest pause", f"{result.pause_ms:,.1f} ms", "in acks, around a switch"),
            ("  without one", f"{result.pause_without_ms:,.1f} ms", f"in {result.seconds:g} s before"),
            ("ack", milliseconds(result.ack_ms), "p50 / p90 / p99 / max, with switches"),
            ("  without", milliseconds(result.ack_without_ms), "p50 / p90 / p99 / max"),
            ("fsync", milliseconds(result.fsync_ms), "one page, idle disk"),
        ],
        console,
    )
    show_rest(result.setting, result.faults, result.cautions, console)


def panels(result: Result) -> list[Panel]:
    """Pauses by version, and the longest without a switch."""
    versions = [float(switch.version) for switch in result.switches]
    around = Line("around it", versions, [switch.pause_ms for switch in result.switches])
    without = Line("without", versions, [result.pause_without_ms] * len(versions))
    return [Panel("Longest pause in acks", "version", "ms", [around, without])]
