"""The SDK against a scripted server on a real socket: resume, bounds, refusals. Here msgpack meets msgspec."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, TypeVar

import msgspec
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from orchestrator.client import AgentClient, GatewayClient, Refusal, encode_event
from orchestrator.client.wire import messages, pack, refusal_of, unpack
from protocol.codec import Codec
from protocol.entities import ConversationSummary, ConversationView, Status
from protocol.errors import Code
from protocol.events import NoteAdded
from protocol.frames import (
    Ack,
    AgentFrame,
    CommandFrame,
    Deliver,
    Delivered,
    Drain,
    Error,
    EventFrame,
    Frame,
    GatewayFrame,
    Heads,
    Hello,
    Inbox,
    Limits,
    Nack,
    Pong,
    Position,
    Result,
    Snapshot,
    ToAgent,
    ToGateway,
    Unwatch,
    Update,
    Watch,
    Welcome,
)
from protocol.watched import ConversationUpdate
from tests.protocol import samples

CODEC = Codec("msgpack")
DEADLINE_S = 10.0
"""Far more than anything here takes; a test that waits so long has failed."""
F = TypeVar("F", bound=Frame)
A = "cua-1"


class Peer:
    """One accepted connection, as the script sees it."""

    def __init__(self, socket: ServerConnection, decode: Any) -> None:
        self._socket = socket
        self._decode = decode
        self._frames: list[Any] = []

    async def expect(self, kind: type[F]) -> F:
        """The next frame, which must be of this kind."""
        async with asyncio.timeout(DEADLINE_S):
            while not self._frames:
                message = await self._socket.recv()
                assert isinstance(message, bytes)
                self._frames += self._decode(message)
        frame = self._frames.pop(0)
        assert isinstance(frame, kind), frame
        return frame

    async def send(self, *frames: Frame) -> None:
        """Sends frames as one message."""
        await self._socket.send(CODEC.join([CODEC.encode(frame) for frame in frames]))

    async def welcome(self, *, heartbeat_ms: int = 60_000, credits: int = 100, message_bytes: int = 1 << 20) -> Hello:
        """Takes the hello and opens the connection."""
        hello = await self.expect(Hello)
        limits = Limits(message_bytes=message_bytes, frames=100, watches=100, credits=credits)
        await self.send(Welcome(session="s", name="ann", generation="g1", heartbeat_ms=heartbeat_ms, limits=limits))
        return hello

    async def close(self, code: int = 4100, reason: str = "") -> None:
        """Closes the connection."""
        await self._socket.close(code, reason)

    def vanish(self) -> None:
        """Breaks the connection as a dying machine does: without a word."""
        self._socket.transport.abort()

    async def closed(self) -> None:
        """Waits for the client to go."""
        async with asyncio.timeout(DEADLINE_S):
            await self._socket.wait_closed()


class ScriptedServer:
    """Accepts connections and hands them to the script in order."""

    def __init__(self) -> None:
        self.url = ""
        self.over = asyncio.Event()
        self._peers: asyncio.Queue[Peer] = asyncio.Queue()

    async def handle(self, socket: ServerConnection) -> None:
        assert socket.request
        agent = socket.request.path == "/v1/agent"
        peer = Peer(socket, CODEC.decode_agent if agent else CODEC.decode_gateway)
        self._peers.put_nowait(peer)
        await self.over.wait()

    async def peer(self) -> Peer:
        """The next connection."""
        async with asyncio.timeout(DEADLINE_S):
            return await self._peers.get()


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    """A scripted server on a free port."""
    scripted = ScriptedServer()
    subprotocols = [Subprotocol("throughline.v1.msgpack")]
    async with serve(scripted.handle, "127.0.0.1", 0, subprotocols=subprotocols, close_timeout=1) as listening:
        scripted.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        yield scripted
        scripted.over.set()


def agent(server: ScriptedServer, **changed: Any) -> AgentClient:
    """An agent's client that does not wait before it comes again."""
    return AgentClient(server.url, "t", random=lambda: 0.0, **changed)


def gateway(server: ScriptedServer, **changed: Any) -> GatewayClient:
    """A gateway's client that does not wait before it comes again."""
    return GatewayClient(server.url, "t", accounts=["chat"], random=lambda: 0.0, **changed)


def update(first: int, last: int) -> Update:
    """Events that carry their own number."""
    return Update(conversation=A, seq=first, events=[NoteAdded(at_ms=n, text="") for n in range(first, last + 1)])


