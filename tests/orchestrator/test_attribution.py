"""Attribution over real lines to cells: the order of a customer's events when who was asked is not there any more."""

import asyncio
import itertools
from collections.abc import Sequence

from orchestrator.attribution import Attribution
from orchestrator.cells import Cells
from orchestrator.homeless import Reply
from orchestrator.proposals import Taken
from orchestrator.seats import Seats
from protocol.errors import Refusal
from protocol.inbound import InboundEvent, MessageArrived
from protocol.links import Answered, AnyLink, Elsewhere, Input, Moved, Rehomed, SeatIs

WEB, MAIL = "web:1", "mailto:ann@example.org"


class Line:
    """To a cell; keeps the inputs it is sent."""

    open = True
    full = False

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.inputs: list[Input] = []

    def send(self, message: AnyLink) -> None:
        """Keeps it."""
        if isinstance(message, Input):
            self.inputs.append(message)

    def heard(self) -> list[tuple[str, str]]:
        """The events' ids and the customers, since this was asked last."""
        inputs, self.inputs = self.inputs, []
        return [(each.event.id, each.customer) for each in inputs]


class Door:
    """Attribution over the cells; the store knows what the test says."""

    def __init__(self, cells: Cells) -> None:
        self.known: dict[str, str] = {}
        self.answers: list[tuple[str, Reply | Refusal]] = []
        self.numbers = itertools.count(1)
        self.cells = cells
        ids = itertools.count(1)
        self.attribution = Attribution(cells, self._customers_of, lambda: f"cunew{next(ids)}", self._answer)

    async def _customers_of(self, identities: Sequence[str]) -> dict[str, str]:
        return {identity: self.known[identity] for identity in identities if identity in self.known}

    def _answer(self, reply: Reply | Refusal, taken: Taken) -> None:
        self.answers.append((taken.event.id, reply))

    async def send(self, id: str, *identities: str) -> None:
        """Takes an event, and lets the store be asked."""
        event = InboundEvent(
            id=id, source="s", time_ms=1, account="chat", channel="chat", identities=list(identities),
            data=MessageArrived(text="hi"),
        )  # fmt: skip
        number = next(self.numbers)
        self.attribution.send(Taken(number, event, number, number, b"", lambda outcome: None))
        await self.looked_up()

    async def looked_up(self) -> None:
        """Lets the store be asked."""
        for _ in range(5):
            await asyncio.sleep(0)

    def open(self, index: int = 0) -> Line:
        """A new life of a cell is there."""
        line = Line(f"cell:{index}")
        self.cells.opened(line, fresh=True)
        return line


async def _all_in_turn(door: Door, line: Line) -> list[tuple[str, str]]:
    """Answers what the cell is sent, until there is no more; returns it."""
    heard: list[tuple[str, str]] = []
    while line.inputs:
        asked = line.inputs.pop(0)
        heard.append((asked.event.id, asked.customer))
        door.known |= dict.fromkeys(asked.identities, asked.customer)
        door.cells.received(line, Answered(asked.ref, "committed", f"{asked.customer}-1", 1, 1, True))
        await door.looked_up()
    return heard


async def _sent_on(door: Door, line: Line) -> Input:
    """The chat's first event names a mail address too, which is somebody's: it is sent on, and known to be before the
    second one is answered, which is returned."""
    await door.send("1", WEB, MAIL)
    await door.send("2", WEB)
    first, second = line.inputs[-2:]
    assert first.customer == second.customer
    line.heard()
    door.known[MAIL] = "cuann"
    door.cells.received(line, Moved(first.ref, MAIL, "cuann"))
    assert line.heard() == [], "the first waits for the second"
    return second


async def test_what_follows_a_moved_event_is_not_decided_by_a_cells_next_life() -> None:
    """It does not know what the former one answered: there the second event would overtake the first."""
    door = Door(Cells(1))
    await _sent_on(door, door.open())
    line = door.open()
    await door.looked_up()
    assert await _all_in_turn(door, line) == [("1", "cuann"), ("2", "cuann")]


async def test_what_follows_a_moved_event_is_not_decided_at_a_customers_next_seat() -> None:
    """Which the customer gets since another one waited for the former, and turned away what came too late."""
    seats = Seats(lambda index: None, lambda index: None)
    cells = seats.cells = Cells(0, seats)
    door, usher = Door(cells), Line("usher")
    seats.opened(usher, fresh=True)
    for seat, customer in enumerate(("cunew1", "", "cuann")):
        seats.received(usher, SeatIs(seat, customer, seat + 1))
    lines = [door.open(seat) for seat in range(3)]
    second = await _sent_on(door, lines[0])
    cells.received(lines[0], Elsewhere(second.ref))
    seats.received(usher, SeatIs(1, "cunew1", 4))
    await door.looked_up()
    assert [await _all_in_turn(door, line) for line in lines] == [[], [], [("1", "cuann"), ("2", "cuann")]]


async def test_what_follows_a_moved_event_is_not_decided_by_whom_its_customer_was_merged_into() -> None:
    """Bob's cell knows no more of it than a new life of the customer's own."""
    door = Door(Cells(1))
    line = door.open()
    second = await _sent_on(door, line)
    door.cells.received(line, Rehomed(second.ref, "cunew1", "cubob", 1))
    await door.looked_up()
    assert await _all_in_turn(door, line) == [("1", "cuann"), ("2", "cuann")]


