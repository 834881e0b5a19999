"""An event loop whose time is a number: when nothing is ready, it jumps to the next timer.

No thread, no socket, no wait: an hour of virtual time costs what happens in it. Callbacks run in the order in which
they were made, so that a run is a function of what its own code draws.
"""

import asyncio
from collections.abc import Callable
from typing import Any

TURNS_AT_ONE_MOMENT_MAX = 50_000
"""So many turns without time passing are a circle: something asks and is answered for ever."""


class Stuck(Exception):
    """Nothing is ready and no timer is set, or time does not pass any more."""


class VirtualLoop(asyncio.BaseEventLoop):
    """`time()` begins at 0."""

    def __init__(self) -> None:
        super().__init__()
        self._now_s = 0.0
        self._selector = _Jumps(self)

    def time(self) -> float:
        """Virtual seconds."""
        return self._now_s

    def pass_time(self, seconds: float) -> None:
        """Jumps."""
        self._now_s += seconds

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        """Runs it at once: what a thread would do takes no virtual time."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as exc:  # noqa: BLE001 - it is the caller's, as with a thread
            future.set_exception(exc)
        return future

    def _process_events(self, event_list: Any) -> None:
        """There are no sockets."""

    def _write_to_self(self) -> None:
        """Nobody waits in a selector."""


class _Jumps:
    """What the base loop takes for its selector: to wait is to let time pass."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._turns = 0

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Stuck("nothing is ready, and no timer is set")
        if timeout > 0:
            self._turns = 0
            self._loop.pass_time(timeout)
        else:
            self._turns += 1
            if self._turns > TURNS_AT_ONE_MOMENT_MAX:
                raise Stuck(f"{self._turns} turns of the loop, and no time passed")
        return []
