"""The journal's file as its one writer changes it: steps of the connection, and what they remember between two.

The fences and the remembered refusals are kept in memory too, since no other process writes them; their rows change in
the transaction of the units they judge.
"""

import secrets
import sqlite3
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Literal

from msgspec import msgpack

from adapters.stores.connection import checkpoint, transaction
from adapters.stores.journal import forgotten as forgetting
from adapters.stores.journal import reads
from adapters.stores.journal.rules import (
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
from protocol.ids import POLICY
from protocol.journal import CLAIM, POLICIES_KEPT, Fence, Freed, Record, Skipped, Taken, Unit, Verdict

Durability = Literal["full", "process"]


class JournalFile:
    """Its methods are steps; all that it remembers belongs to the connection's thread."""

    def __init__(self) -> None:
        self._position = 0
        self._fences: dict[str, Fence] = {}
        self._fence_floor = 0
        """The highest epoch of a fence that was forgotten."""
        self._unmade: dict[tuple[str, int], Unmade] = {}
        self._secret = b""
        self._marked_until_ms: int | None = None
        """When the first mark of an address that was freed goes; None: there is none, and nobody looks for one."""

    def load(
        self, db: sqlite3.Connection, durability: Durability, new_generation: Callable[[], str], *, anew: bool
    ) -> JournalState:
        """Takes in what the file remembers, and marks it as in use. Raises `StoreTrimmed`."""
        meta = dict(db.execute("SELECT key, value FROM meta"))
        generation = meta.get("generation")
        check_trimmed(durability, int(meta.get("trimmed", 0)))
        self._position = reads.position(db)
        begun: dict[str, str | int] = {}
        if generation is None:
            generation = new_generation()
        elif meta["unsynced"] or anew:
            begun = {"former": generation, "former_through": self._position}
            generation = new_generation()
        # Written under synchronous=FULL: with the mark lost, a commit lost after it would go unnoticed.
        _write_meta(db, generation=generation, unsynced=int(durability == "process"), **begun)
        if durability == "process":
            db.execute("PRAGMA synchronous = NORMAL")
        self._fences = {row[0]: Fence(*row) for row in db.execute("SELECT scope, epoch, batch FROM fence")}
        self._fence_floor = int(meta.get("fence_floor", 0))
        rows = db.execute("SELECT scope, batch, identity, customer FROM refusal")
        self._unmade = {
            (scope, batch): Skipped() if identity is None else Taken(identity, customer)
            for scope, batch, identity, customer in rows
        }
        self._secret = meta.get("address_secret", b"")
        self._marked_until_ms = _first_until(db)
        return JournalState(generation, self._position)

    def finish(self, db: sqlite3.Connection) -> None:
        """Syncs, and marks a clean end."""
        db.execute("PRAGMA synchronous = FULL")  # The mark's sync covers every commit before it in the WAL.
        _write_meta(db, unsynced=0)
        checkpoint(db)  # Whoever copies a stopped server's journal.sqlite alone has all of it.

    def raise_fences(
        self, db: sqlite3.Connection, scopes: Sequence[str], over: Sequence[Fence], void: str
    ) -> list[Fence]:
        """Raises these scopes' epochs, and forgets the fences that are over or void, in one transaction."""
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
        """Settles the units by `rules`, and writes what stands, in one transaction."""
        owners, free = reads.holders_of(db, units)
        if self._marked_until_ms is not None:
            free |= self._freed(db, units, known=owners.keys() | free.keys())
        group = settle(
            units,
            position=self._position,
            fences=self._fences,
            unmade=self._unmade,
            owners=owners,
            free=free,
            merged=reads.families_of(db, units),
        )
        if not group.batches:  # Stale units and resends only.
            return group.verdicts
        fences = {scope: Fence(scope, self._fences[scope].epoch, batch) for scope, batch in group.batches.items()}
        with transaction(db):
            _write(db, group, fences.values())
            if self._marked_until_ms is not None:
                # Their once-keys are journaled with the links.
                got = forgetting.assigned(unit for _, unit in group.committed)
                marks = [(forgetting.mark(identity, self._secret),) for identity in got]
                db.executemany("DELETE FROM forgotten WHERE mark = ?", marks)
        self._position += len(group.committed)
        self._fences |= fences
        if group.unmade:
            self._remember(group)
        return group.verdicts

    def trim(self, db: sqlite3.Connection, through: int) -> int:
        """Drops units at or below the position, in one transaction; returns how many."""
        through = min(through, self._position)
        with transaction(db):
            dropped = db.execute("DELETE FROM unit WHERE position <= ?", (through,)).rowcount
            # What was claimed so long ago nobody sends any more.
            db.execute(_DROP_CLAIMS, (CLAIM, CLAIM + "\U0010ffff", through))
            if dropped:  # The newest unit may be among them: positions go on from here.
                db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('trimmed', ?)", (through,))
        return dropped

    def erase(
        self, db: sqlite3.Connection, customer: str, redacted: Sequence[Record], freed: Freed | None = None
    ) -> None:
        """Puts the new bodies in the place of the old, of which nothing is left in the file, and marks of the addresses
        that are free from now on."""
        units = [
            (record.body, msgpack.encode(record.identities) if record.identities else None, record.position)
            for record in redacted
        ]
        with transaction(db):
            db.executemany("UPDATE unit SET body = ?, identities = ? WHERE position = ?", units)
            db.execute("UPDATE unit SET identities = NULL WHERE customer = ?", (customer,))
            if freed is not None:
                self._mark(db, customer, freed)
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

    def _mark(self, db: sqlite3.Connection, customer: str, freed: Freed) -> None:
        """Keeps the marks of what is about to be freed; what an erasure that was interrupted has marked stays so."""
        if not self._secret:
            self._secret = secrets.token_bytes(forgetting.SECRET_BYTES)
            db.execute("INSERT INTO meta (key, value) VALUES ('address_secret', ?)", (self._secret,))
        owned = [identity for (identity,) in db.execute(_OWNED, (customer,))]
        owned += [each for each in freed.identities if db.execute(reads.HOLDER, (each,)).fetchone() is None]
        unlinked = dict(db.execute(_UNLINKED, (customer.encode(),)).fetchall())
        rows = [
            (forgetting.mark(identity, self._secret), self._position, freed.until_ms, keys)
            for identity, keys in forgetting.left_of(customer, freed, owned, unlinked).items()
        ]
        db.executemany("INSERT OR IGNORE INTO forgotten VALUES (?, ?, ?, ?)", rows)
        self._marked_until_ms = _first_until(db)

    def _freed(self, db: sqlite3.Connection, units: Sequence[Unit], *, known: Collection[str]) -> dict[str, Free]:
        """Of the identities that the units assign: those that an erasure freed, and nobody had since."""
        now_ms = max(unit.at_ms for unit in units)
        if self._marked_until_ms is not None and self._marked_until_ms <= now_ms:
            with transaction(db):
                db.execute("DELETE FROM forgotten WHERE until_ms <= ?", (now_ms,))
            self._marked_until_ms = _first_until(db)
        rows = {
            identity: db.execute(_MARKED, (forgetting.mark(identity, self._secret),)).fetchone()
            for identity in forgetting.assigned(units).difference(known)
        }
        return {identity: (row[0], row[1]) for identity, row in rows.items() if row is not None}

    def _remember(self, group: Settlement) -> None:
        oldest = {scope: forgotten_below(group.batches[scope]) for scope, _ in group.unmade}
        kept = {place: v for place, v in self._unmade.items() if place[1] >= oldest.get(place[0], 0)}
        self._unmade = kept | group.unmade


_DROP_CLAIMS = "DELETE FROM identity WHERE identity > ? AND identity < ? AND position <= ?"
_OWNED = "SELECT identity FROM identity WHERE customer = ?"
_UNLINKED = "SELECT identity, once_keys FROM identity WHERE customer = '' AND instr(once_keys, ?)"
_MARKED = "SELECT position, once_keys FROM forgotten WHERE mark = ?"


def _first_until(db: sqlite3.Connection) -> int | None:
    until_ms: int | None = db.execute("SELECT min(until_ms) FROM forgotten").fetchone()[0]
    return until_ms


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
