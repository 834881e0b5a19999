"""Attribution over real lines to cells: the order of a customer's events when who was asked is not there any more."""

import asyncio
import itertools
from collections.abc import Sequence

import pytest

from orchestrator.cell_lines.cells import Cells
from orchestrator.cell_lines.questions import Reply
from orchestrator.cell_lines.seats import Seats
from orchestrator.way_in.attribution import MOVES_MAX, Attribution
from orchestrator.way_in.proposals import TakenEvent
from protocol.errors import Code, Refusal
from protocol.inbound import InboundEvent, MessageArrived
from protocol.links import Answered, AnyLink, Elsewhere, Input, Moved, Rehomed, SeatIs, Unlinked

WEB, MAIL, TEL = "web:1", "mailto:ann@example.org", "tel:+1"


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

    def _answer(self, reply: Reply | Refusal, taken: TakenEvent) -> None:
        self.answers.append((taken.event.id, reply))

    async def send(self, id: str, *identities: str) -> None:
        """Takes an event, and lets the store be asked."""
        event = InboundEvent(
            id=id, source="s", time_ms=1, account="chat", channel="chat", identities=list(identities),
            data=MessageArrived(text="hi"),
        )  # fmt: skip
        number = next(self.numbers)
        self.attribution.send(TakenEvent(number, event, number, -number, b"", lambda outcome: None))
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


async def test_who_is_anothers_by_now_goes_there_at_once() -> None:
    """And so does who comes next: the answer is as good as the store's."""
    door = Door(Cells(1))
    line = door.open()
    door.known[MAIL] = "cuann"
    await _known(door, line)
    await door.send("1", MAIL)
    (asked,) = line.inputs
    line.heard()
    door.cells.received(line, Moved(asked.ref, MAIL, "cubob"))
    assert line.heard() == [("1", "cubob")]
    assert door.attribution.known(MAIL) == "cubob"


async def test_an_event_goes_with_what_makes_it_the_same_again() -> None:
    """Its key, and the digest of what it says."""
    door = Door(Cells(1))
    line = door.open()
    await door.send("1", WEB)
    (asked,) = line.inputs
    assert (asked.key, asked.digest) == (1, -1)


async def test_what_left_takes_along_all_that_waits_with_its_event() -> None:
    """The third event waits for the first two, which bring its identity: it must not go ahead of what comes back."""
    door = Door(Cells(1))
    line = door.open()
    door.known[MAIL] = "cuann"
    await door.send("1", MAIL, WEB)
    await door.send("2", MAIL, WEB)
    await door.send("3", WEB)
    first, second = line.inputs
    line.heard()
    door.known[MAIL] = "cubob"
    door.cells.received(line, Unlinked(first.ref, MAIL, "cuann"))
    await door.looked_up()
    assert line.heard() == [], "the second is under way"
    door.cells.received(line, Answered(second.ref, "repeat", "cuann-1", 1, 1, False))
    await door.looked_up()
    assert [id for id, _ in await _all_in_turn(door, line)] == ["1", "3"]


async def test_who_is_sent_on_too_often_is_answered_and_sent_no_more() -> None:
    """Once: something must be wrong, and whoever sends it again will see."""
    door = Door(Cells(1))
    line = door.open()
    door.known[MAIL] = "cuann"
    await _known(door, line)
    door.answers.clear()
    await door.send("1", MAIL)
    for move in range(MOVES_MAX + 1):
        assert door.answers == []
        (asked,) = line.inputs
        line.heard()
        door.cells.received(line, Moved(asked.ref, MAIL, f"cu{move}"))
    assert line.heard() == []
    ((_, refusal),) = door.answers
    assert isinstance(refusal, Refusal)
    assert refusal.code is Code.UNAVAILABLE


async def test_what_was_one_customers_before_it_left_is_not_remembered_as_theirs() -> None:
    """The first event made her a customer, whom the identity left before the second one was decided."""
    door = Door(Cells(1))
    line = door.open()
    await door.send("1", WEB)
    await door.send("2", WEB)
    made, left = line.inputs
    line.heard()
    door.known[WEB] = "cubob"
    door.cells.received(line, Answered(made.ref, "committed", "cunew1-1", 1, 1, True))
    door.cells.received(line, Unlinked(left.ref, WEB, "cunew1"))
    await door.looked_up()
    assert line.heard() == [("2", "cubob")]


async def test_who_was_turned_away_says_so_where_it_comes_again_and_nowhere_else() -> None:
    """The cell goes on turning away what came before that: here the identity is hers again by then, there another's."""
    for owner in ("cuann", "cubob"):
        door = Door(Cells(1))
        line = door.open()
        door.known[MAIL] = "cuann"
        await _known(door, line)
        await door.send("1", MAIL)
        (asked,) = line.inputs
        line.heard()
        door.known[MAIL] = owner
        door.cells.received(line, Unlinked(asked.ref, MAIL, "cuann"))
        await door.looked_up()
        (again,) = line.inputs
        assert (again.customer, again.heard) == (owner, asked.ref if owner == "cuann" else 0)


async def test_who_comes_with_what_left_does_not_wait_for_the_customers_others() -> None:
    """Only for those under way with that identity: the rest of them may take long."""
    door = Door(Cells(1))
    line = door.open()
    door.known |= {MAIL: "cuann", WEB: "cuann"}
    await _known(door, line, MAIL, WEB)
    await door.send("1", MAIL)
    await door.send("2", WEB)
    asked = line.inputs[0]
    line.heard()
    door.known[MAIL] = "cubob"
    door.cells.received(line, Unlinked(asked.ref, MAIL, "cuann"))
    await door.looked_up()
    assert line.heard() == [("1", "cubob")]