def snapshot(seq: int) -> Snapshot:
    """A snapshot with its newest event."""
    view = ConversationView(conversation=A, customer="cua", status=Status.OPEN)
    return Snapshot(conversation=A, generation="g1", seq=seq, view=view, recent=[NoteAdded(at_ms=seq, text="")])


async def welcomed(client: Any, server: ScriptedServer, **terms: Any) -> Peer:
    """Enters the client and opens its first connection."""
    entering = asyncio.ensure_future(client.__aenter__())
    peer = await server.peer()
    await peer.welcome(**terms)
    async with asyncio.timeout(DEADLINE_S):
        await entering
    return peer


async def following(iterator: AsyncIterator[Any]) -> Any:
    """The iterator's next item."""
    async with asyncio.timeout(DEADLINE_S):
        return await anext(iterator)


@pytest.mark.parametrize("name", sorted(samples.ALL))
def test_both_implementations_read_each_other(name: str) -> None:
    """What the SDK packs is what the server's codec encodes, but for the bytes: a map's header has several forms."""
    frame = samples.ALL[name]
    assert msgspec.msgpack.decode(pack(frame)) == msgspec.msgpack.decode(CODEC.encode(frame))
    kinds = {**dict.fromkeys(samples.FROM_AGENT, AgentFrame), **dict.fromkeys(samples.FROM_GATEWAY, GatewayFrame)}
    union = kinds.get(name) or (ToAgent if name in samples.TO_AGENT else ToGateway)
    assert unpack(CODEC.encode(frame), union) == [frame]


def test_unreadable_messages_are_refused_and_unknown_frames_left_out() -> None:
    """A newer server may say more than this client knows; nonsense is named."""
    assert unpack(CODEC.join([pack(Drain()), b"\x81\xa2op\xa3new"]), ToAgent) == [Drain()]
    for nonsense in (
        b"\xc1",
        b"\x05",
        b"\x81\xa2op\x05\x01",
        pack(Drain())[:-1],
        b"\x82\xa2op\xa5drain\xa8after_ms\xa1x",
    ):
        with pytest.raises(Refusal):
            unpack(nonsense, ToAgent)


def test_messages_keep_to_the_limits() -> None:
    """Frames are put together up to the server's bytes and count, in order."""
    frames = [bytes([65 + n]) * 10 for n in range(7)]
    split = list(messages(frames, bytes_max=35, frames_max=2))
    assert split == [
        b"\x92" + frames[0] + frames[1],
        b"\x92" + frames[2] + frames[3],
        b"\x92" + frames[4] + frames[5],
        frames[6],
    ]
    assert list(messages(frames[:3], bytes_max=14, frames_max=9)) == frames[:3]


def test_an_unknown_code_is_read_by_its_range() -> None:
    """A newer server's code still says whether to come again."""
    assert refusal_of(4204, "x").code is Code.NO_IDENTITY
    assert [refusal_of(code, "x").retryable for code in (4099, 4199, 4299, 4399)] == [False, True, False, True]


async def test_an_agent_resumes_where_its_connection_broke(server: ScriptedServer) -> None:
    """After a break the hello carries the position, and no event comes twice or is missed."""
    client = agent(server)
    peer = await welcomed(client, server)
    client.watch(conversation=A)
    assert await peer.expect(Watch) == Watch(conversation=A, ref=f"conversation={A}")
    updates = client.updates()
    await peer.send(snapshot(3), update(4, 5))
    assert (await following(updates)).seq == 3
    assert (await following(updates)).seq == 5
    peer.vanish()
    peer = await server.peer()
    hello = await peer.welcome()
    assert (hello.positions, hello.generation) == ([Position(conversation=A, seq=5)], "g1")
    await peer.send(update(5, 7))
    assert [event.at_ms for event in (await following(updates)).events] == [6, 7]
    assert client.name == "ann"
    await client.__aexit__(None, None, None)
    with pytest.raises(StopAsyncIteration):
        await following(updates)


