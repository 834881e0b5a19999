"""`memory`'s result as a table, and as bars."""

from rich.console import Console

from benchmarks.reports.plot import Bars, Panel
from benchmarks.reports.report import Row, known, show_figures, show_rest
from benchmarks.scenarios.memory import Result

MIB = 1024 * 1024


def show(result: Result, console: Console) -> None:
    """Prints it."""
    show_figures("memory", _rows(result), console)
    show_rest(result.setting, result.faults, result.cautions, console)


def panels(result: Result) -> list[Panel]:
    """What each process takes at the end."""
    roles = list(result.rss_by_process)
    values = [result.rss_by_process[role] / MIB for role in roles]
    return [Panel(f"RSS with {result.conversations:,} live conversations", "", "MiB", Bars(roles, values))]


def _rows(result: Result) -> list[Row]:
    return [
        ("live conversations", f"{result.conversations:,}", f"{result.live:,} in memory, those before included"),
        ("a conversation", f"{result.bytes_per_conversation:,.0f} B", "RSS of the cells, growth"),
        ("", f"{result.pss_per_conversation:,.0f} B", "PSS"),
        ("", f"{result.gateway_bytes_per_conversation:,.0f} B", "RSS of the gateway: whose identity it is"),
        ("its messages", f"{result.text_bytes_per_conversation:,.0f} B", "text, of all of them"),
        ("agents", f"{result.agents:,}", "connected, each watching a conversation"),
        ("an agent", f"{result.bytes_per_agent:,.0f} B", "RSS of the gateway, growth"),
        ("", f"{result.pss_per_agent:,.0f} B", "PSS"),
        ("filled in at", f"{result.filled_events_per_s:,.0f}/s", "events acknowledged"),
        ("archive level", known(result.archive_level_after_s, " s"), "after the last event"),
        *((f"  {role}", f"{rss / MIB:,.0f} MiB", "RSS") for role, rss in result.rss_by_process.items()),
        ("the whole server", f"{result.pss_total / MIB:,.0f} MiB", "PSS"),
    ]
