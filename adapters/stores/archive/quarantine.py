"""Quarantine in the archive: what was refused, listed and read whole."""

# ruff: noqa: S608 - what is put together are this file's own words; every value is bound.

import sqlite3
from typing import Any

from msgspec import Struct

from adapters.stores.connection import row_as_dict

LATEST_MS = 2**63 - 1
"""Later than any time there is."""


class InputsWanted(Struct, kw_only=True, frozen=True):
    """Which inputs: those refused from `since_ms` to `until_ms`, of an account, a code, a field at fault, a rule;
    whatever is empty is not asked for. `waiting`: without those that came in after all."""

    account: str = ""
    code: int = 0
    field: str = ""
    rule: str = ""
    since_ms: int = 0
    until_ms: int = LATEST_MS
    waiting: bool = False


def quarantine(
    db: sqlite3.Connection, wanted: InputsWanted, *, limit: int, before: tuple[int, str] | None
) -> list[dict[str, Any]]:
    """Quarantined inputs without their bytes (`raw_bytes` counts them), the newest first; `before` is (`at_ms`,
    `quarantine`) of a page's last row and asks for the page after it."""
    matched = {"account": wanted.account, "code": wanted.code, "field": wanted.field, "rule": wanted.rule}
    given = {name: value for name, value in matched.items() if value}
    selected = [*(f"{name} = ?" for name in given), "at_ms >= ?", "at_ms <= ?", "(at_ms, quarantine) < (?, ?)"]
    if wanted.waiting:
        selected.append("replayed_at_ms IS NULL")
    sql = f"""
        SELECT quarantine, stream, account, source, id, code, field, rule, policy, reason, product_line,
               length(raw) AS raw_bytes, received_ms, at_ms, replaying_at_ms, replayed_at_ms, replayed_stream, position
        FROM quarantine
        WHERE {" AND ".join(selected)}
        ORDER BY at_ms DESC, quarantine DESC LIMIT ?"""
    bounds = (wanted.since_ms, wanted.until_ms, *(before or (LATEST_MS, "")), limit)
    cursor = db.execute(sql, (*given.values(), *bounds))
    return [row_as_dict(cursor, row) for row in cursor.fetchall()]


def quarantined(db: sqlite3.Connection, quarantine: str) -> dict[str, Any] | None:
    """One quarantined input, whole: `raw` is bytes."""
    cursor = db.execute("SELECT * FROM quarantine WHERE quarantine = ?", (quarantine,))
    row = cursor.fetchone()
    return None if row is None else row_as_dict(cursor, row)
