"""`latency`'s result as a table of rates, and as curves."""

from rich.console import Console

from benchmarks.reports.plot import Line, Panel
from benchmarks.reports.report import known, milliseconds, show_columns, show_figures, show_rest
from benchmarks.scenarios.latency import AtRate, Result

_HEADS = ("offered", "done", "ack p50", "p99", "push p50", "p99", "after ack p99", "late p99", "CPU µs", "cores")
"""`after ack`: how much later than its ack an event was shown. `late`: how late the load generator sent."""


def show(result: Result, console: Console) -> None:
    """Prints it."""
    show_columns("latency: events/s, and ms from when an event was due", _HEADS, map(_row, result.rates), console)
    idle = result.idle_percent_by_process or {}
    show_figures(
        "",
        [
            ("fsync", milliseconds(result.fsync_ms), "p50 / p90 / p99 / max, one page, idle disk"),
            ("idle server", known(result.idle_percent_of_a_core, " %"), "of a core, all processes"),
            *((f"  {role}", f"{percent} %", "") for role, percent in idle.items()),
        ],
        console,
    )
    show_rest(result.setting, result.faults, result.cautions, console)


def panels(result: Result) -> list[Panel]:
    """Latency over percentile, a panel for each kind and a line for each rate."""
    return [
        Panel(
            f"From due to {kind}",
            "percentile",
            "ms",
            [
                Line(f"{rate.offered_per_s:,.0f}/s", *map(list, zip(*rate.curves_ms[kind], strict=True)))
                for rate in result.rates
                if rate.curves_ms[kind]
            ],
            scale="log",
        )
        for kind in ("ack", "push")
    ]


def _row(rate: AtRate) -> tuple[str, ...]:
    return (
        f"{rate.offered_per_s:,.0f}",
        f"{rate.events_per_s:,.0f}",
        f"{rate.ack_ms.p50:.2f}",
        f"{rate.ack_ms.p99:.1f}",
        f"{rate.push_ms.p50:.2f}",
        f"{rate.push_ms.p99:.1f}",
        f"{rate.push_after_ack_ms.p99:.1f}",
        f"{rate.late_ms.p99:.1f}",
        known(rate.cpu_us_per_event),
        known(rate.server_cores),
    )
