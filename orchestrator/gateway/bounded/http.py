"""HTTP: counts a request's bytes, gives each head and each body a deadline, and each answer one to be read by."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from actors.fault import guarded
from orchestrator.gateway.bounded.config import BoundedConfig
from orchestrator.gateway.bounded.strangers import PROVEN
from orchestrator.gateway.bounded.websocket import BoundedWebSocket
from orchestrator.gateway.http.bodies import error_json
from protocol.errors import Code, Refusal

HEAD_WITHIN_S = 10.0
"""Time for a request's head, and for the idle wait before a connection's first one: a slow mobile line needs 2 or 3."""
UNREAD_WITHIN_S = 30.0
READ_BYTES_MIN = 64 * 1024
"""Of answers that wait to be read, so much is to be read in so long: 2 KiB a second. A client that reads nothing needs
no token to ask for more than the system keeps, and would hold its connection, also a closed one, for ever."""
LINGERS_S = 5.0
"""For who sent too much: of what is closed while more comes, the system says so at once, and the answer is lost to
whoever reads it only when all is sent (RFC 9112 §9.6). So the rest is read, and forgotten, for as long as this."""
UNCOUNTED_BYTES_MAX = 4 * 1024
"""Of one connection's answers that wait to be read; with more of them it counts among all others' (`unread.py`). By
uvicorn's own 64 KiB ten thousand connections would hold 640 MiB beside those."""
_PHRASES = {
    400: "Bad Request",
    408: "Request Timeout",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}


