"""Many seeds, in several processes.

A seed leaves most of a MiB behind that the collector does not take: what a server's process keeps to its end. So each
process has its share of seeds, and ends; a night's hundred thousand would not fit into one.
"""

import gc
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from tests.simulation.scenario import Run, run

CHUNK = 4
CHUNKS_EACH = 50
"""200 seeds: 250 MiB at the end, and a start in 200 costs nothing."""
COLLECT_AFTER = 200_000
"""Objects: about once a run. Python's own 700 had a 16th of a run spent on looking at what nobody had let go, 20,000 a
30th."""

W = TypeVar("W")
R = TypeVar("R")


def runs(seeds: Sequence[int], placement: str, jobs: int) -> Iterator[Run]:
    """Runs all seeds, as they come to their ends, in so many processes."""
    return in_processes(played, [(seed, placement) for seed in seeds], jobs)


def in_processes(
    do: Callable[[W], R], work: Sequence[W], jobs: int, *, chunk: int = CHUNK, chunks_each: int = CHUNKS_EACH
) -> Iterator[R]:
    """Does all work, as it comes to its end; a process ends after `chunks_each` chunks, and another takes its place."""
    with multiprocessing.get_context("spawn").Pool(jobs, collects_seldom, maxtasksperchild=chunks_each) as pool:
        yield from pool.imap_unordered(do, work, chunksize=chunk)


def collects_seldom() -> None:
    """For a process of a pool: what is imported stays, and is not looked at; what a run leaves is, less often.

    A run does not depend on when: it keeps its tasks itself (`World.kept_task`).
    """
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, *gc.get_threshold()[1:])


def played(work: tuple[int, str]) -> Run:
    """For a pool: one seed under one placement."""
    seed, placement = work
    return run(seed, placement=placement)
