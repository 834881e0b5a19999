"""The seat: who is let in, and how it changes hands, against a cell that does as it is told when it is told."""

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from actors.cells.cell import Cell
from actors.seats import seat
from actors.seats.seat import Seat
from protocol.links import AnyLink, Elsewhere, ForSitting, Left, ReadCustomer, Release, Sitting, Take, Touched


class FakeCell:
    """A cell that takes scopes when `scopes` says so, and is quiet at once."""

    def __init__(self) -> None:
        self.position = 7
        self.scopes: dict[str, asyncio.Event] = {}
        self.heard: list[AnyLink] = []
        self.looked: list[str] = []
        self.busy = False
        self.on_left: Callable[[str, int | None], None] = lambda customer, due_ms: None

    async def take(self, customer: str) -> None:
        await self.scopes.setdefault(customer, asyncio.Event()).wait()

    def received(self, line: object, message: AnyLink) -> None:
        self.heard.append(message)

    def opened(self, line: object, *, fresh: bool) -> None:
        """It has nothing to say."""

    def look(self, customer: str) -> None:
        self.looked.append(customer)

    def leave(self, customer: str) -> None:
        if not self.busy:
            self.on_left(customer, None)

    def broke(self, exc: Exception) -> None:
        raise exc


class Line:
    """Collects what is sent."""

    open = True
    full = False

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.said: list[AnyLink] = []

    def send(self, message: AnyLink) -> None:
        self.said.append(message)


class Table:
    """A seat with a usher's line and a gateway's."""

    def __init__(self) -> None:
        self.cell = FakeCell()
        # A seat needs no more of a cell than that.
        self.seat = Seat(0, cast(Cell, self.cell), life="life")
        self.usher, self.front = Line("usher"), Line("gateway:0")
        self.seat.opened(self.usher, fresh=True)

    def tell(self, message: AnyLink) -> None:
        self.seat.received(self.usher, message)

    def ask(self, ref: int, customer: str) -> ReadCustomer:
        """In the sitting that the usher was told last."""
        sitting = next(each.sitting for each in reversed(self.usher.said) if isinstance(each, Sitting))
        self.seat.received(self.front, ForSitting(sitting))
        return self.ask_on(ref, customer)

    def ask_on(self, ref: int, customer: str) -> ReadCustomer:
        question = ReadCustomer(ref, customer)
        self.seat.received(self.front, question)
        return question

    async def let_take(self, customer: str) -> None:
        self.cell.scopes.setdefault(customer, asyncio.Event()).set()
        for _ in range(3):
            await asyncio.sleep(0)


@pytest.fixture
async def table() -> Table:
    """An empty seat."""
    return Table()


async def test_what_comes_while_the_scope_is_taken_waits_and_keeps_its_order(table: Table) -> None:
    """And what is for others is for elsewhere."""
    table.tell(Take("ann", due=False))
    asked = [table.ask(1, "ann"), table.ask(2, "ann")]
    table.ask(3, "bob")
    assert table.front.said == [Elsewhere(3)]
    assert table.cell.heard == []
    await table.let_take("ann")
    assert table.cell.heard == asked


async def test_the_next_one_waits_until_who_sits_was_asked_something(table: Table) -> None:
    """Else two customers on one seat could pass it to and fro for ever, and neither be served."""
    table.tell(Take("ann", due=False))
    await table.let_take("ann")
    table.tell(Take("bob", due=False))
    first, second = table.ask(1, "ann"), table.ask(2, "ann")
    await asyncio.sleep(0)
    assert table.cell.heard == [first, second], "a turn's questions are served together"
    assert table.usher.said[1:] == [
        Sitting(0, "ann", 7, "life/1"),
        Touched(),
        Left("ann", None),
        Sitting(0, "bob", 7, "life/2"),
    ]
    table.ask(3, "ann")
    assert table.front.said == [Elsewhere(3)]


