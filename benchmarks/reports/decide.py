"""`decide`'s result as a table, and as bars."""

from rich.console import Console

from benchmarks.reports.plot import Bars, Panel
from benchmarks.reports.report import show_columns, show_rest
from benchmarks.scenarios.decide import Result


def show(result: Result, console: Console) -> None:
    """Prints it."""
    heads = ("under", "input", "steps", "decide", "record", "facts", "bytes")
    rows = [
        (
            under.policy,
            each.kind,
            f"{each.steps:,}",
            f"{each.decide_us} µs",
            f"{each.record_us} µs",
            f"{each.facts:g}",
            f"{each.bytes:,.0f}",
        )
        for under in result.under
        for each in under.kinds
    ]
    show_columns("decide: a step, without the slower nine tenths", heads, rows, console)
    for under in result.under:
        console.print(
            f"{under.policy}: {under.us_per_event} µs an event, outcomes included; "
            f"{under.facts_per_event:g} facts of {under.bytes_per_event:,.0f} bytes"
        )
    show_rest(result.setting, result.faults, result.cautions, console)


def panels(result: Result) -> list[Panel]:
    """What an event costs under each policy."""
    names = [under.policy for under in result.under]
    values = [under.us_per_event for under in result.under]
    return [Panel("Deciding and recording an event", "", "µs", Bars(names, values))]
