"""WebSockets in memory: one side is driven by the gateway's own `WebSockets`, the other by a client's session.

Messages take time, in order. A socket breaks with what was on its way lost or delivered; the server may hear of it at
once, late, or only by silence. A client that does not read fills its window, and then the server's `send` waits.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from orchestrator.gateway.bounded.websocket import ABORT
from protocol.codec import SUBPROTOCOL_PREFIX
from tests.simulation.pace import Pace

WINDOW_BYTES = 4 * 1024
"""What the kernel's buffers take before a sender waits for the reader; small, so that few events fill it."""


class ClientSide(Protocol):
    """What a client hears of its socket."""

    def opened(self) -> None: ...

    def message(self, data: bytes) -> None: ...

    def closed(self) -> None: ...


class Socket:
    """One connection. `left(data)` is called as the server puts a message on the wire."""

    def __init__(self, path: str, client: ClientSide, pace: Pace, left: Callable[[bytes], None]) -> None:
        self.path = path
        self._client = client
        self._pace = pace
        self._left = left
        self._to_server: deque[Any] = deque([{"type": "websocket.connect"}])
        self._arrived = asyncio.Event()
        self._arrived.set()
        self._room = asyncio.Event()
        self._room.set()
        self._unread: deque[bytes] = deque()
        self._unread_bytes = 0
        self._last_up_s = self._last_down_s = 0.0
        self._client_gone = False
        self._server_knows = False
        self._lost = False
        self.reading = True

    # The server's side

    def scope(self) -> dict[str, Any]:
        """The ASGI scope of the handshake."""
        return {
            "type": "websocket",
            "path": self.path,
            "headers": [(b"host", b"throughline")],
            "subprotocols": [f"{SUBPROTOCOL_PREFIX}msgpack"],
            "extensions": {ABORT: self.abort},
        }

    async def receive(self) -> Any:
        """The server reads."""
        while not self._to_server:
            self._arrived.clear()
            await self._arrived.wait()
        return self._to_server.popleft()

    async def send(self, event: Any) -> None:
        """The server writes; waits while the window is full. Raises `OSError` where it knows of the end."""
        match event["type"]:
            case "websocket.accept":
                self._down(self._client.opened)
            case "websocket.send":
                await self._room.wait()
                if self._server_knows:
                    raise OSError("the client is gone")
                data = event["bytes"]
                self._left(data)
                self._unread_bytes += len(data)
                if self._unread_bytes > WINDOW_BYTES:
                    self._room.clear()
                self._down(self._arrive, data)
            case "websocket.close":
                self._down(self._end)
                self._hang_up()
            case _:
                self._down(self._end)

    def abort(self) -> None:
        """The server drops it: at once, and nothing more arrives."""
        self._lost = True
        self._hang_up()
        self._end()

    # The client's side

    def say(self, data: bytes) -> None:
        """The client writes."""
        if not self._client_gone:
            loop = asyncio.get_running_loop()
            self._last_up_s = max(self._last_up_s + 1e-6, loop.time() + self._pace.net_s())
            loop.call_at(self._last_up_s, self._say, data)

    def read_on(self) -> None:
        """The client reads again."""
        self.reading = True
        while self._unread and self.reading and not self._client_gone:
            self._read(self._unread.popleft())

    def break_off(self, *, server_hears_s: float) -> None:
        """It breaks. The client hears of it now, the server so much later."""
        self._lost = self._pace.toss()
        loop = asyncio.get_running_loop()
        loop.call_later(server_hears_s, self._hang_up)
        self._end()

    # Both

    @property
    def unread_bytes(self) -> int:
        """What is on its way or waits for the client."""
        return self._unread_bytes

    def _down(self, call: Callable[..., None], *args: Any) -> None:
        loop = asyncio.get_running_loop()
        self._last_down_s = max(self._last_down_s + 1e-6, loop.time() + self._pace.net_s())
        loop.call_at(self._last_down_s, call, *args)

    def _say(self, data: bytes) -> None:
        if not self._server_knows and not self._lost:
            self._put({"type": "websocket.receive", "bytes": data})

    def _arrive(self, data: bytes) -> None:
        if self._client_gone:
            return
        if self.reading and not self._unread:
            self._read(data)
        else:
            self._unread.append(data)

    def _read(self, data: bytes) -> None:
        self._unread_bytes -= len(data)
        if self._unread_bytes <= WINDOW_BYTES:
            self._room.set()
        self._client.message(data)

    def _end(self) -> None:
        if not self._client_gone:
            self._client_gone = True
            self._client.closed()

    def _hang_up(self) -> None:
        if not self._server_knows:
            self._server_knows = True
            self._room.set()
            self._put({"type": "websocket.disconnect", "code": 1006})

    def _put(self, event: Any) -> None:
        self._to_server.append(event)
        self._arrived.set()
