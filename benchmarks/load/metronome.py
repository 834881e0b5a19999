"""A metronome for open loops: wakes each who waits at its time, from a thread of its own.

An event loop's own timers are whole milliseconds (libuv's and epoll's), as much as an acknowledgement takes; a sleeping
thread wakes within some fifty microseconds. What it is late all the same is measured (`Ledger.late_ms`).
"""

import asyncio
import threading
import time
from collections.abc import Iterable
from heapq import heappop, heappush
from itertools import count
from typing import Self

TICK_S = 0.0005
"""Between two ticks at least, however many wait: 2,000 turns of the loop a second, a fifth of a core. Where less is due
there are fewer, and the machine is the server's."""


class Metronome:
    """An async context manager."""

    def __init__(self, tick_s: float = TICK_S) -> None:
        self._tick_s = tick_s
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        """A heap, by when each is to be woken, and in their order; the lock's."""
        self._numbers = count()
        self._ended = False
        self._changed = threading.Condition()
        """There is somebody to be woken earlier than the others, or the loop has woken some, or it is over."""

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify()
        await asyncio.to_thread(self._thread.join)
        _release(future for _, _, future in self._waiting)

    async def tick(self, due_s: float = 0.0) -> None:
        """Returns at the first tick that is not before `due_s`, by `time.perf_counter`."""
        future: asyncio.Future[None] = self._loop.create_future()
        with self._changed:
            waiting = (due_s, next(self._numbers), future)
            heappush(self._waiting, waiting)
            if self._waiting[0] is waiting:
                self._changed.notify()
        await future

    def _run(self) -> None:
        ticked_s = float("-inf")
        with self._changed:
            while not self._ended:
                due_s = max(self._waiting[0][0], ticked_s + self._tick_s) if self._waiting else None
                now_s = time.perf_counter()
                if due_s is None or due_s > now_s:
                    self._changed.wait(None if due_s is None else due_s - now_s)
                else:
                    ticked_s = now_s
                    self._loop.call_soon_threadsafe(self._wake)
                    self._changed.wait()

    def _wake(self) -> None:
        now_s = time.perf_counter()
        with self._changed:
            due: list[asyncio.Future[None]] = []
            while self._waiting and self._waiting[0][0] <= now_s:
                due.append(heappop(self._waiting)[2])
            self._changed.notify()
        _release(due)


def _release(futures: Iterable[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)
