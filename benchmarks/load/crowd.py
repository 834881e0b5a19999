"""A crowd of agents: connections that watch and stay, for what they cost and for what they see after a fault."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from benchmarks.load.server import LiveServer
from benchmarks.load.wire import Refused, Wire, frames_of, greet

AGENT_PATH = "/v1/agent"
AT_ONCE = 50
"""Connections that open side by side."""


class Seat:
    """One agent, who watches one conversation and answers heartbeats."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.seen = asyncio.Event()

    def hear(self, message: object) -> None:
        """Frames of the server."""
        for frame in frames_of(message):
            match frame["op"]:
                case "snapshot":
                    self.seen.set()
                case "heads":
                    self._wire.answer({"op": "pong"})
                case "error":
                    raise Refused(f"agent: {frame['code']} {frame['message']}")


@asynccontextmanager
async def seated(server: LiveServer, conversations: Sequence[str]) -> AsyncIterator[None]:
    """An agent for each of the conversations, who has seen it when the block begins."""
    gate = asyncio.Semaphore(AT_ONCE)
    wires: list[Wire] = []

    async def sit(group: asyncio.TaskGroup, number: int, conversation: str) -> None:
        async with gate:
            wire, welcome = await greet(server.url, AGENT_PATH, token=server.agent_token, name=f"agent {number}")
            wires.append(wire)
            seat = Seat(wire)
            group.create_task(wire.listen(seat.hear))
            generation = welcome["generation"]
            wire.write({"op": "watch", "conversation": conversation, "generation": generation, "seq": -1})
            await seat.seen.wait()

    async with asyncio.TaskGroup() as group:
        await asyncio.gather(*(sit(group, number, one) for number, one in enumerate(conversations)))
        yield
        await asyncio.gather(*(wire.close() for wire in wires))


async def listed(server: LiveServer, queue: str) -> list[str]:
    """The conversations that a queue shows."""
    wire, _ = await greet(server.url, AGENT_PATH, token=server.agent_token, name="lister")
    wire.write({"op": "watch", "inbox": f"queue:{queue}"})
    while True:
        for frame in frames_of(await wire.read()):
            if frame["op"] == "error":
                raise Refused(f"agent: {frame['code']} {frame['message']}")
            if frame["op"] == "inbox":
                await wire.close()
                return [row["conversation"] for row in frame.get("entries", ())]
