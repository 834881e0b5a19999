"""Who is named and is nobody gets no seat, and who asked hears so; whoever is there by what is committed gets one."""

import asyncio
from collections.abc import Collection

import pytest

from adapters.stores.archive.memory import MemoryArchive
from adapters.stores.journal.memory import MemoryJournal
from orchestrator.cell_lines.cells import Cells
from orchestrator.cell_lines.questions import Reply
from orchestrator.cell_lines.seats import Seats
from orchestrator.cell_lines.strangers import known_of
from protocol.commands import Take
from protocol.errors import Code
from protocol.ids import POLICY
from protocol.inbound import DeliveryReport, InboundEvent, MessageArrived
from protocol.links import (
    Ask,
    Input,
    Locate,
    Outcome,
    ReadCustomer,
    Refused,
    SeatIs,
    WatchConversation,
)
from tests.adapters.stores.story import Story
from tests.orchestrator.cell_lines.test_seats import Line

Question = Input | Ask | Outcome | ReadCustomer | WatchConversation
"""What is asked of a customer's cell, and answered under its ref."""


class Front:
    """Cells with seats, and stores that know Ann alone, and answer when told."""

    def __init__(self) -> None:
        self.seats = Seats(lambda index: None, lambda index: None)
        self.cells = self.seats.cells = Cells(0, self.seats, self._known_of)
        self.usher = Line("usher")
        self.seats.opened(self.usher, fresh=True)
        self.answers: list[Reply] = []
        self.asked: list[Collection[str]] = []
        self.known = {"ann"}
        self.answer = asyncio.Event()
        self.broken = False

    async def _known_of(self, customers: Collection[str]) -> set[str]:
        self.asked.append(set(customers))
        known = self.known & {*customers}
        await self.answer.wait()
        if self.broken:
            raise OSError("the disk")
        return known

    def ask(self, question: Question, customer: str) -> None:
        """Asks it under the ref that it has."""
        self.cells.put(customer, question.ref, question, self.answers.append)

    async def looked_up(self) -> list[str]:
        """The stores answer; returns for whom the usher was asked."""
        self.answer.set()
        for _ in range(5):
            await asyncio.sleep(0)
        return [said.customer for said in self.usher.said if isinstance(said, Locate)]


def _event(data: DeliveryReport | MessageArrived) -> InboundEvent:
    return InboundEvent(
        id="one", source="shop", time_ms=1, account="chat", channel="chat", identities=["web:1"], data=data
    )


def _input(ref: int, customer: str, data: DeliveryReport | MessageArrived) -> Input:
    return Input(ref, customer, False, _event(data), ["web:1"], [], 1, 2, b"")


HEARSAY: list[Question] = [
    ReadCustomer(7, "bob"),
    WatchConversation(7, "bob", "bob-1", -1),
    Ask(7, "bob", "bob-1", "agent:eve", "c1", Take(), 1, 2),
    Ask(7, "bob", "", "agent:eve", "c1", Take(), 1, 2),
    Outcome(7, "bob", "bob-1", "bob-1.4", 1, "sent", "", "", "", ["chat"]),
    _input(7, "bob", DeliveryReport(delivery="bob-1.4", status="read")),
]


@pytest.mark.parametrize("question", HEARSAY)
async def test_who_is_nobody_gets_no_seat(question: Question) -> None:
    """Whatever it is that is asked of a name that somebody made up."""
    front = Front()
    front.ask(question, "bob")
    assert await front.looked_up() == []
    [answer] = front.answers
    assert isinstance(answer, Refused)
    assert (answer.ref, answer.code, front.cells.unanswered) == (7, Code.NOT_FOUND, 0)
    named = "bob-1.4" if isinstance(question, Input) else getattr(question, "conversation", "") or "bob"
    assert named in answer.message


async def test_who_is_somebody_gets_one() -> None:
    """Once it was looked up; all that waits goes there, in order."""
    front = Front()
    front.ask(ReadCustomer(1, "ann"), "ann")
    front.ask(WatchConversation(2, "ann", "ann-1", -1), "ann")
    assert front.usher.said == []
    assert await front.looked_up() == ["ann"]
    front.seats.received(front.usher, SeatIs(0, "ann", 1))
    line = Line("cell:0")
    front.cells.opened(line, fresh=True)
    assert [type(said) for said in line.said] == [ReadCustomer, WatchConversation]


