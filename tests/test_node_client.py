"""A stranger's client, made from the page alone: against a script that tests its rules, and against a real server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from orchestrator.client import GatewayClient
from protocol.codec import Codec
from protocol.entities import ConversationSummary, ConversationView, Status
from protocol.events import AnyEvent, NoteAdded
from protocol.frames import (
    Error,
    Frame,
    Heads,
    Hello,
    Inbox,
    Limits,
    Pong,
    Position,
    Resync,
    Snapshot,
    Update,
    Watch,
    Welcome,
)
from protocol.inbound import InboundEvent, MessageArrived
from tests.live_server import LiveServer
from tests.node_client import LINES_MAX, NodeClient, source

JSON = Codec("json")
A = "cua-1"
LIMITS = Limits(message_bytes=1 << 20, frames=100, watches=100, credits=0)


class Script:
    """A server whose answers are written in the test. One connection at a time."""

    def __init__(self) -> None:
        self.url = ""
        self.over = asyncio.Event()
        self._sockets: asyncio.Queue[ServerConnection] = asyncio.Queue()
        self._socket: ServerConnection | None = None

    async def handle(self, socket: ServerConnection) -> None:
        """Hands the connection to the test."""
        self._sockets.put_nowait(socket)
        await self.over.wait()

    async def accept(self, generation: str = "g1") -> Hello:
        """Takes the next connection's hello and welcomes it."""
        async with asyncio.timeout(30):
            self._socket = await self._sockets.get()
        hello = await self.heard()
        assert isinstance(hello, Hello)
        welcome = Welcome(session="s", name="ann", generation=generation, heartbeat_ms=60_000, limits=LIMITS)
        await self.say(welcome)
        return hello

    async def heard(self) -> Frame:
        """The next frame."""
        assert self._socket
        async with asyncio.timeout(30):
            (frame,) = JSON.decode_agent(await self._socket.recv())
        assert isinstance(frame, Frame), frame
        return frame

    async def say(self, *frames: Frame) -> None:
        """Sends frames in one message."""
        assert self._socket
        await self._socket.send(JSON.join([JSON.encode(frame) for frame in frames]).decode())

    async def hang_up(self, code: int) -> None:
        """Closes the connection."""
        assert self._socket
        await self._socket.close(code)


@asynccontextmanager
async def served(port: int = 0) -> AsyncIterator[Script]:
    """A scripted server; without `port`, on a free one."""
    scripted = Script()
    protocols = [Subprotocol("throughline.v1.json")]
    async with serve(scripted.handle, "127.0.0.1", port, subprotocols=protocols, close_timeout=1) as listening:
        scripted.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        yield scripted
        scripted.over.set()


@pytest.fixture
async def script() -> AsyncIterator[Script]:
    """A scripted server on a free port."""
    async with served() as scripted:
        yield scripted


def snapshot(seq: int, generation: str = "g1") -> Snapshot:
    """A snapshot with its newest event."""
    view = ConversationView(conversation=A, customer="cua", status=Status.OPEN)
    recent: list[AnyEvent] = [NoteAdded(at_ms=1, text=f"n{seq}")]
    return Snapshot(conversation=A, generation=generation, seq=seq, view=view, recent=recent)


def update(first: int, last: int) -> Update:
    """Notes that say their number."""
    return Update(conversation=A, seq=first, events=[NoteAdded(at_ms=1, text=f"n{n}") for n in range(first, last + 1)])


def test_it_has_sixty_lines() -> None:
    """The page promises so."""
    assert len(source().splitlines()) <= LINES_MAX


