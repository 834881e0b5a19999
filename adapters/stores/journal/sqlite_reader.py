"""The journal's file as other processes see it: committed units, and whose an identity is."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from adapters.stores import connection, migrations
from adapters.stores.errors import StoreFailed
from adapters.stores.journal import reads
from adapters.stores.journal.schema import JOURNAL
from adapters.stores.read_pool import ALONE, ReadPool, Sharing
from protocol.journal import Record


class SqliteJournalReader:
    """A read-only view of the journal's file from any process: committed units, and whose an identity is."""

    def __init__(self, path: Path, sharing: Sharing = ALONE) -> None:
        self._path = path
        self._sharing = sharing
        self._db: ReadPool | None = None

    async def open(self) -> None:
        """Raises `StoreFailed` where the journal was never opened by its writer, or `StoreTooNew`."""
        pool = ReadPool(self._path, partial(migrations.check, schema=JOURNAL), self._sharing)
        await pool.open()
        self._db = pool

    async def close(self) -> None:
        """Gives the connections back."""
        db, self._db = self._db, None
        if db is not None:
            await db.close()

    async def generation(self) -> str:
        """Names the life of its positions."""
        return await self._opened().run(reads.generation)

    async def shared_with(self, generation: str) -> int | None:
        """Up to which position it is what it was in that life; None of another one than this or the one before."""
        return await self._opened().run(connection.read, reads.shared_with, generation)

    async def position(self) -> int:
        """The newest committed position; 0 where nothing is."""
        return await self._opened().run(reads.position)

    async def first_position(self) -> int:
        """The oldest position that is still kept; the next one to come where nothing is."""
        return await self._opened().run(connection.read, reads.first_position)

    async def position_before(self, at_ms: int) -> int:
        """The newest position up to which every unit was committed before `at_ms`; one below the oldest where none."""
        return await self._opened().run(connection.read, reads.position_before, at_ms)

    async def read(self, after: int, limit: int) -> list[Record]:
        """At most `limit` records after the position, ascending; fewer once their bodies have `READ_BYTES_MAX`."""
        return await self._opened().run(reads.read, after, limit)

    async def customers_of(self, identities: Sequence[str]) -> dict[str, str]:
        """The customers of those identities that have one."""
        return await self._opened().run(reads.customers_of, identities)

    def _opened(self) -> ReadPool:
        if self._db is None:
            raise StoreFailed(f"{self._path.name} is not open")
        return self._db
