"""Retention in the archive: what is over is dropped in short steps, and it is written down that it was.

    drop(bounds), again and again until nothing is left ──> rows go │ `dropped`: what, when, by which policy version
                                                                    │ `retention`: of each kind how far, and how many

Both tables outlive a rebuild: `redrop` then drops the same again, so that the rows are those that there were. All
functions are steps of the writer's connection, each one transaction.
"""

# ruff: noqa: S608 - tables are the schema's own words; every value is bound.

import sqlite3
from collections.abc import Callable, Collection, Sequence

from adapters.stores.archive import emptying, search
from adapters.stores.archive.emptying import SAID_SINCE
from adapters.stores.connection import transaction
from protocol.archive import Bounds, Dropped

STEP_ROWS = 500
"""Conversations, or rows of another kind, that one step drops: it holds the writer for some tens of milliseconds."""

NOTES_MS = 5 * 365 * 86_400_000
"""How long it is told that a quarantined input or a delivery was dropped. A conversation's note stays as long as its
row; should an archive be made anew after that time, what comes back is dropped by its own."""

CONVERSATION, QUARANTINE, DELIVERY = "conversation", "quarantine", "delivery"
"""What is written down one by one, since somebody may ask for it."""


def drop(db: sqlite3.Connection, bounds: Bounds) -> dict[str, int]:
    """Drops some of what was over before `bounds`; again until nothing is dropped. Returns how many of each kind.

    A stream keeps its numbering for whoever loads it without a snapshot: of a closed conversation the opening, without
    its subject, the closing and the number of the newest fact stay, once-keys that a repeat may still meet, and its
    row, without words; a quarantined input's event stays without the input.
    """
    with transaction(db):
        dropped = {kind: take(db, bounds) for kind, take in _KINDS.items()}
        for kind, count in dropped.items():
            if count:
                before_ms = getattr(bounds, f"{kind}_ms")
                db.execute(_NOTE_KIND, (kind, before_ms, bounds.at_ms, bounds.policy, count))
        db.execute(_FORGET_NOTES, (bounds.at_ms - NOTES_MS, STEP_ROWS))
        if not any(dropped.values()):
            search.due(db, bounds.at_ms)
    return {kind: count for kind, count in dropped.items() if count}


def redrop(db: sqlite3.Connection) -> int:
    """Drops some of what had been dropped before the archive was made anew; again until it returns 0."""
    if not db.execute("SELECT 1 FROM meta WHERE key = 'redrop'").fetchone():
        return 0
    with transaction(db):
        count = sum(step(db) for step in _AGAIN)
        if not count:
            db.execute("DELETE FROM meta WHERE key IN ('redrop', 'redropped')")
    return count


def drop_again(db: sqlite3.Connection, customer: str) -> None:
    """Takes what was dropped of a customer out of rows that were made anew, from the facts that are left; in the
    caller's transaction."""
    if found := db.execute(_DROPPED_OF, (customer,)).fetchall():
        emptying.empty(db, found, _before(db, "once_keys"))
    before = {kind: _before(db, kind) for kind in ("sent_deliveries", "identity_reviews")}
    for sql in _DROP_ROWS_OF:
        db.execute(sql, {"customer": customer, **before})


def late(db: sqlite3.Connection, streams: Collection[str]) -> None:
    """These streams have new facts: a conversation among them that was dropped is looked at again, once the newest of
    them is as old as it was then."""
    db.executemany(_LATE, [(stream,) for stream in sorted(streams)])


def late_edits(db: sqlite3.Connection, begun: Sequence[tuple[str, int]]) -> None:
    """Replays that begin in these places: where the input was dropped since it was read for them, what it was edited to
    goes as well."""
    db.executemany(_STRIP_LATE_EDIT, begun)


def dropped(db: sqlite3.Connection, kind: str, id: str) -> Dropped | None:
    """That retention dropped this conversation, quarantined input or delivery; None where it did not."""
    row = db.execute("SELECT at_ms, policy FROM dropped WHERE kind = ? AND id = ?", (kind, id)).fetchone()
    return None if row is None else Dropped(*row)


