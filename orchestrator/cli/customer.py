"""`throughline customer`: who is who."""

from typing import Annotated

import typer

from orchestrator.cli.options import Data, Json, Token, Url, server_of
from orchestrator.cli.output import print_fields, print_json
from orchestrator.cli.server import part

app = typer.Typer(help="Say who is who.", no_args_is_help=True)


@app.command("link", epilog="Example: throughline customer link cu7q2mzj4xk5w3n6ab mailto:ann@example.org")
def link(
    customer: Annotated[str, typer.Argument(help="The customer's id.")],
    identity: Annotated[str, typer.Argument(help="kind:value, such as tel:+447700900123 or mailto:ann@example.org.")],
    *,
    url: Url = "",
    token: Token = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Say that an identity belongs to a customer; refused where it is another's."""
    with server_of(url, token, data) as server:
        answer = server.post(
            f"/v1/customers/{part(customer)}/commands",
            {"command": {"do": "link_identity", "identity": identity}},
        )
    if as_json:
        print_json(answer)
        return
    print_fields({"customer": customer, "linked": identity})
