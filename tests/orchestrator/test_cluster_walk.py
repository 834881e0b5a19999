"""The real server under kills: what was acked stays, streams have no gap, and nobody has to reconnect by hand."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from orchestrator.client import AgentClient, GatewayClient
from orchestrator.cluster import leftovers
from orchestrator.cluster.data_folder import mark_of
from protocol.inbound import InboundEvent, MessageArrived
from tests.live_server import LiveServer

pytestmark = pytest.mark.slow

DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server that these tests may kill."""
    live = LiveServer(tmp_path_factory.mktemp("killed"))
    live.start()
    yield live
    live.stop()
    assert leftovers.ours(mark_of(live.data)) == []


class Watch:
    """One customer's words going in, and one agent's updates coming out."""

    def __init__(self, gateway: GatewayClient, agent: AgentClient, who: str) -> None:
        self._gateway = gateway
        self._who = who
        self._sent = 0
        self._updates = agent.updates()
        self.seqs: dict[str, list[int]] = {}
        self.words: list[str] = []

    async def say(self) -> None:
        """Sends the next word; returns when it is acked."""
        self._sent += 1
        event = InboundEvent(
            id=f"{self._who}-{self._sent}",
            source="walk",
            account="chat",
            channel="chat",
            time_ms=time.time_ns() // 1_000_000,
            identities=[f"chat:{self._who}"],
            data=MessageArrived(text=f"word {self._sent}"),
        )
        async with asyncio.timeout(DEADLINE_S):
            assert await self._gateway.send(event) in ("committed", "repeat")

    async def hear_all(self) -> None:
        """Reads updates until the agent has every word that was said."""
        async with asyncio.timeout(DEADLINE_S):
            while len(self.words) < self._sent:
                update = await anext(self._updates)
                if not update.conversation:
                    continue
                events = [event for event in update.events if getattr(event, "text", "").startswith("word")]
                self.words += [event.text for event in events]
                self.seqs.setdefault(update.conversation, []).extend(
                    range(update.seq, update.seq + len(update.events))
                )

    def expect_no_gap(self) -> None:
        """Each word once, in order; each stream without a hole."""
        assert self.words == [f"word {n}" for n in range(1, self._sent + 1)]
        for seqs in self.seqs.values():
            assert seqs == list(range(1, len(seqs) + 1))


@pytest.fixture
async def watch(own: LiveServer, request: pytest.FixtureRequest) -> AsyncIterator[Watch]:
    """A gateway client and an agent who follows the queue."""
    async with GatewayClient(own.url, own.gateway_token) as gateway, AgentClient(own.url, own.agent_token) as agent:
        agent.watch(inbox="queue:default", follow=True)
        yield Watch(gateway, agent, f"{abs(hash(request.node.name))}")


@pytest.mark.parametrize("name", ["journal", "archive", "cell-0", "gateway", "channels"])
async def test_a_walk_goes_on_over_the_death_of_a_process(own: LiveServer, watch: Watch, name: str) -> None:
    """Before, during and after a `kill -9`: every word is acked and seen once."""
    await watch.say()
    await watch.hear_all()
    _living(own, name).kill()
    await watch.say()
    await watch.hear_all()
    watch.expect_no_gap()


async def test_a_walk_goes_on_over_the_death_of_everything(own: LiveServer, watch: Watch) -> None:
    """The same when nothing of the server is left and another is started on its data."""
    await watch.say()
    await watch.hear_all()
    await own.restart()
    await watch.say()
    await watch.hear_all()
    watch.expect_no_gap()


async def test_it_is_ready_again_soon_after_ray_died(own: LiveServer, watch: Watch) -> None:
    """Raylet and GCS die; within 15 s `/readyz` says that all is served again."""
    for program in ("raylet", "gcs_server"):
        await watch.say()
        next(p for p in leftovers.ours(mark_of(own.data)) if p.name() == program).send_signal(signal.SIGKILL)
        since = time.monotonic()
        await _unready(own)
        await _ready(own)
        assert time.monotonic() - since < 15
    await watch.hear_all()
    watch.expect_no_gap()


def _living(server: LiveServer, name: str) -> psutil.Process:
    return next(p for p in leftovers.ours(mark_of(server.data)) if f"ray::{name}" in p.cmdline()[0].split("."))


async def _unready(server: LiveServer) -> None:
    while await _is_ready(server):
        await asyncio.sleep(0.05)


async def _ready(server: LiveServer) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not await _is_ready(server):
            await asyncio.sleep(0.05)


async def _is_ready(server: LiveServer) -> bool:
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=1) as http:
        try:
            answer = await http.get("/readyz", headers={"Authorization": f"Bearer {server.operator_token}"})
        except httpx.TransportError:
            return False
        return answer.status_code == 200