async def test_what_does_not_say_whose_it_is_is_left_out_and_the_rest_goes_on_at_once() -> None:
    """It stays known as whose it is, and is in no conflict with whom the rest of the event is of."""
    door = Door(Cells(1))
    line = door.open()
    door.known |= {MAIL: "cuann", WEB: "cuann"}
    await _known(door, line, MAIL, WEB)
    await door.send("1", WEB, MAIL)
    (asked,) = line.inputs
    line.heard()
    door.cells.received(line, Unlinked(asked.ref, MAIL, "cuann", [MAIL]))
    (again,) = line.inputs
    assert (again.customer, again.identities, again.conflicts) == ("cuann", [WEB], [])
    assert door.attribution.known(MAIL) == "cuann"


async def test_what_led_an_event_astray_is_a_conflict_of_whom_it_goes_to() -> None:
    """It came along with an identity that nobody had: without it the event is of somebody new."""
    door = Door(Cells(1))
    line = door.open()
    door.known[MAIL] = "cuann"
    await _known(door, line)
    await door.send("1", WEB, MAIL)
    (asked,) = line.inputs
    line.heard()
    assert asked.customer == "cuann"
    door.cells.received(line, Unlinked(asked.ref, MAIL, "cuann", [MAIL]))
    await door.looked_up()
    (again,) = line.inputs
    assert (again.customer, again.identities, again.claimed) == ("cunew1", [WEB], [WEB])
    assert again.conflicts == [(MAIL, "cuann")]


async def test_what_a_proposal_was_told_is_asked_again_where_an_event_under_it_was_led_astray() -> None:
    """As with one that was wrong: what its first event heard may be so no more."""
    door = Door(Cells(1))
    line = door.open()
    await door.send("1", WEB)
    await door.send("2", WEB, TEL)
    made, astray = line.inputs
    line.heard()
    door.cells.received(line, Answered(made.ref, "committed", "cunew1-1", 1, 1, True))
    door.known[WEB] = "cubob"
    door.cells.received(line, Unlinked(astray.ref, TEL, "cunew1", [TEL]))
    await door.looked_up()
    assert line.heard() == [("2", "cubob")]


async def test_who_shares_an_identity_with_two_that_wait_goes_behind_both() -> None:
    """Of the two somebody new, one is sent on. The event with both identities waits for the other one, too, and so does
    what comes next with that one's."""
    door = Door(Cells(1))
    line = door.open()
    await door.send("1", WEB)
    await door.send("2", WEB)
    await door.send("3", TEL)
    first, second, third = line.inputs
    line.heard()
    door.known[WEB] = "cuann"
    door.cells.received(line, Moved(first.ref, WEB, "cuann"))
    await door.send("4", TEL, WEB)
    await door.send("5", TEL)
    door.cells.received(line, Moved(second.ref, WEB, "cuann"))
    await door.looked_up()
    assert line.heard() == [], "the third is under way"
    door.known[TEL] = "cunew2"
    door.cells.received(line, Answered(third.ref, "committed", "cunew2-1", 1, 1, True))
    await door.looked_up()
    assert [id for id, _ in await _all_in_turn(door, line)] == ["1", "2", "4", "5"]


async def test_what_is_held_is_not_sent_on_before_what_came_with_another_of_its_identities() -> None:
    """The web's address left Ann as the phone number left Bob. Held for the number, the last event would make the
    address Carl's while an earlier one of the address is still on its way to Ann, who has it no more."""
    door = Door(Cells(1))
    line = door.open()
    door.known |= {WEB: "cuann", TEL: "cubob"}
    await door.send("1", WEB)
    await door.send("2", TEL)
    await _all_in_turn(door, line)
    await door.send("3", TEL)
    await door.send("4", TEL)
    await door.send("5", WEB)
    third, fourth, fifth = line.inputs
    line.heard()
    del door.known[WEB]
    door.known[TEL] = "cucarl"
    door.cells.received(line, Unlinked(third.ref, TEL, "cubob"))
    await door.send("6", WEB, TEL)
    door.cells.received(line, Unlinked(fourth.ref, TEL, "cubob"))
    await door.looked_up()
    assert line.heard() == []
    door.cells.received(line, Unlinked(fifth.ref, WEB, "cuann"))
    await door.looked_up()
    came = [id for id, _ in await _all_in_turn(door, line)]
    assert sorted(came) == ["3", "4", "5", "6"]
    assert came.index("5") < came.index("6")


async def test_a_bug_as_a_customer_is_chosen_is_a_fault() -> None:
    """It is met in a task behind the look-up: whoever sent the event would wait for an answer for ever."""
    door = Door(Cells(1))

    def broken() -> str:
        raise ValueError("a bug")

    door.attribution = Attribution(door.cells, door._customers_of, broken, door._answer)
    await door.send("1", WEB)
    with pytest.raises(ValueError, match="a bug"):
        door.cells.fault.check()


async def _known(door: Door, line: Line, *identities: str) -> None:
    """Lets memory learn whose these are (the mail address), as the store says."""
    for identity in identities or (MAIL,):
        await door.send("before", identity)
        await _all_in_turn(door, line)
        assert door.attribution.known(identity) == door.known[identity]
