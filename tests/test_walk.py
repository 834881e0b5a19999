"""The walk, whole: real server on Ray, real SMTP client, a vendor's signed webhook, a gateway client, one customer.

Mail, SMS and chat of one person become one conversation; the agent who watches sees each event once and in order; the
replies leave as a mail and as an SMS; and `kill -9` of everything in between changes none of that.
"""

import asyncio
import sqlite3
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest

from adapters.channels.fakes.mailbox import Mailbox
from adapters.channels.fakes.twilio_api import FakeTwilio
from orchestrator.client import AgentClient, ConversationUpdate, GatewayClient
from protocol.events import AnyEvent, MessageReceived
from protocol.inbound import InboundEvent, MessageArrived
from tests.live_server import LiveServer
from tests.peers import require_peer


class Customer:
    """Someone new, with a mail address and a phone; nothing they send carries a customer's id."""

    def __init__(self) -> None:
        self.name = uuid4().hex[:10]
        self.mail = f"{self.name}@example.org"
        self.phone = f"+4477{int(self.name, 16) % 10**8:08d}"

    def chat(self, text: str) -> InboundEvent:
        """A chat message after a login that told the widget who this is."""
        return InboundEvent(
            id=uuid4().hex,
            source="widget",
            time_ms=time.time_ns() // 1_000_000,
            account="chat",
            channel="chat",
            identities=[f"web:{self.name}", f"mailto:{self.mail}", f"tel:{self.phone}"],
            data=MessageArrived(text=text, session=self.name),
        )

    def send_mail(self, server: LiveServer, text: str) -> None:
        """Sends a mail as a real mail client does; returns when the server has accepted it."""
        done = subprocess.run(
            [
                require_peer("swaks"), "--server", f"127.0.0.1:{server.smtp_port}", "--from", self.mail,
                "--to", "support@throughline.example", "--header", "Subject: My bill", "--body", text,
            ],
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-1000:]


class Desk:
    """An agent's desk: everything its client handed out, by conversation."""

    def __init__(self, agent: AgentClient) -> None:
        self.agent = agent
        self.events: dict[str, list[tuple[int, AnyEvent]]] = {}
        self._changed = asyncio.Condition()

    async def read(self) -> None:
        """Reads updates until cancelled."""
        async for update in self.agent.updates():
            self._note(update)
            async with self._changed:
                self._changed.notify_all()

    async def conversation_with(self, text: str) -> str:
        """The conversation in which a customer said `text`; waits for it."""
        return (await self._wait(lambda: self._find(text)))[0]

    async def heard(self, conversation: str, *texts: str) -> None:
        """Waits until the customer's messages there end with these."""
        await self._wait(lambda: self.texts(conversation)[-len(texts) :] == list(texts) or None)

    def texts(self, conversation: str) -> list[str]:
        """What the customer said, in order."""
        return [e.text.strip() for _, e in self.events.get(conversation, []) if isinstance(e, MessageReceived)]

    def _note(self, update: ConversationUpdate) -> None:
        first = update.seq - len(update.events) + 1
        known = self.events.setdefault(update.conversation, [])
        known += list(enumerate(update.events, first))

    def _find(self, text: str) -> tuple[str] | None:
        return next(((c,) for c in self.events if text in self.texts(c)), None)

    async def _wait(self, condition: object) -> tuple[str]:
        async with asyncio.timeout(30), self._changed:
            found = None

            def holds() -> bool:
                nonlocal found
                found = condition()  # type: ignore[operator]
                return bool(found)

            await self._changed.wait_for(holds)
        return found  # type: ignore[return-value]


@asynccontextmanager
async def desk_at(server: LiveServer) -> AsyncIterator[Desk]:
    """An agent that follows the default queue."""
    async with AgentClient(server.url, server.agent_token) as agent:
        desk = Desk(agent)
        agent.watch(inbox="queue:default", follow=True)
        reading = asyncio.ensure_future(desk.read())
        try:
            yield desk
        finally:
            reading.cancel()


