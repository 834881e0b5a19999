"""Backfill: each read ends in one word to who waits for it, also where the store fails, and agents take turns."""

import asyncio
from typing import cast

import msgspec
import pytest
from msgspec import Raw

from adapters.stores.read_pool import THE_SERVER
from orchestrator.gateway.peers import Archive
from orchestrator.gateway.reads.sharing import ASKER
from orchestrator.gateway.websockets.backfill import WITHIN_S, Backfill
from protocol.archive import StoredEvent
from protocol.events import NoteAdded


class Store:
    """Fails as the test says."""

    def __init__(self, fault: Exception) -> None:
        self._fault = fault

    async def events_of_stream(self, stream: str, after_seq: int, limit: int, /) -> list[object]:
        self.asker = ASKER.get()
        raise self._fault


class Held:
    """Has one event of each conversation but `late`, which it has from the second time on."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def events_of_stream(self, stream: str, after_seq: int, limit: int, /) -> list[StoredEvent]:
        self.asked.append(stream)
        if stream == "late" and self.asked.count(stream) == 1:
            return []
        body = msgspec.json.encode(NoteAdded(at_ms=1, actor="agent:ann", text="a note"))
        return [StoredEvent(position=1, n=0, stream=stream, seq=after_seq + 1, body=body)]


async def test_agents_take_turns() -> None:
    """One who comes back to hundreds of conversations delays another by one of them, and not by all."""
    store = Held()
    backfill = Backfill(cast(Archive, store), _never)
    for n in range(300):
        backfill.read(f"ann's {n}", 0, _ann, lambda events: None)
    given: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
    backfill.read("ben's", 0, lambda: ["ben"], lambda events: given.set_result([*store.asked]))
    assert await given == ["ann's 0", "ben's"]


async def test_what_the_archive_does_not_have_yet_is_in_nobodys_way() -> None:
    """The next read begins at once, and this one again after a moment."""
    store = Held()
    backfill = Backfill(cast(Archive, store), _never)
    late: asyncio.Future[list[Raw]] = asyncio.get_running_loop().create_future()
    backfill.read("late", 0, _ann, late.set_result)
    backfill.read("next", 0, _ann, lambda events: None)
    assert len(await late) == 1
    assert store.asked == ["late", "next", "late"]


async def test_what_the_archive_will_never_have_is_asked_for_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retention took it, of two thousand conversations perhaps: a hundred tries of each were 19 s of reading."""
    loop = asyncio.get_running_loop()
    time, asked = loop.time, 0

    class Slow(Held):
        async def events_of_stream(self, stream: str, after_seq: int, limit: int, /) -> list[StoredEvent]:
            nonlocal asked
            asked += 1
            return []

    monkeypatch.setattr(loop, "time", lambda: time() + asked * 0.75 * WITHIN_S)
    given: asyncio.Future[list[Raw]] = loop.create_future()
    Backfill(cast(Archive, Slow()), _never).read("cu1-1", 0, _ann, given.set_result)
    assert await given == []
    assert asked <= 3


async def test_whoever_is_gone_is_read_for_no_more() -> None:
    """An agent that comes and goes has what it waited for in the line still: it costs no read, and no tries."""
    store = Held()
    backfill = Backfill(cast(Archive, store), _never)
    waiting = ["ann"]
    gone: list[list[Raw]] = []
    all_gone = asyncio.Event()

    def ended(events: list[Raw]) -> None:
        gone.append(events)
        if len(gone) == 21:
            all_gone.set()

    backfill.read("late", 0, lambda: waiting, ended)
    backfill.read("next", 0, lambda: waiting, lambda events: waiting.clear())
    for n in range(20):
        backfill.read(f"never {n}", 0, lambda: waiting, ended)
    backfill.read("ben's", 0, lambda: ["ben"], lambda events: None)
    async with asyncio.timeout(5):
        await all_gone.wait()
    assert gone == [[]] * 21
    assert store.asked == ["late", "ben's", "next"]


def _ann() -> list[str]:
    return ["ann"]


def _never(bug: Exception) -> None:
    raise AssertionError from bug


async def test_a_read_that_fails_gives_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """The stream gets a snapshot, and goes on; the log has what happened, and none of the store's words."""
    bugs: list[Exception] = []
    given: asyncio.Future[list[Raw]] = asyncio.get_running_loop().create_future()
    store = Store(OSError("a customer's words"))
    ASKER.set("whoever's turn it is")
    Backfill(cast(Archive, store), bugs.append).read("cu1-1", 0, _ann, given.set_result)
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

    Backfill(cast(Archive, Store(OSError())), heard.set_result).read("cu1-1", 0, _ann, done)
    async with asyncio.timeout(5):
        assert await heard is bug
