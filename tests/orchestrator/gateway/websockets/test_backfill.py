"""Backfill: each read ends in one word to who waits for it, also where the store fails."""

import asyncio
from typing import cast

import pytest
from msgspec import Raw

from adapters.stores.read_pool import THE_SERVER
from orchestrator.gateway.peers import Archive
from orchestrator.gateway.reads.sharing import ASKER
from orchestrator.gateway.websockets.backfill import Backfill


class Store:
    """Fails as the test says."""

    def __init__(self, fault: Exception) -> None:
        self._fault = fault

    async def events_of_stream(self, stream: str, after_seq: int, limit: int, /) -> list[object]:
        self.asker = ASKER.get()
        raise self._fault


async def test_a_read_that_fails_gives_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """The stream gets a snapshot, and goes on; the log has what happened, and none of the store's words."""
    bugs: list[Exception] = []
    given: asyncio.Future[list[Raw]] = asyncio.get_running_loop().create_future()
    store = Store(OSError("a customer's words"))
    ASKER.set("whoever's turn it is")
    Backfill(cast(Archive, store), bugs.append).read("cu1-1", 0, given.set_result)
    assert await given == []
    assert bugs == []
    assert store.asker == THE_SERVER
    logged = capsys.readouterr().out
    assert "backfill.failed" in logged
    assert "customer's words" not in logged


async def test_a_bug_in_who_waits_for_a_read_breaks_the_gateway() -> None:
    """What was read is half given: the watcher would wait for the rest."""
    bug = ValueError("a bug")
    heard: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()

    def done(events: list[Raw]) -> None:
        raise bug

    Backfill(cast(Archive, Store(OSError())), heard.set_result).read("cu1-1", 0, done)
    async with asyncio.timeout(5):
        assert await heard is bug
