"""`python -m tests.simulation.mutants`: plants each fault, hunts for it, and prints the table in Markdown."""

import multiprocessing
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from tests.simulation.mutants import known, table
from tests.simulation.mutants.hunting import Caught, hunted
from tests.simulation.mutants.planting import MUTANTS

HEAD = '''"""Which seed caught each mutant: tried first, so that the test is fast. It is still run each time.

`python -m tests.simulation.mutants --write` finds them anew.
"""

KNOWN: dict[str, int] = {
'''


def main(
    names: Annotated[list[str] | None, typer.Argument(help="Only these mutants.")] = None,
    anew: Annotated[bool, typer.Option("--anew", help="Hunt from seed 0, not from the seed known to catch.")] = False,
    write: Annotated[
        bool, typer.Option("--write", help="Hunt anew; keep the seeds in the source and in the page.")
    ] = False,
    jobs: Annotated[int, typer.Option(help="Processes.", min=1)] = 2,
) -> None:
    """Prints: fault, seed that caught it, promise that broke."""
    work = [(name, anew or write) for name in names or MUTANTS]
    caught: dict[str, Caught] = {}
    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task("mutants", total=len(work))
        with multiprocessing.get_context("spawn").Pool(jobs) as pool:
            for each in pool.imap_unordered(hunted, work):
                caught[each.name] = each
                progress.advance(bar)
    found = [caught[name] for name, _ in work]
    typer.echo("\n".join((*table.HEAD, *map(table.row_of, found))))
    if write:
        _keep(found)
    if any(each.seed is None for each in found):
        raise typer.Exit(1)


def _keep(found: Iterable[Caught]) -> None:
    """Of those that were hunted: the others' seeds and rows stay as they are."""
    caught = {each.name: each.seed for each in found if each.seed is not None}
    seeds = {name: seed for name, seed in {**known.KNOWN, **caught}.items() if name in MUTANTS}
    lines = [f'    "{name}": {seed},\n' for name, seed in sorted(seeds.items())]
    Path(known.__file__).write_text(HEAD + "".join(lines) + "}\n")
    table.PAGE.write_text(table.with_rows(table.PAGE.read_text(), found))


if __name__ == "__main__":
    typer.run(main)
