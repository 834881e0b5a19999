"""What is read of the journal's file: steps of a connection, for its writer as for whoever only reads."""

import sqlite3
from collections.abc import Sequence

from msgspec import msgpack

from adapters.stores.journal import merged_rules
from adapters.stores.journal.merged_rules import RELEASED, Merged, Rows
from adapters.stores.journal.rules import Free
from protocol.journal import Record, Unit, Unsettled

READ_BYTES_MAX = 8 * 1024 * 1024
"""What one read gives, but for its last record: whoever asks for thousands of short units must not get thousands of
long ones, which would be gigabytes."""

_identities = msgpack.Decoder(list[str]).decode


def policies(db: sqlite3.Connection) -> list[bytes]:
    """The bodies of the newest units of the customer `policy`, in order."""
    return [body for (body,) in db.execute("SELECT body FROM policy ORDER BY position")]


def generation(db: sqlite3.Connection) -> str:
    """Names the life of the file's positions."""
    generation: str = db.execute("SELECT value FROM meta WHERE key = 'generation'").fetchone()[0]
    return generation


def shared_with(db: sqlite3.Connection, generation: str) -> int | None:
    """Up to which position the file is what it was in that life: in its own to the end, in the one before to where that
    ended. None of another one."""
    meta = dict(db.execute("SELECT key, value FROM meta WHERE key IN ('generation', 'former', 'former_through')"))
    if generation == meta["generation"]:
        return position(db)
    return int(meta["former_through"]) if generation == meta.get("former") else None


def position(db: sqlite3.Connection) -> int:
    """The newest committed position; 0 where nothing is."""
    newest: int | None = db.execute("SELECT max(position) FROM unit").fetchone()[0]
    if newest is not None:
        return newest
    trimmed = db.execute("SELECT value FROM meta WHERE key = 'trimmed'").fetchone()
    return int(trimmed[0]) if trimmed else 0


def first_position(db: sqlite3.Connection) -> int:
    """The oldest position that is still kept; the next one to come where nothing is."""
    first: int | None = db.execute("SELECT min(position) FROM unit").fetchone()[0]
    return position(db) + 1 if first is None else first


def position_before(db: sqlite3.Connection, at_ms: int) -> int:
    """The newest position up to which every unit was committed before `at_ms`."""
    # From the oldest on, so that it reads what is to go and one more; bodies lie behind `at_ms` and are not read.
    young = db.execute("SELECT position FROM unit WHERE at_ms >= ? ORDER BY position LIMIT 1", (at_ms,)).fetchone()
    return position(db) if young is None else int(young[0]) - 1


def read(db: sqlite3.Connection, after: int, limit: int) -> list[Record]:
    """At most `limit` records after the position; fewer once their bodies have `READ_BYTES_MAX`."""
    rows = db.execute(
        "SELECT position, customer, at_ms, identities, entries, body FROM unit "
        "WHERE position > ? ORDER BY position LIMIT ?",
        (after, limit),
    )
    records: list[Record] = []
    size = 0
    for row in rows:
        records.append(_record(row))
        size += len(records[-1].body)
        if size >= READ_BYTES_MAX:
            break
    return records


def whose_after(db: sqlite3.Connection, position: int) -> list[tuple[str, int]]:
    """The customer and the count of events of each unit after the position."""
    sql = "SELECT customer, entries FROM unit WHERE position > ? ORDER BY position"
    return db.execute(sql, (position,)).fetchall()


def records_at(db: sqlite3.Connection, positions: Sequence[int]) -> list[Record]:
    """The units at these positions, in their order; those that were trimmed are left out."""
    sql = "SELECT position, customer, at_ms, identities, entries, body FROM unit WHERE position = ?"
    rows = (db.execute(sql, (position,)).fetchone() for position in positions)
    return [_record(row) for row in rows if row is not None]


def _record(row: tuple[int, str, int, bytes | None, int, bytes]) -> Record:
    position, customer, at_ms, packed, entries, body = row
    return Record(position, customer, at_ms, _identities(packed) if packed else [], entries, body)


def customers_of(db: sqlite3.Connection, identities: Sequence[str]) -> dict[str, str]:
    """The customers of those identities that have one."""
    found: dict[str, str] = {}
    for identity in identities:
        row = db.execute("SELECT customer FROM identity WHERE identity = ?", (identity,)).fetchone()
        if row is not None and row[0]:
            found[identity] = _root_of(db, row[0])
    return found


def _root_of(db: sqlite3.Connection, customer: str) -> str:
    """Whose the customer's affairs are now."""
    sql = "SELECT into_customer FROM merged WHERE customer = ? AND state <> ?"
    while (row := db.execute(sql, (customer, RELEASED)).fetchone()) is not None:
        customer = row[0]
    return customer


def families_of(db: sqlite3.Connection, units: Sequence[Unit]) -> Rows:
    """The rows of all families that the units' steps are about."""
    rows: dict[str, Merged] = {}
    for customer in {name for unit in units for step in unit.family for name in (step.customer, step.other)}:
        found = db.execute(_FAMILY, (_root_of(db, customer),)).fetchall()
        rows |= {member: Merged(*row) for member, *row in found}
    return rows


_FAMILY = """
    WITH RECURSIVE family(customer) AS (
        VALUES (?) UNION SELECT merged.customer FROM merged JOIN family ON merged.into_customer = family.customer)
    SELECT customer, into_customer, turn, position, state FROM merged WHERE customer IN family"""


def unsettled(db: sqlite3.Connection) -> list[Unsettled]:
    """What customers have to take in of merges, in the order in which it happened."""
    sql = "SELECT customer, into_customer, turn, position, state FROM merged WHERE state <> ?"
    rows = db.execute(sql, (merged_rules.ADOPTED,))
    return merged_rules.unsettled({customer: Merged(*row) for customer, *row in rows})


def holders_of(db: sqlite3.Connection, units: Sequence[Unit]) -> tuple[dict[str, str], dict[str, Free]]:
    """The customers of the identities that the units name, and those that have none any more."""
    owners: dict[str, str] = {}
    free: dict[str, Free] = {}
    for unit in units:
        for identity in (*unit.identities, *(identity for identity, _ in unit.released)):
            row = db.execute(HOLDER, (identity,)).fetchone()
            if row is None:
                continue
            customer, position, keys = row
            if customer:
                owners[identity] = _root_of(db, customer)
            else:
                free[identity] = (position, keys)
    return owners, free


HOLDER = "SELECT customer, position, once_keys FROM identity WHERE identity = ?"
