"""`throughline status`: what the running server says of itself."""

from orchestrator.cli.options import Data, Json, Token, Url, server_of
from orchestrator.cli.output import print_fields, print_json, print_table

EXAMPLE = "Example: throughline status --json"


def status(*, url: Url = "", token: Token = "", data: Data = None, as_json: Json = False) -> None:
    """Show the server's parts, channel accounts and figures."""
    with server_of(url, token, data) as server:
        answer = server.get("/v1/status")
    if as_json:
        print_json(answer)
        return
    accounts = answer.pop("accounts", [])
    print_fields({"url": server.url, **answer})
    if accounts:
        print_table(accounts, list(accounts[0]), empty="")