async def test_a_resume_point_counts_what_was_handed_out(server: ScriptedServer) -> None:
    """What still waits in the client when it ends comes again to the next one."""
    client = agent(server)
    peer = await welcomed(client, server)
    client.watch(conversation=A)
    await peer.send(snapshot(3), update(4, 4))
    assert (await following(client.updates())).seq == 3
    point = client.resume_point()
    await client.__aexit__(None, None, None)
    assert point.positions == {A: 3}
    client = agent(server, resume=point)
    client.watch(conversation=A)
    entering = asyncio.ensure_future(client.__aenter__())
    peer = await server.peer()
    hello = await peer.welcome()
    assert hello.positions == [Position(conversation=A, seq=3)]
    await entering
    await client.__aexit__(None, None, None)


async def test_a_command_is_asked_again_after_a_break(server: ScriptedServer) -> None:
    """The reply returns its result once, under one id, over two connections and a refusal for now."""
    client = agent(server)
    peer = await welcomed(client, server)
    replying = asyncio.ensure_future(client.reply(A, "On it.", id="k"))
    first = await peer.expect(CommandFrame)
    peer.vanish()
    peer = await server.peer()
    await peer.welcome()
    assert await peer.expect(CommandFrame) == first
    await peer.send(Result(id="k", code=4300, message="busy", retryable=True))
    assert await peer.expect(CommandFrame) == first
    await peer.send(Result(id="k", conversation=A, seq=9))
    async with asyncio.timeout(DEADLINE_S):
        assert (await replying).seq == 9
    await client.__aexit__(None, None, None)


async def test_a_refused_command_raises(server: ScriptedServer) -> None:
    """The server's code and words reach the caller; without an answer the wait ends with `TIMED_OUT`."""
    client = agent(server)
    peer = await welcomed(client, server)
    taking = asyncio.ensure_future(client.take(A))
    command = await peer.expect(CommandFrame)
    await peer.send(Result(id=command.id, code=4208, message="bob owns it"))
    with pytest.raises(Refusal, match="bob owns it") as refused:
        await taking
    assert refused.value.code is Code.NOT_ALLOWED_NOW
    with pytest.raises(Refusal) as refused:
        await client.command(command.command, conversation=A, wait_s=0.01)
    assert refused.value.code is Code.TIMED_OUT
    await client.__aexit__(None, None, None)


async def test_following_an_inbox_brings_its_conversations(server: ScriptedServer) -> None:
    """`follow` watches what is listed; the rows themselves are in the stream."""
    client = agent(server)
    peer = await welcomed(client, server)
    client.watch(inbox="queue:default", follow=True)
    await peer.expect(Watch)
    row = ConversationSummary(conversation=A, customer="cua", head=3)
    await peer.send(Inbox(inbox="queue:default", entries=[row], full=True))
    assert (await peer.expect(Watch)).conversation == A
    await peer.send(snapshot(3))
    stream = client.stream()
    assert isinstance(await following(stream), Inbox)
    assert isinstance(await following(stream), ConversationUpdate)
    client.unwatch(inbox="queue:default")
    assert [await peer.expect(Unwatch), await peer.expect(Unwatch)] == [
        Unwatch(inbox="queue:default"),
        Unwatch(conversation=A),
    ]
    await client.__aexit__(None, None, None)


async def test_a_refused_watch_is_heard_of(server: ScriptedServer) -> None:
    """A watch refused for now is asked again; one refused for good ends the wait for updates that never come."""
    client = agent(server)
    peer = await welcomed(client, server)
    client.watch(conversation=A)
    await peer.expect(Watch)
    await peer.send(Error(code=4301, message="a cell recovers", ref=f"conversation={A}"))
    await peer.expect(Watch)
    await peer.send(Error(code=4207, message="there is no such conversation", ref=f"conversation={A}"))
    with pytest.raises(Refusal, match="no such conversation"):
        await following(client.updates())
    await client.__aexit__(None, None, None)


async def test_a_slow_application_is_caught_up_and_still_answers_heartbeats(server: ScriptedServer) -> None:
    """Updates over the bound are left at the server and asked for when half of them are worked off."""
    client = agent(server, updates_max=2)
    peer = await welcomed(client, server)
    client.watch(conversation=A)
    await peer.expect(Watch)
    await peer.send(snapshot(1), update(2, 2), update(3, 3), update(4, 4), Heads(heads={A: 4}))
    await peer.expect(Pong)
    updates = client.updates()
    assert [(await following(updates)).seq for _ in range(2)] == [1, 2]
    assert (await peer.expect(Watch)).seq == 2
    await peer.send(update(3, 4))
    assert (await following(updates)).seq == 4
    await client.__aexit__(None, None, None)


