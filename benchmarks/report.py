"""A result as a table for people."""

from rich.console import Console
from rich.table import Table

from benchmarks.ledger import Percentiles
from benchmarks.throughput import Result


def show(result: Result, console: Console) -> None:
    """Prints the figures, then whatever does not add up."""
    table = Table(title="throughput", show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(style="dim")
    for row in _rows(result):
        table.add_row(*row)
    console.print(table)
    setting = result.setting
    console.print(
        f"{setting['customers']} live conversations, {setting['agents']} agents, {setting['gateways']} gateway clients "
        f"with {setting['window']} unanswered events each, {setting['batch']} in a message, "
        f"texts of {setting['text_bytes']} bytes; "
        f"{setting['cores']} cores, load generator included, {setting['file_system']}, Python {setting['python']}",
        style="dim",
    )
    if result.generator_is_the_limit:
        console.print("The load generator was busy all the time: the server may be faster than this.", style="yellow")
    for fault in result.faults:
        console.print(f"Does not add up: {fault}", style="bold red")


def _rows(result: Result) -> list[tuple[str, str, str]]:
    offered = "closed loop" if result.offered_per_s is None else f"of {result.offered_per_s:,.0f} offered"
    return [
        ("events/s", f"{result.events_per_s:,.0f}", f"acknowledged and pushed, {result.seconds:g} s, {offered}"),
        ("relay/s", f"{result.relay_per_s:,.0f}", "raw websockets, nothing stored, same load"),
        ("ratio", f"{result.ratio:.2f}", ""),
        ("ack", _milliseconds(result.ack_ms), "p50 / p90 / p99 / max"),
        ("push", _milliseconds(result.push_ms), "p50 / p90 / p99 / max"),
        ("fsync", _milliseconds(result.fsync_ms), "p50 / p90 / p99 / max, one page, idle disk"),
        ("server CPU", _or_unknown(result.cpu_us_per_event, " µs"), "an event, all processes and the archive"),
        *_by_process(result.cpu_us_by_process or {}),
        ("generator CPU", f"{result.generator_us_per_event} µs", f"an event; {result.generator_cpu:.2f} of a core"),
        ("archive level", _or_unknown(result.archive_level_after_s, " s"), "after the last event"),
        ("sent", f"{result.sent:,}", f"and {result.repeats_sent:,} repeats"),
        ("acked", f"{result.acked:,}", f"and {result.repeats_answered:,} repeats"),
        ("journaled", _or_unknown(result.journaled, ""), ""),
        ("archived", _or_unknown(result.archived, ""), ""),
        ("pushed", f"{result.pushed:,}", ""),
    ]


def _by_process(us_per_event: dict[str, float]) -> list[tuple[str, str, str]]:
    return [(f"  {role}", f"{us:.1f} µs", "") for role, us in us_per_event.items()]


def _milliseconds(figures: Percentiles) -> str:
    return " / ".join(f"{value:.1f}" for value in (figures.p50, figures.p90, figures.p99, figures.max)) + " ms"


def _or_unknown(value: float | None, unit: str) -> str:
    return "unknown" if value is None else f"{value:,}{unit}"
