"""The agents of a campaign: each watches everything through the SDK, and its view is compared with the journal."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from orchestrator.client import AgentClient, ConversationUpdate
from protocol.events import AnyEvent
from protocol.watched import ResumePoint

QUEUE = "queue:default"
COMMUTE_S = 2.0
"""How long a commuter stays before it leaves and comes back where it was."""


class View:
    """What one agent was shown, over all its connections. `faults` say where that was no gap-free prefix."""

    def __init__(self, name: str, *, begins_anew: bool = False) -> None:
        self.name = name
        self.begins_anew = begins_anew
        """Whether it comes with a new connection every now and then, whatever the server does."""
        self.events: dict[str, dict[int, AnyEvent]] = {}
        self.heads: dict[str, int] = {}
        self.shown: dict[str, dict[int, float]] = {}
        """When each event was first shown, by the clock's seconds."""
        self.faults: list[str] = []

    def take(self, update: ConversationUpdate) -> None:
        """An update came. A first look may begin with a view of what is older; from there on each event is shown."""
        shown = self.events.setdefault(update.conversation, {})
        before = self.heads.get(update.conversation, 0)
        first = update.seq - len(update.events) + 1
        if first - update.skipped != before + 1:
            self.faults.append(f"{self.name}: {update.conversation}: {first} follows {before}")
        if update.skipped and before:
            self.faults.append(f"{self.name}: {update.conversation}: {update.skipped} events after {before} not shown")
        times, now_s = self.shown.setdefault(update.conversation, {}), time.monotonic()
        for seq, event in enumerate(update.events, first):
            shown[seq] = event
            times.setdefault(seq, now_s)
        self.heads[update.conversation] = update.seq

    def behind(self, heads: Mapping[str, int]) -> list[str]:
        """The conversations of which it has not been shown all up to these heads."""
        return [stream for stream, head in heads.items() if "-" in stream and self.heads.get(stream, 0) < head]

    def compared(self, streams: Mapping[str, list[AnyEvent]]) -> list[str]:
        """Where what it was shown is not what the journal has."""
        return [
            f"{self.name}: {stream} {seq} was shown otherwise than it is in the journal"
            for stream, shown in self.events.items()
            for seq, event in shown.items()
            if seq > len(streams.get(stream, ())) or streams[stream][seq - 1] != event
        ]


@asynccontextmanager
async def watching(url: str, token: str, name: str) -> AsyncIterator[tuple[View, AgentClient]]:
    """An agent that watches the queue with all its conversations while the context lasts."""
    view = View(name)
    async with AgentClient(url, token) as agent, asyncio.TaskGroup() as group:
        reading = group.create_task(_read(agent, view))
        try:
            yield view, agent
        finally:
            reading.cancel()


@asynccontextmanager
async def commuting(url: str, token: str, name: str) -> AsyncIterator[View]:
    """An agent whose program ends every few seconds and goes on from its resume point in a new one."""
    view = View(name, begins_anew=True)

    async def commute() -> None:
        resume = ResumePoint()
        while True:
            async with AgentClient(url, token, resume=resume) as agent:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(COMMUTE_S):
                        await _read(agent, view)
                resume = agent.resume_point()

    async with asyncio.TaskGroup() as group:
        commuter = group.create_task(commute())
        try:
            yield view
        finally:
            commuter.cancel()


async def _read(agent: AgentClient, view: View) -> None:
    agent.watch(inbox=QUEUE, follow=True)
    async for update in agent.updates():
        view.take(update)
