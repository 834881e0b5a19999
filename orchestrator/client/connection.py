"""One client's line to the server: dials, speaks for a session, and dials again with back-off when it breaks.

    4000-4099  a close code that says the client is at fault: the line stops and `failure` says why
    any other  the line comes again

Nothing that arrives waits for the application: sessions drop what finds no room and ask for it later. So the line
always hears the heartbeat and the answers, whatever the application is busy with.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import random as draw
from typing import Any, Protocol

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI, NegotiationError
from websockets.typing import Subprotocol

from orchestrator.client.wire import SUBPROTOCOL, messages, pack, refusal_of, unpack
from protocol.backoff import backoff_ms
from protocol.errors import Code, Refusal
from protocol.frames import Drain, Error, Frame, Limits, Welcome

WELCOME_WAIT_S = 10.0
CLOSE_WAIT_S = 2.0
MESSAGE_BYTES_MAX = 16 * 1024 * 1024
"""Of one message from the server: a snapshot with its newest events, each up to 256 Ki characters."""
_LIMITS_BEFORE_WELCOME = Limits(message_bytes=1024 * 1024, frames=1, watches=0, credits=0)


class Session(Protocol):
    """What the line needs of a session."""

    drain: Drain | None
    """What the server said when it wants the connection to end."""

    @property
    def idle(self) -> bool:
        """Whether the connection may end without anything being asked twice."""
        ...

    def connect(self) -> Sequence[Any]:
        """Returns a connection's first frames."""
        ...

    def disconnect(self) -> None:
        """The connection is gone."""
        ...


