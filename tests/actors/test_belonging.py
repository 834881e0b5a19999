"""Belonging: where what was sent to a customer that is, or had, members is to be answered."""

from actors.belonging import elsewhere
from actors.disputes import Disputes
from actors.journey import Journey
from actors.members import Family, GivenAway
from protocol.links import Rehomed, WatchConversation


def test_who_left_before_the_customer_gave_itself_away_is_not_where_that_one_is() -> None:
    """Asked of a member that was released, it is the member's; of its own, whoever has it now."""
    state = Journey(customer="bob")
    state.disputes = Disputes(given=GivenAway("carl", "", ""), turn=1, family=Family(left={"ann": ("ann", 2)}))
    watch = WatchConversation(7, "bob", "ann-1", -1)
    assert elsewhere(state, watch, checked=False) == Rehomed(7, "ann", "ann", 2)
    watch = WatchConversation(8, "bob", "bob-1", -1)
    assert elsewhere(state, watch, checked=False) == Rehomed(8, "bob", "carl", 1)
