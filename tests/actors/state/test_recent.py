"""Recent events: the newest within both bounds, in their order, and nothing in place of one that is too large."""

from hypothesis import given
from hypothesis import strategies as st

from actors.state.recent import BYTES_MAX, EVENTS_MAX, WHOLE_MAX, add, events


@given(st.lists(st.integers(0, 1500).map(lambda size: bytes([size % 251]) * size), max_size=80))
def test_it_keeps_the_newest_within_its_bounds(given_events: list[bytes]) -> None:
    """As many of the last as both bounds allow, and at least one."""
    packed, count = b"", 0
    for number, event in enumerate(given_events, start=1):
        packed, count = add(packed, count, event)
        kept = events(packed)
        assert len(kept) == count
        assert kept == given_events[number - count : number]
        assert 1 <= count <= EVENTS_MAX
        assert len(packed) <= BYTES_MAX or count == 1
        if count < min(number, EVENTS_MAX):
            assert len(packed) + 4 + len(given_events[number - count - 1]) > BYTES_MAX


def test_one_enormous_event_leaves_nothing() -> None:
    """What was before it would not end with the head."""
    packed, count = add(b"", 0, b"a")
    assert add(packed, count, bytes(WHOLE_MAX + 1)) == (b"", 0)
    assert events(b"") == []
