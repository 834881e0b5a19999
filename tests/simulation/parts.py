"""The parts of a server under simulation: the real ones, but where a process holds sockets, those are in memory.

Placement is the settings' word: what a cell is, and how many there are, is decided by the parts themselves.
"""

import asyncio
from typing import cast

from actors.fault import Tasks
from adapters.attachments import AttachmentStore
from orchestrator.channels import ChannelHost
from orchestrator.cluster.part import Part
from orchestrator.cluster.table import processes
from orchestrator.gateway.health.metrics import Metrics
from orchestrator.gateway.server import AGENTS, GATEWAY_CLIENTS, HEARTBEAT_S
from orchestrator.gateway.websockets.agents import AgentConnection
from orchestrator.gateway.websockets.backfill import Backfill
from orchestrator.gateway.websockets.connection import Connection, Terms
from orchestrator.gateway.websockets.deliveries import Deliveries
from orchestrator.gateway.websockets.gateway_clients import GatewayConnection
from orchestrator.gateway.websockets.hub import Hub
from orchestrator.gateway.websockets.inboxes import Inboxes
from orchestrator.gateway.websockets.websocket import WebSockets
from orchestrator.parts.building import part_of, peer_name
from orchestrator.parts.front import Front
from orchestrator.parts.surroundings import Surroundings
from orchestrator.settings import Settings
from orchestrator.tokens import Token, Tokens
from protocol.codec import Codec
from protocol.errors import Code
from tests.simulation.life import Life
from tests.simulation.provider import Provider
from tests.simulation.sockets import Socket

GATEWAY = "gateway"
"""Its process, and how the names of all further ones begin."""
METRICS = Metrics()
"""One for all runs of the process: nothing here reads it, and a registry takes long to make."""


def names_of(settings: Settings, gateways: int) -> list[str]:
    """The server's processes: those of one machine, and the gateways of others."""
    return [*(process.name for process in processes(settings)), *(f"{GATEWAY}-{n}" for n in range(1, gateways))]


def peer_of(name: str) -> str:
    """How a process is called on pipes: a further gateway as a further machine's is."""
    kind, _, number = name.partition("-")
    return f"{GATEWAY}:{number}" if kind == GATEWAY and number else peer_name(name)


def build(name: str, surroundings: Surroundings, provider: Provider, life: Life) -> "AnyPart":
    """The part of a process."""
    if name.startswith(GATEWAY):
        return SimulatedGateway(surroundings, name)
    if name == "channels":
        return SimulatedChannels(surroundings, provider, life)
    return part_of(name, surroundings)


class SimulatedChannels:
    """The channel host, whose ways out are the provider's."""

    def __init__(self, surroundings: Surroundings, provider: Provider, life: Life) -> None:
        self.front = Front(surroundings)
        self.host = ChannelHost(
            [],
            intake=self.front.intake,
            cells=self.front.cells,
            attachments=cast(AttachmentStore, _NoAttachments()),
            now_ms=surroundings.now_ms,
            senders=provider.senders(life),
        )

    async def start(self) -> None:
        await self.front.start()

    async def run(self) -> None:
        await self.front.cells.fault.raised()


class SimulatedGateway:
    """What `orchestrator.gateway.server.Gateway` puts together, without its port."""

    def __init__(self, surroundings: Surroundings, name: str) -> None:
        settings = surroundings.settings
        self.name = name
        loop = asyncio.get_running_loop()
        self.front = Front(surroundings)
        self._accepted: list[tuple[Socket, asyncio.Task[None]]] = []
        self._ids = 0
        self._accounts = self.front.in_force.accounts
        cells, archive = self.front.cells, self.front.archive
        self.hub = Hub(cells, Backfill(archive, cells.broke), METRICS, on_new_generation=self._generation_changed)
        newest = self.front.journal.position
        self.inboxes = Inboxes(cells, archive, new_reference=self._new_id, newest=newest)
        self.deliveries = Deliveries(cells, METRICS, clock_s=loop.time)
        self._terms = Terms(
            tokens=cast(Tokens, Badges()),
            metrics=METRICS,
            generation=lambda: cells.generation,
            new_id=self._new_id,
            tasks=Tasks(cells.broke),
            heartbeat_s=HEARTBEAT_S,
            message_bytes=settings.http.frame_bytes_max,
            queue_bytes=settings.limits.agent_queue_bytes,
            watches=settings.limits.watches_max,
            credits=settings.limits.gateway_credits,
        )
        self.sockets = WebSockets(
            {AGENTS: self._agent, GATEWAY_CLIENTS: self._gateway_client},
            origins=[],
            message_bytes_max=settings.http.frame_bytes_max,
            metrics=METRICS,
            new_reference=self._new_id,
        )
        cells.on_updated = self.hub.updated
        cells.on_heads = self.hub.heads_are
        cells.on_list_changed = self.inboxes.changed
        cells.on_deliver = self.deliveries.deliver
        cells.on_fresh = self._fresh
        cells.on_moved = self.hub.moved

    async def start(self) -> None:
        await self.front.start()

    async def run(self) -> None:
        await self.front.cells.fault.raised()

    def accept(self, socket: Socket) -> None:
        """A client connects."""
        task = asyncio.get_running_loop().create_task(self.sockets(socket.scope(), socket.receive, socket.send))
        self._accepted = [(each, its) for each, its in self._accepted if not its.done()]
        self._accepted.append((socket, task))

    def die(self) -> None:
        """The process is gone: the kernel ends its connections."""
        for socket, task in self._accepted:
            if not task.done():
                socket.break_off(server_hears_s=0.0)
                task.cancel()

    def connections(self) -> list[Connection]:
        """Open connections, the oldest first."""
        return sorted(self.sockets.connections, key=lambda connection: connection.session)

    def _agent(self, codec: Codec, presented: str) -> AgentConnection:
        return AgentConnection(
            self._terms, codec, presented, hub=self.hub, inboxes=self.inboxes, intake=self.front.intake
        )

    def _gateway_client(self, codec: Codec, presented: str) -> GatewayConnection:
        return GatewayConnection(
            self._terms,
            codec,
            presented,
            intake=self.front.intake,
            deliveries=self.deliveries,
            accounts=self._accounts,
            clock=asyncio.get_running_loop(),
        )

    def _fresh(self, cell: int) -> None:
        self.hub.fresh(cell)
        self.inboxes.fresh(cell)
        self.deliveries.fresh(cell)

    def _generation_changed(self) -> None:
        self.sockets.close_all(Code.DRAINING, "the journal was replaced; reconnect", kind=AgentConnection.kind)

    def _new_id(self) -> str:
        self._ids += 1
        return f"{self._ids:08d}"


AnyPart = SimulatedGateway | SimulatedChannels | Part


def figure(part: Part, name: str) -> int:
    """One of its figures for operators that counts something."""
    value = part.status()[name]
    assert isinstance(value, int), name
    return value


class Badges:
    """Tokens that say themselves who bears them, `agent:ann`, `gateway:chat`: connections ask no more of them."""

    def check(self, text: str) -> Token:
        kind, _, name = text.partition(":")
        scopes = ["agent"] if kind == "agent" else ["gateway:*"]
        return Token(id=text, name=name, scopes=scopes, sha256="", created_ms=0)

    def holds(self, token: Token) -> bool:
        return True


class _NoAttachments:
    """Nothing is attached: a channel host asks no more of it."""

    def open(self) -> None:
        """There is no folder."""
