"""The pipes to the cells, which end while the usher still speaks."""

import asyncio
from collections.abc import Callable, Collection

import pytest

from actors.lines import LineOwner
from orchestrator.cell_lines.cells import Cells
from orchestrator.cell_lines.dialing import CellLines
from orchestrator.cell_lines.seats import Seats
from protocol.links import AnyLink, SeatGone, SeatIs


class Line:
    """Hears nothing."""

    open = True
    full = False
    peer = "usher"

    def send(self, message: AnyLink) -> None:
        """It goes nowhere."""


class Pipe:
    """`on_stop` is what happens elsewhere while it ends."""

    def __init__(self) -> None:
        self.ended = False
        self.on_stop: Callable[[], object] = list

    async def start(self) -> None:
        """At once."""

    async def stop(self) -> None:
        self.ended = True
        self.on_stop()


class Switchboard:
    """Pipes by their peers, and who is called there."""

    incarnation = "life"

    def __init__(self) -> None:
        self.pipes: dict[str, Pipe] = {}
        self.owners: dict[str, LineOwner] = {}

    def listen(self, owner: LineOwner) -> Pipe:
        raise AssertionError("a front dials")

    def dial(self, peer: str, owner: LineOwner) -> Pipe:
        self.owners[peer] = owner
        return self.pipes.setdefault(peer, Pipe())


async def _nobody_asks(customers: Collection[str]) -> set[str]:
    raise AssertionError(f"no customer is asked for, and {customers} were")


async def test_seats_that_come_and_go_while_it_stops_change_nothing() -> None:
    """All that are there end; none is begun that nobody would end."""
    switchboard = Switchboard()
    lines = CellLines(switchboard)
    cells = lines.dedicated(_nobody_asks)
    seats = switchboard.owners["usher"]
    assert isinstance(seats, Seats)
    assert isinstance(cells, Cells)
    await lines.start()
    usher = Line()
    seats.opened(usher, fresh=True)
    seats.received(usher, SeatIs(0, "", 1))
    seats.received(usher, SeatIs(1, "", 2))

    def others_come_and_go() -> None:
        switchboard.pipes["usher"].on_stop = list
        seats.received(usher, SeatGone(0, lost=True))
        seats.received(usher, SeatIs(2, "", 3))

    switchboard.pipes["usher"].on_stop = others_come_and_go
    await lines.stop()
    assert {peer: pipe.ended for peer, pipe in switchboard.pipes.items()} == {
        "usher": True,
        "cell:0": True,
        "cell:1": True,
    }


async def test_a_line_that_cannot_be_begun_breaks_whoever_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The seat was said to be there: its customers' questions would wait for it for ever."""
    switchboard = Switchboard()
    cells = CellLines(switchboard).dedicated(_nobody_asks)
    bug = ValueError("a bug")

    async def start() -> None:
        raise bug

    switchboard.pipes["cell:0"] = pipe = Pipe()
    monkeypatch.setattr(pipe, "start", start)
    seats = switchboard.owners["usher"]
    usher = Line()
    seats.opened(usher, fresh=True)
    seats.received(usher, SeatIs(0, "", 1))
    with pytest.raises(ValueError, match="a bug"):
        async with asyncio.timeout(5):
            await cells.fault.raised()
