"""The listener: uvicorn on the one port, with the bounds it has no setting for.

uvicorn (0.54) bounds neither a request's head, nor its trailers, nor the time a client takes over it, and counts
connections for HTTP only. The two protocol classes below add that: they count a request's bytes, give its head a
deadline, answer 503 over the connection limit, and let the gateway abort a socket whose client reads nothing, which a
plain close would wait for without end. What is refused here has the shape of every error, and is counted.
"""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.http11 import Request

from orchestrator.gateway.answers import error_json
from protocol.errors import Code, Refusal, ThroughlineError

HEAD_WITHIN_S = 10.0
"""Time for a request's head, and for the idle wait before a connection's first one: a slow mobile line needs 2 or 3."""
KEEP_ALIVE_S = 15
BACKLOG = 2048
ABORT = "throughline.abort"
"""The WebSocket scope's extension: a function that drops the connection at once."""
DIRECT = "throughline.direct"
"""The WebSocket scope's extension: the socket itself, to be written to without waiting (`websocket.DirectSocket`)."""
FRAMING_FACTOR = 2
"""A request's bytes over its body's: chunks of six bytes or more fit, and so do trailers that anyone sends."""
_PHRASES = {
    400: "Bad Request",
    408: "Request Timeout",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}


class ListenError(ThroughlineError):
    """The port cannot be had; the message names the setting."""


class _Config(uvicorn.Config):
    """uvicorn's configuration with our bounds, which its protocols find here."""

    def __init__(
        self,
        app: Any,
        *,
        header_bytes_max: int,
        body_bytes_max: int,
        connections_max: int,
        refused: Callable[[Code], None],
        **options: Any,
    ) -> None:
        super().__init__(app, **options)
        self.header_bytes_max = header_bytes_max
        self.request_bytes_max = header_bytes_max + FRAMING_FACTOR * body_bytes_max
        self.connections_max = connections_max
        self.refused = refused


