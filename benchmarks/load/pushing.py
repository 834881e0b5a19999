"""The sending side of a run: connections that keep a window of events unanswered, or keep to a clock.

closed loop   as many as are answered are sent again: finds what the server can take
open loop     `rate` events a second are due whatever the answers do, and each one's latency counts from when it was
              due, so that a stall shows in every event that it delayed (no coordinated omission)
"""

import asyncio
import time
from collections.abc import Callable, Sequence

from msgspec import Struct

from benchmarks.figures.ledger import Ledger
from benchmarks.inputs.traffic import Order
from benchmarks.load.metronome import Metronome

SETTLE_S = 10.0
"""Without any progress for so long, what is missing is counted as lost."""
POLL_S = 0.01

Send = Callable[[list[int]], None]
"""Sends the events of these numbers as one message."""


class Shape(Struct, frozen=True, kw_only=True):
    """The connections of a load, the same for a server and for the relay beside it."""

    gateways: int = 4
    agents: int = 20
    window: int = 512
    """Unanswered events of one gateway connection."""
    batch: int = 16
    """Events of one message: what a gateway client that reads a busy provider gathers in a turn of its loop."""


class Pusher:
    """One connection's part of the load. `answered` is called by whoever reads the connection."""

    def __init__(self, send: Send, *, order: Order, ledger: Ledger, shape: Shape) -> None:
        self._send = send
        self._order = order
        self._ledger = ledger
        self._window = shape.window
        self._batch = shape.batch
        self._unanswered: set[int] = set()
        self._room = asyncio.Event()

    def answered(self, number: int) -> None:
        """The event has its answer, whatever it is."""
        self._unanswered.discard(number)
        self._room.set()

    async def push_until(self, until_s: float) -> None:
        """The closed loop: ends with the last message sent before `until_s`."""
        while (now_s := time.perf_counter()) < until_s:
            if room := min(self._window - len(self._unanswered), self._batch):
                self._send(self._take([now_s] * room))
            else:
                await self._wait_for_room(until_s - now_s)

    async def push_by_clock(self, rate: float, from_s: float, until_s: float, metronome: Metronome) -> None:
        """The open loop. Where the window is full, due events wait, and their latency grows meanwhile."""
        taken = 0
        held_up = False
        while (now_s := time.perf_counter()) < until_s:
            room = min(self._window - len(self._unanswered), self._batch)
            due = min(int((now_s - from_s) * rate + 1) - taken if now_s >= from_s else 0, room)
            if due > 0:
                if not held_up:  # Else it is the server that is late.
                    self._ledger.late(now_s - (from_s + taken / rate), now_s)
                held_up = held_up and due == room
                self._send(self._take([from_s + (taken + one) / rate for one in range(due)]))
                taken += due
            elif room:
                await metronome.tick(min(from_s + taken / rate, until_s))
            else:
                held_up = True
                await self._wait_for_room(until_s - now_s)

    async def push_all(self, until_number: int, *, until_s: float = float("inf")) -> None:
        """Sends everything up to a number as fast as answers come, as long as there is time."""
        while (left := until_number - self._order.next) > 0 and time.perf_counter() < until_s:
            if room := min(self._window - len(self._unanswered), self._batch, left):
                self._send(self._take([time.perf_counter()] * room))
            else:
                await self._wait_for_room(1.0)

    def _take(self, due_s: Sequence[float]) -> list[int]:
        numbers: list[int] = []
        for at_s in due_s:
            number, repeat = self._order.take()
            if repeat and number in self._unanswered:
                continue  # Two answers under one id could not be told apart on this connection.
            self._ledger.send(number, at_s, repeat=repeat)
            self._unanswered.add(number)
            numbers.append(number)
        return numbers

    async def _wait_for_room(self, at_most_s: float) -> None:
        self._room.clear()
        try:
            async with asyncio.timeout(at_most_s):
                await self._room.wait()
        except TimeoutError:
            return


async def settle(ledger: Ledger, *, within_s: float | None = None) -> None:
    """Waits until all that was sent is acknowledged and pushed, or nothing of it has come in for `within_s` seconds."""
    within_s = SETTLE_S if within_s is None else within_s
    progress, since_s = (0, 0), time.perf_counter()
    while ledger.open and time.perf_counter() - since_s < within_s:
        if (now := (ledger.acked, ledger.pushed)) != progress:
            progress, since_s = now, time.perf_counter()
        await asyncio.sleep(POLL_S)
