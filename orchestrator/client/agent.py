"""The SDK for agents: what a desktop, a bot or a test does on `/v1/agent`."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from itertools import count
from random import random as draw
from types import TracebackType
from typing import Self
from uuid import uuid4

from orchestrator.client.connection import Line
from orchestrator.client.wire import refusal_of
from protocol.agent_session import AgentSession
from protocol.backoff import backoff_ms
from protocol.commands import (
    AcceptHandoff,
    AddNote,
    AnyCommand,
    DeclineHandoff,
    OfferHandoff,
    Reply,
    Resolve,
    Take,
    WithdrawHandoff,
)
from protocol.errors import Code, Refusal, retryable
from protocol.frames import Drain, Error, Inbox, Result, ToAgent, Welcome
from protocol.handoffs import HandoffPackage, package_sha256
from protocol.oldest import forget_oldest
from protocol.watched import POSITIONS_MAX, ConversationUpdate, ResumePoint

UPDATES_MAX = 1024
"""Updates that wait for the application; what comes on top is left at the server, and asked for at half of it."""
COMMAND_WAIT_S = 30.0

Heard = ConversationUpdate | Inbox | Error


class AgentClient:
    """One agent's connection, which comes back by itself and resumes where it was.

        async with AgentClient("http://127.0.0.1:7100", token) as agent:
            agent.watch(inbox="queue:default", follow=True)
            async for update in agent.updates():
                ...

    Each event of a watched conversation is in exactly one update, in order, over any number of reconnects.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        client: str = "throughline-sdk",
        resume: ResumePoint | None = None,
        updates_max: int = UPDATES_MAX,
        new_id: Callable[[], str] = lambda: uuid4().hex,
        random: Callable[[], float] = draw,
    ) -> None:
        """`resume` is what an earlier client's `resume_point` gave: it goes on behind what that one handed out."""
        resume = resume or ResumePoint()
        self._session = AgentSession(token=token, client=client, resume=resume)
        self._line = Line(
            url, "/v1/agent", self._session, frames=ToAgent, receive=self._on_frame, ended=self._on_end, random=random
        )
        self._updates_max = updates_max
        self._new_id = new_id
        self._random = random
        self._heard: deque[Heard] = deque()
        self._something = asyncio.Event()
        self._full = False
        self._catching_up: asyncio.TimerHandle | None = None
        self._refusals_in_a_row = 0
        self._results: dict[str, asyncio.Future[Result]] = {}
        self._generation = resume.generation
        self._handed_out = dict(resume.positions)

    async def __aenter__(self) -> Self:
        """Connects. Raises `Refusal` where the server does not want this client (a bad token, say)."""
        await self._line.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Closes the connection."""
        if self._catching_up:
            self._catching_up.cancel()
        await self._line.close()

    @property
    def name(self) -> str:
        """Who the server takes this client for."""
        return self._session.welcome.name if self._session.welcome else ""

    def watch(self, *, conversation: str = "", customer: str = "", inbox: str = "", follow: bool = False) -> None:
        """Watches a conversation, a customer, or an inbox (`queue:<name>`, `mine`); give one of the three.

        With `follow`, every conversation that is listed there is watched for as long as it is.
        """
        self._line.send(self._session.watch(conversation=conversation, customer=customer, inbox=inbox, follow=follow))

    def unwatch(self, *, conversation: str = "", customer: str = "", inbox: str = "") -> None:
        """Stops watching."""
        self._line.send(self._session.unwatch(conversation=conversation, customer=customer, inbox=inbox))

    def presence(self, state: str) -> None:
        """Says `online`, `away` or `offline`."""
        self._line.send(self._session.presence(state))

    async def updates(self) -> AsyncIterator[ConversationUpdate]:
        """Yields the updates of all watched conversations until the client is closed.

        Raises `Refusal` where the server refuses a watch, or this client for good.
        """
        async for heard in self.stream():
            if isinstance(heard, ConversationUpdate):
                yield heard
            elif isinstance(heard, Error) and not retryable(heard.code):
                raise refusal_of(heard.code, heard.message, ref=heard.ref)

    async def stream(self) -> AsyncIterator[Heard]:
        """Yields updates, inboxes' rows, and errors that belong to no command. For one reader at a time.

        Raises `Refusal` where the server refuses this client for good.
        """
        while True:
            while not self._heard:
                if self._line.failure:
                    raise self._line.failure
                if self._line.closed:
                    return
                self._something.clear()
                await self._something.wait()
            yield self._take()

    def resume_point(self) -> ResumePoint:
        """Returns how far the application has come: everything handed out, with what it works on now."""
        return ResumePoint(generation=self._generation, positions=dict(self._handed_out))

    async def command(
        self,
        command: AnyCommand,
        *,
        conversation: str = "",
        customer: str = "",
        id: str = "",
        wait_s: float = COMMAND_WAIT_S,
    ) -> Result:
        """Asks, and returns the result once it is committed. The same `id` has one effect, however often it is asked.

        Raises `Refusal`: the server's, or `TIMED_OUT` after `wait_s` without one (it may have happened).
        """
        id = id or self._new_id()
        try:
            async with asyncio.timeout(wait_s):
                for attempt in count():
                    result = await self._ask(id, command, conversation, customer)
                    if not result.code:
                        return result
                    refusal = refusal_of(result.code, result.message, ref=id)
                    if not refusal.retryable:
                        raise refusal
                    await asyncio.sleep(backoff_ms(attempt, random=self._random()) / 1000)
        except TimeoutError as exc:
            raise Refusal(Code.TIMED_OUT, f"no result within {wait_s} s; it may have happened", ref=id) from exc
        raise AssertionError("the loop ends by return or raise")

    async def reply(
        self,
        conversation: str,
        text: str,
        *,
        channel: str = "",
        to: str = "",
        subject: str = "",
        account: str = "",
        id: str = "",
    ) -> Result:
        """Sends `text` to the customer: where they wrote from last, unless `channel`, `to` or `account` says
        otherwise."""
        reply = Reply(text=text, channel=channel, to=to, subject=subject, account=account)
        return await self.command(reply, conversation=conversation, id=id)

    async def note(self, conversation: str, text: str) -> Result:
        """Writes an internal note."""
        return await self.command(AddNote(text=text), conversation=conversation)

    async def take(self, conversation: str, *, force: bool = False) -> Result:
        """Becomes the owner."""
        return await self.command(Take(force=force), conversation=conversation)

    async def resolve(self, conversation: str, reason: str = "") -> Result:
        """Says that it is done."""
        return await self.command(Resolve(reason=reason), conversation=conversation)

    async def offer_handoff(
        self,
        conversation: str,
        kind: str,
        *,
        agent: str = "",
        queue: str = "",
        note: str = "",
        fields: dict[str, str | int | float | bool] | None = None,
    ) -> Result:
        """Offers the conversation to an agent or a queue, with all that is known; `fields` become context."""
        offer = OfferHandoff(kind=kind, agent=agent, queue=queue, note=note, fields=fields or {})
        return await self.command(offer, conversation=conversation)

    async def accept_handoff(self, package: HandoffPackage) -> Result:
        """Becomes the owner, and acknowledges the package: its hash is computed from what arrived here."""
        accept = AcceptHandoff(lease=package.lease, sha256=package_sha256(package))
        return await self.command(accept, conversation=package.conversation)

    async def decline_handoff(self, conversation: str, lease: int, reason: str = "") -> Result:
        """Says no to an offer."""
        return await self.command(DeclineHandoff(lease=lease, reason=reason), conversation=conversation)

    async def withdraw_handoff(self, conversation: str, lease: int, reason: str = "") -> Result:
        """Takes an offer of one's own back."""
        return await self.command(WithdrawHandoff(lease=lease, reason=reason), conversation=conversation)

    async def _ask(self, id: str, command: AnyCommand, conversation: str, customer: str) -> Result:
        if self._line.failure or self._line.closed:
            raise self._line.failure or Refusal(Code.UNAVAILABLE, "the client is closed", ref=id)
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._results[id] = future
        try:
            self._line.send(self._session.command(id, command, conversation=conversation, customer=customer))
            return await future
        finally:
            self._session.forget(id)
            del self._results[id]

    def _take(self) -> Heard:
        heard = self._heard.popleft()
        if isinstance(heard, ConversationUpdate):
            self._note(heard)
        if self._full and len(self._heard) <= self._updates_max // 2:
            self._full = False
            self._line.send(self._session.catch_up())
        return heard

    def _note(self, update: ConversationUpdate) -> None:
        if update.generation != self._generation:
            self._generation = update.generation
            self._handed_out.clear()
        self._handed_out.pop(update.conversation, None)
        self._handed_out[update.conversation] = update.seq
        forget_oldest(self._handed_out, POSITIONS_MAX)

    def _on_frame(self, frame: ToAgent) -> None:
        self._full = self._full or len(self._heard) >= self._updates_max
        turn = self._session.receive(frame, room=not self._full)
        self._line.send(turn.send)
        if turn.held and not self._catching_up:
            self._catch_up_later()
        for happening in turn.happened:
            match happening:
                case Result():
                    if (future := self._results.get(happening.id)) and not future.done():
                        future.set_result(happening)
                case ConversationUpdate() | Inbox() | Error():
                    self._refusals_in_a_row = 0
                    self._heard.append(happening)
                    self._something.set()
                case Welcome() | Drain():
                    pass  # The line comes and goes by itself; the application need not know.

    def _catch_up_later(self) -> None:
        wait_ms = backoff_ms(self._refusals_in_a_row, random=self._random())
        self._refusals_in_a_row += 1
        self._catching_up = self._line.later(wait_ms / 1000, self._catch_up)

    def _catch_up(self) -> None:
        self._catching_up = None
        if not self._full:
            self._line.send(self._session.catch_up())

    def _on_end(self) -> None:
        self._something.set()
        for id, future in self._results.items():
            if not future.done():
                closed = Refusal(
                    Code.TIMED_OUT, "the client was closed before the result; it may have happened", ref=id
                )
                future.set_exception(self._line.failure or closed)
