"""The wait before coming again: doubled, drawn anew each time, and bounded by what agents were promised."""

from hypothesis import given
from hypothesis import strategies as st

from protocol.backoff import FIRST_MS, backoff_ms

CAUGHT_UP_MS = 5_000
"""An agent's view is whole again this long after the server is back."""
CATCHING_UP_MS = 2_000
"""Of which dialling, resuming and reading what was missed may take so much."""


@given(st.integers(0, 10**6), st.floats(0, 1, exclude_max=True))
def test_however_long_the_server_was_away_a_client_is_back_in_time(attempt: int, random: float) -> None:
    """No number of failed tries makes it wait past the promise."""
    assert 0 <= backoff_ms(attempt, random=random) <= CAUGHT_UP_MS - CATCHING_UP_MS


def test_the_first_waits_double() -> None:
    """A server that is back at once is found at once."""
    assert [backoff_ms(attempt, random=0.5) for attempt in range(4)] == [FIRST_MS // 2 * 2**n for n in range(4)]
