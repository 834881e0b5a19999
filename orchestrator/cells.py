"""Cells: the gateway's and the channel host's side of their lines to the cells.

Routes by customer, numbers questions, and asks again whatever a cell has not answered when that cell comes back as a
new life. Questions of one customer keep their order, also when they are asked again.

A merged customer's questions go to whom it was merged into (`homes.py`), also those that its own cell turned away.

What follows an input that was answered `Moved` is not asked again, but answered so: elsewhere nobody knows of that, and
it would be overtaken.

Pooled, a customer's shard names its cell. Dedicated, `Places` knows which one it has: while it has none its questions
wait (`homeless.py`), and what is unanswered goes with it to where it sits next.
"""

import asyncio
import contextlib
from collections.abc import Callable

import msgspec

from actors.fault import Fault
from actors.lines import Line
from orchestrator import questions
from orchestrator.homeless import Asked, Done, Homeless, Reply
from orchestrator.homes import Homes
from orchestrator.places import NOWHERE, Places
from protocol.errors import Code, Refusal
from protocol.inbound import InboundEvent
from protocol.links import (
    Answered,
    AnyLink,
    AnyToCell,
    CellIs,
    CustomerRead,
    DeliverNow,
    Elsewhere,
    ForSitting,
    HeadsAre,
    Heard,
    Input,
    ListChanged,
    ListWatched,
    Moved,
    Overflowed,
    PolicyIs,
    Refused,
    Rehomed,
    Settle,
    TakersAre,
    Unlinked,
    Updated,
    Watched,
    WatchList,
)
from protocol.shards import shard_of

_NOTHING: Asked = {}
"""What a cell that is gone was asked."""
LEFT_MAX = 64
"""Customers that left one cell: a pipe is acknowledged after 32 blobs at the latest, and each had one of its own."""


