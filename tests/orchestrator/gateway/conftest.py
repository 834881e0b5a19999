"""A real gateway on a port of its own, with fakes behind it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol, TypedDict, Unpack

import httpx
import pytest

from adapters.attachments import AttachmentStore
from orchestrator.gateway.health.figures import ReadFigures
from orchestrator.gateway.health.troubles import ReadStates
from orchestrator.gateway.server import Gateway
from orchestrator.gateway.services import Stores
from orchestrator.policy.desk import PolicyDesk
from orchestrator.report.desk import ReportDesk
from orchestrator.settings import Account, EmailAccount, GatewayAccount, Http, Limits, TwilioAccount
from orchestrator.tokens import Tokens, mint
from tests.orchestrator.gateway.clients import DEADLINE_S, Client
from tests.orchestrator.gateway.fakes import FakeArchive, FakeCells, FakeIdentities, FakeIntake

NOW_MS = 1_800_000_000_000
ACCOUNTS = (
    GatewayAccount(name="chat", trusted=True),
    EmailAccount(name="mail", address="support@throughline.example"),
    TwilioAccount(name="sms", number="+447700900000", account_sid="AC1", auth_token="12345"),
)
SCOPES = {
    "agent": ["agent"],
    "bob": ["agent"],
    "chat": ["gateway:chat"],
    "star": ["gateway:*"],
    "operator": ["operator"],
    "reader": ["read"],
    "scraper": ["metrics"],
}
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients that speak plain HTTP: each that is given none reads the machine's certificates, which takes 9 ms."""


class Options(TypedDict, total=False):
    """What a test may choose of its gateway; what it does not is as `Running` has it."""

    http: Http
    limits: Limits
    accounts: Mapping[str, Account]
    figures: ReadFigures
    states: ReadStates
    policy: PolicyDesk
    report: ReportDesk
    heartbeat_s: float
    hello_within_s: float


class Running:
    """A started gateway and everything around it."""

    def __init__(self, folder: Path, **options: Unpack[Options]) -> None:
        self.cells = FakeCells()
        self.intake = FakeIntake()
        self.archive = FakeArchive()
        self.identities = FakeIdentities()
        self.feed = FakeIdentities()
        self.attachments = AttachmentStore(folder / "attachments")
        self.attachments.open()
        minted = {name: mint(scopes, name, now_ms=1) for name, scopes in SCOPES.items()}
        self.token = {name: text for name, (text, _) in minted.items()}
        self.tokens = Tokens(
            folder / "tokens.json", now_ms=lambda: NOW_MS, held=[token for _, token in minted.values()]
        )
        chosen: Options = {
            "http": Http(port=0),
            "limits": Limits(),
            "accounts": {account.name: account for account in ACCOUNTS},
            **options,
        }
        self.gateway = Gateway(
            cells=self.cells,
            intake=self.intake,
            stores=Stores(
                archive=self.archive,
                history=self.archive,
                counting=self.archive,
                identities=self.identities,
                feed=self.feed,
                attachments=self.attachments,
                webhooks=folder,
                erasures=folder / "erasures",
            ),
            tokens=self.tokens,
            now_ms=lambda: NOW_MS,
            **chosen,
        )

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.gateway.port}"

    def socket(self, path: str, **options: Any) -> Client:
        """A WebSocket client, not connected yet."""
        return Client(f"ws://127.0.0.1:{self.gateway.port}{path}", **options)

    @asynccontextmanager
    async def agent(self, name: str = "agent", *, codec: str = "msgpack", **hello: Any) -> AsyncIterator[Client]:
        """An agent that was welcomed."""
        async with self.socket("/v1/agent", codec=codec) as client:
            await client.hello(self.token[name], **hello)
            yield client

    @asynccontextmanager
    async def client(self, name: str = "chat", *, codec: str = "msgpack", **hello: Any) -> AsyncIterator[Client]:
        """A gateway client that was welcomed."""
        async with self.socket("/v1/gateway", codec=codec) as client:
            await client.hello(self.token[name], **hello)
            yield client

    def http(self, name: str = "", **headers: str) -> httpx.AsyncClient:
        """An HTTP client with this token."""
        authorization = {"Authorization": f"Bearer {self.token[name]}"} if name else {}
        return httpx.AsyncClient(
            base_url=self.url,
            headers={**authorization, **headers},
            trust_env=False,
            timeout=DEADLINE_S,
            verify=NO_TLS,
        )

    def metric(self, name: str, **labels: str) -> float:
        """One sample's value now."""
        return self.gateway.metrics.registry.get_sample_value(name, labels) or 0.0


async def until(true: Callable[[], bool]) -> None:
    """Lets the loop turn until it is so."""
    async with asyncio.timeout(DEADLINE_S):
        while not true():  # noqa: ASYNC110 - it happens inside the gateway, which tells no test
            await asyncio.sleep(0)


async def raw(running: Running, *chunks: bytes) -> tuple[int, bytes]:
    """Sends bytes as they are; returns the status and body of the first answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", running.gateway.port)
    try:
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()
        async with asyncio.timeout(DEADLINE_S):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
            return int(head.split()[1]), await reader.readexactly(int(length.split(b":")[1]))
    finally:
        writer.close()


class Start(Protocol):
    """Starts a gateway of its own."""

    async def __call__(self, **options: Unpack[Options]) -> Running: ...


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts gateways with the given options, and stops them after the test."""
    started: list[Running] = []

    async def starter(**options: Unpack[Options]) -> Running:
        running = Running(tmp_path, **options)
        await running.gateway.start()
        started.append(running)
        return running

    yield starter
    for running in started:
        await running.gateway.stop(0)


@pytest.fixture
async def running(start: Start) -> Running:
    """A gateway with default settings."""
    return await start()
