"""Results as tables for people."""

from collections.abc import Iterable, Sequence
from math import isfinite

from rich.console import Console
from rich.table import Table

from benchmarks.figures.bars import Bar
from benchmarks.figures.percentiles import Percentiles
from benchmarks.figures.setting import Setting

Row = tuple[str, str, str]
"""A figure's name, the figure, and what it is of."""


PIPED_COLUMNS = 160
"""The width of tables that go to a file or a pipe: none of ours is wider, so none is cut."""


def results_to(*, stderr: bool = False) -> Console:
    """Where results go; as wide as the terminal, where there is one."""
    out = Console(stderr=stderr)
    return out if out.is_terminal else Console(stderr=stderr, width=PIPED_COLUMNS)


def show_figures(title: str, rows: Iterable[Row], console: Console) -> None:
    """Prints one figure a line."""
    table = Table(title=title, show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(style="dim")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def show_columns(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]], console: Console) -> None:
    """Prints a table of several columns, the first of which names the row."""
    table = Table(title=title, title_justify="left")
    table.add_column(heads[0], style="bold")
    for head in heads[1:]:
        table.add_column(head, justify="right")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def show_rest(setting: Setting, faults: Iterable[str], notes: Iterable[str], console: Console) -> None:
    """Prints what it was measured on, what to think of, and whatever does not add up."""
    console.print(", ".join(f"{name.replace('_', ' ')} {value}" for name, value in setting.items()), style="dim")
    for note in notes:
        console.print(note, style="yellow")
    for fault in faults:
        console.print(f"Does not add up: {fault}", style="bold red")


def milliseconds(figures: Percentiles | None) -> str:
    """The percentiles in one cell; they may not be known."""
    if figures is None:
        return "unknown"
    return " / ".join(f"{value:.1f}" for value in (figures.p50, figures.p90, figures.p99, figures.max)) + " ms"


def known(value: float | None, unit: str = "") -> str:
    """A figure that may not be known."""
    return "unknown" if value is None else f"{value:,}{unit}"


def show_bars(bars: Iterable[Bar], console: Console) -> None:
    """Prints each bar, what was measured, and whether it is met."""
    rows = [(bar.name, _must_be(bar), known(_rounded(bar.measured)), "yes" if bar.is_met else "NO") for bar in bars]
    show_columns("", ("bar", "must be", "measured", "met"), rows, console)


def _must_be(bar: Bar) -> str:
    sign, limit = ("≥", bar.least) if isfinite(bar.least) else ("≤", bar.most)
    return f"{sign} {limit:,g} {bar.unit}".rstrip()


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
