"""SMTP: one client's connection, on aiosmtpd, with the bounds that it leaves open.

aiosmtpd keeps what it reads of a content until the line ends, so a client that never ends a line would fill the memory:
here the bytes are counted as they come in, those of one content and those of all connections.
"""

import asyncio
import traceback
from collections.abc import Callable
from typing import Any, Protocol, cast

import structlog
from aiosmtpd.smtp import SMTP, Envelope, Session, syntax

RECIPIENTS_MAX = 100
"""Of one mail: RFC 5321 §4.5.3.1.8 asks for no less."""
COMMANDS_MAX = 1000
"""Of each kind in one connection; beyond, the client connects anew."""
REFUSALS_MAX = 1000
"""In one connection: nothing else counts empty lines and what is no command, and a flood of them stops the loop."""
SESSION_S = 1800.0
"""Of one connection, whatever it does: a command every few minutes would keep one of the entrance's few for weeks. Mail
servers use one for minutes (Postfix: `smtp_connection_reuse_time_limit`, 300 s)."""
LAST_WORDS_S = 5.0
"""For the last answer to leave: a client that reads nothing would keep a closed connection for ever."""
LINE_BYTES_MAX = 64 * 1024
"""RFC 5321 §4.5.3.1.6 allows 1000; programs that never wrap a paragraph are forgiven."""

_log = structlog.get_logger(__name__)


class Server(Protocol):
    """What a connection asks of the entrance it belongs to."""

    connections: set["Connection"]

    def mailbox_of(self, address: str) -> object | None:
        """Whose address it is; None where it is none of ours."""

    def hold(self, size: int) -> bool:
        """Counts bytes of content; False where all connections together hold too many."""

    def replied(self, code: str) -> None:
        """A reply with this code is on its way."""

    async def take(self, raw: bytes, *, sender: str, recipients: list[str]) -> str:
        """Takes a mail; returns the answer to its content."""


