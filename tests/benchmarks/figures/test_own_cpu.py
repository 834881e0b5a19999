"""Whether the load generator was the limit."""

import time

import pytest

from benchmarks.figures import own_cpu
from benchmarks.figures.own_cpu import Own, OwnCpu


def test_a_busy_process_is_the_limit() -> None:
    """By what it ran, or by what it waited for a core that others had."""
    assert Own(0.95, 0.0, 1.0).limits
    assert Own(0.4, 0.6, 1.0).limits
    assert not Own(0.4, 0.2, 1.0).limits


def test_cpu_is_counted_from_the_beginning_on() -> None:
    """What ran before does not count."""
    own = OwnCpu()
    until_s = time.process_time() + 0.02
    while time.process_time() < until_s:
        pass
    assert 0.02 <= own.so_far().cpu_s < 5.0
    assert own.so_far().cores > 0


def test_what_others_used_is_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the machine's busy seconds, what is neither this process's nor the server's."""
    busy_s, now = iter([100.0, 130.0]), iter([(0.0, 5.0, 0.0), (10.0, 9.0, 0.0)])
    monkeypatch.setattr(own_cpu, "_busy_s", lambda: next(busy_s))
    monkeypatch.setattr(own_cpu, "_now", lambda: next(now))
    assert OwnCpu().others_cores(server_s=16.0) == 1.0


def test_the_machine_is_at_least_as_busy_as_this_process() -> None:
    """Its counters include ours."""
    assert own_cpu._busy_s() > time.process_time()