async def test_a_reply_inside_the_loop_of_updates_does_not_lock_up(server: ScriptedServer) -> None:
    """The answer is heard although the queue of updates is full."""
    client = agent(server, updates_max=1)
    peer = await welcomed(client, server)
    client.watch(conversation=A)
    await peer.expect(Watch)
    await peer.send(snapshot(1), update(2, 2), update(3, 3))
    await following(client.updates())
    replying = asyncio.ensure_future(client.note(A, "seen"))
    assert (await peer.expect(Watch)).seq == 1
    command = await peer.expect(CommandFrame)
    await peer.send(update(2, 3), update(4, 4), Result(id=command.id, conversation=A, seq=5))
    async with asyncio.timeout(DEADLINE_S):
        assert (await replying).seq == 5
    await client.__aexit__(None, None, None)


async def test_a_silent_server_is_left(server: ScriptedServer) -> None:
    """Twice the heartbeat without a word, and the client comes again."""
    client = agent(server)
    await welcomed(client, server, heartbeat_ms=20)
    peer = await server.peer()
    await peer.welcome()
    await client.__aexit__(None, None, None)


@pytest.mark.parametrize("kind", [agent, gateway])
async def test_a_bad_token_stops_the_client(server: ScriptedServer, kind: Any) -> None:
    """A close code of the client's own range is raised and not tried again, with the server's full words."""
    entering = asyncio.ensure_future(kind(server).__aenter__())
    peer = await server.peer()
    await peer.expect(Hello)
    await peer.send(Error(code=4010, message="the token is unknown; make one with `throughline token create`"))
    await peer.close(4010, "the token is unknown")
    with pytest.raises(Refusal, match="throughline token create") as refused:
        await entering
    assert refused.value.code is Code.UNAUTHENTICATED


@pytest.mark.parametrize("kind", [agent, gateway])
async def test_a_running_client_hears_why_it_was_stopped(server: ScriptedServer, kind: Any) -> None:
    """Whoever waits gets the refusal: iterators, replies and sends, now and later."""
    client = kind(server)
    peer = await welcomed(client, server)
    is_agent = isinstance(client, AgentClient)
    asking = client.note(A, "x") if is_agent else client.send(samples.MESSAGE)
    waiting = asyncio.ensure_future(asking)
    await peer.expect(CommandFrame if is_agent else EventFrame)
    await peer.close(4011, "revoked")
    for ask in (waiting, client.note(A, "x") if is_agent else client.send(samples.MESSAGE)):
        with pytest.raises(Refusal, match="revoked"):
            await ask
    with pytest.raises(Refusal, match="revoked"):
        await following(client.updates() if is_agent else client.deliveries())
    await client.__aexit__(None, None, None)


