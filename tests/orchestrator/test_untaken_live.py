"""A client that comes back gets what waited for it, under both placements and over a restart of what makes it wait."""

import asyncio
from collections import defaultdict
from pathlib import Path

import pytest

from orchestrator.settings import GatewayAccount, Http, Limits, Placement, Settings
from protocol.events import DeliveryAttempted, DeliveryFailed
from protocol.frames import Deliver
from tests.orchestrator.attended import attended
from tests.orchestrator.test_inprocess import arrival

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
    async with attended(given, tmp_path, within_s=DEADLINE_S) as there:
        conversations = []
        for number in range(CUSTOMERS):
            await there.gateway.send(arrival(f"hello {number}", identity=f"chat:{number}"))
            conversations.append(await there.desk.conversation_with(f"hello {number}"))
            await there.agent.reply(conversations[-1], "one")
            await there.agent.reply(conversations[-1], "two")
        for conversation in conversations:
            while not any(isinstance(event, DeliveryFailed) for _, event in there.desk.events[conversation]):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await there.running.restart("cell-0")
        got: dict[str, list[tuple[str, int]]] = defaultdict(list)
        async with there.come_back("chat") as back:
            async for deliver in back.deliveries():
                assert isinstance(deliver, Deliver)
                got[deliver.delivery.rpartition(".")[0]].append((deliver.text, deliver.attempt))
                back.delivered(deliver, "sent", external_id=deliver.delivery)
                if sum(map(len, got.values())) == 2 * CUSTOMERS:
                    break
        assert got == {conversation: [("one", 2), ("two", 1)] for conversation in conversations}
        for conversation in conversations:
            attempts = [event for _, event in there.desk.events[conversation] if isinstance(event, DeliveryAttempted)]
            assert len(attempts) <= 3
