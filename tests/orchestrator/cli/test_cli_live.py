"""The operator's commands against a real server: what a person does when something was refused or given up."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from orchestrator.cli.exits import Exit
from orchestrator.client import AgentClient, GatewayClient
from protocol.errors import Code
from protocol.frames import Deliver
from protocol.inbound import InboundEvent, MessageArrived
from tests.live_server import LiveServer

pytestmark = pytest.mark.slow

DEADLINE_S = 30.0


def arrival(name: str) -> InboundEvent:
    """Somebody new in the chat."""
    return InboundEvent(
        id=uuid4().hex,
        source="widget",
        account="chat",
        channel="chat",
        time_ms=time.time_ns() // 1_000_000,
        identities=[f"web:{name}"],
        data=MessageArrived(text="Hello", session=name),
    )


async def run(server: LiveServer, *arguments: str, code: Exit = Exit.DONE) -> Any:
    """A command's result, or where it is refused its error."""
    done = await asyncio.to_thread(server.cli, *arguments, "--json")
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout) if code == Exit.DONE else json.loads(done.stderr)["error"]


async def wait_for(server: LiveServer, wanted: str, *arguments: str) -> dict[str, Any]:
    """The row that has `wanted` among its values, once a listing shows it: the archive follows a moment behind."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            for row in await run(server, *arguments):
                if wanted in row.values():
                    return dict(row)


async def conversation_of(server: LiveServer, identity: str) -> tuple[str, str]:
    """The customer with this identity, and the one open conversation."""
    headers = {"Authorization": f"Bearer {server.operator_token}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, trust_env=False) as http:
        view = (await http.get("/v1/context", params={"identity": identity})).raise_for_status().json()
    return view["customer"], view["open"][0]["conversation"]


async def test_a_dead_letter_is_listed_and_sent_again(server: LiveServer) -> None:
    """The channel refused it for good; an operator sends it again, and then it leaves."""
    name = uuid4().hex
    async with (
        GatewayClient(server.url, server.gateway_token, accounts=["chat"]) as gateway,
        AgentClient(server.url, server.agent_token) as agent,
    ):
        deliveries = gateway.deliveries()
        await gateway.send(arrival(name))
        _, conversation = await conversation_of(server, f"web:{name}")
        await agent.reply(conversation, "Hello yourself")
        refused = await _of(conversation, deliveries)
        gateway.delivered(refused, "refused", code="blocked", reason="the visitor is gone")
        row = await wait_for(server, refused.delivery, "outbox", "list", "--state", "dead")
        assert (row["recipient"], row["code"]) == (f"web:{name}", "blocked")
        shown = (await asyncio.to_thread(server.cli, "outbox", "list", "--state", "dead")).stdout
        assert f"web:{name}" in shown
        await run(server, "outbox", "replay", refused.delivery)
        again = await _of(conversation, deliveries)
        assert again.delivery == refused.delivery
        gateway.delivered(again, "sent", external_id="m1")
        async with asyncio.timeout(DEADLINE_S):
            while any(row["delivery"] == again.delivery for row in await run(server, "outbox", "list")):
                continue  # Each look takes as long as the command's start.
    assert (await run(server, "outbox", "replay", again.delivery, code=Exit.REFUSED))["code"] == Code.NOT_FOUND


async def test_a_quarantined_event_is_listed_shown_and_taken_in(server: LiveServer) -> None:
    """A clock of 1970 was the fault; the replay has the time of the arrival, and comes once."""
    name = uuid4().hex
    event = {
        "specversion": "1.0", "id": name, "source": "shop", "type": "throughline.message.received",
        "time": "1970-01-01T00:00:00Z", "account": "chat", "identities": f"web:{name}", "data": {"text": "my bill"},
    }  # fmt: skip
    headers = {"Authorization": f"Bearer {server.gateway_token}", "Content-Type": "application/cloudevents+json"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, trust_env=False) as http:
        answer = await http.post("/v1/events", content=json.dumps(event))
    assert (answer.status_code, answer.json()["status"]) == (202, "quarantined")
    row = await wait_for(server, name, "quarantine", "list", "--account", "chat")
    assert row["code"] == Code.TIME_IMPLAUSIBLE
    quarantine = row["quarantine"]
    assert json.loads((await run(server, "quarantine", "show", quarantine))["text"]) == event
    assert "my bill" in (await asyncio.to_thread(server.cli, "quarantine", "show", quarantine)).stdout
    replayed = await run(server, "quarantine", "replay", quarantine)
    assert replayed["status"] == "committed"
    _, conversation = await conversation_of(server, f"web:{name}")
    assert replayed["stream"] == conversation
    second = await asyncio.to_thread(server.cli, "quarantine", "replay", quarantine)
    assert "repeat" in second.stdout or "was replayed before" in second.stderr


async def test_an_event_of_nobody_comes_in_as_whose_it_is_said_to_be(server: LiveServer, tmp_path: Path) -> None:
    """Found by its code, given an identity on the command line; the second one by an edited file."""
    name = uuid4().hex
    kept = []
    headers = {"Authorization": f"Bearer {server.gateway_token}", "Content-Type": "application/cloudevents+json"}
    for n in (1, 2):
        event = {
            "specversion": "1.0", "id": f"{name}-{n}", "source": "shop", "type": "throughline.message.received",
            "account": "chat", "data": {"text": "who am I?"},
        }  # fmt: skip
        async with httpx.AsyncClient(base_url=server.url, headers=headers, trust_env=False) as http:
            kept.append((await http.post("/v1/events", content=json.dumps(event))).json()["quarantine"])
    await wait_for(server, f"{name}-2", "quarantine", "list", "--code", "4204", "--waiting", "--newer-than", "1h")
    first = await run(server, "quarantine", "replay", kept[0], "--identity", f"web:{name}")
    assert first["status"] == "committed"
    shown = await run(server, "quarantine", "show", kept[1])
    assert (shown["rule"], shown["field"]) == ("schema", "identities")
    file = tmp_path / "event.json"
    file.write_text(json.dumps({**json.loads(shown["text"]), "identities": f"web:{name}"}))
    second = await run(server, "quarantine", "replay", kept[1], "--event", str(file))
    assert second["stream"] == first["stream"]


async def test_an_identity_is_linked_to_a_customer(server: LiveServer) -> None:
    """From then on whoever has it is that customer; another's is refused."""
    name, other = uuid4().hex, uuid4().hex
    async with GatewayClient(server.url, server.gateway_token) as gateway:
        await gateway.send(arrival(name))
        await gateway.send(arrival(other))
    customer, conversation = await conversation_of(server, f"web:{name}")
    await run(server, "customer", "link", customer, f"mailto:{name}@example.org")
    assert await conversation_of(server, f"mailto:{name}@example.org") == (customer, conversation)
    taken = await run(server, "customer", "link", customer, f"web:{other}", code=Exit.REFUSED)
    assert taken["code"] == Code.IDENTITY_TAKEN


async def _of(conversation: str, deliveries: AsyncIterator[Deliver]) -> Deliver:
    """The next delivery of this conversation: the server is shared, and others' may still wait."""
    async with asyncio.timeout(DEADLINE_S):
        async for delivery in deliveries:
            if delivery.delivery.rpartition(".")[0] == conversation:
                return delivery
    raise AssertionError("the client was closed")
