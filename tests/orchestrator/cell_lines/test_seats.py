"""A gateway's side of dedicated placement: its copy of who sits where, and questions whose customers move."""

from orchestrator.cell_lines.cells import Cells
from orchestrator.cell_lines.places import NOWHERE
from orchestrator.cell_lines.questions import Reply
from orchestrator.cell_lines.seats import Seats
from protocol.links import (
    AnyLink,
    CustomerRead,
    Elsewhere,
    ForSitting,
    ListWatched,
    Locate,
    Overflowed,
    ReadCustomer,
    SeatGone,
    SeatIs,
    SeatsAre,
    WatchList,
)


class Line:
    """Collects what is sent."""

    open = True
    full = False

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.said: list[AnyLink] = []
        self.sittings: list[str] = []
        """Those it asked in."""

    def send(self, message: AnyLink) -> None:
        if isinstance(message, ForSitting):
            self.sittings.append(message.sitting)
        else:
            self.said.append(message)


class Front:
    """Cells with seats, and an usher's line."""

    def __init__(self) -> None:
        self.reached: list[int] = []
        self.answers: list[Reply] = []
        self.moved: list[str] = []
        self.fresh: list[int] = []
        self.lines: dict[int, Line] = {}
        self.seats = Seats(self.reached.append, self.reached.remove)
        self.cells = self.seats.cells = Cells(0, self.seats)
        self.cells.on_moved = self.moved.append
        self.cells.on_fresh = self.fresh.append
        self.usher = Line("usher")
        self.seats.opened(self.usher, fresh=True)

    def hear(self, message: AnyLink) -> None:
        self.seats.received(self.usher, message)

    def up(self, index: int) -> Line:
        """The line to a seat opens, to a new life of it."""
        self.lines[index] = Line(f"cell:{index}")
        self.cells.opened(self.lines[index], fresh=True)
        return self.lines[index]

    def ask(self, customer: str) -> int:
        """Asks something; returns its ref."""
        refs: list[int] = []

        def make(ref: int) -> ReadCustomer:
            refs.append(ref)
            return ReadCustomer(ref, customer)

        self.cells.ask(customer, make, self.answers.append)
        return refs[0]

    def answer(self, index: int, ref: int) -> CustomerRead:
        answer = CustomerRead(ref, None)
        self.cells.received(self.lines[index], answer)
        return answer


def test_who_sits_nowhere_is_looked_for_once_and_asked_in_order() -> None:
    """However much is asked meanwhile; the seat is dialled as it is named."""
    front = Front()
    for _ in range(3):
        front.ask("ann")
    assert front.usher.said == [Locate("ann", 0)]
    front.hear(SeatIs(4, "ann", 1))
    assert front.reached == [4]
    assert front.up(4).said == [ReadCustomer(ref, "ann") for ref in (4, 5, 6)]
    assert (front.cells.unanswered, front.moved) == (3, ["ann"])


def test_what_a_seat_denies_goes_on_in_order_where_the_customer_sits() -> None:
    """All that followed, too; the usher is told which seating was denied."""
    front = Front()
    front.hear(SeatIs(0, "ann", 7))
    front.up(0)
    refs = [front.ask("ann"), front.ask("ann")]
    front.cells.received(front.lines[0], Elsewhere(refs[0]))
    refs.append(front.ask("ann"))
    front.cells.received(front.lines[0], Elsewhere(refs[1]))
    assert front.usher.said == [Locate("ann", 7)]
    front.hear(SeatIs(1, "ann", 8))
    assert front.up(1).said == [ReadCustomer(ref, "ann") for ref in (4, 5, 6)]
    for ref, done in zip((4, 5, 6), range(3), strict=True):
        assert len(front.answers) == done
        front.answer(1, ref)
    assert front.cells.unanswered == 0


def test_an_answer_that_crosses_the_word_of_a_move_still_counts() -> None:
    """And one that comes after the question was asked anew does not count twice."""
    front = Front()
    front.hear(SeatIs(0, "ann", 1))
    front.up(0)
    first, second = front.ask("ann"), front.ask("ann")
    front.hear(SeatIs(0, "bob", 2))
    answered = front.answer(0, first)
    assert front.answers == [answered]
    front.cells.received(front.lines[0], Elsewhere(second))
    assert front.usher.said == [Locate("ann", 0)]
    front.hear(SeatIs(1, "ann", 3))
    assert front.up(1).said == [ReadCustomer(second + 1, "ann")]
    front.answer(0, second)
    assert front.answers == [answered]
    assert front.answers == [answered, front.answer(1, second + 1)]


