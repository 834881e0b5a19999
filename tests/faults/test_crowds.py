"""Crowds and rude clients: a thousand agents at once, an agent that never reads, a gateway client that ignores its
credits, one that uses them all. Memory stays bounded, and a well-behaved client is served meanwhile."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from statistics import median

import msgpack
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from orchestrator.client import AgentClient, GatewayClient
from orchestrator.client.gateway import encode_event
from orchestrator.client.wire import SUBPROTOCOL, messages
from protocol.codec import FRAMES_MAX
from protocol.errors import Code
from tests.faults.looking import Operator, at_least, exactly
from tests.faults.memory import assert_bounded, resident, resident_mib
from tests.faults.others import patience
from tests.faults.watchers import watching
from tests.live_server import LiveServer, until
from tests.people import Customer, desk_at

pytestmark = pytest.mark.slow

AGENTS = 1_000
DIALLING = 50
"""Handshakes at once while the crowd gathers, as people who come to work do; after the kill all come at once."""
BACK_WITHIN_S = 15.0
"""From the kill to the last of a thousand agents who see a new event: 2 s for the gateway, 3 for the last wait."""
AGENT_KIB_MAX = 100
"""Of the gateway's memory, for each connected agent."""
LETTER = 4 * 1024
BATCH = 50
QUEUE_BYTES_MAX = 512 * 1024
"""`limits.agent_queue_bytes` for the rude one, and what is on its way to the others."""
POLITE_MIN = 20
UNREAD_EVENTS = 3_000
UNREAD_MIB_MAX = 32
"""Growth of the gateway while 12 MiB are written for an agent who reads none: its queue is 256 KiB, the sockets' own
buffers some MiB, and the allocator keeps what it had in hand."""
FLOOD_EVENTS = 20_000
FLOOD_PEOPLE = 50
SERVED_WITHIN_S = 1.0
"""The median ack of the well-behaved meanwhile."""
SERVED_BESIDE_S = 2.0
"""The longest ack of the well-behaved while thousands of another's events are before its own in the cell."""
SERVED_AGAIN_WITHIN_S = 8.0
"""The longest ack of the well-behaved where the gateway dies under it and a thousand come back with it: 2 s until there
is a gateway, 3 for the last wait, and the crowd's handshakes."""
OVERFLOWS = "throughline_queue_overflows_total"
EXCEEDED = 'throughline_refusals_total{code="credits_exceeded",entrance="gateway"}'


class WellBehaved:
    """Somebody who sends an event, waits for its ack and sends the next; `acks_s` are the latencies."""

    def __init__(self, client: GatewayClient) -> None:
        self._client = client
        self._began_s = time.monotonic()
        self.acks_s: list[float] = []

    @property
    def longest_s(self) -> float:
        """The longest of them, or the wait for the one that is not there yet."""
        return max(*self.acks_s, time.monotonic() - self._began_s)

    async def run(self) -> None:
        """Until cancelled."""
        person = Customer()
        while True:
            self._began_s = time.monotonic()
            await self._client.send(person.chat(f"polite {len(self.acks_s)}"))
            self.acks_s.append(time.monotonic() - self._began_s)


@asynccontextmanager
async def well_behaved(server: LiveServer) -> AsyncIterator[WellBehaved]:
    """One, at work while the context lasts."""
    async with GatewayClient(server.url, server.gateway_token) as client, asyncio.TaskGroup() as group:
        one = WellBehaved(client)
        work = group.create_task(one.run())
        try:
            yield one
        finally:
            work.cancel()


class Face:
    """One agent of a crowd, and the newest number it has seen."""

    def __init__(self, agent: AgentClient) -> None:
        self._agent = agent
        self.seen = 0

    async def read(self) -> None:
        """Until cancelled."""
        async for update in self._agent.updates():
            assert update.seq - len(update.events) in (self.seen, 0), "a gap"
            self.seen = update.seq


