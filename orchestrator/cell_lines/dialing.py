"""Dialing: the pipes to the cells, by which `cells` asks them."""

from actors.fault import Tasks
from orchestrator.cell_lines.cells import Cells
from orchestrator.cell_lines.seats import Seats
from orchestrator.cell_lines.strangers import KnownOf
from orchestrator.cluster.table import USHER
from orchestrator.pipes.switchboard import Pipe, Switchboard


class CellLines:
    """The pipes to the cells: all from the start, or to each seat from when the usher names it."""

    def __init__(self, switchboard: Switchboard) -> None:
        self._switchboard = switchboard
        self._pipes: dict[str, Pipe] = {}
        self._changing = Tasks(lambda exc: self._cells.broke(exc))
        self._stopping = False
        """Whoever comes or goes is of no interest any more."""
        self._cells: Cells

    def pooled(self, count: int) -> Cells:
        """Cells that are there from the start."""
        self._cells = Cells(count)
        self._pipes = {name: self._switchboard.dial(name, self._cells) for name in map(_cell, range(count))}
        return self._cells

    def dedicated(self, known_of: KnownOf) -> Cells:
        """Seats that come and go, as the usher says, for customers that `known_of` says there are."""
        seats = Seats(self._reach, self._leave)
        self._cells = seats.cells = Cells(0, seats, known_of)
        self._pipes[USHER] = self._switchboard.dial(USHER, seats)
        return self._cells

    async def start(self) -> None:
        """Begins to dial."""
        for pipe in list(self._pipes.values()):
            await pipe.start()

    async def stop(self) -> None:
        """Ends all lines. The usher's may still speak meanwhile."""
        self._stopping = True
        await self._changing.settled()
        for pipe in list(self._pipes.values()):
            await pipe.stop()

    def _reach(self, index: int) -> None:
        if self._stopping:
            return
        pipe = self._pipes[_cell(index)] = self._switchboard.dial(_cell(index), self._cells)
        self._changing.begin(pipe.start())

    def _leave(self, index: int) -> None:
        if self._stopping:
            return
        self._changing.begin(self._pipes.pop(_cell(index)).stop())


def _cell(index: int) -> str:
    return f"cell:{index}"
