"""The archive on SQLite: one file, one writing process, any number of readers.

What is asked of it is in `sides.py`; here its file is opened. The archive is not synced at each commit: after a
power failure it is as it was at its last checkpoint, position and all, and follows the journal from there.
"""

from functools import partial
from pathlib import Path

from adapters.stores import migrations
from adapters.stores.archive import rows
from adapters.stores.archive.schema import ARCHIVE
from adapters.stores.archive.sides import ArchiveReads, ArchiveWrites
from adapters.stores.connection import Connection, checkpoint, open_writer
from adapters.stores.locks import FileLock
from adapters.stores.read_pool import ALONE, ReadPool, Sharing

CACHE_KIB = 32 * 1024
"""Pages the writer keeps in memory: rows of active conversations change again and again. SQLite's default is 2 MiB."""


class SqliteArchive(ArchiveWrites):
    """The archive's writer."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = FileLock(path)
        self._db: Connection | None = None

    async def open(self) -> int:
        """Locks, opens and migrates the file; returns its position.

        Raises `StoreLocked`, `StoreTooNew` or `StoreFailed`.
        """
        self._lock.acquire()
        try:
            self._db = await open_writer(self._path, synchronous="NORMAL", cache_kib=CACHE_KIB)
            await self._db.run(migrations.migrate, ARCHIVE)
            return await self._db.run(rows.position)
        except BaseException:
            await self._let_go()
            raise

    async def sync(self) -> int:
        """Makes what was applied durable, and returns its position. Before the journal is trimmed: what it drops must
        survive a power failure here."""
        return await self._writer().run(rows.sync)

    async def close(self) -> None:
        """Closes the file, whole and synced, and gives the lock back."""
        try:
            if self._db is not None and not self._db.failed:
                await self._db.run(checkpoint)
        finally:
            await self._let_go()

    async def _let_go(self) -> None:
        db, self._db = self._db, None
        try:
            if db is not None:
                await db.close()
        finally:
            self._lock.release()


class SqliteArchiveReader(ArchiveReads):
    """A read-only view of the archive's file, from any process. Whoever shares it may have their reads cut off
    (`read_pool.py`)."""

    def __init__(self, path: Path, sharing: Sharing = ALONE) -> None:
        self._path = path
        self._sharing = sharing
        self._db: ReadPool | None = None

    async def open(self) -> None:
        """Raises `StoreFailed` where the archive was never opened by its writer, or `StoreTooNew`."""
        pool = ReadPool(self._path, partial(migrations.check, schema=ARCHIVE), self._sharing)
        await pool.open()
        self._db = pool

    async def close(self) -> None:
        """Gives the connections back."""
        db, self._db = self._db, None
        if db is not None:
            await db.close()
