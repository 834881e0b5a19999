"""Loads: journeys on their way into memory, each loaded by a task of its own while what comes for it waits."""

from collections.abc import Callable

from actors.cells.live import Live
from actors.cells.loading import ArchiveReader, Loaded, ReadTail, load_whole
from actors.fault import Fault, Tasks


class Loads:
    """`entered` gets each journey's place and what was loaded. What it or a load raises is set as `fault`, which ends
    the cell."""

    def __init__(
        self, archive: ArchiveReader, read_tail: ReadTail, entered: Callable[[Live, Loaded], None], fault: Fault
    ) -> None:
        self._archive = archive
        self._read_tail = read_tail
        self._entered = entered
        self._tasks = Tasks(fault.set)

    def begin(self, live: Live) -> None:
        """Loads it; until then `live.journey` is None."""
        self._tasks.begin(self._load(live))

    async def _load(self, live: Live) -> None:
        self._entered(live, await load_whole(live.customer, self._archive, self._read_tail))
