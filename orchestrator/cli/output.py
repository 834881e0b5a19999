"""What commands print: results on standard output (a table, or JSON with `--json`), everything else on standard error.

JSON is one document, indented, UTF-8; times in it are as the server gave them. What customers wrote is shown as words:
a terminal obeys some characters, and strangers write them.
"""

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from io import TextIOWrapper
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.rule import Rule
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

PIPED_COLUMNS = 10_000
"""Wider than any row; a table takes no more of it than it needs."""

_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Controls but line end and tab, and marks that turn the direction of writing: a terminal clears itself by them, hides
lines, or puts what they say into the clipboard (ECMA-48 §5)."""


class _Console(Console):
    """One that shows the words of what it is given, whoever wrote it; what else it does to a terminal is its own."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Whatever is printed passes here."""
        for segment in super().render(renderable, options):
            if segment.control is None and _OBEYED.search(segment.text):
                # Left out and not replaced: they have no width, and the line was set by that.
                yield Segment(_OBEYED.sub("", segment.text), segment.style)
            else:
                yield segment


def console() -> Console:
    """Standard output; colours and width by what it is connected to. Into a pipe a row is one line, for `grep`."""
    return _Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else PIPED_COLUMNS)


def errors() -> Console:
    """Standard error, for progress and failures."""
    return _Console(stderr=True, highlight=False, soft_wrap=True)


def write_what_is_meant() -> None:
    """Into a pipe or a file all is UTF-8, whatever the locale says; a terminal is shown the letters that it has, and of
    others their numbers."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="backslashreplace")


def progress_bar() -> Progress:
    """On standard error, so that `--json` stays one document; drawn only where that is a terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=errors(),
        transient=True,
    )


def print_json(value: Any) -> None:
    """The value as one JSON document. What a terminal would obey is escaped, also where JSON does not ask for it."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    sys.stdout.write(_OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n")


def print_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, empty: str) -> None:
    """The named fields of each row, a field a column; `empty` is said where there is no row.

    On a terminal that is too narrow for the columns, each row is a block of lines instead.
    """
    rows, out = list(rows), console()
    table = Table(box=None, header_style="bold", pad_edge=False)
    for number, column in enumerate(columns):
        # The first is what the next command wants to be given: it stays in one piece, whatever the others lose.
        table.add_column(_heading(column), overflow="fold", no_wrap=number == 0)
    for row in rows:
        table.add_row(*(cell(column, row.get(column)) for column in columns))
    if not rows:
        out.print(Text(empty, style="dim"))
    elif out.measure(table, options=out.options.update(width=PIPED_COLUMNS)).maximum <= out.width:
        out.print(table)
    else:
        for row in rows:
            _print_block(out, row, columns)


def _print_block(out: Console, row: Mapping[str, Any], columns: Sequence[str]) -> None:
    """A row as its first field, and the others that have a value below it."""
    first, *others = columns
    out.print(cell(first, row.get(first)), style="bold")
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for column in others:
        if value := cell(column, row.get(column)):
            table.add_row(_heading(column), value)
    out.print(table)


def print_line(line: Text, head: Text, below: Text) -> None:
    """One line, as it always is into a pipe; on a terminal that is too narrow for it, `head` and, set in and folded,
    `below`."""
    out = console()
    if line.cell_len <= out.width:
        out.print(line)
        return
    head.rstrip()
    out.print(head)
    if below:
        out.print(Padding(below, (0, 0, 0, 6), expand=False), soft_wrap=False, overflow="fold")


def print_fields(fields: Mapping[str, Any]) -> None:
    """One thing's fields, a line each; nested ones are flattened into `outer.inner`."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in _flat(fields):
        table.add_row(Text(name), cell(name, value))
    console().print(table)


def json_or_fields(answer: Any, fields: Mapping[str, Any], *, as_json: bool) -> None:
    """What a command that changes something says: the answer for programs, with `--json`; for people these fields."""
    if as_json:
        print_json(answer)
    else:
        print_fields(fields)


def json_or_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, empty: str, as_json: bool) -> None:
    """What a command that lists says: the rows whole for programs, with `--json`; for people these columns of them."""
    if as_json:
        print_json(rows)
    else:
        print_table(rows, columns, empty=empty)


def cell(name: str, value: Any) -> Text:
    """A value as a person reads it: milliseconds as local time, lists joined, nothing for what is empty.

    Always `Text`: a customer's `[red]` is words, not markup.
    """
    if value is None or value == "" or value == []:
        return Text("")
    if name.endswith("_at_ms") or name in {"at_ms", "received_ms", "from_ms", "until_ms", "due_ms", "provider_ms"}:
        return Text(local_time(int(value)) if value else "")
    if isinstance(value, list):
        return Text(", ".join(map(str, value)))
    return Text(str(value))


def _heading(column: str) -> str:
    return column.removesuffix("_ms").replace("_", " ")


def local_time(at_ms: int) -> str:
    """Milliseconds since 1970 UTC as local time, to the second."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _flat(fields: Mapping[str, Any], before: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


RULE_COLUMNS = 80
"""A rule is no wider, also where there is no terminal and a line has no end."""


def rule(to: Console, title: str) -> None:
    """A rule across, with a title at its left."""
    to.print(Rule(Text(title, style="bold"), align="left", style="dim"), width=min(to.width, RULE_COLUMNS))
