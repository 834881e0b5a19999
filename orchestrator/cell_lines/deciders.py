"""Deciders: the version of the policy by which each cell decides, as the cell says.

PolicyIs of a cell ──▶ the newest of all? then `on_newer` hears it ──▶ `deciding_by`, which waits for all, looks again
"""

import asyncio
import contextlib
from collections.abc import Callable

from orchestrator.cell_lines.asking import Asking
from protocol.links import PolicyIs


class Deciders:
    """Of one gateway or channel host. A cell that named no version decides by the settings', which is version 1."""

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
        """The cell is gone, or a new life, which will name its version."""
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
