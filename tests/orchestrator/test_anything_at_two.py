"""Anything, at two gateways at once: what is asked at one shows at the other, whatever begins anew, and as one leaves.

What the agents of both have in the end is what the journal has, and both list what the cells have. Which of two events
comes first, where each is taken by another gateway, is promised to nobody (see `docs/architecture.md`).
"""

import asyncio
import os
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest

from actors.archive.projection import entries_of
from orchestrator.client.wire import unpack
from orchestrator.gateway.health.metrics import Metrics
from orchestrator.gateway.websockets.backfill import Backfill
from orchestrator.gateway.websockets.deliveries import Deliveries
from orchestrator.gateway.websockets.hub import Hub
from orchestrator.gateway.websockets.inboxes import Inboxes
from orchestrator.inprocess import InProcess
from orchestrator.parts.front import Front
from orchestrator.parts.surroundings import Surroundings
from orchestrator.settings import Placement
from protocol.codec import Codec
from protocol.entities import ConversationSummary, ConversationView
from protocol.errors import Code, Refusal
from protocol.events import AnyEvent, HandoffAccepted
from protocol.frames import Inbox, Snapshot, ToAgent, Update
from protocol.links import CustomerRead
from tests.orchestrator.test_anything import CORE, Crowd, assert_projected, crowd

SEEDS = int(os.environ.get("ANYTHING_SEEDS", "2"))
INPUTS = 150
"""Of one seed."""
WITHIN_S = 20.0
LOOK_EVERY_S = 0.01
LISTS = ("owner:al", "owner:ben", "queue:default")
LOST = 0.02
"""How often an agent reads too slowly, and leaves what it lost a frame of."""


class Gate:
    """A gateway without a port."""

    def __init__(self, running: InProcess, name: str) -> None:
        given = running.surroundings("gateway")
        switchboard = running._exchange.switchboard(name, uuid.uuid4().hex)
        self.front = Front(Surroundings(given.settings, switchboard, given.storage, run=given.run, now_ms=given.now_ms))
        cells, archive, journal = self.front.cells, self.front.archive, self.front.journal
        self.hub = Hub(cells, Backfill(archive, cells.broke), Metrics(), on_new_generation=self._never)
        self.inboxes = Inboxes(cells, archive, new_reference=lambda: "bug", newest=journal.position)
        cells.on_updated, cells.on_heads, cells.on_moved = self.hub.updated, self.hub.heads_are, self.hub.moved
        cells.on_list_changed, cells.on_fresh = self.inboxes.changed, self._fresh
        self._deliveries = Deliveries(cells, Metrics(), clock_s=time.monotonic)
        cells.on_deliver = self._deliveries.deliver

    def _fresh(self, cell: int) -> None:
        self.hub.fresh(cell)
        self.inboxes.fresh(cell)
        self._deliveries.fresh(cell)

    def _never(self) -> None:
        raise AssertionError("nobody replaces the journal here")

    def check(self) -> None:
        """No bug was met."""
        self.front.cells.fault.check()

    async def leave(self) -> None:
        """Answers what is asked, and goes."""
        await self.front.answered(WITHIN_S)
        await self.inboxes.close()
        await self.front.stop()


