"""The listener: uvicorn on the one port, in a loop that is not its own (its protocols: `bounded`)."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn

from orchestrator.gateway.bounded.config import BoundedConfig
from orchestrator.gateway.bounded.http import BoundedHttp
from orchestrator.gateway.bounded.strangers import Strangers
from orchestrator.gateway.bounded.websocket import BoundedWebSocket
from orchestrator.settings.addresses import bound
from protocol.errors import Code

KEEP_ALIVE_S = 15
BACKLOG = 2048
HEADERS = [
    # Nearly every answer says something of a person: no browser and no proxy is to have it still when it was erased, or
    # the token revoked (RFC 9111 §5.2.2.5).
    ("cache-control", "no-store"),
    # Nor makes a page of it, whatever a customer wrote into it (Fetch standard, "X-Content-Type-Options").
    ("x-content-type-options", "nosniff"),
]
"""Of every answer of the application."""


class Listener(uvicorn.Server):
    """A uvicorn server inside a loop that is not its own: it leaves signals to their owner and says when it is up."""

    def __init__(
        self,
        app: Any,
        *,
        host: str,
        port: int,
        connections_max: int,
        strangers: Strangers,
        header_bytes_max: int,
        body_bytes_max: int,
        frame_bytes_max: int,
        refused: Callable[[Code], None],
        broke: Callable[[Exception], None],
    ) -> None:
        """`refused` hears of every answer that is given here and not by `app`, `broke` of a bug that ended a connection
        while one was given."""
        config = BoundedConfig(
            app,
            header_bytes_max=header_bytes_max,
            body_bytes_max=body_bytes_max,
            connections_max=connections_max,
            strangers=strangers,
            refused=refused,
            broke=broke,
            http=BoundedHttp,
            ws=BoundedWebSocket,
            # Twice the limit that the codec names with our own code; above it the engine closes with 1009 by itself.
            ws_max_size=2 * frame_bytes_max,
            ws_ping_interval=None,  # Our heartbeats do that, and carry heads.
            ws_per_message_deflate=False,
            interface="asgi3",
            lifespan="off",
            log_config=None,
            # What it would say of requests, strangers cause and can repeat without end: here they are counted. What
            # goes wrong on our side the gateway logs itself.
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            headers=HEADERS,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=2,
        )
        super().__init__(config)
        self._bounded = config
        self._host = host
        self._port = port
        self._serving: asyncio.Task[None] | None = None
        self._up = asyncio.Event()
        self._stopping = asyncio.Event()

    @property
    def port(self) -> int:
        """The port that was bound: the system's choice where 0 was asked for. Known also while it stops."""
        assert self._serving, "start it first"
        return self._port

    @property
    def open_connections(self) -> int:
        """TCP connections now."""
        return len(self.server_state.connections)

    @property
    def unread_bytes(self) -> int:
        """Of answers that wait to be read."""
        return self._bounded.unread.size_bytes

    async def start(self) -> None:
        """Binds and serves. Raises `ListenError`."""
        listening = bound(self._host, self._port)
        self._port = int(listening.getsockname()[1])
        self._serving = asyncio.get_running_loop().create_task(self.serve(sockets=[listening]))
        up = asyncio.ensure_future(self._up.wait())
        await asyncio.wait((up, self._serving), return_when=asyncio.FIRST_COMPLETED)
        if not up.done():
            up.cancel()
            await self._serving

    async def stop(self) -> None:
        """Stops accepting, lets running requests end within two seconds, closes."""
        if self._serving:
            self.should_exit = True
            self._stopping.set()
            await self._serving

    def stop_accepting(self) -> None:
        """New connections are refused by the system from now on."""
        for server in self.servers:
            server.close()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Uvicorn's own, and a sign that it is done."""
        await super().startup(sockets)
        self._up.set()

    async def main_loop(self) -> None:
        """Uvicorn's own wakes ten times a second; once is enough for the date header, and a stop is heard at once."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Uvicorn's own sleeps a tenth of a second before it looks who is left; mostly that is nobody."""
        self.stop_accepting()
        for each in sockets or ():
            each.close()
        if self.open_connections or self.server_state.tasks:
            await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the process's own business."""
        yield
