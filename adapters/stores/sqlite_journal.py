"""The journal on SQLite: one file, one writing process, every commit one transaction.

`SqliteJournal` is the writer, `SqliteJournalReader` anyone else's view of the same file. The fences and the remembered
refusals are also kept in memory, since no other process writes them; their rows change in the transaction of the units
they judge.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from msgspec import msgpack

from adapters.stores import connection, merged_rules, migrations
from adapters.stores.connection import Connection, checkpoint, open_reader, open_writer, overwriting, transaction
from adapters.stores.errors import StoreFailed
from adapters.stores.journal_rules import (
    Free,
    JournalState,
    Settlement,
    Unmade,
    check_trimmed,
    forgotten,
    forgotten_below,
    raised,
    settle,
)
from adapters.stores.journal_schema import JOURNAL
from adapters.stores.locks import FileLock
from adapters.stores.merged_rules import RELEASED, Merged, Rows
from protocol.ids import POLICY
from protocol.journal import POLICIES_KEPT, Fence, Record, Skipped, Taken, Unit, Unsettled, Verdict

Durability = Literal["full", "process"]

CACHE_KIB = 8 * 1024
"""Pages kept in memory. Appends touch the file's end; the rest serves the identities' index."""
READ_BYTES_MAX = 8 * 1024 * 1024
"""What one read gives, but for its last record: whoever asks for thousands of short units must not get thousands of
long ones, which would be gigabytes."""
RESTORED = "restored"


_identities = msgpack.Decoder(list[str]).decode


class SqliteJournal:
    """The journal's writer.

    `durability`: `full` syncs every commit before it is answered. `process` leaves that to the operating system: a
    killed server loses nothing, a machine that dies may lose the newest commits, so after any unclean end the journal
    takes a name from `new_generation` and all positions given out under the old one are void.

    A file named `restored` beside the journal says that it came from a backup, and lost what was committed since: it
    too begins a new generation, once, and the file goes.
    """

    def __init__(self, path: Path, *, durability: Durability = "full", new_generation: Callable[[], str]) -> None:
        self._path = path
        self._durability = durability
        self._new_generation = new_generation
        self._lock = FileLock(path)
        self._db: Connection | None = None
        self._file = _File()

    async def open(self) -> JournalState:
        """Locks, opens and migrates the file. Raises `StoreLocked`, `StoreTooNew`, `StoreTrimmed` or `StoreFailed`."""
        self._lock.acquire()
        try:
            self._db = await open_writer(self._path, synchronous="FULL", cache_kib=CACHE_KIB)
            await self._db.run(migrations.migrate, JOURNAL)
            restored = self._path.with_name(RESTORED)
            anew = restored.exists()
            state = await self._db.run(self._file.load, self._durability, self._new_generation, anew=anew)
            if anew:
                restored.unlink()
            return state
        except BaseException:
            await self._let_go()
            raise

    async def close(self) -> None:
        """Syncs, marks a clean end and gives the lock back. A store that failed is closed without the mark."""
        try:
            if self._db is not None and not self._db.failed:
                await self._db.run(self._file.finish)
        finally:
            await self._let_go()

    async def raise_fences(self, scopes: Sequence[str], over: Sequence[Fence] = (), void: str = "") -> list[Fence]:
        """Raises each scope's epoch, durably; earlier writers of them are stale from now on. Answers in order.

        Forgets, likewise, the fences that are `over` and those of scopes that begin with `void`.
        """
        return await self._opened().run(self._file.raise_fences, scopes, over, void)

    async def commit(self, units: Sequence[Unit]) -> list[Verdict]:
        """Settles the group by `journal_rules` in one transaction, synced before it returns (`full`).

        Raises `StoreFailed` where that failed: the group may or may not be there, and this object is done.
        """
        return await self._opened().run(self._file.commit, units)

    async def records(self, positions: Sequence[int]) -> list[Record]:
        """The units at these positions, in their order; those that were trimmed are left out."""
        return await self._opened().run(_records_at, positions)

    async def whose_after(self, position: int) -> list[tuple[str, int]]:
        """The customer and the count of events of each unit after the position, in order."""
        return await self._opened().run(_whose_after, position)

    async def policies(self) -> list[bytes]:
        """The bodies of the newest units of the customer `policy`, in order; they are kept whatever is trimmed."""
        return await self._opened().run(_policies)

    async def unsettled(self) -> list[Unsettled]:
        """What customers have to take in of merges, in the order in which it happened."""
        return await self._opened().run(_unsettled)

    async def trim(self, through: int) -> int:
        """Drops units at or below `through`, which the archive must have durably. Returns how many went."""
        return await self._opened().run(self._file.trim, through)

    async def erase(self, customer: str, redacted: Sequence[Record]) -> None:
        """Puts the units' new bodies in the place of the old ones, of which nothing is left in the file, and frees the
        customer's identities, all in one transaction."""
        await self._opened().run(self._file.erase, customer, redacted)

    async def first_position(self) -> int:
        """The oldest position that is still kept; the next one to come where nothing is."""
        return await self._opened().run(_first_position)

    def _opened(self) -> Connection:
        if self._db is None:
            raise StoreFailed(f"{self._path.name} is not open")
        return self._db

    async def _let_go(self) -> None:
        db, self._db = self._db, None
        try:
            if db is not None:
                await db.close()
        finally:
            self._lock.release()


