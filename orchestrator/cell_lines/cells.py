"""Cells: the gateway's and the channel host's side of their lines to the cells.

A question's way leads through these files: to the customer that its own was merged into (`forwarding.py`, `homes.py`),
over the line of the cell that has that customer (`asking.py`), or to a wait until one has (`homeless.py`). A cell that
comes back as a new life is asked again what its former life did not answer. Pooled, a customer's shard names its cell;
dedicated, customers come to cells and leave them (`sittings.py`, `places.py`). Messages that answer no question go to
the listeners.
"""

import asyncio
from collections.abc import Callable, Sequence

from actors.fault import Fault
from actors.lines import Line
from orchestrator.cell_lines import questions
from orchestrator.cell_lines.asking import Asking, answer
from orchestrator.cell_lines.deciders import Deciders
from orchestrator.cell_lines.forwarding import Forwarding
from orchestrator.cell_lines.places import NOWHERE, Places
from orchestrator.cell_lines.questions import Done, Reply
from orchestrator.cell_lines.sittings import Sittings
from orchestrator.cell_lines.strangers import KnownOf, Strangers
from protocol.errors import Code, Refusal, shown
from protocol.ids import may_be_customer
from protocol.inbound import InboundEvent
from protocol.links import (
    Answered,
    AnyLink,
    AnyToCell,
    Attempt,
    CellIs,
    CustomerRead,
    Elsewhere,
    HeadsAre,
    Input,
    ListChanged,
    ListWatched,
    Moved,
    Overflowed,
    PolicyIs,
    Refused,
    Rehomed,
    TakersAre,
    Unlinked,
    Updated,
    Watched,
)