async def test_who_did_not_follow_a_moved_event_is_asked_again() -> None:
    """Only what shares a proposal with one that was sent on waits; the others go to the next life as they are."""
    door = Door(Cells(1))
    line = door.open()
    await door.send("0", "web:2")
    await _sent_on(door, line)
    line = door.open()
    assert [(each.event.id, each.customer, each.again) for each in line.inputs[:1]] == [("0", "cunew1", True)]
    await door.looked_up()
    assert await _all_in_turn(door, line) == [("0", "cunew1"), ("1", "cuann"), ("2", "cuann")]


async def test_what_is_held_is_not_overtaken_by_an_identity_that_was_the_customers_before() -> None:
    """The first event made her a customer, the second one is sent on, the third is under way: the fourth waits too."""
    door = Door(Cells(1))
    line = door.open()
    await door.send("0", WEB)
    await door.send("1", WEB, MAIL)
    await door.send("2", WEB)
    made, moved, _ = line.inputs
    line.heard()
    door.cells.received(line, Answered(made.ref, "committed", "cunew1-1", 1, 1, True))
    door.cells.received(line, Moved(moved.ref, MAIL, "cuann"))
    await door.send("3", WEB)
    assert line.heard() == []


async def test_an_identity_goes_with_those_that_are_under_way_though_one_of_them_was_answered() -> None:
    """The third event may be sent on; then its cell sends on the fourth one, which shares its proposal."""
    door = Door(Cells(1))
    line = door.open()
    await door.send("0", WEB)
    await door.send("1", WEB, MAIL)
    made, moved = line.inputs
    door.cells.received(line, Answered(made.ref, "committed", "cunew1-1", 1, 1, True))
    await door.send("2", WEB)
    assert [each.proposed for each in line.inputs] == [True, True, True]
    door.cells.received(line, Answered(moved.ref, "committed", "cunew1-1", 2, 1, True))
    door.cells.received(line, Answered(line.inputs[-1].ref, "committed", "cunew1-1", 3, 1, True))
    await door.send("3", WEB)
    assert [each.proposed for each in line.inputs] == [True, True, True, False], "and it is known then"


async def test_who_has_an_identity_alone_that_another_event_brings_waits_for_that() -> None:
    """It may come to nothing: the event came before, or is refused. Sent along, the second one would not be Ann's, come
    back, and be overtaken by the third one, which brings the identity itself."""
    door = Door(Cells(1))
    line = door.open()
    door.known[MAIL] = "cuann"
    await door.send("1", WEB, MAIL)
    await door.send("2", WEB)
    await door.send("3", WEB, MAIL)
    (first,) = line.inputs
    line.heard()
    door.cells.received(line, Answered(first.ref, "repeat", "cuann-1", 1, 1, False))
    await door.looked_up()
    assert line.heard() == [("2", "cunew1")]


async def test_who_waited_for_an_identity_goes_where_it_went() -> None:
    """Behind the event that brought it, and ahead of what comes next."""
    door = Door(Cells(1))
    line = door.open()
    door.known[MAIL] = "cuann"
    await door.send("1", WEB, MAIL)
    await door.send("2", WEB)
    (first,) = line.inputs
    line.heard()
    door.cells.received(line, Answered(first.ref, "committed", "cuann-1", 1, 1, True))
    await door.send("3", WEB)
    assert line.heard() == [("2", "cuann"), ("3", "cuann")]


async def test_events_with_the_same_identities_do_not_wait_for_each_other() -> None:
    """A visitor who is signed in does not write more slowly for it: what is so of one event is so of the next."""
    door = Door(Cells(1))
    line = door.open()
    door.known[MAIL] = "cuann"
    for id in ("1", "2", "3"):
        await door.send(id, WEB, MAIL)
    assert line.heard() == [("1", "cuann"), ("2", "cuann"), ("3", "cuann")]


async def test_who_is_somebodys_by_one_identity_and_is_proposed_by_another_waits() -> None:
    """The visitor may be somebody new or not. Sent to Ann at once, the second event would claim the number for her,
    and the third one, which follows the first, for the visitor: decided first it would overtake the second."""
    door = Door(Cells(1))
    line = door.open()
    door.known[MAIL] = "cuann"
    await door.send("1", WEB)
    await door.send("2", "tel:+1", MAIL, WEB)
    await door.send("3", WEB, "tel:+1")
    (first,) = line.inputs
    assert line.heard() == [("1", "cunew1")]
    door.known[WEB] = "cunew1"
    door.cells.received(line, Answered(first.ref, "committed", "cunew1-1", 1, 1, True))
    await door.looked_up()
    (second,) = line.inputs
    assert (second.event.id, second.customer, second.proposed) == ("2", "cuann", False)
    assert (second.identities, second.claimed, second.conflicts) == (["tel:+1", MAIL], ["tel:+1"], [(WEB, "cunew1")])


async def test_who_is_known_by_one_identity_is_not_proposed_by_another() -> None:
    """Ann's cell looks for what it has of her, though the visitor whom the event names too is somebody new so far."""
    door = Door(Cells(1))
    line = door.open()
    door.known[MAIL] = "cuann"
    await door.send("1", WEB)
    await door.send("2", MAIL, WEB)
    first, second = line.inputs
    assert (first.customer, first.proposed) == ("cunew1", True)
    assert (second.customer, second.proposed, second.identities, second.claimed) == ("cuann", False, [MAIL], [])
