"""Forgetting a person in the archive: their rows are made anew from redacted events, and nothing of the old is left.

What of an event is redacted is `actors/erasure/erasing.py`'s; here its consequences replace the rows it had. A fact of
theirs that stands in another customer's stream, as after a contact moved, takes along what that one's rows have of it.
"""

# ruff: noqa: S608 - tables and columns are the schema's own words; every value is bound.

import sqlite3

from adapters.stores.archive import retention, search
from adapters.stores.archive.rows import move_heads, write
from adapters.stores.archive.schema import TABLES
from adapters.stores.connection import checkpoint, transaction
from protocol.archive import Changes
from protocol.ids import customer_of

_OF_CONVERSATION = tuple(name for name, table in TABLES.items() if table.key[0] == "conversation")
_OF_STREAM = (*(name for name, table in TABLES.items() if table.key[0] == "stream" and name != "event"), "quarantine")
_OF_CUSTOMER = ("identity", "identity_review", "snapshot", "customer")
_ERASE_CONVERSATION = (
    *(f"DELETE FROM {table} WHERE conversation = ?" for table in _OF_CONVERSATION),
    *(f"DELETE FROM {table} WHERE stream = ?" for table in _OF_STREAM),
    "DELETE FROM outbox WHERE delivery IN (SELECT delivery FROM (SELECT ? AS c) JOIN outbox "
    "ON delivery > c || '.' AND delivery < c || '/')",
)
_ERASE_CUSTOMER = (
    *(f"DELETE FROM {table} WHERE stream = :customer" for table in _OF_STREAM),
    *(f"DELETE FROM {table} WHERE customer = :customer" for table in _OF_CUSTOMER),
)
ERASED_TABLES = frozenset({*_OF_CONVERSATION, *_OF_STREAM, *_OF_CUSTOMER, "event", "outbox"})
"""Those that an erasure reaches: a table that the projection writes and that is not here keeps what it has."""
NOBODYS_TABLES = frozenset({"moved", "report", "finding"})
"""Those that name nobody but by id, and stay as they are. A row of `moved` is of several: where a contact went on from
there may stand in another customer's facts, so that those of the person alone would not make it again."""
_TOLD_BY_DROPPED = """
    SELECT channel, resolved_at_ms, conversation FROM conversation
    JOIN dropped ON dropped.kind = 'conversation' AND dropped.id = conversation WHERE customer = ?"""
_TELL_OF_DROPPED = "UPDATE conversation SET channel = ?, resolved_at_ms = ? WHERE conversation = ?"
_CHANGED_AT = (
    ("SELECT position, conversation FROM conversation WHERE customer = ?",
     "UPDATE conversation SET position = ? WHERE conversation = ?"),
    ("SELECT position, stream, kind FROM timer WHERE customer = ?",
     "UPDATE timer SET position = ? WHERE stream = ? AND kind = ?"),
    ("SELECT position, delivery FROM outbox WHERE customer = ?",
     "UPDATE outbox SET position = ? WHERE delivery = ?"),
)  # fmt: skip
"""What a merge, or its end, changed rows at stands in another customer's facts."""
_SUBJECT_LEFT = """
    UPDATE conversation SET subject = coalesce((
        SELECT body ->> '$.subject' FROM event WHERE stream = :stream AND body ->> '$.subject' <> ''
        AND type IN ('ConversationOpened', 'MessageReceived', 'AutomaticReplyReceived', 'CorrelationCorrected')
        AND seq >= (SELECT coalesce(max(seq), 0) FROM event WHERE stream = :stream AND type = 'CorrelationCorrected'
                    AND body ->> '$.subject' IS NOT NULL)
        ORDER BY seq LIMIT 1), '') WHERE conversation = :stream"""
"""Another's conversation has the first subject that somebody else gave it, since an unmerge put one right at last."""
_EVENT_OF = "FROM event WHERE stream = :stream AND seq = :seq"
_OF_CONTACT = f"conversation = :stream AND interaction = (SELECT body ->> '$.interaction' {_EVENT_OF})"
_OF_MOVED = f"conversation = :stream AND interaction = (SELECT body ->> '$.interaction.number' {_EVENT_OF})"
_REVIEW_OVER = f"""
    DELETE FROM identity_review
    WHERE (identity, other) = (SELECT body ->> '$.identity', coalesce(body ->> '$.other', '') {_EVENT_OF})"""