class SqliteJournalReader:
    """A read-only view of the journal's file from any process: committed units, and whose an identity is."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db: Connection | None = None

    async def open(self) -> None:
        """Raises `StoreFailed` where the journal was never opened by its writer, or `StoreTooNew`."""
        self._db = await open_reader(self._path)
        try:
            await self._db.run(migrations.check, JOURNAL)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Gives the connection back."""
        db, self._db = self._db, None
        if db is not None:
            await db.close()

    async def generation(self) -> str:
        """Names the life of its positions."""
        return await self._opened().run(_generation)

    async def position(self) -> int:
        """The newest committed position; 0 where nothing is."""
        return await self._opened().run(_position)

    async def first_position(self) -> int:
        """The oldest position that is still kept; the next one to come where nothing is."""
        return await self._opened().run(connection.read, _first_position)

    async def position_before(self, at_ms: int) -> int:
        """The newest position up to which every unit was committed before `at_ms`; one below the oldest where none."""
        return await self._opened().run(connection.read, _position_before, at_ms)

    async def read(self, after: int, limit: int) -> list[Record]:
        """At most `limit` records after the position, ascending; fewer once their bodies have `READ_BYTES_MAX`."""
        return await self._opened().run(_read, after, limit)

    async def customers_of(self, identities: Sequence[str]) -> dict[str, str]:
        """The customers of those identities that have one."""
        return await self._opened().run(_customers_of, identities)

    def _opened(self) -> Connection:
        if self._db is None:
            raise StoreFailed(f"{self._path.name} is not open")
        return self._db


