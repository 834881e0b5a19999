"""Options that many commands take, each described once."""

import errno
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from os import fsdecode
from pathlib import Path
from typing import Annotated

import typer
from msgspec import Struct
from msgspec.structs import replace

from orchestrator.cli.exits import Exit, Failure
from orchestrator.cli.server import TIMEOUT_S, Running, Server, find
from orchestrator.settings import Settings, SettingsError
from orchestrator.settings.file import load

Url = Annotated[str, typer.Option("--url", help="Address of the server, such as http://127.0.0.1:7100.")]
Token = Annotated[str, typer.Option("--token", help="A token with the scope the command needs.")]
Data = Annotated[
    Path | None,
    typer.Option("--data", help="The server's data folder: finds the running server. Default: as the settings say."),
]
Folder = Annotated[Path | None, typer.Option("--data", help="The data folder to use. Default: as the settings say.")]
SettingsFile = Annotated[
    Path | None,
    typer.Option("--settings", help="Settings file. Default: throughline.toml, where there is one."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1000, help="Rows at most.")]

_DURATION = re.compile(r"(\d{1,6})([mhd])", re.ASCII)
_UNIT_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}


def duration_ms(text: str, option: str) -> int:
    """A duration such as `90d`. Raises `Failure` (`USAGE`) that names the option."""
    parts = _DURATION.fullmatch(text)
    if parts is None or int(parts[1]) == 0:
        raise Failure(Exit.USAGE, f"{option} {text!r}: write a number and m, h or d, such as 90d")
    return int(parts[1]) * _UNIT_MS[parts[2]]


def settings_of(file: Path | None, data: Path | None = None) -> Settings:
    """The settings, with `--data` over them. Raises `Failure` (`USAGE`)."""
    try:
        settings = load(file)
    except SettingsError as exc:
        raise Failure(Exit.USAGE, str(exc)) from exc
    return settings if data is None else replace(settings, data=str(data))


@contextmanager
def using(folder: Path) -> Iterator[None]:
    """Says in words what is wrong with a file of the data folder, or with its place. Raises `Failure` (`DATA`); an
    error of any other file is a fault of ours, and shows where."""
    try:
        yield
    except OSError as exc:
        if exc.filename is None:
            # What a write says; it is not for the operator to find out which one.
            if exc.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise Failure(Exit.DATA, f"the data folder {folder}: {exc.strerror}; make room there") from exc
        file, within = Path(fsdecode(exc.filename)).absolute(), folder.absolute()
        if not (file.is_relative_to(within) or within.is_relative_to(file)):
            raise
        others = isinstance(exc, PermissionError) and file.exists()
        mend = "; the folder is of one user, with all in it: run this as that one, or chown it" if others else ""
        raise Failure(Exit.DATA, f"{exc.filename}, of the data folder {folder}: {exc.strerror}{mend}") from exc


def as_called() -> str:
    """The program as it was called, to write commands with that can be copied: `.venv/bin/throughline` is one that no
    shell has on its path."""
    called = Path(sys.argv[0])
    return f"{Path(sys.executable).name} -m orchestrator.cli" if called.name == "__main__.py" else str(called)


def to_copy(command: str, data: str) -> str:
    """A command of the program from where its user stands: as it was called, with the data folder if need be."""
    folder = "" if data == Settings().data else f" --data {shlex.quote(data)}"
    return f"{as_called()} {command}{folder}"


class At(Struct, kw_only=True, frozen=True):
    """Which server is asked (see `orchestrator.cli.server`)."""

    url: Url = ""
    token: Token = ""
    data: Data = None

    def by(self, file: Path | None) -> "At":
        """The same, with the data folder of these settings where no option names one. Raises `Failure`."""
        return self if file is None or self.data is not None else replace(self, data=Path(settings_of(file).data))

    def running(self) -> Running:
        """The running server that the options name. Raises `Failure`."""
        folder = self.data if self.data is not None else Path(settings_of(None).data)
        with using(folder):
            return find(url=self.url, token=self.token, data=folder)

    def server(self, *, timeout_s: float = TIMEOUT_S) -> Server:
        """A connection to it. Raises `Failure`."""
        return Server(self.running(), timeout_s=timeout_s)
