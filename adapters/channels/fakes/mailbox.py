"""A mailbox: the customer's mail provider, as far as a demo and tests need one.

It speaks real SMTP, takes every mail, and shows them as a mail program would. It can also be told to fail the way real
providers do.
"""

import asyncio
import email.policy
import logging
from collections.abc import Callable
from email.message import EmailMessage
from email.parser import BytesParser
from enum import Enum
from typing import Any, NamedTuple

from aiosmtpd.smtp import SMTP, Envelope, Session

LETTERS_MAX = 10_000
"""Letters kept; the oldest go first."""
CONTENT_BYTES_MAX = 32 * 1024 * 1024


class Letter(NamedTuple):
    """A mail that came in. Ids are bare."""

    sender: str
    recipients: list[str]
    raw: bytes

    @property
    def message(self) -> EmailMessage:
        """The mail, read by the standard library: another reader than the server's."""
        return BytesParser(EmailMessage, policy=email.policy.default).parsebytes(self.raw)

    @property
    def text(self) -> str:
        """Its words, line ends as \\n."""
        body = self.message.get_body(("plain", "html"))
        return str(body.get_content()).replace("\r\n", "\n") if body is not None else ""

    @property
    def subject(self) -> str:
        """Its subject."""
        return str(self.message["Subject"] or "")

    @property
    def message_id(self) -> str:
        """Its Message-ID."""
        return str(self.message["Message-ID"] or "").strip("<> ")

    @property
    def references(self) -> list[str]:
        """Its References, oldest first."""
        return [word.strip("<>") for word in str(self.message["References"] or "").split()]


class Trouble(Enum):
    """How a provider fails, beside answering with a code."""

    HANG_UP = "hangs up where an answer was due"
    SILENCE = "never answers"


Behaviour = Callable[[str, str], str | Trouble | None]
"""Asked at every command (`MAIL`, `RCPT`, `CONTENT`) with the address or the empty string: the answer to give,
such as "451 4.7.1 later"; a `Trouble`; None: all is well."""


class Mailbox:
    """Listens on `host`:`port` (0: the system's choice, told by `port` once started). `behave` may be set anytime."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.host = host
        self.port = port
        self.letters: list[Letter] = []
        self.behave: Behaviour = lambda _command, _address: None
        self._came = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()

    async def start(self) -> None:
        """Listens. Raises `OSError` where the port is taken."""
        # Letters are someone's words, also in a demo.
        logging.getLogger("mail.log").setLevel(logging.CRITICAL + 1)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self, loop), self.host, self.port)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Closes, connections too."""
        if self._server is not None:
            self._server.close()
            for connection in list(self._connections):
                connection.hang_up()
            self._server = None

    async def wait(self, count: int = 1, *, timeout_s: float = 10.0) -> list[Letter]:
        """The letters, once there are `count`. Raises `TimeoutError`."""
        async with asyncio.timeout(timeout_s), self._came:
            await self._came.wait_for(lambda: len(self.letters) >= count)
        return list(self.letters)

    async def take(self, letter: Letter) -> None:
        """Puts a letter in."""
        self.letters.append(letter)
        del self.letters[:-LETTERS_MAX]
        async with self._came:
            self._came.notify_all()


class _Connection(SMTP):
    def __init__(self, mailbox: Mailbox, loop: asyncio.AbstractEventLoop) -> None:
        hooks = _Hooks(mailbox, self)
        super().__init__(hooks, data_size_limit=CONTENT_BYTES_MAX, hostname="mailbox.example", loop=loop)
        self._mailbox_connections = mailbox._connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._mailbox_connections.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._mailbox_connections.discard(self)
        super().connection_lost(error)

    def hang_up(self) -> None:
        if self.transport is not None:
            self.transport.close()


class _Hooks:
    """What aiosmtpd calls; at DATA it calls only when the content is there."""

    def __init__(self, mailbox: Mailbox, connection: _Connection) -> None:
        self._mailbox = mailbox
        self._connection = connection

    async def handle_MAIL(self, _: SMTP, __: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        if (answer := await self._answer("MAIL", address)) is not None:
            return answer
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 welcome"

    async def handle_RCPT(self, _: SMTP, __: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        if (answer := await self._answer("RCPT", address)) is not None:
            return answer
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 lives here"

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:
        if (answer := await self._answer("CONTENT", "")) is not None:
            return answer
        raw = envelope.original_content or b""
        await self._mailbox.take(Letter(envelope.mail_from or "", list(envelope.rcpt_tos), raw))
        return "250 2.0.0 in the mailbox"

    async def _answer(self, command: str, address: str) -> str | None:
        match self._mailbox.behave(command, address):
            case Trouble.HANG_UP:
                self._connection.hang_up()
                return "421 4.3.2 gone"
            case Trouble.SILENCE:
                await asyncio.get_running_loop().create_future()
                return None
            case answer:
                return answer


def behave_once(command: str, answer: str | Trouble) -> Behaviour:
    """Answers the first such command with `answer`; all is well before and after."""
    left: list[Any] = [answer]
    return lambda asked, _address: left.pop() if asked == command and left else None
