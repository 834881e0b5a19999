"""`throughline archive`: the relational projection of the journal, made anew from a stopped server's files."""

import asyncio
from pathlib import Path

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from orchestrator.cli.exits import Exit, Failure
from orchestrator.cli.options import Data, Json, SettingsFile, settings_of
from orchestrator.cli.output import console, errors, print_json

app = typer.Typer(help="Work on the archive.", no_args_is_help=True)


@app.callback()
def _archive() -> None:
    """Work on the archive."""


@app.command("rebuild", epilog="Example: throughline archive rebuild --data ./data")
def rebuild(*, settings: SettingsFile = None, data: Data = None, as_json: Json = False) -> None:
    """Make the archive anew from the journal. The server must be stopped; the journal is only read."""
    chosen = settings_of(settings, data)
    if chosen.store != "sqlite":
        raise Failure(Exit.USAGE, f"store is {chosen.store!r}: only the sqlite store keeps an archive to rebuild")
    folder = Path(chosen.data)
    events = _rebuild(folder)
    if as_json:
        print_json({"data": str(folder), "events": events})
    else:
        console().print(Text(f"Rebuilt the archive of {folder} from {events} events."))


def _rebuild(folder: Path) -> int:
    # Imported here, because no other command needs a store.
    from adapters.stores.errors import StoreError
    from orchestrator.cluster.data_folder import DataFolderInUse, locked

    if not (folder / "journal.sqlite").exists():
        raise Failure(Exit.DATA, f"{folder} holds no journal: is this the server's data folder?")
    try:
        with locked(folder):
            return asyncio.run(_apply_all(folder))
    except (DataFolderInUse, StoreError) as exc:
        raise Failure(Exit.DATA, str(exc)) from exc


async def _apply_all(folder: Path) -> int:
    from actors import archive
    from adapters.stores.sqlite_archive import SqliteArchive
    from adapters.stores.sqlite_journal import SqliteJournalReader

    journal = SqliteJournalReader(folder / "journal.sqlite")
    store = SqliteArchive(folder / "archive.sqlite")
    await store.open()
    try:
        await journal.open()
        try:
            with _progress() as progress:
                task = progress.add_task("Applying", total=None)
                return await archive.rebuild(
                    journal, store, lambda position, head: progress.update(task, completed=position, total=head)
                )
        finally:
            await journal.close()
    finally:
        await store.close()


def _progress() -> Progress:
    """On standard error, so that `--json` stays one document; drawn only where that is a terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=errors(),
        transient=True,
    )
