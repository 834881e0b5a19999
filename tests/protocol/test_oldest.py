"""The oldest: what is kept is the newest, and bounded."""

import pytest

from protocol.oldest import forget_oldest


@pytest.mark.parametrize("kept_max", [0, 1, 7, 8, 64])
def test_the_newest_are_always_there_and_an_eighth_more_at_most(kept_max: int) -> None:
    """Whoever comes again counts as new, where it was taken out before."""
    known: dict[int, int] = {}
    for number in range(10 * kept_max + 10):
        known[number] = number
        forget_oldest(known, kept_max)
        assert len(known) <= kept_max + kept_max // 8
        assert list(known) == list(range(number + 1))[-len(known) :] if known else kept_max == 0
        assert len(known) >= min(kept_max, number + 1)
