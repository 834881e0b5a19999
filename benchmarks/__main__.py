"""The command line: `python -m benchmarks throughput`. Results go to standard output, progress to standard error."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
import typer
from rich.console import Console
from websockets.exceptions import WebSocketException

from benchmarks.disk import NoDisk
from benchmarks.phases import Phases
from benchmarks.pushing import Shape
from benchmarks.report import show
from benchmarks.server import ACCOUNT, QUEUE, LiveServer, NotServing
from benchmarks.throughput import Plan, run
from benchmarks.wire import Refused

WRONG_COUNTS = 1
NOT_MEASURED = 3
"""Exit codes; 2 is typer's, for wrong options."""

app = typer.Typer(help="Measure a Throughline server on this machine.", no_args_is_help=True)


@app.callback()
def _benchmarks() -> None:
    """Keeps `throughput` a command's name while it is the only one."""


@app.command(epilog="Example: python -m benchmarks throughput --seconds 10 --json")
def throughput(
    *,
    seconds: Annotated[float, typer.Option(min=1, max=600, help="How long to measure; the relay takes as long.")] = 10,
    rate: Annotated[float, typer.Option(min=0, max=1e6, help="Offer so many events a second; 0: a closed loop.")] = 0,
    customers: Annotated[int, typer.Option(min=1, max=200_000, help="Live conversations.")] = 2000,
    gateways: Annotated[int, typer.Option(min=1, max=64, help="Gateway clients that push.")] = 4,
    agents: Annotated[int, typer.Option(min=1, max=1000, help="Agents who watch.")] = 20,
    window: Annotated[int, typer.Option(min=1, max=4096, help="Unanswered events of a gateway client.")] = 512,
    batch: Annotated[int, typer.Option(min=1, max=256, help="Events of one message, to server and relay.")] = 16,
    text_bytes: Annotated[int, typer.Option(min=1, max=2048, help="Length of a message's text.")] = 160,
    cells: Annotated[int, typer.Option(min=0, max=64, help="Cells of the server; 0: one for every two cores.")] = 0,
    folder: Annotated[
        Path, typer.Option(exists=True, file_okay=False, help="Where data is written: on a real disk.")
    ] = Path("/var/tmp"),  # noqa: S108 - the run makes a private folder there, and /tmp is often no disk
    keep: Annotated[bool, typer.Option("--keep", help="Leave the server's data folder behind.")] = False,
    url: Annotated[str, typer.Option(help="Load this server instead of one of its own; loopback only.")] = "",
    token: Annotated[str, typer.Option(help="Its token, with scopes for agents and for the account.")] = "",
    account: Annotated[str, typer.Option(help="The channel account to push for, with --url.")] = ACCOUNT,
    queue: Annotated[str, typer.Option(help="The queue where that account's conversations begin.")] = QUEUE,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Push events through a server and through a raw relay, and compare; exits with 1 where the counts disagree."""
    plan = Plan(
        folder=folder,
        seconds=seconds,
        rate=rate,
        customers=customers,
        shape=Shape(gateways=gateways, agents=agents, window=window, batch=batch),
        text_bytes=text_bytes,
        cells=cells,
        keep=keep,
        server=_server_at(url, token),
        account=account,
        queue=queue,
    )
    with _failures_in_words(), Phases(Console(stderr=True)) as phases:
        result = run(plan, phase=phases.begin)
    if as_json:
        sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
    else:
        show(result, Console())
    if result.faults:
        raise typer.Exit(WRONG_COUNTS)


def _server_at(url: str, token: str) -> LiveServer | None:
    """The server that the options name; None for one of the run's own."""
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme != "http" or not _is_loopback(parts.hostname or ""):
        raise typer.BadParameter("load goes to http:// on loopback only, such as http://127.0.0.1:7100")
    if not token:
        raise typer.BadParameter("--url needs --token")
    return LiveServer(url.rstrip("/"), token, token)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextmanager
def _failures_in_words() -> Iterator[None]:
    """Says in one line why there is no figure; bugs of ours keep their traceback."""
    said: list[str] = []
    try:
        yield
    except* (NoDisk, NotServing, Refused, ConnectionError, TimeoutError, WebSocketException) as group:
        said.extend(f"{type(exc).__name__}: {exc}" for exc in _leaves(group))
    if said:
        sys.stderr.write("".join(f"benchmarks: {one}\n" for one in said))
        raise typer.Exit(NOT_MEASURED)


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    """The failures themselves, out of the groups that tasks wrap them in."""
    for exc in group.exceptions:
        if isinstance(exc, BaseExceptionGroup):
            yield from _leaves(exc)
        else:
            yield exc


if __name__ == "__main__":
    app()
