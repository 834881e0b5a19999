"""The lines to the cells: what is asked of a customer goes where its affairs are, also where that has no cell yet."""

from functools import partial

from orchestrator.cell_lines.cells import Cells
from orchestrator.cell_lines.places import NOWHERE
from protocol.links import Rehomed, TakersAre, WatchConversation
from tests.orchestrator.lines import KeptLine


class _Nowhere:
    """Nobody has a cell, until the test says so."""

    def cell_of(self, customer: str, /) -> int:
        return NOWHERE

    def sitting_at(self, index: int) -> str:
        return ""

    def look_for(self, customer: str) -> None:
        """The test finds them."""

    def denied(self, customer: str, index: int) -> None:
        raise AssertionError("nobody asks this here")

    def takers_are(self, accounts: TakersAre, /) -> None:
        """Nobody is woken."""

    def unreachable(self) -> list[str]:
        return []


class _Line(KeptLine):
    """Tells of watches alone."""

    def watched(self) -> list[tuple[str, str]]:
        """Of whom what was watched, since this was asked last."""
        sent, self.sent = self.sent, []
        return [(each.customer, each.conversation) for each in sent if isinstance(each, WatchConversation)]


def test_what_waits_for_another_ones_cell_comes_back_to_who_was_released() -> None:
    """Ann was Bob's, who released her and then became Carl's; the word on the latter came first."""
    cells, line = Cells(0, _Nowhere()), _Line()
    cells.sittings.joined(0)
    cells.opened(line, fresh=True)
    cells.received(line, Rehomed(0, "ann", "bob", 1))
    cells.ask("ann", lambda ref: WatchConversation(ref, "ann", "ann-1", -1), lambda reply: None)
    cells.ask("bob", lambda ref: WatchConversation(ref, "bob", "bob-1", -1), lambda reply: None)
    cells.received(line, Rehomed(0, "bob", "carl", 1))
    cells.received(line, Rehomed(0, "ann", "ann", 2))
    cells.sittings.moved("carl", 0, before=NOWHERE)
    assert line.watched() == [("carl", "bob-1")]
    cells.sittings.moved("ann", 0, before=NOWHERE)
    assert line.watched() == [("ann", "ann-1")]


def test_what_was_asked_behind_a_question_that_is_turned_away_goes_on_behind_it() -> None:
    """One by one, as each is turned away, a question that is asked meanwhile would come in between."""
    cells, line = Cells(1), _Line()
    cells.opened(line, fresh=True)
    for number in (1, 2):
        watch = partial(WatchConversation, customer="ann", conversation=f"ann-{number}", seq=-1)
        cells.ask("ann", watch, lambda reply: None)
    first, _ = line.sent
    line.watched()
    cells.received(line, Rehomed(first.ref, "ann", "bob", 1))
    cells.ask("ann", lambda ref: WatchConversation(ref, "ann", "ann-3", -1), lambda reply: None)
    assert line.watched() == [("bob", f"ann-{n}") for n in (1, 2, 3)]
