"""What commands print: results on standard output (a table, or JSON with `--json`), everything else on standard error.

JSON is one document, indented, UTF-8; times in it are as the server gave them.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


def console() -> Console:
    """Standard output; colours and width by what it is connected to."""
    return Console(highlight=False, soft_wrap=True)


def errors() -> Console:
    """Standard error, for progress and failures."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """The value as one JSON document."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def print_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, empty: str) -> None:
    """The named fields of each row, a field a column; `empty` is said where there is no row."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column.removesuffix("_ms").replace("_", " "), overflow="fold")
    count = 0
    for row in rows:
        table.add_row(*(cell(column, row.get(column)) for column in columns))
        count += 1
    console().print(table if count else Text(empty, style="dim"))


def print_fields(fields: Mapping[str, Any], *, title: str = "") -> None:
    """One thing's fields, a line each; nested ones are flattened into `outer.inner`."""
    table = Table(box=None, show_header=False, pad_edge=False, title=title or None, title_justify="left")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in _flat(fields):
        table.add_row(Text(name), cell(name, value))
    console().print(table)


def cell(name: str, value: Any) -> Text:
    """A value as a person reads it: milliseconds as local time, lists joined, nothing for what is empty.

    Always `Text`: a customer's `[red]` is words, not markup.
    """
    if value is None or value == "" or value == []:
        return Text("")
    if name.endswith("_at_ms") or name in {"at_ms", "received_ms", "next_ms", "until_ms", "provider_ms"}:
        return Text(local_time(int(value)) if value else "")
    if isinstance(value, list):
        return Text(", ".join(map(str, value)))
    return Text(str(value))


def local_time(at_ms: int) -> str:
    """Milliseconds since 1970 UTC as local time, to the second."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _flat(fields: Mapping[str, Any], before: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value
