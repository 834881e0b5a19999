"""`throughline archive`: the relational projection of the journal, made anew from a stopped server's files."""

import asyncio
from pathlib import Path

import typer
from rich.text import Text

from orchestrator.cli.exits import Exit, Failure
from orchestrator.cli.options import Folder, Json, SettingsFile, settings_of, using
from orchestrator.cli.output import console, print_json, progress_bar
from orchestrator.settings import Settings

app = typer.Typer(help="Work on the archive.", no_args_is_help=True)

JOURNAL_FILE = "journal.sqlite"


@app.callback()
def _archive() -> None:
    """Work on the archive."""


@app.command("rebuild", epilog="Example: throughline archive rebuild --data ./data")
def rebuild(*, settings: SettingsFile = None, data: Folder = None, as_json: Json = False) -> None:
    """Make the archive anew from the journal. The server must be stopped; the journal is only read."""
    chosen = settings_of(settings, data)
    if chosen.store != "sqlite":
        raise Failure(Exit.USAGE, f"store is {chosen.store!r}: only the sqlite store keeps an archive to rebuild")
    events = _rebuild(chosen)
    if as_json:
        print_json({"data": chosen.data, "events": events})
    else:
        console().print(Text(f"Rebuilt the archive of {chosen.data} from {events} events."))


def _rebuild(settings: Settings) -> int:
    # Imported here, because no other command needs a store.
    from actors.archive.projection import UnreadableEvent
    from adapters.stores.errors import StoreError
    from orchestrator.cluster.data_folder import DataFolderInUse, locked

    folder = Path(settings.data)
    if not (folder / JOURNAL_FILE).is_file():
        # Looked at first, because the lock would make the folder.
        raise Failure(Exit.DATA, f"{folder} holds no journal: is it the server's data folder?")
    try:
        with using(folder), locked(folder):
            return asyncio.run(_apply_all(settings))
    except (DataFolderInUse, StoreError, UnreadableEvent) as exc:
        raise Failure(Exit.DATA, str(exc)) from exc


async def _apply_all(settings: Settings) -> int:
    from actors.archive import archive
    from orchestrator.storage import SqliteStorage

    storage = SqliteStorage(settings)
    journal = storage.journal_reader()
    try:
        await storage.open_readers()
        if (first := await journal.first_position()) > 1:
            raise Failure(
                Exit.REFUSED,
                f"the journal begins at position {first}: what came before is in the archive alone and would be lost",
            )
        store = storage.archive()
        await store.open()
        try:
            with progress_bar() as progress:
                task = progress.add_task("Applying", total=None)
                return await archive.rebuild(
                    journal, store, lambda position, head: progress.update(task, completed=position, total=head)
                )
        finally:
            await store.close()
    finally:
        await storage.close_readers()
