"""Writing the archive: changes become SQL, grouped so that each kind of change is one `executemany`.

All functions are steps of the writer's connection, each one transaction.
"""

# ruff: noqa: S608 - tables and columns are the schema's and the projection's own words; every value is bound.

import sqlite3
from collections.abc import Sequence, Set
from functools import cache
from operator import itemgetter

import msgspec

from adapters.stores import archive_retention, archive_search
from adapters.stores.archive_schema import ARCHIVE, TABLES
from adapters.stores.archive_steps.retention import RETENTION_TABLES
from adapters.stores.archive_traces import HASH
from adapters.stores.connection import checkpoint, overwriting, transaction
from protocol.archive import Changes, Patch, Rehoming
from protocol.events import PolicyApplied
from protocol.ids import POLICY, customer_of

Key = tuple[str | int, ...]
Shape = tuple[str, str, tuple[str, ...], tuple[str, ...]]
"""What makes two patches one statement: table, verb, columns, columns to fill."""


def apply(db: sqlite3.Connection, changes: Changes) -> None:
    """Writes the changes and the position they lead to.

    A row that is there when it should not be, or missing when it should be, means that this archive does not follow
    from this journal: `sqlite3.IntegrityError` or `AssertionError`, and nothing is written.
    """
    with transaction(db):
        forgiving = bool(_meta(db, "pruned_before_ms"))
        db.executemany("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?)", changes.events)
        for shape, group in sorted(_by_shape(changes.patches).items()):
            _write(db, shape, group, forgiving=forgiving)
        moved = db.executemany(_MOVE_HEAD, sorted(changes.heads, key=_conversation)).rowcount if changes.heads else 0
        _check_missing("conversation", len(changes.heads) - moved, forgiving=forgiving)
        for rehoming in changes.rehomed:
            _rehome(db, rehoming)
        if forgiving:
            archive_retention.late(db, {stream for _, _, stream, *_ in changes.events})
        db.execute("UPDATE meta SET value = ? WHERE key = 'position'", (changes.position,))
        db.execute("UPDATE meta SET value = value + ? WHERE key = 'events'", (len(changes.events),))


def erase(db: sqlite3.Connection, customer: str, changes: Changes) -> None:
    """Puts all rows of a customer anew. `changes` has their events with new bodies, and all that follows from them; and
    of others' events that named them, what changes. Nothing is left of the old rows in the file or in the full text.
    """
    own = db.execute("SELECT conversation FROM conversation WHERE customer = ?", (customer,)).fetchall()
    told_by_dropped = db.execute(_TOLD_BY_DROPPED, (customer,)).fetchall()
    with overwriting(db):
        with transaction(db):
            for (stream,) in [(customer,), *own]:
                archive_search.forget(db, stream)
            for sql in _ERASE_CONVERSATION:
                db.executemany(sql, own)
            for sql in _ERASE_CUSTOMER:
                db.execute(sql, {"customer": customer})
            streams = {customer, *(stream for (stream,) in own)}
            for position, _, stream, seq, kind, *_ in changes.events:
                if stream not in streams:
                    _erase_elsewhere(db, position, stream, seq, kind)
            bodies = [(body, stream, seq) for _, _, stream, seq, _, _, _, body in changes.events]
            db.executemany("UPDATE event SET body = ? WHERE stream = ? AND seq = ?", bodies)
            for shape, group in sorted(_by_shape(changes.patches).items()):
                _write(db, shape, group, forgiving=True)
            db.executemany(_MOVE_HEAD, changes.heads)
            # The facts that retention left made rows that it had taken, and do not tell what the others told.
            archive_retention.drop_again(db, customer)
            db.executemany(_TELL_OF_DROPPED, told_by_dropped)
        archive_search.merge(db)
        checkpoint(db)


_TOLD_BY_DROPPED = """
    SELECT channel, resolved_at_ms, conversation FROM conversation
    JOIN dropped ON dropped.kind = 'conversation' AND dropped.id = conversation WHERE customer = ?"""
_TELL_OF_DROPPED = "UPDATE conversation SET channel = ?, resolved_at_ms = ? WHERE conversation = ?"


def _erase_elsewhere(db: sqlite3.Connection, position: int, stream: str, seq: int, kind: str) -> None:
    """What rows of another's stream have of one of the person's facts there, before its body goes."""
    archive_search.forget_one(db, stream, seq)
    # A load without it reads the events, which no longer say what it says.
    db.execute("DELETE FROM snapshot WHERE customer IN (?, ?)", (stream, customer_of(stream)))
    db.execute("DELETE FROM attachment WHERE conversation = ? AND seq = ?", (stream, seq))
    if kind == "ContextSet":
        key = db.execute("SELECT body ->> '$.key' FROM event WHERE stream = ? AND seq = ?", (stream, seq)).fetchone()[0]
        for table in ("context_item", "context_value"):
            sql = f"UPDATE {table} SET value = 'null' WHERE conversation = ? AND key = ? AND position = ?"
            db.execute(sql, (stream, key, position))
    elif kind in ("ConversationOpened", "MessageReceived", "AutomaticReplyReceived"):
        said = "SELECT coalesce(body ->> '$.subject', '') FROM event WHERE stream = ? AND seq = ?"
        sql = f"UPDATE conversation SET subject = '' WHERE conversation = ? AND subject = ({said})"
        db.execute(sql, (stream, stream, seq))
    elif kind in _NAMES_ELSEWHERE:
        db.execute(_NAMES_ELSEWHERE[kind], {"stream": stream, "seq": seq})


