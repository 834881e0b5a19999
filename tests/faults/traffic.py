"""The load of a campaign: customers who chat and mail, agents who answer, and a record of all that was acknowledged.

Every word is said once in the whole campaign, so that a word found twice in the journal is an effect that happened
twice, and one not found is an acknowledgement that was not kept.
"""

import asyncio
import time
from contextlib import suppress
from email.message import EmailMessage
from random import Random

import aiosmtplib

from orchestrator.client import AgentClient, GatewayClient
from protocol.commands import AddNote, Reply
from protocol.errors import Refusal
from protocol.frames import Result
from protocol.inbound import InboundEvent
from tests.people import Customer

MAIL_WAIT_S = 10.0
AGAIN_AFTER_S = 0.2
CHANNELS = ("chat", "email", "sms")
REPEATS = 0.05
"""The share of a customer's messages that are sent a second time, as by a client that lost the answer."""


class Record:
    """What was said, and what of it was acknowledged."""

    def __init__(self) -> None:
        self.said: dict[str, list[str]] = {}
        """By customer: their words on the chat, in the order in which they were sent."""
        self.acked: dict[str, float] = {}
        """Words of customers that the server took, by an ack or a 250, with the clock's second then."""
        self.chat_acks_s: list[float] = []
        """When the gateway acked anything; mails come by another door."""
        self.sent: dict[str, float] = {}
        self.results: dict[str, Result] = {}
        """By word of an agent (a reply or a note): the result of its command."""
        self.answered: dict[str, float] = {}
        """By the same words: when that came."""
        self.asked: set[str] = set()
        self.repeats = 0
        self.faults: list[str] = []
        self.slowest_ack_s = 0.0

    def say(self, word: str) -> None:
        """It is sent now."""
        self.sent[word] = time.monotonic()

    def took(self, word: str, *, chat: bool = True) -> None:
        """The server says now that it has it."""
        self.acked[word] = time.monotonic()
        if chat:
            self.chat_acks_s.append(self.acked[word])

    @property
    def under_way(self) -> set[str]:
        """Sent, and not acknowledged yet."""
        return self.sent.keys() - self.acked.keys()


class Traffic:
    """The load. `run` goes on until `stop`; then it returns when everything begun is acknowledged."""

    def __init__(self, record: Record, *, smtp_port: int, people: int, rate: float, draw: Random) -> None:
        """`rate`: events a second of all people together, mails included."""
        self.record = record
        self._smtp_port = smtp_port
        self._people = [Customer() for _ in range(people)]
        self._pause_s = people / rate
        self._draw = draw
        self._over = asyncio.Event()
        self._met: set[str] = set()
        self._number = 0

    def stop(self) -> None:
        """No new words."""
        self._over.set()

    async def run(self, clients: list[GatewayClient], agent: AgentClient) -> None:
        """Everybody talks; each customer's chat goes by one client, which keeps its order."""
        async with asyncio.TaskGroup() as group:
            for index, person in enumerate(self._people):
                group.create_task(self._chat(person, clients[index % len(clients)]))
            for person in self._people[::4]:
                group.create_task(self._mail(person))
            group.create_task(self._strangers(clients[0]))
            group.create_task(self._answer(agent))

    # Customers

    async def _chat(self, person: Customer, client: GatewayClient) -> None:
        """Words go out at their own times, whether those before are acknowledged or not."""
        async with asyncio.TaskGroup() as group:
            while await self._pause(self._pause_s):
                event = person.chat(self._word(person))
                self.record.said.setdefault(person.name, []).append(_text(event))
                group.create_task(self._send(client, event))

    async def _strangers(self, client: GatewayClient) -> None:
        """Somebody new every now and then."""
        while await self._pause(self._pause_s * 2):
            person = Customer()
            await self._send(client, person.chat(self._word(person)))

    async def _send(self, client: GatewayClient, event: InboundEvent) -> None:
        self.record.say(_text(event))
        began_s = time.monotonic()
        status = await client.send(event)
        self.record.slowest_ack_s = max(self.record.slowest_ack_s, time.monotonic() - began_s)
        if status not in ("committed", "repeat"):
            self.record.faults.append(f"{event.id} was answered {status}")
        self.record.took(_text(event))
        self._met.add(_text(event).split()[0])
        if self._draw.random() < REPEATS:
            self.record.repeats += 1
            if (again := await client.send(event)) != "repeat":
                self.record.faults.append(f"{event.id} was taken a second time, as {again}")

    async def _mail(self, person: Customer) -> None:
        """One mail after the other, each tried until a 250, as mail servers do."""
        while await self._pause(self._pause_s * 4):
            if person.name not in self._met:
                continue  # Who mails first is somebody else until a chat says otherwise, and cannot be answered there.
            word = self._word(person)
            self.record.say(word)
            message = _mail_of(person, word)
            while not await self._hand_over(message):  # noqa: ASYNC110 - the server's return is nobody's event
                await asyncio.sleep(AGAIN_AFTER_S)
            self.record.took(word, chat=False)

    async def _hand_over(self, message: EmailMessage) -> bool:
        try:
            await aiosmtplib.send(
                message, hostname="127.0.0.1", port=self._smtp_port, timeout=MAIL_WAIT_S, start_tls=False
            )
        except (aiosmtplib.SMTPException, OSError) as exc:
            if isinstance(exc, aiosmtplib.SMTPResponseException) and exc.code >= 500:
                self.record.faults.append(f"a mail was refused for good: {exc.code} {exc.message}")
                return True
            return False
        return True

    # Agents

    async def _answer(self, agent: AgentClient) -> None:
        """Replies and notes in conversations the agent knows, each asked for under its own id until it is answered."""
        async with asyncio.TaskGroup() as group:
            while await self._pause(self._pause_s):
                if known := sorted(agent.resume_point().positions):
                    conversation = self._draw.choice(known)
                    group.create_task(self._command(agent, conversation, self._draw.choice((*CHANNELS, ""))))

    async def _command(self, agent: AgentClient, conversation: str, channel: str) -> None:
        word = f"answer {self._next()}"
        self.record.asked.add(word)
        while True:
            try:
                command = Reply(text=word, channel=channel) if channel else AddNote(text=word)
                result = await agent.command(command, conversation=conversation, id=word)
            except Refusal as exc:
                if not exc.retryable:
                    self.record.faults.append(f"{word} was refused: {exc.code} {exc.message}")
                    return
            else:
                self.record.results[word] = result
                self.record.answered[word] = time.monotonic()
                return

    # Time and words

    async def _pause(self, mean_s: float) -> bool:
        """Waits a random while around `mean_s`; whether the load goes on."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._over.wait(), self._draw.uniform(0, 2 * mean_s))
        return not self._over.is_set()

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _word(self, person: Customer) -> str:
        return f"{person.name} {self._next()}"


def _text(event: InboundEvent) -> str:
    return str(getattr(event.data, "text", ""))


def _mail_of(person: Customer, word: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = person.mail
    message["To"] = "support@throughline.example"
    message["Subject"] = "My bill"
    message["Message-ID"] = f"<{word.replace(' ', '.')}@example.org>"
    message.set_content(word)
    return message
