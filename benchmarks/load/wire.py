"""One WebSocket of the load generator: MessagePack arrays and frames as dicts, by `websockets` and `msgpack`.

The server's own codec takes no part, so that two independent implementations talk; frames are those of
`protocol.frames`. The engine is `websockets` without its tasks and queues (its sans-I/O layer): a message is heard in
the turn of the loop that reads it. What the load generator uses of a machine, the server beside it has not.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import msgpack
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK
from websockets.frames import Frame as EngineFrame
from websockets.frames import Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

SUBPROTOCOL = Subprotocol("throughline.v1.msgpack")
MESSAGE_BYTES_MAX = 16 * 1024 * 1024
"""Of what the server may send at once: the full list of an inbox."""
OPEN_TIMEOUT_S = 30.0
CLOSE_TIMEOUT_S = 10.0

Frame = dict[str, Any]
Hear = Callable[[Any], None]
"""Takes one message. What it raises ends the connection, and comes out of `listen`."""
_DATA = (Opcode.BINARY, Opcode.TEXT, Opcode.CONT)


class Refused(Exception):
    """The server said no where the load generator counts on a yes."""


class Wire(asyncio.Protocol):
    """A connection. One task reads it; any may write."""

    def __init__(self, url: str, *, subprotocol: Subprotocol | None = None) -> None:
        offered = [subprotocol] if subprotocol else None
        self._engine = ClientProtocol(parse_uri(url), subprotocols=offered, max_size=MESSAGE_BYTES_MAX)
        self._pack = msgpack.Packer().pack
        self._transport: asyncio.Transport | None = None
        self._hear: Hear | None = None
        self._unheard: deque[Any] = deque()
        self._parts = b""
        """Of a message that comes in several frames."""
        self._came = asyncio.Event()
        """Something was answered, has come, or is over."""
        self._answered = False
        self._left = False
        """We said goodbye."""
        self._ended = asyncio.Event()
        self._why: Exception | None = None
        """Why it ended, other than in good order."""

    # For the load

    def write(self, message: Any) -> None:
        """Sends one message, a frame or a list of them. Nothing waits here for a server that does not read: what is
        unanswered has a bound, and bounds this. Raises why the connection is over, lest what never left count as sent;
        nothing where it was left by `close`, since whoever said goodbye owes no answer."""
        if self._engine.state is State.OPEN:
            self._engine.send_binary(self._pack(message))
            self._flush()
        elif not self._left:
            raise self._why or ConnectionClosedError(None, None)

    def answer(self, message: Any) -> None:
        """Sends what the server asked for, such as the answer to its heartbeat. Nothing where the connection is over:
        a goodbye that came in the same read as the question says that nobody waits for it."""
        if self._engine.state is State.OPEN:
            self.write(message)

    async def read(self) -> Any:
        """The next message, as long as nobody listens. Raises `ConnectionClosedError` where there is none to come."""
        while not self._unheard:
            if self._ended.is_set():
                raise self._why or ConnectionClosedError(None, None)
            await self._something()
        return self._unheard.popleft()

    async def listen(self, hear: Hear) -> None:
        """Gives every message to `hear`, until the connection is closed in good order. Raises what `hear` raises, and
        `ConnectionClosedError`."""
        while self._unheard:
            hear(self._unheard.popleft())
        self._hear = hear
        await self._ended.wait()
        if self._why is not None:
            raise self._why

    async def close(self) -> None:
        """Says goodbye, and waits for the answer."""
        self._left = True
        if self._engine.state is State.OPEN:
            self._engine.send_close(1000)
            self._flush()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._ended.wait()
        except TimeoutError:
            self.abort()

    def abort(self) -> None:
        """Ends it at once, without a goodbye."""
        if self._transport is not None:
            self._transport.abort()

    async def opened(self) -> None:
        """Returns when the handshake is through. Raises what `websockets` says was wrong with it."""
        while not self._answered:
            if self._ended.is_set():
                raise self._why or OSError("the connection ended before the handshake did")
            await self._something()

    # For the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asks for the upgrade."""
        # A cast, not an assertion: uvloop's transports have the methods and not the base class.
        self._transport = cast(asyncio.Transport, transport)
        self._engine.send_request(self._engine.connect())
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Hears what came."""
        engine = self._engine
        engine.receive_data(data)
        try:
            for event in engine.events_received():
                self._take(event)
        except Exception as exc:  # noqa: BLE001 - whatever it is, who listens is told
            self._why = exc
            self.abort()
            return
        self._flush()

    def eof_received(self) -> None:
        """The server sends no more."""
        self._engine.receive_eof()
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over, in good order or not."""
        self._transport = None
        engine = self._engine
        if engine.state is not State.CLOSED:
            engine.receive_eof()
        if self._why is None:
            said = engine.handshake_exc or exc or engine.close_exc
            self._why = None if isinstance(said, ConnectionClosedOK) else said
        self._ended.set()
        self._came.set()

    def _take(self, event: EngineFrame | Any) -> None:
        if isinstance(event, Response):
            self._answered = self._engine.handshake_exc is None
            self._came.set()
        elif event.opcode in _DATA:
            if not event.fin or self._parts:
                self._parts += event.data
            if event.fin:
                message = msgpack.unpackb(self._parts or event.data)
                self._parts = b""
                self._give(message)

    def _give(self, message: Any) -> None:
        if self._hear is not None:
            self._hear(message)
        else:
            self._unheard.append(message)
            self._came.set()

    async def _something(self) -> None:
        self._came.clear()
        await self._came.wait()

    def _flush(self) -> None:
        for data in self._engine.data_to_send():
            if self._transport is None:
                return
            if data:
                self._transport.write(data)
            else:
                # The engine's sign for the end of what it sends.
                self._transport.close()


async def open_wire(url: str, *, subprotocol: Subprotocol | None = None) -> Wire:
    """Connects. Raises `OSError`, `TimeoutError` and what `websockets` raises for a handshake that fails."""
    wire = Wire(url, subprotocol=subprotocol)
    address = parse_uri(url)
    try:
        async with asyncio.timeout(OPEN_TIMEOUT_S):
            await asyncio.get_running_loop().create_connection(
                lambda: wire, address.host, address.port, ssl=address.secure or None
            )
            await wire.opened()
    except BaseException:
        wire.abort()
        raise
    return wire


async def greet(url: str, path: str, *, token: str, name: str, **more: Any) -> tuple[Wire, Frame]:
    """Opens one of the server's WebSockets and says hello; returns it with its `welcome`. Raises `Refused`."""
    wire = await open_wire(f"ws{url.removeprefix('http')}{path}", subprotocol=SUBPROTOCOL)
    try:
        wire.write({"op": "hello", "token": token, "client": f"benchmark {name}", **more})
        first = frames_of(await wire.read())[0]
        if first["op"] != "welcome":
            raise Refused(f"{path}: {first.get('code')} {first.get('message', first['op'])}")
    except BaseException:
        wire.abort()
        raise
    return wire, first


def frames_of(message: Any) -> list[Frame]:
    """The frames of a message: it is one, or an array of them."""
    return message if isinstance(message, list) else [message]
