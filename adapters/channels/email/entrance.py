"""The way in: an SMTP server for the accounts that share one listening address (RFC 5321).

    RCPT       550 for an address that is none of ours, before any content is sent
    content    read, its files stored and synced, the event submitted
    250        after the commit, never before: from then on the mail is our duty (RFC 5321 §4.2.5)
    451        could not be taken now; the sender keeps it and tries again, under the same Message-ID, with one effect
    250        also for what is refused for good: it lies in quarantine, whole, with the reason
    554        where not even the quarantine takes it; the sender is told

Bounds: connections (421 beyond), bytes held by all of them (452), a mail's size (552), recipients, commands, refusals,
the time between commands, for the content, and of a connection.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import msgspec
import structlog

from adapters.attachments import AttachmentStore
from adapters.channels.email import inbound, taking
from adapters.channels.email.headers import line
from adapters.channels.email.smtp import SESSION_S, Busy, Connection
from protocol.errors import Code, Refusal, kept_because
from protocol.inbound import InboundEvent
from protocol.links import Answered

CONNECTIONS_MAX = 128
HELD_BYTES_MAX = 256 * 1024 * 1024
"""Content that all connections together hold in memory while it comes in and is worked on."""
TIMEOUT_S = 300.0
"""Between two commands, and for a whole content (RFC 5321 §4.5.3.2.7)."""
SUBMIT_TIMEOUT_S = 60.0
"""Until the commit; clients wait ten minutes for the answer to the content (RFC 5321 §4.5.3.2.6)."""

_log = structlog.get_logger(__name__)


class MailIntake(Protocol):
    """What takes events and refused input; `orchestrator.way_in.intake.Intake` does."""

    async def submit(self, event: InboundEvent, *, raw: bytes = b"") -> Answered:
        """Returns after the commit. Raises `Refusal`."""

    async def quarantine(
        self, *, account: str, source: str, id: str, refusal: Refusal, raw: bytes, event: InboundEvent | None = None
    ) -> Answered:
        """Returns after the commit. Raises `Refusal`."""


class Mailbox(NamedTuple):
    """One account as the entrance knows it."""

    account: str
    address: str
    message_bytes_max: int


class Entrance:
    """Listens on one address for its mailboxes. `counts` says how many mails had which end."""

    def __init__(
        self,
        mailboxes: Sequence[Mailbox],
        *,
        intake: MailIntake,
        attachments: AttachmentStore,
        now_ms: Callable[[], int],
        connections_max: int = CONNECTIONS_MAX,
        held_bytes_max: int = HELD_BYTES_MAX,
        timeout_s: float = TIMEOUT_S,
        session_s: float = SESSION_S,
        submit_timeout_s: float = SUBMIT_TIMEOUT_S,
    ) -> None:
        self._mailboxes = {mailbox.address.lower(): mailbox for mailbox in mailboxes}
        self._intake = intake
        self._attachments = attachments
        self._now_ms = now_ms
        self._connections_max = connections_max
        self._held_bytes_max = held_bytes_max
        self._timeout_s = timeout_s
        self._session_s = session_s
        self._submit_timeout_s = submit_timeout_s
        self._server: asyncio.Server | None = None
        self._idle = asyncio.Condition()
        self._working = 0
        self.connections: set[Connection] = set()
        self.held_bytes = 0
        self.counts: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        """Mails that were quarantined, deferred or refused, by the reason's name in the error table."""
        self.replies: Counter[str] = Counter()
        """SMTP replies that refused something, by their code."""

    async def start(self, host: str, port: int) -> int:
        """Listens, and returns the port (the system's choice for 0). Raises `OSError` where it cannot."""
        # aiosmtpd logs commands, addresses and, at debug level, whole mails: nothing of that may reach a log.
        logging.getLogger("mail.log").setLevel(logging.CRITICAL + 1)
        self._server = await asyncio.get_running_loop().create_server(self._connect, host, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self, drain_s: float) -> None:
        """Takes no new connection, lets mails that are being taken come to their answer, then closes."""
        if self._server is None:
            return
        self._server.close()
        try:
            async with asyncio.timeout(drain_s), self._idle:
                await self._idle.wait_for(lambda: self._working == 0)
        except TimeoutError:
            _log.warning("smtp.drain_cut", working=self._working)
        for connection in list(self.connections):
            connection.shut()
        self._server = None

    def mailbox_of(self, address: str) -> Mailbox | None:
        """Whose address it is; `support+anything@…` is `support@…` (RFC 5233)."""
        local, _, domain = address.lower().rpartition("@")
        return self._mailboxes.get(f"{local.partition('+')[0]}@{domain}") or self._mailboxes.get(address.lower())

    def hold(self, size: int) -> bool:
        """Counts bytes of content as held, or with a negative size as let go; False where that is over the bound."""
        self.held_bytes += size
        return self.held_bytes <= self._held_bytes_max

    def replied(self, code: str) -> None:
        """Counts a reply where it refuses something: 4xx for now, 5xx for good (RFC 5321 §4.2.1)."""
        if code.startswith(("4", "5")):
            self.replies[code] += 1

    def figures(self) -> dict[str, object]:
        """What it counted, for operators."""
        return {
            "connections": len(self.connections),
            "outcomes": dict(self.counts),
            "faults": dict(self.faults),
            "replies": dict(self.replies),
        }

    async def take(self, raw: bytes, *, sender: str, recipients: Sequence[str]) -> str:
        """Takes a mail for each account among `recipients`; returns SMTP's answer."""
        self._working += 1
        try:
            # Each account has its own event; a repeat after a 451 has no second effect on those that took it.
            mailboxes = dict.fromkeys(mailbox for one in recipients if (mailbox := self.mailbox_of(one)))
            came = taking.Incoming(raw, sender=sender, attachments=self._attachments, accounts=len(mailboxes))
            answers = [await self._take_for(mailbox, came, sender) for mailbox in mailboxes]
            return max(answers)
        finally:
            self._working -= 1
            async with self._idle:
                self._idle.notify_all()

    async def _take_for(self, mailbox: Mailbox, came: taking.Incoming, sender: str) -> str:
        if len(came.raw) > mailbox.message_bytes_max:
            self._count("refused", Code.TOO_LARGE.name)
            limit = mailbox.message_bytes_max
            return f"552 5.3.4 {mailbox.address} takes mails of up to {limit} bytes; send a smaller one"
        try:
            async with asyncio.timeout(self._submit_timeout_s):
                return await self._take(mailbox, came, sender)
        except TimeoutError:
            return self._later(mailbox, "TIMED_OUT", "not written down in time")
        except OSError as exc:
            # The disk is full or failing. Nothing was submitted, so the sender still has the mail.
            return self._later(mailbox, "DISK", f"the attachment folder refused a file ({type(exc).__name__})")
        except Refusal as refusal:
            if refusal.retryable:
                return self._later(mailbox, refusal.code.name, refusal.message)
            self._count("refused", refusal.code.name)
            _log.warning("mail.refused", account=mailbox.account, code=refusal.code.name)
            return f"554 5.6.0 {refusal.code.name}: {_line(refusal.message)}"

    async def _take(self, mailbox: Mailbox, came: taking.Incoming, sender: str) -> str:
        raw = came.raw
        try:
            mail = await asyncio.to_thread(
                came.read_for, account=mailbox.account, address=mailbox.address, arrived_ms=self._now_ms()
            )
        except Refusal as refusal:
            kept = await asyncio.to_thread(taking.kept, raw, sender=sender, attachments=self._attachments)
            # Its Message-ID may be what cannot be read, or another mail's: the bytes name it.
            return await self._quarantine(mailbox, inbound.id_of(raw), refusal, kept)
        try:
            # Without `raw`: should the cell quarantine it, the event is kept, which can be replayed as it is.
            answer = await self._intake.submit(mail.event)
        except Refusal as refusal:
            if refusal.retryable:
                raise
            kept = msgspec.json.encode(mail.event)
            return await self._quarantine(mailbox, mail.event.id, refusal, kept, mail.event)
        if answer.status == "quarantined":
            return self._held(mailbox, kept_because(answer.why, mail.event.id))
        self._count("taken")
        return f"250 2.0.0 taken and written down for {mailbox.address}"

    async def _quarantine(
        self, mailbox: Mailbox, id: str, refusal: Refusal, kept: bytes, event: InboundEvent | None = None
    ) -> str:
        source = inbound.source_of(mailbox.account)
        await self._intake.quarantine(
            account=mailbox.account, source=source, id=id, refusal=refusal, raw=kept, event=event
        )
        return self._held(mailbox, refusal)

    def _held(self, mailbox: Mailbox, refusal: Refusal) -> str:
        self._count("quarantined", refusal.code.name)
        _log.warning("mail.quarantined", account=mailbox.account, code=refusal.code.name)
        return f"250 2.0.0 taken; held for an operator of {mailbox.address} ({refusal.code.name})"

    def _later(self, mailbox: Mailbox, code: str, why: str) -> str:
        self._count("deferred", code)
        _log.warning("mail.deferred", account=mailbox.account, code=code)
        return f"451 4.3.0 {code}: {_line(why)}; send it again"

    def _count(self, outcome: str, fault: str = "") -> None:
        self.counts[outcome] += 1
        if fault:
            self.faults[fault.lower()] += 1

    def _connect(self) -> asyncio.Protocol:
        if len(self.connections) >= self._connections_max:
            self.counts["connections_refused"] += 1
            self.replied("421")
            return Busy(self._connections_max)
        return Connection(
            self,
            bytes_max=max(mailbox.message_bytes_max for mailbox in self._mailboxes.values()),
            hostname=next(iter(self._mailboxes)).rpartition("@")[2],
            timeout_s=self._timeout_s,
            session_s=self._session_s,
        )


def _line(words: str) -> str:
    """An SMTP answer is one line of ASCII."""
    return line(words, chars_max=300).encode("ascii", "replace").decode("ascii")
