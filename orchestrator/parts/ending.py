"""How a part that only listens runs: until it is told that it is over, or until something it stands on breaks."""

import asyncio
from collections.abc import Coroutine
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
