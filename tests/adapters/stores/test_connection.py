"""An opening that is cancelled leaves nothing open."""

import asyncio
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from adapters.stores import connection
from tests.lingering import WORKER


async def test_an_opening_that_is_cancelled_leaves_nothing_open(tmp_path: Path) -> None:
    """Also where the file is open already, and only the first look at it is under way."""
    path = tmp_path / "some.db"
    with closing(sqlite3.connect(path)):
        pass
    looking, seen = threading.Event(), threading.Event()

    def look(db: sqlite3.Connection) -> None:
        looking.set()
        seen.wait(10)

    before = _workers()
    opening = asyncio.create_task(connection.open_reader(path, look))
    assert await asyncio.to_thread(looking.wait, 10)
    assert _workers() != before
    opening.cancel()
    seen.set()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await asyncio.to_thread(_joined, _workers() - before)
    assert _workers() == before


def _workers() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if WORKER in thread.name}


def _joined(threads: set[threading.Thread]) -> None:
    """Closing hands the thread its end, and does not wait for it."""
    for thread in threads:
        thread.join(1)
