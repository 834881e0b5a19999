"""Questions whose customers come to a cell and leave it: each goes where its customer sits, once and in order."""

from collections.abc import Callable

from orchestrator.cell_lines.asking import Asking
from orchestrator.cell_lines.deciders import Deciders
from orchestrator.cell_lines.places import NOWHERE
from orchestrator.cell_lines.questions import Reply
from orchestrator.cell_lines.sittings import LEFT_MAX, Sittings
from protocol.inbound import InboundEvent, MessageArrived
from protocol.links import (
    CustomerRead,
    ForSitting,
    Input,
    ListWatched,
    Moved,
    PolicyIs,
    ReadCustomer,
    TakersAre,
    Unlinked,
    WatchList,
)
from tests.orchestrator.lines import KeptLine


class _Places:
    """Where customers are is what the test says; notes who is to be found."""

    def __init__(self) -> None:
        self.cells: dict[str, int] = {}
        self.looked_for: list[str] = []
        self.denials: list[tuple[str, int]] = []

    def cell_of(self, customer: str, /) -> int:
        return self.cells.get(customer, NOWHERE)

    def sitting_at(self, index: int) -> str:
        return f"sitting {index}"

    def look_for(self, customer: str) -> None:
        self.looked_for.append(customer)

    def denied(self, customer: str, index: int) -> None:
        self.denials.append((customer, index))

    def takers_are(self, accounts: TakersAre, /) -> None:
        raise AssertionError("nobody asks this here")

    def unreachable(self) -> list[str]:
        raise AssertionError("nobody asks this here")


class _Front:
    """Two cells that are reached, and customers that the test seats."""

    def __init__(self) -> None:
        self.places = _Places()
        self.asking = Asking(0, self.places)
        self.deciders = Deciders(self.asking)
        self.moved: list[str] = []
        self.sittings = Sittings(self.asking, self.deciders, self.places, self.moved.append)
        self.lines = [KeptLine(), KeptLine()]
        for index, line in enumerate(self.lines):
            self.sittings.joined(index)
            self.asking.reached(index, line)
        self.answers: list[Reply] = []

    def ask(self, customer: str) -> int:
        """Asks something; returns its ref."""
        ref = self.asking.new_ref()
        self.asking.put_to(customer, ref, ReadCustomer(ref, customer), self.answers.append)
        return ref

    def sits(self, customer: str, index: int) -> None:
        """The customer gets that cell."""
        before = self.places.cell_of(customer)
        self.places.cells[customer] = index
        self.sittings.moved(customer, index, before=before)

    def leaves(self, customer: str, index: int) -> None:
        """Another customer gets it."""
        del self.places.cells[customer]
        self.sittings.displaced(customer, index)

    def sent(self, index: int) -> list[tuple[int, str]]:
        """The questions that cell got since this was asked last: ref and customer."""
        line = self.lines[index]
        sent, line.sent = line.sent, []
        return [(each.ref, each.customer) for each in sent if not isinstance(each, ForSitting)]


def _input(ref: int, customer: str) -> Input:
    data = MessageArrived(text="hello")
    event = InboundEvent(
        id="one", source="shop", time_ms=1, account="chat", channel="chat", identities=["web:1"], data=data
    )
    return Input(ref, customer, True, event, ["web:1"], [], 1, 2, b"")


def test_what_waited_goes_to_the_cell_behind_the_name_of_the_sitting() -> None:
    """In order; who watches the customer hears of it, and other customers' questions wait on."""
    front = _Front()
    first, _, third = front.ask("ann"), front.ask("bob"), front.ask("ann")
    assert front.places.looked_for == ["ann", "bob", "ann"]
    front.sits("ann", 1)
    assert front.lines[1].sent == [
        ForSitting("sitting 1"),
        ReadCustomer(third + 1, "ann"),
        ReadCustomer(third + 2, "ann"),
    ]
    assert (first, front.moved, front.sent(0)) == (1, ["ann"], [])


def test_what_was_asked_of_the_cell_before_goes_along() -> None:
    """Also where that is the same one; the former asking's answer counts for nothing then."""
    front = _Front()
    front.sits("ann", 0)
    ref = front.ask("ann")
    front.sent(0)
    front.sits("ann", 1)
    assert front.sent(1) == [(ref + 1, "ann")]
    front.sits("ann", 1)
    assert front.sent(1) == [(ref + 2, "ann")]
    front.asking.answered(0, CustomerRead(ref, None))
    front.asking.answered(1, CustomerRead(ref + 1, None))
    assert front.answers == []
    front.asking.answered(1, CustomerRead(ref + 2, None))
    assert front.answers == [CustomerRead(ref + 2, None)]


def test_whom_a_question_was_meant_for_is_known_at_the_next_cell_too() -> None:
    """It was asked of whom that one was merged into, who denies the identity by its own name."""
    front = _Front()
    front.sits("bob", 0)
    ref = front.asking.new_ref()
    front.asking.put_for("ann", "bob", ref, ReadCustomer(ref, "ann"), front.answers.append)
    front.sits("bob", 1)
    front.asking.answered(1, Unlinked(ref + 1, "web:1", "bob"))
    assert front.answers == [Unlinked(ref + 1, "web:1", "ann")]


