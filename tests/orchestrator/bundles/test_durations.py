"""Durations in words, both ways."""

import pytest

from orchestrator.bundles.durations import duration_ms, in_words, is_too_long


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("90s", 90_000),
        ("15 min", 900_000),
        ("24h", 86_400_000),
        ("3 days", 259_200_000),
        ("1 h 30 min", 5_400_000),
        ("1 day, 2 hours", 93_600_000),
        ("0.5 h", 1_800_000),
        ("2 Weeks", 1_209_600_000),
        ("250ms", 250),
        ("0", 0),
    ],
)
def test_words_are_milliseconds(text: str, ms: int) -> None:
    """And what is written of them is read as the same."""
    assert duration_ms(text) == ms
    assert duration_ms(in_words(ms)) == ms


@pytest.mark.parametrize("text", ["", "5", "soon", "3 moons", "h", "1h soon", "-3 days", "500 weeks 9999999 days"])
def test_other_words_are_none(text: str) -> None:
    """Nothing is guessed."""
    assert duration_ms(text) is None


@pytest.mark.parametrize(
    ("text", "too_long"),
    [("36500 days", False), ("36501 days", True), ("999999999999 weeks", True), ("soon", False), ("", False)],
)
def test_one_that_nothing_lasts_is_told_from_what_is_none(text: str, too_long: bool) -> None:
    """A hundred years are the longest."""
    assert is_too_long(text) is too_long