def retained(db: sqlite3.Connection) -> list[dict[str, int | str]]:
    """Of each kind of which something was dropped: the time before which it is gone, the newest such run, under which
    version of the policy, and how many there were ever."""
    names = ("kind", "before_ms", "at_ms", "policy", "dropped")
    rows = db.execute(f"SELECT {', '.join(names)} FROM retention ORDER BY kind")
    return [dict(zip(names, row, strict=True)) for row in rows]


# The kinds


def _conversations(db: sqlite3.Connection, bounds: Bounds) -> int:
    found = db.execute(_OVER, {"before": bounds.closed_conversations_ms, "limit": STEP_ROWS}).fetchall()
    if not found:
        return 0
    position = int(db.execute("SELECT value FROM meta WHERE key = 'position'").fetchone()[0])
    note = [(CONVERSATION, id, bounds.at_ms, bounds.policy, position) for (id,) in found]
    db.executemany(_NOTE_CONVERSATION, note)
    # Noted although none may go now: which keys stay is to come out the same after a rebuild.
    db.execute(_NOTE_KIND, ("once_keys", bounds.once_keys_ms, bounds.at_ms, bounds.policy, 0))
    emptying.empty(db, [(id, position) for (id,) in found], _before(db, "once_keys"))
    return len(found)


def _quarantine(which: str) -> Callable[[sqlite3.Connection, Bounds], int]:
    over = {
        "open": "replayed_at_ms IS NULL AND at_ms < :before",
        "replayed": "replayed_at_ms IS NOT NULL AND replayed_at_ms < :before AND at_ms < :before",
    }[which]
    selected = f"SELECT quarantine, stream, seq FROM quarantine WHERE {over} LIMIT :limit"

    def take(db: sqlite3.Connection, bounds: Bounds) -> int:
        before_ms = getattr(bounds, f"quarantine_{which}_ms")
        found = db.execute(selected, {"before": before_ms, "limit": STEP_ROWS}).fetchall()
        _note(db, QUARANTINE, [id for id, _, _ in found], bounds)
        _strip(db, found)
        return len(found)

    return take


def _strip(db: sqlite3.Connection, found: Sequence[tuple[str, str, int]]) -> None:
    """Takes refused inputs, and what they were edited to, each time, out of the events; their rows go."""
    db.executemany("UPDATE event SET body = json_set(body, '$.raw', '') WHERE stream = ? AND seq = ?", [
        (stream, seq) for _, stream, seq in found
    ])  # fmt: skip
    db.executemany(_STRIP_EDITS, [(id,) for id, _, _ in found])
    db.executemany("DELETE FROM quarantine WHERE quarantine = ?", [(id,) for id, _, _ in found])


def _dead_letters(db: sqlite3.Connection, bounds: Bounds) -> int:
    found = db.execute(_DEAD, (bounds.dead_letters_ms, STEP_ROWS)).fetchall()
    _note(db, DELIVERY, [id for (id,) in found], bounds)
    db.executemany("DELETE FROM outbox WHERE delivery = ?", found)
    return len(found)


def _sent_deliveries(db: sqlite3.Connection, bounds: Bounds) -> int:
    return db.execute(_DELETE_SENT, (bounds.sent_deliveries_ms, STEP_ROWS)).rowcount


def _identity_reviews(db: sqlite3.Connection, bounds: Bounds) -> int:
    return db.execute(_DELETE_REVIEWS, (bounds.identity_reviews_ms, STEP_ROWS)).rowcount


def _once_keys(db: sqlite3.Connection, bounds: Bounds) -> int:
    return _drop_keys(db, bounds.once_keys_ms)


def _drop_keys(db: sqlite3.Connection, before_ms: int) -> int:
    """The newest of a conversation's facts that were dropped stays, without its key: see `emptying`."""
    return sum(db.execute(sql, (before_ms, STEP_ROWS)).rowcount for sql in (_EMPTY_KEYS, _DELETE_KEYS))


