"""What the commands that forget something share: options, a stopped server, and what to say where it is not."""

from collections.abc import Callable
from getpass import getuser
from pathlib import Path
from time import time_ns
from typing import Annotated, TypeVar

import typer

from orchestrator.cli.exits import Exit, Failure
from orchestrator.cli.options import settings_of, using
from orchestrator.settings import Settings
from protocol.errors import Refusal

Done = TypeVar("Done")

Reason = Annotated[str, typer.Option("--reason", help="Why; kept with the act, so name nobody in it.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
WhenStopped = Annotated[
    bool, typer.Option("--when-stopped", help="Ask a running server: it is done when that stops or starts next.")
]


def reason_of(reason: str) -> str:
    """Why. Raises `Failure`."""
    if not reason.strip():
        raise Failure(Exit.USAGE, "--reason must say why: it is what remains of the act")
    return reason.strip()


def keeping(settings: Path | None, data: Path | None) -> Settings:
    """The settings, of a server that keeps anything. Raises `Failure`."""
    chosen = settings_of(settings, data)
    if chosen.store != "sqlite":
        raise Failure(Exit.USAGE, f"store is {chosen.store!r}: only the sqlite store keeps anybody")
    return chosen


def on_stopped(folder: Path, steps: Callable[[], Done]) -> Done:
    """Does the steps while no server has the data folder. Raises `Failure`."""
    # Imported here: the stores are needed by no command that talks to a server.
    from actors.archive.projection import UnreadableEvent
    from adapters.stores.errors import StoreError
    from adapters.stores.folder import JOURNAL_FILE
    from orchestrator.cluster.data_folder import DataFolderInUse, holder_of, locked

    if not (folder / JOURNAL_FILE).is_file():
        # Looked at first, because the lock would make the folder.
        raise Failure(Exit.DATA, f"{folder} holds no journal: is it the server's data folder?")
    try:
        with using(folder), locked(folder):
            return steps()
    except DataFolderInUse as exc:
        other_way = "; or have it done as that one stops, with --when-stopped" if holder_of(folder) else ""
        raise Failure(Exit.DATA, f"{exc}{other_way}") from exc
    except (StoreError, UnreadableEvent) as exc:
        raise Failure(Exit.DATA, str(exc)) from exc
    except Refusal as refusal:
        raise Failure.of_refusal(refusal) from refusal


def operator() -> str:
    """Who acts: whoever is logged in here."""
    return f"operator:{getuser()}"


def now_ms() -> int:
    """By this machine's clock."""
    return time_ns() // 1_000_000
