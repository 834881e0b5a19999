"""`throughline token`: who may come in. Works on the tokens file itself; a running server notices at once."""

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from orchestrator.cli.exits import Exit, Failure
from orchestrator.cli.options import Folder, Json, SettingsFile, duration_ms, settings_of, using
from orchestrator.cli.output import console, errors, json_or_table, print_json
from orchestrator.cli.server import Server, find
from orchestrator.data_layout import SERVER_FILE, TOKENS_FILE
from orchestrator.settings import Settings
from orchestrator.tokens import Token, TokenError, Tokens

app = typer.Typer(help="Give and take access.", no_args_is_help=True)

GATEWAY = "gateway:"
"""How the scope of one account begins."""
NAMED_MAX = 16
"""Accounts that one warning lists."""
ASKED_S = 5.0
"""How long a server may take to say which accounts there are: the token is made by then."""
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
    """Create a token and show it; it cannot be shown again. Says so where it is for an account that there is none of:
    there may be one later, in the settings or in a bundle."""
    now_ms = _now_ms()
    lifetime_ms = duration_ms(expires, "--expires") if expires else 0
    try:
        with _tokens(settings, data) as tokens:
            text, token = tokens.create(scope, name, expires_ms=now_ms + lifetime_ms if lifetime_ms else 0)
    except TokenError as exc:
        raise Failure(Exit.REFUSED, str(exc)) from exc
    if as_json:
        print_json({"token": text, **_row(token)})
    else:
        errors().print(Text(f"Token {token.id} for {name}: {', '.join(scope)}. It cannot be shown again.", style="dim"))
        console().print(Text(text))
    # Behind the token, which is made: whatever becomes of the question.
    _warn_of_nobodys(token, settings_of(settings, data))


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


def _warn_of_nobodys(token: Token, settings: Settings) -> None:
    """Says which accounts of a token nobody knows: a mistyped one is refused later, elsewhere, and to somebody else."""
    named = [scope.removeprefix(GATEWAY) for scope in token.scopes if scope.startswith(GATEWAY)]
    if not (asked := {*named} - {"*"} - {account.name for account in settings.accounts}):
        return
    if (there_are := _accounts(settings)) is None:
        return
    for account in sorted(asked - there_are):
        near = get_close_matches(account, sorted(there_are), 1)
        instead = f"did you mean {near[0]}?" if near else f"there are {_listed(there_are)}"
        errors().print(
            Text(
                f"Warning: no account {account} is in the settings or in the policy in force: {instead} The token opens"
                " nothing there until one is.",
                style="yellow",
            )
        )


def _accounts(settings: Settings) -> set[str] | None:
    """All accounts that there are: by the server that runs on the data folder, else by what is in that. None where
    neither can be asked, which is no reason to make no token."""
    from adapters.stores.errors import StoreFailed
    from orchestrator.policy.kept import kept_accounts

    folder, set_up = Path(settings.data), {account.name for account in settings.accounts}
    try:
        with Server(find(url="", token="", data=folder, environ={}), timeout_s=ASKED_S) as server:
            return set_up | {str(row["account"]) for row in server.get("/v1/status")["accounts"]}
    except Failure:
        if (folder / SERVER_FILE).exists():
            return None
    try:
        return set_up | kept_accounts(folder)
    except StoreFailed:
        return None


def _listed(names: Collection[str]) -> str:
    shown = ", ".join(sorted(names)[:NAMED_MAX])
    more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
    return f"{shown}{more}." if names else "none."


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