@asynccontextmanager
async def crowd(server: LiveServer, conversation: str) -> AsyncIterator[list[Face]]:
    """A thousand agents who watch one conversation."""
    agents = [AgentClient(server.url, server.agent_token) for _ in range(AGENTS)]
    dialling = asyncio.Semaphore(DIALLING)

    async def come(agent: AgentClient) -> None:
        async with dialling:
            await agent.__aenter__()
        agent.watch(conversation=conversation)

    faces = [Face(agent) for agent in agents]
    try:
        await asyncio.gather(*map(come, agents))
        async with asyncio.TaskGroup() as group:
            reading = [group.create_task(face.read()) for face in faces]
            try:
                yield faces
            finally:
                for task in reading:
                    task.cancel()
    finally:
        await asyncio.gather(*(agent.__aexit__(None, None, None) for agent in agents))


async def test_a_thousand_agents_come_back_at_once(server: LiveServer) -> None:
    """The gateway is killed under them: each sees the next event, once and without a gap."""
    person = Customer()
    async with (
        Operator(server) as operator,
        desk_at(server) as desk,
        GatewayClient(server.url, server.gateway_token) as gateway,
        well_behaved(server) as polite,
    ):
        await gateway.send(person.chat("first"))
        conversation = await desk.conversation_with("first")
        before_mib = resident_mib(server.pids["gateway"])
        async with crowd(server, conversation) as faces:
            await until(lambda: all(face.seen for face in faces), seconds=patience(10.0))
            assert _kib_each(server, before_mib) < AGENT_KIB_MAX
            head = max(face.seen for face in faces)
            await asyncio.to_thread(server.kill_process, "gateway")
            assert await gateway.send(person.chat("second")) in ("committed", "repeat")
            await until(lambda: all(face.seen > head for face in faces), seconds=patience(BACK_WITHIN_S))
            assert _kib_each(server, before_mib) < AGENT_KIB_MAX
            await operator.shows(
                metrics={'throughline_connections{kind="agent"}': exactly(AGENTS + 1)},
                status={"connections.agent": exactly(AGENTS + 1)},
            )
        assert median(polite.acks_s) < patience(SERVED_WITHIN_S)
        assert polite.longest_s < patience(SERVED_AGAIN_WITHIN_S)


def _kib_each(server: LiveServer, before_mib: float) -> float:
    return (resident_mib(server.pids["gateway"]) - before_mib) * 1024 / AGENTS