_KINDS: dict[str, Callable[[sqlite3.Connection, Bounds], int]] = {
    "closed_conversations": _conversations,
    "quarantine_open": _quarantine("open"),
    "quarantine_replayed": _quarantine("replayed"),
    "sent_deliveries": _sent_deliveries,
    "dead_letters": _dead_letters,
    "identity_reviews": _identity_reviews,
    "once_keys": _once_keys,
}
"""By the names of the policy's rules."""


# Again, after a rebuild


def _conversations_again(db: sqlite3.Connection) -> int:
    # Each once: one that something was said of afterwards looks as one that is still to be dropped.
    found = db.execute(_DROPPED_CONVERSATIONS, (STEP_ROWS,)).fetchall()
    if found:
        emptying.empty(db, found, _before(db, "once_keys"))
        db.execute("INSERT OR REPLACE INTO meta VALUES ('redropped', ?)", (found[-1][0],))
    return len(found)


def _quarantine_again(db: sqlite3.Connection) -> int:
    found = db.execute(_DROPPED_QUARANTINE, (STEP_ROWS,)).fetchall()
    _strip(db, found)
    return len(found)


def _dead_letters_again(db: sqlite3.Connection) -> int:
    return db.execute(_DELETE_DROPPED_DELIVERIES, (STEP_ROWS,)).rowcount


def _others_again(db: sqlite3.Connection) -> int:
    """What is not written down one by one is over for good: that it was before a time says all."""
    before = {"sent_deliveries": _DELETE_SENT, "identity_reviews": _DELETE_REVIEWS}
    count = sum(db.execute(sql, (_before(db, kind), STEP_ROWS)).rowcount for kind, sql in before.items())
    return count + _drop_keys(db, _before(db, "once_keys"))


_AGAIN = (_conversations_again, _quarantine_again, _dead_letters_again, _others_again)


def _before(db: sqlite3.Connection, kind: str) -> int:
    row = db.execute("SELECT before_ms FROM retention WHERE kind = ?", (kind,)).fetchone()
    return int(row[0]) if row else 0


def _note(db: sqlite3.Connection, kind: str, ids: Sequence[str], bounds: Bounds) -> None:
    db.executemany(_NOTE, [(kind, id, bounds.at_ms, bounds.policy, 0) for id in ids])


_NOTE = "INSERT OR IGNORE INTO dropped (kind, id, at_ms, policy, position) VALUES (?, ?, ?, ?, ?)"
# One that something was said of since keeps its first note: what was dropped then is gone since then.
_NOTE_CONVERSATION = """
    INSERT INTO dropped (kind, id, at_ms, policy, position) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (kind, id) DO UPDATE SET position = excluded.position"""
_LATE = f"""
    UPDATE conversation SET closed_at_ms = ({SAID_SINCE}) WHERE conversation = ?
    AND EXISTS (SELECT 1 FROM dropped WHERE kind = 'conversation' AND id = conversation.conversation)"""
_FORGET_NOTES = """
    DELETE FROM dropped WHERE (kind, id) IN (
        SELECT kind, id FROM dropped WHERE kind <> 'conversation' AND at_ms < ? LIMIT ?)"""
_NOTE_KIND = """
    INSERT INTO retention (kind, before_ms, at_ms, policy, dropped) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (kind) DO UPDATE SET before_ms = max(before_ms, excluded.before_ms), at_ms = excluded.at_ms,
    policy = excluded.policy, dropped = dropped + excluded.dropped"""
_OVER = """
    SELECT conversation FROM conversation AS c WHERE closed_at_ms < :before AND NOT EXISTS (
        -- Its words belong to a conversation that is not over so long yet.
        SELECT 1 FROM moved JOIN conversation AS home ON home.conversation = moved.conversation
        WHERE moved.origin = c.conversation AND (home.status <> 'closed' OR home.closed_at_ms >= :before))
    ORDER BY closed_at_ms LIMIT :limit"""
