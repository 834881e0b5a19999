"""The search for the sustained rate, on a server that is a threshold."""

import pytest

from benchmarks.scenarios.sustained import TRIALS, Trial, holds, search, sustained


@pytest.mark.parametrize("limit", [0.0, 3_000.0, 7_777.0, 20_000.0])
async def test_a_search_ends_near_the_limit(limit: float) -> None:
    """It never answers a rate that did not hold, and is off by a thirty-second of the range at most."""

    async def attempt(rate: float) -> Trial:
        return Trial(rate, 0.995 * rate, 1.0, 0.1 if rate <= limit else 5.0, rate <= limit)

    found = await search(attempt, highest=10_000)
    assert len(found.trials) == TRIALS
    assert found.per_s <= limit
    assert min(limit, 10_000) - found.per_s <= 10_000 / 2**TRIALS + 0.005 * limit


def test_a_rate_holds_that_is_done_whole_while_the_archive_follows() -> None:
    """A server that does ninety-eight of a hundred falls behind, and so does an archive of two seconds ago."""
    assert holds(1000.0, 990.0, 1.99)
    assert not holds(1000.0, 989.0, 0.1)
    assert not holds(1000.0, 1000.0, 2.0)


def test_what_is_sustained_is_what_was_done() -> None:
    """And not what was offered; nothing where nothing held."""
    held, fell = Trial(1000.0, 992.5, 1.0, 0.1, True), Trial(2000.0, 1700.0, 1.0, 0.1, False)
    assert sustained([held, fell]).per_s == 992.5
    assert sustained([fell]).per_s == 0.0