@asynccontextmanager
async def outside(server: LiveServer) -> AsyncIterator[tuple[Mailbox, FakeTwilio]]:
    """The customer's mailbox and Twilio, where the server's accounts send to."""
    mailbox = Mailbox(port=server.relay_port)
    twilio = FakeTwilio("ACdemo00000000000000000000000000demo", "demo-auth-token", ["+447700900000"])
    await mailbox.start()
    await twilio.start("127.0.0.1", server.twilio_port)
    try:
        yield mailbox, twilio
    finally:
        await mailbox.stop()
        await twilio.close()


async def test_three_channels_one_conversation_two_replies_and_a_kill(server: LiveServer) -> None:
    """The main job on real input, and again after everything was killed."""
    ann = Customer()
    webhook = f"{server.url}/webhooks/sms"
    async with (
        outside(server) as (mailbox, twilio),
        desk_at(server) as desk,
        GatewayClient(server.url, server.gateway_token, accounts=["chat"]) as gateway,
    ):
        assert await gateway.send(ann.chat(f"chat {ann.name}")) == "committed"
        conversation = await desk.conversation_with(f"chat {ann.name}")
        await asyncio.to_thread(ann.send_mail, server, "by mail")
        assert (await twilio.text(webhook, sender=ann.phone, body="by sms")).status_code == 200
        await desk.heard(conversation, f"chat {ann.name}", "by mail", "by sms")

        await desk.agent.reply(conversation, "answer by mail", channel="email")
        await desk.agent.reply(conversation, "answer by sms", channel="sms")
        [letter] = await mailbox.wait(1)
        assert letter.recipients == [ann.mail]
        assert letter.text.strip() == "answer by mail"
        assert letter.references, "it stands in the customer's thread"
        assert (await twilio.message(0)).to == ann.phone

        before = desk.events[conversation][-1][0]
        await server.restart()
        assert (await twilio.text(webhook, sender=ann.phone, body="after the kill")).status_code == 200
        await desk.heard(conversation, f"chat {ann.name}", "by mail", "by sms", "after the kill")
        seqs = [seq for seq, _ in desk.events[conversation]]
        assert seqs == list(range(1, len(seqs) + 1)), "a gap-free prefix, each event once"
        assert seqs[-1] > before
        await _in_archive(server, conversation, 4)


async def test_a_repeat_of_a_webhook_and_a_mail_has_one_effect(server: LiveServer) -> None:
    """Vendors retry for hours; the second time changes nothing and is accepted."""
    ann = Customer()
    async with outside(server) as (_, twilio), desk_at(server) as desk:
        for _ in range(2):
            answer = await twilio.text(
                f"{server.url}/webhooks/sms", sender=ann.phone, body=f"sms {ann.name}", sid="SM" + ann.name * 3
            )
            assert answer.status_code == 200
        conversation = await desk.conversation_with(f"sms {ann.name}")
        await twilio.text(f"{server.url}/webhooks/sms", sender=ann.phone, body="next")
        await desk.heard(conversation, f"sms {ann.name}", "next")


@pytest.mark.parametrize("victim", ["cell-0", "journal", "archive", "gateway", "channels"])
async def test_any_actors_death_is_recovered(server: LiveServer, victim: str) -> None:
    """`kill -9` of one process: what was acked is there, the agent goes on, new events come in."""
    ann = Customer()
    async with desk_at(server) as desk, GatewayClient(server.url, server.gateway_token) as gateway:
        await gateway.send(ann.chat(f"before {ann.name}"))
        conversation = await desk.conversation_with(f"before {ann.name}")
        server.kill_process(victim)
        await gateway.send(ann.chat("after"))
        await desk.heard(conversation, f"before {ann.name}", "after")
        seqs = [seq for seq, _ in desk.events[conversation]]
        assert seqs == list(range(1, len(seqs) + 1))


async def _in_archive(server: LiveServer, conversation: str, messages: int) -> None:
    """The customer's words are rows that anyone with SQL can read."""
    db = sqlite3.connect(f"file:{server.data / 'archive.sqlite'}?mode=ro", uri=True)
    try:
        async with asyncio.timeout(20):
            while True:
                query = "SELECT count(*) FROM message WHERE conversation = ? AND direction = 'inbound'"
                if db.execute(query, (conversation,)).fetchone()[0] == messages:
                    return
                await asyncio.sleep(0.05)
    finally:
        db.close()
