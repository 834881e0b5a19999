"""`throughline report`: what can be counted, as a table, CSV or JSON."""

import csv
import sys
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.text import Text

from orchestrator.cli.exits import Exit, Failure
from orchestrator.cli.options import Data, Json, Token, Url, server_of
from orchestrator.cli.output import console, print_json, print_table
from orchestrator.cli.timeline import at_ms

app = typer.Typer(help="Count what matters.", no_args_is_help=True)

COUNTED = {
    "closed_conversations": "closed conversations",
    "quarantine_open": "quarantined inputs",
    "quarantine_replayed": "quarantined inputs that came in",
    "identity_reviews": "reviews of identities",
}
"""What the report's measures are counted of, as retention calls it."""
COLUMNS = ("measure", "count", "channels", "team", "product", "week", "examples", "mend")


@app.callback()
def _report() -> None:
    """Count what matters."""


@app.command("context-loss", epilog="Example: throughline report context-loss --since 2026-11-01 --csv")
def context_loss(
    *,
    since: Annotated[str, typer.Option("--since", help="A day or time, such as 2026-11-01.")] = "",
    until: Annotated[str, typer.Option("--until", help="A day or time; what is before it.")] = "",
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    url: Url = "",
    token: Token = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Where context gets lost, by channel pair, team, product line and week, with examples and the file of the policy
    bundle to look at."""
    if as_csv and as_json:
        raise Failure(Exit.USAGE, "--csv and --json: choose one")
    bounds = {"from_ms": at_ms(since, "--since"), "until_ms": at_ms(until, "--until")}
    with server_of(url, token, data) as server:
        answer = server.get("/v1/reports/context-loss", **bounds)
    if as_json:
        print_json(answer)
    elif as_csv:
        _print_csv(answer["rows"])
    else:
        print_table(answer["rows"], COLUMNS, empty="nothing was lost that is counted here")
        _print_retained(answer.get("retained", []))


def _print_retained(kinds: list[dict[str, Any]]) -> None:
    """That older weeks look better than they were, since what retention dropped is not counted."""
    for row in kinds:
        if row["kind"] in COUNTED:
            day = datetime.fromtimestamp(row["before_ms"] / 1000, UTC).date().isoformat()
            told = f"not counted: {row['dropped']} {COUNTED[row['kind']]}, dropped by retention, over before {day}"
            console().print(Text(told))


def _print_csv(rows: list[dict[str, Any]]) -> None:
    """RFC 4180, with a header; examples are separated by spaces. A text that a spreadsheet would take for a formula
    begins with an apostrophe: queues and channels are named by people."""
    writer = csv.writer(sys.stdout)
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_plain(row[column]) for column in COLUMNS])


def _plain(value: object) -> object:
    text = " ".join(map(str, value)) if isinstance(value, list) else value
    return f"'{text}" if isinstance(text, str) and text[:1] in ("=", "+", "-", "@") else text
