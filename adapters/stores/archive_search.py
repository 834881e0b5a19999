"""The full text of the archive: an FTS5 index of what was said, made in small steps behind everything else.

    event ── position by position, up to meta `searched` ──> searchable (id ↔ stream, seq) ──> search (id → words)

The words stand in `event` alone: `search` is an external-content table over the view `said`, so what leaves `event`
must leave the index before it does (`forget`). It has a position of its own, and never delays the archive's.
"""

import sqlite3

from adapters.stores.connection import transaction

STEP_EVENTS = 400
"""Events one step looks at: about ten milliseconds of the writer, between two of its batches."""

SEARCH_SCHEMA = (
    # An id of our own: VACUUM may number `event` anew, and the index would then speak of other events.
    """CREATE TABLE searchable (
        id INTEGER PRIMARY KEY,
        stream TEXT NOT NULL,
        seq INTEGER NOT NULL)""",
    "CREATE UNIQUE INDEX searchable_by_event ON searchable (stream, seq)",
    """CREATE VIEW said AS SELECT
        id,
        trim(coalesce(json_extract(body, '$.subject'), '') || ' ' || json_extract(body, '$.text')) AS words
    FROM searchable JOIN event USING (stream, seq)""",
    """CREATE VIRTUAL TABLE search USING fts5 (
        words, content = 'said', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2')""",
    "INSERT INTO meta VALUES ('searched', 0)",
)

SUBJECTS = (
    # A subject that no message has, such as a call's or an imported contact's, stands in its conversation's opening.
    "DROP VIEW said",
    """CREATE VIEW said AS SELECT
        id,
        trim(coalesce(json_extract(body, '$.subject'), '') || ' '
            || coalesce(json_extract(body, '$.text'), '')) AS words
    FROM searchable JOIN event USING (stream, seq)""",
    # What an older program has looked at is looked at again, in steps as ever.
    "INSERT INTO search (search) VALUES ('delete-all')",
    "DELETE FROM searchable",
    "UPDATE meta SET value = 0 WHERE key = 'searched'",
)


def index(db: sqlite3.Connection) -> int:
    """Indexes the next events; returns how many were looked at, 0 where the index has all."""
    searched = int(db.execute("SELECT value FROM meta WHERE key = 'searched'").fetchone()[0])
    first = _rowid_after(db, searched)
    span = db.execute("SELECT position FROM event WHERE rowid >= ? ORDER BY rowid LIMIT ?", (first, STEP_EVENTS))
    through = max((row[0] for row in span), default=0)
    if not through:
        return 0
    # Whole positions, since one is all that is kept of how far it is.
    last = _rowid_after(db, through) - 1
    with transaction(db):
        newest = db.execute("SELECT coalesce(max(id), 0) FROM searchable").fetchone()[0]
        db.execute(_TAKE, (first, last))
        db.execute("INSERT INTO search (rowid, words) SELECT id, words FROM said WHERE id > ?", (newest,))
        db.execute("UPDATE meta SET value = ? WHERE key = 'searched'", (through,))
    return last - first + 1


def forget(db: sqlite3.Connection, stream: str) -> None:
    """Takes a stream out of the index; before its events go, in the same transaction."""
    db.execute(
        "INSERT INTO search (search, rowid, words) SELECT 'delete', id, words FROM said "
        "WHERE id IN (SELECT id FROM searchable WHERE stream = ?)",
        (stream,),
    )
    db.execute("DELETE FROM searchable WHERE stream = ?", (stream,))


def forget_one(db: sqlite3.Connection, stream: str, seq: int) -> None:
    """Takes one event out of the index; before its words go, in the same transaction."""
    db.execute(
        "INSERT INTO search (search, rowid, words) SELECT 'delete', id, words FROM said "
        "WHERE id = (SELECT id FROM searchable WHERE stream = ? AND seq = ?)",
        (stream, seq),
    )
    db.execute("DELETE FROM searchable WHERE stream = ? AND seq = ?", (stream, seq))


def merge(db: sqlite3.Connection) -> None:
    """Makes one piece of the index, without the words of what was forgotten; reads and writes all of it."""
    db.execute("INSERT INTO search (search) VALUES ('optimize')")


_TAKE = """
    INSERT INTO searchable (stream, seq) SELECT stream, seq FROM event
    WHERE rowid BETWEEN ? AND ? AND (
        type IN ('MessageReceived', 'MessageQueued', 'AutomaticReplyReceived', 'NoteAdded')
        OR type = 'ConversationOpened' AND body ->> '$.subject' <> '' AND NOT EXISTS (
            SELECT 1 FROM event AS said
            WHERE said.stream = event.stream AND said.seq BETWEEN event.seq + 1 AND event.seq + 4
            AND said.position = event.position AND said.body ->> '$.subject' = event.body ->> '$.subject'))
    ORDER BY rowid"""
"""A mail's subject is its first message's as well, and is found there, once."""


def _rowid_after(db: sqlite3.Connection, position: int) -> int:
    """The first row of `event` behind a position; one past the last where none is.

    Rows lie in the order of their positions, of which there is no index: a bisection takes two dozen looks.
    """
    # Each by itself: of both in one query SQLite reads the whole table.
    first, last = db.execute("SELECT (SELECT min(rowid) FROM event), (SELECT max(rowid) FROM event)").fetchone()
    low, high = first or 1, (last or 0) + 1
    while low < high:
        middle = (low + high) // 2
        # Retention leaves gaps: the next row there is, is asked.
        found = db.execute(
            "SELECT rowid, position FROM event WHERE rowid >= ? ORDER BY rowid LIMIT 1", (middle,)
        ).fetchone()
        if found[1] <= position:
            low = found[0] + 1
        else:
            high = middle
    return int(low)
