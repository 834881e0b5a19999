"""The tail: what the archive may not have, by customer, and how much that is."""

from actors.journal.tail import Tail


def test_it_counts_the_events_it_holds() -> None:
    """The lag is in events, not in units."""
    tail = Tail(0)
    for position in (1, 2, 3):
        tail.add(position, "cu", 10)
    tail.archived_to(2)
    assert (tail.events, tail.archived) == (10, 2)
    assert tail.of("cu") == [3]
    tail.archived_to(3)
    assert tail.of("cu") == []


def test_it_knows_whose_units_are_where() -> None:
    """Each customer's positions leave in order, whoever's are between them."""
    tail = Tail(7)
    for position, customer in enumerate(("a", "b", "a", "c", "a"), start=8):
        tail.add(position, customer, 1)
    tail.archived_to(9)
    assert {customer: tail.of(customer) for customer in "abc"} == {"a": [10, 12], "b": [], "c": [11]}


def test_what_the_archive_had_first_is_not_in_it() -> None:
    """The archive reads the journal's file, and may be ahead of the journal's own memory."""
    tail = Tail(0)
    tail.archived_to(2)
    tail.add(1, "cu", 1)
    tail.add(2, "cu", 1)
    assert tail.events == 0
    tail.add(3, "cu", 1)
    assert tail.of("cu") == [3]
