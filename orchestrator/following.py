"""Reads that must see a write: waiting until the archive has followed the journal to a position."""

import asyncio
from typing import Protocol

from protocol.errors import Code, Refusal

FIRST_PAUSE_S = 0.002
LONGEST_PAUSE_S = 0.1
"""The archive follows within milliseconds when idle and within seconds under load: ask often first, seldom later."""


class Positioned(Protocol):
    """Something that follows the journal."""

    async def position(self) -> int:
        """How far it has come."""
        ...


async def reach(archive: Positioned, position: int, *, within_s: float) -> int:
    """Waits until the archive is at `position` or later; returns where it is. Raises `POSITION_NOT_REACHED`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    pause = FIRST_PAUSE_S
    while (at := await archive.position()) < position:
        if loop.time() >= deadline:
            raise Refusal(Code.POSITION_NOT_REACHED, f"the archive is at {at}, not yet at {position}; ask again")
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE_S)
    return at
