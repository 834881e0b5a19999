"""`python -m tests.simulation.mutants`: plants each fault, hunts for it, and prints the table in Markdown."""

import multiprocessing
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from tests.simulation.mutants import known
from tests.simulation.mutants.hunting import Caught, fault_of, hunted
from tests.simulation.mutants.planting import MUTANTS

HEAD = '''"""Which seed caught each mutant: tried first, so that the test is fast. It is still run each time.

`python -m tests.simulation.mutants --write` finds them anew.
"""

KNOWN: dict[str, int] = {
'''


def main(
    names: Annotated[list[str] | None, typer.Argument(help="Only these mutants.")] = None,
    anew: Annotated[bool, typer.Option("--anew", help="Hunt from seed 0, not from the seed known to catch.")] = False,
    write: Annotated[bool, typer.Option("--write", help="Hunt anew, and keep the seeds in the source.")] = False,
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
    table = [_row(caught[name]) for name, _ in work]
    typer.echo("\n".join(("| mutant | fault | caught by seed | promise |", "|---|---|---|---|", *table)))
    if write:
        seeds = [f'    "{name}": {found.seed},\n' for name, found in sorted(caught.items()) if found.seed is not None]
        Path(known.__file__).write_text(HEAD + "".join(seeds) + "}\n")
    if any(each.seed is None for each in caught.values()):
        raise typer.Exit(1)


def _row(found: Caught) -> str:
    seed = "**survived**" if found.seed is None else str(found.seed)
    return f"| `{found.name}` | {fault_of(found.name)} | {seed} | {found.promise} |"


if __name__ == "__main__":
    typer.run(main)