_EVENT_OF = "FROM event WHERE stream = :stream AND seq = :seq"
_OF_CONTACT = f"conversation = :stream AND interaction = (SELECT body ->> '$.interaction' {_EVENT_OF})"
_NAMES_ELSEWHERE = {
    "InteractionStarted": f"UPDATE interaction SET identity = '', session = '', reason = '' WHERE {_OF_CONTACT}",
    "InteractionEnded": f"UPDATE interaction SET end_reason = '' WHERE {_OF_CONTACT}",
    "InteractionTagged": f"DELETE FROM interaction_key WHERE {_OF_CONTACT}",
    "MessageQueued": f"UPDATE outbox SET recipient = '' WHERE delivery = (SELECT body ->> '$.delivery' {_EVENT_OF})",
}
"""Rows of a contact that stayed in another's conversation."""


def reset(db: sqlite3.Connection, generation: str) -> None:
    """Empties the archive: position 0, to follow the journal of `generation`. What retention dropped stays noted."""
    with transaction(db):
        # First those that keep tables of their own, which go with them.
        for like in ("CREATE VIRTUAL TABLE %", "%"):
            names = "SELECT type, name FROM sqlite_schema WHERE type IN ('table', 'view') AND sql LIKE ?"
            for kind, name in db.execute(names, (like,)).fetchall():
                if name not in RETENTION_TABLES:
                    db.execute(f"DROP {kind} {name}")
        for step in ARCHIVE.steps:
            for statement in step:
                db.execute(statement)
        _follow(db, generation)
        db.execute("INSERT INTO meta SELECT 'redrop', 1 WHERE EXISTS (SELECT 1 FROM retention)")


def policy(db: sqlite3.Connection) -> tuple[int, bytes] | None:
    """The newest version of the policy and its rules' bytes; None where only the settings' is known."""
    newest = "SELECT seq, body FROM event WHERE stream = ? AND type = 'PolicyApplied' ORDER BY seq DESC LIMIT 1"
    row = db.execute(newest, (POLICY,)).fetchone()
    if row is None:
        return None
    applied = msgspec.json.decode(row[1], type=PolicyApplied)
    return applied.version, applied.body


def adopt(db: sqlite3.Connection, generation: str) -> int:
    """Returns the position where this archive follows the journal of `generation`; else empties it and returns 0."""
    known = _meta(db, "generation")
    if known == generation:
        return int(_meta(db, "position"))
    if known or int(_meta(db, "position")):
        reset(db, generation)
    else:
        # It has no rows: its tables are as good as those that a reset would make.
        _follow(db, generation)
    return 0


def _follow(db: sqlite3.Connection, generation: str) -> None:
    db.execute("UPDATE meta SET value = ? WHERE key = 'generation'", (generation,))


def position(db: sqlite3.Connection) -> int:
    """The journal's position that all rows together reflect."""
    return int(_meta(db, "position"))


def sync(db: sqlite3.Connection) -> int:
    """Makes all commits so far durable, and returns the position they lead to.

    One commit under FULL syncs the whole WAL before it. A checkpoint would not do: it syncs nothing where a reader
    holds it back.
    """
    db.execute("PRAGMA synchronous = FULL")
    try:
        with transaction(db):
            db.execute("UPDATE meta SET value = value WHERE key = 'position'")
    finally:
        db.execute("PRAGMA synchronous = NORMAL")
    return position(db)


def generation(db: sqlite3.Connection) -> str:
    """The life of the journal that is followed; empty before the first."""
    return str(_meta(db, "generation"))


def attached(db: sqlite3.Connection, names: Set[str]) -> set[str]:
    """Those of the files, named by their hash, that a message's attachments or a quarantined input speak of."""
    found: set[str] = set()
    for name in names:
        if db.execute("SELECT 1 FROM attachment WHERE sha256 = ?", (name,)).fetchone():
            found.add(name)
    kept = "SELECT raw FROM quarantine UNION ALL SELECT edited FROM quarantine WHERE edited IS NOT NULL"
    for (raw,) in db.execute(kept):
        found.update(names & {name.decode() for name in HASH.findall(raw)})
    return found