class _File:
    """The steps of the writer, and what they remember; all of it belongs to the connection's thread."""

    def __init__(self) -> None:
        self._position = 0
        self._fences: dict[str, Fence] = {}
        self._fence_floor = 0
        """The highest epoch of a fence that was forgotten."""
        self._unmade: dict[tuple[str, int], Unmade] = {}

    def load(
        self, db: sqlite3.Connection, durability: Durability, new_generation: Callable[[], str], *, anew: bool
    ) -> JournalState:
        meta = dict(db.execute("SELECT key, value FROM meta"))
        generation = meta.get("generation")
        check_trimmed(durability, int(meta.get("trimmed", 0)))
        # A trimmed journal keeps its name: the archive alone has what was trimmed, and follows it by that name.
        if generation is None or meta["unsynced"] or (anew and not int(meta.get("trimmed", 0))):
            generation = new_generation()
        # Written under synchronous=FULL: with the mark lost, a commit lost after it would go unnoticed.
        _write_meta(db, generation=generation, unsynced=int(durability == "process"))
        if durability == "process":
            db.execute("PRAGMA synchronous = NORMAL")
        self._position = _position(db)
        self._fences = {row[0]: Fence(*row) for row in db.execute("SELECT scope, epoch, batch FROM fence")}
        self._fence_floor = int(meta.get("fence_floor", 0))
        rows = db.execute("SELECT scope, batch, identity, customer FROM refusal")
        self._unmade = {
            (scope, batch): Skipped() if identity is None else Taken(identity, customer)
            for scope, batch, identity, customer in rows
        }
        return JournalState(generation, self._position)

    def finish(self, db: sqlite3.Connection) -> None:
        db.execute("PRAGMA synchronous = FULL")  # The mark's sync covers every commit before it in the WAL.
        _write_meta(db, unsynced=0)
        checkpoint(db)  # Whoever copies a stopped server's journal.sqlite alone has all of it.

    def raise_fences(
        self, db: sqlite3.Connection, scopes: Sequence[str], over: Sequence[Fence], void: str
    ) -> list[Fence]:
        fences = raised(scopes, self._fences, self._fence_floor)
        forgot = forgotten(self._fences, over=over, void=void, raising=scopes)
        floor = max(self._fence_floor, *(fence.epoch for fence in forgot), 0)
        gone = {fence.scope for fence in (*fences, *forgot)}
        with transaction(db):
            db.executemany("INSERT OR REPLACE INTO fence VALUES (?, ?, ?)", map(_fence_row, fences))
            db.executemany("DELETE FROM fence WHERE scope = ?", ((fence.scope,) for fence in forgot))
            db.executemany("DELETE FROM refusal WHERE scope = ?", ((scope,) for scope in gone))
            if floor > self._fence_floor:
                db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('fence_floor', ?)", (floor,))
        self._fence_floor = floor
        for fence in forgot:
            del self._fences[fence.scope]
        self._fences |= {fence.scope: fence for fence in fences}
        self._unmade = {place: verdict for place, verdict in self._unmade.items() if place[0] not in gone}
        return fences

    def commit(self, db: sqlite3.Connection, units: Sequence[Unit]) -> list[Verdict]:
        owners, free = _holders_of(db, units)
        group = settle(
            units,
            position=self._position,
            fences=self._fences,
            unmade=self._unmade,
            owners=owners,
            free=free,
            merged=_families_of(db, units),
        )
        if not group.batches:  # Stale units and resends only.
            return group.verdicts
        fences = {scope: Fence(scope, self._fences[scope].epoch, batch) for scope, batch in group.batches.items()}
        with transaction(db):
            _write(db, group, fences.values())
        self._position += len(group.committed)
        self._fences |= fences
        if group.unmade:
            self._remember(group)
        return group.verdicts

    def trim(self, db: sqlite3.Connection, through: int) -> int:
        through = min(through, self._position)
        with transaction(db):
            dropped = db.execute("DELETE FROM unit WHERE position <= ?", (through,)).rowcount
            if dropped:  # The newest unit may be among them: positions go on from here.
                db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('trimmed', ?)", (through,))
        return dropped

    def erase(self, db: sqlite3.Connection, customer: str, redacted: Sequence[Record]) -> None:
        bodies = [(record.body, record.position) for record in redacted]
        with overwriting(db):
            with transaction(db):
                db.executemany("UPDATE unit SET body = ? WHERE position = ?", bodies)
                db.execute("UPDATE unit SET identities = NULL WHERE customer = ?", (customer,))
                db.execute("DELETE FROM identity WHERE customer = ?", (customer,))
                # Nor what they had and was unlinked: its once-keys name them.
                db.execute("DELETE FROM identity WHERE customer = '' AND instr(once_keys, ?)", (customer.encode(),))
                # Whoever sends such a unit again is told of no identity it has, and decides again.
                db.execute("UPDATE refusal SET identity = '' WHERE customer = ?", (customer,))
            checkpoint(db)
        forgotten = Taken("", customer)
        self._unmade = {
            place: forgotten if isinstance(verdict, Taken) and verdict.customer == customer else verdict
            for place, verdict in self._unmade.items()
        }

    def _remember(self, group: Settlement) -> None:
        oldest = {scope: forgotten_below(group.batches[scope]) for scope, _ in group.unmade}
        kept = {place: v for place, v in self._unmade.items() if place[1] >= oldest.get(place[0], 0)}
        self._unmade = kept | group.unmade


