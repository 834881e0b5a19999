"""`throughline status`: what the running server says of itself."""

import typer

from orchestrator.cli.exits import Exit
from orchestrator.cli.options import Data, Json, Token, Url, server_of
from orchestrator.cli.output import console, print_fields, print_json, print_table

EXAMPLE = "Example: throughline status --json"


def status(*, url: Url = "", token: Token = "", data: Data = None, as_json: Json = False) -> None:
    """Show the server's parts and figures. Exit code 1 where a part does not work."""
    with server_of(url, token, data) as server:
        answer = server.get("/v1/status")
    if as_json:
        print_json(answer)
    else:
        accounts = answer.pop("accounts", [])
        print_fields({"url": server.url, **answer})
        console().print()
        print_table(accounts, ("account", "kind", "address"), empty="no channel accounts")
    if answer.get("ready") is False:
        raise typer.Exit(int(Exit.REFUSED))
