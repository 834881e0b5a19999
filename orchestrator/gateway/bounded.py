"""Bounded: uvicorn's two protocols, with the bounds it has no setting for.

uvicorn (0.54) bounds neither a request's head, nor its trailers, nor the time a client takes over it, and counts
connections for HTTP only; of a WebSocket's handshake that its engine could not read it never hears, and lets whoever
sent it wait. These add that: they count a request's bytes, give each head and each body a deadline, answer 503 over the
connection limit and every handshake, and let the gateway abort a socket whose client reads nothing, which a plain close
would wait for without end. What is refused here has the shape of every error, and is counted.
"""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import StatusLike

from actors.fault import guarded
from orchestrator.gateway.http.answers import error_json
from protocol.errors import Code, Refusal

HEAD_WITHIN_S = 10.0
"""Time for a request's head, and for the idle wait before a connection's first one: a slow mobile line needs 2 or 3."""
BODY_WITHIN_S = 10.0
"""Time for a request's body, beside that of the longest one at `BODY_BYTES_S_MIN`. Whoever takes longer holds a
connection that others want, and a vendor's webhook needs no token to be begun."""
BODY_BYTES_S_MIN = 16 * 1024
"""What a slow mobile line sends."""
UNREAD_WITHIN_S = 30.0
READ_BYTES_MIN = 64 * 1024
"""Of answers that wait to be read, so much is to be read in so long: 2 KiB a second. A client that reads nothing needs
no token to ask for more than the system keeps, and would hold its connection, also a closed one, for ever."""
ABORT = "throughline.abort"
"""The WebSocket scope's extension: a function that drops the connection at once."""
DIRECT = "throughline.direct"
"""The WebSocket scope's extension: the socket itself, to be written to without waiting (`websocket.DirectSocket`)."""
UNPROVEN_BYTES_MAX = 64 * 1024 * 1024
"""Read of all WebSockets together before their clients' `hello` was taken. One may be long, for it names all that was
watched; strangers' unfinished ones must not fill the memory."""
PROVEN = "throughline.proven"
"""The WebSocket scope's extension: a function to call once the client is known."""
FRAMING_FACTOR = 2
"""A request's bytes over its body's: chunks of six bytes or more fit, and so do trailers that anyone sends."""
_FAULT_CHARS_MAX = 128
"""Of the engine's own words, which repeat the header at fault."""
_PHRASES = {
    400: "Bad Request",
    408: "Request Timeout",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}


class BoundedConfig(uvicorn.Config):
    """uvicorn's configuration with our bounds, which its protocols find here."""

    def __init__(
        self,
        app: Any,
        *,
        header_bytes_max: int,
        body_bytes_max: int,
        connections_max: int,
        refused: Callable[[Code], None],
        broke: Callable[[Exception], None],
        **options: Any,
    ) -> None:
        super().__init__(app, **options)
        self.header_bytes_max = header_bytes_max
        self.request_bytes_max = header_bytes_max + FRAMING_FACTOR * body_bytes_max
        self.body_within_s = BODY_WITHIN_S + body_bytes_max / BODY_BYTES_S_MIN
        self.connections_max = connections_max
        self.refused = refused
        self.broke = broke
        self.unproven_bytes = 0
        """What `UNPROVEN_BYTES_MAX` bounds, now."""


