"""HDR percentiles: three digits, and nothing made up."""

import pytest

from benchmarks.figures.percentiles import CURVE, Percentiles, curve_ms, percentiles_ms


def test_without_samples_all_is_zero() -> None:
    """A run without answers has no latency."""
    assert percentiles_ms([]) == Percentiles()
    assert curve_ms([]) == []


def test_percentiles_have_three_digits() -> None:
    """Of 1 to 1000 ms, in whatever order."""
    found = percentiles_ms([n / 1000 for n in range(1000, 0, -1)])
    assert found.p50 == pytest.approx(500, rel=0.001)
    assert found.p90 == pytest.approx(900, rel=0.001)
    assert found.p99 == pytest.approx(990, rel=0.001)
    assert found.p999 == pytest.approx(999, rel=0.001)
    assert found.max == pytest.approx(1000, rel=0.001)
    assert found.count == 1000


def test_a_single_stall_shows_in_the_maximum_alone() -> None:
    """And what is longer than the histogram's range counts as its end."""
    found = percentiles_ms([0.001] * 9_999 + [3600.0])
    assert found.p999 == pytest.approx(1.0, rel=0.001)
    assert found.max == pytest.approx(60_000, rel=0.001)


def test_a_curve_rises() -> None:
    """From the best to the worst."""
    curve = curve_ms([n / 1000 for n in range(1, 101)])
    assert [percentile for percentile, _ in curve] == list(CURVE)
    assert [value for _, value in curve] == sorted(value for _, value in curve)
    assert curve[-1][1] == pytest.approx(100, rel=0.001)
