"""A client that comes back gets what waited for it, under both placements and over a restart of what makes it wait."""

import asyncio
from collections import defaultdict
from pathlib import Path

import pytest

from orchestrator.client import AgentClient, GatewayClient
from orchestrator.inprocess import in_process
from orchestrator.settings import GatewayAccount, Http, Limits, Placement, Settings
from orchestrator.tokens import Tokens
from protocol.events import DeliveryAttempted, DeliveryFailed
from protocol.frames import Deliver
from tests.orchestrator.test_inprocess import NOW_MS, arrival
from tests.people import Desk

DEADLINE_S = 30.0
CUSTOMERS = 5


@pytest.mark.parametrize("placement", ["pooled", "dedicated"])
async def test_what_waited_goes_out_once_and_in_order(tmp_path: Path, placement: Placement) -> None:
    """The clock stands still, so no timer rings. There are fewer seats than customers, and cells die meanwhile."""
    given = Settings(
        data=str(tmp_path),
        placement=placement,
        cells=1,
        limits=Limits(dedicated_max=2, dedicated_warm=2, drain_s=1.0),
        http=Http(port=0),
        accounts=[GatewayAccount(name="chat", trusted=True)],
    )
    tokens = Tokens(tmp_path / "tokens.json", now_ms=lambda: NOW_MS)
    agent_token, gateway_token = tokens.create(["agent"], "ann")[0], tokens.create(["gateway:*"], "loader")[0]
    async with asyncio.timeout(DEADLINE_S), in_process(given, tmp_path, now_ms=lambda: NOW_MS) as running:
        url = f"http://127.0.0.1:{running.facts['gateway']['port']}"
        async with GatewayClient(url, gateway_token) as gateway, AgentClient(url, agent_token) as agent:
            desk = Desk(agent)
            agent.watch(inbox="queue:default", follow=True)
            reading = asyncio.create_task(desk.read())
            conversations = []
            for number in range(CUSTOMERS):
                await gateway.send(arrival(f"hello {number}", identity=f"chat:{number}"))
                conversations.append(await desk.conversation_with(f"hello {number}"))
                await agent.reply(conversations[-1], "one")
                await agent.reply(conversations[-1], "two")
            for conversation in conversations:
                while not any(isinstance(event, DeliveryFailed) for _, event in desk.events[conversation]):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            await running.restart("cell-0")
            got: dict[str, list[tuple[str, int]]] = defaultdict(list)
            async with GatewayClient(url, gateway_token, accounts=["chat"]) as back:
                async for deliver in back.deliveries():
                    assert isinstance(deliver, Deliver)
                    got[deliver.delivery.rpartition(".")[0]].append((deliver.text, deliver.attempt))
                    back.delivered(deliver, "sent", external_id=deliver.delivery)
                    if sum(map(len, got.values())) == 2 * CUSTOMERS:
                        break
            assert got == {conversation: [("one", 2), ("two", 1)] for conversation in conversations}
            for conversation in conversations:
                attempts = [event for _, event in desk.events[conversation] if isinstance(event, DeliveryAttempted)]
                assert len(attempts) <= 3
            reading.cancel()
