"""`throughline webhook`: where committed events are sent to."""

from typing import Annotated

import typer

from orchestrator.cli.options import At, Json
from orchestrator.cli.output import json_or_fields, json_or_table, print_fields, print_json
from orchestrator.cli.server import part
from orchestrator.cli.spread import Commands

app = Commands(help="See and mend where committed events are sent to.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="ENDPOINT", help="The endpoint's name in the settings.")]
COLUMNS = ("endpoint", "state", "sent", "failures", "reason", "failing_since_at_ms", "next_at_ms", "disabled_at_ms")


@app.command("list", epilog="Example: throughline webhook list")
def list_(*, at: At, as_json: Json = False) -> None:
    """List the endpoints: whether events go out, since when not, and why."""
    with at.server() as server:
        answer = server.get("/v1/webhooks")
    json_or_table(answer, COLUMNS, empty="the settings have no webhooks", as_json=as_json)


@app.command("enable", epilog="Example: throughline webhook enable crm")
def enable(endpoint: Name, *, at: At, as_json: Json = False) -> None:
    """Go on with an endpoint that is disabled or waits, at once, with the event it stopped at."""
    with at.server() as server:
        answer = server.post(f"/v1/webhooks/{part(endpoint)}/enable", {})
    json_or_fields(answer, {"enabled": endpoint}, as_json=as_json)


@app.command("resend", epilog="Example: throughline webhook resend crm --after oldest")
def resend(
    endpoint: Name,
    *,
    after: Annotated[str, typer.Option("--after", help="A cursor of the feed or a `webhook-id`; `oldest`; `now`.")],
    at: At,
    as_json: Json = False,
) -> None:
    """Send everything behind a cursor, also what was sent before; `now` passes over what waits. Enables it."""
    with at.server() as server:
        answer = server.post(f"/v1/webhooks/{part(endpoint)}/resend", {"after": after})
    if as_json:
        print_json(answer)
    else:
        print_fields({"endpoint": endpoint, "goes_on_behind": answer["after"]})
