"""Two gateways beside each other: what has to leave goes by the one at which somebody takes it, once.

The table of processes has one gateway; the parts can be more, and what a cell does must not depend on who came last.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from orchestrator.client import GatewayClient
from orchestrator.inprocess import InProcess
from orchestrator.parts.gateway import GatewayPart
from orchestrator.parts.surroundings import Surroundings
from orchestrator.settings import GatewayAccount, Http, Limits, Placement, Settings
from protocol.events import DeliveryAttempted, DeliveryDead, DeliveryFailed, DeliverySent, DeliveryUncertain
from protocol.frames import Deliver
from tests.orchestrator.attended import Attended, attended
from tests.orchestrator.test_inprocess import NOW_MS, arrival

DEADLINE_S = 60.0
pytestmark = pytest.mark.parametrize("placement", ["pooled", "dedicated"])


def settings(folder: Path, placement: Placement) -> Settings:
    """One cell, or two seats; the clock stands still, so that nothing goes out because its time has come."""
    return Settings(
        data=str(folder),
        placement=placement,
        cells=1,
        limits=Limits(dedicated_max=2, dedicated_warm=2, drain_s=1.0),
        http=Http(port=0),
        accounts=[GatewayAccount(name="chat", trusted=True)],
    )


@asynccontextmanager
async def second_gateway(running: InProcess, given: Settings, folder: Path) -> AsyncIterator[str]:
    """Another gateway of the same server, with a port of its own; gives its address."""
    run = folder / "second"
    run.mkdir()
    first = running.surroundings("gateway")
    switchboard = running._exchange.switchboard("gateway:1", uuid.uuid4().hex)
    part = GatewayPart(Surroundings(given, switchboard, first.storage, run=run, now_ms=lambda: NOW_MS))
    facts = await part.start()
    serving = asyncio.create_task(part.run())
    try:
        yield f"http://127.0.0.1:{facts['port']}"
    finally:
        await part.drain()
        await serving
        await part.stop()


class Taking:
    """A gateway client that takes the account's deliveries, and says that they are sent."""

    def __init__(self, client: GatewayClient) -> None:
        self.got: list[tuple[str, int]] = []
        self._client = client

    async def run(self) -> None:
        """Until cancelled."""
        async for deliver in self._client.deliveries():
            assert isinstance(deliver, Deliver)
            self.got.append((deliver.text, deliver.attempt))
            self._client.delivered(deliver, "sent", external_id=deliver.delivery)


@asynccontextmanager
async def taker(url: str, token: str) -> AsyncIterator[Taking]:
    """A client of that gateway, while the block lasts."""
    async with GatewayClient(url, token, accounts=("chat",)) as client:
        taking = Taking(client)
        task = asyncio.create_task(taking.run())
        try:
            yield taking
        finally:
            task.cancel()


async def until_sent(there: Attended, conversation: str, count: int) -> list[object]:
    """The conversation's events once so many messages are sent."""
    while True:
        events = [event for _, event in there.desk.events[conversation]]
        if sum(isinstance(event, DeliverySent) for event in events) == count:
            return list(events)
        await asyncio.sleep(0.01)


async def begun(there: Attended) -> str:
    """A conversation of a customer of the account."""
    await there.gateway.send(arrival("hello", identity="chat:ann"))
    return await there.desk.conversation_with("hello")


@pytest.mark.parametrize("at", ["first", "second"])
async def test_a_delivery_goes_by_the_gateway_that_has_the_taker(tmp_path: Path, placement: Placement, at: str) -> None:
    """At the first attempt, whether the cell met that gateway before the other one or after it."""
    given = settings(tmp_path, placement)
    async with (
        attended(given, tmp_path, within_s=DEADLINE_S) as there,
        second_gateway(there.running, given, tmp_path) as url,
        taker(there.url if at == "first" else url, there.gateway_token) as taking,
    ):
        conversation = await begun(there)
        for count, text in enumerate(("one", "two"), start=1):
            await there.agent.reply(conversation, text)
            events = await until_sent(there, conversation, count)
        assert taking.got == [("one", 1), ("two", 1)]
        assert not any(isinstance(event, DeliveryFailed) for event in events)


async def test_a_taker_moves_from_gateway_to_gateway(tmp_path: Path, placement: Placement) -> None:
    """There and back. What was said in between waited, and goes out where the taker is, once."""
    given = settings(tmp_path, placement)
    async with (
        attended(given, tmp_path, within_s=DEADLINE_S) as there,
        second_gateway(there.running, given, tmp_path) as url,
    ):
        conversation = await begun(there)
        async with taker(there.url, there.gateway_token) as first:
            await there.agent.reply(conversation, "one")
            await until_sent(there, conversation, 1)
        await there.agent.reply(conversation, "two")
        while not any(isinstance(event, DeliveryFailed) for _, event in there.desk.events[conversation]):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        async with taker(url, there.gateway_token) as second:
            await until_sent(there, conversation, 2)
        async with taker(there.url, there.gateway_token) as back:
            await there.agent.reply(conversation, "three")
            events = await until_sent(there, conversation, 3)
        assert (first.got, second.got) == ([("one", 1)], [("two", 2)])
        assert [text for text, _ in back.got] == ["three"]
        # `two` found nobody once, and `three` may have: who left was perhaps not noticed to be gone.
        assert sum(isinstance(event, DeliveryAttempted) for event in events) <= 5


async def test_an_answer_is_heard_at_the_gateway_that_did_not_ask(tmp_path: Path, placement: Placement) -> None:
    """Its client was cut off before it said so, and comes back at the other. Another account's is not heard."""
    given = settings(tmp_path, placement)
    given = msgspec.structs.replace(given, accounts=[*given.accounts, GatewayAccount(name="pager", channel="sms")])
    async with (
        attended(given, tmp_path, within_s=DEADLINE_S) as there,
        second_gateway(there.running, given, tmp_path) as url,
    ):
        conversation = await begun(there)
        async with GatewayClient(there.url, there.gateway_token, accounts=("chat",)) as asked:
            await there.agent.reply(conversation, "one")
            deliver = await anext(asked.deliveries())
        while not any(isinstance(event, DeliveryUncertain) for _, event in there.desk.events[conversation]):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        async with GatewayClient(url, there.gateway_token, accounts=("pager",)) as other:
            other.delivered(deliver, "refused", reason="not mine")
            await other.send(arrival("hello again", identity="chat:ann"))
        async with GatewayClient(url, there.gateway_token, accounts=("chat",)) as back:
            back.delivered(deliver, "sent", external_id="x-1")
            events = await until_sent(there, conversation, 1)
        assert [event.external_id for event in events if isinstance(event, DeliverySent)] == ["x-1"]
        assert not any(isinstance(event, DeliveryDead) for event in events)