def test_a_displaced_customers_questions_are_answered_by_the_former_cell_or_denied() -> None:
    """An answer that was on its way counts; a denial has the customer looked for, and says nothing of the next cell."""
    front = _Front()
    front.sits("ann", 0)
    first, second = front.ask("ann"), front.ask("ann")
    front.leaves("ann", 0)
    assert front.places.looked_for == []
    front.asking.answered(0, CustomerRead(first, None))
    assert front.answers == [CustomerRead(first, None)]
    front.sittings.elsewhere(0, second)
    assert (front.places.looked_for, front.places.denials) == (["ann"], [])
    front.sits("ann", 1)
    assert front.sent(1) == [(second + 1, "ann")]


def test_what_follows_a_denied_question_waits_with_it() -> None:
    """Of that customer alone: the cell has another, who is asked on."""
    front = _Front()
    front.sits("ann", 0)
    front.sits("bob", 0)
    refs = [front.ask("ann"), front.ask("bob"), front.ask("ann")]
    front.sittings.elsewhere(0, refs[0])
    front.sittings.elsewhere(0, refs[2])
    assert (front.places.denials, front.places.looked_for) == ([("ann", 0)], [])
    front.places.cells["ann"] = NOWHERE
    front.sent(0)
    front.sits("ann", 1)
    assert front.sent(1) == [(refs[2] + 1, "ann"), (refs[2] + 2, "ann")]
    front.asking.answered(0, CustomerRead(refs[1], None))
    assert front.answers == [CustomerRead(refs[1], None)]


def test_a_cell_that_is_gone_has_its_customers_looked_for_and_its_lists_answered_as_empty() -> None:
    """Each customer once; also one that was displaced there before, whose answers do not come any more."""
    front = _Front()
    front.sits("ann", 0)
    front.ask("ann")
    front.leaves("ann", 0)
    front.sits("bob", 0)
    for _ in range(2):
        front.ask("bob")
    last = front.asking.new_ref()
    front.asking.put_at(0, last, WatchList(last, "queue:default"), front.answers.append)
    del front.places.cells["bob"]
    front.sittings.gone(0, lost=False)
    assert front.answers == [ListWatched(last, "queue:default", 0)]
    assert front.places.looked_for == ["bob", "ann"]
    assert list(front.asking.lines) == [1]
    front.sits("bob", 1)
    assert front.sent(1) == [(last + 1, "bob"), (last + 2, "bob")]


def test_a_cell_that_comes_in_the_place_of_one_that_is_gone_says_anew_what_it_decides_by() -> None:
    """Else who waits for a policy in all cells would go on before this one decides by it."""
    front = _Front()
    for index in (0, 1):
        front.deciders.said(index, PolicyIs(2, b""))
    front.sittings.gone(0, lost=True)
    assert front.deciders.behind(2) == []
    front.sittings.joined(0)
    front.asking.reached(0, front.lines[0])
    assert front.deciders.behind(2) == [0]


def test_who_watches_one_that_left_hears_of_it_where_its_last_words_may_be_lost() -> None:
    """Of a cell that died or is a new life, and of those that sit nowhere: who sits again was told of as it sat."""
    lost: tuple[Callable[[_Front], None], ...] = (
        lambda front: front.sittings.gone(0, lost=True),
        lambda front: front.sittings.renewed(0),
    )
    for happens, expected in [*((each, ["ann"]) for each in lost), (lambda f: f.sittings.gone(0, lost=False), [])]:
        front = _Front()
        for customer in ("ann", "bob"):
            front.sits(customer, 0)
            front.leaves(customer, 0)
        front.sits("bob", 1)
        front.moved.clear()
        happens(front)
        assert front.moved == expected


def test_a_new_life_answers_nothing_that_lingered_at_the_former_one() -> None:
    """So the customer is looked for, once."""
    front = _Front()
    front.sits("ann", 0)
    front.ask("ann")
    front.ask("ann")
    front.leaves("ann", 0)
    front.sittings.renewed(0)
    front.sittings.renewed(0)
    assert front.places.looked_for == ["ann"]


def test_of_those_that_left_a_cell_the_newest_are_remembered() -> None:
    """As many as a pipe can have unacknowledged; one that left again is new again."""
    front = _Front()
    for number in (*range(LEFT_MAX + 1), 1):
        front.sits(str(number), 0)
        front.leaves(str(number), 0)
    front.sits("one more", 0)
    front.leaves("one more", 0)
    front.moved.clear()
    front.sittings.renewed(0)
    assert front.moved == [*map(str, range(3, LEFT_MAX + 1)), "1", "one more"]


def test_what_would_overtake_is_answered_when_the_others_were_asked() -> None:
    """An input behind one that was sent on goes after it, and is not asked of the next cell."""
    front = _Front()
    front.asking.overtaking = lambda asked: [Moved(each.ref, "web:1", "bob") for each in asked if each.ref == 1]
    heard: list[list[int]] = []
    for ref in (1, 2):
        assert front.asking.new_ref() == ref
        front.asking.put_to(
            "ann", ref, _input(ref, "ann"), lambda reply: heard.append([reply.ref, len(front.lines[1].sent)])
        )
    front.sits("ann", 1)
    assert [(each.ref, each.again) for each in front.lines[1].sent[1:]] == [(3, True)]
    assert heard == [[1, 2]]
    front.asking.answered(1, Moved(3, "web:1", "bob"))
    assert heard == [[1, 2], [3, 2]]
