"""The archive's lag, on real files."""

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from adapters.stores.archive.schema import ARCHIVE
from adapters.stores.journal.schema import JOURNAL
from benchmarks.figures.lag import LagWatch, _began, watching


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A journal with a unit of ten seconds ago and one of now, and an archive that has none."""
    now_ms = time.time_ns() // 1_000_000
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as journal:
        for statement in JOURNAL.steps[0]:
            journal.execute(statement)
        for position, at_ms in ((1, now_ms - 10_000), (2, now_ms + 60_000)):
            journal.execute("INSERT INTO unit VALUES (?, 's', 1, 1, 'c', ?, NULL, 1, x'90')", (position, at_ms))
        journal.commit()
    with closing(sqlite3.connect(tmp_path / "archive.sqlite")) as archive:
        for statement in ARCHIVE.steps[0]:
            archive.execute(statement)
        archive.commit()
    return tmp_path


def archive_reaches(data: Path, position: int) -> None:
    """The archive has applied so much."""
    with closing(sqlite3.connect(data / "archive.sqlite")) as archive:
        archive.execute("UPDATE meta SET value = ? WHERE key = 'position'", (position,))
        archive.commit()


def test_the_lag_is_the_age_of_the_oldest_unit_that_is_missing(data: Path) -> None:
    """And nothing where the archive has all."""
    watch = LagWatch(data)
    assert 10.0 <= watch._sample_s() < 60.0
    archive_reaches(data, 1)
    assert watch._sample_s() == 0.0
    archive_reaches(data, 2)
    assert watch._sample_s() == 0.0
    watch.samples_s = [0.0] * 98 + [1.5, 4.0]
    assert (watch.lag().max, watch.lag().p99) == (4.0, 1.5)
    watch.close()


async def test_a_watch_samples_while_its_block_lasts(data: Path) -> None:
    """At once, and then again and again."""
    async with watching(data) as watch:
        await asyncio.sleep(0)  # Its first turn.
    assert watch.lag().max >= 10.0


def test_a_write_ahead_log_counts_its_beginnings(tmp_path: Path) -> None:
    """Each checkpoint that leaves nothing lets the log begin anew."""
    store = tmp_path / "store.sqlite"
    assert _began(store) == 0
    with closing(sqlite3.connect(store, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE t (n)")
        before = _began(store)
        for _ in range(3):
            db.execute("INSERT INTO t VALUES (1)")
            db.execute("PRAGMA wal_checkpoint(RESTART)")
        db.execute("INSERT INTO t VALUES (1)")
        assert _began(store) - before == 3
