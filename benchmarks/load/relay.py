"""The yardstick: a relay on `websockets` that stores nothing and decides nothing, run as a process of its own.

    /gateway    a message is a list of [agent, number, event bytes]; the answer is the list of numbers
    /agent/<n>  gets a message for each message that holds events for it: the list of [number, event bytes]

It ends when its standard input does, so it never outlives the run that started it.
"""

import asyncio
import sys
from typing import Any

import msgpack
import uvloop
from websockets.asyncio.server import ServerConnection, serve


class Relay:
    """Hands events from gateway connections to agents'."""

    def __init__(self) -> None:
        self._agents: dict[int, ServerConnection] = {}

    async def handle(self, connection: ServerConnection) -> None:
        """Serves one connection until it closes."""
        assert connection.request is not None, "websockets calls the handler after the handshake"
        path = connection.request.path
        if path == "/gateway":
            await self._from_gateway(connection)
        else:
            self._agents[int(path.removeprefix("/agent/"))] = connection
            await connection.wait_closed()

    async def _from_gateway(self, connection: ServerConnection) -> None:
        async for message in connection:
            events: list[list[Any]] = msgpack.unpackb(message)
            by_agent: dict[int, list[list[Any]]] = {}
            for agent, number, event in events:
                by_agent.setdefault(agent, []).append([number, event])
            for agent, share in by_agent.items():
                await self._agents[agent].send(msgpack.packb(share))
            await connection.send(msgpack.packb([number for _, number, _ in events]))


async def main() -> None:
    """Serves on a free port of loopback, which it prints, until standard input ends."""
    relay = Relay()
    async with serve(relay.handle, "127.0.0.1", 0, compression=None, max_size=None, ping_interval=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)


if __name__ == "__main__":
    uvloop.run(main())
