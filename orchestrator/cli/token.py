"""`throughline token`: who may come in. Works on the tokens file itself; a running server notices at once."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from orchestrator.cli.exits import Exit, Failure
from orchestrator.cli.options import Folder, Json, SettingsFile, duration_ms, settings_of, using
from orchestrator.cli.output import console, errors, json_or_table, print_json
from orchestrator.tokens import Token, TokenError, Tokens

app = typer.Typer(help="Give and take access.", no_args_is_help=True)

TOKENS_FILE = "tokens.json"
COLUMNS = ("id", "name", "scopes", "created_at_ms", "expires_at_ms")


@app.command("create", epilog="Example: throughline token create --name ann --scope agent --expires 90d")
def create(
    *,
    name: Annotated[str, typer.Option("--name", help="Whose it is: an agent's name, a client's.")],
    scope: Annotated[
        list[str],
        typer.Option("--scope", help="agent, gateway:ACCOUNT, gateway:*, read, metrics or operator; may be repeated."),
    ],
    expires: Annotated[str, typer.Option("--expires", help="After which time: 30m, 12h, 90d. Default: never.")] = "",
    settings: SettingsFile = None,
    data: Folder = None,
    as_json: Json = False,
) -> None:
    """Create a token and show it; it cannot be shown again."""
    now_ms = _now_ms()
    lifetime_ms = duration_ms(expires, "--expires") if expires else 0
    try:
        with _tokens(settings, data) as tokens:
            text, token = tokens.create(scope, name, expires_ms=now_ms + lifetime_ms if lifetime_ms else 0)
    except TokenError as exc:
        raise Failure(Exit.REFUSED, str(exc)) from exc
    if as_json:
        print_json({"token": text, **_row(token)})
        return
    errors().print(Text(f"Token {token.id} for {name}: {', '.join(scope)}. It cannot be shown again.", style="dim"))
    console().print(Text(text))


@app.command("list", epilog="Example: throughline token list --json")
def list_(*, settings: SettingsFile = None, data: Folder = None, as_json: Json = False) -> None:
    """List tokens, oldest first; their secrets are not kept, only hashes."""
    try:
        with _tokens(settings, data) as tokens:
            rows = [_row(token) for token in tokens.list()]
    except TokenError as exc:
        raise Failure(Exit.DATA, str(exc)) from exc
    json_or_table(rows, COLUMNS, empty="no tokens yet; a running server's own ones are not listed", as_json=as_json)


@app.command("revoke", epilog="Example: throughline token revoke 5f1c0e9a7b21")
def revoke(
    token: Annotated[str, typer.Argument(metavar="ID", help="A token's id: the part between tl_ and the secret.")],
    *,
    settings: SettingsFile = None,
    data: Folder = None,
    as_json: Json = False,
) -> None:
    """Take a token away: its next request, and its open connections, are refused."""
    try:
        with _tokens(settings, data) as tokens:
            revoked = tokens.revoke(token)
    except TokenError as exc:
        raise Failure(Exit.REFUSED, str(exc)) from exc
    if as_json:
        print_json(_row(revoked))
    else:
        console().print(Text(f"Revoked {revoked.id} of {revoked.name}."))


@contextmanager
def _tokens(settings: Path | None, data: Path | None) -> Iterator[Tokens]:
    folder = Path(settings_of(settings, data).data)
    with using(folder):
        yield Tokens(folder / TOKENS_FILE, now_ms=_now_ms)


def _row(token: Token) -> dict[str, object]:
    return {
        "id": token.id,
        "name": token.name,
        "scopes": token.scopes,
        "created_at_ms": token.created_ms,
        "expires_at_ms": token.expires_ms,
    }


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
