"""The archive in memory: the same SQL as on disk, without a thread and without a file, for tests and simulations."""

import sqlite3
import weakref
from collections.abc import Callable
from functools import cache
from typing import Any, Concatenate, ParamSpec, TypeVar

from adapters.stores import migrations
from adapters.stores.archive import rows as archive_rows
from adapters.stores.archive.schema import ARCHIVE
from adapters.stores.archive.sides import ArchiveReads, ArchiveWrites
from adapters.stores.errors import StoreFailed, StoreLocked
from protocol.archive import Changes

P = ParamSpec("P")
R = TypeVar("R")


class MemoryArchive(ArchiveWrites, ArchiveReads):
    """The archive's writer and its reader in one, on an SQLite database in memory that runs inline.

    `crash()` brings back what the last `sync()` kept: nothing without one.
    """

    def __init__(self) -> None:
        self._kept = b""
        self._db: _Inline | None = None

    async def open(self) -> int:
        """Returns the position."""
        if self._db is not None:
            raise StoreLocked("the archive is open already", pid=0)
        # Who collects it may be any thread; until then it is one thread's.
        db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        # What is in memory goes with whoever has it; from 3.13 on Python warns of a database that nobody closed.
        weakref.finalize(self, db.close)
        db.deserialize(self._kept or _empty())
        self._db = _Inline(db)
        return archive_rows.position(db)

    async def rows(self, table: str) -> list[tuple[Any, ...]]:
        """Every row of a table, whole, in the order of its key (its first columns): for whoever compares two
        archives."""
        sql = f"SELECT * FROM {table} ORDER BY 1, 2"  # noqa: S608 - a table's name is no one's input
        return self._opened().db.execute(sql).fetchall()

    async def sync(self) -> int:
        """What was applied survives a crash from here on."""
        db = self._opened().db
        self._kept = db.serialize()
        return archive_rows.position(db)

    async def erase(self, customer: str, changes: Changes) -> None:
        """As on disk, where it ends with a checkpoint: who is forgotten does not come back by a crash."""
        await super().erase(customer, changes)
        await self.sync()

    async def copy(self) -> "MemoryArchive":
        """Another one, open, that holds the same."""
        other = MemoryArchive()
        other._kept = self._opened().db.serialize()
        await other.open()
        return other

    def crash(self) -> None:
        """The machine dies; open it again."""
        self._opened().db.close()
        self._db = None

    async def close(self) -> None:
        """Syncs and closes; nothing where it is not open."""
        if self._db is not None:
            await self.sync()
            self.crash()

    def _opened(self) -> "_Inline":
        if self._db is None:
            raise StoreFailed("the archive is not open")
        return self._db


@cache
def _empty() -> bytes:
    """A database with the newest tables and no rows. Making them takes 20 ms, and a run of tests opens thousands."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    try:
        migrations.migrate(db, ARCHIVE)
        return db.serialize()
    finally:
        db.close()


class _Inline:
    """Runs steps at once, in the caller's turn."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db

    async def run(self, step: Callable[Concatenate[sqlite3.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return step(self.db, *args, **kwargs)
        except sqlite3.Error as exc:
            raise StoreFailed(f"archive in memory: {exc}") from exc
