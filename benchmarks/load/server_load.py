"""The load on a server: gateway clients that push events, agents who watch every conversation, a desk for new ones.

    gateway clients   push; an `ack` answers each event
    agents            share the live conversations out between them and watch each; an `update` shows each event
    the desk          watches the queue where unknown customers' conversations begin; its rows show their first events

Before the measured part, the live conversations are made, found on the desk, watched, and moved to a queue of their
own, so that the desk goes on seeing new ones alone.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext

from benchmarks.figures.ledger import Ledger
from benchmarks.inputs.traffic import Order, Traffic
from benchmarks.load.gateway_client import GatewayClient, Pushes
from benchmarks.load.metronome import Metronome
from benchmarks.load.pushing import Shape, settle
from benchmarks.load.server import LiveServer
from benchmarks.load.wire import Frame, Refused, Wire, frames_of, greet

AGENT_PATH = "/v1/agent"
GATEWAY_PATH = "/v1/gateway"
WORK_QUEUE = "benchmark"
COMMANDS_MAX = 256
"""Commands of one message."""

PREPARED_AT_ONCE = 250
"""New conversations of the preparation that may be under way: far below what an agent's queue holds as rows."""


class ServerLoad:
    """All connections of a run. `open` them, `prepare`, then `run`."""

    def __init__(self, traffic: Traffic, shape: Shape, *, queue: str) -> None:
        self.traffic = traffic
        self.shape = shape
        self.ledger = Ledger()
        self.order = Order(first=0, seed=0, past=traffic.past.messages)
        self.desk = Desk(self, queue)
        self.agents: list[Agent] = []
        self.gateways: list[GatewayClient] = []

    @asynccontextmanager
    async def open(self, server: LiveServer) -> AsyncIterator[None]:
        """Connects everyone and reads until the end of the block. Raises `Refused`."""
        names = ["desk", *(f"agent {number}" for number in range(self.shape.agents))]
        seats = [await greet(server.url, AGENT_PATH, token=server.agent_token, name=name) for name in names]
        clients = [f"gateway client {number}" for number in range(self.shape.gateways)]
        lines = server.lines(self.traffic.account)
        doors = [
            await greet(server.url, GATEWAY_PATH, token=server.gateway_token, name=name, accounts=lines)
            for name in clients
        ]
        async with asyncio.TaskGroup() as readers:
            self.desk.wire = seats[0][0]
            readers.create_task(self.desk.wire.listen(self.desk.hear))
            for wire, welcome in seats[1:]:
                self.agents.append(Agent(self, wire, welcome["generation"]))
                readers.create_task(wire.listen(self.agents[-1].hear))
            for wire, welcome in doors:
                pushes = Pushes(self.traffic.event, self.order, self.ledger, self.shape)
                self.gateways.append(GatewayClient(pushes, wire, welcome["limits"]["credits"]))
                readers.create_task(wire.listen(self.gateways[-1].hear))
            yield
            for wire, _ in (*seats, *doors):
                await wire.close()

    async def prepare(self) -> None:
        """Makes the live conversations and has each of them watched. Raises `Refused` where the server falls short."""
        self.desk.watch()
        # A part at a time: the rows of all at once would overflow the desk's queue, and a long list is not told whole.
        for upto in range(PREPARED_AT_ONCE, self.traffic.customers + PREPARED_AT_ONCE, PREPARED_AT_ONCE):
            until = min(upto, self.traffic.customers)
            await asyncio.gather(*(client.pusher.push_all(until) for client in self.gateways))
            await settle(self.ledger)
        if self.ledger.open:
            raise Refused(
                f"{self.ledger.open} of {self.traffic.customers} first events were not acknowledged and listed"
            )
        conversations = list(self.desk.conversations.values())
        shares = [conversations[index :: len(self.agents)] for index in range(len(self.agents))]
        await asyncio.gather(*(agent.take(share) for agent, share in zip(self.agents, shares, strict=True)))

    async def run(self, *, seconds: float, warm_up_s: float, rate: float, metronome: Metronome | None = None) -> None:
        """The measured part: a closed loop, or an open one at `rate` events a second in all where that is not 0, by
        `metronome` or one of its own."""
        from_s = time.perf_counter()
        until_s = from_s + warm_up_s + seconds
        self.ledger.begin_window(from_s + warm_up_s, until_s)
        pushers = [client.pusher for client in self.gateways]
        if rate:
            share = rate / len(pushers)
            async with nullcontext(metronome) if metronome else Metronome() as clock:
                # One after the other, and not all at once: a provider's events do not come in step either.
                begins = [(one, from_s + place / rate) for place, one in enumerate(pushers)]
                await asyncio.gather(*(one.push_by_clock(share, at_s, until_s, clock) for one, at_s in begins))
        else:
            await asyncio.gather(*(one.push_until(until_s) for one in pushers))
        await settle(self.ledger)

    @property
    def gaps(self) -> int:
        """Updates that did not go on where the one before ended."""
        return sum(agent.gaps for agent in self.agents)


