"""Deciders: by which version of the policy each cell decides, as it says itself.

PolicyIs of a cell ──▶ is it the newest of all? `on_newer` hears it ──▶ who waits for all cells looks again
"""

import asyncio
import contextlib
from collections.abc import Callable

from orchestrator.asking import Asking
from protocol.links import PolicyIs


class Deciders:
    """The cells. Those that named no version decide by the settings'."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._versions: dict[int, int] = {}
        """By cell: the version it last named."""
        self._news = asyncio.Event()
        self.policy = 1
        """The newest version that a cell decides by."""
        self.on_newer: Callable[[PolicyIs], None] = lambda _: None
        """Of each version that is newer than all before."""

    def said(self, index: int, said: PolicyIs) -> None:
        """A cell decides by that version now."""
        self._versions[index] = said.version
        self._news.set()
        if said.version > self.policy:
            self.policy = said.version
            self.on_newer(said)

    def forget(self, index: int) -> None:
        """The cell is a new one, which will say so, or there is none."""
        self._versions.pop(index, None)
        self._news.set()

    def behind(self, version: int) -> list[int]:
        """The cells that can be reached, and have not said that they decide by `version` or a newer one."""
        reached = filter(self._asking.is_open, self._asking.lines)
        return [index for index in reached if self._versions.get(index, 1) < version]

    async def deciding_by(self, version: int, *, within_s: float) -> list[int]:
        """Waits until every cell that can be reached decides by it; returns those that were late."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self.behind(version):
                    self._news.clear()
                    await self._news.wait()
        return self.behind(version)
