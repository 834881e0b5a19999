"""Cells: the gateway's and the channel host's side of their lines to the cells.

Routes by customer, numbers questions, and asks again whatever a cell has not answered when that cell comes back as a
new life. Questions of one customer keep their order, also when they are asked again.
"""

import asyncio
from collections.abc import Callable

from actors.fault import Fault
from actors.lines import Line
from protocol.errors import Code, Refusal
from protocol.links import (
    Answered,
    AnyLink,
    AnyToCell,
    CellIs,
    CustomerRead,
    DeliverNow,
    HeadsAre,
    ListChanged,
    ListWatched,
    Moved,
    Overflowed,
    Refused,
    Updated,
    Watched,
)
from protocol.shards import shard_of

Reply = Answered | Refused | Moved | Watched | CustomerRead | ListWatched
Done = Callable[[Reply], None]


class Cells:
    """Lines to all cells of the node. Set the `on_…` listeners before the first line opens."""

    def __init__(self, count: int) -> None:
        self._lines: list[Line | None] = [None] * count
        self._indexes = {f"cell:{index}": index for index in range(count)}
        self._asked: list[dict[int, tuple[AnyToCell, Done]]] = [{} for _ in range(count)]
        self._ref = 0
        self.fault = Fault()
        self._all_open = asyncio.Event()
        self.generation = ""
        """Of the journal behind the cells; empty until the first cell said it."""
        self.on_updated: Callable[[Updated], None] = _ignore
        self.on_list_changed: Callable[[ListChanged], None] = _ignore
        self.on_heads: Callable[[HeadsAre], None] = _ignore
        self.on_deliver: Callable[[DeliverNow], None] = _ignore
        self.on_fresh: Callable[[int], None] = _ignore

    def __len__(self) -> int:
        return len(self._lines)

    def cell_of(self, customer: str) -> int:
        """The index of the cell that hosts the customer."""
        return shard_of(customer) % len(self._lines)

    def is_open(self, index: int) -> bool:
        """Whether that cell can be reached now."""
        line = self._lines[index]
        return line is not None and line.open

    @property
    def full(self) -> bool:
        """Whether a cell takes in more slowly than it is given: new inputs should wait."""
        for line in self._lines:  # noqa: SIM110 - asked for every event; `any` and its generator cost twice as much
            if line is not None and line.full:
                return True
        return False

    @property
    def unanswered(self) -> int:
        """Questions under way."""
        return sum(map(len, self._asked))

    async def opened_all(self) -> None:
        """Returns when every cell has been reached once."""
        await self._all_open.wait()

    def send(self, customer: str, message: AnyToCell) -> None:
        """Tells a customer's cell; lost if the cell is replaced, so for what a new cell need not know."""
        line = self._lines[self.cell_of(customer)]
        if line is not None:
            line.send(message)

    def tell_all(self, message: AnyToCell) -> None:
        """Tells every cell, likewise."""
        for line in self._lines:
            if line is not None:
                line.send(message)

    def ask(self, customer: str, make: Callable[[int], AnyToCell], done: Done) -> None:
        """Asks a customer's cell; `make` gets the question's ref, `done` the reply, exactly once."""
        self.ask_cell(self.cell_of(customer), make, done)

    def ask_cell(self, index: int, make: Callable[[int], AnyToCell], done: Done) -> None:
        """Asks one cell."""
        self._ref += 1
        question = make(self._ref)
        self._asked[index][self._ref] = (question, done)
        line = self._lines[index]
        if line is not None:
            line.send(question)

    async def call(self, customer: str, make: Callable[[int], AnyToCell], *, timeout_s: float = 30.0) -> Reply:
        """Asks and waits. Raises `Refusal` (`TIMED_OUT`) after `timeout_s`; what was asked may still happen."""
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

        def done(reply: Reply) -> None:
            if not future.done():
                future.set_result(reply)

        self.ask(customer, make, done)
        try:
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError as exc:
            text = f"no answer within {timeout_s:g} s; it may still happen, so send it again under the same id"
            raise Refusal(Code.TIMED_OUT, text) from exc

    # Lines

    def opened(self, line: Line, *, fresh: bool) -> None:
        """A cell is there. One that is new is asked again what its former life did not answer, in order."""
        index = self._indexes[line.peer]
        self._lines[index] = line
        if fresh:
            for question, _ in list(self._asked[index].values()):
                line.send(question)
            self.on_fresh(index)
        if all(each is not None for each in self._lines):
            self._all_open.set()

    def closed(self, line: Line) -> None:
        """It reconnects by itself."""

    def broke(self, exc: Exception) -> None:
        """A listener or who asked raised: whoever runs this ends with it."""
        self.fault.set(exc)

    def received(self, line: Line, message: AnyLink) -> None:
        """Hands a reply to who asked, and what nobody asked for to the listeners."""
        match message:
            case Answered() | Refused() | Moved() | Watched() | CustomerRead() | ListWatched():
                _, done = self._asked[self._indexes[line.peer]].pop(message.ref, _NOBODY)
                done(message)
            case Updated():
                self.on_updated(message)
            case HeadsAre():
                self.on_heads(message)
            case ListChanged():
                self.on_list_changed(message)
            case DeliverNow():
                self.on_deliver(message)
            case CellIs():
                self.generation = message.generation
            case Overflowed():
                self.on_fresh(self._indexes[line.peer])
            case _:
                raise AssertionError(f"a cell does not say {type(message).__name__}")


def _ignore(_: object) -> None:
    """A listener nobody set."""


_NOBODY = (None, _ignore)
"""Who asked what was answered before: a repeat of a cell that was asked again."""
