"""How the archive follows: what it waits for, and what a batch holds."""

import pytest

from actors.archive import CALM_PER_S, GATHER_TIMES_MAX, gather_times


@pytest.mark.parametrize(
    ("records", "within_s", "times"),
    [
        (0, 0.0, 1),
        (1, 3600.0, 1),
        (10, 0.02, 1),
        (10, 0.01, 1000 / CALM_PER_S),
        (6_000, 0.5, 12_000 / CALM_PER_S),
        (8_000, 0.1, GATHER_TIMES_MAX),
        (1, 0.0, GATHER_TIMES_MAX),
    ],
)
def test_the_wait_grows_with_the_load(records: int, within_s: float, times: float) -> None:
    """In proportion to the records of a second, within bounds; a lone record waits the least."""
    assert gather_times(records, within_s) == times
