"""`python -m tests.simulation`: many seeds with a progress bar, or one seed with its trace.

python -m tests.simulation --seeds 100000 --jobs 2      a night
python -m tests.simulation --seed 4711 --verbose        one run, to the last message
"""

import os
import time
from collections import Counter
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tests.simulation.jobs import runs
from tests.simulation.scenario import Run, replay_of, run

out = Console(highlight=False, soft_wrap=True)
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def main(
    seeds: Annotated[int, typer.Option(help="How many seeds to run.", min=1)] = 500,
    first: Annotated[int, typer.Option(help="The first of them.", min=0)] = 0,
    seed: Annotated[int | None, typer.Option(help="Run this one alone, and print its trace with --verbose.")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Print each step of the one run.")] = False,
    placement: Annotated[str, typer.Option(help="pooled, dedicated, or both: then the seed chooses.")] = "both",
    jobs: Annotated[int, typer.Option(help="Processes to run seeds in.", min=1)] = CORES,
    keep_going: Annotated[bool, typer.Option("--keep-going", help="Run all seeds, also after failures.")] = False,
) -> None:
    """Runs the real server under a virtual clock with faults, and checks the promises after each run."""
    if placement not in ("pooled", "dedicated", "both"):
        raise typer.BadParameter("write pooled, dedicated or both", param_hint="--placement")
    if seed is not None:
        _one(seed, placement, verbose=verbose)
    else:
        _many(range(first, first + seeds), placement, jobs, keep_going=keep_going)


def _one(seed: int, placement: str, *, verbose: bool) -> None:
    ended = run(seed, placement=placement, say=out.print if verbose else None)
    for fault, count in sorted(Counter(ended.faults).items()):
        out.print(f"  fault {fault} × {count}")
    out.print(f"seed {seed}: {ended.plan.placement}, {ended.commits} commits in {ended.virtual_s:.1f} virtual seconds")
    out.print(f"trace {ended.digest}")
    if ended.failures:
        _say(ended)
        raise typer.Exit(1)
    out.print("every promise held")


def _many(seeds: range, placement: str, jobs: int, *, keep_going: bool) -> None:
    failed, commits, faults, began_s = 0, 0, 0, time.monotonic()
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=out) as progress:
        bar = progress.add_task("seeds", total=len(seeds))
        for ended in runs(seeds, placement, jobs):
            progress.advance(bar)
            commits, faults = commits + ended.commits, faults + len(ended.faults)
            if ended.failures:
                failed += 1
                _say(ended)
                if not keep_going:
                    break
    took_s = time.monotonic() - began_s
    out.print(f"{len(seeds)} seeds from {seeds[0]}, {placement}: {commits} commits, {faults} faults, {took_s:.0f} s")
    out.print(
        f"{len(seeds) / took_s:.1f} seeds/s, {failed} failed" if not failed or keep_going else "stopped at a failure"
    )
    if failed:
        raise typer.Exit(1)


def _say(ended: Run) -> None:
    for failure in ended.failures:
        out.print(f"[red]seed {ended.plan.seed} broke a promise[/red]  {failure.promise}: {failure.text}", markup=True)
    out.print(f"replay it: {replay_of(ended)}")


if __name__ == "__main__":
    typer.run(main)
