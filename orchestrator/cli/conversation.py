"""`throughline conversation`: one conversation, as the archive has it."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.text import Text

from adapters.stores.archive.timeline import LATE_MS
from orchestrator.cli.options import At, Json
from orchestrator.cli.output import console, local_time, print_fields, print_json, print_line, print_table
from orchestrator.cli.server import Server, part
from orchestrator.cli.spread import Commands
from orchestrator.cli.titles import Titles

app = Commands(help="Look at a conversation.", no_args_is_help=True)

PARTS = {
    "interactions": (
        "interaction",
        "channel",
        "account",
        "identity",
        "topic",
        "intent",
        "product_line",
        "segment",
        "started_at_ms",
        "ended_at_ms",
        "reason",
    ),
    "context": ("key", "value", "channel", "actor", "at_ms", "version", "rule", "came_from"),
    "context_values": ("key", "value", "channel", "source", "at_ms", "version", "verified"),
    "withheld": ("key", "channel", "rule", "policy", "at_ms"),
    "switches": ("from_channel", "to_channel", "caused_by", "continuity", "missing", "items_before", "kept", "at_ms"),
    "keys": ("interaction", "key"),
    "moved": ("interaction", "origin", "origin_interaction", "at_ms"),
    "missing": ("field", "action", "channel", "template", "at_ms", "known_at_ms"),
    "relations": ("kind", "earlier", "reason"),
    "carried": ("earlier", "unresolved", "resolution_attempts", "items", "left_behind", "rule"),
    "corrections": ("kind", "other", "interactions", "actor", "reason", "at_ms"),
    "repeats": ("topic", "earlier", "channel", "resolved_at_ms", "at_ms"),
    "handoffs": ("lease", "kind", "giver", "offered_to", "state", "missing", "ended_by", "reason"),
    "deliveries": ("delivery", "state", "channel", "recipient", "attempt", "confirmed", "reason"),
}
"""Tables below the conversation's own fields, with the columns shown."""


@app.callback()
def _conversation() -> None:
    """Look at a conversation."""


@app.command("show", epilog="Example: throughline conversation show cu7q2mzj4xk5w3n6ab-1 --json")
def show(
    conversation: Annotated[str, typer.Argument(metavar="ID", help="A conversation's id.")],
    *,
    at: At,
    as_json: Json = False,
) -> None:
    """Show a conversation: where it stands, who is in it, its events in order."""
    with at.server() as server:
        answer = whole(server, conversation)
        if as_json:
            print_json(answer)
        else:
            _show(answer, Titles(server))


def _show(answer: dict[str, Any], titles: Titles) -> None:
    events, parts = answer.pop("events"), {name: answer.pop(name, []) for name in PARTS}
    print_fields(answer)
    for name, columns in PARTS.items():
        if parts[name]:
            console().print(Text(f"\n{name}", style="bold"))
            print_table(titles.rows(parts[name]), columns, empty="")
    console().print(Text("\nevents", style="bold"))
    for head, said in _lines(events, titles):
        print_line(head + said, head, said)


def whole(server: Server, conversation: str) -> dict[str, Any]:
    """The server's answer, with the events of all its pages."""
    path = f"/v1/conversations/{part(conversation)}"
    answer: dict[str, Any] = server.get(path)
    while after := answer.pop("next_after"):
        page = server.get(path, after=after)
        answer["events"] += page["events"]
        answer["next_after"] = page["next_after"]
    return answer


def _lines(events: list[dict[str, Any]], titles: Titles) -> Iterator[tuple[Text, Text]]:
    """Of each event its seq, time, type and who, and what of its fields a person looks for."""
    for event in events:
        said = titles.about(event)
        sent_ms, at_ms = int(event.get("provider_ms", 0)), int(event.get("at_ms", 0))
        late = f"(of {local_time(sent_ms)}) " if 0 < sent_ms <= at_ms - LATE_MS else ""
        head = Text.assemble(
            (f"{event['seq']:>5} ", "bold"),
            (local_time(at_ms), "dim"),
            f"  {event.get('type', ''):<22}",
            (f" {event.get('channel', event.get('to_channel', '')):<6}", "cyan"),
            (f" {event.get('actor', ''):<16} ", "green"),
        )
        yield head, Text.assemble((late, "dim"), said)
