"""Many seeds, in several processes."""

import multiprocessing
from collections.abc import Iterator, Sequence

from tests.simulation.scenario import Run, run


def runs(seeds: Sequence[int], placement: str, jobs: int) -> Iterator[Run]:
    """Runs all seeds, as they come to their ends, in so many processes."""
    work = [(seed, placement) for seed in seeds]
    if jobs == 1:
        yield from map(played, work)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap_unordered(played, work, chunksize=4)


def played(work: tuple[int, str]) -> Run:
    """For a pool: one seed under one placement."""
    seed, placement = work
    return run(seed, placement=placement)
