"""Seating: who gets which seat, and that everyone asked for gets one, whatever is said in whichever order."""

from collections import deque

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actors.seats.seating import EMPTY_MS, LATE_MS, STARTING_MAX, Effect, Seating, ToFronts, ToSeat, Wanted
from protocol.links import Release, SeatGone, SeatIs, Take


def seating(seats_max: int = 2, *, warm: int = 1, up: int = 0) -> Seating:
    """A seating that is open, with `up` empty seats."""
    made = Seating(seats_max=seats_max, warm=warm)
    made.open(0)
    for index in range(up):
        made.sits(index, "", 0)
    return made


def given(effects: list[Effect]) -> dict[int, str]:
    """By seat, who is told to sit there."""
    return {e.seat: e.message.customer for e in effects if isinstance(e, ToSeat) and isinstance(e.message, Take)}


def told(effects: list[Effect]) -> list[tuple[int, str]]:
    """What all are told of seats that are there."""
    return [
        (e.message.seat, e.message.customer)
        for e in effects
        if isinstance(e, ToFronts) and isinstance(e.message, SeatIs)
    ]


def sit(table: Seating, customer: str, seat: int, now_ms: int) -> None:
    """The customer is asked for, and the seat does as it is told."""
    answer, effects = table.locate(customer, 0, now_ms)
    assert answer is None
    assert given(effects) == {seat: customer}
    assert told(table.sits(seat, customer, now_ms)) == [(seat, customer)]


def test_a_free_seat_goes_first_and_then_the_idlest() -> None:
    """By when its customer was last asked something, not by when it came."""
    table = seating(2, up=2)
    sit(table, "ann", 0, 1)
    sit(table, "bob", 1, 2)
    table.touched(0, 3)
    _, effects = table.locate("cat", 0, 4)
    assert given(effects) == {1: "cat"}


def test_who_sits_is_answered_at_once_unless_the_seat_denies_it() -> None:
    """A seat that says no has said to the usher, too, that the customer left; that is waited for."""
    table = seating(1, up=1)
    sit(table, "ann", 0, 1)
    answer, effects = table.locate("ann", 0, 2)
    assert answer is not None
    assert (answer.seat, answer.customer, effects) == (0, "ann", [])
    assert table.locate("ann", answer.turn, 3) == (None, [])
    assert table.left(0, "ann", 4) == [ToSeat(0, Take("ann", False))]


def test_who_leaves_gets_no_other_seat_before_it_has_left() -> None:
    """What it decided is committed first."""
    table = seating(2, up=1)
    sit(table, "ann", 0, 1)
    _, effects = table.locate("bob", 0, 2)
    assert given(effects) == {0: "bob"}
    assert table.locate("ann", 0, 3) == (None, [])
    assert given(table.sits(1, "", 4)) == {}
    assert given(table.left(0, "ann", 5)) == {1: "ann"}


def test_who_sat_on_a_seat_that_is_gone_is_seated_again_unasked() -> None:
    """So is who was about to sit there; those whom time alone asks for come last."""
    table = seating(3, up=3)
    for number, name in enumerate(("ann", "bob", "cat")):
        sit(table, name, number, number)
    for name in ("dan", "eve", "fay"):
        table.locate(name, 0, 4)
    table.due("gus", 5)
    gone = table.gone(0, 6)
    assert ToFronts(SeatGone(0, lost=True)) in gone
    assert [given(table.sits(index, name, 7)) for index, name in ((1, "eve"), (2, "fay"))] == [{1: "dan"}, {2: "ann"}]
    assert given(table.sits(1, "dan", 8)) == {1: "gus"}


def test_two_seats_with_one_customer_keep_the_one_that_is_known() -> None:
    """The other is to let it go."""
    table = seating(2, up=2)
    sit(table, "ann", 0, 1)
    assert table.sits(1, "ann", 2) == [ToSeat(1, Release("ann"))]


def test_who_was_to_sit_on_a_seat_that_hangs_gets_another() -> None:
    """The one that hangs gets nobody until it speaks, and what it then says of who sits elsewhere is put right."""
    table = seating(2, up=2)
    sit(table, "ann", 0, 0)
    sit(table, "bob", 1, 1)
    _, effects = table.locate("cat", 0, 2)
    assert given(effects) == {0: "cat"}
    assert table.look(2 + LATE_MS - 1) == []
    assert given(table.look(2 + LATE_MS)) == {1: "cat"}
    table.left(1, "bob", 3000)
    table.sits(1, "cat", 3000)
    _, effects = table.locate("bob", 0, 3001)
    assert given(effects) == {1: "bob"}, "the seat of Cat, who sits; the other one hangs"
    table.left(0, "ann", 4000)
    assert table.sits(0, "cat", 4000) == [ToSeat(0, Release("cat"))]
    table.left(0, "cat", 4001)
    assert told(table.sits(0, "", 4001)) == [(0, "")]
    _, effects = table.locate("dan", 0, 4002)
    assert given(effects) == {0: "dan"}, "it has spoken"


