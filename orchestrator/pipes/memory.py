"""Pipes in memory: between parts of one process, without a socket.

What is written arrives in a later turn of the loop, as over a socket, so that the same classes meet the same order.
"""

import asyncio

from actors.fault import guarded
from actors.lines import LineOwner
from orchestrator.pipes.lines import PipeSocket
from protocol.pipe import PipeEnd


class MemoryWire:
    """One side of a connection in memory: blobs arrive in a later turn of the loop, in order."""

    def __init__(self) -> None:
        self.other: MemoryWire | None = None
        self.pipe: PipeSocket | None = None
        self.ended = False

    def write(self, blob: bytes) -> None:
        """Hands the blob to the other side, next turn."""
        if not self.ended:
            asyncio.get_running_loop().call_soon(self._arrive, blob)

    def close(self) -> None:
        """Breaks the connection, for both sides."""
        for side in (self, self.other):
            if side is not None and not side.ended:
                side.ended = True
                if side.pipe is not None:
                    side.pipe.detach(side)

    def _arrive(self, blob: bytes) -> None:
        other = self.other
        if other is not None and other.pipe is not None and not other.ended:
            guarded(other.pipe.broke, other.pipe.feed, other, blob)


def connect_in_memory(one: PipeSocket, two: PipeSocket) -> MemoryWire:
    """Connects two ends in one process; closing the returned wire breaks the connection, calling again remakes it."""
    left, right = MemoryWire(), MemoryWire()
    left.other, right.other = right, left
    left.pipe, right.pipe = one, two
    one.attach(left)
    two.attach(right)
    return left


def memory_end(name: str, incarnation: str, owner: LineOwner) -> PipeSocket:
    """An end that waits to be connected in memory."""
    return PipeSocket(PipeEnd(name, incarnation), owner)
