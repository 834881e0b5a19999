"""`throughline quarantine`: inputs that were refused after their sender was known, kept whole."""

from typing import Annotated

import typer

from orchestrator.cli.options import Data, Json, Limit, Token, Url, server_of
from orchestrator.cli.output import print_fields, print_json, print_table
from orchestrator.cli.server import part

app = typer.Typer(help="See what was refused and take it in after all.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(metavar="ID", help="A quarantined input's id.")]
COLUMNS = ("quarantine", "received_ms", "account", "source", "id", "code", "field", "reason", "replayed_at_ms")


@app.command("list", epilog="Example: throughline quarantine list --account mail")
def list_(
    *,
    account: Annotated[str, typer.Option("--account", help="Only this channel account's.")] = "",
    limit: Limit = 100,
    url: Url = "",
    token: Token = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """List quarantined inputs, the newest first, with the reason of each."""
    with server_of(url, token, data) as server:
        answer = server.get("/v1/quarantine", account=account, limit=limit)
    if as_json:
        print_json(answer)
    else:
        print_table(answer, COLUMNS, empty="nothing is in quarantine")


@app.command("show", epilog="Example: throughline quarantine show q7q2mzj4xk5w3n6ab")
def show(quarantine: Id, *, url: Url = "", token: Token = "", data: Data = None, as_json: Json = False) -> None:
    """Show one input as it came, with what is wrong with it."""
    with server_of(url, token, data) as server:
        answer = server.get(f"/v1/quarantine/{part(quarantine)}")
    if as_json:
        print_json(answer)
    else:
        print_fields({name: value for name, value in answer.items() if name != "raw" or answer.get("text") is None})


@app.command("replay", epilog="Example: throughline quarantine replay q7q2mzj4xk5w3n6ab")
def replay(quarantine: Id, *, url: Url = "", token: Token = "", data: Data = None, as_json: Json = False) -> None:
    """Take an input in after all, once what was wrong has been mended."""
    with server_of(url, token, data) as server:
        answer = server.post(f"/v1/quarantine/{part(quarantine)}/replay")
    if as_json:
        print_json(answer)
    else:
        print_fields({"replayed": quarantine, **(answer or {})})
