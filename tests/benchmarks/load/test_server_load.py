"""The load on a server, against a stand-in that speaks the same frames and keeps everything in memory."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
from websockets.asyncio.server import Server, ServerConnection, serve

from benchmarks.inputs.traffic import Traffic
from benchmarks.load.pushing import Shape
from benchmarks.load.server import LiveServer
from benchmarks.load.server_load import ServerLoad
from benchmarks.load.wire import SUBPROTOCOL, Refused

TRAFFIC = Traffic("run", customers=30, account="benchmark", text_bytes=20, began_ms=0)
SHAPE = Shape(gateways=2, agents=3, window=64, batch=8)


class StandIn:
    """A server without a disk. `faulty_from` loses, `twice_from` repeats, the pushes of events from that number on."""

    def __init__(self) -> None:
        self.faulty_from = self.twice_from = 1 << 60
        self.known: set[str] = set()
        self.streams: dict[str, list[dict[str, Any]]] = {}
        self.watchers: dict[str, ServerConnection] = {}
        self.desk: ServerConnection | None = None
        self.lines: list[list[str]] = []
        self.delivered: list[tuple[str, int, str]] = []

    async def handle(self, connection: ServerConnection) -> None:
        """Serves one connection."""
        async for message in connection:
            frames = msgpack.unpackb(message)
            for frame in frames if isinstance(frames, list) else [frames]:
                await self.answer(connection, frame)

    async def answer(self, connection: ServerConnection, frame: dict[str, Any]) -> None:
        """One frame of a client."""
        match frame["op"]:
            case "hello" if frame["token"] == "wrong":
                await self.say(connection, {"op": "error", "code": 4010, "message": "unknown token"})
            case "hello":
                self.lines += [frame["accounts"]] if "accounts" in frame else []
                welcome = {"op": "welcome", "generation": "g", "limits": {"credits": 64}}
                await self.say(connection, [welcome, {"op": "ping"}])
            case "watch" if "inbox" in frame:
                self.desk = connection
                await self.say(connection, [{"op": "inbox", "full": True}, {"op": "heads", "heads": {}}])
            case "watch":
                conversation = frame["conversation"]
                self.watchers[conversation] = connection
                events = self.streams[conversation]
                await self.say(
                    connection,
                    {"op": "snapshot", "conversation": conversation, "seq": len(events), "recent": events},
                )
            case "command":
                await self.say(connection, {"op": "result", "id": frame["id"]})
            case "delivered":
                self.delivered.append((frame["delivery"], frame["attempt"], frame["status"]))
            case "events":
                for event in frame["events"]:
                    await self.take(connection, event)

    async def take(self, connection: ServerConnection, event: dict[str, Any]) -> None:
        """Acknowledges an event and shows it to whoever watches."""
        status = "repeat" if event["id"] in self.known else "committed"
        await self.say(connection, {"op": "ack", "ids": [event["id"]], "status": status})
        if status == "committed":
            self.known.add(event["id"])
            if self.lines[-1]:
                await self.say(connection, {"op": "deliver", "delivery": event["id"], "attempt": 3})
            for _ in range(0 if int(event["id"]) >= self.faulty_from else 1 + (int(event["id"]) >= self.twice_from)):
                await self.show(event)

    async def show(self, event: dict[str, Any]) -> None:
        """Pushes an event to the desk or to the agent who watches its conversation."""
        conversation = event["identities"][0]
        fact = {"type": "MessageReceived", "source": event["source"], "id": event["id"]}
        events = self.streams.setdefault(conversation, [])
        events.append(fact)
        if conversation in self.watchers:
            update = {"op": "update", "conversation": conversation, "seq": len(events), "events": [fact]}
            await self.say(self.watchers[conversation], update)
        elif self.desk:
            row = {"conversation": conversation, "subject": event["data"].get("subject", "")}
            await self.say(self.desk, {"op": "inbox", "entries": [row, {"conversation": "x", "subject": "other"}]})

    async def say(self, connection: ServerConnection, message: Any) -> None:
        """Sends to a client."""
        await connection.send(msgpack.packb(message))


@pytest.fixture
async def stand_in() -> AsyncIterator[tuple[StandIn, str]]:
    """A stand-in and its address."""
    double = StandIn()
    server: Server = await serve(double.handle, "127.0.0.1", 0, subprotocols=[SUBPROTOCOL])
    yield double, f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
    server.close()
    await server.wait_closed()


async def run(url: str, *, rate: float = 0.0, data: Path | None = None) -> ServerLoad:
    """A short run; with `data`, on a server of its own."""
    server = LiveServer(url, "a", "g", data=data)
    load = ServerLoad(TRAFFIC, SHAPE, queue="new")
    async with load.open(server):
        await load.prepare()
        await load.run(seconds=0.2, warm_up_s=0.05, rate=rate)
    return load


@pytest.mark.parametrize("rate", [0.0, 500.0])
async def test_every_event_is_accounted_for(stand_in: tuple[StandIn, str], rate: float) -> None:
    """Live conversations' events at their agents, strangers' on the desk, repeats answered as repeats."""
    load = await run(stand_in[1], rate=rate)
    ledger = load.ledger
    assert ledger.sent == ledger.acked == ledger.pushed == len(stand_in[0].known) > 60
    assert ledger.repeats_sent == ledger.repeats_answered
    assert (ledger.refused, ledger.pushed_twice, load.gaps) == (0, 0, 0)
    assert ledger.rate() > 50
    assert 0 < ledger.ack_ms().p50 <= ledger.ack_ms().max


@pytest.mark.parametrize("own", [True, False])
async def test_what_is_asked_of_strangers_is_sent_on_a_server_of_ones_own(
    stand_in: tuple[StandIn, str], tmp_path: Path, *, own: bool
) -> None:
    """Each delivery is answered; on somebody else's server the load takes none, for they may be real."""
    await run(stand_in[1], data=tmp_path if own else None)
    assert stand_in[0].lines == 2 * [["benchmark"] if own else []]
    assert set(stand_in[0].delivered) == {(delivery, 3, "sent") for delivery in stand_in[0].known if own}


async def test_what_is_shown_twice_is_noticed(stand_in: tuple[StandIn, str]) -> None:
    """An agent must not see an event a second time."""
    stand_in[0].twice_from = 40
    assert (await run(stand_in[1])).ledger.pushed_twice > 0


async def test_what_is_never_shown_is_noticed(stand_in: tuple[StandIn, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """An acknowledged event that no agent sees stays open."""
    monkeypatch.setattr("benchmarks.load.pushing.SETTLE_S", 0.05)
    stand_in[0].faulty_from = 60
    load = await run(stand_in[1])
    assert load.ledger.acked == load.ledger.sent
    assert load.ledger.pushed == 60
    assert load.ledger.open == load.ledger.sent - 60


async def test_a_refused_hello_ends_the_run(stand_in: tuple[StandIn, str]) -> None:
    """With the server's own words."""
    load = ServerLoad(TRAFFIC, SHAPE, queue="new")
    with pytest.raises(Refused, match="4010 unknown token"):
        async with load.open(LiveServer(stand_in[1], "wrong", "g")):
            await asyncio.Event().wait()