class Agent:
    """Somebody at a gateway: what it has of conversations and lists. What it has not lost it never gets again."""

    def __init__(self, name: str, gate: Gate, random: Random) -> None:
        self.asker = name
        self.codec = Codec("msgpack")
        self.gate = gate
        self.name = name
        self.events: dict[str, dict[int, AnyEvent]] = {}
        self.at: dict[str, int] = {}
        """Its positions, also in what it has left."""
        self.watched: set[str] = set()
        self.lists: dict[str, dict[str, ConversationSummary]] = {}
        self.asked = 0
        """Watches without an answer."""
        self.wrong: list[str] = []
        self._random = random
        self.lost: set[str] = set()

    def watch(self, conversation: str) -> None:
        """From where it is, also where it watches already."""
        self.watched.add(conversation)
        self.asked += 1
        self.gate.hub.watch(
            self, conversation, self.at.get(conversation, -1), partial(self._answered, self.gate, conversation)
        )

    def follow(self, name: str) -> None:
        """All of it, then what changes."""
        self.lists[name] = {}
        self.asked += 1
        self.gate.inboxes.watch(self, name, name, partial(self._listed, self.gate))

    def leave(self) -> None:
        """Its gateway answers it no more."""
        for conversation in self.watched:
            self.gate.hub.unwatch(self, conversation)
        for name in self.lists:
            self.gate.inboxes.unwatch(self, name)
        self.asked = 0

    def move(self, gate: Gate) -> None:
        """Leaves its gateway, and goes on at that one."""
        self.leave()
        self.gate = gate
        for conversation in sorted(self.watched):
            self.watch(conversation)
        for name in sorted(self.lists):
            self.follow(name)

    def resync(self) -> None:
        """Asks again for what it lost."""
        lost, self.lost = sorted(self.lost), set()
        for topic in lost:
            if topic.startswith(("owner:", "queue:", "customer:")):
                self.follow(topic)
            else:
                self.watch(topic)

    # What the hub and the inboxes call

    def answer(self, frame: bytes) -> None:
        for each in unpack(frame, ToAgent):
            self._take(each)

    def update(self, frame: bytes, conversation: str) -> bool:
        return self._take_or_lose(frame, conversation)

    def change(self, frame: bytes, inbox: str) -> bool:
        return self._take_or_lose(frame, inbox)

    def overflowed(self) -> None:
        for topic in self.lost:
            self.gate.hub.unwatch(self, topic)
            self.gate.inboxes.unwatch(self, topic)

    def watch_failed(self, conversation: str, refusal: Refusal) -> None:
        self._refused(conversation, refusal)

    def inbox_failed(self, inbox: str, refusal: Refusal) -> None:
        self.wrong.append(f"{inbox}: {refusal}")

    def _take_or_lose(self, frame: bytes, topic: str) -> bool:
        if self._random.random() < LOST:
            self.lost.add(topic)
            return False
        self.answer(frame)
        return True

    def _take(self, frame: Any) -> None:
        match frame:
            case Update(conversation=conversation, seq=seq, events=events):
                if seq != self.at.get(conversation, 0) + 1:
                    self.wrong.append(f"{conversation}: {seq} follows {self.at.get(conversation, 0)}")
                self._note(conversation, seq + len(events) - 1, events)
            case Snapshot(conversation=conversation, seq=seq, recent=recent):
                if seq < self.at.get(conversation, 0):
                    self.wrong.append(f"{conversation}: a snapshot at {seq} behind {self.at[conversation]}")
                self._note(conversation, seq, recent)
            case Inbox(inbox=inbox, entries=entries, removed=removed, full=full):
                rows = self.lists[inbox] = {} if full else self.lists[inbox]
                rows.update({row.conversation: row for row in entries})
                for conversation in removed:
                    rows.pop(conversation, None)
            case _:
                raise AssertionError(frame)

    def _note(self, conversation: str, head: int, events: list[AnyEvent]) -> None:
        self.events.setdefault(conversation, {}).update(enumerate(events, head - len(events) + 1))
        self.at[conversation] = head

    def _answered(self, gate: Gate, conversation: str, refusal: Refusal | None) -> None:
        if gate is self.gate:
            self.asked -= 1
            if refusal is not None:
                self._refused(conversation, refusal)

    def _refused(self, conversation: str, refusal: Refusal) -> None:
        self.watched.discard(conversation)
        if refusal.code != Code.NOT_FOUND:  # It is over, and in no cell's memory any more.
            self.wrong.append(f"{conversation}: {refusal}")

    def _listed(self, gate: Gate, refusal: Refusal | None) -> None:
        if gate is self.gate:
            self.asked -= 1