class Cells:
    """Lines to the cells of the node. Set the `on_…` listeners before the first line opens.

    Pooled there are `count`, from the start. With `places` there are those that have `joined`.
    """

    def __init__(self, count: int, places: Places | None = None) -> None:
        self._lines: dict[int, Line | None] = dict.fromkeys(range(count))
        self._open: list[Line] = []
        """Those that were reached."""
        self._indexes = {f"cell:{index}": index for index in range(count)}
        self._asked: dict[int, Asked] = {index: {} for index in range(count)}
        self._homeless = Homeless()
        self._left: dict[int, dict[str, None]] = {}
        """By cell: customers that left it, the newest last. Should it die, its last words on them may be lost."""
        self._nobody = (None, self._late)
        self._places = places
        self._place: Callable[[str], int] = places.cell_of if places is not None else _by_shard(count)
        self._homes = Homes()
        self._origin: dict[int, str] = {}
        """By ref, of questions that were asked of another customer than they were meant for: for whom."""
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
        """Of a cell, or `NOWHERE`: of all customers that have none."""
        self.on_moved: Callable[[str], None] = _ignore
        self.moved_to: Callable[[Input], tuple[str, str] | None] = _ignore
        """Of a proposed input, the identity and customer for which an earlier one under its proposal was sent on."""
        self.on_policy: Callable[[PolicyIs], None] = _ignore
        """Of each version that is newer than all before."""
        self.policy = 1
        """The newest version that a cell decides by."""
        self._policies: dict[int, int] = {}
        """By cell: the version it last named; those that named none decide by the settings'."""
        self._policy_moved = asyncio.Event()
        self._introduced = asyncio.Event()
        """A cell has said who it is."""

    @property
    def indexes(self) -> list[int]:
        """Which cells there are now."""
        return list(self._lines)

    @property
    def interchangeable(self) -> bool:
        """Whether any cell can serve any customer, so that none of them is missed."""
        return self._places is not None

    def unreachable(self) -> list[str]:
        """Whose pipe is down, though questions need it: `cell 0`, `usher`."""
        if self._places is not None:
            return self._places.unreachable()
        return [f"cell {index}" for index in self._lines if not self.is_open(index)]

    def cell_of(self, customer: str) -> int:
        """The index of the cell that hosts the customer, or whom it was merged into."""
        return self._place(self.home_of(customer))

    def home_of(self, customer: str) -> str:
        """Whose the customer's affairs are, as far as was heard."""
        return self._homes.of(customer) if customer in self._homes else customer

    def is_open(self, index: int) -> bool:
        """Whether that cell can be reached now."""
        line = self._lines.get(index)
        return line is not None and line.open

    @property
    def full(self) -> bool:
        """Whether a cell takes in more slowly than it is given: new inputs should wait."""
        for line in self._open:  # noqa: SIM110 - asked for every event; `any` and its generator cost twice as much
            if line.full:
                return True
        return False

    @property
    def unanswered(self) -> int:
        """Questions under way."""
        return sum(map(len, self._asked.values())) + len(self._homeless)

    async def opened_all(self) -> None:
        """Returns when every cell, or of those that join the first, has been reached once."""
        await self._all_open.wait()
        # Its word on the policy is behind that: who takes events in knows the accounts that a bundle has.
        await self._introduced.wait()

    def send(self, customer: str, message: AnyToCell) -> None:
        """Tells a customer's cell; lost if the cell is replaced, so for what a new cell need not know."""
        home = self.home_of(customer)
        line = self._lines.get(self._place(home))
        if line is not None:
            line.send(message if home == customer else questions.put_to(message, home))

    def tell_all(self, message: AnyToCell) -> None:
        """Tells every cell, likewise."""
        for line in self._open:
            line.send(message)

    def takers_are(self, accounts: list[str], cell: int | None = None) -> None:
        """Tells which accounts' deliveries are taken here: all who wait for it, or one cell that is new."""
        takers = TakersAre(accounts)
        if cell is None:
            self.tell_all(takers)
            if self._places is not None:
                self._places.takers_are(takers)
        elif (line := self._lines.get(cell)) is not None:
            line.send(takers)

    def ask(self, customer: str, make: Callable[[int], AnyToCell], done: Done) -> None:
        """Asks a customer's cell; `make` gets the question's ref, `done` the reply, exactly once."""
        ref = self.new_ref()
        self.put(customer, ref, make(ref), done)

    def new_ref(self) -> int:
        """For one question."""
        self._ref += 1
        return self._ref

    def put(self, customer: str, ref: int, question: AnyToCell, done: Done) -> None:
        """Asks a customer's cell a question under a `ref` of ours; `done` gets the reply, exactly once."""
        if customer in self._homes:
            self._put_home(customer, ref, question, done)
            return
        self._put_to(customer, ref, question, done)

    def inputs_under_way(self, customer: str) -> list[InboundEvent]:
        """The events that a customer's cell was asked and has not answered. Looks through all there are."""
        whose = {customer, self.home_of(customer)}
        asked = [
            question
            for asked in self._asked.values()
            for each in whose
            for question, _ in questions.about(each, asked).values()
        ]
        asked += [question for each in whose for question, _ in self._homeless.of(each)]
        return [question.event for question in asked if isinstance(question, Input)]

    def ask_cell(self, index: int, make: Callable[[int], AnyToCell], done: Done) -> None:
        """Asks one cell."""
        ref = self.new_ref()
        self._put_at(index, ref, make(ref), done)

    def _put_to(self, customer: str, ref: int, question: AnyToCell, done: Done) -> None:
        index = self._place(customer)
        if index != NOWHERE:
            self._put_at(index, ref, question, done)
        else:
            assert self._places is not None
            self._homeless.add(customer, {ref: (question, done)})
            self._places.look_for(customer)

    def _put_at(self, index: int, ref: int, question: AnyToCell, done: Done) -> None:
        self._asked[index][ref] = (question, done)
        line = self._lines[index]
        if line is not None:
            line.send(question)

    def _put_home(self, customer: str, ref: int, question: AnyToCell, done: Done) -> None:
        """Asks whose the customer's affairs are; the first time behind a word on each merge on the way there."""
        path = self._homes.path(customer)
        home = path[-1][1].customer if path else customer
        for member, known in path:
            if not known.told:
                known.told = True
                self._tell_home(member, known.customer, known.turn, home)
                # Behind that word by its number as well: what is asked again, is in the order of these.
                ref = self.new_ref()
                question = msgspec.structs.replace(question, ref=ref)
        if home != customer:
            self._origin[ref] = customer
            question = questions.put_to(question, home)
        self._put_to(home, ref, question, done)

    def _tell_home(self, member: str, home: str, turn: int, root: str) -> None:
        if home not in (member, root):
            return  # It gave itself on since: it had taken the member in before.
        ref = self.new_ref()
        self._put_to(home, ref, Settle(ref, home, "" if home == member else member, turn, home == member), _ignore)

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
        if index not in self._lines:
            return  # It is gone, and was still being reached.
        self._lines[index] = line
        self._open = [each for each in self._lines.values() if each is not None]
        if fresh:
            self._policies.pop(index, None)
            self._name_sitting(index)
            overtaking = self._take_overtaking(self._asked[index])
            for ref, (question, _) in list(self._asked[index].items()):
                line.send(questions.again(question, ref))
            self._look_for_lingering(index)
            self._look_after_left(index)
            self.on_fresh(index)
            _answer(overtaking)
        if self._places is not None or len(self._open) == len(self._lines):
            self._all_open.set()

    def closed(self, line: Line) -> None:
        """It reconnects by itself."""

    def broke(self, exc: Exception) -> None:
        """A listener or who asked raised: whoever runs this ends with it."""
        self.fault.set(exc)

    def received(self, line: Line, message: AnyLink) -> None:
        """Hands a reply to who asked, and what nobody asked for to the listeners."""
        match message:
            # By far the most, and in front of those that are asked for each in turn.
            case Updated():
                self.on_updated(message)
            case Answered() | Refused() | Moved() | Unlinked() | Watched() | CustomerRead() | ListWatched():
                # A cell that is gone may still be heard of: its customers' questions were taken from it.
                asked, done = self._asked.get(self._indexes[line.peer], _NOTHING).pop(message.ref, self._nobody)
                meant = self._origin.pop(message.ref, None) if self._origin and asked is not None else None
                if meant is not None and isinstance(message, Unlinked):
                    message = msgspec.structs.replace(message, customer=meant)
                done(message)
            case Rehomed():
                self._rehomed(self._indexes[line.peer], line, message)
            case HeadsAre():
                self.on_heads(message)
            case ListChanged():
                self.on_list_changed(message)
            case DeliverNow():
                self.on_deliver(message)
            case CellIs():
                self.generation = message.generation
                self._introduced.set()
            case PolicyIs():
                self._policy_is(self._indexes[line.peer], message)
            case Overflowed():
                self.on_fresh(self._indexes[line.peer])
                if self._places is not None:
                    self.on_fresh(NOWHERE)  # What was lost may be of customers that left since.
            case Elsewhere():
                self._elsewhere(self._indexes[line.peer], message.ref)
            case _:
                raise AssertionError(f"a cell does not say {type(message).__name__}")

    # Merges

    def _rehomed(self, index: int, line: Line, said: Rehomed) -> None:
        """A customer's affairs are another's, or its own again. What was asked before is answered; what is not goes on
        to where it belongs, in order."""
        customer = said.customer
        news = self._homes.learn(customer, said.home, said.turn)
        asked = self._asked.get(index, {})
        taken = {said.ref: asked.pop(said.ref)} if said.ref in asked else {}
        if said.home != customer:
            line.send(Heard(customer))
            for other in self._asked:
                taken |= self._taken_from(other, customer)
            taken |= self._homeless.take(customer)
        else:
            taken |= self._about(customer)
        overtaking = self._take_overtaking(taken)
        for ref, (question, done) in sorted(taken.items()):
            meant = self._origin.pop(ref, customer)
            if not isinstance(question, Settle):
                ref = self.new_ref()
                self._put_home(meant, ref, questions.asked_of(question, meant, ref), done)
            elif done is not _ignore:
                done(Refused(ref, Code.NOT_ALLOWED_NOW, f"{customer} has changed hands since", "customer"))
        if news:
            self._say_moved(customer)
        _answer(overtaking)

    def _about(self, member: str) -> Asked:
        """Takes from all cells, and from what waits for one, what was asked for one who is no member any more."""
        left = {member, *self._homes.members_of(member)}

        def is_about(ref: int, question: AnyToCell) -> bool:
            return self._origin.get(ref) in left or questions.named_in(question) in left

        found = self._homeless.take_about(is_about)
        for asked in self._asked.values():
            taken = {ref: each for ref, each in asked.items() if is_about(ref, each[0])}
            for ref in taken:
                del asked[ref]
            found |= taken
        return found

    def _say_moved(self, customer: str) -> None:
        """Of the customer, and of its members: who watches them asks again."""
        self.on_moved(customer)
        for member in self._homes.members_of(customer) if len(self._homes) else ():
            self.on_moved(member)

    # The policy

    def _policy_is(self, index: int, said: PolicyIs) -> None:
        self._policies[index] = said.version
        self._policy_moved.set()
        if said.version > self.policy:
            self.policy = said.version
            self.on_policy(said)

    def behind(self, version: int) -> list[int]:
        """The cells that can be reached, and have not said that they decide by `version` or a newer one."""
        return [index for index in self._lines if self.is_open(index) and self._policies.get(index, 1) < version]

    async def deciding_by(self, version: int, *, within_s: float) -> list[int]:
        """Waits until every cell that can be reached decides by it; returns those that were late."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self.behind(version):
                    self._policy_moved.clear()
                    await self._policy_moved.wait()
        return self.behind(version)

    # Cells and customers that come and go

    def joined(self, index: int) -> None:
        """There is such a cell from now on; its line will open."""
        self._indexes[f"cell:{index}"] = index
        self._lines[index], self._asked[index] = None, {}

    def gone(self, index: int, *, lost: bool) -> None:
        """There is no such cell any more: its customers are looked for, and no list of it has anything to show. `lost`:
        what it said last may not have arrived."""
        assert self._places is not None
        self._lines.pop(index)
        self._policies.pop(index, None)
        self._policy_moved.set()
        self._open = [each for each in self._lines.values() if each is not None]
        asked = self._asked.pop(index)
        for ref, (question, done) in asked.items():
            if isinstance(question, WatchList):
                done(ListWatched(ref, question.list, 0))
        for customer in dict.fromkeys(filter(None, map(questions.asked_about, asked.values()))):
            self._homeless.add(customer, questions.about(customer, asked))
            self._places.look_for(customer)
        self._look_for_lingering(index)
        if lost:
            self._look_after_left(index)
        self._left.pop(index, None)

    def displaced(self, customer: str, index: int) -> None:
        """Another customer has that cell now. What this one asked of it is answered, or will be denied; the pipe that
        says which is not the one that says this."""
        self._homeless.add(customer, self._taken_from(index, customer), lingers_at=index)
        left = self._left.setdefault(index, {})
        left.pop(customer, None)
        left[customer] = None
        if len(left) > LEFT_MAX:
            del left[next(iter(left))]

    def moved(self, customer: str, index: int, *, before: int) -> None:
        """The customer has that cell from now on: all that is unanswered goes there, in order, also what was asked of
        the cell `before`, which is this one where the customer left it and came back.

        Each question gets a new ref. Should the former asking be answered or denied all the same, that counts for
        nothing: the cell knows what was committed, and a denial of then says nothing of now.
        """
        if before != NOWHERE:
            self._homeless.add(customer, self._taken_from(before, customer))
        asked = self._homeless.take(customer)
        overtaking = self._take_overtaking(asked)
        line = self._lines[index]
        self._name_sitting(index)
        for ref, (question, done) in sorted(asked.items()):
            self._ref += 1
            question = questions.again(question, self._ref)
            if (meant := self._origin.pop(ref, None)) is not None:
                self._origin[self._ref] = meant
            self._asked[index][self._ref] = (question, done)
            if line is not None:
                line.send(question)
        self._say_moved(customer)
        _answer(overtaking)

    def _take_overtaking(self, asked: Asked) -> list[tuple[Done, Moved]]:
        """Takes out, of what is to be asked again, inputs that would overtake one that was answered `Moved` and waits
        for them. Only the life and seat that answered it would answer them so; they are, when the others were asked."""
        proposed = {ref: each for ref, (each, _) in asked.items() if isinstance(each, Input) and each.proposed}
        moved = {ref: to for ref, each in sorted(proposed.items()) if (to := self.moved_to(each)) is not None}
        return [(asked.pop(ref)[1], Moved(ref, *to)) for ref, to in moved.items()]

    def _name_sitting(self, index: int) -> None:
        line = self._lines[index]
        if self._places is not None and line is not None:
            line.send(ForSitting(self._places.sitting_at(index)))

    def _elsewhere(self, index: int, ref: int) -> None:
        """The cell does not have the question's customer: it, and all that followed it, wait for the next cell."""
        assert self._places is not None
        asked = self._asked.get(index, {})
        customer = questions.asked_about(asked[ref]) if ref in asked else None
        if customer is not None:
            self._homeless.add(customer, self._taken_from(index, customer))
            self._places.denied(customer, index)
        elif (lingering := self._homeless.denied(ref)) is not None:
            self._places.look_for(lingering)

    def _late(self, reply: Reply) -> None:
        """An answer to what that cell is no longer asked. A repeat, of one that was asked again, is for nobody."""
        if done := self._homeless.answered(reply.ref):
            done(reply)

    def _look_for_lingering(self, index: int) -> None:
        for customer in self._homeless.ended(index):
            assert self._places is not None
            self._places.look_for(customer)

    def _look_after_left(self, index: int) -> None:
        """Who watches a customer that left this cell asks again, unless it did so where the customer sits now."""
        for customer in self._left.pop(index, {}):
            if self._place(customer) == NOWHERE:
                self._say_moved(customer)

    def _taken_from(self, index: int, customer: str) -> Asked:
        """The customer's questions to that cell, which are no longer the cell's."""
        asked = self._asked[index]
        taken = questions.about(customer, asked)
        for ref in taken:
            del asked[ref]
        return taken


def _answer(replies: list[tuple[Done, Moved]]) -> None:
    for done, reply in replies:
        done(reply)


def _by_shard(count: int) -> Callable[[str], int]:
    return lambda customer: shard_of(customer) % count


def _ignore(_: object) -> None:
    """A listener nobody set."""