_NAMES_ELSEWHERE = {
    "IdentityConflictFound": (_REVIEW_OVER,),
    "IdentityReviewClosed": (_REVIEW_OVER,),
    "InteractionStarted": (f"UPDATE interaction SET identity = '', session = '', reason = '' WHERE {_OF_CONTACT}",),
    "InteractionReceived": (
        f"UPDATE interaction SET identity = '', session = '', reason = '', end_reason = '' WHERE {_OF_MOVED}",
        f"DELETE FROM interaction_key WHERE {_OF_MOVED}",
    ),
    "InteractionEnded": (f"UPDATE interaction SET end_reason = '' WHERE {_OF_CONTACT}",),
    "InteractionTagged": (f"DELETE FROM interaction_key WHERE {_OF_CONTACT}",),
    "MessageQueued": (f"UPDATE outbox SET recipient = '' WHERE delivery = (SELECT body ->> '$.delivery' {_EVENT_OF})",),
}
"""By type of event: how what it said leaves the rows of a contact that stayed in another customer's conversation, and
of conflicts over an identity."""


def erase(db: sqlite3.Connection, customer: str, changes: Changes) -> None:
    """Replaces all rows of a customer by those that follow from `changes`: their events with redacted bodies, and what
    changes of other customers' events that named them. Nothing of the old rows is left in the file or its full text.

    An empty `customer` is nobody: one input that an account refused is forgotten, which `changes` have as another's.
    """
    own = db.execute("SELECT conversation FROM conversation WHERE customer = ?", (customer,)).fetchall()
    told_by_dropped = db.execute(_TOLD_BY_DROPPED, (customer,)).fetchall()
    changed_at = [(sql, db.execute(rows, (customer,)).fetchall()) for rows, sql in _CHANGED_AT]
    with transaction(db):
        if customer:
            _erase_own(db, customer, own)
        streams = {customer, *(stream for (stream,) in own)}
        for position, _, stream, seq, kind, *_ in changes.events:
            if stream not in streams:
                _erase_elsewhere(db, position, stream, seq, kind)
        bodies = [(body, stream, seq) for _, _, stream, seq, _, _, _, body in changes.events]
        db.executemany("UPDATE event SET body = ? WHERE stream = ? AND seq = ?", bodies)
        others = {stream for _, _, stream, *_ in changes.events} - streams
        db.executemany(_SUBJECT_LEFT, [{"stream": stream} for stream in sorted(others)])
        write(db, [patch for patch in changes.patches if patch.table not in NOBODYS_TABLES], forgiving=True)
        move_heads(db, changes.heads, forgiving=True)
        # Facts that retention left made rows again that it had dropped; two columns came of facts that it took.
        retention.drop_again(db, customer)
        db.executemany(_TELL_OF_DROPPED, told_by_dropped)
        for sql, before in changed_at:
            db.executemany(sql, before)
    search.merge(db)
    checkpoint(db)


def _erase_own(db: sqlite3.Connection, customer: str, own: list[tuple[str]]) -> None:
    for (stream,) in [(customer,), *own]:
        search.forget(db, stream)
    for sql in _ERASE_CONVERSATION:
        db.executemany(sql, own)
    for sql in _ERASE_CUSTOMER:
        db.execute(sql, {"customer": customer})


def _erase_elsewhere(db: sqlite3.Connection, position: int, stream: str, seq: int, kind: str) -> None:
    """Empties what rows of another customer's stream have of one fact of the person, while its body still says what."""
    search.forget_one(db, stream, seq)
    # It holds the old words; a load without a snapshot reads the redacted events.
    db.execute("DELETE FROM snapshot WHERE customer IN (?, ?)", (stream, customer_of(stream)))
    db.execute("DELETE FROM attachment WHERE conversation = ? AND seq = ?", (stream, seq))
    if kind == "ContextSet":
        key = db.execute("SELECT body ->> '$.key' FROM event WHERE stream = ? AND seq = ?", (stream, seq)).fetchone()[0]
        for table in ("context_item", "context_value"):
            sql = f"UPDATE {table} SET value = 'null' WHERE conversation = ? AND key = ? AND position = ?"
            db.execute(sql, (stream, key, position))
    elif kind in ("ConversationOpened", "MessageReceived", "AutomaticReplyReceived"):
        # What it follows stays said; why is emptied in its fact, and only the row of that fact has it from there.
        db.execute("UPDATE relation SET reason = '' WHERE conversation = ? AND position = ?", (stream, position))
    for sql in _NAMES_ELSEWHERE.get(kind, ()):
        db.execute(sql, {"stream": stream, "seq": seq})
