"""The gateway: one port for agents, gateway clients, programs and vendors. Puts its parts together, starts and stops.

    listener ──▶ websocket ──▶ agents, gateway clients ──▶ hub, inboxes, deliveries ──▶ cells
             └─▶ access ─────▶ http handlers ────────────▶ intake, archive

The gateway sets the listeners of `cells`; nobody else may.
"""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any

import structlog
from msgspec.structs import asdict

from actors.fault import Tasks, guarded
from orchestrator.gateway.bounded.strangers import Strangers
from orchestrator.gateway.failures import failed
from orchestrator.gateway.health.figures import ProcessFigures, ReadFigures
from orchestrator.gateway.health.health import status_of
from orchestrator.gateway.health.metrics import Metrics
from orchestrator.gateway.health.troubles import ReadStates
from orchestrator.gateway.http.access import Access
from orchestrator.gateway.http.http import application
from orchestrator.gateway.listener import Listener
from orchestrator.gateway.peers import Cells, Intake
from orchestrator.gateway.services import Services, Stores
from orchestrator.gateway.websockets.agents import AgentConnection
from orchestrator.gateway.websockets.backfill import Backfill
from orchestrator.gateway.websockets.connection import Terms
from orchestrator.gateway.websockets.deliveries import Deliveries
from orchestrator.gateway.websockets.gateway_clients import GatewayConnection
from orchestrator.gateway.websockets.hub import Hub
from orchestrator.gateway.websockets.inboxes import Inboxes
from orchestrator.gateway.websockets.websocket import HELLO_WITHIN_S, WebSockets
from orchestrator.policy.desk import PolicyDesk
from orchestrator.report.desk import ReportDesk
from orchestrator.settings import Account, Http, Limits, open_files
from orchestrator.tokens import Tokens
from protocol.codec import Codec
from protocol.errors import Code

_log = structlog.get_logger(__name__)

HEARTBEAT_S = 10.0
"""A loss that nothing else shows is found within this time; a dead client is dropped after about three."""
AGENTS = "/v1/agent"
GATEWAY_CLIENTS = "/v1/gateway"


