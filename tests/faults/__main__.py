"""`python -m tests.faults`: the kill campaign on the live server.

    python -m tests.faults --kills 40 --placement pooled --seed 7

A failure prints the command that repeats it, and keeps the server's folder.
"""

import asyncio
import shutil
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.faults.campaign import Result, campaign
from tests.faults.report import show
from tests.faults.strikes import AnyStrike, plan

FOLDERS = "/var/tmp"
"""Where servers live meanwhile: /tmp is memory on many machines, and a disk is what is being tested."""
PLACEMENTS = ("pooled", "dedicated")


def main(
    kills: Annotated[int, typer.Option("--kills", min=1, help="How many, under each placement.")] = 40,
    placement: Annotated[str, typer.Option("--placement", help="pooled, dedicated, or both.")] = "pooled",
    seed: Annotated[
        int | None, typer.Option("--seed", help="Draws the kills and their moments. Default: a new one.")
    ] = None,
    folder: Annotated[
        Path, typer.Option("--folder", help="On a real disk; each run makes one of its own in it.")
    ] = Path(FOLDERS),
) -> None:
    """Kill a live server's processes under load, again and again, and check every promise afterwards."""
    console = Console(stderr=True, highlight=False)
    chosen = int(time.time()) if seed is None else seed
    placements = PLACEMENTS if placement == "both" else (placement,)
    results = [asyncio.run(_one(each, chosen, kills, folder, console)) for each in placements]
    show(results, Console(highlight=False))
    if any(result.faults for result in results):
        console.print(
            f"again: python -m tests.faults --kills {kills} --placement {placement} --seed {chosen}", style="bold"
        )
        raise typer.Exit(1)


async def _one(placement: str, seed: int, kills: int, folder: Path, console: Console) -> Result:
    strikes = plan(seed, kills, placement)
    own = Path(tempfile.mkdtemp(prefix="throughline-faults-", dir=folder))
    columns = (TextColumn("{task.description:<34}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(f"{placement}: starting", total=len(strikes))

        def on_strike(number: int, strike: AnyStrike) -> None:
            progress.update(task, completed=number, description=f"{placement}: {strike.name}")

        try:
            result = await campaign(own, strikes, seed=seed, placement=placement, on_strike=on_strike)
        except BaseException:
            console.print(f"broke under seed {seed}; the server's folder: {own}", style="bold red")
            raise
        progress.update(task, completed=len(strikes), description=f"{placement}: judged")
    if result.faults:
        console.print(f"the server's folder: {own}", style="bold red")
    else:
        shutil.rmtree(own, ignore_errors=True)
    return result


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    app.command()(main)
    app()