async def test_an_agent_that_never_reads_costs_a_bounded_queue(placed: LiveServer) -> None:
    """It loses updates, to be asked for again; another agent sees every event, and acks are as fast as ever."""
    person = Customer()
    async with (
        Operator(placed) as operator,
        GatewayClient(placed.url, placed.gateway_token) as gateway,
        well_behaved(placed) as polite,
        watching(placed.url, placed.agent_token, "the one who reads") as (view, _),
    ):
        await gateway.send(person.chat("first"))
        async with desk_at(placed) as desk:
            conversation = await desk.conversation_with("first")
        overflows = await operator.metric(OVERFLOWS)
        async with _unread(placed, conversation):
            before_mib = resident_mib(placed.pids["gateway"])
            for _ in range(UNREAD_EVENTS // BATCH):
                letters = [person.chat("x" * LETTER) for _ in range(BATCH)]
                await asyncio.gather(*map(gateway.send, letters))
            await until(lambda: view.heads.get(conversation, 0) > UNREAD_EVENTS, seconds=patience(10.0))
            grown_mib = resident_mib(placed.pids["gateway"]) - before_mib
            await operator.shows(
                metrics={OVERFLOWS: at_least(overflows + 1), "throughline_queue_bytes": (0, QUEUE_BYTES_MAX)},
                status={"queue_overflows": at_least(overflows + 1), "queue_bytes": (0, QUEUE_BYTES_MAX)},
            )
        assert grown_mib < UNREAD_MIB_MAX
        assert median(polite.acks_s) < patience(SERVED_WITHIN_S)
        assert view.faults == []


@asynccontextmanager
async def _unread(server: LiveServer, conversation: str) -> AsyncIterator[None]:
    """An agent that is welcomed, watches, and reads no more: its socket's buffers fill, then the server's queue."""
    async with _raw(server, "/v1/agent", server.agent_token) as socket:
        await socket.send(msgpack.packb({"op": "watch", "conversation": conversation}))
        yield
        socket.transport.abort()


@asynccontextmanager
async def _raw(server: LiveServer, path: str, token: str) -> AsyncIterator[ClientConnection]:
    """A WebSocket without the SDK's manners, welcomed."""
    url = server.url.replace("http", "ws", 1) + path
    async with connect(
        url, subprotocols=[Subprotocol(SUBPROTOCOL)], compression=None, max_queue=1, ping_interval=None, close_timeout=1
    ) as socket:
        await socket.send(msgpack.packb({"op": "hello", "token": token}))
        assert b"welcome" in await socket.recv(decode=False)
        yield socket


async def test_a_gateway_client_that_floods_is_sent_away(server: LiveServer, somebody: Callable[[], Customer]) -> None:
    """At its credits' end, with the code that says why; what it had credits for was taken, and others are served."""
    flood = [encode_event(somebody().chat(f"flood {number}")) for number in range(FLOOD_EVENTS)]
    async with Operator(server) as operator, well_behaved(server) as polite:
        exceeded, before = await operator.metric(EXCEEDED), resident(server)
        async with _raw(server, "/v1/gateway", server.gateway_token) as socket:
            reading = asyncio.ensure_future(_read_to_the_end(socket))
            with suppress(ConnectionClosed):
                for message in messages(flood, bytes_max=1024 * 1024, frames_max=FRAMES_MAX):
                    await socket.send(message)
            assert await asyncio.wait_for(reading, patience(10.0)) == Code.CREDITS_EXCEEDED
        served = len(polite.acks_s)
        await until(lambda: len(polite.acks_s) >= served + POLITE_MIN, seconds=patience(10.0))
        assert_bounded(server, before)
        assert median(polite.acks_s) < patience(SERVED_WITHIN_S)
        await operator.shows(
            metrics={EXCEEDED: exactly(exceeded + 1)}, status={"refusals.credits_exceeded": exactly(exceeded + 1)}
        )


async def test_a_gateway_client_that_floods_within_its_credits_is_served_beside_others(
    server: LiveServer, somebody: Callable[[], Customer]
) -> None:
    """As many unanswered as it may have, all the time: every one is acked, and the well-behaved has its acks. Its
    customers are few: what each live one takes is state, and no queue's."""
    people = [somebody() for _ in range(FLOOD_PEOPLE)]
    flood = [people[number % FLOOD_PEOPLE].chat(f"flood {number}") for number in range(FLOOD_EVENTS)]
    async with (
        Operator(server) as operator,
        well_behaved(server) as polite,
        GatewayClient(server.url, server.gateway_token) as rude,
    ):
        exceeded, before = await operator.metric(EXCEEDED), resident(server)
        await until(lambda: len(polite.acks_s) >= POLITE_MIN, seconds=patience(10.0))
        calm = len(polite.acks_s)
        assert set(await asyncio.gather(*map(rude.send, flood))) == {"committed"}
        meanwhile = polite.acks_s[calm:]
        assert median(meanwhile) < patience(SERVED_WITHIN_S)
        assert max(meanwhile) < patience(SERVED_BESIDE_S)
        assert_bounded(server, before)
        await operator.shows(metrics={EXCEEDED: exactly(exceeded)})


async def _read_to_the_end(socket: ClientConnection) -> int | None:
    """The code with which the server ends it."""
    with suppress(ConnectionClosed):
        while True:
            await socket.recv()
    return socket.close_code
