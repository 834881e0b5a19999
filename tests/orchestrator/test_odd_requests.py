"""Odd requests: whatever stands in a path, in a query, or in a frame that decodes, the answer is one of ours, and no
part of the server ends. A whole server in one loop, as clients meet it."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any, get_args
from urllib.parse import quote

import httpx
import msgspec
import pytest

from orchestrator.bundles.folder import SHIPPED, read_folder
from orchestrator.gateway.http.bodies import ErrorAnswer
from orchestrator.inprocess import InProcess, in_process
from orchestrator.settings import GatewayAccount, Http, Settings
from orchestrator.tokens import Tokens
from protocol.commands import SERVERS_OWN, AnyCommand
from protocol.errors import Code
from protocol.frames import Delivered, Presence, Unwatch, Watch
from protocol.ids import POLICY, customer_of
from protocol.inbound import InboundEvent
from tests.anything import Anything
from tests.orchestrator.gateway.clients import Client

pytestmark = pytest.mark.usefixtures("quiet_log")

NOW_MS = 1_795_334_400_000
WITHIN_S = 20.0
IN_A_PATH = [" ", "0", "-1", "a-b-c", "a.b", "a/b", "..", "\x00", "ä" * 300, "policy", "account:chat"]
IN_A_QUERY = ["", "-1", "9" * 30, "\x00", 'NOT ("', f"1,{'9' * 30},{'9' * 30}"]
"""No number that a read would wait for."""
FRAMES = 100
"""Of one connection."""
BYTES_MAX = 700
"""Of a refusal: the longest message names the commands that there are."""
NEEDED = {"interactions": [1], "lease": 1, "until_ms": 1, "value": 1}
"""Of commands, where it is no text."""
COMMANDS = [each for each in get_args(AnyCommand) if each not in SERVERS_OWN]


class Server:
    """A server with one customer's message in it, and everybody's tokens."""

    def __init__(self, running: InProcess, tokens: dict[str, str], http: httpx.AsyncClient) -> None:
        self.running = running
        self.tokens = tokens
        self.http = http
        self.conversation = ""

    async def begin(self) -> None:
        """The insurer's policy is in force, and somebody writes, who is to be erased when the server stops."""
        files, _ = read_folder(SHIPPED / "insurer")
        assert (await self.http.post("/v1/policy", json={"files": files})).status_code == 200
        event = {"specversion": "1.0", "id": "1", "source": "shop", "type": "throughline.message.received"}
        said = {**event, "account": "chat", "identities": "user:1", "data": {"text": "my bill is wrong"}}
        headers = {"Content-Type": "application/cloudevents+json"}
        headers["Authorization"] = f"Bearer {self.tokens['gateway:*']}"
        answer = (await self.http.post("/v1/events", json=said, headers=headers)).json()
        self.conversation = answer["conversation"]
        assert (await self.http.get(f"/v1/conversations?at_least={answer['position']}")).status_code == 200
        erased = f"/v1/customers/{customer_of(self.conversation)}/erasure"
        assert (await self.http.post(erased, json={"reason": "asked"})).status_code == 202

    async def operations(self) -> list[tuple[str, str, list[str]]]:
        """Each HTTP operation: method, path, names in the query."""
        paths = (await self.http.get("/openapi.json")).json()["paths"]
        return [
            (method, path, [each["name"] for each in described.get("parameters", ()) if each["in"] == "query"])
            for path, methods in paths.items()
            for method, described in methods.items()
        ]

    def check(self) -> None:
        """All parts run."""
        for name, part in self.running._running.items():
            assert not part.done(), f"{name} has ended: {part.exception()!r}"

    def socket(self, kind: str) -> Client:
        """A WebSocket of an `agent` or a `gateway` client."""
        return Client(f"ws://127.0.0.1:{self.running.facts['gateway']['port']}/v1/{kind}")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    """On SQLite, whose searches and columns are what odd values meet."""
    async with serving(tmp_path) as one:
        await one.begin()
        yield one
        one.check()


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Server]:
    """It runs until the block ends."""
    chat = GatewayAccount(name="chat", trusted=True)
    settings = Settings(data=str(folder), durability="process", cells=1, http=Http(port=0), accounts=[chat])
    kept = Tokens(folder / "tokens.json", now_ms=lambda: 1)
    tokens = {scope: kept.create([scope], "op")[0] for scope in ("operator", "agent", "gateway:*")}
    async with (
        in_process(settings, folder, now_ms=lambda: NOW_MS) as running,
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{running.facts['gateway']['port']}",
            headers={"Authorization": f"Bearer {tokens['operator']}"},
            trust_env=False,
        ) as http,
    ):
        yield Server(running, tokens, http)


def check_answer(asked: str, response: httpx.Response) -> None:
    """It is no failure, and a refusal says why in the shape that all have."""
    assert response.status_code < 500, (asked, response.text)
    if response.status_code >= 400:
        error = msgspec.json.decode(response.content, type=ErrorAnswer)
        assert error.code in set(Code), asked
        assert error.message, asked


async def test_whatever_stands_in_a_path_is_refused_in_words(server: Server) -> None:
    """Names of nothing, of something else, and of no file."""
    asked = 0
    for method, path, _ in await server.operations():
        for odd in IN_A_PATH if "{" in path else ():
            target = re.sub(r"\{\w+\}", quote(odd, safe=""), path)
            check_answer(f"{method} {path} {odd!r}", await server.http.request(method, target, json={}))
            asked += 1
        server.check()
    assert asked > 200


