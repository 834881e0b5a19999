"""`throughline status`: what the running server says of itself."""

from typing import Any

import typer
from rich.text import Text

from orchestrator.cli.exits import Exit
from orchestrator.cli.options import Data, Json, Token, Url, server_of
from orchestrator.cli.output import console, print_fields, print_json, print_table

PROCESS_COLUMNS = ("process", "condition", "for", "deaths", "reason")
EXAMPLE = "Example: throughline status --json"


def status(*, url: Url = "", token: Token = "", data: Data = None, as_json: Json = False) -> None:
    """Show the server's parts and figures. Exit code 1 where a part does not work."""
    with server_of(url, token, data) as server:
        answer = server.get("/v1/status")
    if as_json:
        print_json(answer)
    else:
        _show(server.url, answer)
    if answer.get("ready") is False:
        raise typer.Exit(int(Exit.REFUSED))


def _show(url: str, answer: dict[str, Any]) -> None:
    """What is wrong first, a line each; then the processes, the figures and the accounts."""
    out = console()
    reasons, accounts = answer.pop("reasons", []), answer.pop("accounts", [])
    processes = answer.pop("processes", {})
    for reason in reasons:
        out.print(Text.assemble(("✗ ", "bold red"), reason))
    if reasons:
        out.print()
    if processes:
        rows = [{"process": name, **state, "for": _for(state["seconds"])} for name, state in processes.items()]
        print_table(rows, PROCESS_COLUMNS, empty="")
        out.print()
    print_fields({"url": url, **answer})
    out.print()
    print_table(accounts, ("account", "kind", "address"), empty="no channel accounts")


def _for(seconds: int) -> str:
    """A duration in its two largest units."""
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if days:
        return f"{days} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min {seconds % 60} s" if minutes else f"{seconds} s"
