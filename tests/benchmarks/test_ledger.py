"""The ledger's arithmetic."""

import pytest

from benchmarks.ledger import Ledger, Percentiles, percentiles_ms


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([], Percentiles()),
        ([0.005], Percentiles(p50=5.0, p90=5.0, p99=5.0, max=5.0)),
        ([0.002, 0.001], Percentiles(p50=1.0, p90=2.0, p99=2.0, max=2.0)),
        ([n / 1000 for n in range(100, 0, -1)], Percentiles(p50=50.0, p90=90.0, p99=99.0, max=100.0)),
        ([n / 1000 for n in range(1, 1001)], Percentiles(p50=500.0, p90=900.0, p99=990.0, max=1000.0)),
    ],
)
def test_percentiles_are_nearest_ranks(samples: list[float], expected: Percentiles) -> None:
    """Each is one of the samples, none is made up between two."""
    assert percentiles_ms(samples) == expected


def test_an_event_counts_when_it_is_acknowledged_and_pushed_inside_the_window() -> None:
    """In either order; latencies are those of events sent inside the window."""
    ledger = Ledger()
    ledger.begin_window(10.0, 20.0)
    for number, sent_s in enumerate((9.0, 11.0, 12.0, 13.0)):
        ledger.send(number, sent_s, repeat=False)
    ledger.ack(0, 10.5, repeat=False)
    ledger.push(0, 10.6)
    ledger.push(1, 11.1)
    ledger.ack(1, 11.4, repeat=False)
    ledger.ack(2, 19.9, repeat=False)
    ledger.push(2, 20.1)
    assert (ledger.completed, ledger.rate(), ledger.open) == (2, 0.2, 1)
    assert (ledger.sent, ledger.acked, ledger.pushed) == (4, 3, 3)
    assert ledger.ack_ms().p50 == 400.0
    assert ledger.push_ms().p50 == 100.0


def test_repeats_and_second_showings_are_told_apart() -> None:
    """A repeat is answered again and pushed no more; a snapshot may show what was shown."""
    ledger = Ledger()
    ledger.send(0, 1.0, repeat=False)
    ledger.send(0, 2.0, repeat=True)
    ledger.ack(0, 1.1, repeat=False)
    ledger.ack(0, 2.1, repeat=True)
    ledger.push(0, 1.2)
    ledger.push(0, 1.3, snapshot=True)
    assert (ledger.repeats_sent, ledger.repeats_answered, ledger.acked, ledger.pushed_twice) == (1, 1, 1, 0)
    ledger.push(0, 1.4)
    assert ledger.pushed_twice == 1