async def test_a_server_of_another_kind_is_named(server: ScriptedServer) -> None:
    """A page that is no WebSocket, or an address that is none, is said at once."""

    async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = b'{"code":4012,"message":"this Origin is not allowed","ref":"","field":""}'
        body = body if b"/v1/agent" in path else b"<html>"
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()

    web = await asyncio.start_server(page, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{web.sockets[0].getsockname()[1]}"
    async with web:
        path = b"/v1/agent"
        with pytest.raises(Refusal, match="Origin"):
            await AgentClient(url, "t").__aenter__()
        path = b"/v1/gateway"
        with pytest.raises(Refusal, match="HTTP 403"):
            await GatewayClient(url, "t").__aenter__()
    with pytest.raises(Refusal, match="not an address"):
        await AgentClient("no address", "t").__aenter__()


async def test_entering_waits_for_a_server_that_starts_and_can_be_given_up() -> None:
    """Nobody there is no reason to fail; a cancelled wait leaves nothing behind."""
    free = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    port = free.sockets[0].getsockname()[1]
    free.close()
    await free.wait_closed()
    before = asyncio.all_tasks()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await AgentClient(f"http://127.0.0.1:{port}", "t", random=lambda: 0.01).__aenter__()
    assert asyncio.all_tasks() == before


async def test_send_returns_after_the_ack(server: ScriptedServer) -> None:
    """An event is sent again after a break and after a refusal for now; its ack is one."""
    client = gateway(server)
    peer = await welcomed(client, server)
    sending = asyncio.ensure_future(client.send(samples.MESSAGE))
    assert (await peer.expect(EventFrame)).event == samples.MESSAGE
    peer.vanish()
    peer = await server.peer()
    assert (await peer.welcome()).accounts == ["chat"]
    await peer.expect(EventFrame)
    await peer.send(Nack(id=samples.MESSAGE.id, code=4300, message="busy", retryable=True))
    await peer.expect(EventFrame)
    assert not sending.done()
    await peer.send(Ack(ids=[samples.MESSAGE.id], status="repeat"))
    async with asyncio.timeout(DEADLINE_S):
        assert await sending == "repeat"
    assert client.unanswered == 0
    await client.__aexit__(None, None, None)


async def test_a_bug_as_an_event_is_released_ends_the_client(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loop would only log it, and whoever sends wait for an answer to what is never sent again."""
    client = gateway(server)

    def broken() -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(client._session, "release", broken)
    peer = await welcomed(client, server)
    sending = asyncio.ensure_future(client.send(samples.MESSAGE))
    await peer.expect(EventFrame)
    await peer.send(Nack(id=samples.MESSAGE.id, code=4300, message="busy", retryable=True))
    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises(Refusal, match="closed"):
            await sending
    with pytest.raises(ValueError, match="a bug"):
        await client.__aexit__(None, None, None)


async def test_an_event_that_is_refused_raises(server: ScriptedServer) -> None:
    """The nack's code and words reach the caller; one that cannot fit a message never leaves."""
    client = gateway(server)
    peer = await welcomed(client, server, message_bytes=600)
    sending = asyncio.ensure_future(client.send(samples.MESSAGE))
    await peer.expect(EventFrame)
    await peer.send(Nack(id=samples.MESSAGE.id, code=4204, message="no identity", retryable=False))
    with pytest.raises(Refusal, match="no identity") as refused:
        await sending
    assert (refused.value.code, refused.value.ref) == (Code.NO_IDENTITY, samples.MESSAGE.id)
    with pytest.raises(Refusal) as refused:
        client.send_encoded("big", b"x" * 601, lambda *answer: None)
    assert refused.value.code is Code.TOO_LARGE
    await client.__aexit__(None, None, None)


async def test_encoded_events_go_out_together_and_are_answered_by_id(server: ScriptedServer) -> None:
    """The load generator's way: no task per event, one message for what one turn of the loop sends."""
    client = gateway(server)
    peer = await welcomed(client, server, credits=2)
    answers: list[tuple[str, int, str]] = []
    for id in ("a", "b", "c"):
        client.send_encoded(id, encode_event(samples.MESSAGE), lambda *answer: answers.append(answer))
    await peer.expect(EventFrame)
    await peer.expect(EventFrame)
    await peer.send(Ack(ids=["a", "b"]))
    await peer.expect(EventFrame)
    assert answers == [("a", 0, "committed"), ("b", 0, "committed")]
    await client.__aexit__(None, None, None)
    assert answers[2][:2] == ("c", Code.TIMED_OUT)
    with pytest.raises(Refusal, match="closed"):
        client.send_encoded("d", b"", lambda *answer: None)


async def test_deliveries_are_handed_out_once_and_bounded(server: ScriptedServer) -> None:
    """A repeat is answered from memory; one that finds no room is `failed` at once."""
    client = gateway(server, deliveries_max=1)
    peer = await welcomed(client, server)
    one, two = (
        Deliver(delivery=id, attempt=1, account="chat", channel="chat", to="chat:1", text="hi") for id in ("d1", "d2")
    )
    await peer.send(one, two)
    assert (await peer.expect(Delivered)).status == "failed"
    assert await following(client.deliveries()) == one
    client.delivered(one, "sent", external_id="x")
    outcome = await peer.expect(Delivered)
    assert (outcome.delivery, outcome.status, outcome.external_id) == ("d1", "sent", "x")
    await peer.send(one)
    assert await peer.expect(Delivered) == outcome
    await client.__aexit__(None, None, None)


async def test_a_draining_server_is_left_when_all_is_answered(server: ScriptedServer) -> None:
    """The client waits for its answers, goes by itself, and sends what came in between on the next connection."""
    client = gateway(server)
    peer = await welcomed(client, server)
    first = asyncio.ensure_future(client.send(samples.MESSAGE))
    await peer.expect(EventFrame)
    await peer.send(Drain(after_ms=1))
    await peer.send(Ack(ids=[samples.MESSAGE.id]))
    await peer.closed()
    assert await first == "committed"
    peer = await server.peer()
    await peer.welcome()
    await client.__aexit__(None, None, None)