class _HttpProtocol(HttpToolsProtocol):
    """One connection until it is upgraded."""

    config: _Config

    def __init__(
        self,
        config: _Config,
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

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.config.connections_max:
            self._answer(503, Code.TOO_MANY_CONNECTIONS, f"{self.config.connections_max} connections are open")
            return
        self._deadline = self.loop.call_later(HEAD_WITHIN_S, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
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

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._cancel_deadline()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_head = True
        self._bytes = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Uvicorn calls it for bytes that its parser cannot read."""
        self._answer(400, Code.MALFORMED, "the bytes are no HTTP/1.1 request")

    def _head_ends(self, data: bytes) -> bool:
        """Whether the head ends within the limit, though more came behind it in the same read."""
        end = (self._tail + data).find(b"\r\n\r\n")
        return end >= 0 and self._bytes - len(data) + end <= self.config.header_bytes_max

    def _cancel_deadline(self) -> None:
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        if not self.transport.is_closing():
            self._answer(408, Code.MALFORMED, f"the request's head did not come within {HEAD_WITHIN_S:g} s")

    def _answer(self, status: int, code: Code, message: str) -> None:
        """Says why, unless another answer is on its way, and closes: whatever else comes is not read."""
        self.config.refused(code)
        # uvicorn's own annotation says that there always is a cycle; before the first request there is none.
        if not getattr(self.cycle, "response_started", False) or self.cycle.response_complete:
            body = error_json(Refusal(code, message))
            head = f"HTTP/1.1 {status} {_PHRASES[status]}\r\ncontent-type: application/json\r\nconnection: close\r\n"
            self.transport.write(head.encode() + f"content-length: {len(body)}\r\n\r\n".encode() + body)
        self.transport.close()


class _WebSocketProtocol(WebSocketsSansIOProtocol):
    """One upgraded connection, which its application can abort."""

    config: _Config

    def handle_connect(self, event: Request) -> None:
        """Counts what is no handshake; the engine's answer names the header at fault."""
        super().handle_connect(event)
        if self.response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            self.config.refused(Code.MALFORMED)

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
        extensions: dict[str, Any] = self.scope["extensions"]
        extensions[ABORT] = self.transport.abort
        extensions[DIRECT] = self
        await super().run_asgi()


class Listener(uvicorn.Server):
    """A uvicorn server inside a loop that is not its own: it leaves signals to their owner and says when it is up."""

    def __init__(
        self,
        app: Any,
        *,
        host: str,
        port: int,
        connections_max: int,
        header_bytes_max: int,
        body_bytes_max: int,
        frame_bytes_max: int,
        refused: Callable[[Code], None],
    ) -> None:
        """`refused` hears of every answer that is given here and not by `app`."""
        config = _Config(
            app,
            header_bytes_max=header_bytes_max,
            body_bytes_max=body_bytes_max,
            connections_max=connections_max,
            refused=refused,
            http=_HttpProtocol,
            ws=_WebSocketProtocol,
            # Twice the limit that the codec names with our own code; above it the engine closes with 1009 by itself.
            ws_max_size=2 * frame_bytes_max,
            ws_ping_interval=None,  # Our heartbeats do that, and carry heads.
            ws_per_message_deflate=False,
            interface="asgi3",
            lifespan="off",
            log_config=None,
            # What it would say of requests, strangers cause and can repeat without end: here they are counted. What
            # goes wrong on our side the gateway logs itself.
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=2,
        )
        super().__init__(config)
        self._host = host
        self._port = port
        self._socket: socket.socket | None = None
        self._serving: asyncio.Task[None] | None = None
        self._up = asyncio.Event()
        self._stopping = asyncio.Event()

    @property
    def port(self) -> int:
        """The port that is bound: the system's choice where 0 was asked for."""
        assert self._socket, "start it first"
        return int(self._socket.getsockname()[1])

    @property
    def open_connections(self) -> int:
        """TCP connections now."""
        return len(self.server_state.connections)

    async def start(self) -> None:
        """Binds and serves. Raises `ListenError`."""
        self._socket = _bind(self._host, self._port)
        self._serving = asyncio.get_running_loop().create_task(self.serve(sockets=[self._socket]))
        up = asyncio.ensure_future(self._up.wait())
        await asyncio.wait((up, self._serving), return_when=asyncio.FIRST_COMPLETED)
        if not up.done():
            up.cancel()
            await self._serving

    async def stop(self) -> None:
        """Stops accepting, lets running requests end within two seconds, closes."""
        if self._serving:
            self.should_exit = True
            self._stopping.set()
            await self._serving

    def stop_accepting(self) -> None:
        """New connections are refused by the system from now on."""
        for server in self.servers:
            server.close()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Uvicorn's own, and a sign that it is done."""
        await super().startup(sockets)
        self._up.set()

    async def main_loop(self) -> None:
        """Uvicorn's own wakes ten times a second; once is enough for the date header, and a stop is heard at once."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Uvicorn's own sleeps a tenth of a second before it looks who is left; mostly that is nobody."""
        self.stop_accepting()
        for each in sockets or ():
            each.close()
        if self.open_connections or self.server_state.tasks:
            await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the process's own business."""
        yield


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, proto)
    except OSError as exc:
        raise ListenError(f"http.host {host!r} is no address of this machine: {exc.strerror or exc}") from exc
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as exc:
        bound.close()
        raise ListenError(_why(exc, host, port)) from exc
    bound.setblocking(False)
    return bound


def _why(exc: OSError, host: str, port: int) -> str:
    where = f"{host}:{port}"
    if exc.errno == errno.EADDRINUSE:
        return f"{where} is in use, perhaps by another Throughline; set http.port (THROUGHLINE_HTTP_PORT) to a free one"
    if exc.errno == errno.EACCES:
        return f"{where} needs rights this process does not have; set http.port (THROUGHLINE_HTTP_PORT) above 1023"
    if exc.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine; set http.host (THROUGHLINE_HTTP_HOST) to one"
    return f"{where} cannot be bound ({exc.strerror}); see http.host and http.port"