async def test_those_who_gather_are_looked_up_at_once() -> None:
    """One look for all, however many names somebody makes up meanwhile."""
    front = Front()
    for ref in range(1, 101):
        front.ask(ReadCustomer(ref, f"nobody{ref}"), f"nobody{ref}")
        await asyncio.sleep(0)
    assert await front.looked_up() == []
    assert [len(named) for named in front.asked] == [1, 99]
    assert len(front.answers) == 100


@pytest.mark.parametrize(
    ("customer", "question"),
    [
        ("bob", _input(7, "bob", MessageArrived(text="hello"))),
        (POLICY, Ask(7, POLICY, "", "operator:o", "c1", Take(), 1, 2)),
    ],
)
async def test_what_nobody_made_up_is_not_looked_up(customer: str, question: Question) -> None:
    """Who is new is named by an event of theirs, and is in no store yet; the server's own streams begin empty."""
    front = Front()
    front.ask(question, customer)
    assert front.usher.said == [Locate(customer, 0)]
    assert (await front.looked_up(), front.asked, front.answers) == ([customer], [], [])


async def test_who_comes_meanwhile_is_found_and_asked_all() -> None:
    """What was asked before there was such a customer waits beside the customer's first event, and ahead of it."""
    front = Front()
    front.ask(ReadCustomer(1, "bob"), "bob")
    front.ask(_input(2, "bob", MessageArrived(text="hello")), "bob")
    front.seats.received(front.usher, SeatIs(0, "bob", 1))
    line = Line("cell:0")
    front.cells.opened(line, fresh=True)
    await front.looked_up()
    assert [type(said) for said in line.said] == [ReadCustomer, Input]
    assert front.answers == []


async def test_hearsay_that_is_refused_leaves_what_is_none() -> None:
    """The customer is about to come."""
    front = Front()
    front.ask(ReadCustomer(1, "bob"), "bob")
    front.ask(_input(2, "bob", MessageArrived(text="hello")), "bob")
    assert await front.looked_up() == ["bob"]
    assert [answer.ref for answer in front.answers] == [1]
    assert front.cells.unanswered == 1


async def test_what_is_asked_during_a_look_is_looked_up_in_another() -> None:
    """There may be such a customer by then."""
    front = Front()
    front.ask(ReadCustomer(1, "bob"), "bob")
    await asyncio.sleep(0)
    front.known.add("bob")
    front.ask(ReadCustomer(2, "bob"), "bob")
    assert await front.looked_up() == ["bob"]
    assert [answer.ref for answer in front.answers] == [1]
    assert front.asked == [{"bob"}, {"bob"}]


async def test_nobody_is_denied_for_a_stores_fault() -> None:
    """A seat is found as if there were such a customer: it finds out."""
    front = Front()
    front.broken = True
    front.ask(ReadCustomer(1, "bob"), "bob")
    assert await front.looked_up() == ["bob"]
    assert front.answers == []


async def test_who_is_committed_and_not_archived_yet_is_known() -> None:
    """The archive is waited for as far as the journal is, for those alone whom it does not have."""
    story = Story()
    story.meet("cuann", "mailto:ann@example.org", "email", "hello")
    journal, archive = _Committed(story), MemoryArchive()
    await archive.open()
    asked = asyncio.create_task(known_of({"cuann", "cubob"}, journal, archive))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not asked.done()
    await archive.apply(story.changes())
    assert await asked == {"cuann"}
    journal.ahead = 100
    assert await known_of({"cuann"}, journal, archive) == {"cuann"}
    await archive.close()


class _Committed(MemoryJournal):
    """A journal in which a story is."""

    def __init__(self, story: Story) -> None:
        super().__init__(new_generation=lambda: "g1")
        self.ahead = 0
        self._story = story

    async def position(self) -> int:
        return self._story.position + self.ahead