def test_a_seat_that_was_taken_for_dead_and_speaks_again_lets_its_customer_go() -> None:
    """Others may have had it since, and have let it go as well: what the seat remembers of it may be old."""
    table = seating(2, up=2)
    sit(table, "ann", 0, 1)
    assert given(table.gone(0, 2)) == {1: "ann"}
    assert table.sits(0, "ann", 3) == [ToSeat(0, Release("ann"))]
    assert told(table.sits(1, "ann", 4)) == [(1, "ann")]
    table.left(0, "ann", 5)
    assert told(table.sits(0, "", 5)) == [(0, "")]
    table.left(1, "ann", 6)
    table.sits(1, "", 6)
    table.gone(0, 7)
    effects = table.sits(0, "ann", 8)
    assert effects[0] == ToSeat(0, Release("ann"))
    assert list(given(effects).values()) == ["ann"], "who watches has perhaps not heard of all it did there"


def test_who_was_released_and_is_nowhere_then_is_seated_again() -> None:
    """Two seats had her, and the one that let her go may have committed last: who watches has not heard of that."""
    table = seating(2, up=2)
    sit(table, "ann", 0, 1)
    table.sits(1, "ann", 2)
    table.left(0, "ann", 3)
    table.sits(0, "", 3)
    assert list(given(table.left(1, "ann", 4)).values()) == ["ann"]


def test_a_new_usher_takes_the_word_of_seats_that_are_there() -> None:
    """Before it seats anyone itself."""
    table = Seating(seats_max=2, warm=1)
    assert told(table.sits(0, "ann", 0)) == [(0, "ann")]


def test_time_wakes_where_the_customer_sits() -> None:
    """Without moving it."""
    table = seating(1, up=1)
    sit(table, "ann", 0, 1)
    assert table.due("ann", 2) == [ToSeat(0, Take("ann", True))]


def test_nobody_is_seated_before_it_is_open() -> None:
    """Seats that exist say first who sits there."""
    table = Seating(seats_max=2, warm=1)
    table.sits(0, "", 0)
    assert table.locate("ann", 0, 0) == (None, [])
    table.sits(1, "ann", 0)
    assert table.open(1) == [], "she sits already"


def test_seats_are_wanted_for_who_sits_who_had_to_go_and_the_pool() -> None:
    """A few at a time, up to the cap; those beyond the pool end when they have been empty for long."""
    table = seating(5, warm=1, up=1)
    assert table.wanted() == Wanted([0], [])
    sit(table, "ann", 0, 1)
    assert table.wanted() == Wanted([0, 1], [])
    table.locate("bob", 0, 2)
    assert len(table.wanted().seats) == 1 + STARTING_MAX, "Ann had to go, Bob comes, and one ahead"
    table.left(0, "ann", 3)
    table.sits(0, "bob", 3)
    for index in range(1, 5):
        table.sits(index, "", 4)
    assert table.wanted() == Wanted([0, 1, 2, 3, 4], [])
    for _ in range(9):
        table.retire(4 + EMPTY_MS)
    assert table.wanted() == Wanted([0, 1], [2, 3, 4])
    table.gone(4, 5)
    assert table.wanted() == Wanted([0, 1], [2, 3])


CUSTOMERS = [f"cu{number}" for number in range(6)]
SEATS_MAX = 3


