"""The seat: in front of a cell of capacity one, lets in what is for the customer who sits there.

    Take ──▶ the former customer is quiet, and leaves ──▶ the new one's scope is taken ──▶ its messages go to the cell

A sitting is one customer's, from its coming to its leaving, and has a name. Whoever asks says in which sitting it asks,
and what is asked in a former one is turned away although the same customer sits here again. Else a question could be
let in that left before its asker heard that an earlier one had been turned away, and overtake it.

The customer's own scope is a fence in the journal as well: two seats may believe that they have the same customer, but
only one can commit. What is for someone else is answered `Elsewhere`, and whoever asked asks the usher.
"""

import asyncio

from actors.cells.cell import Cell
from actors.fault import Tasks, guarded
from actors.lines import Line
from protocol.ids import customer_of
from protocol.links import (
    AnyLink,
    AnyToCell,
    Elsewhere,
    ForSitting,
    Heard,
    Left,
    Release,
    Sitting,
    Take,
    TakersAre,
    Touched,
    UnwatchConversation,
    UnwatchList,
    WatchList,
)

GRACE_S = 1.0
"""How long a customer that was not asked anything yet may keep its seat from the next one: whoever had it seated hears
of that, and asks, within a few milliseconds."""
TOUCHED_EVERY_S = 0.25
"""At most so often the usher hears that the customer is asked something; it chooses the idlest by that."""


