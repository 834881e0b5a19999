"""Told rows: what a former cell told late does not take the place of what is newer."""

import pytest

from orchestrator.gateway.websockets import told_rows
from orchestrator.gateway.websockets.told_rows import ToldRows
from protocol.entities import ConversationSummary
from protocol.links import ListChanged


def change(head: int, lists: list[str], left: list[str] | None = None, *, of: str = "cu1-1") -> ListChanged:
    """A conversation at a head, where it is then and where it was."""
    row = ConversationSummary(conversation=of, customer="cu1", head=head, owner="")
    return ListChanged(row, lists, left or [])


def test_an_older_row_is_not_told_after_a_newer_one() -> None:
    """The same head again is: it may be of other lists."""
    told = ToldRows()
    for head in (8, 9, 9):
        assert told.of(change(head, ["queue:default"])) == change(head, ["queue:default"])
    assert told.of(change(8, ["queue:default"])) is None


def test_what_was_left_is_told_all_the_same() -> None:
    """The cell that has the customer now did not see it leave; but it may have seen it come back."""
    told = ToldRows()
    told.of(change(9, ["queue:bills"]))
    told.of(change(9, ["owner:ann"]))
    assert told.of(change(8, ["queue:bills"], ["queue:default"])) == change(8, [], ["queue:default"])
    assert told.of(change(8, [], ["queue:bills", "owner:ann"])) is None


def test_a_whole_list_tells_as_well() -> None:
    """As far as it is newer."""
    told = ToldRows()
    told.listed("queue:default", change(9, []).row)
    told.listed("queue:bills", change(7, []).row)
    assert told.of(change(8, ["queue:default"])) is None
    assert told.of(change(9, ["queue:default"])) is not None


def test_only_the_newest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one told of longest ago is forgotten."""
    monkeypatch.setattr(told_rows, "TOLD_MAX", 2)
    told = ToldRows()
    for name in ("cu1-1", "cu1-2", "cu1-1", "cu1-3"):
        told.of(change(9, [], of=name))
    assert [told.of(change(8, ["a"], of=name)) is None for name in ("cu1-1", "cu1-3", "cu1-2")] == [True, True, False]
