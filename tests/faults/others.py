"""Others on this machine: how much of it they use, and how much longer everything may take for that.

What the server and this test run use itself is no excuse: it is what is being tested, and what the run computes beside
it (see `tests.simulation.ahead`) gives way.
"""

import os
import time
from collections import deque

import psutil

from benchmarks.figures.own_cpu import OwnCpu
from orchestrator.cluster import leftovers
from tests.live_server import RUNNING

FACTOR_MAX = 4.0
"""A machine of which others take more than three quarters is none to test on: what is late there fails."""
LOOK_EVERY_S = 1.0
LOOKS_KEPT = 120


class Others:
    """Looks at most once a second, when it is asked."""

    def __init__(self, cores: int) -> None:
        self._cores = cores
        self._looks: deque[tuple[float, float]] = deque(maxlen=LOOKS_KEPT)
        """For how long, in seconds, and how many cores others used meanwhile."""
        self.largest = 1.0
        """The largest factor that was ever given."""
        self._begin(_running_s())

    def factor(self, seconds: float) -> float:
        """By how much something takes longer that began `seconds` ago; 1 where nobody else is there."""
        if time.monotonic() - self._began_s >= LOOK_EVERY_S:
            took_s, running_s = time.monotonic() - self._began_s, _running_s()
            self._looks.append((took_s, self._cpu.others_cores(self._used_s(running_s))))
            self._begin(running_s)
        found = factor_of(self._cores, self._over(seconds))
        self.largest = max(self.largest, found)
        return found

    def _over(self, seconds: float) -> float:
        """Cores, on average over the newest looks that together are as long as that."""
        took_s = used_s = 0.0
        for each_s, cores in reversed(self._looks):
            if took_s >= seconds:
                break
            took_s, used_s = took_s + each_s, used_s + each_s * cores
        return used_s / took_s if took_s else 0.0

    def _begin(self, running_s: dict[int, float]) -> None:
        """One look is the end of what was before and the beginning of what comes: it reads all of a machine's
        processes."""
        self._began_s = time.monotonic()
        self._cpu = OwnCpu()
        self._children_s = _children_s()
        self._running_s = running_s

    def used_s(self) -> float:
        """CPU seconds of the servers and of this process's children, since the last look."""
        return self._used_s(_running_s())

    def _used_s(self, running_s: dict[int, float]) -> float:
        return sum(used_s - self._running_s.get(pid, 0.0) for pid, used_s in running_s.items()) + (
            _children_s() - self._children_s
        )


def factor_of(cores: int, others: float) -> float:
    """Who has half of a machine takes twice as long; at most `FACTOR_MAX`."""
    return cores / max(cores - others, cores / FACTOR_MAX)


def patience(seconds: float) -> float:
    """On a machine that does nothing else; where others have a part of it, as much longer as that takes."""
    return seconds * OTHERS.factor(seconds)


def _children_s() -> float:
    """Of those that ended: `throughline status`, strace."""
    times = os.times()
    return times.children_user + times.children_system


def _running_s() -> dict[int, float]:
    """CPU seconds of each process of every server that this test run has started, and of its own children, by pid."""
    servers = [process for mark in RUNNING for process in leftovers.ours(mark)]
    found: dict[int, float] = {}
    for process in (*servers, *psutil.Process().children()):
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue  # Gone meanwhile.
        found[process.pid] = times.user + times.system
    return found


OTHERS = Others(os.cpu_count() or 1)
"""The machine's, for the whole run."""
