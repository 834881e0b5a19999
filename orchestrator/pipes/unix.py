"""Pipes over Unix sockets: between processes.

bytes on a socket: length (4 bytes, big endian) | blob
"""

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import cast

import structlog

from actors.fault import Tasks, guarded
from actors.lines import LineOwner
from orchestrator.pipes.lines import PipeSocket, Wire
from protocol.errors import Refusal
from protocol.pipe import BLOB_BYTES_MAX, PipeEnd

_log = structlog.get_logger(__name__)

REDIAL_S = 0.05
"""Between tries to reach a socket: actors come back in well under a second, and a Unix connect costs 20 µs."""
PEERS_MAX = 1024
"""Distinct peers a listener remembers: a node's processes, of which `limits.dedicated_max` allows 1,000. One more is
refused."""


class _SocketWire(asyncio.Protocol):
    """A stream connection that cuts the byte stream into blobs. `on_blob` gets each; `on_end` the end, once; `broke`
    what one of them raises, which the loop would only log, or answer by closing."""

    def __init__(self, on_made: Callable[["_SocketWire"], None], broke: Callable[[Exception], None]) -> None:
        self._on_made = on_made
        self._broke = broke
        self.on_blob: Callable[[Wire, bytes], None] = lambda wire, blob: None
        self.on_end: Callable[[Wire], None] = lambda wire: None
        self.ended = asyncio.Event()
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, not an assertion: uvloop's transports have the methods and not the base class.
        self._transport = cast(asyncio.Transport, transport)
        # The pipe bounds what is unacknowledged; pausing below that would only hide it.
        self._transport.set_write_buffer_limits(high=BLOB_BYTES_MAX)
        guarded(self._broke, self._on_made, self)

    def data_received(self, data: bytes) -> None:
        guarded(self._broke, self._cut, data)

    def _cut(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        start, end = 0, len(buffer)
        while end - start >= 4:
            length = int.from_bytes(buffer[start : start + 4], "big")
            if length > BLOB_BYTES_MAX:
                _log.error("pipe.blob_too_large", bytes=length)
                self.close()
                return
            if end - start - 4 < length:
                break
            blob = bytes(memoryview(buffer)[start + 4 : start + 4 + length])
            start += 4 + length
            self.on_blob(self, blob)
        del buffer[:start]

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.ended.set()
        guarded(self._broke, self.on_end, self)

    def write(self, blob: bytes) -> None:
        if self._transport is not None:
            self._transport.write(len(blob).to_bytes(4, "big") + blob)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class Listener:
    """Accepts peers on a Unix socket in a folder only we can enter, and keeps one line a peer across reconnects."""

    def __init__(self, path: Path, name: str, incarnation: str, owner: LineOwner) -> None:
        self._path = path
        self._name = name
        self._incarnation = incarnation
        self._owner = owner
        self._sockets: dict[str, PipeSocket] = {}
        self._wires: set[_SocketWire] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Binds the socket; one that a former life left behind is replaced."""
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(
            lambda: _SocketWire(self._accept, self._owner.broke), str(self._path)
        )
        os.chmod(self._path, 0o600)

    async def stop(self) -> None:
        """Stops accepting and ends all connections."""
        if self._server is not None:
            self._server.close()
        for wire in list(self._wires):
            wire.close()

    def _accept(self, wire: _SocketWire) -> None:
        self._wires.add(wire)
        wire.on_blob = self._greet
        wire.on_end = lambda ended: self._wires.discard(wire)

    def _greet(self, wire: Wire, blob: bytes) -> None:
        """The first blob is the peer's hello: only it says whose line this wire is."""
        assert isinstance(wire, _SocketWire)
        probe = PipeEnd(self._name, self._incarnation)
        try:
            probe.receive(blob)
        except Refusal:
            wire.close()
            return
        if probe.peer_name not in self._sockets:
            if len(self._sockets) >= PEERS_MAX:
                _log.error("pipe.too_many_peers", peer=probe.peer_name)
                wire.close()
                return
            self._sockets[probe.peer_name] = PipeSocket(PipeEnd(self._name, self._incarnation), self._owner)
        pipe = self._sockets[probe.peer_name]
        wire.on_blob = pipe.feed

        def end_of(ended: Wire) -> None:
            self._wires.discard(wire)
            pipe.detach(ended)

        wire.on_end = end_of
        pipe.attach(wire)
        pipe.feed(wire, blob)


class Dialer:
    """Keeps a line to the peer at `path`: connects, and connects again whenever it ends, until stopped."""

    def __init__(self, path: Path, name: str, incarnation: str, owner: LineOwner) -> None:
        self._path = path
        self._pipe = PipeSocket(PipeEnd(name, incarnation), owner)
        self._broke = owner.broke
        self._tasks = Tasks(owner.broke)

    def start(self) -> None:
        """Begins to dial."""
        self._tasks.begin(self._dial())

    async def stop(self) -> None:
        """Ends the connection and the dialling."""
        await self._tasks.cancel()

    async def _dial(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                _, wire = await loop.create_unix_connection(
                    lambda: _SocketWire(self._made, self._broke), str(self._path)
                )
            except OSError:
                await asyncio.sleep(REDIAL_S)
                continue
            try:
                await wire.ended.wait()
            finally:
                wire.close()
            # Also after one that was made: a listener that hangs up at once must not be dialled in a circle.
            await asyncio.sleep(REDIAL_S)

    def _made(self, wire: _SocketWire) -> None:
        wire.on_blob = self._pipe.feed
        wire.on_end = self._pipe.detach
        self._pipe.attach(wire)