_DROPPED_CONVERSATIONS = """
    SELECT dropped.id, dropped.position FROM dropped JOIN conversation ON conversation.conversation = dropped.id
    WHERE dropped.kind = 'conversation' AND conversation.closed_at_ms IS NOT NULL
    AND dropped.id > coalesce((SELECT value FROM meta WHERE key = 'redropped'), '')
    ORDER BY dropped.id LIMIT ?"""
_DROPPED_OF = """
    SELECT dropped.id, dropped.position FROM dropped JOIN conversation ON conversation.conversation = dropped.id
    WHERE dropped.kind = 'conversation' AND conversation.customer = ?"""
_DROP_ROWS_OF = (
    """DELETE FROM quarantine WHERE stream = :customer
    AND EXISTS (SELECT 1 FROM dropped WHERE kind = 'quarantine' AND id = quarantine.quarantine)""",
    """DELETE FROM outbox WHERE delivery IN (
        SELECT delivery FROM conversation AS c JOIN outbox
        ON delivery > c.conversation || '.' AND delivery < c.conversation || '/'
        WHERE c.customer = :customer AND (sent_at_ms < :sent_deliveries OR EXISTS (
            SELECT 1 FROM dropped WHERE kind = 'delivery' AND id = outbox.delivery)))""",
    """DELETE FROM identity_review
    WHERE customer = :customer AND coalesce(closed_at_ms, found_at_ms) < :identity_reviews""",
)
_DROPPED_QUARANTINE = """
    SELECT quarantine, stream, seq FROM dropped JOIN quarantine ON quarantine = dropped.id
    WHERE dropped.kind = 'quarantine' LIMIT ?"""
_DELETE_DROPPED_DELIVERIES = """
    DELETE FROM outbox WHERE delivery IN (
        SELECT delivery FROM dropped JOIN outbox ON delivery = dropped.id WHERE dropped.kind = 'delivery' LIMIT ?)"""
_STRIP_EDITS = """
    UPDATE event SET body = json_replace(body, '$.raw', '')
    WHERE type = 'ReplayBegun' AND body ->> '$.quarantine' = ?"""
_STRIP_LATE_EDIT = """
    UPDATE event SET body = json_replace(body, '$.raw', '') WHERE stream = ? AND seq = ?
    AND EXISTS (SELECT 1 FROM dropped WHERE kind = 'quarantine' AND id = body ->> '$.quarantine')"""
# The state is said twice so that SQLite sees it may use the index, which is of the unsent ones alone.
_DEAD = "SELECT delivery FROM outbox WHERE state = 'dead' AND state <> 'sent' AND dead_at_ms < ? LIMIT ?"
_DELETE_SENT = "DELETE FROM outbox WHERE delivery IN (SELECT delivery FROM outbox WHERE sent_at_ms < ? LIMIT ?)"
_DELETE_REVIEWS = """
    DELETE FROM identity_review WHERE (customer, identity, other) IN (
        SELECT customer, identity, other FROM identity_review
        WHERE coalesce(closed_at_ms, found_at_ms) < ? LIMIT ?)"""
_LATER = """EXISTS (
    SELECT 1 FROM event AS later JOIN dropped ON dropped.kind = 'conversation' AND dropped.id = later.stream
    WHERE later.stream = event.stream AND later.seq > event.seq AND later.position <= dropped.position)"""
# As an index has them: those that stay without a key, for their number, are not looked at again.
_KEYED = "SELECT rowid FROM event WHERE type = 'FactDropped' AND body -> '$.once' IS NOT NULL AND at_ms < ?"
_DELETE_KEYS = f"DELETE FROM event WHERE rowid IN ({_KEYED} AND {_LATER} LIMIT ?)"
_EMPTY_KEYS = f"""
    UPDATE event SET body = json_remove(body, '$.once') WHERE rowid IN ({_KEYED} AND NOT {_LATER} LIMIT ?)"""
