"""Seating: which customer sits in which seat. Pure; the usher carries out what it says.

    asked for ──▶ waiting ──(a free seat, else the idlest)──▶ coming ──(the seat says so)──▶ sitting ──▶ left
                     ▲                                                                         │
                     └────────────────────────── the seat is gone ─────────────────────────────┘

A seat is a cell of capacity one. All of this is a hint, since the journal's fences decide which cell writes for a
customer: what is said here may be late, or be forgotten with the usher, and nothing but time is lost.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from msgspec import Struct

from protocol.links import Release, SeatGone, SeatIs, Take

STARTING_MAX = 2
"""Seats asked for at once: starting one keeps a core busy for a third of a second, beside those that serve."""
LATE_MS = 2_000
"""How long a seat may take to make way: a commit takes milliseconds, and a customer nobody came for is waited for a
second. One that takes longer hangs, or waits for a channel host that is down; it gets nobody else until it speaks."""
EMPTY_MS = 60_000
"""How long more seats than the pool needs stay empty before one is ended: longer than a crowd's next wave."""


class Wanted(Struct, frozen=True):
    """Which seats there should be (`seats`), and which are to end (`over`); others stay as they are."""

    seats: list[int]
    over: list[int]


class ToSeat(Struct, frozen=True):
    """An effect: tell this seat."""

    seat: int
    message: Take | Release


class ToFronts(Struct, frozen=True):
    """An effect: tell every gateway and channel host."""

    message: SeatIs | SeatGone


Effect = ToSeat | ToFronts


@dataclass(slots=True)
class _Seat:
    index: int
    customer: str = ""
    coming: str = ""
    """Who was told to sit here next."""
    coming_due: bool = False
    told_ms: int = 0
    """When it was told so."""
    late: bool = False
    """It has not said so for too long, and the customer that was to sit here waits for another seat."""
    turn: int = 0
    sitting: str = ""
    touched_ms: int = 0
    """When its customer was last asked something; of an empty seat: since when it is."""
    over: bool = False
    """It is to end, and gets nobody any more."""


