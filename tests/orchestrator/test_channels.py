"""The channel host: listeners for mail accounts, senders, and the way of an attempt and its outcome."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiosmtplib
import pytest
from structlog.testing import capture_logs

from adapters.attachments import AttachmentStore
from adapters.channels.email import threads
from adapters.channels.fakes.mailbox import Mailbox, Trouble
from orchestrator.channels import ChannelHost, senders_of
from orchestrator.settings import Account, EmailAccount, GatewayAccount, SettingsError, TwilioAccount
from orchestrator.settings.addresses import host_and_port
from protocol.errors import Code, Refusal
from protocol.inbound import InboundEvent
from protocol.links import Answered, AnyToCell, Attempt, Outcome, Refused

NOW_MS = 1_793_613_600_000
ANSWERED = Answered(1, "committed", "cu1-1", 1, 1)


class FakeCells:
    """Keeps what it is asked, and answers at once."""

    def __init__(self) -> None:
        self.on_deliver: Callable[[Attempt], None] = lambda _: None
        self.outcomes: list[Outcome] = []
        self.reply: object = ANSWERED
        self.bugs: list[Exception] = []
        self._came = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, customer: str, make: Callable[[int], AnyToCell], done: Callable[[Any], None]) -> None:
        outcome = make(len(self.outcomes) + 1)
        assert isinstance(outcome, Outcome)
        assert outcome.customer == customer
        self.outcomes.append(outcome)
        done(self.reply)
        task = asyncio.get_running_loop().create_task(self._notify())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def broke(self, exc: Exception) -> None:
        self.bugs.append(exc)

    async def wait(self, count: int) -> list[Outcome]:
        """The outcomes, once there are `count`."""
        async with asyncio.timeout(10), self._came:
            await self._came.wait_for(lambda: len(self.outcomes) >= count)
        return self.outcomes

    async def _notify(self) -> None:
        async with self._came:
            self._came.notify_all()


class FakeIntake:
    """Takes every event."""

    def __init__(self) -> None:
        self.events: list[InboundEvent] = []

    async def submit(self, event: InboundEvent, *, raw: bytes = b"") -> Answered:
        self.events.append(event)
        return ANSWERED

    async def quarantine(
        self, *, account: str, source: str, id: str, refusal: Refusal, raw: bytes, event: InboundEvent | None = None
    ) -> Answered:
        raise AssertionError("nothing here is refused")


class World:
    """Makes hosts, with fakes around them, and stops them in the end."""

    def __init__(self, folder: Path, mailbox: Mailbox) -> None:
        self.folder = folder
        self.mailbox = mailbox
        self.cells = FakeCells()
        self.intake = FakeIntake()
        self.hosts: list[ChannelHost] = []

    def mail(self, name: str = "mail", **given: Any) -> EmailAccount:
        """An account that sends to the world's mailbox."""
        usual = {"address": f"{name}@throughline.example", "listen": "127.0.0.1:0"}
        return EmailAccount(name=name, relay=f"127.0.0.1:{self.mailbox.port}", **{**usual, **given})

    def host(self, *accounts: Account) -> ChannelHost:
        """A host that has not started."""
        store = AttachmentStore(self.folder / "attachments")
        made = ChannelHost(
            accounts, intake=self.intake, cells=self.cells, attachments=store, now_ms=lambda: NOW_MS
        )  # fmt: skip
        self.hosts.append(made)
        return made


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """See `World`."""
    mailbox = Mailbox()
    await mailbox.start()
    made = World(tmp_path, mailbox)
    yield made
    for host in made.hosts:
        await host.stop(1.0)
    await mailbox.stop()


def attempt(**given: Any) -> Attempt:
    """An attempt that a cell gives out."""
    usual: dict[str, Any] = {
        "customer": "cu1", "conversation": "cu1-1", "delivery": "cu1-1.5", "number": 1, "channel": "email",
        "account": "mail", "to": "mailto:ann@example.org", "text": "Hello", "subject": "My bill", "references": [],
    }  # fmt: skip
    return Attempt(**{**usual, **given})


async def send(port: int, to: str) -> None:
    """A mail in."""
    mail = f"From: ann@example.org\nTo: {to}\nMessage-ID: <1@example.org>\n\nHello\n".encode()
    await aiosmtplib.send(
        mail, sender="ann@example.org", recipients=[to], hostname="127.0.0.1", port=port, start_tls=False
    )


async def test_mails_come_in_by_the_account_they_are_addressed_to(world: World) -> None:
    """Accounts that name the same address share one listener."""
    host = world.host(world.mail(), world.mail("sales"), GatewayAccount(name="chat"))
    await host.start()
    ports = host.ports()
    assert set(ports) == {"mail", "sales"}
    assert ports["mail"] == ports["sales"]
    await send(ports["mail"], "sales@throughline.example")
    assert [event.account for event in world.intake.events] == ["sales"]
    mail = host.status()["mail"]
    assert isinstance(mail, dict)
    assert mail["127.0.0.1:0"]["outcomes"] == {"taken": 1}


