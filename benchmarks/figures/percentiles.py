"""Latencies as HDR histograms (Gil Tene's High Dynamic Range): three digits from a microsecond to a minute."""

from collections import Counter
from collections.abc import Sequence

from hdrh.histogram import HdrHistogram
from msgspec import Struct

LOWEST_US = 1
HIGHEST_US = 60_000_000
"""What took longer counts as a minute: such a run has failed, and its maximum says so."""
DIGITS = 3

CURVE = (0, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.99, 100)
"""The percentiles that a plot shows."""


class Percentiles(Struct, frozen=True):
    """Latencies in milliseconds; all zero where there were none."""

    p50: float = 0.0
    p90: float = 0.0
    p99: float = 0.0
    p999: float = 0.0
    max: float = 0.0
    count: int = 0


def percentiles_ms(samples_s: Sequence[float]) -> Percentiles:
    """Of latencies in seconds."""
    if not samples_s:
        return Percentiles()
    found = _histogram(samples_s)

    def at(percentile: float) -> float:
        value_us: int = found.get_value_at_percentile(percentile)
        return round(value_us / 1000, 3)

    return Percentiles(
        p50=at(50), p90=at(90), p99=at(99), p999=at(99.9), max=round(found.get_max_value() / 1000, 3),
        count=len(samples_s),
    )  # fmt: skip


def curve_ms(samples_s: Sequence[float]) -> list[tuple[float, float]]:
    """(percentile, milliseconds) for each of `CURVE`; empty without samples."""
    if not samples_s:
        return []
    found = _histogram(samples_s)
    return [(percentile, found.get_value_at_percentile(percentile) / 1000) for percentile in CURVE]


def _histogram(samples_s: Sequence[float]) -> HdrHistogram:
    histogram = HdrHistogram(LOWEST_US, HIGHEST_US, DIGITS)
    # Equal values are recorded at once: a run has millions of samples and far fewer different ones.
    for value_us, count in Counter(round(1e6 * sample) for sample in samples_s).items():
        histogram.record_value(min(max(value_us, LOWEST_US), HIGHEST_US), count)
    return histogram