class Line:
    """Keeps a session connected."""

    def __init__(
        self,
        url: str,
        path: str,
        session: Session,
        *,
        frames: Any,
        receive: Callable[[Any], None],
        ended: Callable[[], None],
        random: Callable[[], float] = draw,
    ) -> None:
        """`url` is the server's, `http(s)://` or `ws(s)://`; `frames` is the union that may arrive.

        `receive` gets each frame; `ended` is called once, when the line stops for good.
        """
        self.failure: Refusal | None = None
        """Why the line stopped by itself."""
        self._url = "ws" + url.rstrip("/").removeprefix("http").removeprefix("ws") + path
        self._session = session
        self._frames = frames
        self._receive = receive
        self._ended = ended
        self._random = random
        self._out: list[bytes] = []
        self._to_write = asyncio.Event()
        self._first = asyncio.Event()
        self._closing = asyncio.Event()
        self._limits = _LIMITS_BEFORE_WELCOME
        self._silence_s = WELCOME_WAIT_S
        self._said: Refusal | None = None
        self._bug: Exception | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Dials; returns when the first welcome came. Raises the `Refusal` that stopped the line instead."""
        self._task = asyncio.create_task(self._run())
        try:
            await self._first.wait()
        except asyncio.CancelledError:
            await self.close()
            raise
        if self.failure:
            raise self.failure

    async def close(self) -> None:
        """Says goodbye and stops."""
        self._closing.set()
        if self._task:
            await self._task

    @property
    def message_bytes_max(self) -> int:
        """What the server takes in one message."""
        return self._limits.message_bytes

    @property
    def closed(self) -> bool:
        """Whether it stopped for good."""
        return self._task is not None and self._task.done()

    def send(self, frames: Sequence[Frame | bytes]) -> None:
        """Puts frames on the wire. What one turn of the loop sends leaves together. What a broken connection swallows,
        the session says again on the next one."""
        if frames:
            self._out += [frame if isinstance(frame, bytes) else pack(frame) for frame in frames]
            self._to_write.set()

    def later(self, wait_s: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        """Calls after `wait_s`. What it raises ends the line, as what its own task meets does."""
        return asyncio.get_running_loop().call_later(wait_s, self._call, call)

    def _call(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as exc:  # noqa: BLE001 - a loop would only log it, and the application wait for what was due
            self._bug = exc
            self._closing.set()

    async def _run(self) -> None:
        attempt = 0
        try:
            while not self._closing.is_set():
                welcomed = await self._connection()
                attempt = 0 if welcomed else attempt + 1
                wait_ms = backoff_ms(attempt, random=self._random())
                if self._session.drain:
                    wait_ms += self._session.drain.after_ms
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_ms / 1000):
                        await self._closing.wait()
            if self._bug is not None:
                raise self._bug
        except Refusal as refusal:
            self.failure = refusal
        finally:
            self._first.set()
            self._ended()

    async def _connection(self) -> bool:
        """Lives through one connection. Returns whether it was welcomed; raises the `Refusal` that forbids another."""
        self._limits, self._silence_s, self._said = _LIMITS_BEFORE_WELCOME, WELCOME_WAIT_S, None
        self._out.clear()
        try:
            async with connect(
                self._url,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                compression=None,
                max_size=MESSAGE_BYTES_MAX,
                # The protocol's own heartbeat is the sign of life, and it carries news.
                ping_interval=None,
                open_timeout=WELCOME_WAIT_S,
                close_timeout=CLOSE_WAIT_S,
            ) as socket:
                await self._speak(socket)
        except (InvalidStatus, InvalidURI, NegotiationError) as exc:
            _raise_if_final(exc)
        except (OSError, TimeoutError, InvalidHandshake):
            pass  # Nobody there, or silence: come again.
        finally:
            self._session.disconnect()
        self._raise_if_said()
        return self._limits is not _LIMITS_BEFORE_WELCOME

    def _raise_if_said(self) -> None:
        if self._said and not self._said.retryable:
            raise self._said

    async def _speak(self, socket: ClientConnection) -> None:
        if socket.subprotocol != SUBPROTOCOL:
            raise Refusal(Code.UNSUPPORTED_PROTOCOL, f"the server does not speak {SUBPROTOCOL}")
        self.send(self._session.connect())
        helpers = [asyncio.create_task(self._write(socket)), asyncio.create_task(self._goodbye(socket))]
        try:
            await self._listen(socket)
        except ConnectionClosed:
            pass  # The close code is looked at below, however it came.
        except Refusal as refusal:
            self._said = refusal
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
        code = socket.close_code
        if code is not None and 4000 <= code < 4100 and not self._said:
            self._said = refusal_of(code, socket.close_reason or "the server closed the connection")

    async def _listen(self, socket: ClientConnection) -> None:
        clock = asyncio.get_running_loop().time
        async with asyncio.timeout(self._silence_s) as silence:
            async for message in socket:
                for frame in unpack(message, self._frames):
                    self._hear(frame)
                silence.reschedule(clock() + self._silence_s)
                if self._session.drain and self._session.idle:
                    return

    def _hear(self, frame: Any) -> None:
        if isinstance(frame, Welcome):
            self._limits = frame.limits
            self._silence_s = 2 * frame.heartbeat_ms / 1000
        elif isinstance(frame, Error) and frame.code < Code.DRAINING:
            # The close code that follows has room for a few words only; these are the server's full ones.
            self._said = refusal_of(frame.code, frame.message, ref=frame.ref)
        self._receive(frame)
        if isinstance(frame, Welcome):
            self._first.set()

    async def _write(self, socket: ClientConnection) -> None:
        while True:
            await self._to_write.wait()
            self._to_write.clear()
            encoded, self._out = self._out, []
            limits = self._limits
            for message in messages(encoded, bytes_max=limits.message_bytes, frames_max=limits.frames):
                await socket.send(message)

    async def _goodbye(self, socket: ClientConnection) -> None:
        await self._closing.wait()
        await socket.close()


def _raise_if_final(exc: InvalidStatus | InvalidURI | NegotiationError) -> None:
    """Raises a `Refusal` where dialling again cannot help; a busy or starting server (408, 429, 5xx) can change."""
    if isinstance(exc, InvalidURI):
        raise Refusal(Code.NOT_FOUND, f"{exc.uri} is not an address of a server") from exc
    if isinstance(exc, NegotiationError):
        raise Refusal(Code.UNSUPPORTED_PROTOCOL, f"the server does not speak {SUBPROTOCOL}") from exc
    status = exc.response.status_code
    if status in (408, 429) or status >= 500:
        return
    try:
        said = msgspec.json.decode(exc.response.body or b"", type=_Denial)
    except msgspec.DecodeError:
        # Not our server's words: a proxy, or another program on that port.
        said = _Denial(
            code=Code.UNSUPPORTED_PROTOCOL, message=f"the WebSocket's request is answered with HTTP {status}"
        )
    raise refusal_of(said.code, said.message) from exc


class _Denial(msgspec.Struct):
    """The body of a refused handshake."""

    code: int
    message: str
