"""What the commands' options have in common: the server they are for, and where results go."""

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, NoReturn, Protocol, TypeVar
from urllib.parse import urlsplit

import msgspec
import typer
from msgspec import Struct
from rich.console import Console
from websockets.exceptions import WebSocketException

from benchmarks.figures.bars import Bar
from benchmarks.figures.disk import NoDisk
from benchmarks.figures.phases import Phases
from benchmarks.inputs.bundle import NoBundle
from benchmarks.load.server import LiveServer, NotServing
from benchmarks.load.wire import Refused
from benchmarks.reports import plot
from benchmarks.reports.plot import NoPlot, Panel
from benchmarks.reports.report import results_to, show_bars
from protocol.errors import Refusal

WRONG_COUNTS = BAR_MISSED = 1
NOT_MEASURED = 3
"""Exit codes; 2 is typer's, for wrong options."""

Customers = Annotated[int, typer.Option("--customers", min=1, max=200_000, help="Live conversations.")]
Gateways = Annotated[int, typer.Option("--gateways", min=1, max=64, help="Gateway clients that push.")]
Agents = Annotated[int, typer.Option("--agents", min=1, max=1000, help="Agents who watch.")]
Window = Annotated[int, typer.Option("--window", min=1, max=4096, help="Unanswered events of a gateway client.")]
Batch = Annotated[int, typer.Option("--batch", min=1, max=256, help="Events of one message, to server and relay.")]
TextBytes = Annotated[int, typer.Option("--text-bytes", min=1, max=2048, help="Length of a message's text.")]
Cells = Annotated[int, typer.Option("--cells", min=0, max=64, help="Cells of the server; 0: one for every two cores.")]
Folder = Annotated[
    Path, typer.Option("--folder", exists=True, file_okay=False, help="Where data is written: on a real disk.")
]
FOLDER = Path("/var/tmp")  # noqa: S108 - the run makes a private folder there, and /tmp is often no disk
Bundle = Annotated[
    str, typer.Option("--bundle", help="The policy in force: insurer, utility, or a folder. Default: the settings'.")
]
Keep = Annotated[bool, typer.Option("--keep", help="Leave the server's data folder behind.")]
Url = Annotated[str, typer.Option("--url", help="Load this server instead of one of its own.")]
Token = Annotated[str, typer.Option("--token", help="Its token, with scopes for agents and for the account.")]
Own = Annotated[
    bool,
    typer.Option("--i-own-this-server", help="Needed to load a server that is not on this machine."),
]
Account = Annotated[str, typer.Option("--account", help="The channel account to push for, with --url.")]
Queue = Annotated[str, typer.Option("--queue", help="The queue where that account's conversations begin.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Check = Annotated[bool, typer.Option("--check", help="Hold the figures against the project's bars; exit 1 below one.")]
Plot = Annotated[Path | None, typer.Option("--plot", dir_okay=False, help="Also draw it: an SVG file.")]

AtMost = Annotated[
    float | None,
    typer.Option("--seconds", min=1, max=3600, help="At most so long; the result says how far it came."),
]


class Outcome(Protocol):
    """What every scenario's result has."""

    @property
    def faults(self) -> list[str]:
        """Everything that does not add up, in words."""
        ...


class Shown(Struct, kw_only=True, frozen=True):
    """Where the result goes."""

    as_json: Json = False
    plot: Plot = None


class Checked(Shown, kw_only=True, frozen=True):
    """The same of figures for which the project has bars."""

    check: Check = False


R = TypeVar("R", bound=Outcome)


def carry_out(
    run: Callable[[Phases], R],
    *,
    show: Callable[[R, Console], None],
    panels: Callable[[R], Sequence[Panel]],
    out: Shown,
    bars: Callable[[R], Sequence[Bar]] | None = None,
) -> None:
    """Runs a scenario and says what came of it: results on standard output, progress on standard error.

    Exits with `WRONG_COUNTS` where something does not add up, with `BAR_MISSED` where one of the `bars` is not met,
    with `NOT_MEASURED` where there is no figure. The bars are looked at where `out` asks for it; as JSON their table
    goes to standard error.
    """
    with _stopping_in_order(), _failures_in_words():
        if out.plot is not None:
            plot.check(out.plot)
        with Phases(Console(stderr=True)) as phases:
            result = run(phases)
        if out.plot is not None:
            plot.draw(panels(result), out.plot)
    if out.as_json:
        sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
    else:
        show(result, results_to())
    held = list(bars(result)) if bars is not None and isinstance(out, Checked) and out.check else []
    if held:
        show_bars(held, results_to(stderr=out.as_json))
    if result.faults:
        raise typer.Exit(WRONG_COUNTS)
    if not all(bar.is_met for bar in held):
        raise typer.Exit(BAR_MISSED)


@contextmanager
def _stopping_in_order() -> Iterator[None]:
    """Ended by a supervisor or a time limit, a run still stops the server it started."""

    def end(number: int, _: object) -> NoReturn:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def server_at(url: str, token: str, *, owned: bool) -> LiveServer | None:
    """The server that the options name; None for one of the run's own.

    Load on a machine that is not one's own is an attack: beyond loopback it takes a word that nobody says by mistake.
    """
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise typer.BadParameter("--url is http:// or https://, such as http://127.0.0.1:7100")
    if not (owned or _is_loopback(parts.hostname)):
        raise typer.BadParameter(
            f"{parts.hostname} is not this machine: load only a server of your own, and say so with --i-own-this-server"
        )
    if not token:
        raise typer.BadParameter("--url needs --token")
    return LiveServer(url.rstrip("/"), token, token, token)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


_NOT_OURS = (
    NoBundle,
    NoDisk,
    NoPlot,
    NotServing,
    Refused,
    Refusal,
    ConnectionError,
    TimeoutError,
    WebSocketException,
)
"""Why there is no figure, where it is not a bug."""


@contextmanager
def _failures_in_words() -> Iterator[None]:
    """Says in one line why there is no figure; bugs of ours keep their traceback."""
    said: list[str] = []
    try:
        yield
    except* _NOT_OURS as group:
        said.extend(f"{type(exc).__name__}: {exc}" for exc in _leaves(group))
    if said:
        sys.stderr.write("".join(f"benchmarks: {one}\n" for one in said))
        raise typer.Exit(NOT_MEASURED)


def _leaves(group: BaseExceptionGroup[Any]) -> Iterator[BaseException]:
    """The failures themselves, out of the groups that tasks wrap them in."""
    for exc in group.exceptions:
        if isinstance(exc, BaseExceptionGroup):
            yield from _leaves(exc)
        else:
            yield exc