def _write(db: sqlite3.Connection, group: Settlement, fences: Iterable[Fence]) -> None:
    db.executemany("INSERT INTO unit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", map(_unit_row, group.committed))
    db.executemany("UPDATE fence SET epoch = ?, batch = ? WHERE scope = ?", map(_fence_change, fences))
    if applied := [(position, unit.body) for position, unit in group.committed if unit.customer == POLICY]:
        db.executemany("INSERT INTO policy VALUES (?, ?)", applied)
        newest = "SELECT position FROM policy ORDER BY position DESC LIMIT ?"
        db.execute(f"DELETE FROM policy WHERE position NOT IN ({newest})", (POLICIES_KEPT,))  # noqa: S608 - our own words
    if group.owners or group.free:
        db.executemany(_HOLD_IDENTITY, _identity_rows(group))
    for customer, row in group.merged.items():
        if row is None:
            db.execute("DELETE FROM merged WHERE customer = ?", (customer,))
        else:
            values = (customer, row.into, row.turn, row.position, row.state)
            db.execute("INSERT OR REPLACE INTO merged VALUES (?, ?, ?, ?, ?)", values)
    if group.unmade:
        db.executemany("INSERT INTO refusal VALUES (?, ?, ?, ?)", _refusal_rows(group))
        scopes = {scope for scope, _ in group.unmade}
        old = [(scope, forgotten_below(group.batches[scope])) for scope in scopes]
        db.executemany("DELETE FROM refusal WHERE scope = ? AND batch < ?", old)


def _unit_row(placed: tuple[int, Unit]) -> tuple[Any, ...]:
    position, unit = placed
    identities = msgpack.encode(unit.identities) if unit.identities else None
    return (
        position,
        unit.scope,
        unit.epoch,
        unit.batch,
        unit.customer,
        unit.at_ms,
        identities,
        unit.entries,
        unit.body,
    )


def _fence_change(fence: Fence) -> tuple[int, int, str]:
    return fence.epoch, fence.batch, fence.scope


def _fence_row(fence: Fence) -> tuple[str, int, int]:
    return fence.scope, fence.epoch, fence.batch


_HOLD_IDENTITY = """
    INSERT INTO identity (identity, customer, position, once_keys) VALUES (?, ?, ?, ?)
    ON CONFLICT (identity) DO UPDATE SET
        customer = excluded.customer, position = excluded.position, once_keys = excluded.once_keys"""


def _identity_rows(group: Settlement) -> Iterable[tuple[str, str, int, bytes | None]]:
    """In order, so that the last word on an identity is the last row."""
    for position, unit in group.committed:
        for identity in dict.fromkeys(unit.identities):
            yield identity, unit.customer, position, None
        for identity, keys in unit.released:
            yield identity, "", position, keys


def _refusal_rows(group: Settlement) -> Iterable[tuple[str, int, str | None, str | None]]:
    for (scope, batch), verdict in group.unmade.items():
        match verdict:
            case Taken():
                yield scope, batch, verdict.identity, verdict.customer
            case Skipped():
                yield scope, batch, None, None


def _write_meta(db: sqlite3.Connection, **values: str | int) -> None:
    with transaction(db):
        db.executemany("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", values.items())


