"""The full text of the archive: an FTS5 index of what was said, made in small steps behind everything else.

    event ── position by position, up to meta `searched` ──> searchable (id ↔ stream, seq) ──> search (id → words)

The words stand in `event` alone: `search` is an external-content table over the view `said`, so what leaves `event`
must leave the index before it does (`forget`). FTS5 only notes that it did: the words stay in its pages, where nobody
finds them, until these are merged (`due`). It has a position of its own, and never delays the archive's.
"""

import sqlite3

from adapters.stores.connection import transaction

STEP_EVENTS = 400
"""Events one step looks at: about ten milliseconds of the writer, between two of its batches."""

LEAVE_OUT_EVERY_MS = 86_400_000
"""How often at most the index is made anew without the words that were forgotten, which nobody finds in its pages: that
writes all of it, some 250 bytes a message."""
STEP_PAGES = 32
"""Pages of the index that one step of that writes: some tens of milliseconds."""

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
    """Indexes the next events; returns how many were looked at. Where the index has all, it comes a step nearer to
    being without the words of what was forgotten, if that is `due`; returns 1 for it, 0 where nothing is left to do."""
    searched = int(db.execute("SELECT value FROM meta WHERE key = 'searched'").fetchone()[0])
    first = _rowid_after(db, searched)
    span = db.execute("SELECT position FROM event WHERE rowid >= ? ORDER BY rowid LIMIT ?", (first, STEP_EVENTS))
    through = max((row[0] for row in span), default=0)
    if not through:
        return int(_leave_out(db))
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
    if db.execute("DELETE FROM searchable WHERE stream = ?", (stream,)).rowcount:
        db.execute(_FORGOT)


def forget_one(db: sqlite3.Connection, stream: str, seq: int) -> None:
    """Takes one event out of the index; before its words go, in the same transaction."""
    db.execute(
        "INSERT INTO search (search, rowid, words) SELECT 'delete', id, words FROM said "
        "WHERE id = (SELECT id FROM searchable WHERE stream = ? AND seq = ?)",
        (stream, seq),
    )
    if db.execute("DELETE FROM searchable WHERE stream = ? AND seq = ?", (stream, seq)).rowcount:
        db.execute(_FORGOT)


def merge(db: sqlite3.Connection) -> None:
    """Makes one piece of the index, without the words of what was forgotten; reads and writes all of it."""
    with transaction(db):
        db.execute("INSERT INTO search (search) VALUES ('optimize')")
        db.execute("DELETE FROM meta WHERE key IN ('forgotten', 'leaving_out')")


def due(db: sqlite3.Connection, at_ms: int) -> None:
    """`index` is to do the same in short steps, where anything was forgotten and `LEAVE_OUT_EVERY_MS` is over since
    that last began; in the caller's transaction. SQLite's own way, `secure-delete`, is of its version 3.42
    (https://www.sqlite.org/fts5.html)."""
    told = dict(db.execute("SELECT key, value FROM meta WHERE key IN ('forgotten', 'leaving_out', 'left_out_ms')"))
    if "forgotten" not in told or "leaving_out" in told:
        return
    if at_ms - int(told.get("left_out_ms", 0)) < LEAVE_OUT_EVERY_MS:
        return
    db.execute("DELETE FROM meta WHERE key = 'forgotten'")
    db.execute("INSERT OR REPLACE INTO meta VALUES ('leaving_out', 1), ('left_out_ms', ?)", (at_ms,))
    # A negative number says that all pieces are to become one.
    db.execute(_MERGE, (-STEP_PAGES,))


def _leave_out(db: sqlite3.Connection) -> bool:
    """One step of what is `due`; False where nothing is."""
    if not db.execute("SELECT 1 FROM meta WHERE key = 'leaving_out'").fetchone():
        return False
    with transaction(db):
        before = db.total_changes
        db.execute(_MERGE, (STEP_PAGES,))
        # So its manual tells that there was nothing left to do.
        if done := db.total_changes - before < 2:
            db.execute("DELETE FROM meta WHERE key = 'leaving_out'")
    return not done


_MERGE = "INSERT INTO search (search, rank) VALUES ('merge', ?)"
_FORGOT = "INSERT OR IGNORE INTO meta VALUES ('forgotten', 1)"


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
