"""The people around a live server: a customer, an agent at a desk, and where what is sent to customers arrives."""

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar
from uuid import uuid4

from adapters.channels.fakes.mailbox import Mailbox
from adapters.channels.fakes.twilio_api import FakeTwilio
from orchestrator.client import AgentClient, ConversationUpdate
from protocol.events import AnyEvent, MessageReceived
from protocol.inbound import InboundEvent, MessageArrived
from tests.live_server import LiveServer
from tests.peers import require_peer

T = TypeVar("T")

WAIT_S = 30.0
"""Until something counts as not happening: the server may be coming back from a kill on a busy machine."""


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

    def send_mail(self, server: LiveServer, text: str, *, subject: str = "My bill", **headers: str) -> None:
        """Sends a mail as a real mail client does; returns when the server has accepted it.

        `headers` replace the client's own: with the same `message_id` and `date` a mail is the same one again.
        """
        # In the client's own spelling (`Message-Id`): another one would be a second header.
        given = [
            f"{name.replace('_', '-').title()}: {value}" for name, value in {"subject": subject, **headers}.items()
        ]
        done = subprocess.run(
            [
                require_peer("swaks"), "--server", f"127.0.0.1:{server.smtp_port}", "--from", self.mail,
                "--to", "support@throughline.example", "--body", text,
                *(word for header in given for word in ("--header", header)),
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

    async def happened(self, conversation: str, condition: Callable[[AnyEvent], object]) -> AnyEvent:
        """The first event there that meets `condition`; waits for it."""

        def find() -> tuple[AnyEvent] | None:
            return next(((event,) for _, event in self.events.get(conversation, []) if condition(event)), None)

        return (await self._wait(find))[0]

    async def heard(self, conversation: str, *texts: str) -> None:
        """Waits until the customer's messages there end with these."""
        await self._wait(lambda: self.texts(conversation)[-len(texts) :] == list(texts))

    def texts(self, conversation: str) -> list[str]:
        """What the customer said, in order."""
        return [e.text.strip() for _, e in self.events.get(conversation, []) if isinstance(e, MessageReceived)]

    def _note(self, update: ConversationUpdate) -> None:
        first = update.seq - len(update.events) + 1
        known = self.events.setdefault(update.conversation, [])
        known += list(enumerate(update.events, first))

    def _find(self, text: str) -> tuple[str] | None:
        return next(((c,) for c in self.events if text in self.texts(c)), None)

    async def _wait(self, condition: Callable[[], T | None]) -> T:
        async with asyncio.timeout(WAIT_S), self._changed:
            while not (found := condition()):
                await self._changed.wait()
        return found


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
    async with AsyncExitStack() as stack:
        await mailbox.start()
        stack.push_async_callback(mailbox.stop)
        await twilio.start("127.0.0.1", server.twilio_port)
        stack.push_async_callback(twilio.close)
        yield mailbox, twilio
