"""The outbox: one attempt is one call of a sender, whatever happens to those around it."""

import asyncio
from dataclasses import dataclass

from actors.outbox import Outbox, SentLike
from protocol.links import DeliverNow


@dataclass
class Sent:
    """An outcome."""

    status: str
    external_id: str = ""
    code: str = ""
    reason: str = ""


class Sender:
    """Counts calls; holds them until released."""

    def __init__(self, outcome: Sent | Exception) -> None:
        self.outcome = outcome
        self.calls: list[str] = []
        self.release = asyncio.Event()

    async def send(self, delivery: DeliverNow) -> SentLike:
        self.calls.append(delivery.delivery)
        await self.release.wait()
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def effect(delivery: str = "cu-1.4", attempt: int = 1, *, again: bool = False) -> DeliverNow:
    """An attempt."""
    return DeliverNow("cu", "cu-1", delivery, attempt, "email", "mail", "mailto:a@b", "hi", "", [], again)


async def outcomes(sender: Sender, *effects: DeliverNow, concurrency: int = 8) -> list[tuple[str, int, str]]:
    """Runs effects to their end; returns what was reported."""
    reported: list[tuple[str, int, str]] = []
    outbox = Outbox(
        {"mail": sender},
        lambda done, sent: reported.append((done.delivery, done.attempt, sent.status)),
        concurrency_per_account=concurrency,
    )
    for each in effects:
        outbox.deliver(each)
    sender.release.set()
    await outbox.drain(5)
    return reported


async def test_an_attempt_is_made_once_however_often_it_is_given_out() -> None:
    """While under way a second copy is passed over."""
    sender = Sender(Sent("sent"))
    assert await outcomes(sender, effect(), effect(again=True)) == [("cu-1.4", 1, "sent")]
    assert sender.calls == ["cu-1.4"]


async def test_a_known_outcome_is_repeated_and_not_made_again() -> None:
    """A cell that came back hears what became of it."""
    sender = Sender(Sent("sent"))
    reported: list[str] = []
    outbox = Outbox({"mail": sender}, lambda done, sent: reported.append(sent.status))
    sender.release.set()
    outbox.deliver(effect())
    await outbox.drain(5)
    outbox.deliver(effect(again=True))
    assert reported == ["sent", "sent"]
    assert len(sender.calls) == 1


async def test_an_unknown_attempt_that_was_given_out_before_is_uncertain() -> None:
    """A former life may have made it: nobody sends it twice."""
    sender = Sender(Sent("sent"))
    assert await outcomes(sender, effect(again=True)) == [("cu-1.4", 1, "uncertain")]
    assert sender.calls == []


async def test_a_sender_that_breaks_is_uncertain() -> None:
    """A bug in a sender is visible and loses nothing."""
    assert await outcomes(Sender(ValueError("bug")), effect()) == [("cu-1.4", 1, "uncertain")]


async def test_an_accounts_attempts_are_bounded() -> None:
    """The others wait for their turn, in order."""
    sender = Sender(Sent("sent"))
    outbox = Outbox({"mail": sender}, lambda done, sent: None, concurrency_per_account=2)
    for n in range(5):
        outbox.deliver(effect(f"cu-1.{n}"))
    for _ in range(10):
        await asyncio.sleep(0)
    assert sender.calls == ["cu-1.0", "cu-1.1"]
    sender.release.set()
    await outbox.drain(5)
    assert len(sender.calls) == 5