async def test_an_attempt_becomes_a_mail_and_an_outcome(world: World) -> None:
    """The cell hears what became of it."""
    host = world.host(world.mail())
    await host.start()
    world.cells.on_deliver(attempt())
    (letter,) = await world.mailbox.wait()
    ours = threads.ours_of(letter.message_id, "support@throughline.example")
    assert ours is not None
    assert ours.delivery == "cu1-1.5"
    (outcome,) = await world.cells.wait(1)
    assert (outcome.delivery, outcome.attempt, outcome.status) == ("cu1-1.5", 1, "sent")
    assert outcome.external_id == letter.message_id
    assert host.status()["outbox"] == {"under_way": 0, "sent": 1, "failed": 0, "refused": 0, "uncertain": 0}


async def test_an_outcome_goes_to_whose_the_conversation_was_when_it_began(world: World) -> None:
    """Who had it as the attempt was made may have let it go, and have been merged itself."""
    world.host(world.mail())
    world.cells.on_deliver(attempt(customer="cu2"))
    (outcome,) = await world.cells.wait(1)
    assert outcome.customer == "cu1"


async def test_an_attempt_before_the_start_is_made(world: World) -> None:
    """Cells give out attempts as soon as their lines open."""
    world.host(world.mail())
    world.cells.on_deliver(attempt())
    await world.mailbox.wait()


async def test_a_refused_outcome_is_no_fault(world: World) -> None:
    """The cell may know better by a report that came before."""
    world.cells.reply = Refused(1, Code.NOT_ALLOWED_NOW, "it is settled")
    host = world.host(world.mail())
    with capture_logs() as logged:
        world.cells.on_deliver(attempt())
        await world.cells.wait(1)
        await host.stop(10.0)
    assert [line["code"] for line in logged if line["event"] == "delivery.outcome_refused"] == [Code.NOT_ALLOWED_NOW]
    assert world.cells.bugs == []


async def test_stopping_waits_for_attempts_under_way(world: World) -> None:
    """What leaves comes to its outcome; what is given out afterwards is answered without being made."""
    host = world.host(world.mail())
    await host.start()
    world.cells.on_deliver(attempt())
    await host.stop(10.0)
    world.cells.on_deliver(attempt(delivery="cu1-1.6"))
    outcomes = await world.cells.wait(2)
    assert [(outcome.delivery, outcome.status) for outcome in outcomes] == [("cu1-1.5", "sent"), ("cu1-1.6", "failed")]
    assert len(world.mailbox.letters) == 1


async def test_stopping_does_not_wait_for_ever(world: World) -> None:
    """A relay that never answers holds nobody up."""
    world.mailbox.behave = lambda command, _: Trouble.SILENCE if command == "CONTENT" else None
    host = world.host(world.mail())
    await host.start()
    world.cells.on_deliver(attempt())
    async with asyncio.timeout(10):
        await host.stop(0.1)


async def test_a_busy_port_names_the_setting(world: World) -> None:
    """The message says which account, which address, and what to do; the other listeners are closed again."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        host = world.host(world.mail(), world.mail("sales", listen=listen))
        with pytest.raises(SettingsError, match=rf"account 'sales': cannot listen on '{listen}'.*set another `listen`"):
            await host.start()
    with pytest.raises(OSError, match="onnect"):
        await asyncio.open_connection("127.0.0.1", host.ports()["mail"])


@pytest.mark.parametrize("address", ["", "7125", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:99999", ":25"])
def test_what_is_no_address(address: str) -> None:
    """The message names the field and shows how to write it."""
    with pytest.raises(SettingsError, match=r"settings: account 'mail': relay is .*write host:port"):
        senders_of([EmailAccount(name="mail", address="a@b.example", relay=address)], now_ms=lambda: 0, public_url="")


def test_an_address_in_brackets() -> None:
    """IPv6 hosts have colons of their own."""
    assert host_and_port("[::1]:25", "x") == ("::1", 25)


async def test_each_kind_has_its_sender() -> None:
    """A gateway client takes its account's deliveries out itself."""
    accounts: list[Account] = [
        EmailAccount(name="mail", address="a@b.example"),
        TwilioAccount(name="sms", number="+447700900000", account_sid="AC1", auth_token="t"),
        GatewayAccount(name="chat"),
    ]
    senders = senders_of(accounts, now_ms=lambda: 0, public_url="")
    assert {name: type(sender).__name__ for name, sender in senders.items()} == {
        "mail": "EmailSender",
        "sms": "TwilioSender",
    }
    for sender in senders.values():
        await sender.close()
