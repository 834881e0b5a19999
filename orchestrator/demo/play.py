"""The play: one customer writes by chat, by mail and by SMS; an agent sees one conversation and answers by each.

Every step waits for what it should cause, within `STEP_S`; the first that does not happen ends the play with `Missing`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from random import Random

from msgspec import Struct

from orchestrator.client import AgentClient, GatewayClient
from orchestrator.demo.cast import Customer, was_met
from orchestrator.demo.desk import Desk
from orchestrator.demo.losing import Losses
from orchestrator.demo.outside import Accounts, Outside
from orchestrator.demo.screen import Screen
from protocol.commands import LinkIdentity
from protocol.errors import ThroughlineError
from protocol.events import (
    AnyEvent,
    DeliveryConfirmed,
    DeliverySent,
    InteractionStarted,
    MessageQueued,
    MessageReceived,
)
from protocol.ids import customer_of
from protocol.inbound import InboundEvent, MessageArrived

STEP_S = 20.0
"""A step takes milliseconds; this allows for a busy machine, or a cell that just restarted."""


class Missing(ThroughlineError):
    """Something that should have happened did not; the message says what."""


class Doors(Struct, kw_only=True, frozen=True):
    """The server's address and the tokens that open it."""

    url: str
    agent_token: str
    gateway_token: str


class Told(Struct, kw_only=True, frozen=True):
    """What the play showed: one conversation and what of it the agent's client received."""

    conversation: str
    events: list[tuple[int, str]]
    """seq and type."""
    channels: list[str]
    """Channels the customer came by, in order."""
    sent: list[str]
    """Channels a reply arrived by, outside."""


async def play(
    doors: Doors,
    accounts: Accounts,
    customer: Customer,
    screen: Screen,
    *,
    queue: str,
    random: Random,
    now_ms: Callable[[], int],
) -> Told:
    """Plays it all and returns the proof; `queue` is where chats wait. Raises `Missing`, and `Refusal` where the server
    refuses a part."""
    async with (
        Outside(doors.url, accounts) as outside,
        AgentClient(doors.url, doors.agent_token, client="throughline-demo") as agent,
        GatewayClient(
            doors.url, doors.gateway_token, accounts=[accounts.chat.name], client="throughline-demo"
        ) as gateway,
    ):
        desk = Desk(agent, customer.identities, screen)
        async with _beside(desk.run()):
            async with _within("the agent's inbox"):
                await desk.sit_down(f"queue:{queue}")
            run = f"{random.getrandbits(64):016x}"
            stage = _Stage(outside, desk, gateway, customer, screen, run, now_ms)
            await stage.chat()
            await stage.verify(agent, _one(desk))
            await stage.mail()
            await stage.sms()
            conversation = _one(desk)
            screen.scene("The agent takes it and answers by mail, by SMS and in the chat")
            await agent.take(conversation)
            await stage.answer_by_mail(agent, conversation)
            await stage.answer_by_sms(agent, conversation)
            await stage.answer_in_chat(agent, conversation)
            async with _within("what gets lost"):
                await Losses(
                    agent=agent,
                    gateway=gateway,
                    desk=desk,
                    account=accounts.chat,
                    customer=customer,
                    screen=screen,
                    run=run,
                    now_ms=now_ms,
                ).play(conversation)
            return _told(desk)


