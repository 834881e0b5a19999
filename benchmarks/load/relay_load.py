"""The load on the yardstick: the same events, batches and number of connections as on the server."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgpack
from msgspec import Struct

from benchmarks.figures.ledger import Ledger
from benchmarks.figures.own_cpu import Own, OwnCpu
from benchmarks.inputs.traffic import Order, Traffic
from benchmarks.load.pushing import Pusher, Shape, settle
from benchmarks.load.wire import Wire, open_wire

STOP_TIMEOUT_S = 5.0


class Relayed(Struct, frozen=True):
    """What a relay did with the load."""

    per_s: float
    """Events that it answered and handed on."""
    generator: Own
    """What this process used meanwhile: where that is all it could, the relay might have done more."""


async def load_relay(traffic: Traffic, shape: Shape, *, seconds: float) -> Relayed:
    """Loads a relay in a process of its own, in a closed loop."""
    ledger = Ledger()
    order = Order(first=0, seed=0)
    with _relay() as url:
        doors = [await open_wire(f"{url}/gateway") for _ in range(shape.gateways)]
        ends = [_Gateway(door, traffic, order, ledger, shape) for door in doors]
        wires = [await open_wire(f"{url}/agent/{agent}") for agent in range(shape.agents)]
        async with asyncio.TaskGroup() as readers:
            for end in ends:
                readers.create_task(end.wire.listen(end.hear))
            for wire in wires:
                readers.create_task(wire.listen(_Agent(ledger).hear))
            from_s, own = time.perf_counter(), OwnCpu()
            ledger.begin_window(from_s, from_s + seconds)
            await asyncio.gather(*(end.pusher.push_until(from_s + seconds) for end in ends))
            used = own.so_far()
            await settle(ledger)
            for wire in (*wires, *doors):
                await wire.close()
    return Relayed(ledger.rate(), used)


class _Gateway:
    """A connection that pushes."""

    def __init__(self, wire: Wire, traffic: Traffic, order: Order, ledger: Ledger, shape: Shape) -> None:
        self.wire = wire
        self.pusher = Pusher(self._send, order=order, ledger=ledger, shape=shape)
        self._traffic = traffic
        self._ledger = ledger
        self._agents = shape.agents

    def hear(self, numbers: list[int]) -> None:
        """Answers of the relay."""
        now_s = time.perf_counter()
        for number in numbers:
            self._ledger.ack(number, now_s, repeat=False)
            self.pusher.answered(number)

    def _send(self, numbers: list[int]) -> None:
        event = self._traffic.event
        self.wire.write([[one % self._agents, one, msgpack.packb(event(one))] for one in numbers])


class _Agent:
    """A connection that is shown events."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def hear(self, share: list[list[Any]]) -> None:
        """Events from the relay, decoded as the server's updates are: both sides of the ratio carry the same client."""
        now_s = time.perf_counter()
        for _, event in share:
            # The relay hands repeats on; an agent of the server never sees them.
            self._ledger.push(int(msgpack.unpackb(event)["id"]), now_s, snapshot=True)


@contextmanager
def _relay() -> Iterator[str]:
    """A relay in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.load.relay"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"ws://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