class Company:
    """Two gateways and their agents, beside who asks."""

    def __init__(self, asking: Crowd, random: Random) -> None:
        self.asking = asking
        self._random = random
        self.gates = [Gate(asking.running, "gateway:1"), Gate(asking.running, "gateway:2")]
        self.agents = [Agent(f"{number}", self.gates[number % 2], random) for number in range(4)]

    async def open(self) -> None:
        for gate in self.gates:
            await gate.front.start()
        self.asking.doors = [gate.front for gate in self.gates]
        for agent in self.agents:
            for name in LISTS:
                agent.follow(name)

    async def replace_second(self) -> None:
        """One gateway leaves: its agents go on at the other, and half of them at one that comes in its place."""
        former = self.gates[1]
        self.asking.doors = [self.gates[0].front]
        for agent in self.agents:
            if agent.gate is former:
                agent.move(self.gates[0])
        await former.leave()
        former.check()
        await self.asking.ask(10)
        self.gates[1] = Gate(self.asking.running, "gateway:2")
        await self.gates[1].front.start()
        self.asking.doors = [gate.front for gate in self.gates]
        self.agents[3].move(self.gates[1])

    def look_around(self) -> None:
        """Each agent watches one thing more, or one again; all ask again for what they lost."""
        for agent in self.agents:
            agent.resync()
            for conversation in self._random.sample(
                self.asking.conversations, k=min(2, len(self.asking.conversations))
            ):
                agent.watch(conversation)
                if self._random.random() < 0.1:
                    agent.follow(f"customer:{conversation.rpartition('-')[0]}")

    async def caught_up(self) -> None:
        """Returns when each agent has each stream to its head and each list as it is, and every watch is answered."""
        missing = ["everything"]
        with suppress(TimeoutError):
            async with asyncio.timeout(WITHIN_S):
                while missing := await self._missing():
                    for agent in self.agents:
                        agent.resync()
                    await asyncio.sleep(LOOK_EVERY_S)
        assert not missing

    async def _missing(self) -> list[str]:
        streams = await self.streams()
        missing: list[str] = []
        for agent in self.agents:
            missing += [f"{agent.name} waits for {agent.asked}"] if agent.asked else []
            missing += [f"{agent.name} lost {each}" for each in agent.lost]
            missing += [
                f"{agent.name} lacks of {each}" for each in agent.watched if agent.at[each] < max(streams[each])
            ]
            for name, rows in agent.lists.items():
                listed = await self.asking.front.archive.conversations(list=name, limit=1000)
                # Of one that was merged into another the archive has the other's.
                of_one = name.startswith("customer:")
                known = {row.conversation: row for row in listed if not of_one or name == f"customer:{row.customer}"}
                if rows != known:
                    missing.append(f"{agent.name} has of {name} {_told(rows)} and not {_told(known)}")
        return missing

    async def streams(self) -> dict[str, dict[int, AnyEvent]]:
        """What the journal has, by stream and seq."""
        streams: dict[str, dict[int, AnyEvent]] = {}
        for record in await self.asking.front.journal.read(0, 100_000):
            for stream, seq, event in entries_of(record):
                assert seq not in streams.setdefault(stream, {}), "a fork"
                streams[stream][seq] = event
        return streams

    async def close(self) -> None:
        for agent in self.agents:
            agent.leave()
        for gate in self.gates:
            await gate.leave()


@asynccontextmanager
async def company(asking: Crowd, random: Random) -> AsyncIterator[Company]:
    """Open while the block lasts."""
    there = Company(asking, random)
    await there.open()
    yield there
    await there.close()


def _told(rows: dict[str, ConversationSummary]) -> list[tuple[str, str, int, str]]:
    return sorted((row.conversation, row.customer, row.head, str(row.status)) for row in rows.values())


def assert_one_taker(streams: dict[str, dict[int, AnyEvent]]) -> None:
    """No offer was taken twice, by whichever gateway its takers asked."""
    for stream, events in streams.items():
        taken = Counter(event.lease for event in events.values() if isinstance(event, HandoffAccepted))
        assert not [lease for lease, times in taken.items() if times > 1], stream


def row_of(view: ConversationView) -> tuple[str, str, str, str, str]:
    """What a list's row says of it as well."""
    offered = view.handoff.to if view.handoff is not None and view.handoff.open else ""
    return view.conversation, str(view.status), view.queue, view.owner, offered


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_what_two_gateways_show_is_what_the_journal_has(tmp_path: Path, seed: int) -> None:
    """Agents watch at either, and move; some lose frames, and resume from where they were."""
    random = Random(f"two {seed}")
    placement: Placement = "dedicated" if seed % 2 else "pooled"
    # Not the archive: who reads of it in memory fails with it, and a cell ends where a load does.
    parts = [name for name in CORE[placement] if name != "archive"]
    async with crowd(tmp_path, placement, "insurer", seed) as asking, company(asking, random) as there:
        asked, left = 0, False
        while asked < INPUTS:
            count = random.choice([1, 3, 10])
            await asking.ask(count)
            asked += count
            there.look_around()
            if random.random() < 0.1:
                await asking.running.restart(random.choice(parts))
            if not left and asked > INPUTS / 2:
                left = True
                await there.replace_second()
        views = await asking.settled()
        await there.caught_up()
        for gate in there.gates:
            gate.check()
        streams = await there.streams()
        for agent in there.agents:
            assert agent.wrong == []
            for conversation, events in agent.events.items():
                assert events.items() <= streams[conversation].items(), (agent.name, conversation)
        archive = asking.front.archive
        for read in views.values():
            assert isinstance(read, CustomerRead)
            for view in read.view.open if read.view is not None else ():
                found = await archive.conversations(customer=view.customer, limit=1000)
                row = next(each for each in found if each.conversation == view.conversation)
                assert row_of(view) == (
                    row.conversation, str(row.status), row.queue, row.owner, row.offered_to,
                )  # fmt: skip
        assert_one_taker(streams)
        await assert_projected(asking.running)
        assert sum(len(events) for agent in there.agents for events in agent.events.values()) > INPUTS