class BoundedHttp(HttpToolsProtocol):
    """One connection until it is upgraded."""

    config: BoundedConfig

    def __init__(
        self,
        config: BoundedConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._bytes = 0
        """Of the request that is being read."""
        self._tail = b""
        """The last bytes of a head, in case its end comes in two reads."""
        self._in_head = True
        self._deadline: asyncio.TimerHandle | None = None
        """Of what is awaited now: a head or a body that has begun, and a connection's first head."""
        self._unread: asyncio.TimerHandle | None = None
        """When it is next looked at whether the client reads."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refuses one connection too many; the others have a deadline for their first head."""
        super().connection_made(transport)
        if len(self.connections) > self.config.connections_max:
            self._answer(503, Code.TOO_MANY_CONNECTIONS, f"{self.config.connections_max} connections are open")
            return
        self._set_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over: nothing is due any more."""
        self._cancel_deadline()
        self._cancel_unread()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Counts, and gives uvicorn what is within the bounds."""
        if self.transport.is_closing():
            return
        self._bytes += len(data)
        if self._in_head and self._bytes > self.config.header_bytes_max and not self._head_ends(data):
            limit = self.config.header_bytes_max
            self._answer(431, Code.TOO_LARGE, f"the request's head is over {limit} bytes (http.header_bytes_max)")
        elif self._bytes > self.config.request_bytes_max:
            limit = self.config.request_bytes_max
            self._answer(413, Code.TOO_LARGE, f"the request is over {limit} bytes with all its framing")
        else:
            self._tail = data[-3:]
            super().data_received(data)
            if self._bytes and self._deadline is None and not self._is_over():
                self._set_deadline()

    def pause_writing(self) -> None:
        """So much waits to be read that no more is written."""
        super().pause_writing()
        self._await_reader()

    def resume_writing(self) -> None:
        """It was read."""
        super().resume_writing()
        self._cancel_unread()

    def on_response_complete(self) -> None:
        """Where nothing follows the answer, that is still to be read."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._await_reader()

    def timeout_keep_alive_handler(self) -> None:
        """Nothing more was asked: likewise."""
        super().timeout_keep_alive_handler()
        self._await_reader()

    def on_headers_complete(self) -> None:
        """The head came in time; what is left of the request after this read is its body."""
        self._in_head = False
        self._cancel_deadline()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """All of it came in time. The next request begins at nothing."""
        self._in_head = True
        self._bytes = 0
        self._cancel_deadline()
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """The whole head goes to the engine here; whoever sent one that it could not read is answered, too."""
        super().handle_websocket_upgrade()
        self._cancel_unread()
        upgraded = self.transport.get_protocol()
        assert isinstance(upgraded, BoundedWebSocket)
        upgraded.answer_unread()

    def send_400_response(self, msg: str) -> None:
        """Uvicorn calls it for bytes that its parser cannot read."""
        self._answer(400, Code.MALFORMED, "the bytes are no HTTP/1.1 request")

    def _head_ends(self, data: bytes) -> bool:
        """Whether the head ends within the limit, though more came behind it in the same read."""
        end = (self._tail + data).find(b"\r\n\r\n")
        return end >= 0 and self._bytes - len(data) + end <= self.config.header_bytes_max

    def _is_over(self) -> bool:
        """Whether nothing is read here any more: it closes, or was upgraded."""
        return self.transport.is_closing() or self.transport.get_protocol() is not self

    def _set_deadline(self) -> None:
        within_s = HEAD_WITHIN_S if self._in_head else self.config.body_within_s
        self._deadline = self.loop.call_later(within_s, guarded, self._broke, self._too_slow, within_s)

    def _cancel_deadline(self) -> None:
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def _await_reader(self) -> None:
        self._cancel_unread()
        waiting = self.transport.get_write_buffer_size()
        self._unread = self.loop.call_later(UNREAD_WITHIN_S, guarded, self._broke, self._look_for_reader, waiting)

    def _look_for_reader(self, waited: int) -> None:
        if self.transport.get_write_buffer_size() > waited - READ_BYTES_MIN:
            self.transport.abort()
        else:
            self._await_reader()

    def _cancel_unread(self) -> None:
        if self._unread:
            self._unread.cancel()
            self._unread = None

    def _close(self) -> None:
        self.transport.close()
        self._await_reader()

    def _too_slow(self, within_s: float) -> None:
        if not self._in_head and self.cycle.response_complete:
            self._close()  # Its answer did not wait for the body.
        elif not self.transport.is_closing():
            part = "head" if self._in_head else "body"
            self._answer(408, Code.MALFORMED, f"the request's {part} did not come within {within_s:g} s")

    def _broke(self, exc: Exception) -> None:
        """A bug met while this client was answered: its connection would be held for as long as it likes."""
        self.config.broke(exc)
        self.transport.abort()

    def _answer(self, status: int, code: Code, message: str) -> None:
        """Says why, unless another answer is on its way, and closes: whatever else comes is not read."""
        self.config.refused(code)
        # uvicorn's own annotation says that there always is a cycle; before the first request there is none.
        if not getattr(self.cycle, "response_started", False) or self.cycle.response_complete:
            body = error_json(Refusal(code, message))
            head = f"HTTP/1.1 {status} {_PHRASES[status]}\r\ncontent-type: application/json\r\nconnection: close\r\n"
            self.transport.write(head.encode() + f"content-length: {len(body)}\r\n\r\n".encode() + body)
        self._close()


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
