"""Readers that share a file: each read has its time, and nobody waits for all that somebody else asks."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from contextvars import ContextVar
from pathlib import Path

import pytest

from adapters.stores.connection import read
from adapters.stores.errors import ReadCutOff, ReadsWait, StoreFailed
from adapters.stores.read_pool import ReadPool, Sharing

LONG_S = 30.0
SHORT_S = 0.02
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
LONG = ENDLESS.replace("FROM n) ", "FROM n LIMIT 1000000) ")
"""Some hundred milliseconds."""
ASKER = ContextVar("ASKER", default="")


@asynccontextmanager
async def opened(folder: Path, *, connections: int = 1, within_s: float = LONG_S) -> AsyncIterator[ReadPool]:
    """A pool over an empty file."""
    with closing(sqlite3.connect(folder / "some.db")) as db:
        db.execute("PRAGMA journal_mode = WAL")
    sharing = Sharing(connections=connections, within_s=within_s, asker=ASKER.get)
    pool = ReadPool(folder / "some.db", lambda db: None, sharing)
    await pool.open()
    try:
        async with asyncio.timeout(LONG_S):
            yield pool
    finally:
        await pool.close()


def one(db: sqlite3.Connection) -> int:
    """A short read."""
    return int(db.execute("SELECT 1").fetchone()[0])


def endless(db: sqlite3.Connection) -> None:
    """One statement without end."""
    db.execute(ENDLESS).fetchall()


def endlessly(db: sqlite3.Connection) -> None:
    """Short statements without end."""
    while True:
        one(db)


def with_rows_left(db: sqlite3.Connection) -> None:
    """One without end, while another one has rows left."""
    rows = db.execute("VALUES (1), (2), (3)")
    rows.fetchone()
    endless(db)


def asked_by(asker: str, pool: ReadPool, step: Callable[[sqlite3.Connection], object]) -> asyncio.Task[object]:
    """A read that is asked for now, under a name."""

    async def ask() -> object:
        ASKER.set(asker)
        return await pool.run(step)

    return asyncio.create_task(ask())


@pytest.mark.parametrize("step", [endless, endlessly, with_rows_left])
async def test_a_read_that_takes_too_long_is_cut_off(
    tmp_path: Path, step: Callable[[sqlite3.Connection], object]
) -> None:
    """Within a statement and between two, in a transaction and without; its connection serves the next read."""
    async with opened(tmp_path, within_s=SHORT_S) as pool:
        ASKER.set("ann")
        with pytest.raises(ReadCutOff, match=f"{SHORT_S:g} s"):
            await pool.run(step)
        with pytest.raises(ReadCutOff):
            await pool.run(read, step)
        assert await pool.run(read, one) == 1


async def test_what_the_server_asks_itself_has_the_time_it_takes(tmp_path: Path) -> None:
    """A report that is due is counted however long that is."""
    async with opened(tmp_path, within_s=0.001) as pool:
        assert await pool.run(lambda db: db.execute(LONG).fetchone()) == (1_000_000,)
        with pytest.raises(ReadCutOff):
            await asked_by("ann", pool, lambda db: db.execute(LONG).fetchone())


async def test_another_fault_is_no_matter_of_time(tmp_path: Path) -> None:
    """What SQLite cannot do is said as ever."""
    async with opened(tmp_path) as pool:
        with pytest.raises(StoreFailed, match="no such table: missing"):
            await asked_by("ann", pool, lambda db: db.execute("SELECT 1 FROM missing"))


async def test_whoever_asks_for_much_waits_behind_their_own(tmp_path: Path) -> None:
    """Of one connection the next read is of who has had none, though others asked before."""
    begun, done = threading.Event(), threading.Event()
    order: list[str] = []

    def first(db: sqlite3.Connection) -> None:
        begun.set()
        done.wait(LONG_S)

    def noted(asker: str) -> Callable[[sqlite3.Connection], None]:
        return lambda db: order.append(asker)

    async with opened(tmp_path) as pool:
        reads = [asked_by("ann", pool, first)]
        await asyncio.to_thread(begun.wait, LONG_S)
        reads += [asked_by("ann", pool, noted("ann")) for _ in range(3)]
        reads += [asked_by("bob", pool, noted("bob")) for _ in range(2)]
        await asyncio.sleep(0)
        done.set()
        await asyncio.gather(*reads)
        assert order == ["bob", "ann", "bob", "ann", "ann"]
        assert pool._lanes == {}


async def test_no_asker_holds_two_connections(tmp_path: Path) -> None:
    """So that one who asks for what is dear leaves the other to who does not."""
    begun, done = threading.Event(), threading.Event()

    def dear(db: sqlite3.Connection) -> None:
        begun.set()
        done.wait(LONG_S)

    async with opened(tmp_path, connections=2) as pool:
        reads = [asked_by("ann", pool, dear)]
        await asyncio.to_thread(begun.wait, LONG_S)
        reads += [asked_by("ann", pool, one)]
        assert await asked_by("bob", pool, one) == 1
        assert not any(read.done() for read in reads)
        done.set()
        assert await asyncio.gather(*reads) == [None, 1]


async def test_a_read_waits_for_its_turn_as_long_as_it_may_take(tmp_path: Path) -> None:
    """Then its asker hears that others are before it, and nothing is read for it."""
    begun, done = threading.Event(), threading.Event()
    seen: list[int] = []

    def held(db: sqlite3.Connection) -> None:
        begun.set()
        done.wait(LONG_S)

    async with opened(tmp_path, within_s=SHORT_S) as pool:
        holding = asked_by("", pool, held)
        await asyncio.to_thread(begun.wait, LONG_S)
        with pytest.raises(ReadsWait):
            await asked_by("ann", pool, lambda db: seen.append(1))
        done.set()
        await holding
        assert await asked_by("ann", pool, one) == 1
        assert seen == []


async def test_a_read_whose_asker_leaves_ends(tmp_path: Path) -> None:
    """Nobody else's read waits for it, or is cut off in its place."""
    begun = threading.Event()

    def left(db: sqlite3.Connection) -> None:
        begun.set()
        endless(db)

    async with opened(tmp_path) as pool:
        leaving = asked_by("ann", pool, left)
        await asyncio.to_thread(begun.wait, LONG_S)
        leaving.cancel()
        following = asked_by("bob", pool, lambda db: db.execute(LONG).fetchone())
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert await following == (1_000_000,)


async def test_a_statement_that_begins_as_its_read_is_cut_off_ends_too(tmp_path: Path) -> None:
    """It has passed the look at the time, and nothing ran that could be interrupted."""
    begun, cut = threading.Event(), threading.Event()

    def late(db: sqlite3.Connection) -> None:
        begun.set()
        cut.wait(LONG_S)
        sqlite3.Connection.execute(db, ENDLESS).fetchall()

    async with opened(tmp_path) as pool:
        leaving = asked_by("ann", pool, late)
        await asyncio.to_thread(begun.wait, LONG_S)
        leaving.cancel()
        [connection] = pool._connections
        for _ in range(3):
            await asyncio.sleep(0)
        assert connection.reader.is_over
        cut.set()
        done, _ = await asyncio.wait({leaving}, timeout=LONG_S / 6)
        connection.reader.interrupt()  # Where it did not end, nothing else would.
        assert done
        assert await asked_by("bob", pool, one) == 1
