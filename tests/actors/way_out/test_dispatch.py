"""Attempts go to one of those who serve their account, and to who has somebody to take them."""

from msgspec.structs import replace

from actors.way_out.dispatch import Dispatch
from actors.way_out.untaken import Untaken
from protocol.links import AnyLink, Attempt

SERVED_BY = {"chat": "gateway", "mail": "channels"}


class Wire:
    """A line that keeps what it is given."""

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.open = True
        self.full = False
        self.sent: list[Attempt] = []

    def send(self, message: AnyLink) -> None:
        """Keeps it."""
        assert isinstance(message, Attempt)
        self.sent.append(message)

    @property
    def given(self) -> list[str]:
        """The deliveries, a second time with a `+`."""
        return [each.delivery + "+" * each.again for each in self.sent]


class Room:
    """A cell's dispatch with two gateways and a channel host."""

    def __init__(self) -> None:
        self.untaken = Untaken()
        self.served_by = dict(SERVED_BY)
        self.dispatch = Dispatch(self.served_by, self.untaken.takes)
        self.one, self.two, self.channels = Wire("gateway:0"), Wire("gateway:1"), Wire("channels:0")

    def open(self, *wires: Wire, fresh: bool = True) -> None:
        """They are there."""
        for wire in wires:
            wire.open = True
            self.dispatch.opened(wire, fresh=fresh)

    def taken(self, wire: Wire, *accounts: str) -> None:
        """All that is taken there now."""
        self.untaken.takers_are(wire.peer, accounts)
        self.dispatch.takers_changed()


def attempt(delivery: str, account: str = "chat", customer: str = "cu1", conversation: str = "cu1-1") -> Attempt:
    """The first one of a delivery."""
    return Attempt(customer, conversation, delivery, 1, account, account, f"{account}:1", "hello", "", [])


def test_an_attempt_goes_where_its_account_is_taken() -> None:
    """Whichever gateway came last; and to any of them where it is nowhere, who then says so."""
    room = Room()
    room.open(room.two, room.one, room.channels)
    room.dispatch.start(attempt("a"))
    assert room.two.given + room.one.given == ["a"]
    room.taken(room.two, "chat")
    for delivery in "bcd":
        room.dispatch.start(attempt(delivery))
    room.dispatch.start(attempt("m", "mail"))
    assert room.two.given[-3:] == ["b", "c", "d"]
    assert room.channels.given == ["m"]
    room.taken(room.two)
    room.taken(room.one, "chat")
    room.dispatch.start(attempt("e"))
    assert room.one.given[-1:] == ["e"]


def test_of_two_that_take_it_the_less_busy_one_gets_it() -> None:
    """What is over makes nobody busy."""
    room = Room()
    room.open(room.one, room.two)
    room.taken(room.one, "chat")
    room.taken(room.two, "chat")
    for delivery in "abcd":
        room.dispatch.start(attempt(delivery))
    assert (room.one.given, room.two.given) == (["a", "c"], ["b", "d"])
    for delivery in "bd":
        room.dispatch.settle(delivery)
    for delivery in "ef":
        room.dispatch.start(attempt(delivery))
    assert room.two.given == ["b", "d", "e", "f"]


def test_it_waits_for_the_gateway_that_has_a_taker() -> None:
    """Another one would only say that it has none; unless somebody takes it there meanwhile."""
    room = Room()
    room.open(room.one, room.two)
    room.taken(room.two, "chat")
    room.two.open = False
    room.dispatch.start(attempt("a"))
    assert (room.one.given, room.two.given) == ([], [])
    assert room.dispatch.unwritten("cu1")
    room.open(room.two, fresh=False)
    assert room.two.given == ["a"]
    room.two.open = False
    room.dispatch.start(attempt("b"))
    room.taken(room.one, "chat")
    assert (room.one.given, room.two.given) == (["b"], ["a"])
    room.open(room.two, fresh=False)
    assert (room.one.given, room.two.given) == (["b"], ["a"])


