"""The journals under test: one harness each for SQLite and memory, so that one suite runs on both."""

import itertools
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

from adapters.stores.journal.memory import MemoryJournal
from adapters.stores.journal.memory_disk import MemoryDisk
from adapters.stores.journal.rules import JournalState
from adapters.stores.journal.sqlite import SqliteJournal
from adapters.stores.journal.sqlite_reader import SqliteJournalReader
from protocol.journal import Fence, Freed, Record, Unit, Unsettled, Verdict

Durability = Literal["full", "process"]


class Store(Protocol):
    """What a journal's writer answers."""

    async def open(self) -> JournalState: ...
    async def close(self) -> None: ...
    async def raise_fences(self, scopes: Sequence[str], over: Sequence[Fence] = (), void: str = "") -> list[Fence]: ...
    async def commit(self, units: Sequence[Unit]) -> list[Verdict]: ...
    async def erase(self, customer: str, redacted: Sequence[Record], freed: Freed | None = None) -> None: ...
    async def trim(self, through: int) -> int: ...
    async def first_position(self) -> int: ...
    async def records(self, positions: Sequence[int]) -> list[Record]: ...
    async def policies(self) -> list[bytes]: ...
    async def unsettled(self) -> list[Unsettled]: ...


class Reader(Protocol):
    """What a journal's reader answers."""

    async def position(self) -> int: ...
    async def shared_with(self, generation: str) -> int | None: ...
    async def position_before(self, at_ms: int) -> int: ...
    async def read(self, after: int, limit: int) -> list[Record]: ...
    async def customers_of(self, identities: Sequence[str]) -> dict[str, str]: ...


class SqliteHarness:
    """Journals in files; a crash is a copy of the files as they lie while the writer still has them open."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "journal.db"
        self._names = map("generation-{}".format, itertools.count(1))
        self._opened: list[SqliteJournal | SqliteJournalReader] = []

    def store(self, durability: Durability = "full") -> Store:
        """A writer on what is there."""
        store = SqliteJournal(self._path, durability=durability, new_generation=lambda: next(self._names))
        self._opened.append(store)
        return store

    async def reader(self, store: Store) -> Reader:
        """A reader beside the writer."""
        reader = SqliteJournalReader(self._path)
        await reader.open()
        self._opened.append(reader)
        return reader

    def crash(self, store: Store) -> None:
        """From here on there is only what the operating system has of the files."""
        crashed = self._path.with_name(f"crashed-{self._path.name}")
        for suffix in ("", "-wal"):
            shutil.copy(f"{self._path}{suffix}", f"{crashed}{suffix}")
        self._path = crashed

    async def close(self) -> None:
        """Closes everything it opened."""
        for opened in reversed(self._opened):
            await opened.close()


class MemoryHarness:
    """Journals on a disk in memory."""

    def __init__(self, folder: Path) -> None:
        self._disk = MemoryDisk()
        self._names = map("generation-{}".format, itertools.count(1))

    def store(self, durability: Durability = "full") -> Store:
        """A writer on what is there."""
        return MemoryJournal(self._disk, durability=durability, new_generation=lambda: next(self._names))

    async def reader(self, store: Store) -> Reader:
        """The writer itself."""
        assert isinstance(store, MemoryJournal)
        return store

    def crash(self, store: Store) -> None:
        """Power failure."""
        assert isinstance(store, MemoryJournal)
        store.crash()

    async def close(self) -> None:
        """Nothing is held."""


Harness = SqliteHarness | MemoryHarness
