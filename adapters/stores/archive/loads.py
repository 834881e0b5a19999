"""What actors load of the archive: a customer's snapshot and events, and whose time has come.

Those of several statements run in a read transaction (`connection.read`), so that all see one state.
"""

# ruff: noqa: S608 - what is put together are this file's own words; every value is bound.

import sqlite3
from collections.abc import Collection, Iterator, Sequence

from adapters.stores.archive.pages import Page, paged
from adapters.stores.connection import marks
from protocol.archive import Due, StoredEvent, StoredJourney, StoredSnapshot

DUE_SHARDS_MAX = 256
"""There are no more shards; the bound is on the number of a statement's parameters."""


def snapshot(db: sqlite3.Connection, customer: str) -> StoredSnapshot | None:
    """The customer's newest snapshot."""
    row = db.execute("SELECT position, body FROM snapshot WHERE customer = ?", (customer,)).fetchone()
    return None if row is None else StoredSnapshot(*row)


def stored(db: sqlite3.Connection, customer: str) -> StoredJourney:
    """All that a load begins with."""
    (position,) = db.execute("SELECT value FROM meta WHERE key = 'position'").fetchone()
    newest = snapshot(db, customer)
    events = events_of_customer(db, customer, newest.position if newest is not None else 0)
    return StoredJourney(position, newest, events)


def events_of_customer(db: sqlite3.Connection, customer: str, after_position: int) -> list[StoredEvent]:
    """The events after a position in the customer's own stream and all conversations whose ids begin with it, whosever
    they are now, in the journal's order."""
    moved = db.execute(_WITH_ID_OF, {"customer": customer, "after": after_position})
    streams = [customer, *(conversation for (conversation,) in moved)]
    found = [row for stream in streams for row in _newest(db, stream, after_position)]
    found.sort()
    return [StoredEvent(position, stream, seq, body.encode(), n) for position, n, stream, seq, body in found]


_WITH_ID_OF = """
    SELECT conversation FROM conversation
    WHERE conversation > :customer || '-' AND conversation < :customer || '.' AND position > :after"""


def events_of_stream(db: sqlite3.Connection, stream: str, after_seq: int, limit: int) -> Page[StoredEvent]:
    """At most `limit` events of a stream after a seq, ascending, and a page's bytes."""
    rows = db.execute(
        "SELECT position, stream, seq, body, n FROM event WHERE stream = ? AND seq > ? AND type <> 'FactDropped' "
        "ORDER BY seq LIMIT ?",
        (stream, after_seq, limit),
    )
    events = (StoredEvent(position, stream, seq, body.encode(), n) for position, stream, seq, body, n in rows)
    return paged(events, limit, lambda event: len(event.body))


def known(db: sqlite3.Connection, customers: Collection[str]) -> set[str]:
    """Those of these that are customers, or the names of other streams in which something is."""
    return {each for each in customers if db.execute(_KNOWN, {"name": each}).fetchone() is not None}


_KNOWN = """
    SELECT 1 FROM customer WHERE customer = :name
    UNION ALL SELECT 1 FROM event WHERE stream = :name
    LIMIT 1"""


def due(db: sqlite3.Connection, shards: Sequence[int], before_ms: int, limit: int) -> list[Due]:
    """Customers of these shards whose nearest timer is due at `before_ms` or earlier, the nearest first."""
    if len(shards) > DUE_SHARDS_MAX:
        raise AssertionError(f"{len(shards)} shards; there are {DUE_SHARDS_MAX}")
    rows = db.execute(
        f"SELECT customer, min(due_ms) AS due_ms FROM timer WHERE due_ms <= ? AND shard IN ({marks(shards)}) "
        "GROUP BY customer ORDER BY due_ms LIMIT ?",
        (before_ms, *shards, limit),
    )
    return [Due(customer, due_ms) for customer, due_ms in rows]


def untaken(db: sqlite3.Connection, shards: Sequence[int], limit: int) -> list[tuple[str, str]]:
    """Customers of these shards with deliveries that wait for someone to take them, and the account: the longest queued
    first. One who has other deliveries waiting there may be among them."""
    # The state is said twice so that SQLite sees it may use the index.
    rows = db.execute(
        "SELECT customer, account FROM outbox WHERE state = 'waiting' AND state <> 'sent' AND code = 'no_taker' "
        f"AND shard IN ({marks(shards)}) ORDER BY queued_at_ms, delivery LIMIT ?",
        (*shards, limit),
    )
    return [*dict.fromkeys((customer, account) for customer, account in rows)]


def _newest(db: sqlite3.Connection, stream: str, after_position: int) -> Iterator[tuple[int, int, str, int, str]]:
    # Backwards by seq, and no further than needed: positions ascend with seq, and only those pairs are indexed.
    rows = db.execute("SELECT position, n, stream, seq, body FROM event WHERE stream = ? ORDER BY seq DESC", (stream,))
    for row in rows:
        if row[0] <= after_position:
            rows.close()
            return
        yield row
