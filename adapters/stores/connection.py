"""SQLite connections as the stores use them: opened in one way, and run a whole step at a time.

A *step* is a plain function of the `sqlite3.Connection`: a transaction, or a read. It runs on aiosqlite's thread from
its beginning to its end, so a commit costs one change of threads (60-70 µs measured) instead of one for each statement.
What a step keeps in memory is touched by that thread alone.
"""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast
from weakref import WeakSet

import aiosqlite

from adapters.stores.errors import ReadCutOff, StoreFailed, store_failed
from adapters.synced import sync_folder

P = ParamSpec("P")
R = TypeVar("R")

BUSY_S = 5.0
"""How long a statement waits for a lock. Ours never meet; this is for a person's `sqlite3` shell on the same file."""
CHECKPOINT_PAGES = 4_000
"""Pages of 4 KiB after which a commit copies the WAL into the file: 16 MiB. SQLite's default of 1,000 checkpoints
four times as often and syncs twice each time; a larger one makes the stall of the commit that pays for it longer."""
WAL_BYTES_MAX = 64 * 1024 * 1024
"""What the WAL's file is cut back to after a checkpoint. A reader that holds a snapshot keeps the WAL from starting
over, so it can grow past `CHECKPOINT_PAGES`; reads here are single short steps."""


