"""Watchers: what a line that is full loses, it hears of when it has room again; a new life has no subscriptions."""

from msgspec import Raw

from actors.way_out.watching import Watchers
from orchestrator.cell_lines.cells import Cells
from protocol.journal import Entry
from protocol.links import AnyLink, HeadsAre, Overflowed, Updated

ENTRY = Entry("cu1-1", 1, Raw(b"\xc0"))


class Line:
    """A line that is full when the test says so."""

    def __init__(self, peer: str = "gateway:0") -> None:
        self.peer = peer
        self.open = True
        self.full = False
        self.said: list[AnyLink] = []

    def send(self, message: AnyLink) -> None:
        self.said.append(message)


def test_a_full_line_loses_the_update_and_hears_so_once() -> None:
    """Nobody waits for it, and it does not stay behind unknowingly."""
    watchers, slow, quick = Watchers(), Line("gateway:0"), Line("gateway:1")
    for line in (slow, quick):
        watchers.watch("cu1-1", line)
    slow.full = True
    watchers.update("cu1", [ENTRY])
    watchers.send_overflowed()
    assert (slow.said, len(quick.said)) == ([], 1)
    slow.full = False
    watchers.send_overflowed()
    watchers.send_overflowed()
    assert slow.said == [Overflowed()]


def test_lost_heads_are_lost_aloud_too() -> None:
    """Else a conversation that goes quiet would hide what was lost."""
    watchers, line = Watchers(), Line()
    watchers.watch("cu1-1", line)
    watchers.update("cu1", [ENTRY])
    line.full = True
    watchers.send_heads()
    line.full = False
    watchers.send_overflowed()
    assert [type(message) for message in line.said] == [Updated, Overflowed]


def test_heads_are_said_of_what_moved() -> None:
    """Once, and only to who watches."""
    watchers, line, other = Watchers(), Line("gateway:0"), Line("gateway:1")
    watchers.watch("cu1-1", line)
    watchers.watch("cu2-1", other)
    watchers.update("cu1", [ENTRY])
    watchers.send_heads()
    watchers.send_heads()
    assert line.said[1:] == [HeadsAre({"cu1-1": 1})]
    assert other.said == []


def test_a_new_life_of_a_peer_has_no_subscriptions() -> None:
    """Its former life's line is forgotten with them."""
    watchers, line = Watchers(), Line()
    watchers.watch("cu1-1", line)
    watchers.watch_list("queue:default", line)
    watchers.forget("gateway:0")
    watchers.update("cu1", [ENTRY])
    assert line.said == []
    assert watchers.counts() == {"watched_conversations": 0, "watched_lists": 0}


async def test_a_gateway_that_lost_something_returns_its_subscriptions() -> None:
    """To the one cell that said so."""
    cells = Cells(2)
    asked: list[int] = []
    cells.on_fresh = asked.append
    cells.received(Line("cell:1"), Overflowed())
    assert asked == [1]