def _policies(db: sqlite3.Connection) -> list[bytes]:
    return [body for (body,) in db.execute("SELECT body FROM policy ORDER BY position")]


def _generation(db: sqlite3.Connection) -> str:
    generation: str = db.execute("SELECT value FROM meta WHERE key = 'generation'").fetchone()[0]
    return generation


def _position(db: sqlite3.Connection) -> int:
    newest: int | None = db.execute("SELECT max(position) FROM unit").fetchone()[0]
    if newest is not None:
        return newest
    trimmed = db.execute("SELECT value FROM meta WHERE key = 'trimmed'").fetchone()
    return int(trimmed[0]) if trimmed else 0


def _first_position(db: sqlite3.Connection) -> int:
    first: int | None = db.execute("SELECT min(position) FROM unit").fetchone()[0]
    return _position(db) + 1 if first is None else first


def _position_before(db: sqlite3.Connection, at_ms: int) -> int:
    # From the oldest on, so that it reads what is to go and one more; bodies lie behind `at_ms` and are not read.
    young = db.execute("SELECT position FROM unit WHERE at_ms >= ? ORDER BY position LIMIT 1", (at_ms,)).fetchone()
    return _position(db) if young is None else int(young[0]) - 1


def _read(db: sqlite3.Connection, after: int, limit: int) -> list[Record]:
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


def _whose_after(db: sqlite3.Connection, position: int) -> list[tuple[str, int]]:
    sql = "SELECT customer, entries FROM unit WHERE position > ? ORDER BY position"
    return db.execute(sql, (position,)).fetchall()


def _records_at(db: sqlite3.Connection, positions: Sequence[int]) -> list[Record]:
    sql = "SELECT position, customer, at_ms, identities, entries, body FROM unit WHERE position = ?"
    rows = (db.execute(sql, (position,)).fetchone() for position in positions)
    return [_record(row) for row in rows if row is not None]


def _record(row: tuple[int, str, int, bytes | None, int, bytes]) -> Record:
    position, customer, at_ms, packed, entries, body = row
    return Record(position, customer, at_ms, _identities(packed) if packed else [], entries, body)


def _customers_of(db: sqlite3.Connection, identities: Sequence[str]) -> dict[str, str]:
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


def _families_of(db: sqlite3.Connection, units: Sequence[Unit]) -> Rows:
    """The rows of all families that the units' steps are about."""
    rows: dict[str, Merged] = {}
    for customer in {name for unit in units for step in unit.family for name in (step.customer, step.other)}:
        found = db.execute(_FAMILY, (_root_of(db, customer),)).fetchall()
        rows |= {member: Merged(*row) for member, *row in found}
    return rows


_FAMILY = """
    WITH RECURSIVE family(customer) AS (
        VALUES (?1) UNION SELECT merged.customer FROM merged JOIN family ON merged.into_customer = family.customer)
    SELECT customer, into_customer, turn, position, state FROM merged WHERE customer IN family"""


def _unsettled(db: sqlite3.Connection) -> list[Unsettled]:
    sql = "SELECT customer, into_customer, turn, position, state FROM merged WHERE state <> ?"
    rows = db.execute(sql, (merged_rules.ADOPTED,))
    return merged_rules.unsettled({customer: Merged(*row) for customer, *row in rows})


def _holders_of(db: sqlite3.Connection, units: Sequence[Unit]) -> tuple[dict[str, str], dict[str, Free]]:
    """The customers of the identities that the units name, and those that have none any more."""
    owners: dict[str, str] = {}
    free: dict[str, Free] = {}
    for unit in units:
        for identity in (*unit.identities, *(identity for identity, _ in unit.released)):
            row = db.execute(_HOLDER, (identity,)).fetchone()
            if row is None:
                continue
            customer, position, keys = row
            if customer:
                owners[identity] = _root_of(db, customer)
            else:
                free[identity] = (position, keys)
    return owners, free


_HOLDER = "SELECT customer, position, once_keys FROM identity WHERE identity = ?"
