"""`throughline timeline`: what happened with a customer, across channels."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.text import Text

from orchestrator.cli.exits import Exit, Failure
from orchestrator.cli.options import At, Json, Limit
from orchestrator.cli.output import console, local_time, print_json, print_line
from orchestrator.cli.server import WHO, part
from orchestrator.cli.titles import Titles

EXAMPLE = 'Example: throughline timeline cu7q2mzj4xk5w3n6ab --search "meter reading" --channel email'


def timeline(
    customer: Annotated[str, typer.Argument(metavar="CUSTOMER", help=WHO)],
    *,
    search: Annotated[str, typer.Option("--search", help='Words that all occur, "a phrase", begin*.')] = "",
    channel: Annotated[str, typer.Option("--channel", help="One channel alone.")] = "",
    type_: Annotated[
        list[str] | None, typer.Option("--type", help="A type of event, such as NoteAdded; may stand more than once.")
    ] = None,
    since: Annotated[str, typer.Option("--since", help="A day or time, such as 2026-11-25 or 2026-11-25T08:30.")] = "",
    until: Annotated[str, typer.Option("--until", help="A day or time; what is before it.")] = "",
    limit: Limit = 50,
    before: Annotated[str, typer.Option("--before", help="The `next` of the page before.")] = "",
    at: At,
    as_json: Json = False,
) -> None:
    """Show what happened with a customer, the newest first; times without an offset are this machine's."""
    bounds = span(since, until)
    with at.server() as server:
        answer = server.get(
            f"/v1/customers/{part(server.customer(customer))}/timeline",
            q=search,
            channel=channel,
            types=",".join(type_ or []),
            limit=limit,
            before=before,
            **bounds,
        )
        if as_json:
            print_json(answer)
            return
        _show(answer["entries"], Titles(server))
    if answer["next"]:
        console().print(Text(f"more: --before {answer['next']}", style="dim"))


def span(since: str, until: str) -> dict[str, int | str]:
    """From when to when, as the server is asked. Raises `Failure` (`USAGE`) for what is no time, or none between."""
    bounds = {"from_ms": at_ms(since, "--since"), "until_ms": at_ms(until, "--until")}
    check_order(bounds["from_ms"], bounds["until_ms"], "--until lies before --since")
    return bounds


def check_order(since_ms: int | str, until_ms: int | str, fault: str) -> None:
    """Raises `Failure` (`USAGE`) where both are times, and the second lies before the first."""
    if isinstance(since_ms, int) and isinstance(until_ms, int) and until_ms < since_ms:
        raise Failure(Exit.USAGE, f"{fault}: there is nothing in between")


def at_ms(text: str, option: str) -> int | str:
    """A time in ISO 8601 as milliseconds; nothing for nothing. Raises `Failure` (`USAGE`)."""
    if not text:
        return ""
    try:
        return max(0, int(datetime.fromisoformat(text).timestamp() * 1000))
    except (ValueError, OverflowError) as exc:
        raise Failure(Exit.USAGE, f"{option} {text!r} is no time; write 2026-11-25 or 2026-11-25T08:30+01:00") from exc


def _show(entries: Iterable[dict[str, Any]], titles: Titles) -> None:
    """An event a line: time, conversation, channel, type, who, and its words."""
    any_ = False
    for entry in entries:
        any_, event = True, entry["event"]
        words = entry["found"] or titles.about(event)
        time = (local_time(entry["happened_at_ms"]), "dim")
        place = f"{entry['stream']}.{entry['seq']:<4}"
        what = (
            (f" {entry['channel']:<8}", "cyan"),
            f" {entry['type']:<22}",
            (f" {entry['actor']:<16} ", "green"),
        )
        said = " ".join(words.split())
        print_line(
            Text.assemble(time, f"  {place}", *what, said),
            Text.assemble(time, " ", *what),
            Text.assemble((place.rstrip(), "dim"), f"  {said}"),
        )
    if not any_:
        console().print(Text("nothing fits", style="dim"))
