"""Seats: in dedicated placement, a gateway's or channel host's copy of who sits where, as the usher tells it.

    a customer that sits nowhere, as far as is known      Locate ──▶ usher ──▶ SeatIs, when it sits
    a seat that was said to be there                      a line to it
    a seat that denies a customer (`Elsewhere`)           Locate, with the turn that is denied

As many entries as there are seats, so the cap bounds it. It may be behind: the seat itself says who it has.
"""

from collections.abc import Callable

from actors.lines import Line
from orchestrator.cell_lines.cells import Cells
from orchestrator.cell_lines.places import NOWHERE
from protocol.links import AnyFromUsher, AnyLink, Locate, SeatGone, SeatIs, SeatsAre, TakersAre


class Seats:
    """`reach` begins to dial a seat, `leave` ends that. Set `cells` before the usher's line opens."""

    def __init__(self, reach: Callable[[int], None], leave: Callable[[int], None]) -> None:
        self._reach = reach
        self._leave = leave
        self._usher: Line | None = None
        self._seat_of: dict[str, int] = {}
        self._seats: dict[int, SeatIs] = {}
        self._sought: dict[str, int] = {}
        """Customers that the usher was asked for; the turn that was denied."""
        self._takers = TakersAre([])
        self.cells: Cells

    def cell_of(self, customer: str) -> int:
        """See `Places`."""
        return self._seat_of.get(customer, NOWHERE)

    def sitting_at(self, index: int) -> str:
        """See `Places`."""
        said = self._seats.get(index)
        return said.sitting if said is not None else ""

    def look_for(self, customer: str) -> None:
        """See `Places`."""
        self._seek(customer, 0)

    def denied(self, customer: str, index: int) -> None:
        """See `Places`."""
        said = self._seats.get(index)
        if said is not None and said.customer == customer:
            self._seat_of.pop(customer, None)
            self._seek(customer, said.turn)
        else:
            self.look_for(customer)

    def takers_are(self, accounts: TakersAre) -> None:
        """See `Places`."""
        self._takers = accounts
        if self._usher is not None:
            self._usher.send(accounts)

    def unreachable(self) -> list[str]:
        """See `Places`."""
        if self._usher is None or not self._usher.open:
            return ["usher"]
        return [] if any(map(self.cells.is_open, self._seats)) else ["any cell"]

    def figures(self) -> dict[str, int]:
        """For operators."""
        return {"seats": len(self._seats), "seats_in_use": len(self._seat_of), "waiting_customers": len(self._sought)}

    # The usher's line

    def opened(self, line: Line, *, fresh: bool) -> None:
        """A new usher is asked again for whom the former one had not found; its turns are new ones."""
        self._usher = line
        if fresh:
            if self._takers.accounts:
                line.send(self._takers)
            self._sought = dict.fromkeys(self._sought, 0)
            self._ask_again(line)

    def closed(self, line: Line) -> None:
        """It reconnects by itself; customers with a seat can be reached meanwhile."""

    def broke(self, exc: Exception) -> None:
        """Whoever runs the cells ends with it."""
        self.cells.broke(exc)

    def received(self, line: Line, message: AnyLink) -> None:
        """The usher's word."""
        assert isinstance(message, AnyFromUsher), message
        match message:
            case SeatIs():
                self._sits(message)
            case SeatGone():
                self._gone(message.seat, lost=message.lost)
            case SeatsAre():
                for seat in set(self._seats) - {said.seat for said in message.seats}:
                    self._gone(seat, lost=True)
                for said in message.seats:
                    self._sits(said)
                # A customer that is sought may have sat since, and left, and nobody was told: nothing is told one by
                # one before everything is, and the usher has met the wish.
                self._ask_again(line)

    def _sits(self, said: SeatIs) -> None:
        known = self._seats.get(said.seat)
        if known is None:
            self.cells.sittings.joined(said.seat)
            self._reach(said.seat)
        elif known.customer != said.customer and self._seat_of.get(known.customer) == said.seat:
            del self._seat_of[known.customer]
            self.cells.sittings.displaced(known.customer, said.seat)
        self._seats[said.seat] = said
        if said.customer:
            before = self._seat_of.get(said.customer, NOWHERE)
            if before == said.seat and known is not None and known.sitting == said.sitting:
                before = NOWHERE  # It has not left: what was asked of it there is there.
            self._seat_of[said.customer] = said.seat
            self._sought.pop(said.customer, None)
            self.cells.sittings.moved(said.customer, said.seat, before=before)

    def _gone(self, seat: int, *, lost: bool) -> None:
        said = self._seats.pop(seat, None)
        if said is None:
            return
        if self._seat_of.get(said.customer) == seat:
            del self._seat_of[said.customer]
            self.cells.sittings.displaced(said.customer, seat)
        self._leave(seat)
        self.cells.sittings.gone(seat, lost=lost)

    def _seek(self, customer: str, denied: int) -> None:
        if self._sought.get(customer, -1) >= denied:
            return  # The usher knows.
        self._sought[customer] = denied
        if self._usher is not None:
            self._usher.send(Locate(customer, denied))

    def _ask_again(self, usher: Line) -> None:
        for customer, denied in self._sought.items():
            usher.send(Locate(customer, denied))
