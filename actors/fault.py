"""A fault: the first exception that broke an actor outside its own `run`, in a callback or a task.

Nobody awaits a callback, nor a task that is begun for its own sake, so what they raise would only be logged, and the
actor would live on half-done. It ends instead: its `run` raises the fault, and its next life recovers.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

P = ParamSpec("P")


class Fault:
    """Set once; `raised` waits for it."""

    def __init__(self) -> None:
        self.exception: BaseException | None = None
        self._set = asyncio.Event()

    def set(self, exception: BaseException) -> None:
        """The actor is broken. Only the first counts: later ones follow from it."""
        if self.exception is None:
            self.exception = exception
            self._set.set()

    def guarded(self, call: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Calls, and keeps what it raises. Nothing more is called once broken."""
        if self.exception is None:
            try:
                call(*args, **kwargs)
            except Exception as exc:  # noqa: BLE001 - whatever it is, the actor ends with it
                self.set(exc)

    def check(self) -> None:
        """Raises the fault, where there is one."""
        if self.exception is not None:
            raise self.exception

    async def raised(self) -> None:
        """Waits for the fault and raises it."""
        await self._set.wait()
        self.check()


def guarded(broke: Callable[[Exception], None], call: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Calls for an owner that is no actor, and tells `broke` what it raises: what a loop is given to call."""
    try:
        call(*args, **kwargs)
    except Exception as exc:  # noqa: BLE001 - any bug of the owner's ends the owner
        broke(exc)


class Tasks:
    """An owner's tasks that nobody awaits, held until they are over, since a loop keeps none alive. `broke` hears what
    one of them raises: it is a bug, and somebody may wait for what the task was to do."""

    def __init__(self, broke: Callable[[Exception], None]) -> None:
        self._broke = broke
        self._under_way: set[asyncio.Task[None]] = set()

    def begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Runs it beside everything else."""
        task = asyncio.get_running_loop().create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._over)
        return task

    async def settled(self) -> None:
        """Returns when those under way are over."""
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def cancel(self) -> None:
        """Ends those under way."""
        for task in self._under_way:
            task.cancel()
        await self.settled()

    def _over(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and isinstance(exc := task.exception(), Exception):
            self._broke(exc)
