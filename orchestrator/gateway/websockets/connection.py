"""A client's connection from hello to goodbye: what agents and gateway clients have in common.

    hello → welcome      at each heartbeat a frame goes out, and something must have been heard      refusals, error

It speaks frames and knows no socket: `websocket.py` feeds messages in, sends what `outgoing` holds, and closes where
`closing` says so. Nothing here waits.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from msgspec import Struct

from actors.fault import Tasks, guarded
from orchestrator.gateway.failures import failed
from orchestrator.gateway.health.metrics import Metrics
from orchestrator.gateway.websockets.outgoing import Outgoing
from orchestrator.tokens import Token, Tokens
from protocol.codec import FRAMES_MAX, Codec
from protocol.errors import Code, Refusal
from protocol.frames import Drain, Error, Frame, Hello, Limits, Pong, Welcome

BEATS_MISSED_MAX = 2
"""Heartbeats that may go by with nothing heard; at the next one the connection is closed."""
CLOSE_WITHIN_S = 2.0
"""Time for what is still owed to a client whose connection ends; then its socket is dropped."""
REASON_BYTES_MAX = 120
"""A close frame's reason has at most 123 bytes (RFC 6455 §5.5)."""


class Terms(Struct, kw_only=True, frozen=True):
    """What every connection of one gateway is served under."""

    tokens: Tokens
    metrics: Metrics
    generation: Callable[[], str]
    """The journal's generation now."""
    new_id: Callable[[], str]
    """A fresh random session id or error reference."""
    tasks: Tasks
    """What is done for clients beside their sockets."""
    heartbeat_s: float
    message_bytes: int
    """The longest message a client may send."""
    queue_bytes: int
    """Outgoing bytes that may wait; see `Outgoing`."""
    watches: int
    """Conversations and inboxes that one agent may watch at a time."""
    credits: int
    """Events of one gateway client that may be unanswered."""


