"""Dedicated placement: between the usher, the seats, gateways and channel hosts."""

from protocol.links.link import Link
from protocol.links.to_cell import TakersAre


class Take(Link, frozen=True, tag=70):
    """To a seat: this customer sits there next. `due`: time has come for it, whoever else may ask."""

    customer: str
    due: bool


class Release(Link, frozen=True, tag=71):
    """To a seat: should this customer sit there, it sits elsewhere by now and is to leave."""

    customer: str


class Sitting(Link, frozen=True, tag=72):
    """From a seat: who sits there now, empty for nobody; also its first word on a line. `position`: of the newest unit
    it knows of; the archive at that position has every timer that a former customer of the seat left behind.
    `sitting` names this sitting among all of all lives of the seat."""

    seat: int
    customer: str
    position: int
    sitting: str = ""


class Left(Link, frozen=True, tag=73):
    """From a seat: the customer has left memory, all it decided is committed, and time has something for it then."""

    customer: str
    due_ms: int | None


class Touched(Link, frozen=True, tag=74):
    """From a seat: its customer was asked something since it last said so."""


class Locate(Link, frozen=True, tag=75):
    """To the usher: where does this customer sit? Give it a seat if it has none. `denied` is the turn of a seating that
    the seat itself denied; 0 where there was none. The answer is a `SeatIs`, as soon as it sits."""

    customer: str
    denied: int


class SeatIs(Link, frozen=True, tag=76):
    """From the usher, to all: who sits there, empty for nobody. `turn` numbers what one life of the usher said;
    `sitting` is the seat's own name for it."""

    seat: int
    customer: str
    turn: int
    sitting: str = ""


class SeatGone(Link, frozen=True, tag=77):
    """From the usher, to all: there is no such seat now. `lost`: it was not told to end."""

    seat: int
    lost: bool


class SeatsAre(Link, frozen=True, tag=78):
    """From the usher: all seats there are. What was known before is void."""

    seats: list[SeatIs]


class ForSitting(Link, frozen=True, tag=79):
    """To a seat, from whoever asks: what is asked of its customer on this line from here on is asked in this sitting.
    In another one it is turned away, since something asked before it may have been, and is not to be overtaken."""

    sitting: str


AnyToSeat = Take | Release | ForSitting
AnyToUsher = Sitting | Left | Touched | Locate | TakersAre
AnyFromUsher = SeatIs | SeatGone | SeatsAre
