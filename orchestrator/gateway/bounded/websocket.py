"""WebSockets: answers every handshake, counts what strangers send, and lets the gateway abort a socket whose client
reads nothing, which a plain close would wait for without end."""

import asyncio
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import StatusLike

from orchestrator.gateway.bounded.config import BoundedConfig
from orchestrator.gateway.bounded.strangers import PROVEN
from orchestrator.gateway.http.bodies import error_json
from protocol.errors import Code, Refusal

ABORT = "throughline.abort"
"""The WebSocket scope's extension: a function that drops the connection at once."""
DIRECT = "throughline.direct"
"""The WebSocket scope's extension: the socket itself, to be written to without waiting (`websocket.DirectSocket`)."""
UNPROVEN_BYTES_MAX = 64 * 1024 * 1024
"""Read of all WebSockets together before their clients' `hello` was taken. One may be long, for it names all that was
watched; strangers' unfinished ones must not fill the memory."""
_FAULT_CHARS_MAX = 128
"""Of the engine's own words, which repeat the header at fault."""


class _Engine(ServerProtocol):
    """The rules of websockets, whose refusals of a handshake are text: here they have the shape of every error."""

    refused: Code | None = None
    """As which error it refused the handshake."""

    def reject(self, status: StatusLike, text: str) -> Response:
        """The engine's answer under its own status; its words name the header at fault."""
        fault = text.strip().removeprefix("Failed to open a WebSocket connection: ").removesuffix(".")
        refusal = _refusal_of(HTTPStatus(status), fault[:_FAULT_CHARS_MAX])
        self.refused = refusal.code
        response = super().reject(status, error_json(refusal).decode())
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = "application/json"
        return response


def _refusal_of(status: HTTPStatus, fault: str) -> Refusal:
    match status:
        case HTTPStatus.INTERNAL_SERVER_ERROR:
            return Refusal(Code.INTERNAL, "the server failed; come again")
        case HTTPStatus.REQUEST_URI_TOO_LONG | HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:
            return Refusal(Code.TOO_LARGE, f"the WebSocket handshake is too large: {fault}; send less")
    to_do = "let a WebSocket library make the request (RFC 6455 §4.1)"
    return Refusal(Code.MALFORMED, f"this is no WebSocket handshake: {fault}; {to_do}")


class BoundedWebSocket(WebSocketsSansIOProtocol):
    """One upgraded connection, which its application can abort."""

    config: BoundedConfig
    conn: _Engine

    def __init__(
        self,
        config: BoundedConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.conn = _Engine(max_size=config.ws_max_size, logger=self.conn.logger)
        self._unproven: int | None = 0
        """Bytes that were read before the client's `hello` was taken; None from then on."""
        self.owner = 0
        """Under whom it counts among the strangers; 0: it does not."""

    def data_received(self, data: bytes) -> None:
        """Counts what strangers send, and breaks off where all of them together send too much."""
        if self._unproven is not None:
            self._unproven += len(data)
            self.config.unproven_bytes += len(data)
            if self.config.unproven_bytes > UNPROVEN_BYTES_MAX:
                self.config.refused(Code.OVERLOADED)
                self.transport.abort()
                return
        super().data_received(data)

    def prove(self) -> None:
        """Its client is known, or gone."""
        self.config.unproven_bytes -= self._unproven or 0
        self._unproven = None
        if self.owner:
            self.config.strangers.leaves(self.owner)
            self.owner = 0

    def connection_lost(self, exc: Exception | None) -> None:
        """Lets go at once of what was read and never finished: the connection is part of a circle, and those are looked
        for by the number of objects, however much they hold."""
        self.prove()
        super().connection_lost(exc)
        self.conn.reader.discard()
        self.frames = []

    def handle_connect(self, event: Request) -> None:
        """Counts what the engine answers by itself: it was no handshake."""
        super().handle_connect(event)
        if self.conn.refused:
            self.config.refused(self.conn.refused)

    def answer_unread(self) -> None:
        """Answers a handshake in which the engine found no request: of some it says why, of others nothing at all."""
        if self.handshake_initiated:
            return
        answer = b"".join(self.conn.data_to_send())
        if not answer:
            reason = self.conn.handshake_exc and self.conn.handshake_exc.__cause__
            answer = self.conn.reject(HTTPStatus.BAD_REQUEST, str(reason or "it cannot be read")).serialize()
        assert self.conn.refused, "an answer is a refusal"
        self.config.refused(self.conn.refused)
        self.handshake_complete = self.close_sent = True
        self.transport.write(answer)
        self.transport.close()

    async def send(self, message: Any) -> None:
        """Uvicorn takes a denial that was sent whole for a handshake that was forgotten, unless it is told."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and self.close_sent:
            self.handshake_complete = True

    @property
    def takes_more(self) -> bool:
        """Whether a message can be written now: it is open, and its client reads."""
        open_now = self.handshake_complete and not (self.close_sent or self.disconnected)
        return open_now and self.writable.is_set() and not self.transport.is_closing()

    def write_message(self, message: bytes, *, binary: bool) -> None:
        """What an ASGI `send` does, in this very turn. Only where it `takes_more`."""
        if binary:
            self.conn.send_binary(message)
        else:
            self.conn.send_text(message)
        self.transport.write(b"".join(self.conn.data_to_send()))

    async def run_asgi(self) -> None:
        """Tells the application how to abort the connection, and how to write to it."""
        extensions: dict[str, Any] = self.scope["extensions"]
        extensions[ABORT] = self.transport.abort
        extensions[DIRECT] = self
        extensions[PROVEN] = self.prove
        await super().run_asgi()