class Desk:
    """Sees conversations begin: a row of its queue is what shows a stranger's first event."""

    wire: Wire

    def __init__(self, load: ServerLoad, queue: str) -> None:
        self.conversations: dict[int, str] = {}
        """The conversation that each first event began."""
        self._load = load
        self._queue = queue

    def watch(self) -> None:
        """Asks for the queue."""
        self.wire.write({"op": "watch", "inbox": f"queue:{self._queue}"})

    def hear(self, message: object) -> None:
        """Frames of the server."""
        now_s = time.perf_counter()
        for frame in frames_of(message):
            match frame["op"]:
                case "inbox":
                    for row in frame.get("entries", ()):
                        self._see(row, now_s)
                case "heads":
                    self.wire.answer({"op": "pong"})
                case "resync":
                    self.watch()
                case "error":
                    raise Refused(f"desk: {frame['code']} {frame['message']}")

    def _see(self, row: Frame, now_s: float) -> None:
        number = self._load.traffic.number_of_subject(row.get("subject", ""))
        if number is not None and number not in self.conversations:
            self.conversations[number] = row["conversation"]
            self._load.ledger.push(number, now_s)


class Agent:
    """Watches its share of the live conversations."""

    def __init__(self, load: ServerLoad, wire: Wire, generation: str) -> None:
        self.gaps = 0
        self._wire = wire
        self._generation = generation
        self._source = load.traffic.source
        self._is_new = load.traffic.is_new
        self._ledger = load.ledger
        self._seqs: dict[str, int] = {}
        """How far each conversation has come; -1 before its snapshot."""
        self._results_due = 0
        self._changed = asyncio.Event()

    async def take(self, conversations: list[str]) -> None:
        """Watches these, and moves them to the queue of work under way; returns when all is done."""
        self._seqs = dict.fromkeys(conversations, -1)
        self._watch(conversations)
        for first in range(0, len(conversations), COMMANDS_MAX):
            batch = conversations[first : first + COMMANDS_MAX]
            self._results_due += len(batch)
            self._wire.write([_move(one) for one in batch])
            await self._until(lambda: self._results_due == 0)
        await self._until(lambda: -1 not in self._seqs.values())

    def hear(self, message: object) -> None:
        """Frames of the server."""
        now_s = time.perf_counter()
        for frame in frames_of(message):
            match frame["op"]:
                case "update":
                    self._on_update(frame, now_s)
                case "snapshot":
                    self._seqs[frame["conversation"]] = frame["seq"]
                    self._show(frame.get("recent", ()), now_s, snapshot=True)
                    self._changed.set()
                case "heads":
                    self._wire.answer({"op": "pong"})
                case "resync":
                    self._watch(frame.get("conversations", []))
                case "result":
                    if frame.get("code"):
                        raise Refused(f"move: {frame['code']} {frame['message']}")
                    self._results_due -= 1
                    self._changed.set()
                case "error":
                    raise Refused(f"agent: {frame['code']} {frame['message']}")

    def _on_update(self, frame: Frame, now_s: float) -> None:
        conversation, seq, events = frame["conversation"], frame["seq"], frame["events"]
        if seq != self._seqs[conversation] + 1:
            self.gaps += 1
        self._seqs[conversation] = seq + len(events) - 1
        self._show(events, now_s, snapshot=False)

    def _show(self, events: list[Frame], now_s: float, *, snapshot: bool) -> None:
        for event in events:
            if event["type"] != "MessageReceived" or event["source"] != self._source:
                continue
            # First events are shown on the desk.
            if not self._is_new(number := int(event["id"])):
                self._ledger.push(number, now_s, snapshot=snapshot)

    def _watch(self, conversations: list[str]) -> None:
        for first in range(0, len(conversations), COMMANDS_MAX):
            batch = conversations[first : first + COMMANDS_MAX]
            self._wire.write(
                [
                    {"op": "watch", "conversation": one, "generation": self._generation, "seq": self._seqs[one]}
                    for one in batch
                ]
            )

    async def _until(self, done: Callable[[], bool]) -> None:
        while not done():
            self._changed.clear()
            await self._changed.wait()


def _move(conversation: str) -> Frame:
    return {
        "op": "command",
        "id": f"benchmark-move-{conversation}",
        "conversation": conversation,
        "command": {"do": "move", "queue": WORK_QUEUE},
    }
