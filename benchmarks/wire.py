"""One WebSocket of the load generator: MessagePack arrays and frames as dicts, by `websockets` and `msgpack`.

The server's own codec takes no part, so that two independent implementations talk; frames are those of
`protocol.frames`.
"""

from typing import Any

import msgpack
from websockets.asyncio.client import ClientConnection, connect

SUBPROTOCOL = "throughline.v1.msgpack"
MESSAGE_BYTES_MAX = 16 * 1024 * 1024
"""Of what the server may send at once: the full list of an inbox."""
OPEN_TIMEOUT_S = 30.0

Frame = dict[str, Any]


class Refused(Exception):
    """The server said no where the load generator counts on a yes."""


class Wire:
    """An open connection. One task reads it; any may write."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._pack = msgpack.Packer().pack

    async def write(self, message: Any) -> None:
        """Sends one message, a frame or a list of them; waits while the other side does not read."""
        await self._connection.send(self._pack(message))

    async def read(self) -> Any:
        """The next message. Raises `websockets.ConnectionClosed`."""
        return msgpack.unpackb(await self._connection.recv(decode=False))

    async def frames(self) -> list[Frame]:
        """The frames of the next message."""
        message = await self.read()
        return message if isinstance(message, list) else [message]

    async def close(self) -> None:
        """Says goodbye."""
        await self._connection.close()


async def open_wire(url: str, *, subprotocol: str | None = None) -> Wire:
    """Connects. Pings are off: both sides are on one machine, and frames have heartbeats of their own."""
    connection = await connect(
        url,
        subprotocols=[subprotocol] if subprotocol else None,  # type: ignore[list-item]
        compression=None,
        max_size=MESSAGE_BYTES_MAX,
        ping_interval=None,
        open_timeout=OPEN_TIMEOUT_S,
        proxy=None,
    )
    return Wire(connection)


async def greet(url: str, path: str, *, token: str, name: str, **more: Any) -> tuple[Wire, Frame]:
    """Opens one of the server's WebSockets and says hello; returns it with its `welcome`. Raises `Refused`."""
    wire = await open_wire(f"ws{url.removeprefix('http')}{path}", subprotocol=SUBPROTOCOL)
    await wire.write({"op": "hello", "token": token, "client": f"benchmark {name}", **more})
    first, *rest = await wire.frames()
    if first["op"] != "welcome":
        raise Refused(f"{path}: {first.get('code')} {first.get('message', first['op'])}")
    if any(frame["op"] not in ("flow", "inbox") for frame in rest):
        raise Refused(f"{path}: unexpected frames with the welcome")
    return wire, first
