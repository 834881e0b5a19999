"""Filling a server with live conversations: events through its gateway, as fast as it takes them."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from msgspec import Struct

from benchmarks.figures.ledger import Ledger
from benchmarks.inputs.traffic import Order
from benchmarks.load.gateway_client import GatewayClient, Pushes
from benchmarks.load.pushing import Shape, settle
from benchmarks.load.server import ACCOUNT, LiveServer
from benchmarks.load.wire import Refused, greet

GATEWAY_PATH = "/v1/gateway"
TOLD_EVERY_S = 0.2
PER_S = 8000
"""A guess at the bar's pace."""
SHAPE = Shape(window=1024)
"""The connections that fill a server, where nothing else is asked of them."""


class Filling(Struct, frozen=True, kw_only=True):
    """`conversations` of one customer each, with `messages` in it of `text_bytes` each."""

    conversations: int
    messages: int = 4
    text_bytes: int = 256
    account: str = ACCOUNT
    run: str = ""
    """Tells the customers of one filling from another's."""

    @property
    def events(self) -> int:
        """How many events it takes."""
        return self.conversations * self.messages

    def event(self, number: int) -> dict[str, Any]:
        """Everyone's first message comes before anyone's second."""
        message, customer = divmod(number, self.conversations)
        data = {"type": "throughline.message.received", "text": f"{message}: {_WORDS}"[: self.text_bytes]}
        if message == 0:
            data["subject"] = f"{self.run} {customer}"
        return {
            "id": str(number),
            "source": f"benchmark:{self.run}",
            "time_ms": time.time_ns() // 1_000_000,
            "account": self.account,
            "channel": "chat",
            "identities": [f"chat:{self.run}-{customer}"],
            "data": data,
        }


_WORDS = "My last bill is higher than the one before, and I do not see why. " * 64


def named(filling: Filling) -> Filling:
    """The same under a name that no other has."""
    return Filling(
        conversations=filling.conversations,
        messages=filling.messages,
        text_bytes=filling.text_bytes,
        account=filling.account,
        run=secrets.token_hex(4),
    )


class Filled(Struct, frozen=True):
    """How far a filling came: its first `events`, all of them acknowledged."""

    filling: Filling
    events: int
    per_s: float

    @property
    def conversations(self) -> int:
        """That have a message at least: everyone's first one comes first."""
        return min(self.events, self.filling.conversations)

    @property
    def is_whole(self) -> bool:
        """Whether its time was enough."""
        return self.events == self.filling.events


def pace_s(filling: Filling, seconds: float | None = None) -> float:
    """How long it should take."""
    return min(filling.events / PER_S, seconds or float("inf"))


async def fill(
    server: LiveServer,
    filling: Filling,
    shape: Shape,
    *,
    on_progress: Callable[[int, int], None],
    seconds: float | None = None,
) -> Filled:
    """Sends it all, or as much as goes in so many seconds. Raises `Refused` where some was not acknowledged."""
    ledger = Ledger(shown=False)
    async with _pushing(server, filling, shape, ledger, first=0) as clients:
        began_s = time.perf_counter()
        telling = asyncio.create_task(_tell(ledger, filling.events, on_progress))
        until_s = began_s + seconds if seconds is not None else float("inf")
        await asyncio.gather(*(client.pusher.push_all(filling.events, until_s=until_s) for client in clients))
        await settle(ledger)
        took_s = time.perf_counter() - began_s
        telling.cancel()
    _check(ledger)
    return Filled(filling, ledger.sent, ledger.sent / took_s)


async def go_on(server: LiveServer, filling: Filling, shape: Shape, *, first: int, seconds: float) -> Ledger:
    """Sends more messages of the same customers, from number `first` on, in a closed loop for so long; returns the
    ledger, whose window is that time. Raises `Refused` where some were not acknowledged."""
    ledger = Ledger(shown=False)
    async with _pushing(server, filling, shape, ledger, first=first) as clients:
        from_s = time.perf_counter()
        ledger.begin_window(from_s, from_s + seconds)
        await asyncio.gather(*(client.pusher.push_until(from_s + seconds) for client in clients))
        await settle(ledger)
    _check(ledger)
    return ledger


@asynccontextmanager
async def _pushing(
    server: LiveServer, filling: Filling, shape: Shape, ledger: Ledger, *, first: int
) -> AsyncIterator[list[GatewayClient]]:
    """Gateway clients that are read while the block lasts. The ledger counts from 0, which is message `first`."""

    def event(number: int) -> dict[str, Any]:
        return filling.event(first + number) | {"id": str(number)} | {"source": f"benchmark:{filling.run}:{first}"}

    pushes = Pushes(event, Order(first=0, seed=0, repeats=False), ledger, shape)
    names = [f"gateway client {number}" for number in range(shape.gateways)]
    lines = server.lines(filling.account)
    doors = [
        await greet(server.url, GATEWAY_PATH, token=server.gateway_token, name=name, accounts=lines) for name in names
    ]
    clients = [GatewayClient(pushes, wire, welcome["limits"]["credits"]) for wire, welcome in doors]
    async with asyncio.TaskGroup() as group:
        for client, (wire, _) in zip(clients, doors, strict=True):
            group.create_task(wire.listen(client.hear))
        yield clients
        for wire, _ in doors:
            await wire.close()


def _check(ledger: Ledger) -> None:
    if ledger.open or ledger.refused:
        raise Refused(f"{ledger.open} of {ledger.sent} events were not acknowledged; {ledger.refusal}")


async def _tell(ledger: Ledger, events: int, on_progress: Callable[[int, int], None]) -> None:
    while True:
        on_progress(ledger.acked, events)
        await asyncio.sleep(TOLD_EVERY_S)
