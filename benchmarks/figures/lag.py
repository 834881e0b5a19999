"""The archive's lag while a load runs, as a time: how old the oldest event is that the journal has and the archive not.

Sampled from the stores' files by a reader of its own, together with the count of their checkpoints, which the header of
each write-ahead log carries (https://www.sqlite.org/fileformat.html#walformat).
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec import Struct

from adapters.stores.folder import ARCHIVE_FILE, JOURNAL_FILE
from benchmarks.figures.tally import open_store

EVERY_S = 0.1
_CHECKPOINTS_AT = 12
"""Bytes into a write-ahead log: the checkpoint sequence number, four bytes, big-endian."""


class Lag(Struct, frozen=True):
    """Seconds, of all samples."""

    max: float
    p99: float
    journal_checkpoints: int
    """How often each write-ahead log began anew meanwhile."""
    archive_checkpoints: int


class LagWatch:
    """Samples until its block ends; then `lag` says what was seen."""

    def __init__(self, data: Path) -> None:
        self.samples_s: list[float] = []
        """One every `EVERY_S`, for a plot."""
        self._data = data
        self._before = self._checkpoints()
        self._journal = open_store(data / JOURNAL_FILE)
        self._archive = open_store(data / ARCHIVE_FILE)

    async def run(self) -> None:
        """Samples until cancelled."""
        while True:
            self.samples_s.append(self._sample_s())
            await asyncio.sleep(EVERY_S)

    def close(self) -> None:
        """Gives the readers back."""
        self._journal.close()
        self._archive.close()

    def lag(self) -> Lag:
        """What was seen so far."""
        ordered = sorted(self.samples_s) or [0.0]
        after = self._checkpoints()
        return Lag(
            max=round(ordered[-1], 3),
            p99=round(ordered[int(0.99 * (len(ordered) - 1))], 3),
            journal_checkpoints=after[0] - self._before[0],
            archive_checkpoints=after[1] - self._before[1],
        )

    def _sample_s(self) -> float:
        (position,) = self._archive.execute("SELECT value FROM meta WHERE key = 'position'").fetchone()
        row = self._journal.execute(
            "SELECT at_ms FROM unit WHERE position > ? ORDER BY position LIMIT 1", (position,)
        ).fetchone()
        return 0.0 if row is None else max(0.0, time.time() - row[0] / 1000)

    def _checkpoints(self) -> tuple[int, int]:
        return _began(self._data / JOURNAL_FILE), _began(self._data / ARCHIVE_FILE)


@asynccontextmanager
async def watching(data: Path) -> AsyncIterator[LagWatch]:
    """Watches the lag of a server's stores during the block."""
    watch = LagWatch(data)
    task = asyncio.create_task(watch.run())
    try:
        yield watch
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        watch.close()


def _began(store: Path) -> int:
    """How often a store's write-ahead log was begun; 0 where there is none."""
    wal = Path(f"{store}-wal")
    if not wal.exists():
        return 0
    with wal.open("rb") as file:
        return int.from_bytes(file.read(_CHECKPOINTS_AT + 4)[_CHECKPOINTS_AT:], "big")
