"""Belonging: where what was sent to a customer that is, or had, members is to be answered."""

from actors.cells.belonging import elsewhere
from actors.identity.disputes import Disputes
from actors.identity.members import Family, GivenAway
from actors.state.journey import Journey
from protocol.commands import BeginReplay
from protocol.links import Ask, Rehomed, WatchConversation


def test_who_left_before_the_customer_gave_itself_away_is_not_where_that_one_is() -> None:
    """Asked of a member that was released, it is the member's; of its own, whoever has it now."""
    state = Journey(customer="bob")
    state.disputes = Disputes(given=GivenAway("carl", "", ""), turn=1, family=Family(left={"ann": ("ann", 2)}))
    watch = WatchConversation(7, "bob", "ann-1", -1)
    assert elsewhere(state, watch, checked=False) == Rehomed(7, "ann", "ann", 2)
    watch = WatchConversation(8, "bob", "bob-1", -1)
    assert elsewhere(state, watch, checked=False) == Rehomed(8, "bob", "carl", 1)


def test_a_replay_of_what_who_left_keeps_in_quarantine_is_theirs() -> None:
    """Whoever had them did not keep it, and would let it come in twice."""
    state = Journey(customer="bob")
    state.disputes = Disputes(family=Family(left={"ann": ("ann", 2)}))
    asked = [
        Ask(7, "bob", "", "operator:o", "r", BeginReplay(quarantine=f"{whose}.2"), 1, 1) for whose in ("ann", "bob")
    ]
    assert [elsewhere(state, each, checked=False) for each in asked] == [Rehomed(7, "ann", "ann", 2), None]
