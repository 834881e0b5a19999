"""Reading the report's findings: lists, one with its history, and the reports that made them."""

# ruff: noqa: S608 - what is put together are this file's own words; every value is bound.

import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec

from adapters.stores.connection import row_as_dict
from protocol.ids import REPORT

Row = dict[str, Any]
STATES = ("open", "changed", "compared", "dismissed")
_LISTS = ("examples", "changed_rules")


def findings(db: sqlite3.Connection, states: Sequence[str], limit: int, before: tuple[int, str] | None) -> list[Row]:
    """Those in these states, the newest first; `before` is the last one's (`opened_at_ms`, `finding`) of the page
    before."""
    marks = ", ".join("?" * len(states))
    page = "AND (opened_at_ms, finding) < (?, ?)" if before else ""
    cursor = db.execute(
        f"SELECT * FROM finding WHERE state IN ({marks}) {page} ORDER BY opened_at_ms DESC, finding DESC LIMIT ?",
        (*states, *(before or ()), limit),
    )
    return [_finding(cursor, row) for row in cursor.fetchall()]


def finding(db: sqlite3.Connection, finding: str) -> Row | None:
    """One, with the events that made it as `history`, the oldest first."""
    cursor = db.execute("SELECT * FROM finding WHERE finding = ?", (finding,))
    row = cursor.fetchone()
    if row is None:
        return None
    events = db.execute(
        "SELECT seq, body FROM event WHERE stream = ? AND body ->> '$.finding' = ? ORDER BY seq", (REPORT, finding)
    )
    history = [{"seq": seq, **msgspec.json.decode(body)} for seq, body in events]
    return _finding(cursor, row) | {"history": history}


def reports(db: sqlite3.Connection, limit: int) -> list[Row]:
    """The newest first."""
    cursor = db.execute("SELECT * FROM report ORDER BY report DESC LIMIT ?", (limit,))
    return [row_as_dict(cursor, row) for row in cursor.fetchall()]


def due_ms(db: sqlite3.Connection) -> int:
    """The newest time that a schedule wanted a report for; 0 before the first."""
    return int(db.execute("SELECT coalesce(max(due_ms), 0) FROM report").fetchone()[0])


def _finding(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> Row:
    found = row_as_dict(cursor, row)
    return found | {name: msgspec.json.decode(found[name]) for name in _LISTS}
