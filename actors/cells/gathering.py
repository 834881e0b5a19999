"""Gathering: open steps wait together while an append is under way, and make the next one.

    decided → open step → gathers ─┐
                                   ├─ one append → committer
    decided → open step → gathers ─┘

What is decided in one turn of the loop leaves together, so that load makes the batches and no timer does.
"""

import asyncio
from collections.abc import Iterator

from actors.cells.committing import Committer
from actors.cells.live import Live
from actors.fault import Fault

APPEND_UNITS = 256
"""As many units leave in the middle of a turn, if nothing is under way: the journal works while the turn goes on."""
APPEND_UNITS_MAX = 4096
APPEND_BYTES_MAX = 8 * 1024 * 1024
"""Of one append, so that a journal's transaction and a pipe's blob stay bounded. The excess goes with the next one."""


class Gathering:
    """The journeys with an open step, in the order of their first decision since their last unit."""

    def __init__(self, committer: Committer, fault: Fault) -> None:
        self._committer = committer
        self._fault = fault
        self._lives: dict[str, Live] = {}
        self._flush_due = False
        self._idle = asyncio.Event()
        self._idle.set()

    def __len__(self) -> int:
        return len(self._lives)

    def __iter__(self) -> Iterator[Live]:
        return iter(self._lives.values())

    def add(self, live: Live) -> None:
        """Its open step has just begun."""
        self._lives[live.customer] = live
        self._idle.clear()
        if len(self._lives) == APPEND_UNITS and self._committer.ready:
            self.flush()
        else:
            self.flush_soon()

    def drop(self, live: Live) -> None:
        """Its open step is void."""
        self._lives.pop(live.customer, None)

    def flush_soon(self) -> None:
        """What has gathered leaves when this turn of the loop is over."""
        if not self._flush_due:
            self._flush_due = True
            asyncio.get_running_loop().call_soon(self._fault.guarded, self.flush)

    def flush(self) -> None:
        """Sends the open steps as one append, unless one is under way: then they go on gathering."""
        self._flush_due = False
        if not self._lives or not self._committer.ready:
            return
        leaving: list[Live] = []
        size = 0
        for live in self._lives.values():
            assert live.open is not None
            size += live.open.bytes
            if leaving and (size > APPEND_BYTES_MAX or len(leaving) == APPEND_UNITS_MAX):
                break
            leaving.append(live)
        for live in leaving:
            del self._lives[live.customer]
        self._committer.append(leaving)

    def settled(self) -> None:
        """The append that was under way is concluded: the next one may leave."""
        self.flush_soon()
        if not self._lives:
            self._idle.set()

    async def drained(self) -> None:
        """Returns when everything decided is committed."""
        await self._idle.wait()
