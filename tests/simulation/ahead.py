"""Ahead: what computes for minutes begins with the test run, at a low priority.

Most other tests wait for real processes, and leave the cores to it meanwhile. Its own tests come last, and wait for
what is missing; where several processes share the run (`tests.sharing`), one of them does nothing but wait first.
"""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterable
from multiprocessing.pool import AsyncResult

from tests.simulation.jobs import collects_seldom, played
from tests.simulation.mutants.hunting import Caught, hunted, hunts
from tests.simulation.scenario import Run

SEEDS = 500
PLACEMENT = "both"
AGAIN = 16
"""Seeds that are played in one more process."""
JOBS = 2
GIVES_WAY = 19
"""Niceness: they take a seventieth of a core that somebody else wants, and the rest where nobody does. The sooner the
tests are over that wait for real processes, the less is waited for when there is nothing left to compute beside."""
MISSING_WITHIN_S = 1200.0
"""A process that was killed would never say so."""


class Ahead:
    """The computations, in processes of their own: those that somebody's fixtures, by these names, will ask for."""

    def __init__(self, asked: Iterable[str]) -> None:
        self._pool = multiprocessing.get_context("spawn").Pool(JOBS, initializer=_gives_way)
        self._hunts: AsyncResult[list[Caught]] | None = None
        self._runs: AsyncResult[list[Run]] | None = None
        self._again: AsyncResult[str] | None = None
        if "again" in asked:
            self._again = self._pool.apply_async(_elsewhere)
        if "caught" in asked:
            self._hunts = self._pool.map_async(hunted, [(*each, False) for each in hunts()], chunksize=1)
        if "ended" in asked:
            self._runs = self._pool.map_async(played, [(seed, PLACEMENT) for seed in range(SEEDS)], chunksize=4)

    def hunts(self) -> list[Caught]:
        """All mutants', under each of its placements: the seed known to catch one first, then all in order."""
        assert self._hunts is not None
        return self._hunts.get(MISSING_WITHIN_S)

    def runs(self) -> list[Run]:
        """Every seed's."""
        assert self._runs is not None
        return self._runs.get(MISSING_WITHIN_S)

    def again(self) -> str:
        """The digests of the first seeds, as another process prints them."""
        assert self._again is not None
        return self._again.get(MISSING_WITHIN_S)

    def end(self) -> None:
        """Whoever stops at the first failure does not wait for them."""
        self._pool.terminate()
        self._pool.join()


def _elsewhere() -> str:
    program = (
        "from tests.simulation.scenario import run\n"
        f"print([run(seed, placement={PLACEMENT!r}).digest for seed in range({AGAIN})])"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "random"}
    return subprocess.check_output([sys.executable, "-c", program], env=environment, text=True)


def _gives_way() -> None:
    os.nice(GIVES_WAY)
    collects_seldom()