def test_only_who_had_it_is_given_it_again() -> None:
    """As one that may have been made: another gateway's new life never had it, and would say that it is uncertain."""
    room = Room()
    room.open(room.one, room.two)
    room.taken(room.two, "chat")
    room.dispatch.start(attempt("a"))
    room.open(room.one)
    assert room.one.given == []
    room.open(room.two, fresh=False)
    assert room.two.given == ["a"]
    room.open(room.two)
    assert room.two.given == ["a", "a+"]
    room.dispatch.settle("a")
    room.open(room.two)
    assert (len(room.dispatch), room.two.given) == (0, ["a", "a+"])


def test_one_that_is_loaded_anew_goes_again_to_who_has_it() -> None:
    """A journey leaves memory and comes back within one life of its cell; elsewhere nobody knows the attempt."""
    room = Room()
    room.open(room.one, room.two)
    room.taken(room.one, "chat")
    room.taken(room.two, "chat")
    for delivery in ("a", "b", "c"):
        room.dispatch.start(attempt(delivery))
    had, other = (room.one, room.two) if "a" in room.one.given else (room.two, room.one)
    for delivery in [each for each in had.given if each != "a"]:
        room.dispatch.settle(delivery)
    room.dispatch.settle(other.given[0])
    before = list(other.given)
    room.dispatch.start(replace(attempt("a"), again=True))
    assert (had.given[-1], other.given) == ("a+", before)
    had.open = False
    room.dispatch.start(replace(attempt("a"), again=True))
    assert (had.given[-1], other.given) == ("a+", before)
    room.dispatch.start(replace(attempt("a"), number=2))
    assert other.given == [*before, "a"]


def test_what_is_another_cells_is_not_given_again_from_here() -> None:
    """Its new cell looks after it; what is still this one's goes on, and who has left makes nobody busy."""
    room = Room()
    room.open(room.one)
    room.dispatch.start(attempt("a", customer="cu1"))
    room.dispatch.start(attempt("b", customer="cu2", conversation="cu2-1"))
    room.dispatch.start(attempt("c", customer="cu2", conversation="cu3-1"))
    room.dispatch.forget("cu1")
    room.dispatch.forget_of(["cu3"])
    assert (len(room.dispatch), room.dispatch.of_account("chat")) == (1, 1)
    room.open(room.one)
    assert room.one.given == ["a", "b", "c", "b+"]
    room.open(room.two)
    room.taken(room.one, "chat")
    room.taken(room.two, "chat")
    for delivery in "de":
        room.dispatch.start(attempt(delivery))
    assert (room.one.given[-1], room.two.given) == ("e", ["d"])


def test_who_waits_for_nobody_may_leave_memory() -> None:
    """It waits while an attempt of its own has no line, and of which account, is counted."""
    room = Room()
    room.open(room.one)
    room.dispatch.start(attempt("a"))
    room.dispatch.start(attempt("m", "mail", "cu2", "cu2-1"))
    assert (room.dispatch.unwritten("cu1"), room.dispatch.unwritten("cu2")) == (False, True)
    assert [room.dispatch.of_account(account) for account in ("chat", "mail", "sms")] == [1, 1, 0]
    room.open(room.channels)
    assert (room.dispatch.unwritten("cu2"), room.channels.given) == (False, ["m"])


def test_who_had_it_is_asked_again_though_its_account_is_gone() -> None:
    """What it was given it may have made: a life that does not know of it says so, and nobody else can."""
    room = Room()
    room.open(room.one)
    room.dispatch.start(attempt("a"))
    del room.served_by["chat"]
    room.open(room.one)
    assert room.one.given == ["a", "a+"]
    room.dispatch.start(replace(attempt("a"), again=True))
    assert room.one.given == ["a", "a+", "a+"]


def test_what_nobody_was_given_is_known() -> None:
    """Nobody was there who serves its account; what somebody was given is theirs to tell."""
    room = Room()
    room.dispatch.start(attempt("a"))
    assert room.dispatch.not_given() == [attempt("a")]
    del room.served_by["chat"]
    room.open(room.one)
    assert (room.dispatch.not_given(), room.one.given) == ([attempt("a")], [])
    room.served_by["chat"] = "gateway"
    room.open(room.one)
    assert (room.dispatch.not_given(), room.one.given) == ([], ["a"])