class Gateway:
    """One gateway. `port` 0 of `http` lets the system choose; `.port` says which it was. `accounts` may change while it
    runs; then `accounts_changed` is to be called."""

    def __init__(
        self,
        *,
        http: Http,
        limits: Limits,
        accounts: Mapping[str, Account],
        cells: Cells,
        intake: Intake,
        stores: Stores,
        tokens: Tokens,
        figures: ReadFigures = dict,
        states: ReadStates = dict,
        policy: PolicyDesk | None = None,
        report: ReportDesk | None = None,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        new_id: Callable[[], str] = lambda: secrets.token_hex(8),
        heartbeat_s: float = HEARTBEAT_S,
        hello_within_s: float = HELLO_WITHIN_S,
    ) -> None:
        self.metrics = Metrics()
        self._cells = cells
        self._intake = intake
        self._accounts = accounts
        self._draining = False
        self._limits = limits
        backfill = Backfill(stores.archive, cells.broke)
        self._hub = Hub(cells, backfill, self.metrics, on_new_generation=self._generation_changed)
        self._inboxes = Inboxes(cells, stores.archive, new_reference=new_id, newest=stores.identities.position)
        self._deliveries = Deliveries(cells, self.metrics, clock_s=time.monotonic)
        self._terms = Terms(
            tokens=tokens,
            metrics=self.metrics,
            generation=lambda: cells.generation,
            new_id=new_id,
            tasks=Tasks(cells.broke),
            heartbeat_s=heartbeat_s,
            message_bytes=http.frame_bytes_max,
            queue_bytes=limits.agent_queue_bytes,
            watches=limits.watches_max,
            credits=limits.gateway_credits,
        )
        self._sockets = WebSockets(
            {AGENTS: self._agent, GATEWAY_CLIENTS: self._gateway_client},
            origins=http.origins,
            message_bytes_max=http.frame_bytes_max,
            metrics=self.metrics,
            new_reference=new_id,
            hello_within_s=hello_within_s,
        )
        self._services = Services(
            **asdict(stores),
            accounts=self._accounts,
            cells=cells,
            intake=intake,
            metrics=self.metrics,
            now_ms=now_ms,
            new_id=new_id,
            archive_lag_max=limits.archive_lag_max,
            connections=self._connections,
            queue_bytes=self._queue_bytes,
            watched=lambda: len(self._hub),
            draining=lambda: self._draining,
            states=states,
            figures=figures,
            policy=policy,
            report=report,
        )
        http_app = application(self._services, body_bytes_max=http.body_bytes_max, version=_version())
        self._http = Access(http_app, tokens, self.metrics, sockets=(AGENTS, GATEWAY_CLIENTS))
        self._listener = Listener(
            self._application,
            host=http.host,
            port=http.port,
            connections_max=self._connections_max(http.connections_max),
            strangers=Strangers(http.strangers_per_address, http.proxies),
            header_bytes_max=http.header_bytes_max,
            body_bytes_max=http.body_bytes_max,
            frame_bytes_max=http.frame_bytes_max,
            refused=lambda code: self.metrics.refused(code, "listener"),
            broke=self._listener_broke,
        )
        self._listen_to_cells()
        self._measure()
        self.metrics.registry.register(ProcessFigures(figures, states))
        if policy is not None:
            self._measure_policy(policy)

    def _connections_max(self, wanted: int) -> int:
        files = open_files.allowed_now()
        room = open_files.connections_of(wanted, files, self._limits.dedicated_max)
        if room < wanted:
            _log.warning("gateway.fewer_connections", wanted=wanted, taken=room, open_files=files)
        return room

    def _measure(self) -> None:
        """What the parts count themselves."""
        metrics, cells, hub, deliveries = self.metrics, self._cells, self._hub, self._deliveries
        metrics.count(
            "throughline_updates", "Updates of watched conversations that arrived from cells", lambda: hub.updates
        )
        metrics.watch("throughline_pending", "Questions to cells without an answer", lambda: cells.unanswered)
        metrics.watch("throughline_watched_conversations", "Conversations with a watcher", lambda: len(hub))
        metrics.watch("throughline_unanswered_deliveries", "At gateway clients", lambda: deliveries.unanswered)
        metrics.watch("throughline_queue_bytes", "Frames that wait for slow clients", self._queue_bytes)
        metrics.watch("throughline_unread_bytes", "Answers that wait to be read", lambda: self._listener.unread_bytes)

    def _measure_policy(self, policy: PolicyDesk) -> None:
        metrics = self.metrics
        metrics.watch("throughline_policy_version", "The policy in force", lambda: policy.policy.version)
        metrics.watch(
            "throughline_policy_troubles",
            "What is wrong with the watched folder, which therefore is not in force",
            lambda: len(policy.troubles),
        )
        metrics.watch(
            "throughline_policy_remarks",
            "What a check asks of the watched folder, which is in force",
            lambda: len(policy.remarks),
        )

    @property
    def port(self) -> int:
        """The port it listens on, once started."""
        return self._listener.port

    @property
    def open_connections(self) -> int:
        """TCP connections now, of every kind: what `http.connections_max` bounds."""
        return self._listener.open_connections

    async def start(self) -> None:
        """Opens the port. Raises `ListenError` that names the setting where it cannot."""
        await self._listener.start()
        _log.info("gateway.started", port=self.port)

    async def stop(self, drain_s: float) -> None:
        """Tells every client to leave, takes no new ones, gives them `drain_s`, then closes with `DRAINING`."""
        self._draining = True
        self._listener.stop_accepting()
        await self._sockets.drain(drain_s)
        await self._inboxes.close()
        await self._listener.stop()
        _log.info("gateway.stopped")

    def accounts_changed(self) -> None:
        """There may be others by now: each gateway client goes by them."""
        for connection in list(self._sockets.connections):
            if isinstance(connection, GatewayConnection):
                guarded(connection.broke, connection.accounts_changed)

    async def status(self) -> dict[str, Any]:
        """The server at a glance: what `GET /v1/status` answers."""
        return await status_of(self._services)

    async def _application(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """The one ASGI application."""
        entrance = self._sockets if scope["type"] == "websocket" else self._http
        try:
            await entrance(scope, receive, send)
        except Exception as exc:  # noqa: BLE001 - uvicorn would log the exception's text; it answers 500 without it too
            failed(exc, where=scope["type"], new_reference=self._terms.new_id)

    def _listener_broke(self, exc: Exception) -> None:
        failed(exc, where="listener", new_reference=self._terms.new_id)

    # Connections

    def _agent(self, codec: Codec, presented: str) -> AgentConnection:
        return AgentConnection(self._terms, codec, presented, hub=self._hub, inboxes=self._inboxes, intake=self._intake)

    def _gateway_client(self, codec: Codec, presented: str) -> GatewayConnection:
        return GatewayConnection(
            self._terms,
            codec,
            presented,
            intake=self._intake,
            deliveries=self._deliveries,
            accounts=self._accounts,
            clock=asyncio.get_running_loop(),
        )

    def _connections(self) -> dict[str, int]:
        counted = Counter(connection.kind for connection in self._sockets.connections)
        return {AgentConnection.kind: counted["agent"], GatewayConnection.kind: counted["gateway"]}

    def _queue_bytes(self) -> float:
        return sum(connection.outgoing.size_bytes for connection in self._sockets.connections)

    # Cells

    def _listen_to_cells(self) -> None:
        self._cells.on_updated = self._hub.updated
        self._cells.on_heads = self._hub.heads_are
        self._cells.on_list_changed = self._inboxes.changed
        self._cells.on_deliver = self._deliveries.deliver
        self._cells.on_fresh = self._fresh
        self._cells.on_moved = self._hub.moved

    def _fresh(self, cell: int) -> None:
        self._hub.fresh(cell)
        self._inboxes.fresh(cell)
        self._deliveries.fresh(cell)

    def _generation_changed(self) -> None:
        """The journal was replaced: every position is void, and agents begin anew."""
        self._sockets.close_all(Code.DRAINING, "the journal was replaced; reconnect", kind=AgentConnection.kind)


def _version() -> str:
    """Ours, for the API's description; a source tree that was never installed has none."""
    try:
        return metadata.version("throughline")
    except metadata.PackageNotFoundError:
        return "0"
