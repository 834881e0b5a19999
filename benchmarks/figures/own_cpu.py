"""What the load generator itself uses, whether it was the limit of what it measured, and what others used meanwhile."""

import time
from pathlib import Path

import psutil
from msgspec import Struct

BUSY = 0.9
"""Of a core: a load generator that ran, or waited for a core, for more of the time may itself have been the limit."""
_SCHEDULE = Path("/proc/self/schedstat")
"""Linux: nanoseconds the main thread ran, and waited for a core."""


class Own(Struct, frozen=True):
    """Of one stretch of time, in cores."""

    cores: float
    waiting: float
    """Ready to run and without a core: others had them. 0 where the system does not say."""
    cpu_s: float

    @property
    def limits(self) -> bool:
        """Whether what was measured may be this process's limit."""
        return self.cores + self.waiting > BUSY


OTHERS_MAX = 0.1
"""Cores: a machine on which others used more was not this run's, and its figures are too low."""


class OwnCpu:
    """Begins to count when made."""

    def __init__(self) -> None:
        self._began_s, self._cpu_s, self._waited_s = _now()
        self._busy_s = _busy_s()

    def so_far(self) -> Own:
        """Since then."""
        now_s, cpu_s, waited_s = _now()
        took_s = max(now_s - self._began_s, 1e-9)
        used_s = cpu_s - self._cpu_s
        return Own(round(used_s / took_s, 3), round((waited_s - self._waited_s) / took_s, 3), used_s)

    def others_cores(self, server_s: float) -> float:
        """Cores that neither this process used since then, nor the server, which used `server_s` seconds of CPU.

        What a hypervisor gave to other machines counts too.
        """
        now_s, cpu_s, _ = _now()
        left_s = _busy_s() - self._busy_s - (cpu_s - self._cpu_s) - server_s
        return round(max(0.0, left_s / max(now_s - self._began_s, 1e-9)), 2)


def _busy_s() -> float:
    """CPU seconds of the whole machine since it started, that were not idle."""
    times = psutil.cpu_times()
    # `guest` is part of `user`, and waiting for a disk uses no core.
    names = ("user", "nice", "system", "irq", "softirq", "steal")
    return float(sum(getattr(times, name, 0.0) for name in names))


def _now() -> tuple[float, float, float]:
    waited_s = int(_SCHEDULE.read_text().split()[1]) / 1e9 if _SCHEDULE.exists() else 0.0
    return time.perf_counter(), time.process_time(), waited_s
