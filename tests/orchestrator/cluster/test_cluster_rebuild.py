"""Ray's own processes die under the real server: all is made anew, and who is connected goes on."""

import asyncio
import os
import time
from uuid import uuid4

import httpx
import pytest

from orchestrator.client import GatewayClient
from orchestrator.cluster import leftovers
from orchestrator.cluster.data_folder import mark_of
from protocol.inbound import InboundEvent, MessageArrived
from tests.live_server import LiveServer

pytestmark = pytest.mark.slow

REBUILD_S_MAX = 15.0
"""On a machine that does nothing else, where it takes 5; one that does gets as much longer as its work queues."""
DEADLINE_S = 120.0


@pytest.mark.parametrize("program", ["raylet", "gcs_server"])
async def test_all_is_served_again_soon_after_ray_died(server: LiveServer, program: str) -> None:
    """`/readyz` says so within 15 s, and a gateway client's next event is acked without its doing anything."""
    headers = {"Authorization": f"Bearer {server.operator_token}"}
    async with (
        GatewayClient(server.url, server.gateway_token) as gateway,
        # One client for all looks: making one costs more than the look, and the server needs the processor now.
        httpx.AsyncClient(base_url=server.url, headers=headers, trust_env=False, timeout=1) as http,
    ):
        assert await gateway.send(_event("before")) == "committed"
        next(process for process in leftovers.ours(mark_of(server.data)) if process.name() == program).kill()
        since = time.monotonic()
        await _until_ready(http, False)
        await _until_ready(http, True)
        took_s = time.monotonic() - since
        assert await gateway.send(_event("after")) == "committed"
    assert took_s < REBUILD_S_MAX * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def _event(text: str) -> InboundEvent:
    now_ms, id = time.time_ns() // 1_000_000, uuid4().hex
    return InboundEvent(
        id=id,
        source="rebuild",
        account="chat",
        channel="chat",
        time_ms=now_ms,
        identities=[f"chat:{id}"],
        data=MessageArrived(text=text),
    )


async def _until_ready(http: httpx.AsyncClient, wanted: bool) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while await _is_ready(http) is not wanted:  # noqa: ASYNC110 - what another process does is looked at
            await asyncio.sleep(0.1)


async def _is_ready(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/readyz")).status_code == 200
    except httpx.TransportError:
        return False
