"""Whether the load generator was the limit."""

import time

from benchmarks.own_cpu import Own, OwnCpu


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