class Connection(ABC):
    """One client. `presented` is the token of the HTTP request, empty where `hello` brings it."""

    kind: ClassVar[str]
    """`agent` or `gateway`."""

    def __init__(self, terms: Terms, codec: Codec, presented: str) -> None:
        self.terms = terms
        self.codec = codec
        self.outgoing = Outgoing(terms.queue_bytes)
        self.session = terms.new_id()
        self.token: Token | None = None
        """Who it is; None until `hello`."""
        self.client = ""
        """The program, as it calls itself in `hello`."""
        self.closing: tuple[int, str] | None = None
        """The close code and reason, from when this side has decided to end it."""
        self.abort: Callable[[], None] = _no_socket
        """Drops the socket at once; `websocket.py` sets it."""
        self.proven: Callable[[], None] = _no_socket
        """Tells the socket that its client is known; likewise."""
        self._presented = presented
        self._heard = False
        self._missed = 0
        self._beat_number = 0
        self._heartbeat: asyncio.TimerHandle | None = None

    # What a kind of client is

    @abstractmethod
    def decode(self, message: bytes | str) -> list[Any]:
        """The frames that this kind of client may send, a `Refusal` in the place of each bad one."""

    @abstractmethod
    def opened(self, hello: Hello, token: Token) -> None:
        """After `hello`: checks scopes, welcomes, begins. Raises `Refusal` to end the connection."""

    @abstractmethod
    def frame(self, frame: Any) -> None:
        """One frame after `hello`. Raises `Refusal`."""

    @abstractmethod
    def refused_input(self, refusal: Refusal) -> None:
        """Tells the client that one input was refused; the connection goes on."""

    @abstractmethod
    def heartbeat(self) -> Frame:
        """The frame to send at a heartbeat."""

    @abstractmethod
    def sent(self) -> None:
        """The socket has taken the frames of one message."""

    @abstractmethod
    def closed(self) -> None:
        """It is over: gives back everything held for the client."""

    # What the socket calls

    def received(self, message: bytes | str) -> None:
        """Takes one WebSocket message. Never raises for what a client sends."""
        self._heard = True
        for frame in self.decode(message):
            if self.closing:
                return
            try:
                self._take(frame)
            except Refusal as refusal:
                self.refuse(refusal)

    def hello_missed(self) -> None:
        """The time for `hello` is over. Its client may be slow, or this server, to which a thousand come back at once:
        it is to come again."""
        if self.token is None:
            self.refuse(Refusal(Code.HEARTBEAT_MISSED, "no `hello` came in time"))

    def ended(self) -> None:
        """The socket is gone."""
        if self._heartbeat:
            self._heartbeat.cancel()
        if self.token is not None:
            self.closed()

    # What both sides use

    def send(self, frame: Frame) -> int:
        """Queues a frame that must arrive; returns its number in the outgoing queue."""
        return self.outgoing.put(self.codec.encode(frame))

    def refuse(self, refusal: Refusal) -> None:
        """Tells the client. A code below `Code.INVALID` is about the connection as a whole, and ends it."""
        self.terms.metrics.refused(refusal.code, self.kind)
        if refusal.code < Code.INVALID:
            self.close(refusal.code, refusal.message, ref=refusal.ref)
        else:
            self.refused_input(refusal)

    def close(self, code: Code, message: str, *, ref: str = "") -> None:
        """Ends the connection after what is already owed: an `error` frame, then the close code."""
        if self.closing:
            return
        self.send(Error(code=code, message=message, ref=ref))
        self.closing = (int(code), message.encode()[:REASON_BYTES_MAX].decode(errors="ignore"))
        self.outgoing.shut()
        # A client that does not read is not waited for.
        asyncio.get_running_loop().call_later(CLOSE_WITHIN_S, self.abort)

    def broke(self, exc: Exception) -> None:
        """A bug met on the client's behalf: it is told the log's reference, and its connection ends."""
        refusal = failed(exc, where=self.kind, new_reference=self.terms.new_id)
        self.close(refusal.code, refusal.message, ref=refusal.ref)

    def drain(self, after_ms: int) -> None:
        """Tells the client to reconnect elsewhere or later."""
        if self.token is not None and not self.closing:
            self.send(Drain(after_ms=after_ms))

    def welcome(self, token: Token, *, watches: int = 0, credits: int = 0) -> None:
        """Sends `welcome` and starts the heartbeat."""
        self.send(
            Welcome(
                session=self.session,
                name=token.name,
                generation=self.terms.generation(),
                heartbeat_ms=round(self.terms.heartbeat_s * 1000),
                limits=Limits(
                    message_bytes=self.terms.message_bytes, frames=FRAMES_MAX, watches=watches, credits=credits
                ),
            )
        )
        self._schedule()

    def _take(self, frame: Any) -> None:
        if isinstance(frame, Refusal):
            if self.token is None and frame.code != Code.TOO_LARGE:
                raise Refusal(frame.code if frame.code < Code.INVALID else Code.MALFORMED, frame.message)
            raise frame
        if self.token is None:
            self._hello(frame)
        elif isinstance(frame, Hello):
            raise Refusal(Code.HELLO_EXPECTED, "`hello` comes once, as the first frame")
        elif not isinstance(frame, Pong):
            self.frame(frame)

    def _hello(self, frame: Any) -> None:
        if not isinstance(frame, Hello):
            raise Refusal(Code.HELLO_EXPECTED, "the first frame must be `hello`")
        token = self.terms.tokens.check(frame.token or self._presented)
        self.client = frame.client[:200]
        self.opened(frame, token)
        self.token = token
        self.proven()

    def _schedule(self) -> None:
        loop = asyncio.get_running_loop()
        self._heartbeat = loop.call_later(self.terms.heartbeat_s, guarded, self.broke, self._beat)

    def _beat(self) -> None:
        assert self.token is not None
        if self.closing:
            return
        self._missed = 0 if self._heard else self._missed + 1
        self._heard = False
        if self._missed > BEATS_MISSED_MAX:
            self.refuse(Refusal(Code.HEARTBEAT_MISSED, f"nothing was heard for {self._missed} heartbeats"))
        elif not self.terms.tokens.holds(self.token):
            self.refuse(Refusal(Code.UNAUTHENTICATED, "the token has expired or was revoked"))
        else:
            # One heartbeat in the queue is enough: a client that does not read needs no second.
            if self.outgoing.taken >= self._beat_number:
                self._beat_number = self.send(self.heartbeat())
            self._schedule()


def _no_socket() -> None:
    """For a connection that has none."""
