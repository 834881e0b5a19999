"""Loads: the journeys that are being loaded, each by a task of its own, while what comes for them waits."""

import asyncio
from collections.abc import Callable

from actors.fault import Fault
from actors.live import Live
from actors.loading import ArchiveReader, Loaded, ReadTail, load_whole


class Loads:
    """`entered` gets each journey with what was loaded; what it or a load raises is the cell's fault."""

    def __init__(
        self, archive: ArchiveReader, read_tail: ReadTail, entered: Callable[[Live, Loaded], None], fault: Fault
    ) -> None:
        self._archive = archive
        self._read_tail = read_tail
        self._entered = entered
        self._fault = fault
        self._under_way: set[asyncio.Task[None]] = set()

    def begin(self, live: Live) -> None:
        """Loads it; until then `live.journey` is None."""
        task = asyncio.get_running_loop().create_task(self._load(live))
        self._under_way.add(task)
        task.add_done_callback(self._over)

    async def _load(self, live: Live) -> None:
        self._entered(live, await load_whole(live.customer, self._archive, self._read_tail))

    def _over(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and (exc := task.exception()):
            self._fault.set(exc)
