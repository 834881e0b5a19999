"""The world around the server: the customer's mailbox and phone, on the loopback addresses the accounts point at.

The demo plays both ends, so it refuses accounts that point anywhere else: nobody real gets a mail or a text from it.
"""

from contextlib import AsyncExitStack
from email.message import EmailMessage
from email.utils import format_datetime, localtime
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import aiosmtplib
import httpx
from msgspec import Struct

from adapters.channels.fakes.mailbox import Letter, Mailbox
from adapters.channels.fakes.twilio_api import FakeTwilio, TakenMessage
from orchestrator.demo.cast import Customer
from orchestrator.settings import Account, EmailAccount, GatewayAccount, TwilioAccount
from protocol.errors import ThroughlineError

LONG_S = 3600.0
"""Longer than anyone waits: the play has its own limit on each step."""
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class Unplayable(ThroughlineError):
    """The server's accounts are not ones the demo can play both ends of; the message says which and why."""


class Accounts(Struct, kw_only=True, frozen=True):
    """The three lines of the play."""

    mail: EmailAccount
    sms: TwilioAccount
    chat: GatewayAccount


def playable(accounts: list[Account]) -> Accounts:
    """Picks the first account of each kind that the demo can play. Raises `Unplayable`."""
    mail = next((a for a in accounts if isinstance(a, EmailAccount) and _loopback(f"//{a.relay}")), None)
    sms = next((a for a in accounts if isinstance(a, TwilioAccount) and _loopback(a.api)), None)
    chat = next((a for a in accounts if isinstance(a, GatewayAccount) and a.trusted), None)
    if mail is None or sms is None or chat is None:
        raise Unplayable(
            "the demo plays both ends of an email account with a relay on loopback, a twilio account with an api on "
            "loopback and a trusted gateway account; the settings have not all three. A server without a settings "
            "file has: throughline serve --data /tmp/throughline-demo, started where no throughline.toml is"
        )
    return Accounts(mail=mail, sms=sms, chat=chat)


class Outside:
    """The customer's mailbox and Twilio. An async context manager: they listen within it."""

    def __init__(self, url: str, accounts: Accounts) -> None:
        self.accounts = accounts
        self._url = accounts.sms.public_url or url
        self._mailbox = Mailbox(*_host_and_port(f"//{accounts.mail.relay}"))
        self._twilio = FakeTwilio(
            account_sid=accounts.sms.account_sid,
            auth_token=accounts.sms.auth_token,
            numbers=[accounts.sms.number],
        )
        self._closing = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Listens. Raises `Unplayable` where a port is taken."""
        try:
            await self._mailbox.start()
            self._closing.push_async_callback(self._mailbox.stop)
            await self._twilio.start(*_host_and_port(self.accounts.sms.api))
            self._closing.push_async_callback(self._twilio.close)
        except OSError as exc:
            await self._closing.aclose()
            raise Unplayable(f"the demo's mailbox or phone cannot listen: {exc}. Is another demo running?") from exc
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stops listening."""
        await self._closing.aclose()

    async def send_mail(self, customer: Customer, *, subject: str, text: str, id: str) -> None:
        """Delivers a mail of the customer to the account's SMTP server, with `id` as its bare Message-ID. Raises
        `Unplayable` where nobody listens there."""
        mail = EmailMessage()
        mail["From"] = f"{customer.name} <{customer.mail}>"
        mail["To"] = self.accounts.mail.address
        mail["Subject"] = subject
        mail["Date"] = format_datetime(localtime())
        mail["Message-ID"] = f"<{id}>"
        mail.set_content(text)
        host, port = _host_and_port(f"//{self.accounts.mail.listen}")
        try:
            await aiosmtplib.send(mail, hostname=host, port=port, start_tls=False)
        except aiosmtplib.SMTPConnectError as exc:
            raise Unplayable(
                f"nobody takes mail on {host}:{port}, where these settings have account {self.accounts.mail.name}: "
                "give those that the server was started with, --settings FILE"
            ) from exc

    async def send_sms(self, customer: Customer, *, text: str) -> int:
        """Calls the account's webhook as Twilio does; returns the HTTP status of the answer. Raises `Unplayable` where
        nobody answers there."""
        webhook = f"{self._url}/webhooks/{self.accounts.sms.name}"
        try:
            answer = await self._twilio.text(webhook, sender=customer.number, body=text)
        except httpx.HTTPError as exc:
            raise Unplayable(
                f"the demo's Twilio cannot reach {webhook}, where these settings have account {self.accounts.sms.name} "
                f"({type(exc).__name__}): give those that the server was started with, --settings FILE, with a "
                "public_url, if any, that answers from here"
            ) from exc
        return answer.status_code

    async def mail_arrived(self, text: str) -> Letter:
        """Waits for the mail with this text in the customer's mailbox."""
        count = 0
        while True:
            letters = await self._mailbox.wait(count + 1, timeout_s=LONG_S)
            for letter in letters[count:]:
                if text in " ".join(letter.text.split()):
                    return letter
            count = len(letters)

    async def sms_arrived(self, text: str) -> TakenMessage:
        """Waits for the SMS with this text at Twilio's API."""
        index = 0
        while text not in (message := await self._twilio.message(index)).body:
            index += 1
        return message

    async def confirm_sms(self, sms: TakenMessage) -> None:
        """Reports, as Twilio does, that the phone has it."""
        await self._twilio.report(sms, "delivered")


def _loopback(address: str) -> bool:
    return urlsplit(address).hostname in LOOPBACK


def _host_and_port(address: str) -> tuple[str, int]:
    parts = urlsplit(address)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port