def _meta(db: sqlite3.Connection, key: str) -> str | int:
    value: str | int = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()[0]
    return value


def _rehome(db: sqlite3.Connection, rehoming: Rehoming) -> None:
    """Ids say which conversations are meant, so that nothing is looked up and a rebuild does the same."""
    who, home, position = rehoming.members[0], rehoming.home, rehoming.position
    values = {"home": home, "shard": rehoming.shard, "position": position}
    for member in rehoming.members:
        for sql in _REHOME:
            db.execute(sql, {**values, "member": member})
        into = "" if member == home else home
        db.execute("UPDATE customer SET merged_into = ? WHERE customer = ?", (into, member))
    if rehoming.identities is None:
        db.execute("UPDATE identity SET customer = ?, position = ? WHERE customer = ?", (home, position, who))
    else:
        named = [(home, position, identity) for identity in rehoming.identities]
        db.executemany("UPDATE identity SET customer = ?, position = ? WHERE identity = ?", named)


# Ids of conversations, and of what is of them, begin with their first customer's and a hyphen; a full stop follows it.
_RANGE = "> :member || '-' AND {0} < :member || '.'"
_REHOME = (
    "UPDATE conversation SET customer = :home, position = :position WHERE conversation "
    + _RANGE.format("conversation"),
    "UPDATE timer SET customer = :home, shard = :shard, position = :position WHERE stream " + _RANGE.format("stream"),
    "UPDATE outbox SET customer = :home, shard = :shard, position = :position WHERE delivery "
    + _RANGE.format("delivery"),
)


def _by_shape(patches: Sequence[Patch]) -> dict[Shape, list[Patch]]:
    shapes: dict[Shape, list[Patch]] = {}
    for patch in patches:
        shapes.setdefault(_shape(patch), []).append(patch)
    return shapes


def _shape(patch: Patch) -> Shape:
    if patch.values is None:
        return patch.table, "drop", (), ()
    return patch.table, "insert" if patch.new else "change", tuple(patch.values), tuple(patch.fill)


def _write(db: sqlite3.Connection, shape: Shape, group: list[Patch], *, forgiving: bool) -> None:
    table, verb, _, _ = shape
    group.sort(key=_key)  # Rows that lie together are written together.
    match verb:
        case "insert":
            db.executemany(_insert(shape), [(*p.key, *(p.values or {}).values(), p.position) for p in group])
        case "change":
            rows = [(*(p.values or {}).values(), *p.fill.values(), p.position, *p.key) for p in group]
            missing = len(rows) - db.executemany(_change(shape), rows).rowcount
            _check_missing(table, missing, forgiving=forgiving or TABLES[table].named_outside)
        case _:
            db.executemany(_drop(shape), [p.key for p in group])


def _check_missing(table: str, missing: int, *, forgiving: bool) -> None:
    if missing and not forgiving:
        raise AssertionError(f"{table}: {missing} rows are missing; rebuild the archive from its journal")


def _key(patch: Patch) -> Key:
    return patch.key


_conversation = itemgetter(3)
_MOVE_HEAD = "UPDATE conversation SET head = ?, updated_at_ms = ?, position = ? WHERE conversation = ?"


@cache
def _insert(shape: Shape) -> str:
    name, _, columns, _ = shape
    table = TABLES[name]
    names = (*table.key, *columns, "position")
    sql = f"INSERT INTO {name} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
    if not table.replaced:
        return sql
    sets = ", ".join(f"{column} = excluded.{column}" for column in (*columns, "position"))
    return f"{sql} ON CONFLICT ({', '.join(table.key)}) DO UPDATE SET {sets}"


@cache
def _change(shape: Shape) -> str:
    name, _, columns, fill = shape
    sets = [f"{column} = ?" for column in columns]
    sets += [f"{column} = CASE {column} WHEN '' THEN ? ELSE {column} END" for column in fill]
    return f"UPDATE {name} SET {', '.join((*sets, 'position = ?'))} WHERE {_is(name)}"


@cache
def _drop(shape: Shape) -> str:
    return f"DELETE FROM {shape[0]} WHERE {_is(shape[0])}"


def _is(name: str) -> str:
    return " AND ".join(f"{column} = ?" for column in TABLES[name].key)


_OF_CONVERSATION = ("moved", *(name for name, table in TABLES.items() if table.key[0] == "conversation"))
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
    # Another customer's, that names an identity of this one: as its redacted event has it.
    "UPDATE OR REPLACE identity_review SET identity = '' WHERE other = :customer",
)
ERASED_TABLES = frozenset({*_OF_CONVERSATION, *_OF_STREAM, *_OF_CUSTOMER, "event", "outbox"})
"""Those that an erasure reaches: a table that the projection writes and that is not here keeps what it has."""
NOBODYS_TABLES = frozenset({"report", "finding"})
"""Those that count, and name nobody but by id."""