async def test_whatever_stands_in_a_query_is_answered(server: Server) -> None:
    """Searches, cursors of others, numbers that no column holds."""
    asked = 0
    there = {"conversation": server.conversation, "customer": customer_of(server.conversation), "interaction": "1"}
    for method, path, names in await server.operations():
        target = re.sub(r"\{(\w+)\}", lambda place: there.get(place[1], "x"), path)
        for name in names:
            for odd in IN_A_QUERY:
                check_answer(f"{path} {name}={odd!r}", await server.http.request(method, target, params={name: odd}))
                asked += 1
    assert asked > 250


async def test_no_refusal_repeats_what_came_whole(server: Server) -> None:
    """Ids and names of thousands of characters, wherever one may stand."""
    long = "q" * 4096
    told = ""
    for method, path, _ in await server.operations():
        for target in {re.sub(r"\{\w+\}", long, path), re.sub(r"\{\w+\}", server.conversation, path)}:
            for body in {}, {long: 1}:
                response = await server.http.request(method, target, json=body)
                assert response.status_code < 400 or len(response.content) < BYTES_MAX, (target, response.text)
    customer = customer_of(server.conversation)
    for place in (
        f"conversations/{long}-1",
        f"customers/{long}",
        f"conversations/{server.conversation}",
        f"customers/{customer}",
    ):
        for command in of_long_texts(long):
            response = await server.http.post(f"/v1/{place}/commands", json={"command": command})
            assert len(response.content) < BYTES_MAX, (command["do"], response.text)
            told += response.text
    headers = {"Authorization": f"Bearer {server.tokens['gateway:*']}", "Content-Type": "application/cloudevents+json"}
    event = {"specversion": "1.0", "id": "2", "source": "shop", "account": "chat", "identities": "user:1"}
    for type, data in (
        ("interaction.ended", {"session": long}),
        ("delivery.reported", {"delivery": long, "status": "read"}),
    ):
        said = {**event, "type": f"throughline.{type}", "data": data}
        response = await server.http.post("/v1/events", json=said, headers=headers)
        assert len(response.content) < BYTES_MAX, response.text
        told += response.text
    for met in ("no customer", "no live", "merged into", "session", "no handoff", "identity to reply", "enum value"):
        assert met in told


def of_long_texts(long: str) -> list[dict[str, Any]]:
    """Each command with every text long, and with one long, beside what it needs."""
    found = []
    for command in COMMANDS:
        fields = msgspec.structs.fields(command)
        needed = {each.name: NEEDED[each.name] for each in fields if each.required and each.type is not str}
        least = {"do": command.__struct_config__.tag, **needed}
        texts = [each.name for each in fields if each.type is str]
        spoken = {each.name: "a" for each in fields if each.required and each.type is str}
        found.append({**least, **dict.fromkeys(texts, long)})
        found.extend({**least, **spoken, text: long} for text in texts)
        found.extend(
            {**least, **spoken, "kind": long} for each in fields if each.name == "kind" and each.type is not str
        )
    return found


def drawn(server: Server, random: Random) -> Anything:
    """Values in which half of the ids are of something."""
    customer = customer_of(server.conversation)
    meant = {
        "conversation": [server.conversation],
        "customer": [customer],
        "account": ["chat"],
        "identities": ["user:1"],
    }
    return Anything(random, meant=meant, strings=[server.conversation, customer, POLICY, "account:chat"])


async def test_every_command_has_its_result(server: Server) -> None:
    """Between watches of anything; the connection stays."""
    random = Random(1)
    anything = drawn(server, random)
    async with server.socket("agent") as agent:
        await agent.hello(server.tokens["agent"])
        waiting = set()
        for number in range(FRAMES):
            if random.random() < 0.3:
                await agent.send(msgspec.to_builtins(anything.one_of(Watch | Unwatch | Presence)))
                continue
            of = random.choice(["conversation", "customer"])
            command = msgspec.to_builtins(anything.of(random.choice(COMMANDS)))
            await agent.send({"op": "command", "id": f"c{number}", "command": command, of: anything.string(of)})
            waiting.add(f"c{number}")
        async with asyncio.timeout(WITHIN_S):
            while waiting:
                frame = await agent.frame()
                assert frame.get("code") != Code.INTERNAL, frame
                waiting.discard(frame["id"] if frame["op"] == "result" else "")
    server.check()


async def test_every_event_is_settled(server: Server) -> None:
    """By an `ack` or a `nack`, between answers to deliveries that were never asked for."""
    random = Random(2)
    anything = drawn(server, random)
    async with server.socket("gateway") as client:
        await client.hello(server.tokens["gateway:*"], accounts=["chat"])
        waiting = set()
        for number in range(FRAMES):
            if random.random() < 0.2:
                await client.send(msgspec.to_builtins(anything.of(Delivered)))
                continue
            event: dict[str, Any] = msgspec.to_builtins(anything.of(InboundEvent))
            event |= {"id": f"e{number}", "time_ms": random.choice([NOW_MS, NOW_MS, NOW_MS, event["time_ms"]])}
            await client.send({"op": "event", "event": event})
            waiting.add(f"e{number}")
        async with asyncio.timeout(WITHIN_S):
            while waiting:
                frame = await client.frame()
                assert frame.get("code") != Code.INTERNAL, frame
                waiting.difference_update(frame.get("ids", [frame.get("id")]))
    server.check()