class Seats(RuleBasedStateMachine):
    """Seats and an usher whose words take their time; both may be replaced. `sitting` is what is so."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ms = 0
        self.table = Seating(seats_max=SEATS_MAX, warm=1)
        self.table.open(0)
        self.sitting: dict[int, str] = {}
        self.inbox: dict[int, deque[Take | Release]] = {}
        self.wanted_by: set[str] = set()
        """Asked for since they were last said to sit somewhere."""

    def carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, ToSeat):
                self.inbox[effect.seat].append(effect.message)
            elif isinstance(effect.message, SeatIs):
                self.wanted_by.discard(effect.message.customer)

    @rule(customer=st.sampled_from(CUSTOMERS), denied=st.booleans())
    def asked_for(self, customer: str, *, denied: bool) -> None:
        turn = next((said.turn for said in self.table.seats() if said.customer == customer), 0) if denied else 0
        # A seat denies whom it has let go; the table hears of that in the same breath.
        if turn and customer in self.sitting.values():
            return
        self.wanted_by.add(customer)
        answer, effects = self.table.locate(customer, turn, self.now_ms)
        if answer is not None:
            self.wanted_by.discard(customer)
        self.carry_out(effects)

    @rule(customer=st.sampled_from(CUSTOMERS))
    def time_has_come(self, customer: str) -> None:
        self.carry_out(self.table.due(customer, self.now_ms))

    @precondition(lambda self: len(self.sitting) < SEATS_MAX)
    @rule()
    def a_seat_comes(self) -> None:
        index = next(index for index in range(SEATS_MAX) if index not in self.sitting)
        self.sitting[index], self.inbox[index] = "", deque()
        self.carry_out(self.table.sits(index, "", self.now_ms))

    @precondition(lambda self: self.sitting)
    @rule(data=st.data())
    def a_seat_dies(self, data: st.DataObject) -> None:
        index = data.draw(st.sampled_from(sorted(self.sitting)))
        del self.sitting[index], self.inbox[index]
        self.carry_out(self.table.gone(index, self.now_ms))

    @precondition(lambda self: self.sitting)
    @rule(data=st.data())
    def a_seat_is_cut_off_and_comes_back(self, data: st.DataObject) -> None:
        index = data.draw(st.sampled_from(sorted(self.sitting)))
        self.inbox[index].clear()
        self.carry_out(self.table.gone(index, self.now_ms))
        self.carry_out(self.table.sits(index, self.sitting[index], self.now_ms))

    @precondition(lambda self: any(self.inbox.values()))
    @rule(data=st.data())
    def a_seat_does_as_it_is_told(self, data: st.DataObject) -> None:
        self.obey(data.draw(st.sampled_from([index for index, waiting in self.inbox.items() if waiting])))

    @precondition(lambda self: any(self.sitting.values()))
    @rule(data=st.data())
    def an_idle_customer_leaves(self, data: st.DataObject) -> None:
        index = data.draw(st.sampled_from([index for index, customer in self.sitting.items() if customer]))
        self.leave(index)
        self.carry_out(self.table.sits(index, "", self.now_ms))

    @rule()
    def the_usher_is_replaced(self) -> None:
        self.table = Seating(seats_max=SEATS_MAX, warm=1)
        self.inbox = {index: deque() for index in self.sitting}
        for index, customer in self.sitting.items():
            self.carry_out(self.table.sits(index, customer, self.now_ms))
        self.carry_out(self.table.open(self.now_ms))
        for customer in sorted(self.wanted_by):
            self.carry_out(self.table.locate(customer, 0, self.now_ms)[1])

    @rule(by_ms=st.sampled_from([1, LATE_MS, EMPTY_MS]))
    def time_passes(self, by_ms: int) -> None:
        self.now_ms += by_ms
        self.carry_out(self.table.look(self.now_ms))
        self.table.retire(self.now_ms)
        for index in self.table.wanted().over:
            assert not self.sitting[index], "only an empty seat ends"
            del self.sitting[index], self.inbox[index]
            self.carry_out(self.table.gone(index, self.now_ms))

    def obey(self, index: int) -> None:
        message = self.inbox[index].popleft()
        here = self.sitting[index]
        if isinstance(message, Take):
            if here == message.customer:
                return
            if here:
                self.leave(index)
            self.sitting[index] = message.customer
            self.carry_out(self.table.sits(index, message.customer, self.now_ms))
        elif here == message.customer:
            self.leave(index)
            self.carry_out(self.table.sits(index, "", self.now_ms))

    def leave(self, index: int) -> None:
        customer, self.sitting[index] = self.sitting[index], ""
        self.carry_out(self.table.left(index, customer, self.now_ms))

    @invariant()
    def nobody_has_two_seats(self) -> None:
        known = [said.customer for said in self.table.seats() if said.customer]
        assert len(known) == len(set(known))

    @invariant()
    def what_is_wanted_is_within_the_cap_and_has_the_pool(self) -> None:
        wanted = self.table.wanted()
        assert 0 in wanted.seats
        assert len(wanted.seats) <= SEATS_MAX
        assert not set(wanted.seats) & set(wanted.over)

    def speak_all(self) -> None:
        for _ in range(1000):
            index = next((index for index, waiting in self.inbox.items() if waiting), None)
            if index is None:
                break
            self.obey(index)

    def teardown(self) -> None:
        """With one seat there, and all words heard, whoever was asked for has sat somewhere."""
        if not self.sitting:
            self.a_seat_comes()
        self.speak_all()
        assert not any(self.inbox.values())
        assert not self.wanted_by
        assert self.table.figures()["waiting_customers"] == 0


TestSeats = Seats.TestCase
TestSeats.settings = settings(max_examples=200, stateful_step_count=40)
