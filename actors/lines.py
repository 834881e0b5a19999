"""What an actor sees of a pipe: a line to a named peer. What carries it is `orchestrator/pipes`."""

from typing import Protocol

from protocol.links import AnyLink


class Line(Protocol):
    """One end of a pipe to one life of `peer`, across reconnects. When the peer comes back as a new life, `opened`
    brings a new line; what is sent on the old one goes nowhere, since it answers questions that nobody remembers."""

    @property
    def peer(self) -> str:
        """The other's name: `journal`, `archive`, `cell:0`, `gateway:0`, `channels:0`."""
        ...

    @property
    def open(self) -> bool:
        """Whether what is sent leaves now; otherwise it waits for the reconnect."""
        ...

    @property
    def full(self) -> bool:
        """Whether so much is unacknowledged that the sender must wait (inbound) or drop (outbound)."""
        ...

    def send(self, message: AnyLink) -> None:
        """Queues `message`; what is queued in one turn of the loop leaves together, in order."""
        ...


class LineOwner(Protocol):
    """What an actor answers when its lines speak. All are called on the loop and must not block."""

    def opened(self, line: Line, *, fresh: bool) -> None:
        """The line is open. `fresh`: the peer is a new life (or the first), and what was unanswered is lost."""
        ...

    def received(self, line: Line, message: AnyLink) -> None:
        """One message, in order."""
        ...

    def closed(self, line: Line) -> None:
        """The connection broke; the line reconnects by itself."""
        ...

    def broke(self, exc: Exception) -> None:
        """One of the calls above raised: a bug of ours, and messages are lost. The owner must end."""
        ...
