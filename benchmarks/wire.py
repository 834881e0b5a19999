"""One WebSocket of the load generator: MessagePack arrays and frames as dicts, by `websockets` and `msgpack`.

The server's own codec takes no part, so that two independent implementations talk; frames are those of
`protocol.frames`.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import msgpack
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedOK
from websockets.typing import Subprotocol

SUBPROTOCOL = Subprotocol("throughline.v1.msgpack")
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

    async def close(self) -> None:
        """Says goodbye."""
        await self._connection.close()


async def open_wire(url: str, *, subprotocol: Subprotocol | None = None) -> Wire:
    """Connects. Pings are off: both sides are on one machine, and frames have heartbeats of their own."""
    connection = await connect(
        url,
        subprotocols=[subprotocol] if subprotocol else None,
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
    first = frames_of(await wire.read())[0]
    if first["op"] != "welcome":
        raise Refused(f"{path}: {first.get('code')} {first.get('message', first['op'])}")
    return wire, first


def frames_of(message: Any) -> list[Frame]:
    """The frames of a message: it is one, or an array of them."""
    return message if isinstance(message, list) else [message]


async def listen(wire: Wire, hear: Callable[[Any], Awaitable[None]]) -> None:
    """Gives every message to `hear`, until the connection is closed in good order. Raises `ConnectionClosedError`."""
    try:
        while True:
            await hear(await wire.read())
    except ConnectionClosedOK:
        return
