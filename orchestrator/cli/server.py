"""The running server as commands see it: where it is, and JSON over HTTP to it.

An address is looked for in this order: `--url` and `--token`, THROUGHLINE_URL and THROUGHLINE_TOKEN, `server.json` in
the data folder, which `serve` writes at its start, readable by its owner only, and removes when it stops.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, unquote

import httpx
import msgspec
from msgspec import Struct

from orchestrator.cli.exits import Exit, Failure
from orchestrator.data_layout import SERVER_FILE
from protocol.errors import Code

TIMEOUT_S = 30.0
"""Longer than the server's own limit on a command, so that its answer is heard and not guessed."""


class Running(Struct, kw_only=True, frozen=True):
    """What `server.json` says. Tokens live as long as the server's run."""

    url: str
    operator: str = ""
    agent: str = ""
    gateway: str = ""
    pid: int = 0
    run: str = ""
    """The run folder, in which the server's node says how each process is."""
    token_from: str = SERVER_FILE
    """Where the tokens are from, for whoever finds them refused."""
    folder: str = ""
    """The data folder that it was found by; empty where an address was given."""


class ErrorBody(Struct, kw_only=True, frozen=True):
    """The body of a refusal; rows of `protocol.errors.TABLE`."""

    code: int = 0
    message: str = ""
    ref: str = ""


def find(*, url: str, token: str, data: Path, environ: Mapping[str, str] = os.environ) -> Running:
    """The server to talk to. Raises `Failure`: `UNREACHABLE`, which names what was looked for; `USAGE` where the
    options or the environment name no server, or one to which no token goes."""
    url = url or environ.get("THROUGHLINE_URL", "")
    if url:
        _address(url)
    given = "--token" if token else "THROUGHLINE_TOKEN"
    token = token or environ.get("THROUGHLINE_TOKEN", "")
    if not (token.isascii() and token.isprintable()):
        raise Failure(Exit.USAGE, f"the token of {given} has characters that no token has: copy it again, and alone")
    if url and token:
        return Running(url=url.rstrip("/"), operator=token, agent=token, gateway=token, token_from=given)
    running = _read(data / SERVER_FILE)
    if running is None and not url:
        raise Failure(Exit.UNREACHABLE, _none_found(data))
    if running is None:
        raise Failure(Exit.USAGE, f"--url {url} needs a token: give --token or set THROUGHLINE_TOKEN")
    if url and url.rstrip("/") != running.url:
        # A token is shown to no server but the one it was made for.
        raise Failure(Exit.USAGE, f"--url {url} is not the server of {data / SERVER_FILE}: give --token too")
    running = msgspec.structs.replace(running, folder=str(data))
    if not token:
        return running
    return msgspec.structs.replace(running, operator=token, agent=token, gateway=token, token_from=given)


def _none_found(data: Path) -> str:
    # Imported here: a server that is there is found without it.
    from orchestrator.cluster.data_folder import holder_of

    if holder := holder_of(data):
        return (
            f"the server of {data} is starting or stopping, or another command works there, process {holder}: "
            f"ask again in a moment; a server's log is {data / 'log' / 'supervisor.log'}"
        )
    return (
        f"no running server found: {data / SERVER_FILE} does not exist. Start one with `throughline serve`, "
        "or say where it is with --url and --token (THROUGHLINE_URL, THROUGHLINE_TOKEN), or --data"
    )


def _read(path: Path) -> Running | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Running)
    except FileNotFoundError:
        return None
    except PermissionError as exc:
        raise Failure(Exit.UNREACHABLE, f"{path} is readable by the server's owner only: {exc.strerror}") from exc
    except msgspec.DecodeError as exc:
        raise Failure(Exit.DATA, f"{path} is not a server's file: {exc}") from exc


WHO = "The customer: an id, or an address such as tel:+447700900123."
"""Of commands that `Server.customer` helps."""


class Server:
    """JSON requests to one server. A context manager, which closes its connections. Raises `Failure` (`USAGE`) where
    what was given is no address."""

    def __init__(
        self, running: Running, *, timeout_s: float = TIMEOUT_S, transport: httpx.BaseTransport | None = None
    ) -> None:
        self.url = running.url
        self._token_from, self._folder = running.token_from, running.folder
        self._http = httpx.Client(
            base_url=_address(running.url),
            headers={"Authorization": f"Bearer {running.operator}"},
            timeout=timeout_s,
            transport=transport,
            # A proxy for the wide world must not see an operator's token on its way to this machine.
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._http.close()

    def get(self, path: str, **params: str | int) -> Any:
        """The JSON of a GET; empty parameters are left out. Raises `Failure`."""
        return self._request("GET", path, params={name: value for name, value in params.items() if value != ""})

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """The JSON that answers a POST of JSON. Raises `Failure`."""
        return self._request("POST", path, json=dict(body or {}))

    def customer(self, who: str) -> str:
        """The id of the customer who is meant: `who` is it, or one of their addresses. Raises `Failure`."""
        if ":" not in who:
            return who
        return str(self.get("/v1/context", identity=who)["customer"])

    def _request(self, method: str, path: str, **request: Any) -> Any:
        try:
            response = self._http.request(method, path, **request)
        except httpx.ConnectError as exc:
            text = f"no server answers at {self.url}: {exc}{_what_to_do(self._folder)}"
            raise Failure(Exit.UNREACHABLE, text) from exc
        except httpx.TimeoutException as exc:
            raise Failure(Exit.UNREACHABLE, f"{self.url} is there and does not answer: its gateway hangs") from exc
        except httpx.TransportError as exc:
            raise Failure(Exit.UNREACHABLE, f"{self.url} broke off: {type(exc).__name__}") from exc
        if response.is_success:
            return response.json() if response.content else None
        raise _failure(response, self._token_from)


def _what_to_do(folder: str) -> str:
    """Where nobody listens at the address that a data folder has: whoever stops a server takes its file away."""
    # Imported here: a server that answers is asked without it.
    from orchestrator.cluster.data_folder import holder_of

    if not folder:
        return ""
    if holder := holder_of(Path(folder)):
        why = "its gateway starts again, or it stops"
        return f". But the server is there, process {holder}: {why}. Ask again in a moment"
    return ". If it was killed, start it again: it goes on where it was"


def _address(url: str) -> httpx.URL:
    try:
        address = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError):
        address = httpx.URL()
    if address.scheme not in ("http", "https") or not address.host:
        raise Failure(Exit.USAGE, f"{url} is no address of a server: write http://host:port")
    return address


def part(value: str) -> str:
    """A value as one part of a path."""
    return quote(value, safe="")


def _failure(response: httpx.Response, token_from: str) -> Failure:
    try:
        refused = msgspec.json.decode(response.content, type=ErrorBody)
    except msgspec.DecodeError:
        refused = ErrorBody()
    message = refused.message or f"{response.request.url.path} answered {response.status_code}"
    # Of what was typed; a command's own id is nothing that anybody knows.
    asked = unquote(str(response.request.url)) + response.request.content.decode()
    if refused.code == Code.NOT_FOUND and refused.ref and refused.ref not in message and refused.ref in asked:
        message += f": {refused.ref}"
    if refused.code in (Code.UNAUTHENTICATED, Code.FORBIDDEN):
        # A token that stayed in the shell since another run is refused as any other: say which one it was.
        message += f" (the token is from {token_from})"
    return Failure(Exit.REFUSED, message, code=refused.code)