class BoundedHttp(HttpToolsProtocol):
    """One connection until it is upgraded."""

    config: BoundedConfig

    def __init__(
        self,
        config: BoundedConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._bytes = 0
        """Of the request that is being read."""
        self._tail = b""
        """The last bytes of a head, in case its end comes in two reads."""
        self._in_head = True
        self._deadline: asyncio.TimerHandle | None = None
        """Of what is awaited now: a head or a body that has begun, and a connection's first head."""
        self._unread: asyncio.TimerHandle | None = None
        """When it is next looked at whether the client reads."""
        self._next: tuple[RequestResponseCycle, Any] | None = None
        """A request whose turn it is once the answer before it was read."""
        self._answering: RequestResponseCycle | None = None
        """The last one whose turn came."""
        self._before: RequestResponseCycle | None = None
        """The last one that came whole."""
        self._lingers = False
        """Whether the last answer is given, and what still comes is not looked at."""
        self._owner = 0
        """Under whom it counts among the strangers; 0: it does not."""
        self._extensions: dict[str, Any] = {PROVEN: self.prove}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's, too.
        """Refuses one connection too many; the others have a deadline for their first head."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(UNCOUNTED_BYTES_MAX)
        if len(self.connections) > self.config.connections_max:
            self._answer(503, Code.TOO_MANY_CONNECTIONS, f"{self.config.connections_max} connections are open")
            return
        strangers = self.config.strangers
        owner = strangers.owner(self.client[0]) if self.client else 0
        if owner and not strangers.comes(owner):
            most = strangers.per_address
            message = f"{most} connections of your address have shown no token (http.strangers_per_address)"
            self._answer(503, Code.TOO_MANY_CONNECTIONS, message)
            return
        self._owner = owner
        self._set_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over: nothing is due any more."""
        self._cancel_deadline()
        self._cancel_unread()
        self.prove()
        self._next = None
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The server stops: it waits for answers that are owed, and not for what is read only to be forgotten."""
        if self._lingers:
            self._close()
        else:
            super().shutdown()

    def data_received(self, data: bytes) -> None:
        """Counts, and gives uvicorn what is within the bounds."""
        if self.transport.is_closing() or self._lingers:
            return
        self._bytes += len(data)
        if self._in_head and self._bytes > self.config.header_bytes_max and not self._head_ends(data):
            limit = self.config.header_bytes_max
            self._answer(431, Code.TOO_LARGE, f"the request's head is over {limit} bytes (http.header_bytes_max)")
        elif self._bytes > self.config.request_bytes_max:
            limit = self.config.request_bytes_max
            self._answer(413, Code.TOO_LARGE, f"the request is over {limit} bytes with all its framing")
        else:
            self._tail = data[-3:]
            super().data_received(data)
            if self._bytes and self._deadline is None and not self._is_over():
                self._set_deadline()

    def prove(self) -> None:
        """Its client is known, or gone."""
        if self._owner:
            self.config.strangers.leaves(self._owner)
            self._owner = 0

    def pause_writing(self) -> None:
        """So much waits to be read that no more is written."""
        super().pause_writing()
        self._await_reader()

    def resume_writing(self) -> None:
        """It was read."""
        super().resume_writing()
        self._cancel_unread()
        if self._next:
            begun, self._next = self._next, None
            super()._start_asgi_task(*begun)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Of one connection one answer is held at a time, and nothing is asked for before it was read."""
        self._answering = cycle
        if self.flow.write_paused:
            self._next = (cycle, app)
        else:
            super()._start_asgi_task(cycle, app)

    def give_up(self) -> None:
        """Too much waits to be read, of all connections together, and this one has waited the longest."""
        self.config.refused(Code.OVERLOADED)
        self.transport.abort()

    def on_response_complete(self) -> None:
        """Where nothing follows the answer, that is still to be read."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._await_reader()

    def timeout_keep_alive_handler(self) -> None:
        """Nothing more was asked: likewise."""
        super().timeout_keep_alive_handler()
        self._await_reader()

    def on_message_begin(self) -> None:
        """Whoever finds out who asks says so."""
        super().on_message_begin()
        self.scope["extensions"] = self._extensions

    def on_headers_complete(self) -> None:
        """The head came in time; what is left of the request after this read is its body."""
        self._in_head = False
        self._cancel_deadline()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """All of it came in time. The next request begins at nothing."""
        self._in_head = True
        self._bytes = 0
        self._before = self.cycle
        self._cancel_deadline()
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """The whole head goes to the engine here; whoever sent one that it could not read is answered, too."""
        super().handle_websocket_upgrade()
        self._cancel_unread()
        upgraded = self.transport.get_protocol()
        assert isinstance(upgraded, BoundedWebSocket)
        # Its frames have a queue and a bound of their own.
        self.transport.set_write_buffer_limits()
        upgraded.owner, self._owner = self._owner, 0
        upgraded.answer_unread()

    def send_400_response(self, msg: str) -> None:
        """Uvicorn calls it for bytes that its parser cannot read."""
        self._answer(400, Code.MALFORMED, "the bytes are no HTTP/1.1 request")

    def _head_ends(self, data: bytes) -> bool:
        """Whether the head ends within the limit, though more came behind it in the same read."""
        end = (self._tail + data).find(b"\r\n\r\n")
        return end >= 0 and self._bytes - len(data) + end <= self.config.header_bytes_max

    def _is_over(self) -> bool:
        """Whether nothing is read here any more: it closes, or was upgraded."""
        return self.transport.is_closing() or self.transport.get_protocol() is not self

    def _set_deadline(self) -> None:
        within_s = HEAD_WITHIN_S if self._in_head else self.config.body_within_s
        self._deadline = self.loop.call_later(within_s, guarded, self._broke, self._too_slow, within_s)

    def _cancel_deadline(self) -> None:
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def _await_reader(self) -> None:
        if self._unread:
            self._unread.cancel()
        waiting = self.transport.get_write_buffer_size()
        self.config.unread.waits(self, waiting)
        self._unread = self.loop.call_later(UNREAD_WITHIN_S, guarded, self._broke, self._look_for_reader, waiting)

    def _look_for_reader(self, waited: int) -> None:
        if self.transport.get_write_buffer_size() > waited - READ_BYTES_MIN:
            self.transport.abort()
        else:
            self._await_reader()

    def _cancel_unread(self) -> None:
        self.config.unread.read(self)
        if self._unread:
            self._unread.cancel()
            self._unread = None

    def _close(self) -> None:
        self.transport.close()
        self._await_reader()

    def _linger(self) -> None:
        self._lingers = True
        # As at a connection's end: whoever works at a request waits no longer for its body, and answers nobody.
        self._next = None
        self.pipeline.clear()
        if self._answering:
            self._answering.disconnected = True
            self._answering.message_event.set()
        self._unset_keepalive_if_required()
        self.transport.resume_reading()
        self.transport.write_eof()
        self._await_reader()
        self._cancel_deadline()
        self._deadline = self.loop.call_later(LINGERS_S, guarded, self._broke, self._close)

    def _too_slow(self, within_s: float) -> None:
        if not self._in_head and self.cycle.response_complete:
            self._close()  # Its answer did not wait for the body.
        elif not self.transport.is_closing():
            part = "head" if self._in_head else "body"
            self._answer(408, Code.MALFORMED, f"the request's {part} did not come within {within_s:g} s")

    def _broke(self, exc: Exception) -> None:
        """A bug met while this client was answered: its connection would be held for as long as it likes."""
        self.config.broke(exc)
        self.transport.abort()

    def _may_answer(self) -> bool:
        """Whether an answer would be heard as that to the request that is being read: it has none yet, and those before
        it have theirs."""
        if self.cycle is self._before:  # Of this one the head is not read yet, or cannot be.
            return not self._answering or self._answering.response_complete
        return self.cycle is self._answering and not self.cycle.response_started

    def _answer(self, status: int, code: Code, message: str) -> None:
        """Says why, where it is heard, and closes: whatever else comes is not looked at."""
        self.config.refused(code)
        if self._may_answer():
            body = error_json(Refusal(code, message))
            head = f"HTTP/1.1 {status} {_PHRASES[status]}\r\ncontent-type: application/json\r\nconnection: close\r\n"
            self.transport.write(head.encode() + f"content-length: {len(body)}\r\n\r\n".encode() + body)
        if code is Code.TOO_LARGE:
            self._linger()
        else:
            self._close()
