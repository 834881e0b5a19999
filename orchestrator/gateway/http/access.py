"""Access: who may use which HTTP entrance. Closed by default: an entrance is open only where it says so here.

without a token     /healthz; /readyz, which then says yes or no alone; /webhooks/…, which check signatures
with one            everything else; each handler names the scopes that it `needs`
nobody              the WebSockets' paths: whoever asks there by HTTP is told that it is no handshake
"""

from collections.abc import Awaitable, Callable, Collection
from typing import Any

from litestar import Request
from msgspec import Struct

from orchestrator.gateway.bounded.strangers import PROVEN
from orchestrator.gateway.health.metrics import Metrics
from orchestrator.gateway.http.bodies import error_json, error_status
from orchestrator.gateway.reads.sharing import ASKER, STRANGER
from orchestrator.tokens import Token, Tokens
from protocol.errors import Code, Refusal

OPEN = ("/healthz", "/readyz")
SIGNED = "/webhooks/"
_GATEWAY = "gateway"
_NO_HANDSHAKE = (
    "this is a WebSocket's path, and the request is no handshake, since Upgrade: websocket or Connection: Upgrade is "
    "missing; a proxy in between has to pass both on"
)

App = Callable[[Any, Any, Any], Awaitable[None]]


class Access:
    """An ASGI layer: checks the token before anything is read, and leaves it in the request's state."""

    def __init__(self, app: App, tokens: Tokens, metrics: Metrics, *, sockets: Collection[str] = ()) -> None:
        self._app = app
        self._tokens = tokens
        self._metrics = metrics
        self._sockets = frozenset(sockets)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Lets the request through, or answers: 401, and 400 where it should have been a handshake."""
        path = scope["path"]
        try:
            if path in self._sockets:
                raise Refusal(Code.UNSUPPORTED_PROTOCOL, _NO_HANDSHAKE)
            token = self._token(scope, path in OPEN or path.startswith(SIGNED))
        except Refusal as refusal:
            self._metrics.refused(refusal.code, "http")
            await _answer(send, refusal)
            return
        ASKER.set(STRANGER if token is None else token.id)
        if token is not None and (prove := scope.get("extensions", {}).get(PROVEN)):
            prove()
        await self._app({**scope, "state": {**scope.get("state", {}), "token": token}}, receive, send)

    def _token(self, scope: dict[str, Any], open_: bool) -> Token | None:
        presented = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        scheme, _, text = presented.decode("latin-1").partition(" ")
        if not presented and open_:
            return None
        if presented and scheme.lower() != "bearer":
            raise Refusal(Code.UNAUTHENTICATED, "the Authorization header must be: Bearer tl_…")
        if scope["path"].startswith(SIGNED):
            return None
        return self._tokens.check(text.strip())


class Needs(Struct, frozen=True):
    """What a token must have for an entrance: one of these scopes. A handler says so as `needs`."""

    scopes: tuple[str, ...]

    def check(self, token: Token) -> None:
        """Raises `Refusal` (`FORBIDDEN`)."""
        if _GATEWAY in self.scopes:
            # Not an operator's either: an event is its account's word, and nobody else's.
            if not any(scope.startswith(f"{_GATEWAY}:") for scope in token.scopes):
                raise Refusal(Code.FORBIDDEN, "this needs a token with a scope gateway:<account>; no other opens it")
        elif not token.covers("operator", *self.scopes):
            raise Refusal(
                Code.FORBIDDEN, f"this needs a token with one of the scopes {', '.join((*self.scopes, 'operator'))}"
            )


def needs(*scopes: str) -> Needs:
    """One of these scopes, or `operator`. A scope `gateway` means any account's, and not `operator`."""
    return Needs(scopes)


def check_needs(request: Request[Any, Any, Any]) -> None:
    """That the token has what the request's handler says. Raises `Refusal`. Not a guard of Litestar's: each request
    would copy its handler for it, which costs a short read more than all that is asked here."""
    needed = request.route_handler.opt.get("needs")
    if needed is not None:
        token = request.scope["state"].get("token")
        assert isinstance(token, Token), "handlers stand behind the access layer"
        needed.check(token)


async def _answer(send: Any, refusal: Refusal) -> None:
    body = error_json(refusal)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    if refusal.code is Code.UNAUTHENTICATED:
        headers.append((b"www-authenticate", b"Bearer"))  # RFC 6750 §3.
    await send({"type": "http.response.start", "status": error_status(refusal), "headers": headers})
    await send({"type": "http.response.body", "body": body})


def unknown_account(name: str, *, ref: str) -> Refusal:
    """Of an account that there is not, or that is not its client's: which of the two is not told."""
    message = (
        f"account: {name[:64]!r} is not configured, or the token does not speak for it: an operator adds it to the "
        "policy's accounts.yaml, or makes a token with its scope, gateway:<account>"
    )
    return Refusal(Code.UNKNOWN_ACCOUNT, message, ref=ref, field="account")
