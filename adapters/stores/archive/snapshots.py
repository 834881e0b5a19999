"""Snapshots in the archive: what retention dropped is in none of them.

    dropped    the snapshots that may have words of it go in the same transaction: a load reads what is left
    saved      one with words of what was dropped, by a cell that had it in memory all the while, is not taken

Both are steps of the writer's connection.
"""

import sqlite3
from collections.abc import Iterable, Sequence

from adapters.stores.connection import transaction
from protocol.ids import customer_of
from protocol.links import SnapshotTaken


def save(db: sqlite3.Connection, snapshots: Sequence[SnapshotTaken]) -> set[str]:
    """Keeps the newest snapshot of each customer, but for those with words of conversations that were dropped. Returns
    these conversations."""
    with transaction(db):
        dropped = {id for snapshot in snapshots for id in snapshot.words if db.execute(_DROPPED, (id,)).fetchone()}
        kept = [each for each in snapshots if dropped.isdisjoint(each.words)]
        db.executemany(_SAVE, [(each.customer, each.position, each.body) for each in kept])
    return dropped


def forget(db: sqlite3.Connection, conversations: Iterable[str]) -> None:
    """Takes the snapshots of all who ever had one of the conversations. Within a transaction."""
    db.executemany(_FORGET, [{"conversation": id, "home": customer_of(id)} for id in conversations])


_DROPPED = "SELECT 1 FROM dropped WHERE kind = 'conversation' AND id = ?"
_SAVE = """
    INSERT INTO snapshot (customer, position, body) VALUES (?, ?, ?) ON CONFLICT (customer) DO UPDATE SET
    position = excluded.position, body = excluded.body WHERE excluded.position > snapshot.position"""
# Who had its home as a member may have been given to another since, or have released it: the newest snapshot of either
# may be older than that. The join's order is said: a customer's own stream is short, and gives are among all events.
_FORGET = """
    WITH RECURSIVE had (customer) AS (
        SELECT :home
        UNION SELECT customer FROM conversation WHERE conversation = :conversation
        UNION SELECT event.body ->> '$.to' FROM had CROSS JOIN event
        ON event.stream = had.customer AND event.type = 'CustomerGiven')
    DELETE FROM snapshot WHERE customer IN (SELECT customer FROM had)"""
