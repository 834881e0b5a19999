"""A client of the gateway as a stranger would write one: `websockets`, and the `msgpack` package or `json`."""

import asyncio
import contextlib
import json
from types import TracebackType
from typing import Any, Self

import msgpack
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

DEADLINE_S = 10.0
"""Far longer than anything here takes: past it a test fails rather than hangs."""


class Client:
    """One WebSocket. Frames are dicts, both ways."""

    def __init__(self, url: str, *, codec: str = "msgpack", **options: Any) -> None:
        self._binary = codec == "msgpack"
        self._connecting = connect(
            url,
            subprotocols=[Subprotocol(f"throughline.v1.{codec}")],
            ping_interval=None,
            compression=None,
            max_size=None,
            proxy=None,
            **options,
        )
        self._frames: list[dict[str, Any]] = []
        self.socket: ClientConnection

    async def __aenter__(self) -> Self:
        self.socket = await self._connecting
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.transport.abort()
        await self.socket.wait_closed()

    async def send(self, *frames: dict[str, Any]) -> None:
        """Sends one message: a frame, or an array of them."""
        message = frames[0] if len(frames) == 1 else list(frames)
        await self.socket.send(msgpack.packb(message) if self._binary else json.dumps(message))

    async def hello(self, token: str, **fields: Any) -> dict[str, Any]:
        """Says hello; returns the welcome."""
        await self.send({"op": "hello", "token": token, **fields})
        return await self.next("welcome")

    async def frame(self) -> dict[str, Any]:
        """The next frame of any kind."""
        if not self._frames:
            async with asyncio.timeout(DEADLINE_S):
                message = await self.socket.recv()
            decoded = msgpack.unpackb(message) if isinstance(message, bytes) else json.loads(message)
            self._frames += decoded if isinstance(decoded, list) else [decoded]
        return self._frames.pop(0)

    async def next(self, op: str) -> dict[str, Any]:
        """The next frame of this kind; heartbeats before it are answered, anything else before it is a failure."""
        while True:
            frame = await self.frame()
            if frame["op"] == op:
                return frame
            assert frame["op"] in ("heads", "ping"), frame
            await self.send({"op": "pong"})

    async def close_code(self) -> int:
        """Reads on until the server closes; returns the code."""
        async with asyncio.timeout(DEADLINE_S):
            with contextlib.suppress(ConnectionClosed):
                async for _ in self.socket:
                    pass
        assert self.socket.close_code
        return self.socket.close_code
