"""How a part runs: until it is told that it is over, or until something it stands on breaks."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any


async def until(over: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Runs `work` until it breaks, which is raised, or `over` is set, which cancels it."""
    working, waiting = asyncio.ensure_future(work), asyncio.ensure_future(over.wait())
    try:
        await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
    finally:
        working.cancel()
        waiting.cancel()


async def first_of(work: Coroutine[Any, Any, None], beside: Sequence["asyncio.Task[None]"]) -> None:
    """Runs `work` until it, or one of those `beside` it, is over; what that raised is raised, and the others end."""
    tasks = [asyncio.ensure_future(work), *beside]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
