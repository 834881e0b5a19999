"""The outbox: one attempt is one call of a sender, whatever happens to those around it."""

import asyncio
from dataclasses import dataclass

import pytest

from actors import outbox as outboxes
from actors.outbox import Outbox, SentLike
from protocol.links import Attempt


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

    async def send(self, attempt: Attempt) -> SentLike:
        self.calls.append(attempt.delivery)
        await self.release.wait()
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def attempted(delivery: str = "cu-1.4", number: int = 1, *, again: bool = False) -> Attempt:
    """One of a mail."""
    return Attempt("cu", "cu-1", delivery, number, "email", "mail", "mailto:a@b", "hi", "", [], again)


def raised(exc: Exception) -> None:
    """No bug is met here."""
    raise exc


async def outcomes(sender: Sender, *attempts: Attempt, concurrency: int = 8) -> list[tuple[str, int, str]]:
    """Makes the attempts, to their ends; returns what was reported."""
    reported: list[tuple[str, int, str]] = []
    outbox = Outbox(
        {"mail": sender},
        lambda done, sent: reported.append((done.delivery, done.number, sent.status)),
        broke=raised,
        concurrency_per_account=concurrency,
    )
    for each in attempts:
        outbox.deliver(each)
    sender.release.set()
    await outbox.drain(5)
    return reported


async def test_an_attempt_is_made_once_however_often_it_is_given_out() -> None:
    """While under way a second copy is passed over."""
    sender = Sender(Sent("sent"))
    assert await outcomes(sender, attempted(), attempted(again=True)) == [("cu-1.4", 1, "sent")]
    assert sender.calls == ["cu-1.4"]


async def test_a_known_outcome_is_repeated_and_not_made_again() -> None:
    """A cell that came back hears what became of it."""
    sender = Sender(Sent("sent"))
    reported: list[str] = []
    outbox = Outbox({"mail": sender}, lambda done, sent: reported.append(sent.status), broke=raised)
    sender.release.set()
    outbox.deliver(attempted())
    await outbox.drain(5)
    outbox.deliver(attempted(again=True))
    assert reported == ["sent", "sent"]
    assert len(sender.calls) == 1


async def test_an_unknown_attempt_that_was_given_out_before_is_uncertain() -> None:
    """A former life may have made it: nobody sends it twice."""
    sender = Sender(Sent("sent"))
    assert await outcomes(sender, attempted(again=True)) == [("cu-1.4", 1, "uncertain")]
    assert sender.calls == []


async def test_a_sender_that_breaks_is_uncertain() -> None:
    """A bug in a sender is visible and loses nothing."""
    assert await outcomes(Sender(ValueError("bug")), attempted()) == [("cu-1.4", 1, "uncertain")]


async def test_an_accounts_attempts_are_bounded() -> None:
    """The others wait for their turn, in order."""
    sender = Sender(Sent("sent"))
    outbox = Outbox({"mail": sender}, lambda done, sent: None, broke=raised, concurrency_per_account=2)
    for n in range(5):
        outbox.deliver(attempted(f"cu-1.{n}"))
    for _ in range(10):
        await asyncio.sleep(0)
    assert sender.calls == ["cu-1.0", "cu-1.1"]
    sender.release.set()
    await outbox.drain(5)
    assert len(sender.calls) == 5


async def test_the_oldest_outcomes_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many are known that a cell may ask for again; one that is not known any more may have been made."""
    monkeypatch.setattr(outboxes, "OUTCOMES_MAX", 3)
    sender = Sender(Sent("sent"))
    sender.release.set()
    reported: list[tuple[str, str]] = []
    outbox = Outbox({"mail": sender}, lambda done, sent: reported.append((done.delivery, sent.status)), broke=raised)
    for n in range(4):
        outbox.deliver(attempted(f"cu-1.{n}"))
        await outbox.drain(5)
    reported.clear()
    for n in (1, 3, 0):
        outbox.deliver(attempted(f"cu-1.{n}", again=True))
    assert reported == [("cu-1.1", "sent"), ("cu-1.3", "sent"), ("cu-1.0", "uncertain")]
    assert len(sender.calls) == 4


async def test_what_came_of_attempts_is_counted() -> None:
    """For operators, beside how many are under way; a repeated report is no other attempt."""
    sender = Sender(Sent("refused"))
    outbox = Outbox({"mail": sender}, lambda done, sent: None, broke=raised)
    for n in range(2):
        outbox.deliver(attempted(f"cu-1.{n}"))
    assert outbox.status() == {"under_way": 2, "sent": 0, "failed": 0, "refused": 0, "uncertain": 0}
    sender.release.set()
    await outbox.drain(5)
    outbox.deliver(attempted("cu-1.0"))
    outbox.deliver(attempted("cu-1.9", again=True))
    assert outbox.status() == {"under_way": 0, "sent": 0, "failed": 0, "refused": 2, "uncertain": 1}


async def test_an_attempt_that_is_late_is_ended_with_the_host() -> None:
    """What it might still do would be done for nobody: no outcome of it is reported."""
    sender = Sender(Sent("sent"))
    reported: list[str] = []
    outbox = Outbox({"mail": sender}, lambda done, sent: reported.append(sent.status), broke=raised)
    outbox.deliver(attempted())
    await outbox.drain(0)
    sender.release.set()
    for _ in range(10):
        await asyncio.sleep(0)
    assert reported == []
    assert outbox.status()["under_way"] == 0


async def test_a_bug_met_while_an_outcome_is_reported_breaks_the_host() -> None:
    """The cell would wait for it for ever: the host ends instead, and its next life says that nobody knows."""
    sender, bugs = Sender(Sent("sent")), list[Exception]()

    def report(attempt: Attempt, sent: SentLike) -> None:
        raise ValueError(attempt.delivery)

    outbox = Outbox({"mail": sender}, report, broke=bugs.append)
    sender.release.set()
    outbox.deliver(attempted())
    await outbox.drain(5)
    assert [str(bug) for bug in bugs] == ["cu-1.4"]