class Runs(Protocol):
    """What a store needs of a connection."""

    async def run(self, step: Callable[Concatenate[sqlite3.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs the whole step; raises `StoreFailed` for SQLite's errors."""
        ...


class Reader(sqlite3.Connection):
    """A database that is read only. A step on it can be cut off from outside: within a statement, or at its next one.

    SQLite interrupts whatever runs until nothing does, and a cursor that has rows left runs: so what was cut off has to
    be rolled back, which closes them.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.is_over = False
        """Whether the step under way has no more time."""
        self._cursors: WeakSet[sqlite3.Cursor] = WeakSet()

    def cut_off(self) -> None:
        """Ends the step under way. Of any thread."""
        self.is_over = True
        self.interrupt()

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Raises `ReadCutOff` where the step is over."""
        if self.is_over:
            raise ReadCutOff("the read was cut off")
        cursor = super().execute(sql, parameters)
        self._cursors.add(cursor)
        return cursor

    def rollback(self) -> None:
        """Ends the transaction, if there is one, and what has rows left."""
        for cursor in [*self._cursors]:
            cursor.close()
        super().rollback()


class Connection(aiosqlite.Connection):
    """aiosqlite's connection with `run`. aiosqlite offers one call for each statement; its queue takes any function,
    which `_execute` (for subclasses, by its underscore) hands over."""

    def __init__(self, path: Path, connector: Callable[[], sqlite3.Connection], *, writes: bool) -> None:
        super().__init__(connector, iter_chunk_size=64)
        self._name = path.name
        self._writes = writes
        self._failed: BaseException | None = None

    async def connect(self) -> None:
        """Opens it. Raises what the connector raises, with the thread ended."""
        try:
            await self
        except BaseException:
            # aiosqlite has told its thread to end but not waited: it would answer on a loop that may be gone by then.
            await asyncio.to_thread(self._thread.join)
            raise

    @property
    def reader(self) -> Reader:
        """The database of one that was opened to read."""
        assert isinstance(self._conn, Reader), "a writer is not cut off"
        return self._conn

    @property
    def failed(self) -> bool:
        """Whether a writer ever failed: what its last step left in the file shows when it is opened anew."""
        return self._failed is not None

    async def run(self, step: Callable[Concatenate[sqlite3.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs `step` on the connection's thread, all of it even where the caller is cancelled.

        Raises `StoreFailed` for SQLite's errors; a writer does so for everything from then on.
        """
        if self._failed is not None:
            raise StoreFailed(f"{self._name} failed before; open it anew") from self._failed
        try:
            # Its own way in, which aiosqlite gives no types.
            return cast(R, await self._execute(step, self._conn, *args, **kwargs))  # type: ignore[no-untyped-call]
        except sqlite3.Error as exc:
            if self._writes:
                self._failed = exc
            elif self.reader.is_over:
                raise ReadCutOff(f"{self._name}: the read was cut off") from exc
            raise store_failed(self._name, exc) from exc


async def open_writer(path: Path, *, synchronous: str, cache_kib: int) -> Connection:
    """Opens `path` for its one writer, in WAL mode; makes it, readable by its owner only, where it is not there.

    `synchronous` is SQLite's `FULL` (every commit synced) or `NORMAL` (synced by checkpoints). The caller holds the
    file's lock. Raises `StoreFailed`.
    """
    connection = Connection(path, lambda: _connect_writer(path), writes=True)
    return await _opened(connection, path, lambda db: _prepare(db, synchronous=synchronous, cache_kib=cache_kib))


def look_at(path: Path, step: Callable[[sqlite3.Connection], R]) -> R:
    """Runs `step` on a file that nobody has open, and leaves the folder as it was. Raises `StoreFailed`."""
    # A reader of a WAL file makes `-wal` and `-shm` beside it; without a WAL there is nothing in them to miss.
    wal = path.with_name(f"{path.name}-wal")
    mode = "mode=ro" if wal.exists() and wal.stat().st_size else "mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, timeout=BUSY_S)) as db:
            return step(db)
    except sqlite3.Error as exc:
        raise StoreFailed(f"{path.name} cannot be read: {exc}") from exc


async def open_reader(path: Path, check: Callable[[sqlite3.Connection], None]) -> Connection:
    """Opens `path` to read only. Raises `StoreFailed` where it is not there, and what `check` of it raises."""

    def first(db: sqlite3.Connection) -> None:
        _probe(db)
        check(db)

    return await _opened(Connection(path, lambda: _connect_reader(path), writes=False), path, first)


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All or nothing: commits at the end, rolls back on any error."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        # SQLite has rolled back by itself after some errors (a full disk among them).
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def checkpoint(db: sqlite3.Connection) -> None:
    """Copies the WAL into the file and empties it, so that the file alone is whole: for a writer's end. Readers in
    other processes keep the two files beside it; where one is in the midst of a read, they keep their content too."""
    # Nobody waits for a reader here: what stays in the WAL is as durable there.
    db.execute("PRAGMA busy_timeout = 0")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    db.execute(f"PRAGMA busy_timeout = {int(BUSY_S * 1000)}")


def read(
    db: sqlite3.Connection, step: Callable[Concatenate[sqlite3.Connection, P], R], *args: P.args, **kwargs: P.kwargs
) -> R:
    """A step whose statements all see one state of the file, however much is committed meanwhile."""
    db.execute("BEGIN")
    try:
        return step(db, *args, **kwargs)
    finally:
        # Not as a statement of the step's: one that was cut off has none any more.
        db.rollback()


def row_as_dict(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> dict[str, Any]:
    """A row by its columns' names."""
    return {column[0]: value for column, value in zip(cursor.description, row, strict=True)}


def marks(values: Sequence[object]) -> str:
    """The places of so many values in a statement."""
    return ", ".join("?" * len(values))


async def _opened(connection: Connection, path: Path, first: Callable[[sqlite3.Connection], None]) -> Connection:
    try:
        await connection.connect()
    except sqlite3.Error as exc:
        raise store_failed(path.name, exc) from exc
    try:
        await connection.run(first)
    except BaseException:
        # Also where the caller is cancelled: nobody else has it yet.
        await connection.close()
        raise
    return connection


def _connect_writer(path: Path) -> sqlite3.Connection:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        # The file's name is part of its durability: a synced file in an unsynced folder can vanish.
        sync_folder(path.parent)
    except OSError as exc:
        raise StoreFailed(f"{path} cannot be opened or made: {exc.strerror}") from exc
    return sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)


def _connect_reader(path: Path) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode=ro"
    return sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None, factory=Reader)


def _prepare(db: sqlite3.Connection, *, synchronous: str, cache_kib: int) -> None:
    db.execute("PRAGMA journal_mode = WAL")
    db.execute(f"PRAGMA synchronous = {synchronous}")
    # macOS: fsync alone leaves the data in the drive's cache. These do nothing elsewhere.
    db.execute("PRAGMA fullfsync = ON")
    db.execute("PRAGMA checkpoint_fullfsync = ON")
    # What is deleted or replaced is overwritten in the file, and not only given free: who is forgotten, and what
    # retention drops, is gone. Debian's SQLite does so by itself, and others do not.
    db.execute("PRAGMA secure_delete = ON").fetchone()
    db.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    db.execute(f"PRAGMA journal_size_limit = {WAL_BYTES_MAX}")
    db.execute(f"PRAGMA cache_size = -{cache_kib}")


def _probe(db: sqlite3.Connection) -> None:
    # The first read is what finds a file that is not SQLite's, or one that was never finished.
    db.execute("PRAGMA schema_version").fetchone()
