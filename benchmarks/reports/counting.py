"""`report`'s result as a table, and as bars."""

from rich.console import Console

from benchmarks.reports.plot import Bars, Panel
from benchmarks.reports.report import show_columns, show_rest
from benchmarks.scenarios.counting import Result


def show(result: Result, console: Console) -> None:
    """Prints it."""
    heads = ("measure", "losses", "a week", "all")
    rows = [
        (each.measure, f"{each.losses:,}", f"{each.week_s:.3f} s", f"{each.all_s:.3f} s") for each in result.measures
    ]
    rows.append(("the report", "", f"{result.week_s:.3f} s", f"{result.all_s:.3f} s"))
    show_columns("report: a core's time", heads, rows, console)
    console.print(
        f"{result.events:,} events, {result.conversations:,} conversations of {result.customers:,} customers "
        "in half a year"
    )
    show_rest(result.setting, result.faults, result.cautions, console)


def panels(result: Result) -> list[Panel]:
    """What each measure costs over all there is."""
    names = [each.measure for each in result.measures]
    return [
        Panel("The report's measures, over all time", "", "s", Bars(names, [each.all_s for each in result.measures]))
    ]
