"""The pipes' transport: connections in memory that are slow, break, and are made again.

The lines, their numbering and their resending are the real ones (`orchestrator/pipes`). What is here is what the
kernel does between processes: bytes arrive later, in order; a connection that breaks loses what was on its way, or
delivers it first; who dials, dials again.
"""

import asyncio
from collections.abc import Callable

from actors.lines import LineOwner
from orchestrator.pipes.lines import PipeSocket
from orchestrator.pipes.memory import memory_end
from orchestrator.pipes.unix import REDIAL_S
from protocol.pipe import UNACKED_BYTES_MAX, PipeEnd
from tests.simulation.pace import Pace

Heard = Callable[[str, str, bytes], None]


class Exchange:
    """All connections of one run. `heard(sender, receiver, blob)` is called as a blob leaves."""

    def __init__(self, pace: Pace, heard: Heard, *, unacked_bytes_max: int) -> None:
        self.unacked_bytes_max = unacked_bytes_max
        self.pace = pace
        self.heard = heard
        self.listening: dict[str, _Listener] = {}
        self.connections: list[_Connection] = []
        self._dialers: list[_Dialer] = []
        self._parted: set[tuple[str, str]] = set()

    def switchboard(self, name: str, incarnation: str) -> "SimulatedSwitchboard":
        """The switchboard of one life."""
        return SimulatedSwitchboard(self, name, incarnation)

    def part(self, one: str, two: str) -> None:
        """The two can't reach each other until `heal`."""
        self._parted |= {(one, two), (two, one)}
        self.break_between(one, two)

    def heal(self) -> None:
        """Everyone can reach everyone again."""
        self._parted.clear()

    def break_between(self, one: str, two: str) -> None:
        """Breaks the connections between two names; the pipe is made again by who dials."""
        for connection in [c for c in self.connections if {c.dialer.name, c.listener.name} == {one, two}]:
            connection.sever()

    def pairs(self) -> list[tuple[str, str]]:
        """Who is connected to whom."""
        return sorted({(c.dialer.name, c.listener.name) for c in self.connections})

    def cut(self, incarnation: str) -> None:
        """A process is dead: it dials and listens no more, and what was on its way to it is lost."""
        for dialer in [d for d in self._dialers if d.incarnation == incarnation]:
            dialer.end()
            self._dialers.remove(dialer)
        for name, listener in list(self.listening.items()):
            if listener.incarnation == incarnation:
                del self.listening[name]
        for connection in list(self.connections):
            if incarnation in (connection.dialer.incarnation, connection.listener.incarnation):
                connection.sever()

    def add(self, dialer: "_Dialer") -> None:
        """It dials from now on."""
        self._dialers.append(dialer)

    def reach(self, dialer: "_Dialer") -> "_Connection | None":
        """A connection to whoever listens under the name now."""
        listener = self.listening.get(dialer.peer)
        if listener is None or (dialer.name, dialer.peer) in self._parted:
            return None
        connection = _Connection(self, dialer, listener)
        self.connections.append(connection)
        connection.attach()
        return connection


class SimulatedSwitchboard:
    """See `orchestrator.pipes.switchboard.Switchboard`."""

    def __init__(self, exchange: Exchange, name: str, incarnation: str) -> None:
        self._exchange = exchange
        self._name = name
        self.incarnation = incarnation

    def listen(self, owner: LineOwner) -> "_Listener":
        return _Listener(self._exchange, self._name, self.incarnation, owner)

    def dial(self, peer: str, owner: LineOwner) -> "_Dialer":
        return _Dialer(self._exchange, self._name, peer, self.incarnation, owner)


class _Listener:
    def __init__(self, exchange: Exchange, name: str, incarnation: str, owner: LineOwner) -> None:
        self._exchange = exchange
        self._owner = owner
        self._ends: dict[str, PipeSocket] = {}
        self.name = name
        self.incarnation = incarnation

    async def start(self) -> None:
        self._exchange.listening[self.name] = self

    async def stop(self) -> None:
        if self._exchange.listening.get(self.name) is self:
            del self._exchange.listening[self.name]

    def end_for(self, peer: str) -> PipeSocket:
        if peer not in self._ends:
            # Whoever listens to gateways sends them what they watch: that is where a line is full.
            bytes_max = self._exchange.unacked_bytes_max if peer.startswith("gateway") else UNACKED_BYTES_MAX
            end = PipeEnd(self.name, self.incarnation, unacked_bytes_max=bytes_max)
            self._ends[peer] = PipeSocket(end, self._owner)
        return self._ends[peer]


class _Dialer:
    def __init__(self, exchange: Exchange, name: str, peer: str, incarnation: str, owner: LineOwner) -> None:
        self._exchange = exchange
        self.name = name
        self.peer = peer
        self.incarnation = incarnation
        self.end_of_pipe = memory_end(name, incarnation, owner)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._exchange.add(self)
        self._task = asyncio.get_running_loop().create_task(self._dial())

    async def stop(self) -> None:
        self.end()

    def end(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _dial(self) -> None:
        while True:
            connection = self._exchange.reach(self)
            if connection is not None:
                await connection.ended.wait()
            await asyncio.sleep(REDIAL_S)


class _Connection:
    """One connection between two ends."""

    def __init__(self, exchange: Exchange, dialer: _Dialer, listener: _Listener) -> None:
        self._exchange = exchange
        self.dialer = dialer
        self.listener = listener
        self.ended = asyncio.Event()
        ends = dialer.end_of_pipe, listener.end_for(dialer.name)
        self._sides = (
            _Wire(self, exchange, ends[0], dialer.name, listener.name),
            _Wire(self, exchange, ends[1], listener.name, dialer.name),
        )
        self._sides[0].other, self._sides[1].other = self._sides[1], self._sides[0]

    def attach(self) -> None:
        for side in self._sides:
            side.end.attach(side)

    def sever(self) -> None:
        """Breaks. Each direction by chance delivers what was on its way, or loses it from here on."""
        if self.ended.is_set():
            return
        self.ended.set()
        self._exchange.connections.remove(self)
        for side in self._sides:
            side.closed = True
        for side in self._sides:
            side.finish(deliver=self._exchange.pace.toss())


class _Wire:
    """One side: what its end writes goes to the other's, in order."""

    def __init__(self, connection: _Connection, exchange: Exchange, end: PipeSocket, sender: str, to: str) -> None:
        self._connection = connection
        self._exchange = exchange
        self._sender = sender
        self._to = to
        self._last_s = 0.0
        self._lost = False
        self.end = end
        self.other: _Wire | None = None
        self.closed = False

    def write(self, blob: bytes) -> None:
        if self.closed:
            return
        self._exchange.heard(self._sender, self._to, blob)
        loop = asyncio.get_running_loop()
        # Timers of the very same moment have no order, and blobs have one.
        self._last_s = max(self._last_s + 1e-6, loop.time() + self._exchange.pace.hop_s())
        loop.call_at(self._last_s, self._arrive, blob)

    def close(self) -> None:
        self._connection.sever()

    def finish(self, *, deliver: bool) -> None:
        """No more is written. The other end hears of the end after what still arrives."""
        self._lost = not deliver
        loop = asyncio.get_running_loop()
        assert self.other is not None
        loop.call_at(max(self._last_s + 1e-6, loop.time()), self.other.end.detach, self.other)

    def _arrive(self, blob: bytes) -> None:
        if not self._lost:
            assert self.other is not None
            self.other.end.feed(self.other, blob)
