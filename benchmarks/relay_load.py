"""The load on the yardstick: the same events, batches and number of connections as on the server."""

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator

import msgpack

from benchmarks.ledger import Ledger
from benchmarks.pushing import Pusher
from benchmarks.traffic import Order, Traffic
from benchmarks.wire import Wire, open_wire
from websockets.exceptions import ConnectionClosed

STOP_TIMEOUT_S = 5.0
SETTLE_S = 10.0
"""How long what was sent may still come in after the last event."""


async def relay_rate(traffic: Traffic, *, gateways: int, agents: int, window: int, seconds: float) -> float:
    """Events a second that the relay answers and hands on."""
    ledger = Ledger()
    order = Order(first=0, seed=0)
    async with _relay() as url, contextlib.AsyncExitStack() as stack:
        for agent in range(agents):
            await stack.enter_async_context(_reading(url, f"/agent/{agent}", _Agent(ledger).read))
        pushers = []
        for _ in range(gateways):
            gateway = _Gateway(traffic, order, ledger, agents=agents, window=window)
            gateway.wire = await stack.enter_async_context(_reading(url, "/gateway", gateway.read))
            pushers.append(gateway.pusher)
        from_s = time.perf_counter()
        ledger.begin_window(from_s, from_s + seconds)
        await asyncio.gather(*(pusher.push_until(from_s + seconds) for pusher in pushers))
        deadline_s = time.perf_counter() + SETTLE_S
        while ledger.open and time.perf_counter() < deadline_s:
            await asyncio.sleep(0.01)
    return ledger.rate()


class _Gateway:
    """A connection that pushes."""

    wire: Wire

    def __init__(self, traffic: Traffic, order: Order, ledger: Ledger, *, agents: int, window: int) -> None:
        self.pusher = Pusher(self._send, order=order, ledger=ledger, window=window)
        self._traffic = traffic
        self._ledger = ledger
        self._agents = agents

    async def _send(self, numbers: object) -> None:
        assert isinstance(numbers, list)
        await self.wire.write(
            [[number % self._agents, number, msgpack.packb(self._traffic.event(number))] for number in numbers]
        )

    async def read(self, wire: Wire) -> None:
        while True:
            numbers = await wire.read()
            now_s = time.perf_counter()
            for number in numbers:
                self._ledger.ack(number, now_s, repeat=False)
                self.pusher.answered(number)


class _Agent:
    """A connection that is shown events."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def read(self, wire: Wire) -> None:
        while True:
            share = await wire.read()
            now_s = time.perf_counter()
            for _, event in share:
                # Decoded like the server's updates are, so that both sides of the ratio carry the same client.
                self._ledger.push(int(msgpack.unpackb(event)["id"]), now_s)