def test_a_denial_of_a_former_sitting_says_nothing_of_this_one() -> None:
    """The usher's line is the quicker one: it says that the customer left and came back, and then the seat's own
    denial arrives. Taken for this sitting's it would send the customer's questions to nowhere for ever."""
    front = Front()
    front.hear(SeatIs(1, "ann", 5))
    line = front.up(1)
    first = front.ask("ann")
    front.hear(SeatIs(1, "", 6))
    front.hear(SeatIs(1, "ann", 7))
    assert line.said == [ReadCustomer(first, "ann"), ReadCustomer(first + 1, "ann")]
    front.cells.received(line, Elsewhere(first))
    assert (front.seats.cell_of("ann"), front.cells.unanswered) == (1, 1)
    assert front.answers == [front.answer(1, first + 1)]


def test_one_that_left_and_came_back_unheard_is_asked_anew() -> None:
    """A line that was full said nothing of the leaving, and then everything at once."""
    front = Front()
    front.hear(SeatIs(1, "ann", 5, "one"))
    line = front.up(1)
    first = front.ask("ann")
    front.hear(SeatsAre([SeatIs(1, "ann", 7, "two")]))
    front.cells.received(line, Elsewhere(first))
    assert line.said == [ReadCustomer(first, "ann"), ReadCustomer(first + 1, "ann")]
    front.hear(SeatIs(1, "ann", 8, "two"))
    assert len(line.said) == 2, "it has not left since"
    assert front.answers == [front.answer(1, first + 1)]


def test_who_asks_says_in_which_sitting() -> None:
    """Before the first question of it, and before all that a new life of the seat is asked."""
    front = Front()
    front.ask("ann")
    front.hear(SeatIs(1, "ann", 5, "one"))
    assert front.up(1).sittings == ["one"]
    line = front.up(1)
    front.hear(SeatIs(1, "", 6, "one"))
    front.hear(SeatIs(1, "ann", 7, "two"))
    assert line.sittings == ["one", "two"]


def test_a_seat_that_dies_leaves_nothing_unasked() -> None:
    """Its customer is looked for, its lists have nothing to show, and who watched it or its former ones looks again."""
    front = Front()
    front.hear(SeatIs(0, "ann", 1))
    front.up(0)
    front.hear(SeatIs(0, "bob", 2))
    ref = front.ask("bob")
    front.cells.ask_cell(0, lambda ref: WatchList(ref, "queue:default"), front.answers.append)
    front.moved.clear()
    front.hear(SeatGone(0, lost=True))
    assert front.answers == [ListWatched(ref + 1, "queue:default", 0)]
    assert front.usher.said == [Locate("bob", 0)]
    assert front.moved == ["ann", "bob"]
    assert (front.reached, front.cells.indexes, front.seats.cell_of("bob")) == ([], [], NOWHERE)


def test_a_seat_that_ended_as_it_was_told_lost_nothing() -> None:
    """Nobody has to look again."""
    front = Front()
    front.hear(SeatIs(0, "ann", 1))
    front.up(0)
    front.hear(SeatIs(0, "", 2))
    front.moved.clear()
    front.hear(SeatGone(0, lost=False))
    assert front.moved == []


def test_what_a_full_line_lost_may_be_of_customers_that_have_left() -> None:
    """So whoever sits nowhere is looked at as well."""
    front = Front()
    front.hear(SeatIs(0, "ann", 1))
    line = front.up(0)
    front.fresh.clear()
    front.cells.received(line, Overflowed())
    assert front.fresh == [0, NOWHERE]


def test_a_seats_new_life_is_watched_anew_without_the_ushers_word() -> None:
    """Where both died together nobody says that its customer moved: it is found where it sat."""
    front = Front()
    front.hear(SeatIs(0, "ann", 1))
    front.up(0)
    front.fresh.clear()
    front.moved.clear()
    front.up(0)
    assert (front.fresh, front.moved) == ([0], [])


def test_a_new_usher_is_asked_again_and_its_word_is_the_whole_truth() -> None:
    """Seats it does not name are gone; who sits where they sat is watched anew, since a move may have gone unheard."""
    front = Front()
    for seat, customer in ((0, "ann"), (1, "bob")):
        front.hear(SeatIs(seat, customer, seat + 1))
        front.up(seat)
    front.ask("cat")
    front.moved.clear()
    front.usher = Line("usher")
    front.seats.opened(front.usher, fresh=True)
    assert front.usher.said == [Locate("cat", 0)]
    front.hear(SeatsAre([SeatIs(0, "ann", 1)]))
    assert (front.cells.indexes, front.moved) == ([0], ["bob", "ann"])
    assert front.cells.unreachable() == []


def test_who_sat_and_left_before_everything_was_told_is_sought_again() -> None:
    """A new usher hears who sits before it tells anyone: the wish is met for it, and nobody was told."""
    front = Front()
    front.ask("ann")
    front.usher.said.clear()
    front.hear(SeatsAre([SeatIs(0, "bob", 7)]))
    assert front.usher.said == [Locate("ann", 0)]
    front.hear(SeatsAre([SeatIs(0, "bob", 7), SeatIs(1, "ann", 8)]))
    assert front.usher.said == [Locate("ann", 0)]
