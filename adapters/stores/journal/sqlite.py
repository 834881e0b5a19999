"""The journal on SQLite: one file, one writing process, every commit one transaction.

SqliteJournal ── steps, one at a time ──▶ JournalFile, on the connection's thread
SqliteJournalReader                       anyone else's view of the same file
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from adapters.stores import migrations
from adapters.stores.connection import Connection, open_writer
from adapters.stores.errors import StoreFailed
from adapters.stores.journal import reads
from adapters.stores.journal.file import Durability, JournalFile
from adapters.stores.journal.rules import JournalState
from adapters.stores.journal.schema import JOURNAL
from adapters.stores.locks import FileLock
from protocol.journal import Fence, Freed, Record, Unit, Unsettled, Verdict

CACHE_KIB = 8 * 1024
"""Pages kept in memory. Appends touch the file's end; the rest serves the identities' index."""
RESTORED = "restored"


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
        self._file = JournalFile()

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
        """Settles the group by `rules` in one transaction, synced before it returns (`full`).

        Raises `StoreFailed` where that failed: the group may or may not be there, and this object is done.
        """
        return await self._opened().run(self._file.commit, units)

    async def records(self, positions: Sequence[int]) -> list[Record]:
        """The units at these positions, in their order; those that were trimmed are left out."""
        return await self._opened().run(reads.records_at, positions)

    async def whose_after(self, position: int) -> list[tuple[str, int]]:
        """The customer and the count of events of each unit after the position, in order."""
        return await self._opened().run(reads.whose_after, position)

    async def policies(self) -> list[bytes]:
        """The bodies of the newest units of the customer `policy`, in order; they are kept whatever is trimmed."""
        return await self._opened().run(reads.policies)

    async def unsettled(self) -> list[Unsettled]:
        """What customers have to take in of merges, in the order in which it happened."""
        return await self._opened().run(reads.unsettled)

    async def trim(self, through: int) -> int:
        """Drops units at or below `through`, which the archive must have durably. Returns how many went."""
        return await self._opened().run(self._file.trim, through)

    async def erase(self, customer: str, redacted: Sequence[Record], freed: Freed | None = None) -> None:
        """Puts the units' new bodies in the place of the old ones, of which nothing is left in the file, and frees the
        customer's identities, all in one transaction; marks of these stay, with what is said to be `freed`."""
        await self._opened().run(self._file.erase, customer, redacted, freed)

    async def first_position(self) -> int:
        """The oldest position that is still kept; the next one to come where nothing is."""
        return await self._opened().run(reads.first_position)

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
