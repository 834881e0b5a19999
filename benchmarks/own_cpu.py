"""What the load generator itself uses, and whether it was the limit of what it measured."""

import time
from pathlib import Path

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


class OwnCpu:
    """Begins to count when made."""

    def __init__(self) -> None:
        self._began_s, self._cpu_s, self._waited_s = _now()

    def so_far(self) -> Own:
        """Since then."""
        now_s, cpu_s, waited_s = _now()
        took_s = max(now_s - self._began_s, 1e-9)
        used_s = cpu_s - self._cpu_s
        return Own(round(used_s / took_s, 3), round((waited_s - self._waited_s) / took_s, 3), used_s)


def _now() -> tuple[float, float, float]:
    waited_s = int(_SCHEDULE.read_text().split()[1]) / 1e9 if _SCHEDULE.exists() else 0.0
    return time.perf_counter(), time.process_time(), waited_s
