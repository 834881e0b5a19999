"""`python -m tests.simulation.mutants`: plants each fault, hunts for it, and prints the table in Markdown."""

import multiprocessing
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from tests.simulation.mutants import known, table
from tests.simulation.mutants.hunting import Caught, hunted, hunts
from tests.simulation.mutants.planting import EITHER, MUTANTS

HEAD = '''"""Which seed caught each mutant: tried first, so that the test is fast. It is still run each time.

`python -m tests.simulation.mutants --write` finds them anew.
"""

KNOWN: dict[str, dict[str, int]] = {
'''


def main(
    names: Annotated[list[str] | None, typer.Argument(help="Only these mutants.")] = None,
    anew: Annotated[bool, typer.Option("--anew", help="Hunt from seed 0, not from the seed known to catch.")] = False,
    write: Annotated[
        bool, typer.Option("--write", help="Hunt anew; keep the seeds in the source and in the page.")
    ] = False,
    jobs: Annotated[int, typer.Option(help="Processes.", min=1)] = 2,
) -> None:
    """Prints: fault, and under each placement the seed that caught it and the promise that broke."""
    work = [(name, placement, anew or write) for name, placement in hunts(names or MUTANTS)]
    caught: dict[tuple[str, str], Caught] = {}
    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task("mutants", total=len(work))
        with multiprocessing.get_context("spawn").Pool(jobs) as pool:
            for each in pool.imap_unordered(hunted, work):
                caught[each.name, each.placement] = each
                progress.advance(bar)
    found = [caught[name, placement] for name, placement, _ in work]
    typer.echo("\n".join((*table.HEAD, *table.rows_of(found).values())))
    if write:
        _keep(found)
    if any(each.seed is None for each in found):
        raise typer.Exit(1)


def _keep(found: Iterable[Caught]) -> None:
    """Of those that were hunted: the others' seeds and rows stay as they are."""
    seeds = {name: dict(of) for name, of in known.KNOWN.items() if name in MUTANTS}
    for each in found:
        if each.seed is not None:
            seeds.setdefault(each.name, {})[each.placement] = each.seed
    lines = [f'    "{name}": {_written(of)},\n' for name, of in sorted(seeds.items())]
    Path(known.__file__).write_text(HEAD + "".join(lines) + "}\n")
    table.PAGE.write_text(table.with_rows(table.PAGE.read_text(), found))


def _written(seeds: dict[str, int]) -> str:
    return "{" + ", ".join(f'"{placement}": {seeds[placement]}' for placement in EITHER if placement in seeds) + "}"


if __name__ == "__main__":
    typer.run(main)
