"""The way out: one attempt to hand a mail to the relay by SMTP, and what became of it.

SMTP has no idempotency key; what counts is whether the relay can have taken the mail. It takes it with its answer to
the dot that ends the content, so all that breaks before surely did not happen:

    no connection, no greeting, TLS or login fails    failed      about the session, not about this mail: an operator
                                                                  mends it, and the mail goes out then
    4xx to MAIL, RCPT, DATA or the content            failed      the relay asks to try again
    5xx to MAIL, RCPT, DATA or the content            refused     the relay says never
    line broken or silent before DATA                 failed
    line broken or silent from DATA on                uncertain   the answer was lost, perhaps a yes
    250                                               sent

Between DATA and the dot the relay cannot have taken it yet; aiosmtplib does not tell the two apart, and a relay that
breaks off just there is rare enough to be counted as uncertain. An uncertain mail may be sent again: its Message-ID is
the same in every attempt, and mail programs show one of the two.

Sources: RFC 5321 §4.2.1 (codes), §4.2.5 and §6.1 (who is responsible from when on), RFC 3463 (enhanced codes).
"""

import re
import time
from collections.abc import Callable
from typing import Protocol

import aiosmtplib

from adapters.channels import SendStatus, Sent
from adapters.channels.email import threads
from adapters.channels.email.compose import compose
from adapters.channels.email.headers import is_address, line
from protocol.identities import kind_of, value_of
from protocol.links import Attempt

TIMEOUT_S = 60.0
"""For each answer. RFC 5321 §4.5.3.2 would wait for minutes; a relay nearby that takes one is ill."""
_REASON_MAX = 300
"""Characters of the relay's words that are kept."""
_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}", re.ASCII)


# The first digit of an answer that is not the one hoped for → what became of the attempt (RFC 5321 §4.2.1). Answers of
# other hundreds make no sense there and count as a broken line.
_HUNDREDS: dict[int, SendStatus] = {4: SendStatus.FAILED, 5: SendStatus.REFUSED}


class MailAccount(Protocol):
    """What the sender needs of a configured account; `orchestrator.settings.EmailAccount` has it."""

    @property
    def address(self) -> str:
        """The address mails are from."""

    @property
    def relay(self) -> str:
        """`host:port` of the relay."""

    @property
    def relay_user(self) -> str:
        """Empty: no login."""

    @property
    def relay_password(self) -> str:
        """With `relay_user`."""

    @property
    def relay_tls(self) -> str:
        """`none`, `starttls` or `tls`."""


class EmailSender:
    """Sends from one account. Each attempt has a connection of its own: the relay may close a kept one just then, and
    the outbox bounds how many there are at once."""

    def __init__(
        self, account: MailAccount, *, now_ms: Callable[[], int] | None = None, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._account = account
        self._host, _, port = account.relay.rpartition(":")
        self._port = int(port)
        self._now_ms = now_ms or (lambda: time.time_ns() // 1_000_000)
        self._timeout_s = timeout_s

    async def send(self, attempt: Attempt) -> Sent:
        """Makes the attempt. What cannot be a mail is refused before anything leaves."""
        to = _recipient(attempt.to)
        if not to:
            return _refused("the recipient is no mail address that this server can write to")
        mail = compose(attempt, address=self._account.address, to=to, now_ms=self._now_ms())
        client = self._client()
        try:
            await client.connect()
        except (aiosmtplib.SMTPException, OSError, ValueError) as exc:
            return Sent(status=SendStatus.FAILED, code=_code(exc), reason=f"no session with the relay: {_words(exc)}")
        try:
            return await self._hand_over(client, mail, to, threads.message_id(attempt, self._account.address))
        finally:
            # Without QUIT: the mail is settled, and a relay that hangs now must not hold the outbox.
            client.close()

    async def close(self) -> None:
        """Nothing is kept between attempts."""

    async def _hand_over(self, client: aiosmtplib.SMTP, mail: bytes, to: str, message_id: str) -> Sent:
        broken = SendStatus.FAILED
        try:
            await client.mail(self._account.address)
            await client.rcpt(to)
            broken = SendStatus.UNCERTAIN
            answer = await client.data(mail)
        except aiosmtplib.SMTPResponseException as exc:
            return Sent(status=_HUNDREDS.get(exc.code // 100, broken), code=_code(exc), reason=_words(exc))
        except (aiosmtplib.SMTPException, OSError) as exc:
            return Sent(status=broken, reason=f"the line to the relay broke: {_words(exc)}")
        return Sent(status=SendStatus.SENT, external_id=message_id, code=str(answer.code), reason=_line(answer.message))

    def _client(self) -> aiosmtplib.SMTP:
        account = self._account
        return aiosmtplib.SMTP(
            hostname=self._host.strip("[]"),
            port=self._port,
            username=account.relay_user or None,
            password=account.relay_password or None,
            # The name of the sender's domain: asking the system for a host name may wait for DNS.
            local_hostname=threads.domain_of(account.address),
            use_tls=account.relay_tls == "tls",
            start_tls=account.relay_tls == "starttls",
            timeout=self._timeout_s,
        )


def _recipient(identity: str) -> str:
    """The address as SMTP takes it: a domain beyond ASCII in its ASCII form (RFC 3490). Empty for what is no address,
    and for local parts beyond ASCII, which need SMTPUTF8 (RFC 6531) on the whole way."""
    local, _, domain = value_of(identity).rpartition("@")
    try:
        to = f"{local}@{domain.encode('idna').decode('ascii')}"
    except UnicodeError:
        return ""
    return to if kind_of(identity) == "mailto" and to.isascii() and is_address(to) else ""


def _refused(reason: str) -> Sent:
    return Sent(status=SendStatus.REFUSED, reason=reason)


def _code(exc: BaseException) -> str:
    """The relay's own code: the enhanced one where it gives one, such as 5.1.1, else the three digits."""
    if not isinstance(exc, aiosmtplib.SMTPResponseException):
        return ""
    enhanced = _ENHANCED.match(exc.message)
    return enhanced[0] if enhanced else str(exc.code)


def _words(exc: BaseException) -> str:
    return _line(exc.message if isinstance(exc, aiosmtplib.SMTPException) else f"{type(exc).__name__} {exc}")


def _line(words: object) -> str:
    return line(str(words), chars_max=_REASON_MAX)
