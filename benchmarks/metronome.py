"""A metronome for open loops: wakes whoever waits, every half millisecond, from a thread of its own.

An event loop's own timers are whole milliseconds (libuv's and epoll's), as much as an acknowledgement takes; a sleeping
thread wakes within some fifty microseconds. What it is late all the same is measured (`Ledger.late_ms`).
"""

import asyncio
import threading
import time
from typing import Self

TICK_S = 0.0005
"""2,000 turns of the loop a second: some hundredths of a core."""


class Metronome:
    """An async context manager."""

    def __init__(self, tick_s: float = TICK_S) -> None:
        self._tick_s = tick_s
        self._waiting: list[asyncio.Future[None]] = []
        self._ended = threading.Event()

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._ended.set()
        await asyncio.to_thread(self._thread.join)
        self._tick()

    async def tick(self) -> None:
        """Returns at the next tick."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append(future)
        await future

    def _run(self) -> None:
        next_s = time.perf_counter()
        while not self._ended.is_set():
            next_s = max(next_s + self._tick_s, time.perf_counter() - self._tick_s)
            time.sleep(max(0.0, next_s - time.perf_counter()))
            if self._waiting:
                self._loop.call_soon_threadsafe(self._tick)

    def _tick(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