async def test_it_keeps_the_rules_of_the_page(script: Script, tmp_path: Path) -> None:
    """Over repeats, gaps, breaks, its own restart and a new generation, each event is printed once."""
    client = NodeClient(tmp_path, script.url, "t", "queue:default")
    await client.start()
    try:
        hello = await script.accept()
        assert (hello.token, hello.inboxes, hello.positions) == ("t", ["queue:default"], [])
        row = ConversationSummary(conversation=A, customer="cua", head=3)
        await script.say(
            Inbox(inbox="queue:default", entries=[row], full=True), Inbox(inbox="queue:default", entries=[row])
        )
        assert await script.heard() == Watch(conversation=A, generation="g1", seq=-1)
        await script.say(snapshot(3), update(3, 4), update(4, 4), update(6, 6))
        assert await client.line() == [A, "3", "NoteAdded", "n3"]
        assert await client.line() == [A, "4", "NoteAdded", "n4"]
        assert await script.heard() == Watch(conversation=A, generation="g1", seq=4)
        await script.say(update(5, 6), Heads(heads={A: 7}))
        assert [(await client.line())[1] for _ in range(2)] == ["5", "6"]
        assert await script.heard() == Pong()
        assert await script.heard() == Watch(conversation=A, generation="g1", seq=6)
        await script.say(Resync(conversations=[A], inboxes=["queue:default"]))
        assert await script.heard() == Watch(conversation=A, generation="g1", seq=6)
        assert await script.heard() == Watch(inbox="queue:default")
        await script.hang_up(4100)
        hello = await script.accept()
        assert (hello.generation, hello.positions) == ("g1", [Position(conversation=A, seq=6)])
        await script.say(update(7, 7))
        assert (await client.line())[1] == "7"
        await client.saved(A, 7)
        await client.kill()
        await client.start()
        assert (await script.accept("g2")).positions == [Position(conversation=A, seq=7)]
        await script.say(snapshot(2, "g2"))
        assert (await client.line())[1] == "2"
        await script.say(Error(code=4207, message="it is over", ref=f"conversation={A}"))
        await script.hang_up(4100)
        assert (await script.accept("g2")).positions == []
        await script.hang_up(4010)
        assert await client.ended() == 1
    finally:
        await client.kill()


async def test_it_comes_again_while_nobody_answers(tmp_path: Path) -> None:
    """A connection that comes to nothing is tried again until there is a server."""
    tries: asyncio.Queue[None] = asyncio.Queue()

    async def busy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        tries.put_nowait(None)

    nobody = await asyncio.start_server(busy, "127.0.0.1", 0)
    port = nobody.sockets[0].getsockname()[1]
    client = NodeClient(tmp_path, f"http://127.0.0.1:{port}", "t", "mine")
    await client.start()
    try:
        async with asyncio.timeout(30):
            await tries.get()
            await tries.get()
        nobody.close()
        await nobody.wait_closed()
        async with served(port) as script:
            assert (await script.accept()).inboxes == ["mine"]
    finally:
        await client.kill()


def message(id: str, visitor: str, text: str) -> InboundEvent:
    """A customer's chat message."""
    return InboundEvent(
        id=id,
        source="node-test",
        time_ms=1_767_225_600_000,
        account="chat",
        channel="chat",
        identities=[f"chat:{visitor}"],
        data=MessageArrived(text=text),
    )


async def texts(client: NodeClient, visitor: str, count: int) -> list[tuple[str, int, str]]:
    """The next messages of this visitor that the client prints, with their conversations and numbers."""
    seen: list[tuple[str, int, str]] = []
    while len(seen) < count:
        conversation, seq, kind, text = (*await client.line(), "")[:4]
        if kind == "MessageReceived" and text.startswith(visitor):
            seen.append((conversation, int(seq), text))
    return seen


@pytest.mark.slow
async def test_it_resumes_after_everything_was_killed(server: LiveServer, tmp_path: Path) -> None:
    """The server is killed with all its processes, then the client: what is acked is printed, each message once."""
    visitor = uuid4().hex[:12]
    client = NodeClient(tmp_path, server.url, server.agent_token, "queue:default")
    await client.start()
    try:
        async with GatewayClient(server.url, server.gateway_token) as gateway:
            for n in (1, 2):
                await gateway.send(message(f"{visitor}-{n}", visitor, f"{visitor} {n}"))
            seen = await texts(client, visitor, 2)
            await server.restart()
            await gateway.send(message(f"{visitor}-3", visitor, f"{visitor} 3"))
            seen += await texts(client, visitor, 1)
            await client.saved(*seen[-1][:2])
            await client.kill()
            await gateway.send(message(f"{visitor}-4", visitor, f"{visitor} 4"))
            await client.start()
            seen += await texts(client, visitor, 1)
    finally:
        await client.kill()
    assert [text for _, _, text in seen] == [f"{visitor} {n}" for n in (1, 2, 3, 4)]
    assert [seq for _, seq, _ in seen] == sorted({seq for _, seq, _ in seen})
