"""Agents and a gateway client who live through faults: the client SDK, which comes back by itself and resumes.

watchers   agents who share out the watched conversations; each event of theirs must be seen once, whatever dies
sender     a gateway client; what has no answer when its connection breaks it sends again
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol

import httpx
import msgspec

from benchmarks.load.filling import Filling
from benchmarks.load.server import LiveServer
from orchestrator.client import AgentClient
from orchestrator.client.gateway import OnAnswer, encode_event
from protocol.entities import CustomerView
from protocol.events import MessageReceived
from protocol.inbound import InboundEvent

READS_AT_ONCE = 16
READ_TIMEOUT_S = 30.0


class Seen:
    """When each event of a filling was seen by whoever watches its conversation."""

    def __init__(self, filling: Filling) -> None:
        self.at_s: dict[str, float] = {}
        self.twice = 0
        """Must stay 0."""
        self._source = filling.event(0)["source"]
        self._changed = asyncio.Event()

    def see(self, event: object, at_s: float) -> None:
        """An agent was shown it."""
        if isinstance(event, MessageReceived) and event.source == self._source:
            self.twice += event.id in self.at_s
            self.at_s[event.id] = at_s
            self._changed.set()

    async def all_of(self, ids: Sequence[str]) -> None:
        """Returns when every one of these was seen."""
        while any(id not in self.at_s for id in ids):
            self._changed.clear()
            await self._changed.wait()


@asynccontextmanager
async def watching(server: LiveServer, conversations: Sequence[str], agents: int, seen: Seen) -> AsyncIterator[None]:
    """Agents who watch these together, each of which has had its first update when the block begins."""
    async with AsyncExitStack() as stack:
        readers: list[asyncio.Task[None]] = []
        firsts: list[asyncio.Event] = []
        for number in range(agents):
            agent = await stack.enter_async_context(AgentClient(server.url, server.agent_token))
            share = conversations[number::agents]
            firsts.append(asyncio.Event())
            readers.append(asyncio.create_task(_read(agent, set(share), seen, firsts[-1])))
            for conversation in share:
                agent.watch(conversation=conversation)
        await asyncio.gather(*(first.wait() for first in firsts))
        try:
            yield
        finally:
            for reader in readers:
                reader.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await reader


async def _read(agent: AgentClient, waiting: set[str], seen: Seen, all_known: asyncio.Event) -> None:
    async for update in agent.updates():
        waiting.discard(update.conversation)
        if not waiting:
            all_known.set()
        now_s = time.perf_counter()
        for event in update.events:
            seen.see(event, now_s)


class Gateway(Protocol):
    """What a sender needs of the SDK's client."""

    def send_encoded(self, id: str, frame: bytes, on_answer: OnAnswer) -> None:
        """Sends an encoded event."""
        ...


class Sender:
    """Sends events of fillings and knows when all are acknowledged."""

    def __init__(self, gateway: Gateway) -> None:
        self.refused: list[str] = []
        self._gateway = gateway
        self._open = 0
        self._none_open = asyncio.Event()

    def send(self, filling: Filling, number: int, *, then: Callable[[], None] = lambda: None) -> str:
        """Sends one; `then` is called at its acknowledgement. Returns its id."""
        event = msgspec.convert(filling.event(number), InboundEvent)

        def answered(id: str, code: int, text: str) -> None:
            self._open -= 1
            if code:
                self.refused.append(f"{code} {text}")
            if self._open == 0:
                self._none_open.set()
            then()

        self._open += 1
        self._none_open.clear()
        self._gateway.send_encoded(event.id, encode_event(event), answered)
        return event.id

    async def all_answered(self) -> None:
        """Returns when nothing is unanswered."""
        if self._open:
            await self._none_open.wait()


async def conversations_of(server: LiveServer, identities: Sequence[str]) -> list[str]:
    """The open conversation of each identity's customer."""
    gate = asyncio.Semaphore(READS_AT_ONCE)
    headers = {"Authorization": f"Bearer {server.agent_token}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=READ_TIMEOUT_S, trust_env=False) as http:

        async def ask(identity: str) -> str:
            async with gate:
                answer = await http.get("/v1/context", params={"identity": identity})
            answer.raise_for_status()
            return msgspec.json.decode(answer.content, type=CustomerView).open[0].conversation

        return list(await asyncio.gather(*map(ask, identities)))
