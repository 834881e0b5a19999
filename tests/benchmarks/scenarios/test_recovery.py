"""What a recovery run makes of what it saw."""

import asyncio
import time

import pytest

from benchmarks.load.filling import Filling
from benchmarks.load.watchers import Seen, Sender
from benchmarks.scenarios import recovery
from benchmarks.scenarios.recovery import Killed, _faults, _median, _until
from orchestrator.client.gateway import OnAnswer
from protocol.events import MessageReceived

FILLING = Filling(conversations=2, run="r")


def message(id: str, source: str = "benchmark:r") -> MessageReceived:
    """A customer's message as an agent is shown it."""
    return MessageReceived(
        at_ms=1, interaction=1, channel="chat", identity="chat:a", source=source, id=id, provider_ms=1, text="x"
    )


def killed(*, resumed_ms: float | None) -> Killed:
    """One kill."""
    return Killed(
        part="cell", processes=1, first_ack_ms=1.0, all_acked_ms=2.0, resumed_ms=resumed_ms, archive_level_ms=4.0
    )


class NoGateway:
    """Answers when told."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, OnAnswer]] = []

    def send_encoded(self, id: str, frame: bytes, on_answer: OnAnswer) -> None:
        """Keeps it."""
        self.asked.append((id, on_answer))


async def test_all_are_seen_when_the_last_one_is() -> None:
    """Events of other runs do not count, and one that is shown again is noticed."""
    seen = Seen(FILLING)
    waiting = asyncio.create_task(seen.all_of(["1", "2"]))
    seen.see(message("1"), 1.0)
    seen.see(message("2", "benchmark:other"), 1.0)
    await asyncio.sleep(0)
    assert not waiting.done()
    seen.see(message("2"), 2.0)
    await asyncio.wait_for(waiting, 5)
    assert seen.twice == 0
    seen.see(message("1"), 3.0)
    assert seen.twice == 1


async def test_all_is_answered_when_nothing_is_open() -> None:
    """Refusals are answers, and are kept."""
    gateway = NoGateway()
    sender = Sender(gateway)
    await sender.all_answered()
    heard: list[str] = []
    ids = [sender.send(FILLING, number, then=lambda: heard.append("ack")) for number in (4, 5)]
    waiting = asyncio.create_task(sender.all_answered())
    gateway.asked[0][1](ids[0], 0, "committed")
    await asyncio.sleep(0)
    assert not waiting.done()
    gateway.asked[1][1](ids[1], 4300, "too many")
    await asyncio.wait_for(waiting, 5)
    assert heard == ["ack", "ack"]
    assert sender.refused == ["4300 too many"]


async def test_what_takes_too_long_has_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a fault and not a figure."""
    monkeypatch.setattr(recovery, "GIVE_UP_S", 0.01)
    assert await _until(asyncio.Event().wait(), time.perf_counter()) is None
    took_ms = await _until(asyncio.sleep(0), time.perf_counter() - 0.5)
    assert took_ms is not None
    assert took_ms >= 500


def test_what_did_not_come_back_is_a_fault() -> None:
    """So is an event that was shown twice; a median of what is not known is not known."""
    seen, sender = Seen(FILLING), Sender(NoGateway())
    assert _faults([killed(resumed_ms=3.0)], sender, seen) == []
    seen.twice = 2
    said = _faults([killed(resumed_ms=None)], sender, seen)
    assert [fault.partition(" ")[0] for fault in said] == ["cell:", "2"]
    assert _median([1.0, 9.0, 2.0]) == 2.0
    assert _median([1.0, None]) is None
    assert _median([]) is None
