"""A small HTTP/1.1 server under the fakes of REST APIs: one request a connection, and connections that can be cut.

ASGI servers answer for an application that fails; a provider whose connection breaks in the middle needs the socket.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import h11

BODY_BYTES_MAX = 1024 * 1024
_READ_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """A whole request. Header names are in lower case; `target` is path and query."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """A JSON answer."""

    status: int
    body: dict[str, Any]


class HttpServer:
    """Answers each request with what `answer` returns; None cuts the connection without a word."""

    def __init__(self, answer: Callable[[Request], Awaitable[Answer | None]]) -> None:
        self._answer = answer
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> str:
        """Listens and returns the address, such as http://127.0.0.1:7127."""
        self._server = await asyncio.start_server(self._serve, host, port)
        bound = self._server.sockets[0].getsockname()
        return f"http://{bound[0]}:{bound[1]}"

    async def close(self) -> None:
        """Stops listening and cuts every connection."""
        if self._server is not None:
            self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._exchange(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            # The other side left, or we are closing: either way nobody is there to be told.
            pass
        finally:
            writer.transport.abort()
            self._connections.discard(task)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER)
        try:
            request = await _read(connection, reader)
        except h11.RemoteProtocolError as exc:
            status = exc.error_status_hint
            answer: Answer | None = Answer(status, {"status": status, "message": str(exc)})
        else:
            answer = await self._answer(request)
        if answer is None:
            return
        body = json.dumps(answer.body).encode()
        head = h11.Response(
            status_code=answer.status,
            reason=HTTPStatus(answer.status).phrase.encode(),
            headers=[
                ("Content-Type", "application/json"),
                ("Content-Length", str(len(body))),
                ("Connection", "close"),
            ],
        )
        for event in (head, h11.Data(data=body), h11.EndOfMessage()):
            writer.write(connection.send(event) or b"")
        await writer.drain()
        writer.write_eof()
        # Aborting now could throw away what the kernel has not sent; the client closes when it has read the answer.
        await reader.read()


async def _read(connection: h11.Connection, reader: asyncio.StreamReader) -> Request:
    """Reads one request to its end. Raises `h11.RemoteProtocolError`."""
    head: h11.Request | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(_READ_BYTES))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > BODY_BYTES_MAX:
                raise h11.RemoteProtocolError("body too large", error_status_hint=413)
        elif isinstance(event, h11.EndOfMessage):
            assert head is not None, "a message ends after it began"
            return Request(
                method=head.method.decode(),
                target=head.target.decode(),
                headers={name.decode(): value.decode("latin-1") for name, value in head.headers},
                body=bytes(body),
            )
        else:
            raise ConnectionResetError("the client closed before its request was whole")