class _Stage:
    """The scenes. Each plays one part and waits until the agent, or the customer, has seen it."""

    def __init__(
        self,
        outside: Outside,
        desk: Desk,
        gateway: GatewayClient,
        customer: Customer,
        screen: Screen,
        run: str,
        now_ms: Callable[[], int],
    ) -> None:
        self._outside = outside
        self._desk = desk
        self._gateway = gateway
        self._customer = customer
        self._screen = screen
        self._run = run
        self._mail_id = f"{run}@customer.example"
        self._now_ms = now_ms

    async def chat(self) -> None:
        """The customer, signed in on the web site, opens a chat: the account vouches for mail address and number."""
        text = "Hi, my bill doubled this month and nobody can tell me why."
        self._screen.scene("Chat: a gateway client pushes an event over its WebSocket")
        self._screen.outside("chat", self._customer.name, text)
        account = self._outside.accounts.chat
        event = InboundEvent(
            id=f"{self._run}-1",
            source="demo/chat",
            time_ms=self._now_ms(),
            account=account.name,
            channel=account.channel,
            identities=self._customer.identities,
            data=MessageArrived(text=text, session=self._run),
        )
        async with _within("the acknowledgement of the chat message"):
            status = await self._gateway.send(event)
        self._screen.note(f"      acknowledged: {status} and synced")
        await self._received(account.channel, text)

    async def verify(self, agent: AgentClient, conversation: str) -> None:
        """Where the policy takes no channel's word for an address, the agent sends a code there."""
        for identity in self._customer.identities:
            if identity not in self._desk.linked:
                self._screen.note(f"      the chat's word is not enough for {identity}: a code is sent there")
                link = LinkIdentity(identity=identity, evidence="verified_by_otp")
                await agent.command(link, customer=customer_of(conversation))

    async def mail(self) -> None:
        """The same person mails from an address of theirs; the mail says nothing else about who they are."""
        text = "As I wrote in the chat: here is the bill I mean, number 2026-117."
        self._screen.scene(f"Mail: an SMTP client delivers to {self._outside.accounts.mail.listen}")
        self._screen.outside("email", self._customer.mail, text)
        async with _within("the mail server's answer"):
            await self._outside.send_mail(self._customer, subject="My bill", text=text, id=self._mail_id)
        await self._received("email", text)

    async def sms(self) -> None:
        """And texts, since they are on the road now."""
        text = "Any news? I am on the road, text me please."
        self._screen.scene(f"SMS: Twilio's webhook is called, signed, at /webhooks/{self._outside.accounts.sms.name}")
        self._screen.outside("sms", self._customer.number, text)
        async with _within("the answer to Twilio's webhook"):
            status = await self._outside.send_sms(self._customer, text=text)
        if status >= 300:
            raise Missing(f"the webhook answered {status} to a signed SMS")
        await self._received("sms", text)

    async def answer_by_mail(self, agent: AgentClient, conversation: str) -> None:
        """The reply arrives in the customer's mailbox, in the thread of their own mail."""
        text = "We found it: a meter was read twice. A corrected bill is attached to your account."
        await agent.reply(conversation, text, channel="email")
        async with _within("the agent's mail in the customer's mailbox"):
            letter = await self._outside.mail_arrived(text)
        self._screen.outside("email", f"{self._customer.mail} gets", f"{letter.subject}: {letter.text}")
        if self._mail_id not in letter.references:
            raise Missing(
                "the reply does not refer to the customer's mail, so their program shows it as another thread"
            )
        await self._sent("email", text)

    async def answer_by_sms(self, agent: AgentClient, conversation: str) -> None:
        """The reply is taken by Twilio's API, which reports later that it was delivered."""
        text = "Fixed: you will get 81.20 back by Friday."
        await agent.reply(conversation, text, channel="sms")
        async with _within("the agent's SMS at Twilio's API"):
            sms = await self._outside.sms_arrived(text)
        self._screen.outside("sms", f"{sms.to} gets", sms.body)
        await self._sent("sms", text)
        if not sms.status_callback:
            self._screen.note(
                "The system chose this server's port (http.port = 0), so Twilio has no address to report to."
            )
            return
        async with _within("the answer to Twilio's status callback"):
            await self._outside.confirm_sms(sms)
        async with _within("the agent's sight of the SMS's delivery"):
            await self._desk.see(lambda event: isinstance(event, DeliveryConfirmed))

    async def answer_in_chat(self, agent: AgentClient, conversation: str) -> None:
        """The reply is handed to the gateway client, which shows it in the chat and says so."""
        text = "Sorry for the trouble, and thank you for your patience."
        await agent.reply(conversation, text, channel=self._outside.accounts.chat.channel)
        async with _within("the agent's reply at the chat's gateway client"):
            await self._delivered(text)
        await self._sent(self._outside.accounts.chat.channel, text)

    async def _delivered(self, text: str) -> None:
        """Shows what comes for the customer, until it is that text: a capture template may have asked before."""
        async for delivery in self._gateway.deliveries():
            if delivery.to in self._customer.identities:
                self._screen.outside("chat", f"{self._customer.name} gets", delivery.text)
                self._gateway.delivered(delivery, "sent", external_id=f"{self._run}-{delivery.delivery}")
                if delivery.text == text:
                    return
                continue
            if was_met(delivery.to):
                # Left over from an earlier run that was broken off; nobody waits for it any more.
                self._gateway.delivered(delivery, "refused", reason="the demo's customer has left")
            else:
                # It came while the demo played: unanswered it would be held as uncertain when the demo goes.
                self._gateway.delivered(delivery, "failed", reason="the demo serves nobody but its own customer")
        raise Missing("the gateway client was closed before a delivery came")

    async def _received(self, channel: str, text: str) -> None:
        def wanted(event: AnyEvent) -> bool:
            return isinstance(event, MessageReceived) and event.channel == channel and text in event.text

        async with _within(f"the agent's sight of the message by {channel}"):
            await self._desk.see(wanted)

    async def _sent(self, channel: str, text: str) -> None:
        def queued(event: AnyEvent) -> bool:
            return isinstance(event, MessageQueued) and event.channel == channel and event.text == text

        async with _within(f"the agent's sight of the reply by {channel}"):
            _, _, message = await self._desk.see(queued)
            assert isinstance(message, MessageQueued)
            await self._desk.see(lambda event: isinstance(event, DeliverySent) and event.delivery == message.delivery)


@asynccontextmanager
async def _within(what: str) -> AsyncIterator[None]:
    """Raises `Missing` where the block takes longer than a step may."""
    try:
        async with asyncio.timeout(STEP_S):
            yield
    except TimeoutError as exc:
        raise Missing(f"{what} did not come within {STEP_S:.0f} s") from exc


@asynccontextmanager
async def _beside(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Runs `work` beside the block and ends it with it; what `work` raises ends the block."""
    try:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(work)
            yield
            task.cancel()
    except ExceptionGroup as errors:
        # Not `except*`: what is raised there comes out in a group again.
        if (ours := errors.subgroup(ThroughlineError)) is None:
            raise
        raise ours.exceptions[0] from errors


def _one(desk: Desk) -> str:
    conversations = desk.conversations
    if len(conversations) != 1:
        raise Missing(f"one conversation for all three: there are {len(conversations)}, {', '.join(conversations)}")
    return conversations[0]


def _told(desk: Desk) -> Told:
    """The proof, from what the agent's client received: one conversation, its events numbered without a gap."""
    conversation = _one(desk)
    numbers = [seq for _, seq, _ in desk.seen]
    if numbers != list(range(1, len(numbers) + 1)):
        raise Missing(f"a gap-free stream: the agent's client received the numbers {numbers}")
    events = [event for _, _, event in desk.seen]
    return Told(
        conversation=conversation,
        events=[(seq, type(event).__name__) for _, seq, event in desk.seen],
        channels=[event.channel for event in events if isinstance(event, InteractionStarted)],
        sent=[e.channel for e in events if isinstance(e, MessageQueued) and e.actor.startswith("agent:")],
    )
