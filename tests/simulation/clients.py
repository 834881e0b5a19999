"""Clients: what agents and gateway clients have in common, around the SDK's own sessions.

A client dials, says what its session wants said, hands it what arrives, and dials again when the socket ends, with
back-off. A program can be restarted: what it keeps then is what its owner wrote down.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from protocol.agent_session import AgentSession
from protocol.codec import Codec
from protocol.errors import Refusal
from protocol.frames import Frame
from protocol.gateway_session import GatewaySession
from tests.simulation.sockets import Socket

if TYPE_CHECKING:
    from tests.simulation.world import World

CODEC = Codec("msgpack")
SILENCE_S = 25.0
"""Nothing heard for more than two heartbeats: the client gives the connection up."""


class Client(ABC):
    """One program. `session` is replaced where the program is restarted."""

    path: str
    session: AgentSession | GatewaySession

    def __init__(self, world: "World", name: str) -> None:
        self.world = world
        self.name = name
        self.socket: Socket | None = None
        self._heard_s = 0.0
        self._tries = 0
        self._at = ""
        """The gateway that it dialed last."""

    # What a kind of client is

    @abstractmethod
    def decode(self, data: bytes) -> list[Any]:
        """The server's frames."""

    @abstractmethod
    def take(self, frame: Any) -> None:
        """One frame."""

    @abstractmethod
    def left(self, data: bytes) -> None:
        """The server is putting this message on the wire."""

    @abstractmethod
    def restart(self) -> None:
        """The program crashes and starts again."""

    # The connection

    def dial(self) -> None:
        """Connects, now or after a back-off where there is no gateway."""
        gateway = self.world.server.a_gateway()
        if gateway is None:
            self._later()
            return
        if self._at not in ("", gateway.name):
            self.world.moved_over += 1
        self._at = gateway.name
        self._heard_s = self.world.loop.time()
        self.socket = Socket(self.path, self, self.world.pace, self.left)
        self.socket.reading = not self.world.slow_readers
        gateway.accept(self.socket)
        self.world.loop.call_later(SILENCE_S / 4, self._look, self.socket)

    def opened(self) -> None:
        """The handshake is done."""
        self.say(self.session.connect())

    def message(self, data: bytes) -> None:
        """A message came."""
        self._heard_s = self.world.loop.time()
        self._tries = 0
        socket = self.socket
        for frame in self.decode(data):
            if self.socket is not socket:
                return
            if isinstance(frame, Refusal):
                self.world.broken("alive", f"{self.name} was sent what it can't read: {frame.message}")
                return
            try:
                self.take(frame)
            except Refusal as refusal:
                self.world.broken("alive", f"{self.name} found the server breaking the protocol: {refusal.message}")

    def closed(self) -> None:
        """The socket is gone."""
        self.socket = None
        self.session.disconnect()
        self._later()

    def say(self, frames: Sequence[Frame | bytes]) -> None:
        """Sends frames as one message."""
        if frames and self.socket is not None:
            self.socket.say(CODEC.join([f if isinstance(f, bytes) else CODEC.encode(f) for f in frames]))

    def break_off(self) -> bool:
        """The network fails it. False where it is not connected."""
        if self.socket is None:
            return False
        self.socket.break_off(server_hears_s=self.world.random.choice((0.0, 0.5, 40.0)))
        return True

    def _later(self) -> None:
        self._tries += 1
        wait_s = min(0.1 * 2 ** min(self._tries, 5), 3.0) * self.world.random.uniform(0.5, 1.0)
        self.world.loop.call_later(wait_s, self.dial)

    def _look(self, socket: Socket) -> None:
        if self.socket is socket:
            if socket.reading and self.world.loop.time() - self._heard_s > SILENCE_S:
                self.break_off()
            else:
                self.world.loop.call_later(SILENCE_S / 4, self._look, socket)