class Seating:
    """`seats_max` is the cap, `warm` how many empty seats are kept ahead. The first `warm` seats never end.

    Until `open` nobody is seated: seats that exist say first who sits in them.
    """

    def __init__(self, *, seats_max: int, warm: int) -> None:
        self._seats_max = seats_max
        self._warm = min(warm, seats_max)
        self._seats: dict[int, _Seat] = {}
        self._waiting: dict[str, bool] = {}
        """Customers without a seat that someone asks for, in the order of asking; whether time asks too. Bounded by the
        inputs that gateways hold."""
        self._overdue: dict[str, None] = {}
        """Those that time alone asks for; they come after. Bounded by the alarms that the usher reads at once."""
        self._evicted: dict[str, int] = {}
        """Customers that lost their seat to another below the cap, and when: more seats are worth having. As many as
        there may be seats, the longest gone first to be forgotten."""
        self._open = False
        self._turn = 0

    # What it is asked

    def seats(self) -> list[SeatIs]:
        """All seats there are."""
        return [_said(seat) for seat in self._seats.values()]

    def wanted(self) -> Wanted:
        """Seats for the customers that sit, wait or had to go, and for the pool kept ahead, within the cap; few at a
        time."""
        there = [seat for seat in self._seats.values() if not seat.over]
        taken = sum(1 for seat in there if seat.customer or seat.coming)
        wished = taken + self._waiting_count + len(self._evicted) + self._warm
        count = min(wished, self._seats_max, len(there) + STARTING_MAX)
        seats = sorted({seat.index for seat in there} | set(range(self._warm)))
        missing = (index for index in range(self._seats_max) if index not in self._seats and index >= self._warm)
        while len(seats) < count and (index := next(missing, None)) is not None:
            seats.append(index)
        return Wanted(seats, [seat.index for seat in self._seats.values() if seat.over])

    def figures(self) -> dict[str, int]:
        """For operators."""
        there = list(self._seats.values())
        return {
            "seats": len(there),
            "seats_max": self._seats_max,
            "seats_in_use": sum(1 for seat in there if seat.customer or seat.coming),
            "seats_free": sum(1 for seat in there if _is_free(seat)),
            "waiting_customers": self._waiting_count,
        }

    # What happens

    def open(self, now_ms: int) -> list[Effect]:
        """The seats that exist have had time to say who sits in them."""
        self._open = True
        return list(self._place(now_ms))

    def locate(self, customer: str, denied: int, now_ms: int) -> tuple[SeatIs | None, list[Effect]]:
        """Someone asks for the customer: the answer, where it sits; else it waits for a seat."""
        seat = self._holding(customer)
        if seat is not None and not seat.coming and seat.turn > denied:
            return _said(seat), []
        # The seat that it is coming to will say so. Not if another one still has it: then the new one is released, the
        # other lets the customer go, and nobody says anything; so it has to wait for a seat.
        if seat is not None or not self._is_coming(customer):
            self._waiting.setdefault(customer, False)
        return None, list(self._place(now_ms))

    def due(self, customer: str, now_ms: int) -> list[Effect]:
        """Time has come for the customer: it is woken where it sits, or on a seat it is given."""
        seat = self._holding(customer)
        if seat is not None and not seat.coming:
            return [ToSeat(seat.index, Take(customer, True))]
        if not self._is_coming(customer):  # Loading it, the seat sees what is due.
            self._overdue[customer] = None
        return list(self._place(now_ms))

    def sits(self, index: int, customer: str, now_ms: int, *, sitting: str = "") -> list[Effect]:
        """A seat says who sits in it, empty for nobody; one that was not there before is there now."""
        away = index not in self._seats
        seat = self._seats.setdefault(index, _Seat(index, touched_ms=now_ms))
        if seat.coming == customer:
            seat.coming = ""
        other = self._holding(customer) if customer else None
        if other is not None and other is not seat:
            # Both seats believe that they have the customer. If this one holds the newer fence, the other will find
            # out.
            return [ToSeat(index, Release(customer))]
        if customer and away and self._open:
            # It was cut off. Other seats may have had the customer since, so that its state may be old; and watchers
            # may have missed what it did meanwhile. They hear of that where the customer sits next.
            if not self._is_coming(customer):
                self._waiting[customer] = True
            return [ToSeat(index, Release(customer)), *self._place(now_ms)]
        if customer:
            self._waiting.pop(customer, None)
            self._overdue.pop(customer, None)
        seat.customer, seat.sitting, seat.touched_ms = customer, sitting, now_ms
        self._turn += 1
        seat.turn = self._turn
        return [ToFronts(_said(seat)), *self._place(now_ms)]

    def left(self, index: int, customer: str, now_ms: int) -> list[Effect]:
        """The customer has left the seat, which says next who comes."""
        seat = self._seats.get(index)
        if seat is not None and seat.customer == customer:
            seat.customer, seat.touched_ms = "", now_ms
        elif seat is not None and self._holding(customer) is None and not self._is_coming(customer):
            # It was released in favour of a seat that turned out not to have the customer.
            self._waiting[customer] = True
        return list(self._place(now_ms))

    def touched(self, index: int, now_ms: int) -> None:
        """The seat's customer was asked something."""
        if (seat := self._seats.get(index)) is not None:
            seat.touched_ms = now_ms

    def gone(self, index: int, now_ms: int) -> list[Effect]:
        """The seat's process is gone. Its customer is seated anew: work may be under way that nobody else knows of."""
        seat = self._seats.pop(index, None)
        if seat is None:
            return []
        if seat.coming and not seat.late:
            self._waiting.setdefault(seat.coming, seat.coming_due)
        if seat.customer:
            self._waiting[seat.customer] = True
        return [ToFronts(SeatGone(index, lost=not seat.over)), *self._place(now_ms)]

    def look(self, now_ms: int) -> list[Effect]:
        """Has the customer that was to sit on a seat that is late wait for another one."""
        for seat in self._seats.values():
            if seat.coming and not seat.late and now_ms - seat.told_ms >= LATE_MS:
                seat.late = True
                if self._holding(seat.coming) is None:
                    self._waiting.setdefault(seat.coming, seat.coming_due)
        return list(self._place(now_ms))

    def retire(self, now_ms: int) -> None:
        """Ends a seat where more have been empty for long than the pool needs; the next one later."""
        self._evicted = {who: at_ms for who, at_ms in self._evicted.items() if now_ms - at_ms < EMPTY_MS}
        idle = [s for s in self._seats.values() if _is_free(s) and now_ms - s.touched_ms >= EMPTY_MS]
        free = sum(1 for seat in self._seats.values() if _is_free(seat))
        extra = [seat for seat in idle if seat.index >= self._warm]
        if extra and free > self._warm and not self._waiting_count:
            max(extra, key=lambda seat: seat.index).over = True

    # Placing

    @property
    def _waiting_count(self) -> int:
        return len(self._waiting) + len(self._overdue)

    def _place(self, now_ms: int) -> Iterator[Effect]:
        """Gives seats to waiting customers, as far as there are seats to give."""
        while self._open and (seat := self._best()) is not None and (customer := self._first()) is not None:
            due = self._waiting.pop(customer, False) or customer in self._overdue
            self._overdue.pop(customer, None)
            self._evicted.pop(customer, None)
            if seat.customer:
                self._evict(seat.customer, now_ms)
            seat.coming, seat.coming_due, seat.late = customer, due, False
            seat.told_ms = seat.touched_ms = now_ms
            yield ToSeat(seat.index, Take(customer, due))

    def _evict(self, customer: str, now_ms: int) -> None:
        if len(self._seats) < self._seats_max:
            self._evicted[customer] = now_ms
            while len(self._evicted) > self._seats_max:
                del self._evicted[next(iter(self._evicted))]

    def _first(self) -> str | None:
        """The customer that has waited longest and sits nowhere. One that has still to leave its former seat waits:
        what it decided there is committed first."""
        left = (customer for customer in self._waiting if self._holding(customer) is None)
        overdue = (customer for customer in self._overdue if self._holding(customer) is None)
        return next(left, None) or next(overdue, None)

    def _is_coming(self, customer: str) -> bool:
        return any(seat.coming == customer and not seat.late for seat in self._seats.values())

    def _best(self) -> _Seat | None:
        """The lowest free seat, so that the last ones can end; else the idlest; None while all are changing hands."""
        able = [seat for seat in self._seats.values() if not seat.coming and not seat.over]
        return min(able, key=lambda s: (bool(s.customer), s.touched_ms if s.customer else s.index), default=None)

    def _holding(self, customer: str) -> _Seat | None:
        return next((seat for seat in self._seats.values() if seat.customer == customer), None)


def _is_free(seat: _Seat) -> bool:
    return not seat.customer and not seat.coming and not seat.over


def _said(seat: _Seat) -> SeatIs:
    return SeatIs(seat.index, seat.customer, seat.turn, seat.sitting)
