"""How the parts of a server meet: who listens, who dials whom, over Unix sockets or in memory.

    journal  ← cells, archive          archive  ← cells          cell:n  ← gateway, channels
    in dedicated placement also              usher    ← cells, gateway, channels

A part names its peers and gets pipes; where they run it does not know. Names on pipes are those of
`actors.lines`.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from actors.lines import Line, LineOwner
from orchestrator.pipes.lines import PipeSocket
from orchestrator.pipes.memory import MemoryWire, connect_in_memory, memory_end
from orchestrator.pipes.unix import Dialer, Listener
from protocol.links import AnyLink


class Pipe(Protocol):
    """A part's end of one or, where it listens, of many pipes."""

    async def start(self) -> None:
        """Begins to listen or to dial; returns without waiting for the other end."""
        ...

    async def stop(self) -> None:
        """Ends all its connections."""
        ...


class Switchboard(Protocol):
    """What one part meets the others by."""

    @property
    def incarnation(self) -> str:
        """Names this life of the part among all of its lives."""
        ...

    def listen(self, owner: LineOwner) -> Pipe:
        """Takes calls under the part's own name."""
        ...

    def dial(self, peer: str, owner: LineOwner) -> Pipe:
        """Keeps a line to `peer`."""
        ...


class Arrival:
    """A line owner that hands everything on to `owner`, and knows whether the peer was ever there."""

    def __init__(self, owner: LineOwner) -> None:
        self._owner = owner
        self._arrived = asyncio.Event()

    async def wait(self) -> None:
        """Returns when the peer has been there once."""
        await self._arrived.wait()

    def opened(self, line: Line, *, fresh: bool) -> None:
        """See `LineOwner`."""
        self._owner.opened(line, fresh=fresh)
        self._arrived.set()

    def received(self, line: Line, message: AnyLink) -> None:
        """See `LineOwner`."""
        self._owner.received(line, message)

    def closed(self, line: Line) -> None:
        """See `LineOwner`."""
        self._owner.closed(line)

    def broke(self, exc: Exception) -> None:
        """See `LineOwner`."""
        self._owner.broke(exc)


class UnixSwitchboard:
    """Sockets in `folder`, one for each name. `incarnation` names this life of the part."""

    def __init__(self, folder: Path, name: str, incarnation: str) -> None:
        self._folder = folder
        self._name = name
        self.incarnation = incarnation

    def listen(self, owner: LineOwner) -> Pipe:
        """A listener on the part's own socket."""
        return Listener(self._socket(self._name), self._name, self.incarnation, owner)

    def dial(self, peer: str, owner: LineOwner) -> Pipe:
        """A dialer of the peer's socket."""
        return _Dialing(Dialer(self._socket(peer), self._name, self.incarnation, owner))

    def _socket(self, name: str) -> Path:
        return self._folder / f"{name.replace(':', '-')}.sock"


class _Dialing:
    def __init__(self, dialer: Dialer) -> None:
        self._dialer = dialer

    async def start(self) -> None:
        self._dialer.start()

    async def stop(self) -> None:
        await self._dialer.stop()


class MemoryExchange:
    """The wires of a server in one process. Parts come and go; whoever dials is connected to whoever listens now."""

    def __init__(self) -> None:
        self._listening: dict[str, _MemoryListener] = {}
        self._dialing: list[_MemoryDialer] = []
        self._wires: list[tuple[object, object, MemoryWire]] = []

    def switchboard(self, name: str, incarnation: str) -> "MemorySwitchboard":
        """The switchboard of one life of a part."""
        return MemorySwitchboard(self, name, incarnation)

    def listens(self, listener: "_MemoryListener") -> None:
        """Connects all who wait for it."""
        self._listening[listener.name] = listener
        for dialer in self._dialing:
            if dialer.peer == listener.name:
                self._connect(dialer, listener)

    def dials(self, dialer: "_MemoryDialer") -> None:
        """Connects it, now or when its peer listens."""
        self._dialing.append(dialer)
        if listener := self._listening.get(dialer.peer):
            self._connect(dialer, listener)

    def leaves(self, end: "_MemoryListener | _MemoryDialer") -> None:
        """Breaks its wires, for both sides."""
        if isinstance(end, _MemoryDialer):
            self._dialing.remove(end)
        elif self._listening.get(end.name) is end:
            del self._listening[end.name]
        for wire in [wire for one, two, wire in self._wires if end in (one, two)]:
            wire.close()
        self._wires = [entry for entry in self._wires if end not in entry[:2]]

    def cut(self, number: int) -> Callable[[], None]:
        """Breaks a wire, which any number names. What is returned connects it again, if both ends are there."""
        if not self._wires:
            return lambda: None
        one, two, wire = self._wires.pop(number % len(self._wires))
        wire.close()

        def mend() -> None:
            assert isinstance(one, _MemoryDialer)
            assert isinstance(two, _MemoryListener)
            if one in self._dialing and self._listening.get(two.name) is two:
                self._connect(one, two)

        return mend

    def _connect(self, dialer: "_MemoryDialer", listener: "_MemoryListener") -> None:
        self._wires.append((dialer, listener, connect_in_memory(dialer.end, listener.end_for(dialer.name))))


class MemorySwitchboard:
    """Pipes in memory, on an exchange."""

    def __init__(self, exchange: MemoryExchange, name: str, incarnation: str) -> None:
        self._exchange = exchange
        self._name = name
        self.incarnation = incarnation

    def listen(self, owner: LineOwner) -> Pipe:
        """Takes calls."""
        return _MemoryListener(self._exchange, self._name, self.incarnation, owner)

    def dial(self, peer: str, owner: LineOwner) -> Pipe:
        """Calls `peer`."""
        return _MemoryDialer(self._exchange, self._name, peer, memory_end(self._name, self.incarnation, owner))


class _MemoryListener:
    def __init__(self, exchange: MemoryExchange, name: str, incarnation: str, owner: LineOwner) -> None:
        self._exchange = exchange
        self._incarnation = incarnation
        self._owner = owner
        self._ends: dict[str, PipeSocket] = {}
        self.name = name

    async def start(self) -> None:
        self._exchange.listens(self)

    async def stop(self) -> None:
        self._exchange.leaves(self)

    def end_for(self, peer: str) -> PipeSocket:
        """The one end to this peer, across connections."""
        return self._ends.setdefault(peer, memory_end(self.name, self._incarnation, self._owner))


class _MemoryDialer:
    def __init__(self, exchange: MemoryExchange, name: str, peer: str, end: PipeSocket) -> None:
        self._exchange = exchange
        self.name = name
        self.peer = peer
        self.end = end

    async def start(self) -> None:
        self._exchange.dials(self)

    async def stop(self) -> None:
        self._exchange.leaves(self)