class Seat:
    """The owner of the cell's lines to gateways and channel hosts, and of the line to the usher. `life` is this one's
    name among those of the seat."""

    def __init__(self, index: int, cell: Cell, *, life: str) -> None:
        self._index = index
        self._life = life
        self._sittings = 0
        """How many sittings there were in this life."""
        self._sitting = f"{life}/0"
        self._named: dict[str, str] = {}
        """By peer: the sitting in which it asks. As many as there are gateways and channel hosts."""
        self._cell = cell
        cell.on_left = self.left
        self._usher: Line | None = None
        self._customer = ""
        """Who sits here; empty for nobody."""
        self._taken = False
        """Its scope is ours: messages go on to the cell. Until then they wait."""
        self._served = False
        """It was asked something, or looked at, since it sits here."""
        self._leaving = False
        """The cell was told to let it go: what comes for it now is for another seat."""
        self._due = False
        """Time has come for it, and it was not looked at since."""
        self._unwanted = False
        """It sits elsewhere by now: it leaves as soon as its scope is taken, since two takings must not overlap."""
        self._next: Take | None = None
        self._waiting: list[tuple[Line, AnyToCell]] = []
        """For the customer while its scope is being taken, and for one that leaves. Bounded by whoever asks."""
        self._tasks = Tasks(self.broke)
        """The taking of a scope."""
        self._grace: asyncio.TimerHandle | None = None
        self._told_touched_s = 0.0

    def status(self) -> dict[str, int]:
        """Figures for operators."""
        return {"seat_taken": int(bool(self._customer))}

    async def stop(self) -> None:
        """Ends what is under way."""
        self._forget_grace()
        await self._tasks.cancel()

    # Lines

    def opened(self, line: Line, *, fresh: bool) -> None:
        """The usher hears who sits here; to all others this is the cell."""
        if line.peer == "usher":
            self._usher = line
            self._tell_sitting()
        else:
            if fresh:
                self._named.pop(line.peer, None)
            self._cell.opened(line, fresh=fresh)

    def closed(self, line: Line) -> None:
        """The line reconnects by itself."""

    def broke(self, exc: Exception) -> None:
        """The cell's `run` raises it."""
        self._cell.broke(exc)

    def received(self, line: Line, message: AnyLink) -> None:
        """One message, from whichever peer."""
        match message:
            case Take():
                self._take(message)
            case Release():
                if message.customer == self._customer and not self._leaving:
                    self._unwanted = True
                    if self._taken:
                        self._leave()
            case ForSitting():
                self._named[line.peer] = message.sitting
            case WatchList() | UnwatchList():
                self._cell.received(line, message)
            case UnwatchConversation():
                self._let_in(message.customer or customer_of(message.conversation), line, message)
            case Heard() | TakersAre():
                self._cell.received(line, message)
            case _:
                assert isinstance(message, AnyToCell), message
                self._let_in(message.customer, line, message)

    def _let_in(self, customer: str, line: Line, message: AnyToCell) -> None:
        if self._named.get(line.peer) == self._sitting:
            self._admit(customer, line, message)
        else:
            _turn_away(line, message)

    def _admit(self, customer: str, line: Line, message: AnyToCell) -> None:
        if customer != self._customer:
            _turn_away(line, message)
        elif self._leaving or not self._taken:
            self._waiting.append((line, message))
        else:
            self._serve(line, message)

    def _serve(self, line: Line, message: AnyToCell) -> None:
        self._cell.received(line, message)
        now_s = asyncio.get_running_loop().time()
        if now_s - self._told_touched_s >= TOUCHED_EVERY_S:
            self._told_touched_s = now_s
            self._tell(Touched())
        if not self._served:
            self._served = True
            if self._next is not None:
                # Behind what came with this: a turn's messages are one customer's one after the other.
                asyncio.get_running_loop().call_soon(guarded, self.broke, self._make_way)

    # Who sits here

    def _take(self, take: Take) -> None:
        if take.customer == self._customer and not self._leaving:
            self._next = None
            self._due |= take.due
            if self._due and self._taken:
                self._look()
            return
        self._next = take
        if not self._customer:
            self._sit(take)
        else:
            self._wait_for_way()

    def _wait_for_way(self) -> None:
        if self._served:
            self._make_way()
        elif self._grace is None:
            self._grace = asyncio.get_running_loop().call_later(GRACE_S, guarded, self.broke, self._make_way)

    def _make_way(self) -> None:
        """Has the customer leave, if another one waits: it was served, or nobody has asked for it in time."""
        self._forget_grace()
        if self._next is not None and self._customer and self._taken and not self._leaving:
            self._leave()

    def _leave(self) -> None:
        self._leaving = True
        self._cell.leave(self._customer)

    def left(self, customer: str, due_ms: int | None) -> None:
        """The cell has let the customer go: because it was told to, because it was idle, or because another has it."""
        assert customer == self._customer, (customer, self._customer)
        self._forget_grace()
        self._tell(Left(customer, due_ms))
        waiting, self._waiting = self._waiting, []
        self._customer, self._taken, self._leaving = "", False, False
        for line, message in waiting:
            _turn_away(line, message)
        if self._next is not None:
            self._sit(self._next)
        else:
            self._tell_sitting()

    def _sit(self, take: Take) -> None:
        self._next = None
        self._sittings += 1
        self._sitting = f"{self._life}/{self._sittings}"
        self._customer, self._due = take.customer, take.due
        self._taken = self._served = self._leaving = self._unwanted = False
        self._tell_sitting()
        self._tasks.begin(self._take_scope(take.customer))

    async def _take_scope(self, customer: str) -> None:
        await self._cell.take(customer)
        if self._customer != customer:
            return  # It left meanwhile.
        self._taken = True
        if self._unwanted:
            self._leave()
            return
        waiting, self._waiting = self._waiting, []
        for line, message in waiting:
            # The first of them may have been all it sat here for.
            self._admit(customer, line, message)
        if self._due and self._customer == customer and not self._leaving:
            self._look()
        if self._next is not None:
            self._wait_for_way()

    def _look(self) -> None:
        """Time has come for the customer."""
        self._due = False
        self._cell.look(self._customer)
        self._served = True

    def _forget_grace(self) -> None:
        if self._grace is not None:
            self._grace.cancel()
            self._grace = None

    # The usher

    def _tell_sitting(self) -> None:
        self._tell(Sitting(self._index, self._customer, self._cell.position, self._sitting))

    def _tell(self, message: Sitting | Left | Touched) -> None:
        """A usher that is not there hears it from our first word to its next life."""
        if self._usher is not None:
            self._usher.send(message)


def _turn_away(line: Line, message: AnyToCell) -> None:
    match message:
        case UnwatchConversation() | UnwatchList() | Heard() | TakersAre():
            pass  # Whoever has left is watched no more.
        case _:
            line.send(Elsewhere(message.ref))
