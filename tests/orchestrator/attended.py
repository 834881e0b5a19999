"""A server in one event loop with people around it: a gateway client, and an agent who follows the default queue."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestrator.client import AgentClient, GatewayClient
from orchestrator.inprocess import InProcess, in_process
from orchestrator.settings import Settings
from orchestrator.tokens import Tokens
from tests.orchestrator.test_inprocess import NOW_MS
from tests.people import Desk


@dataclass
class Attended:
    """What of it a test needs. `come_back` makes another client of the gateway's."""

    running: InProcess
    gateway: GatewayClient
    agent: AgentClient
    desk: Desk
    url: str
    gateway_token: str

    def come_back(self, *accounts: str) -> GatewayClient:
        """Another gateway client, which takes these accounts' deliveries."""
        return GatewayClient(self.url, self.gateway_token, accounts=accounts)


@asynccontextmanager
async def attended(settings: Settings, folder: Path, *, within_s: float) -> AsyncIterator[Attended]:
    """Its clock stands still. Raises `TimeoutError` where all takes longer than `within_s`."""
    tokens = Tokens(folder / "tokens.json", now_ms=lambda: NOW_MS)
    agent_token, gateway_token = tokens.create(["agent"], "ann")[0], tokens.create(["gateway:*"], "loader")[0]
    async with asyncio.timeout(within_s), in_process(settings, folder, now_ms=lambda: NOW_MS) as running:
        url = f"http://127.0.0.1:{running.facts['gateway']['port']}"
        async with GatewayClient(url, gateway_token) as gateway, AgentClient(url, agent_token) as agent:
            desk = Desk(agent)
            agent.watch(inbox="queue:default", follow=True)
            reading = asyncio.create_task(desk.read())
            try:
                yield Attended(running, gateway, agent, desk, url, gateway_token)
            finally:
                reading.cancel()
