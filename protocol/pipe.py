"""The rules of a pipe: one ordered, resumable stream of blobs between two actors, without any I/O.

    on the wire    kind (1 byte) | number (8) | acknowledged (8) | payload
    HELLO          number = how many blobs of the other's present life this end has received;
                   payload = MessagePack [name, incarnation, the other's incarnation as far as known]
    DATA           number = 1, 2, 3 … within this pair of lives; acknowledged = newest number received
    ACK            acknowledged alone, when much came in and nothing went out

Both ends say hello whenever a connection is made. If each knows the other's present incarnation, the stream goes on:
what the other did not receive is sent again, in order. Otherwise one of them is new (`fresh`): numbers begin at 1,
what was unacknowledged is dropped, and both owners are told, since only they know what must be said again.

The caller's duty: hand every blob that arrives to `receive`, in order, and write every blob it is given, in order.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import IntEnum
from struct import Struct as Layout

import msgspec

from protocol.errors import Code, Refusal

_HEADER = Layout("!BQQ")
_HELLO = msgspec.msgpack.Decoder(tuple[str, str, str])

BLOB_BYTES_MAX = 64 * 1024 * 1024
"""A blob is one turn's messages; a turn's work is bounded far below this, so a longer one is a broken peer."""
UNACKED_BYTES_MAX = 32 * 1024 * 1024
"""Bytes kept for resending; beyond it `full` is true and the owner must wait or drop."""
ACK_EVERY_BLOBS = 32
ACK_EVERY_BYTES = 1024 * 1024
"""An ACK of its own is due after so many blobs or bytes without one to ride on: far below `UNACKED_BYTES_MAX`."""


class Kind(IntEnum):
    """The first byte of a blob."""

    HELLO = 1
    DATA = 2
    ACK = 3


@dataclass(slots=True)
class Received:
    """What one blob from the other end means."""

    opened: bool = False
    """The hello came: the pipe is open, both ways."""
    fresh: bool = False
    """With `opened`: the other end, or its memory of this one, is new."""
    payload: bytes | None = None
    write: list[bytes] = field(default_factory=list)
    """Blobs to write now: resent ones, or an ACK."""


class PipeEnd:
    """One end of a pipe, across all connections of its life."""

    def __init__(self, name: str, incarnation: str, *, unacked_bytes_max: int = UNACKED_BYTES_MAX) -> None:
        self.name = name
        self.incarnation = incarnation
        self.peer_name = ""
        self.peer_incarnation = ""
        self.open = False
        self._unacked: deque[tuple[int, bytes]] = deque()
        self._unacked_bytes = 0
        self._unacked_bytes_max = unacked_bytes_max
        self._sent = 0
        self._received = 0
        self._owed_blobs = 0
        self._owed_bytes = 0

    @property
    def full(self) -> bool:
        """Whether more is unacknowledged than may be kept. `send` still works; the owner decides who waits."""
        return self._unacked_bytes >= self._unacked_bytes_max

    def connected(self) -> bytes:
        """A connection was made: returns the hello to write first."""
        self.open = False
        hello = (self.name, self.incarnation, self.peer_incarnation)
        return _HEADER.pack(Kind.HELLO, self._received, 0) + msgspec.msgpack.encode(hello)

    def disconnected(self) -> None:
        """The connection is gone; what is unacknowledged stays."""
        self.open = False

    def send(self, payload: bytes) -> bytes | None:
        """Numbers and keeps `payload`; returns the blob to write, or None while not open: it goes after the hello."""
        self._sent += 1
        self._unacked.append((self._sent, payload))
        self._unacked_bytes += len(payload)
        return self._data(self._sent, payload) if self.open else None

    def receive(self, blob: bytes) -> Received:
        """Takes one blob. Raises `Refusal` (`MALFORMED`) where the other end breaks the rules: close the connection."""
        if len(blob) < _HEADER.size:
            raise _broken("shorter than its header")
        kind, number, acknowledged = _HEADER.unpack_from(blob)
        match kind:
            case Kind.HELLO:
                return self._hello(number, blob[_HEADER.size :])
            case Kind.DATA if self.open:
                return self._take(number, acknowledged, blob)
            case Kind.ACK if self.open:
                self._forget(acknowledged)
                return Received()
            case _:
                raise _broken(f"of kind {kind} {'on an open pipe' if self.open else 'before the hello'}")

    def _hello(self, received: int, payload: bytes) -> Received:
        try:
            name, incarnation, known = _HELLO.decode(payload)
        except msgspec.DecodeError as exc:
            raise _broken("a hello that cannot be read") from exc
        goes_on = incarnation == self.peer_incarnation and known == self.incarnation
        self.peer_name, self.peer_incarnation, self.open = name, incarnation, True
        if not goes_on:
            self._unacked.clear()
            self._unacked_bytes = self._sent = self._received = self._owed_blobs = self._owed_bytes = 0
            return Received(opened=True, fresh=True)
        self._forget(received)
        return Received(opened=True, write=[self._data(n, payload) for n, payload in self._unacked])

    def _take(self, number: int, acknowledged: int, blob: bytes) -> Received:
        self._forget(acknowledged)
        if number <= self._received:
            return Received()  # Resent by an end that had not seen our acknowledgement.
        if number != self._received + 1:
            raise _broken(f"number {number} after {self._received}")
        self._received = number
        self._owed_blobs += 1
        self._owed_bytes += len(blob)
        taken = Received(payload=blob[_HEADER.size :])
        if self._owed_blobs >= ACK_EVERY_BLOBS or self._owed_bytes >= ACK_EVERY_BYTES:
            taken.write.append(_HEADER.pack(Kind.ACK, 0, self._acknowledge()))
        return taken

    def _data(self, number: int, payload: bytes) -> bytes:
        return _HEADER.pack(Kind.DATA, number, self._acknowledge()) + payload

    def _acknowledge(self) -> int:
        self._owed_blobs = self._owed_bytes = 0
        return self._received

    def _forget(self, acknowledged: int) -> None:
        while self._unacked and self._unacked[0][0] <= acknowledged:
            self._unacked_bytes -= len(self._unacked.popleft()[1])


def _broken(what: str) -> Refusal:
    return Refusal(Code.MALFORMED, f"pipe: a blob {what}")
