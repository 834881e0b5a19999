"""Population: what its journeys weigh, and what it remembers of those that left."""

import msgspec

from actors.cells.live import GRAIN, Live
from actors.cells.population import PROPOSED_MAX, Population, weight
from protocol.inbound import MessageArrived
from tests.actors.player import Player


def made() -> Population:
    """One with little room."""
    return Population(count_max=10, bytes_max=10, idle_ms=10)


def test_memory_is_counted_up_to_the_next_grain() -> None:
    """What is weighed comes back when it leaves."""
    population = made()
    one, other = Live("one", "shard:0"), Live("other", "shard:0")
    population.weigh(one, 1)
    population.weigh(other, weight(None))
    population.weigh(one, 2 * GRAIN)
    assert (one.bytes, population.bytes - other.bytes) == (2 * GRAIN, 2 * GRAIN)
    assert 0 <= other.bytes - weight(None) < GRAIN
    population.remove(other)
    assert population.bytes == one.bytes


def test_a_proposed_customer_is_remembered_after_it_left_and_only_so_many_are() -> None:
    """A late input under the same proposal must not begin as a stranger's; the oldest are forgotten first."""
    population = made()
    given = msgspec.structs.replace(Player().input(MessageArrived(text="one")), customer="cu1", proposed=True)
    assert not population.was_here(given)
    live = population.begin("cu1", "shard:0")
    live.move(("mailto:ann@example.org",), ("mailto:ann@example.org", "cu0"))
    population.note_proposed(live)
    assert population.was_here(given)
    again = population.begin("cu1", "shard:0")
    assert (again.moved, again.moved_to) == ({"mailto:ann@example.org"}, ("mailto:ann@example.org", "cu0"))
    for number in range(PROPOSED_MAX + PROPOSED_MAX // 8):
        population.note_proposed(Live(f"other{number}", "shard:0"))
    assert not population.was_here(given)
