"""`throughline conversation`: one conversation, from its live actor or the archive."""

from typing import Annotated, Any

import typer
from rich.text import Text

from orchestrator.cli.options import Data, Json, Token, Url, server_of
from orchestrator.cli.output import console, local_time, print_fields, print_json
from orchestrator.cli.server import part

app = typer.Typer(help="Look at a conversation.", no_args_is_help=True)


@app.command("show", epilog="Example: throughline conversation show cu7q2mzj4xk5w3n6ab-1 --json")
def show(
    conversation: Annotated[str, typer.Argument(metavar="ID", help="A conversation's id.")],
    *,
    url: Url = "",
    token: Token = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show a conversation: where it stands, who is in it, its events in order."""
    with server_of(url, token, data) as server:
        answer = server.get(f"/v1/conversations/{part(conversation)}")
    if as_json:
        print_json(answer)
        return
    events = answer.pop("events", [])
    print_fields(answer)
    for line in map(event_line, events):
        console().print(line)


def event_line(event: dict[str, Any]) -> Text:
    """One event as a line: seq, time, type, who, and what of its fields a person looks for."""
    said = event.get("text") or event.get("reason") or event.get("status") or event.get("identity") or ""
    return Text.assemble(
        (f"{event.get('seq', ''):>5} ", "bold"),
        (local_time(int(event.get("at_ms", 0))), "dim"),
        f"  {event.get('type', ''):<22}",
        (f" {event.get('channel', ''):<6}", "cyan"),
        (f" {event.get('actor', ''):<16} ", "green"),
        str(said),
    )
