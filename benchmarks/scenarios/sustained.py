"""The sustained rate: the highest that can be offered with the archive's lag under two seconds throughout.

One trial offers one rate by the clock and says whether it held. A search halves the range between what held and what
did not, a fixed number of times, so that it ends.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from msgspec import Struct

from benchmarks.figures import tally
from benchmarks.figures.lag import watching
from benchmarks.load.server_load import ServerLoad

LAG_MAX_S = 2.0
COMPLETED_MIN = 0.99
"""Of what was offered, repeats included: a trial that did less fell behind. The rest is under way at its end."""
TRIALS = 5
"""Of a search: the result is exact to a thirty-second of the range."""
WARM_UP_S = 2.0
LEVEL_TIMEOUT_S = 120.0
_POLL_S = 0.05


class Trial(Struct, frozen=True):
    """One rate, offered for `seconds`."""

    offered_per_s: float
    completed_per_s: float
    """What was done of it inside that time: acknowledged and shown; a repeat, answered as one."""
    seconds: float
    archive_lag_max_s: float
    holds: bool


class Sustained(Struct, frozen=True):
    """All trials in their order. `per_s` is what the highest that held completed, and not what it was offered; 0 where
    none held."""

    per_s: float
    trials: list[Trial]


Attempt = Callable[[float], Awaitable[Trial]]


async def attempt(load: ServerLoad, data: Path, rate: float, *, seconds: float) -> Trial:
    """Offers one rate, from a level archive on."""
    await level(data)
    async with watching(data) as watch:
        await load.run(seconds=seconds, warm_up_s=WARM_UP_S, rate=rate)
        lag = watch.lag()
    completed = load.ledger.answered_rate()
    return Trial(round(rate, 1), round(completed, 1), seconds, lag.max, holds(rate, completed, lag.max))


def holds(offered_per_s: float, completed_per_s: float, lag_max_s: float) -> bool:
    """Whether a rate was kept up with."""
    return lag_max_s < LAG_MAX_S and completed_per_s >= COMPLETED_MIN * offered_per_s


def sustained(trials: list[Trial]) -> Sustained:
    """What these trials show."""
    return Sustained(max((trial.completed_per_s for trial in trials if trial.holds), default=0.0), trials)


async def search(attempt_at: Attempt, *, highest: float) -> Sustained:
    """Between nothing and `highest`, which a closed loop reached."""
    low, high, trials = 0.0, highest, list[Trial]()
    for _ in range(TRIALS):
        trials.append(await attempt_at((low + high) / 2))
        if trials[-1].holds:
            low = trials[-1].offered_per_s
        else:
            high = trials[-1].offered_per_s
    return sustained(trials)


async def level(data: Path) -> float | None:
    """Seconds until the archive has all that the journal has; None where it takes too long."""
    began_s = time.perf_counter()
    while (took_s := time.perf_counter() - began_s) < LEVEL_TIMEOUT_S:
        if tally.behind(data) <= 0:
            return took_s
        await asyncio.sleep(_POLL_S)
    return None
