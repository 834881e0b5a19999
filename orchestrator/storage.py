"""Which stores a server stands on.

Writers are opened by their actors, which hold them alone. Readers are opened together, once their writers have been:
there is nothing to read before.
"""

import uuid
from pathlib import Path
from typing import Protocol

from actors.archive.archive_store import ArchiveStore
from actors.journal.journal_store import JournalStore
from adapters.stores.archive.memory import MemoryArchive
from adapters.stores.archive.sides import ArchiveReads
from adapters.stores.archive.sqlite import SqliteArchive, SqliteArchiveReader
from adapters.stores.folder import ARCHIVE_FILE, JOURNAL_FILE
from adapters.stores.journal.memory import MemoryJournal, MemoryJournalReader
from adapters.stores.journal.sqlite import SqliteJournal
from adapters.stores.journal.sqlite_reader import SqliteJournalReader
from adapters.stores.read_pool import ALONE, Sharing
from orchestrator.settings import Settings

JournalReads = SqliteJournalReader | MemoryJournalReader
"""Positions, records, and whose an identity is."""


class Storage(Protocol):
    """The stores of one server, as one of its processes reaches them."""

    def journal(self) -> JournalStore:
        """The journal's writer, not opened."""
        ...

    def archive(self) -> ArchiveStore:
        """The archive's writer, not opened."""
        ...

    def journal_reader(self, sharing: Sharing = ALONE) -> JournalReads:
        """A reader of the journal, of use from `open_readers` on; for whoever shares it as `sharing` says."""
        ...

    def archive_reader(self, sharing: Sharing = ALONE) -> ArchiveReads:
        """A reader of the archive, likewise."""
        ...

    async def open_readers(self) -> None:
        """Opens the readers that were given out. The writers of their files have been opened before."""
        ...

    async def close_readers(self) -> None:
        """Closes them."""
        ...


class SqliteStorage:
    """Two files in the data folder."""

    def __init__(self, settings: Settings) -> None:
        data = Path(settings.data)
        self._journal = data / JOURNAL_FILE
        self._archive = data / ARCHIVE_FILE
        self._durability = settings.durability
        self._readers: list[SqliteJournalReader | SqliteArchiveReader] = []

    def journal(self) -> JournalStore:
        """See `Storage`."""
        return SqliteJournal(self._journal, durability=self._durability, new_generation=new_generation)

    def archive(self) -> ArchiveStore:
        """See `Storage`."""
        return SqliteArchive(self._archive)

    def journal_reader(self, sharing: Sharing = ALONE) -> SqliteJournalReader:
        """See `Storage`."""
        reader = SqliteJournalReader(self._journal, sharing)
        self._readers.append(reader)
        return reader

    def archive_reader(self, sharing: Sharing = ALONE) -> SqliteArchiveReader:
        """See `Storage`."""
        reader = SqliteArchiveReader(self._archive, sharing)
        self._readers.append(reader)
        return reader

    async def open_readers(self) -> None:
        """See `Storage`."""
        for reader in self._readers:
            await reader.open()

    async def close_readers(self) -> None:
        """See `Storage`."""
        for reader in self._readers:
            await reader.close()


class MemoryStorage:
    """Stores that live as long as this object; for servers in one process. Each store is its own reader."""

    def __init__(self) -> None:
        self.journal_store = MemoryJournal(new_generation=new_generation)
        self.archive_store = MemoryArchive()

    def journal(self) -> JournalStore:
        """See `Storage`."""
        return self.journal_store

    def archive(self) -> ArchiveStore:
        """See `Storage`."""
        return self.archive_store

    def journal_reader(self, sharing: Sharing = ALONE) -> MemoryJournal:
        """See `Storage`. What is in memory is read at once."""
        return self.journal_store

    def archive_reader(self, sharing: Sharing = ALONE) -> MemoryArchive:
        """See `Storage`. What is in memory is read at once."""
        return self.archive_store

    async def open_readers(self) -> None:
        """The writers are the readers."""

    async def close_readers(self) -> None:
        """Nothing was opened."""


def new_generation() -> str:
    """A name for a life of the journal that no other life has."""
    return uuid.uuid4().hex
