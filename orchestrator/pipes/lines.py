"""Lines over pipes: what carries the rules of `protocol.pipe` between actors, whatever the wire.

A `PipeLine` is what an actor holds, a `Wire` is one connection, a `PipeSocket` keeps the two together. What an actor
sends in one turn of the loop becomes one MessagePack list, one blob, one write, or several where it is much: load makes
the batches, no timer does.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

import msgspec
import structlog

from actors.fault import guarded
from actors.lines import LineOwner
from protocol.errors import Refusal
from protocol.links import AnyLink
from protocol.pipe import PipeEnd

_log = structlog.get_logger(__name__)
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[AnyLink]).decode

BLOB_MESSAGES = 256
"""A turn with more leaves in parts, as they come: so the other end works on the first while the last are being made. In
one blob a whole window of events went round as a convoy, from process to process, and kept one core busy at a time."""
SPLIT_BYTES = 4 * 1024 * 1024
"""A turn's messages beyond this leave as several blobs: a blob is held whole in memory at both ends, and refused past
`BLOB_BYTES_MAX`."""


class Wire(Protocol):
    """One connection."""

    def write(self, blob: bytes) -> None:
        """Sends one blob."""
        ...

    def close(self) -> None:
        """Ends the connection."""
        ...


class PipeLine:
    """A line to one life of a peer (see `actors.lines.Line`). `broke` hears what cannot be carried."""

    def __init__(
        self, end: PipeEnd, carry: Callable[[list[AnyLink]], None], broke: Callable[[Exception], None]
    ) -> None:
        self._end = end
        self._carry = carry
        self._broke = broke
        self._outgoing: list[AnyLink] = []
        self.over = False
        """The peer has a new life, and a new line."""

    @property
    def peer(self) -> str:
        """The other's name."""
        return self._end.peer_name

    @property
    def open(self) -> bool:
        """Whether what is sent leaves now."""
        return self._end.open and not self.over

    @property
    def full(self) -> bool:
        """Whether too much is unacknowledged."""
        return self._end.full

    def send(self, message: AnyLink) -> None:
        """Queues `message` for the end of this turn."""
        outgoing = self._outgoing
        if not outgoing:
            asyncio.get_running_loop().call_soon(guarded, self._broke, self._flush)
        outgoing.append(message)
        if len(outgoing) >= BLOB_MESSAGES:
            self._outgoing = []
            self._hand_over(outgoing)

    def _flush(self) -> None:
        outgoing, self._outgoing = self._outgoing, []
        if outgoing:
            self._hand_over(outgoing)

    def _hand_over(self, messages: list[AnyLink]) -> None:
        if not self.over:
            self._carry(messages)


class PipeSocket:
    """One end of a pipe with its present wire and line: hands its owner what arrives, and writes what lines carry."""

    def __init__(self, end: PipeEnd, owner: LineOwner) -> None:
        self._end = end
        self._owner = owner
        self._wire: Wire | None = None
        self._line = PipeLine(end, self._carry, self.broke)
        self._broken = False

    def attach(self, wire: Wire) -> None:
        """A connection was made; an older one is given up."""
        old, self._wire = self._wire, wire
        if old is not None:
            old.close()
        wire.write(self._end.connected())

    def detach(self, wire: Wire) -> None:
        """The connection ended."""
        if wire is not self._wire:
            return
        self._wire = None
        was_open = self._end.open
        self._end.disconnected()
        if was_open:
            self._tell(lambda: self._owner.closed(self._line))

    def feed(self, wire: Wire, blob: bytes) -> None:
        """Takes one blob that came over `wire`."""
        if wire is not self._wire or self._broken:
            return
        try:
            received = self._end.receive(blob)
        except Refusal as exc:
            _log.error("pipe.broken", peer=self._end.peer_name, reason=exc.message)
            wire.close()
            return
        for out in received.write:
            wire.write(out)
        if received.opened:
            if received.fresh:
                self._line.over = True
                self._line = PipeLine(self._end, self._carry, self.broke)
            self._tell(lambda: self._owner.opened(self._line, fresh=received.fresh))
        elif received.payload is not None:
            self._tell(lambda: self._hear(received.payload))

    def _hear(self, payload: bytes | None) -> None:
        assert payload is not None
        line, received = self._line, self._owner.received
        for message in _decode(payload):
            received(line, message)

    def _tell(self, call: Callable[[], None]) -> None:
        """The blob counts as received, whatever its owner makes of it: one that raises must not go on."""
        guarded(self.broke, call)

    def broke(self, exc: Exception) -> None:
        """A bug met on the way in or out: the owner ends with it."""
        self._broken = True
        self._owner.broke(exc)

    def _carry(self, messages: list[AnyLink]) -> None:
        """Sends messages as one blob, or as several where it would be large."""
        payload = _encode(messages)
        if len(payload) > SPLIT_BYTES and len(messages) > 1:
            half = len(messages) // 2
            self._carry(messages[:half])
            self._carry(messages[half:])
            return
        blob = self._end.send(payload)
        if blob is not None and self._wire is not None:
            self._wire.write(blob)
