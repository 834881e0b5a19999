"""The ledger's arithmetic."""

import pytest

from benchmarks.figures.ledger import Ledger


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
    assert ledger.ack_ms().p50 == pytest.approx(400, rel=0.001)
    assert ledger.push_ms().p50 == pytest.approx(100, rel=0.001)


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


def test_what_is_held_against_an_offered_rate_has_its_repeats() -> None:
    """Those of the past too; an answer outside the window counts there as little as an event's."""
    ledger = Ledger(shown=False)
    ledger.begin_window(10.0, 12.0)
    ledger.send(0, 10.0, repeat=False)
    ledger.ack(0, 10.5, repeat=False)
    for number, answered_s in ((0, 11.0), (-5, 11.5), (0, 12.5)):
        ledger.send(number, 10.9, repeat=True)
        ledger.ack(number, answered_s, repeat=True)
    assert (ledger.rate(), ledger.answered_rate()) == (0.5, 1.5)
    ledger.begin_window(20.0, 21.0)
    assert ledger.answered_rate() == 0.0


def test_a_new_window_forgets_the_one_before() -> None:
    """Each trial of a run has its own figures; what is done is counted second by second."""
    ledger = Ledger()
    ledger.begin_window(0.0, 3.0)
    for number, done_s in enumerate((0.5, 1.5, 1.6)):
        ledger.send(number, 0.1, repeat=False)
        ledger.ack(number, done_s, repeat=False)
        ledger.push(number, done_s)
    assert ledger.by_second == [1, 2, 0]
    assert ledger.push_ms().count == 3
    ledger.begin_window(3.0, 4.0)
    assert (ledger.completed, ledger.ack_ms().count) == (0, 0)


def test_the_past_comes_as_repeats_alone() -> None:
    """It was neither sent by this run nor shown in it."""
    ledger = Ledger()
    ledger.send(-7, 1.0, repeat=True)
    ledger.ack(-7, 1.1, repeat=True)
    assert (ledger.sent, ledger.acked, ledger.open) == (0, 0, 0)
    assert (ledger.repeats_sent, ledger.repeats_answered) == (1, 1)


def test_without_agents_an_acknowledgement_is_enough() -> None:
    """Where nobody watches, nothing is waited for."""
    ledger = Ledger(shown=False)
    ledger.begin_window(0.0, 9.0)
    ledger.send(0, 1.0, repeat=False)
    assert ledger.open == 1
    ledger.ack(0, 1.5, repeat=False)
    assert (ledger.open, ledger.completed) == (0, 1)


def test_a_pause_is_the_longest_time_without_an_acknowledgement() -> None:
    """Between two times; what comes again ends none, and without any all of it is one."""
    ledger = Ledger(shown=False)
    for number, acked_s in enumerate((10.5, 11.0, 14.0)):
        ledger.send(number, 10.0, repeat=False)
        ledger.ack(number, acked_s, repeat=False)
    ledger.send(0, 12.0, repeat=True)
    ledger.ack(0, 12.5, repeat=True)
    assert ledger.pause_s(10.0, 15.0) == 3.0
    assert ledger.pause_s(10.0, 12.0) == 1.0
    assert ledger.pause_s(20.0, 24.0) == 4.0
