"""`throughline serve`: the server in the foreground, from its banner to its end."""

import asyncio
import json
import shlex
import stat
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from time import time_ns
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec.structs import replace
from rich.text import Text

from orchestrator.cli.exits import Exit, Failure
from orchestrator.cli.options import Folder, Json, SettingsFile, settings_of, to_copy, using
from orchestrator.cli.output import console, errors, rule
from orchestrator.cli.server import Running, find
from orchestrator.data_layout import ERASURES
from orchestrator.settings import EmailAccount, Settings, SettingsError
from orchestrator.settings.file import check_demo
from orchestrator.settings.open_files import too_few

if TYPE_CHECKING:
    from orchestrator.cluster.supervisor import Serving

EXAMPLE = "Example: throughline serve --data ./data --port 7100"
INPUTS_SHOWN = 20
"""Ids of refused inputs that went with a customer; of more there is their number."""


def serve(
    *,
    settings: SettingsFile = None,
    data: Folder = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on. Default: as the settings say.")] = "",
    port: Annotated[int | None, typer.Option("--port", min=0, max=65535, help="Port; 0 takes any free one.")] = None,
    policy: Annotated[
        Path | None, typer.Option("--policy", help="A bundle's folder, applied now and whenever its files change.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run the server until Ctrl-C, which drains and stops it."""
    chosen = _with_address(settings_of(settings, data), host, port)
    if policy is not None:
        chosen = replace(chosen, policy_folder=str(policy.resolve()))
    if chosen.store != "sqlite":
        raise Failure(
            Exit.USAGE, f"settings: store is {chosen.store!r}, which is for tests in one process; write sqlite"
        )
    if chosen.policy_folder and not Path(chosen.policy_folder).is_dir():
        raise Failure(Exit.USAGE, f"{chosen.policy_folder} is no folder: `throughline policy init` makes one")
    # Imported here: the supervisor needs process and signal machinery that no other command does.
    from actors.archive.projection import UnreadableEvent
    from adapters.stores.errors import StoreError
    from orchestrator.cluster.data_folder import DataFolderInUse
    from orchestrator.cluster.run_folder import Unwritable
    from orchestrator.cluster.supervisor import CannotServe
    from orchestrator.cluster.supervisor import serve as supervise

    banner = _Banner(chosen, settings, as_json=as_json)
    with errors().status("Starting: Ray, stores, cells, channels, gateway …") as spinner:
        banner.before = spinner.stop
        try:
            say_what_is_wrong(chosen)
            say_how_many_connect(chosen)
            with using(Path(chosen.data)):
                say_who_may_read(Path(chosen.data))
                _erase_waiting(chosen)
                supervise(chosen, on_ready=banner.show)
                _erase_waiting(chosen)
        except (DataFolderInUse, StoreError, UnreadableEvent) as exc:
            raise Failure(Exit.DATA, str(exc)) from exc
        except (CannotServe, Unwritable) as exc:
            raise Failure(Exit.REFUSED, str(exc)) from exc
    errors().print("Stopped; everything acknowledged is on disk.", style="dim")


def say_what_is_wrong(settings: Settings) -> None:
    """A bundle that cannot be taken does not keep the server from its work; whoever starts it must hear of it, and of
    what in it was perhaps not meant."""
    if not settings.policy_folder:
        return
    # Imported here, because few commands read a bundle.
    from orchestrator.bundles.folder import BundleError, read_folder
    from orchestrator.bundles.making import make
    from orchestrator.policy.first import set_up_of

    try:
        files, wrong = read_folder(Path(settings.policy_folder))
    except BundleError as exc:
        found, asked = [str(exc)], []
    else:
        made = make(files, set_up_of(settings))
        found, asked = [str(each) for each in (*wrong, *made.wrong)], [str(each) for each in made.remarks]
    if found:
        _say(f"{settings.policy_folder} is not put in force until this is mended; the rules before it hold:", found)
    elif asked:
        _say(f"{settings.policy_folder} is put in force. Was this meant?", asked)


def _say(first: str, texts: Sequence[str]) -> None:
    for text in (first, *(f"  {each}" for each in texts)):
        errors().print(Text(text))


def say_how_many_connect(settings: Settings) -> None:
    """Where the system allows fewer than the settings."""
    if said := too_few(settings):
        errors().print(Text(said), soft_wrap=True)


def say_who_may_read(folder: Path) -> None:
    """The server makes its folder and files for its owner alone; a copy that was put back is as the copier's umask was.
    That may be meant, so it is said and not changed."""
    from adapters.stores.folder import ARCHIVE_FILE, JOURNAL_FILE

    if not folder.is_dir() or not folder.stat().st_mode & _OTHERS_ENTER:
        return
    files = [folder / name for name in (JOURNAL_FILE, ARCHIVE_FILE)]
    if any(file.is_file() and file.stat().st_mode & _OTHERS_READ for file in files):
        mend = f"chmod -R go= {shlex.quote(str(folder))}"
        errors().print(Text(f"Other users of this machine can read what customers said: {mend}"), soft_wrap=True)


_OTHERS_ENTER = stat.S_IXGRP | stat.S_IXOTH
_OTHERS_READ = stat.S_IRGRP | stat.S_IROTH


def _erase_waiting(settings: Settings) -> None:
    """Carries out the erasures that wait for a moment such as this; one that is refused waits on."""
    # Imported here, with the stores: they are needed at no other start.
    from orchestrator.erasure.pending import carry_out

    folder = Path(settings.data) / ERASURES
    if settings.store != "sqlite" or not any(folder.glob("*.json")):
        return
    from orchestrator.cluster.data_folder import locked
    from orchestrator.erasure.erasing import Erased, erase
    from orchestrator.erasure.inputs import erase_input
    from protocol.errors import Refusal

    with locked(Path(settings.data)):
        work = carry_out(
            folder,
            lambda act: erase(settings, act, lambda at, head: None),
            lambda act: erase_input(settings, act, lambda at, head: None),
            now_ms=time_ns() // 1_000_000,
        )
        for waiting, done in asyncio.run(work):
            if isinstance(done, Refusal):
                errors().print(Text(f"Not erased yet: {waiting.id}: {done.message}"))
            else:
                inputs = done.inputs if isinstance(done, Erased) else []
                errors().print(Text(f"Erased {waiting.id}, as {waiting.actor} asked{_with_inputs(inputs)}."))


def _with_inputs(inputs: Sequence[str]) -> str:
    """What went along: an operator may have to answer for each."""
    if not inputs:
        return ""
    more = f" and {len(inputs) - INPUTS_SHOWN} more" if len(inputs) > INPUTS_SHOWN else ""
    return f"; and what accounts had refused that named them: {', '.join(inputs[:INPUTS_SHOWN])}{more}"


def _next(settings: Settings, file: Path | None) -> str:
    """The demo, where it can play with these accounts, which it has from the file that the server has them from; a
    server that is set up for real is looked at."""
    # Imported here: the demo brings a mailbox and a telephone company along.
    from orchestrator.demo.outside import Unplayable, playable

    try:
        playable(settings.accounts)
    except Unplayable:
        return to_copy("status", settings.data)
    return to_copy("demo", settings.data) + (f" --settings {shlex.quote(str(file))}" if file else "")


class _Banner:
    """What an operator needs once the server serves; said again after a rebuild in one line only."""

    def __init__(self, settings: Settings, file: Path | None = None, *, as_json: bool) -> None:
        self._settings = settings
        self._file = file
        self._as_json = as_json
        self._shown = False
        self.before: Callable[[], None] = lambda: None
        """Called first: gives the terminal's last line back."""

    def show(self, serving: "Serving") -> None:
        """The address, fresh tokens and the next command to try."""
        self.before()
        if self._shown:
            errors().print(f"Rebuilt: {len(serving.facts)} processes serve again.", style="dim")
            return
        self._shown = True
        data = Path(self._settings.data).resolve()
        running = find(url="", token="", data=data, environ={})
        if self._as_json:
            answer = {
                "url": running.url,
                "tokens": _tokens(running),
                "data": str(data),
                "pids": _pids(serving),
                "mail": _mailboxes(self._settings, serving),
            }
            # One line, since whoever reads it reads a stream that stays open.
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
            return
        out = console()
        rule(out, "Throughline")
        for name, words in (
            ("serving on", running.url),
            ("data in", str(data)),
            ("processes", ", ".join(serving.facts)),
            ("tokens", "of this run; `throughline token create` makes lasting ones"),
            *((f"  {scope}", token) for scope, token in _tokens(running).items()),
            *(("mail to", f"{to}, by SMTP on {at}") for to, at in _mailboxes(self._settings, serving).items()),
            ("try next", f"in another terminal:  {_next(self._settings, self._file)}"),
            ("stop", "Ctrl-C drains and stops"),
        ):
            # Plain lines, uncut at any width: tokens and commands are there to be copied.
            out.print(Text.assemble((f"{name:<11} ", "dim"), words))


def _mailboxes(settings: Settings, serving: "Serving") -> dict[str, str]:
    """Address → where its mails come in, with the port that was found where any would do."""
    ports = serving.facts.get("channels", {})
    mails = [account for account in settings.accounts if isinstance(account, EmailAccount)]
    return {mail.address: _bound(mail.listen, ports.get(f"smtp:{mail.name}")) for mail in mails}


def _bound(listen: str, port: int | str | None) -> str:
    return listen if port is None else f"{listen.rpartition(':')[0]}:{port}"


def _tokens(running: Running) -> dict[str, str]:
    return {"agent": running.agent, "gateway": running.gateway, "operator": running.operator}


def _pids(serving: "Serving") -> dict[str, int]:
    return {name: int(facts.get("pid", 0)) for name, facts in serving.facts.items()}


def _with_address(settings: Settings, host: str, port: int | None) -> Settings:
    """The settings, with `--host` and `--port` over them. Raises `Failure` (`USAGE`)."""
    http = settings.http
    if host:
        http = replace(http, host=host)
    if port is not None:
        http = replace(http, port=port)
    chosen = replace(settings, http=http)
    try:
        check_demo(chosen)  # The file was checked with the address that stands in it.
    except SettingsError as exc:
        raise Failure(Exit.USAGE, str(exc)) from exc
    return chosen
