"""The search for the sustained rate, on a server that is a threshold."""

import pytest

from benchmarks.sustained import TRIALS, Trial, search


@pytest.mark.parametrize("limit", [0.0, 3_000.0, 7_777.0, 20_000.0])
async def test_a_search_ends_near_the_limit(limit: float) -> None:
    """It never answers a rate that did not hold, and is off by a thirty-second of the range at most."""

    async def attempt(rate: float) -> Trial:
        return Trial(rate, rate, 1.0, 0.1 if rate <= limit else 5.0, rate <= limit)

    found = await search(attempt, highest=10_000)
    assert len(found.trials) == TRIALS
    assert found.per_s <= limit
    assert min(limit, 10_000) - found.per_s <= 10_000 / 2**TRIALS
