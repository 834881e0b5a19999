"""An event loop whose time is a number: when nothing is ready, it jumps to the next timer.

No thread, no socket, no wait: an hour of virtual time costs what happens in it. Callbacks run in the order in which
they were made, so that a run is a function of what its own code draws.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import Context
from heapq import heapify, heappop, heappush
from typing import TypeVar, TypeVarTuple

TURNS_AT_ONE_MOMENT_MAX = 50_000
"""So many turns without time passing are a circle: something asks and is answered for ever."""
JUMP_MAX_S = 86_400.0
"""As far as asyncio's own loop waits at a time."""
TIMERS_FEW = 100
"""Of so few those that were cancelled are left in the heap until their time has come."""

Args = TypeVarTuple("Args")
T = TypeVar("T")


class Stuck(Exception):
    """Nothing is ready and no timer is set, or time does not pass any more."""


class Timer(asyncio.TimerHandle):
    """asyncio's own, with what its stubs leave out."""

    __slots__ = ()
    _scheduled: bool


class VirtualLoop(asyncio.BaseEventLoop):
    """`time()` begins at 0.

    A turn is the base class's, to the order in which timers of the same moment ring, without what sockets, threads and
    its debug mode need: most turns are one short callback, and half of their cost was that.
    """

    # The base class's own, which its stubs leave out.
    _ready: deque[asyncio.Handle]
    _scheduled: list[tuple[float, Timer]]
    _stopping: bool
    _clock_resolution: float
    _timer_cancelled_count: int

    def __init__(self) -> None:
        super().__init__()
        self._now_s = 0.0
        self._turns = 0
        """Since time passed."""

    def time(self) -> float:
        """Virtual seconds."""
        return self._now_s

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Args], T], *args: *Args) -> asyncio.Future[T]:
        """Runs it at once: what a thread would do takes no virtual time."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as exc:  # noqa: BLE001 - it is the caller's, as with a thread
            future.set_exception(exc)
        return future

    def call_soon(
        self, callback: Callable[[*Args], object], *args: *Args, context: Context | None = None
    ) -> asyncio.Handle:
        """In the next turn."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_at(
        self, when: float, callback: Callable[[*Args], object], *args: *Args, context: Context | None = None
    ) -> Timer:
        """When its time has come."""
        timer = Timer(when, callback, args, self, context)
        # Numbers are compared before handles are: those have their order written in Python.
        heappush(self._scheduled, (when, timer))
        timer._scheduled = True
        return timer

    def _run_once(self) -> None:
        self._drop_cancelled()
        self._jump()
        timers, ready, end_s = self._scheduled, self._ready, self._now_s + self._clock_resolution
        while timers and timers[0][0] < end_s:
            timer = heappop(timers)[1]
            timer._scheduled = False
            ready.append(timer)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()

    def _drop_cancelled(self) -> None:
        timers = self._scheduled
        if len(timers) > TIMERS_FEW and self._timer_cancelled_count > len(timers) / 2:
            for _, timer in timers:
                timer._scheduled = not timer._cancelled
            timers[:] = [each for each in timers if each[1]._scheduled]
            heapify(timers)
            self._timer_cancelled_count = 0
            return
        while timers and timers[0][1]._cancelled:
            heappop(timers)[1]._scheduled = False
            self._timer_cancelled_count -= 1

    def _jump(self) -> None:
        """Lets time pass, where nothing is ready."""
        if self._ready or self._stopping:
            wait_s = 0.0
        elif self._scheduled:
            wait_s = self._scheduled[0][0] - self._now_s
        else:
            raise Stuck("nothing is ready, and no timer is set")
        if wait_s > 0:
            self._turns = 0
            self._now_s += min(wait_s, JUMP_MAX_S)
            return
        self._turns += 1
        if self._turns > TURNS_AT_ONE_MOMENT_MAX:
            raise Stuck(f"{self._turns} turns of the loop, and no time passed")

    def _process_events(self, event_list: object) -> None:
        """There are no sockets."""

    def _write_to_self(self) -> None:
        """Nobody waits in a selector."""
