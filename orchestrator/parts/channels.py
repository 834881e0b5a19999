"""The channel host's part."""

import asyncio

from orchestrator.parts.front import Front
from orchestrator.parts.surroundings import Surroundings


class ChannelsPart:
    """The channel host: accounts that hold a listener of their own, or send."""

    def __init__(self, given: Surroundings) -> None:
        self._front = Front(given)
        self._over = asyncio.Event()

    async def start(self) -> dict[str, str | int]:
        """Reaches the cells, then opens the accounts."""
        await self._front.start()
        return {}

    async def run(self) -> None:
        """Serves."""
        await self._over.wait()

    async def drain(self) -> None:
        """Closes the accounts' listeners and waits for attempts under way."""
        self._over.set()

    async def stop(self) -> None:
        """Leaves the cells."""
        await self._front.stop()

    def status(self) -> dict[str, object]:
        """Figures for operators."""
        return {"unanswered": self._front.cells.unanswered}