async def test_who_leaves_is_answered_before_the_rest_is_turned_away(table: Table) -> None:
    """A busy one is waited for; what comes for it meanwhile is turned away behind its answers."""
    table.tell(Take("ann", due=False))
    await table.let_take("ann")
    table.ask(1, "ann")
    table.cell.busy = True
    table.tell(Take("bob", due=False))
    await asyncio.sleep(0)
    table.ask(2, "ann")
    assert table.front.said == []
    table.cell.on_left("ann", 42)
    assert table.front.said == [Elsewhere(2)]
    assert table.usher.said[-2:] == [Left("ann", 42), Sitting(0, "bob", 7, "life/2")]


async def test_one_that_sits_elsewhere_leaves_once_its_scope_is_taken(table: Table) -> None:
    """Two takings never overlap: the next one's messages would go to the cell before its scope is."""
    table.tell(Take("ann", due=False))
    table.ask(1, "ann")
    table.tell(Release("ann"))
    table.tell(Take("bob", due=False))
    asked = table.ask(2, "bob")
    assert table.front.said == [Elsewhere(2)], "Ann sits there, as far as anyone was told"
    await table.let_take("ann")
    assert table.front.said[1:] == [Elsewhere(1)]
    asked = table.ask(3, "bob")
    assert table.cell.heard == []
    await table.let_take("bob")
    assert table.cell.heard == [asked]


async def test_time_is_looked_at_where_the_customer_sits(table: Table) -> None:
    """Once its scope is taken, however often it was said before."""
    table.tell(Take("ann", due=False))
    table.tell(Take("ann", due=True))
    table.tell(Take("ann", due=True))
    await table.let_take("ann")
    assert table.cell.looked == ["ann"]
    table.tell(Take("ann", due=True))
    assert table.cell.looked == ["ann", "ann"]


async def test_what_left_before_its_asker_heard_of_a_denial_does_not_overtake_what_was_denied(table: Table) -> None:
    """The customer is back on the seat, since someone else asked for it; the first question has yet to come again."""
    table.tell(Take("ann", due=False))
    await table.let_take("ann")
    table.ask(1, "ann")
    table.cell.on_left("ann", None)
    table.ask_on(2, "ann")
    table.tell(Take("ann", due=False))
    table.ask_on(3, "ann")
    assert table.front.said == [Elsewhere(2), Elsewhere(3)]
    again = [table.ask(4, "ann"), table.ask_on(5, "ann")]
    await table.let_take("ann")
    assert table.cell.heard[1:] == again


async def test_a_new_life_of_who_asks_says_anew_in_which_sitting(table: Table) -> None:
    """What its former life had heard it has not."""
    table.tell(Take("ann", due=False))
    await table.let_take("ann")
    table.ask(1, "ann")
    table.seat.opened(table.front, fresh=False)
    table.ask_on(2, "ann")
    assert table.front.said == []
    table.seat.opened(table.front, fresh=True)
    table.ask_on(3, "ann")
    assert table.front.said == [Elsewhere(3)]


@pytest.mark.parametrize("served", [True, False])
async def test_a_bug_as_it_makes_way_ends_the_cell(table: Table, monkeypatch: pytest.MonkeyPatch, served: bool) -> None:
    """Behind the customer's turn, or as its grace is over: a loop would only log it, and the next one wait for ever."""
    monkeypatch.setattr(seat, "GRACE_S", 0.0)

    def broken(customer: str) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(table.cell, "leave", broken)
    bugs: list[Exception] = []
    monkeypatch.setattr(table.cell, "broke", bugs.append)
    table.tell(Take("ann", due=False))
    await table.let_take("ann")
    table.tell(Take("bob", due=False))
    if served:
        table.ask(1, "ann")
    async with asyncio.timeout(5):
        while not bugs:  # noqa: ASYNC110 - the cell is told, and no test
            await asyncio.sleep(0)
    assert [str(each) for each in bugs] == ["a bug"]
