"""Writing the archive: changes become SQL, grouped so that each kind of change is one `executemany`.

All functions are steps of the writer's connection, each one transaction.
"""

# ruff: noqa: S608 - tables and columns are the schema's and the projection's own words; every value is bound.

import sqlite3
from collections.abc import Iterator, Sequence, Set
from functools import cache
from operator import itemgetter

import msgspec

from adapters.stores.archive import retention
from adapters.stores.archive.schema import ARCHIVE, TABLES
from adapters.stores.archive.steps.retention import RETENTION_TABLES
from adapters.stores.archive.traces import HASH
from adapters.stores.connection import transaction
from protocol.archive import RISING, Changes, Head, Patch, Rehoming, standing
from protocol.events import PolicyApplied
from protocol.ids import POLICY

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
        write(db, changes.patches, forgiving=forgiving)
        move_heads(db, changes.heads, forgiving=forgiving)
        for rehoming in changes.rehomed:
            _rehome(db, rehoming)
        if changes.forgotten:
            # What came to them with another and went again says so in facts that say no names any more.
            db.execute("DELETE FROM identity WHERE customer = ?", (changes.forgotten,))
        if forgiving:
            retention.late(db, {stream for _, _, stream, *_ in changes.events})
        retention.late_edits(db, [(row[2], row[3]) for row in changes.events if row[4] == "ReplayBegun"])
        db.execute("UPDATE meta SET value = ? WHERE key = 'position'", (changes.position,))
        db.execute("UPDATE meta SET value = value + ? WHERE key = 'events'", (len(changes.events),))


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


def adopt(db: sqlite3.Connection, generation: str, *, keeps: bool = False) -> int:
    """Returns the position where this archive follows the journal of `generation`, or is to: it `keeps` its rows. Else
    empties it and returns 0."""
    known = _meta(db, "generation")
    if known == generation:
        return int(_meta(db, "position"))
    if keeps:
        _follow(db, generation)
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


def write(db: sqlite3.Connection, patches: Sequence[Patch], *, forgiving: bool) -> None:
    """Writes the patches. `forgiving` says that retention or an erasure may have taken rows that they change; else one
    that is missing is an `AssertionError`."""
    for shape, group in sorted(_by_shape(patches).items()):
        _write(db, shape, group, forgiving=forgiving)


def move_heads(db: sqlite3.Connection, heads: Sequence[Head], *, forgiving: bool) -> None:
    """Puts the conversations' heads. `forgiving`: as for `write`."""
    moved = db.executemany(_MOVE_HEAD, sorted(heads, key=_conversation)).rowcount if heads else 0
    _check_missing("conversation", len(heads) - moved, forgiving=forgiving)


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
            rows = [(*(p.values or {}).values(), *_fillings(p), p.position, *p.key) for p in group]
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
    sets += [f"{column} = CASE WHEN {_says(column)} THEN ? ELSE {column} END" for column in fill]
    return f"UPDATE {name} SET {', '.join((*sets, 'position = ?'))} WHERE {_is(name)}"


def _fillings(patch: Patch) -> Iterator[str | int]:
    for column, text in patch.fill.items():
        if column in RISING:
            yield standing(column, text)
        yield text


def _says(column: str) -> str:
    """Whether a column may be filled: of one that rises, whether it says no more than the word of that standing."""
    if column not in RISING:
        return f"{column} = ''"
    ranks = " ".join(f"WHEN '{word}' THEN {rank}" for rank, word in enumerate(RISING[column]))
    return f"CASE {column} {ranks} ELSE 0 END <= ?"


@cache
def _drop(shape: Shape) -> str:
    return f"DELETE FROM {shape[0]} WHERE {_is(shape[0])}"


def _is(name: str) -> str:
    return " AND ".join(f"{column} = ?" for column in TABLES[name].key)
