"""WebSocket: moves messages between ASGI and a connection, and guards the door.

    origin and subprotocol before the handshake; `hello` within a time after it; one reader and one writer per socket

The reader pauses while the client leaves its answers unread. Frames that wait leave at the end of the loop's turn, as
one message for each connection; where a socket takes no more just now, the connection's own task writes the rest.
What the frames mean is the connection's business.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

import structlog

from actors.fault import guarded
from orchestrator.gateway.bounded.strangers import PROVEN
from orchestrator.gateway.bounded.websocket import ABORT, DIRECT
from orchestrator.gateway.failures import failed
from orchestrator.gateway.health.metrics import Metrics
from orchestrator.gateway.http.bodies import error_json, error_status
from orchestrator.gateway.websockets.connection import CLOSE_WITHIN_S, Connection
from protocol.codec import SUBPROTOCOL_PREFIX, Codec
from protocol.errors import Code, Refusal

_log = structlog.get_logger(__name__)

HELLO_WITHIN_S = 5.0
"""From the handshake; a connection that has not said `hello` by then is closed (`HEARTBEAT_MISSED`)."""
_ENGINE_CODES = {1002: Code.MALFORMED, 1007: Code.MALFORMED, 1009: Code.TOO_LARGE}
"""Close codes that the WebSocket engine itself sends (RFC 6455 §7.4.1), as we count them."""

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Open = Callable[[Codec, str], Connection]
"""Makes a connection for a codec and the token of the HTTP request."""


class DirectSocket(Protocol):
    """A socket that can be written to without waiting. Where a server offers none, the task writes everything."""

    @property
    def takes_more(self) -> bool:
        """Whether a message can be written now."""
        ...

    def write_message(self, message: bytes, *, binary: bool) -> None:
        """Writes one; only where it takes more."""
        ...


class WebSockets:
    """The WebSocket entrances, by path."""

    def __init__(
        self,
        entrances: dict[str, Open],
        *,
        origins: Sequence[str],
        message_bytes_max: int,
        metrics: Metrics,
        new_reference: Callable[[], str],
        hello_within_s: float = HELLO_WITHIN_S,
    ) -> None:
        self._entrances = entrances
        self._origins = frozenset(origin.rstrip("/").lower() for origin in origins)
        self._codecs = {
            codec.subprotocol: codec
            for codec in (Codec(name, message_bytes_max=message_bytes_max) for name in ("msgpack", "json"))
        }
        self._metrics = metrics
        self._new_reference = new_reference
        self._hello_within_s = hello_within_s
        self._draining = False
        self._empty = asyncio.Event()
        self._empty.set()
        self.connections: set[Connection] = set()
        self._due: list[tuple[Connection, DirectSocket]] = []
        """To be written to at the end of this turn."""

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serves one WebSocket from handshake to end."""
        await receive()  # websocket.connect
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        try:
            codec = self._admit(scope, headers)
        except Refusal as refusal:
            self._metrics.refused(refusal.code, "websocket")
            await _reject(send, refusal)
            return
        await send({"type": "websocket.accept", "subprotocol": codec.subprotocol})
        presented = headers.get(b"authorization", "").removeprefix("Bearer ").strip()
        connection = self._entrances[scope["path"]](codec, presented)
        connection.abort = scope["extensions"][ABORT]
        connection.proven = scope["extensions"].get(PROVEN, connection.proven)
        if direct := scope["extensions"].get(DIRECT):
            connection.outgoing.on_frames = lambda: self._write_soon(connection, direct)
        gauge = self._metrics.connections.labels(connection.kind)
        gauge.inc()
        self.connections.add(connection)
        self._empty.clear()
        try:
            await self._serve(connection, receive, send)
        finally:
            self.connections.discard(connection)
            gauge.dec()
            connection.ended()
            _log.info(
                "connection.ended",
                kind=connection.kind,
                session=connection.session,
                client=connection.client,
                name=connection.token.name if connection.token else "",
                code=connection.closing[0] if connection.closing else 0,
            )
            if not self.connections:
                self._empty.set()

    async def drain(self, within_s: float) -> None:
        """Tells everyone to leave, waits for them, and closes those who stay with `DRAINING`."""
        self._draining = True
        for connection in list(self.connections):
            connection.drain(after_ms=1000)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._empty.wait()
        self.close_all(Code.DRAINING, "the server stops")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_WITHIN_S + 1):
                await self._empty.wait()

    def close_all(self, code: Code, message: str, *, kind: str = "") -> None:
        """Closes every connection, or those of one kind."""
        for connection in list(self.connections):
            if not kind or connection.kind == kind:
                connection.close(code, message)

    # The door

    def _admit(self, scope: dict[str, Any], headers: dict[bytes, str]) -> Codec:
        if self._draining:
            raise Refusal(Code.DRAINING, "the server is stopping; reconnect after a moment")
        if scope["path"] not in self._entrances:
            raise Refusal(Code.NOT_FOUND, f"WebSockets are at {' and '.join(sorted(self._entrances))}")
        origin = headers.get(b"origin", "")
        if origin and not self._is_ours(origin, headers.get(b"host", "")):
            raise Refusal(Code.BAD_ORIGIN, "this Origin is not allowed; add it to http.origins")
        for offered in scope["subprotocols"]:
            if codec := self._codecs.get(offered):
                return codec
        known = " or ".join(sorted(self._codecs))
        raise Refusal(Code.UNSUPPORTED_PROTOCOL, f"offer the WebSocket subprotocol {known} ({SUBPROTOCOL_PREFIX}*)")

    def _is_ours(self, origin: str, host: str) -> bool:
        """Whether a browser's page may connect: one of the server's own, or of an allowed origin (RFC 6454)."""
        try:
            netloc = urlsplit(origin).netloc
        except ValueError:
            return False  # No browser sends an Origin that is no URL.
        return netloc.lower() == host.lower() or origin.lower() in self._origins

    # One socket

    async def _serve(self, connection: Connection, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        hello = loop.call_later(self._hello_within_s, guarded, connection.broke, connection.hello_missed)
        writer = loop.create_task(self._write(connection, send))
        try:
            await self._read(connection, receive)
        except Exception as exc:  # noqa: BLE001 - a bug met on one client's behalf ends that client's connection
            connection.broke(exc)
            await _until_gone(receive)
        finally:
            hello.cancel()
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    async def _read(self, connection: Connection, receive: Receive) -> None:
        while not connection.closing:
            message = await receive()
            if message["type"] != "websocket.receive":
                if code := _ENGINE_CODES.get(message.get("code", 0)):
                    self._metrics.refused(code, connection.kind)
                return
            data = message.get("bytes")
            connection.received(message["text"] if data is None else data)
            await connection.outgoing.room()
        await _until_gone(receive)

    def _write_soon(self, connection: Connection, socket: DirectSocket) -> None:
        if not self._due:
            asyncio.get_running_loop().call_soon(self._write_due)
        self._due.append((connection, socket))

    def _write_due(self) -> None:
        due, self._due = self._due, []
        for connection, socket in due:
            try:
                _write_now(connection, socket)
            except Exception as exc:  # noqa: BLE001 - as in the reader
                failed(exc, where=connection.kind, new_reference=self._new_reference)
                connection.abort()

    async def _write(self, connection: Connection, send: Send) -> None:
        """Sends what waits, then the close where one was decided."""
        outgoing, codec = connection.outgoing, connection.codec
        try:
            while not (connection.closing and not len(outgoing)):
                frames = await outgoing.take()
                if frames:
                    await send(_message(codec, frames))
                outgoing.sent()
                connection.sent()
            code, reason = connection.closing
            await send({"type": "websocket.close", "code": code, "reason": reason})
        except OSError:
            # uvicorn's ClientDisconnected: the reader hears of it as well, and ends the connection.
            return
        except Exception as exc:  # noqa: BLE001 - as in the reader
            failed(exc, where=connection.kind, new_reference=self._new_reference)
            connection.abort()


def _write_now(connection: Connection, socket: DirectSocket) -> None:
    """Writes what waits, as far as the socket takes it. The rest is left to the connection's task, and so is its
    close."""
    outgoing, codec = connection.outgoing, connection.codec
    outgoing.heard()
    while len(outgoing):
        if connection.closing or not socket.takes_more:
            outgoing.leave_to_waiting()
            return
        socket.write_message(codec.join(outgoing.gather()), binary=codec.binary)
        outgoing.sent()
        connection.sent()


def _message(codec: Codec, frames: Sequence[bytes]) -> dict[str, Any]:
    message = codec.join(frames)
    if codec.binary:
        return {"type": "websocket.send", "bytes": message}
    return {"type": "websocket.send", "text": message.decode()}


async def _until_gone(receive: Receive) -> None:
    """Passes over what the client still sends, so that its answer to our close is read."""
    while (await receive())["type"] == "websocket.receive":
        pass


async def _reject(send: Send, refusal: Refusal) -> None:
    """Answers the handshake with HTTP, in the shape of every error (ASGI "WebSocket Denial Response")."""
    await send(
        {
            "type": "websocket.http.response.start",
            "status": error_status(refusal),
            "headers": [(b"content-type", b"application/json")],
        }
    )
    await send({"type": "websocket.http.response.body", "body": error_json(refusal)})
