"""A fault: the first exception that broke an actor outside its own `run`, in a callback or a task.

Nobody awaits a callback, so what it raises would only be logged, and the actor would live on half-done. It ends
instead: its `run` raises the fault, and its next life recovers.
"""

import asyncio
from collections.abc import Callable
from typing import ParamSpec

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