class Connection(SMTP):
    """One client."""

    line_length_limit = LINE_BYTES_MAX

    def __init__(self, server: Server, *, bytes_max: int, hostname: str, timeout_s: float, session_s: float) -> None:
        super().__init__(
            _Hooks(server),
            data_size_limit=bytes_max,
            enable_SMTPUTF8=True,
            hostname=hostname,
            ident="ESMTP Throughline",
            timeout=timeout_s,
            command_call_limit=COMMANDS_MAX,
            loop=asyncio.get_running_loop(),
        )
        self._server = server
        # Dots at the beginning of lines are doubled on the way, so a content may take twice its size.
        self._wire_bytes_max = 2 * bytes_max + LINE_BYTES_MAX
        self._in_content = False
        self._held = 0
        self._refusals = 0
        self._session_s = session_s
        self._over = False
        self._end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The client is there."""
        self._server.connections.add(self)
        super().connection_made(transport)
        self._ends_in(self._session_s, self.end_session)

    def connection_lost(self, error: Exception | None) -> None:
        """The client is gone; a mail being taken may still be committed, and its repeat has no second effect."""
        self._server.connections.discard(self)
        if self._end is not None:
            self._end.cancel()
        super().connection_lost(error)
        # The task that read for it holds the content as far as it came, and each held the other: such circles are
        # looked for by the number of objects, and a few of many megabytes would stay.
        self._handler_coroutine = None

    def data_received(self, data: bytes) -> None:
        """Counts content, and breaks off where it is too much."""
        if self._in_content:
            self._held += len(data)
            if not self._server.hold(len(data)):
                self.shut("452 4.3.1 too much mail is coming in at once; send it again")
                return
            if self._held > self._wire_bytes_max:
                self.shut(_too_large(self.data_size_limit or 0))
                return
        super().data_received(data)

    @syntax("DATA")
    async def smtp_DATA(self, arg: str) -> None:
        """Content begins; what was counted of it is let go when it was answered."""
        self._in_content = True
        try:
            await super().smtp_DATA(arg)
        finally:
            self._in_content = False
            self._server.hold(-self._held)
            self._held = 0
            if self._over:
                self.end_session()

    async def push(self, status: str | bytes) -> None:
        """Every reply leaves here: it is counted, and says what the limit is where aiosmtpd's own words do not."""
        if self.transport is None or self.transport.is_closing():
            # The last was said; what the client has sent behind that is passed over, and others have their turn.
            await asyncio.sleep(0)
            return
        answer = status.decode("utf-8") if isinstance(status, bytes) else status
        if answer.startswith("552 Error"):
            answer = _too_large(self.data_size_limit or 0)
        elif answer.startswith("500 Line too long"):
            answer = f"500 5.5.2 a line of the mail is longer than {LINE_BYTES_MAX} bytes; wrap it and send it again"
        elif answer.startswith("500 Command line too long"):
            answer = "500 5.5.2 the command is longer than RFC 5321 allows; send a shorter one"
        self._server.replied(answer[:3])
        await super().push(answer)
        self._refusals += answer.startswith(("4", "5"))
        if self._refusals >= REFUSALS_MAX:
            self.shut(f"421 4.7.0 {REFUSALS_MAX} commands were refused, which is the limit; come again")

    def end_session(self) -> None:
        """It has lasted long enough; a content that is coming in, or being taken, is answered before."""
        self._over = True
        if not self._in_content:
            self.shut("421 4.4.2 the connection has lasted as long as one may; come again")

    def shut(self, answer: str = "421 4.3.2 the server is stopping; send it again") -> None:
        """Says why, and closes once that is sent."""
        if self.transport is not None and not self.transport.is_closing():
            self._server.replied(answer[:3])
            _write_last(self.transport, answer)
            self._ends_in(LAST_WORDS_S, cast(asyncio.WriteTransport, self.transport).abort)

    def _timeout_cb(self) -> None:
        """aiosmtpd's, which would wait for the client to read all that was said to it."""
        self.shut("421 4.4.2 nothing was said in time; come again")

    def _ends_in(self, seconds: float, end: Callable[[], None]) -> None:
        if self._end is not None:
            self._end.cancel()
        self._end = self.loop.call_later(seconds, end)


def _too_large(limit: int) -> str:
    return f"552 5.3.4 a mail may have {limit} bytes; send a smaller one, or its files in several"


class Busy(asyncio.Protocol):
    """In place of a connection that is one too many."""

    def __init__(self, connections_max: int) -> None:
        self._connections_max = connections_max

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Says so, and closes."""
        _write_last(
            transport, f"421 4.3.2 {self._connections_max} connections are open, which is the limit; come again"
        )


def _write_last(transport: asyncio.BaseTransport, answer: str) -> None:
    # uvloop's transports are none of asyncio's classes; a socket's has `write` in both.
    cast(asyncio.WriteTransport, transport).write(f"{answer}\r\n".encode("ascii"))
    transport.close()


class _Hooks:
    """What aiosmtpd calls at the commands."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def handle_RCPT(self, _: SMTP, __: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        if self._server.mailbox_of(address) is None:
            return "550 5.1.1 no such mailbox here"
        if len(envelope.rcpt_tos) >= RECIPIENTS_MAX:
            return f"452 4.5.3 {RECIPIENTS_MAX} recipients are the limit; send it to the others again"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 a mailbox of ours"

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:
        # aiosmtpd gives the null sender as `<>`.
        sender = (envelope.mail_from or "").strip("<>")
        return await self._server.take(envelope.original_content or b"", sender=sender, recipients=envelope.rcpt_tos)

    async def handle_VRFY(self, *_: Any) -> str:
        return "252 2.5.2 send the mail to find out"

    async def handle_exception(self, error: Exception) -> str:
        """A bug of ours. The client keeps the mail; the log gets the place and no words of anyone."""
        at = traceback.extract_tb(error.__traceback__)[-1]
        _log.error("smtp.failed", error=type(error).__name__, file=at.filename, line=at.lineno)
        return "451 4.3.0 INTERNAL: the server failed; send it again"
