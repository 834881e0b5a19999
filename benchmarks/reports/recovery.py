"""`recovery`'s result as a table of kills, and as bars."""

from rich.console import Console

from benchmarks.reports.plot import Bars, Panel
from benchmarks.reports.report import known, milliseconds, show_columns, show_figures, show_rest
from benchmarks.scenarios.recovery import Killed, Result

_HEADS = ("killed", "processes", "first ack ms", "all acked ms", "resumed ms", "archive level ms")


def show(result: Result, console: Console) -> None:
    """Prints it."""
    title = f"recovery: {result.conversations:,} live conversations, {result.watched:,} watched"
    show_columns(title, _HEADS, map(_row, result.kills), console)
    show_figures("", [("fsync", milliseconds(result.fsync_ms), "p50 / p90 / p99 / max, one page, idle disk")], console)
    show_rest(result.setting, result.faults, result.cautions, console)


def panels(result: Result) -> list[Panel]:
    """First ack and last conversation, by what was killed."""
    parts = [f"{kill.part} {number}" for number, kill in enumerate(result.kills, 1)]
    return [
        Panel("First ack after kill -9", "", "ms", Bars(parts, [kill.first_ack_ms or 0 for kill in result.kills])),
        Panel("Every watched conversation", "", "ms", Bars(parts, [kill.resumed_ms or 0 for kill in result.kills])),
    ]


def _row(kill: Killed) -> tuple[str, ...]:
    times = (kill.first_ack_ms, kill.all_acked_ms, kill.resumed_ms, kill.archive_level_ms)
    return kill.part, str(kill.processes), *map(known, times)
