"""`throughline outbox`: messages on their way to customers."""

from typing import Annotated

import typer

from orchestrator.cli.options import At, Json, Limit
from orchestrator.cli.output import json_or_fields, json_or_table
from orchestrator.cli.server import part
from orchestrator.cli.spread import Commands

app = Commands(help="See what is to leave, and send again what was given up.", no_args_is_help=True)

COLUMNS = (
    "delivery",
    "state",
    "channel",
    "account",
    "recipient",
    "attempt",
    "queued_at_ms",
    "next_at_ms",
    "code",
    "reason",
)


@app.command("list", epilog="Example: throughline outbox list --state dead")
def list_(
    *,
    state: Annotated[
        list[str] | None,
        typer.Option("--state", help="queued, attempting, waiting, uncertain or dead; may stand more than once."),
    ] = None,
    limit: Limit = 100,
    at: At,
    as_json: Json = False,
) -> None:
    """List deliveries that have not left; dead and uncertain ones wait for a person."""
    with at.server() as server:
        answer = server.get("/v1/outbox", states=",".join(state or []), limit=limit)
    json_or_table(answer, COLUMNS, empty="the outbox is empty", as_json=as_json)


@app.command("replay", epilog="Example: throughline outbox replay cu7q2mzj4xk5w3n6ab-1.12")
def replay(
    delivery: Annotated[str, typer.Argument(metavar="DELIVERY", help="A delivery's id.")],
    *,
    at: At,
    as_json: Json = False,
) -> None:
    """Send a dead or held delivery again, under the same idempotency key."""
    with at.server() as server:
        answer = server.post(f"/v1/outbox/{part(delivery)}/replay")
    json_or_fields(answer, {"replayed": delivery, **(answer or {})}, as_json=as_json)


@app.command("settle", epilog="Example: throughline outbox settle cu7q2mzj4xk5w3n6ab-1.12 --external-id SM4f1")
def settle(
    delivery: Annotated[str, typer.Argument(metavar="DELIVERY", help="A delivery's id.")],
    *,
    external_id: Annotated[str, typer.Option("--external-id", help="The provider's id of it, if you know it.")] = "",
    not_sent: Annotated[bool, typer.Option("--not-sent", help="It did not leave: it is a dead letter then.")] = False,
    at: At,
    as_json: Json = False,
) -> None:
    """Say that a held delivery did leave, as you found out: it is not sent again; or that it did not."""
    body = {"external_id": external_id, **({"left": False} if not_sent else {})}
    with at.server() as server:
        answer = server.post(f"/v1/outbox/{part(delivery)}/settle", body)
    json_or_fields(answer, {"settled": delivery, **(answer or {})}, as_json=as_json)
