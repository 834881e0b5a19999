"""The agent's desk: one SDK client, everything it receives of the demo's customer, and waiting for what should come.

It watches the queue as any agent would and learns of the customer's conversation there; other people's conversations in
the same queue are looked at once, by their identities, and let go.
"""

import asyncio
from collections.abc import Callable, Iterable

from orchestrator.client import AgentClient, ConversationUpdate
from orchestrator.demo.screen import Screen
from protocol.entities import ConversationSummary
from protocol.events import AnyEvent
from protocol.frames import Error, Inbox

Seen = tuple[str, int, AnyEvent]
"""Conversation, seq, event."""


class Desk:
    """What one agent sees of one customer. `run` reads; the others look at what was read."""

    def __init__(self, agent: AgentClient, identities: Iterable[str], screen: Screen) -> None:
        self._agent = agent
        self._identities = frozenset(identities)
        self._screen = screen
        self._asked: set[str] = set()
        self._listed = asyncio.Event()
        self._came = asyncio.Condition()
        self.seen: list[Seen] = []
        self.linked: frozenset[str] = frozenset()
        """The customer's identities, as the server had them at the first look."""

    async def run(self) -> None:
        """Reads until the client is closed. Raises `Refusal` where the server refuses a watch."""
        async for heard in self._agent.stream():
            match heard:
                case Inbox():
                    self._list(heard)
                case ConversationUpdate():
                    await self._update(heard)
                case Error():
                    # A conversation of another customer may close between its row and our look at it.
                    continue

    async def sit_down(self, inbox: str) -> None:
        """Watches an inbox; returns when its present rows are known, so that a later one is new."""
        self._agent.watch(inbox=inbox)
        await self._listed.wait()

    async def see(self, wanted: Callable[[AnyEvent], bool]) -> Seen:
        """Waits for an event of the customer, or finds it among those that came."""
        async with self._came:
            await self._came.wait_for(lambda: any(wanted(event) for _, _, event in self.seen))
        return next(seen for seen in self.seen if wanted(seen[2]))

    @property
    def conversations(self) -> list[str]:
        """The customer's conversations, in the order they appeared."""
        return list(dict.fromkeys(conversation for conversation, _, _ in self.seen))

    def _list(self, inbox: Inbox) -> None:
        if not self._listed.is_set():
            # What waited before the play began is not its customer's.
            self._asked.update(row.conversation for row in inbox.entries)
            self._listed.set()
            return
        for row in inbox.entries:
            self._look_at(row)

    def _look_at(self, row: ConversationSummary) -> None:
        if row.conversation not in self._asked:
            self._asked.add(row.conversation)
            self._agent.watch(conversation=row.conversation)

    async def _update(self, update: ConversationUpdate) -> None:
        if update.view is not None and not self._identities.intersection(update.view.identities):
            self._agent.unwatch(conversation=update.conversation)
            return
        if update.view is not None and not self.linked:
            self.linked = frozenset(update.view.identities)
        first = update.seq - len(update.events) + 1
        async with self._came:
            for seq, event in enumerate(update.events, first):
                self.seen.append((update.conversation, seq, event))
                self._screen.agent(update.conversation, seq, event)
            self._came.notify_all()
