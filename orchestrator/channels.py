"""The channel host: the accounts that hold a listener of their own, and the ways out that the server serves itself.

    SMTP in → Entrance → Intake → cell          cell → Attempt → Outbox → Sender → Outcome → cell

What a gateway client or a webhook serves is the gateway's.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, assert_never

import structlog

from actors.outbox import Outbox, SentLike
from adapters.attachments import AttachmentStore
from adapters.channels import Sender, SendStatus, Sent
from adapters.channels.email.entrance import Entrance, Mailbox, MailIntake
from adapters.channels.email.sender import EmailSender
from adapters.channels.twilio.sender import TwilioSender
from orchestrator.settings import Account, EmailAccount, GatewayAccount, TwilioAccount
from orchestrator.settings.addresses import cannot_listen, host_and_port
from protocol.ids import customer_of
from protocol.links import AnyToCell, Attempt, Outcome, Refused

_log = structlog.get_logger(__name__)

STOPPING = Sent(status=SendStatus.FAILED, reason="the server is stopping; nothing was sent")


class CellsLike(Protocol):
    """What the host needs of `orchestrator.cell_lines.cells.Cells`."""

    on_deliver: Callable[[Attempt], None]

    def ask(self, customer: str, make: Callable[[int], AnyToCell], done: Callable[[Any], None]) -> None:
        """Asks the customer's cell until it has answered."""

    def broke(self, exc: Exception) -> None:
        """A bug met where nobody awaits: whoever runs this ends with it."""


class ChannelHost:
    """Serves the email and Twilio accounts among `accounts`.

    Made before the lines to the cells open: it sets their `on_deliver`, and from then on makes what attempts they give
    out. `start` opens the listeners; `stop` is the end.
    """

    def __init__(
        self,
        accounts: Sequence[Account],
        *,
        intake: MailIntake,
        cells: CellsLike,
        attachments: AttachmentStore,
        now_ms: Callable[[], int],
        public_url: str = "",
        senders: Mapping[str, Sender] | None = None,
    ) -> None:
        """`senders` are the accounts' ways out, where they are not to be made of what the accounts say."""
        self._cells = cells
        self._attachments = attachments
        self._mail = [account for account in accounts if isinstance(account, EmailAccount)]
        self._senders = senders_of(accounts, now_ms=now_ms, public_url=public_url) if senders is None else senders
        self._outbox = Outbox(self._senders, self._report, broke=cells.broke)
        self._entrances = {
            listen: Entrance(
                [Mailbox(account.name, account.address, account.message_bytes_max) for account in sharing],
                intake=intake,
                attachments=attachments,
                now_ms=now_ms,
            )
            for listen, sharing in _by_address(self._mail).items()
        }
        self._ports: dict[str, int] = {}
        self._stopping = False
        cells.on_deliver = self.deliver

    async def start(self) -> None:
        """Listens for every email account. Raises `SettingsError` that names the account whose address is no use."""
        await asyncio.to_thread(self._attachments.open)
        try:
            for listen, entrance in self._entrances.items():
                await self._listen(listen, entrance)
        except BaseException:
            await self.stop(0.0)
            raise

    async def stop(self, drain_s: float) -> None:
        """Lets mails and attempts under way come to their end, for at most `drain_s` seconds; then closes all."""
        self._stopping = True
        await asyncio.gather(
            self._outbox.drain(drain_s), *(entrance.stop(drain_s) for entrance in self._entrances.values())
        )
        for sender in self._senders.values():
            await sender.close()

    def deliver(self, attempt: Attempt) -> None:
        """Makes the attempt; its outcome goes to the cell. On the way down it is answered without being made."""
        if self._stopping and not attempt.again:
            self._report(attempt, STOPPING)
        else:
            self._outbox.deliver(attempt)

    def ports(self) -> dict[str, int]:
        """Account → the port on which its mails come in."""
        return {account.name: self._ports[account.listen] for account in self._mail if account.listen in self._ports}

    def status(self) -> dict[str, object]:
        """Figures for operators: attempts by what became of them; mails by what became of them, for each listener."""
        return {
            "outbox": self._outbox.status(),
            "mail": {listen: entrance.figures() for listen, entrance in self._entrances.items()},
        }

    async def _listen(self, listen: str, entrance: Entrance) -> None:
        name = next(account.name for account in self._mail if account.listen == listen)
        host, port = host_and_port(listen, f"account {name!r}: listen")
        try:
            self._ports[listen] = await entrance.start(host, port)
        except OSError as exc:
            raise cannot_listen(name, listen, exc) from exc
        _log.info("mail.listening", account=name, port=self._ports[listen])

    def _report(self, attempt: Attempt, sent: SentLike) -> None:
        _log.info(
            "delivery.attempted",
            delivery=attempt.delivery,
            attempt=attempt.number,
            account=attempt.account,
            status=str(sent.status),
        )

        # The customer whose it was when it began: the one who had it at the attempt may have been merged since, without
        # it.
        customer = customer_of(attempt.conversation)

        def outcome(ref: int) -> Outcome:
            return Outcome(
                ref=ref,
                customer=customer,
                conversation=attempt.conversation,
                delivery=attempt.delivery,
                attempt=attempt.number,
                status=str(sent.status),
                external_id=sent.external_id,
                code=sent.code,
                reason=sent.reason,
            )

        def answered(reply: object) -> None:
            # The cell knows better what became of the delivery, for instance by a report that came before.
            if isinstance(reply, Refused):
                _log.info(
                    "delivery.outcome_refused", delivery=attempt.delivery, attempt=attempt.number, code=reply.code
                )

        self._cells.ask(customer, outcome, answered)


def senders_of(accounts: Sequence[Account], *, now_ms: Callable[[], int], public_url: str) -> Mapping[str, Sender]:
    """Each account's way out, by its name, where it is the server's own. Raises `SettingsError`."""
    senders: dict[str, Sender] = {}
    for account in accounts:
        match account:
            case EmailAccount():
                host_and_port(account.relay, f"account {account.name!r}: relay")
                senders[account.name] = EmailSender(account, now_ms=now_ms)
            case TwilioAccount():
                senders[account.name] = TwilioSender(account, public_url=public_url)
            case GatewayAccount():
                pass  # Its gateway client takes its deliveries out.
            case _:
                assert_never(account)
    return senders


def _by_address(accounts: Sequence[EmailAccount]) -> dict[str, list[EmailAccount]]:
    """Accounts that name the same `listen` share one listener, told apart by their addresses."""
    shared: dict[str, list[EmailAccount]] = {}
    for account in accounts:
        shared.setdefault(account.listen, []).append(account)
    return shared
