"""What the cells were asked: each question is answered once, in order, whichever life or cell answers."""

import asyncio

import pytest

from orchestrator.cell_lines.asking import Asking, answer
from orchestrator.cell_lines.cells import Cells
from orchestrator.cell_lines.questions import Reply
from protocol.inbound import InboundEvent, MessageArrived
from protocol.links import CustomerRead, Input, Moved, ReadCustomer, Unlinked
from tests.orchestrator.lines import KeptLine


def _input(ref: int, customer: str) -> Input:
    event = InboundEvent(
        id="one",
        source="shop",
        time_ms=1,
        account="chat",
        channel="chat",
        identities=["web:1"],
        data=MessageArrived(text="hello"),
    )
    return Input(ref, customer, True, event, ["web:1"], [], 1, 2, b"")


def test_a_new_life_is_asked_what_the_former_one_did_not_answer() -> None:
    """In order, also what was asked before the cell was reached at all."""
    asking, line, answers = Asking(1, None), KeptLine(), list[Reply]()
    for ref in (asking.new_ref(), asking.new_ref(), asking.new_ref()):
        asking.put_to("ann", ref, ReadCustomer(ref, "ann"), answers.append)
    asking.reached(0, line)
    answer(asking.ask_again(0))
    asking.answered(0, CustomerRead(1, None))
    line.sent.clear()
    answer(asking.ask_again(0))
    assert line.sent == [ReadCustomer(2, "ann"), ReadCustomer(3, "ann")]
    assert (answers, len(asking)) == ([CustomerRead(1, None)], 2)


def test_an_answer_counts_once() -> None:
    """A repeat is for nobody, and one of a cell that is gone as well."""
    asking, answers = Asking(2, None), list[Reply]()
    asking.put_at(0, 1, ReadCustomer(1, "ann"), answers.append)
    asking.put_at(1, 2, ReadCustomer(2, "bob"), answers.append)
    asking.answered(0, CustomerRead(1, None))
    asking.answered(0, CustomerRead(1, None))
    assert asking.remove(1) == (["bob"], {})
    asking.answered(1, CustomerRead(2, None))
    assert (answers, len(asking)) == ([CustomerRead(1, None)], 1)


def test_who_asked_for_a_member_hears_of_the_member() -> None:
    """Its home answers that it does not have the identity; whose it was, the asker knows by the name it asked for."""
    asking, answers = Asking(1, None), list[Reply]()
    asking.put_for("ann", "bob", 1, ReadCustomer(1, "ann"), answers.append)
    asking.put_to("bob", 2, ReadCustomer(2, "bob"), answers.append)
    for ref in (1, 2):
        asking.answered(0, Unlinked(ref, "web:1", "bob"))
    assert answers == [Unlinked(1, "web:1", "ann"), Unlinked(2, "web:1", "bob")]


def test_what_would_overtake_is_answered_and_not_asked_again() -> None:
    """An input behind one that was sent on is sent on too; whoever asked hears it when the others were asked."""
    asking, line, answers = Asking(1, None), KeptLine(), list[Reply]()
    asking.overtaking = lambda asked: [Moved(each.ref, "web:1", "bob") for each in asked if each.customer == "ann"]
    for ref, customer in ((1, "ann"), (2, "cat")):
        asking.put_at(0, ref, _input(ref, customer), answers.append)
    asking.reached(0, line)
    overtaking = asking.ask_again(0)
    assert [(each.ref, each.again) for each in line.sent] == [(2, True)]
    assert answers == []
    answer(overtaking)
    assert answers == [Moved(1, "web:1", "bob")]


def test_what_would_overtake_is_answered_by_whom_it_was_meant_for() -> None:
    """As its cell would: it is asked of the home, and whoever asked knows the customer by its own name."""
    asking, line, answers = Asking(1, None), KeptLine(), list[Reply]()
    asking.overtaking = lambda asked: [Unlinked(each.ref, "web:1", each.customer) for each in asked]
    asking.put_for("ann", "bob", 1, _input(1, "ann"), answers.append)
    asking.reached(0, line)
    answer(asking.ask_again(0))
    assert (line.sent, answers) == ([], [Unlinked(1, "web:1", "ann")])


def test_events_under_way_are_found_by_their_customers() -> None:
    """Other questions are none, and other customers' are not theirs."""
    asking = Asking(1, None)
    for ref, customer in ((1, "ann"), (2, "bob")):
        asking.put_at(0, ref, _input(ref, customer), lambda _: None)
    asking.put_at(0, 3, ReadCustomer(3, "ann"), lambda _: None)
    assert [event.id for event in asking.inputs_of({"ann"})] == ["one"]


async def test_a_bug_in_who_asked_for_nobody_is_a_fault() -> None:
    """As in who is answered by a cell: this answer comes in a turn of its own, where a loop would only log it."""
    cells = Cells(1)

    def broken(reply: Reply) -> None:
        raise ValueError("a bug")

    cells.ask("", lambda ref: ReadCustomer(ref, ""), broken)
    with pytest.raises(ValueError, match="a bug"):
        async with asyncio.timeout(5):
            await cells.fault.raised()
