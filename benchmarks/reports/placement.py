"""`placement`'s result as a table, and as bars."""

from rich.console import Console

from benchmarks.reports.plot import Bars, Panel
from benchmarks.reports.report import show_columns, show_rest
from benchmarks.scenarios.placement import Placed, Result


def show(result: Result, console: Console) -> None:
    """Prints it, a column for each placement."""
    columns = [_column(placed) for placed in result.placements]
    heads = ["a conversation", *(placed.placement for placed in result.placements)]
    rows = [[name, *(column[name] for column in columns)] for name in columns[0]]
    show_columns("placement", heads, rows, console)
    show_rest(result.setting, result.faults, [], console)


def panels(result: Result) -> list[Panel]:
    """Start-up, memory and throughput, on scales that hold both."""
    names = [placed.placement for placed in result.placements]
    figures = (
        ("Start-up, p50", "ms", [placed.start_ms.p50 for placed in result.placements]),
        ("Memory of a conversation", "bytes", [placed.bytes_per_conversation for placed in result.placements]),
        ("Throughput", "events/s", [placed.events_per_s for placed in result.placements]),
    )
    return [Panel(title, "", unit, Bars(names, values), scale="log") for title, unit, values in figures]


def _column(placed: Placed) -> dict[str, str]:
    return {
        "start-up p50": f"{placed.start_ms.p50:,.1f} ms",
        "start-up max": f"{placed.start_ms.max:,.1f} ms",
        "next one ready p50": f"{placed.ready_ms.p50:,.0f} ms" if placed.ready_ms.count else "at once",
        "memory, PSS": f"{placed.bytes_per_conversation:,.0f} B",
        "  measured on": f"{placed.measured_on:,}",
        "events/s": f"{placed.events_per_s:,.0f}",
        "  of conversations": f"{placed.conversations:,}",
        "ack p50": f"{placed.ack_ms.p50:,.1f} ms",
        "ack p99": f"{placed.ack_ms.p99:,.1f} ms",
        "CPU an event": f"{placed.cpu_us_per_event:,.1f} µs",
    }