class Cells:
    """Lines to the cells of the node. Set the `on_…` listeners before the first line opens.

    Pooled there are `count`, from the start. With `places` there are those that have joined (`sittings`), and with
    `known_of` one is found for those alone who are known by it.
    """

    def __init__(self, count: int, places: Places | None = None, known_of: KnownOf | None = None) -> None:
        # What a question meets on its way is of one subject each.
        self._asking = Asking(count, places)
        self._forwarding = Forwarding(self._asking, lambda customer: self.on_moved(customer))
        if known_of is not None:
            self._asking.strangers = Strangers(
                known_of, there_is=self._asking.there_is, there_is_none=self._asking.there_is_none, broke=self.broke
            )
        self._merged = self._forwarding.homes.known
        self._places = places
        self.deciders = Deciders(self._asking)
        self._sittings = (
            Sittings(self._asking, self.deciders, places, self._forwarding.say_moved) if places is not None else None
        )
        self.new_ref = self._asking.new_ref
        """For one question."""
        self.fault = Fault()
        self.generation = ""
        """Of the journal behind the cells; empty until the first cell said it."""
        self._all_open = asyncio.Event()
        self._introduced = asyncio.Event()
        """A cell has said who it is."""
        self.on_updated: Callable[[Updated], None] = _ignore
        self.on_list_changed: Callable[[ListChanged], None] = _ignore
        self.on_heads: Callable[[HeadsAre], None] = _ignore
        self.on_deliver: Callable[[Attempt], None] = _ignore
        self.on_fresh: Callable[[int], None] = _ignore
        """Of a cell, or `NOWHERE`: of all customers that have none."""
        self.on_moved: Callable[[str], None] = _ignore

    @property
    def sittings(self) -> Sittings:
        """Customers that come and go; only in dedicated placement."""
        assert self._sittings is not None
        return self._sittings

    # Who is there

    @property
    def indexes(self) -> list[int]:
        """Which cells there are now."""
        return list(self._asking.lines)

    @property
    def interchangeable(self) -> bool:
        """Whether any cell can serve any customer, so that none of them is missed."""
        return self._places is not None

    def unreachable(self) -> list[str]:
        """Names of the parts that questions need and whose pipe is down: `cell 0`, `usher`."""
        if self._places is not None:
            return self._places.unreachable()
        return [f"cell {index}" for index in self._asking.lines if not self.is_open(index)]

    def cell_of(self, customer: str) -> int:
        """The index of the cell that hosts the customer, or whom it was merged into."""
        return self._asking.place(self.home_of(customer))

    def home_of(self, customer: str) -> str:
        """The customer that this one was merged into, as far as was heard; else this one."""
        return self._forwarding.homes.of(customer) if customer in self._merged else customer

    def is_open(self, index: int) -> bool:
        """Whether that cell can be reached now."""
        return self._asking.is_open(index)

    @property
    def full(self) -> bool:
        """Whether a cell takes in more slowly than it is given: new inputs should wait."""
        for line in self._asking.open:  # noqa: SIM110 - for every event; `any` and its generator cost twice as much
            if line.full:
                return True
        return False

    @property
    def unanswered(self) -> int:
        """Questions under way."""
        return len(self._asking)

    async def opened_all(self) -> None:
        """Returns when every cell, or of those that join the first, has been reached once."""
        await self._all_open.wait()
        # Its word on the policy is behind that: whoever takes events in knows the accounts that a bundle has.
        await self._introduced.wait()

    # Telling and asking

    def send(self, customer: str, message: AnyToCell) -> None:
        """Tells a customer's cell; lost if the cell is replaced, so for what a new cell need not know."""
        home = self.home_of(customer)
        line = self._asking.lines.get(self._asking.place(home))
        if line is not None:
            line.send(message if home == customer else questions.put_to(message, home))

    def tell_all(self, message: AnyToCell) -> None:
        """Tells every cell, likewise."""
        for line in self._asking.open:
            line.send(message)

    def takers_are(self, accounts: list[str], cell: int | None = None) -> None:
        """Tells which accounts' deliveries are taken here: to every cell and the usher, or to one cell that is new."""
        takers = TakersAre(accounts)
        if cell is None:
            self.tell_all(takers)
            if self._places is not None:
                self._places.takers_are(takers)
        elif (line := self._asking.lines.get(cell)) is not None:
            line.send(takers)

    def ask(self, customer: str, make: Callable[[int], AnyToCell], done: Done) -> None:
        """Asks a customer's cell; `make` gets the question's ref, `done` the reply, exactly once."""
        ref = self.new_ref()
        if may_be_customer(customer):
            self.put(customer, ref, make(ref), done)
            return
        # No cell has it, and in dedicated placement the question would wait for a seat that nobody gets.
        no_id = "no conversation has such an id: it is <customer>-<number>"
        text = f"no customer {shown(customer)}" if customer else no_id
        asyncio.get_running_loop().call_soon(self.fault.guarded, done, Refused(ref, Code.NOT_FOUND, text))

    def put(self, customer: str, ref: int, question: AnyToCell, done: Done) -> None:
        """Asks a customer's cell a question under a `ref` of ours; `done` gets the reply, exactly once."""
        if customer in self._merged:
            self._forwarding.put(customer, ref, question, done)
        else:
            self._asking.put_to(customer, ref, question, done)

    def ask_cell(self, index: int, make: Callable[[int], AnyToCell], done: Done) -> None:
        """Asks one cell."""
        ref = self.new_ref()
        self._asking.put_at(index, ref, make(ref), done)

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

    # Inputs, to whoever routes them

    def inputs_under_way(self, customer: str) -> list[InboundEvent]:
        """The events that a customer's cell was asked and has not answered. Looks through all there are."""
        return self._asking.inputs_of({customer, self.home_of(customer)})

    def follow_turned_away(self, overtaking: Callable[[Sequence[Input]], list[Moved | Unlinked]]) -> None:
        """Sets what is asked before inputs are asked again: it gives the answers to those of them that would overtake
        one that was turned away; they are not asked again."""
        self._asking.overtaking = overtaking

    # Lines

    def opened(self, line: Line, *, fresh: bool) -> None:
        """A cell is there. One that is new is asked again what its former life did not answer, in order."""
        index = self._asking.index_of[line.peer]
        if index not in self._asking.lines:
            return  # It was removed while it was being reached.
        self._asking.reached(index, line)
        if fresh:
            self._renewed(index)
        if self._places is not None or len(self._asking.open) == len(self._asking.lines):
            self._all_open.set()

    def _renewed(self, index: int) -> None:
        self.deciders.forget(index)
        if self._sittings is not None:
            self._sittings.named_at(index)
        overtaking = self._asking.ask_again(index)
        if self._sittings is not None:
            self._sittings.renewed(index)
        self.on_fresh(index)
        answer(overtaking)

    def closed(self, line: Line) -> None:
        """It reconnects by itself."""

    def broke(self, exc: Exception) -> None:
        """A listener, or what hears a reply, raised: whoever runs this ends with it."""
        self.fault.set(exc)

    def received(self, line: Line, message: AnyLink) -> None:
        """Hands a reply to whoever asked, and what nobody asked for to the listeners."""
        match message:
            # By far the most, and so the first to be looked for.
            case Updated():
                self.on_updated(message)
            case Answered() | Refused() | Moved() | Unlinked() | Watched() | CustomerRead() | ListWatched():
                self._asking.answered(self._asking.index_of[line.peer], message)
            case Rehomed():
                self._forwarding.rehomed(self._asking.index_of[line.peer], line, message)
            case HeadsAre():
                self.on_heads(message)
            case ListChanged():
                self.on_list_changed(message)
            case Attempt():
                self.on_deliver(message)
            case CellIs():
                self.generation = message.generation
                self._introduced.set()
            case PolicyIs():
                self.deciders.said(self._asking.index_of[line.peer], message)
            case Overflowed():
                self.on_fresh(self._asking.index_of[line.peer])
                if self._places is not None:
                    self.on_fresh(NOWHERE)  # What was lost may be of customers that left since.
            case Elsewhere():
                self.sittings.elsewhere(self._asking.index_of[line.peer], message.ref)
            case _:
                raise AssertionError(f"a cell does not say {type(message).__name__}")


def _ignore(_: object) -> None:
    """A listener nobody set."""
