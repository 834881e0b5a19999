"""Asking: the lines to the cells, and what was asked by them and is not answered yet.

    put_to(customer) ── its cell is known ──▶ put_at(cell) ──▶ line          answered(cell) ──▶ who asked
                     └─ it has none ────────▶ homeless.py, and one is looked for, if there is such a customer

Questions of one customer keep their order, also when they are asked again. What follows an input that was answered
`Moved` or `Unlinked` is not asked again but answered alike: another life or cell knows nothing of that answer, and
would decide it ahead of the input that was turned away.

Which question is asked of which cell, and for whom, is changed here alone; `forwarding.py` and `sittings.py` say when.
"""

import itertools
from collections.abc import Callable, Collection, Sequence

import msgspec

from actors.lines import Line
from orchestrator.cell_lines import questions
from orchestrator.cell_lines.homeless import Homeless
from orchestrator.cell_lines.places import NOWHERE, Places
from orchestrator.cell_lines.questions import Asked, Done, Reply
from orchestrator.cell_lines.strangers import Strangers
from protocol.inbound import InboundEvent
from protocol.links import AnyToCell, Input, Moved, Unlinked
from protocol.shards import shard_of

_NOTHING: Asked = {}
"""What a cell that is gone was asked."""

Overtaking = list[tuple[Done, Reply]]
"""For each question that is not asked again: who asked it, and the answer, which is given when the others were
asked."""


class Asking:
    """Pooled there are `count` cells, from the start. With `places` there are those that were added."""

    def __init__(self, count: int, places: Places | None) -> None:
        self.lines: dict[int, Line | None] = dict.fromkeys(range(count))
        """By cell; None where it was not reached yet."""
        self.open: list[Line] = []
        """Those that were reached."""
        self.index_of = {f"cell:{index}": index for index in range(count)}
        """By a line's peer."""
        self._asked: dict[int, Asked] = {index: {} for index in range(count)}
        """By cell, what it has not answered."""
        self._homeless = Homeless()
        self._meant_for: dict[int, str] = {}
        """By ref, of questions that were asked of another customer than they were meant for: that customer."""
        self.place: Callable[[str], int] = places.cell_of if places is not None else _by_shard(count)
        """The index of a customer's cell, or `NOWHERE`."""
        self.new_ref: Callable[[], int] = itertools.count(1).__next__
        """For one question."""
        self.overtaking: Callable[[Sequence[Input]], list[Moved | Unlinked]] = lambda _: []
        """Of inputs in order: the answers to those that would overtake one that was turned away and is held."""
        self.strangers: Strangers | None = None
        """Finds out whether there is a customer that somebody named, before a cell is looked for. Without it one is
        looked for at once."""
        self._places = places
        self._nobody = (None, self._late)

    def __len__(self) -> int:
        """Questions under way."""
        return sum(map(len, self._asked.values())) + len(self._homeless)

    def is_open(self, index: int) -> bool:
        """Whether that cell can be reached now."""
        line = self.lines.get(index)
        return line is not None and line.open

    # Asked, and answered

    def put_to(self, customer: str, ref: int, question: AnyToCell, done: Done) -> None:
        """Asks the cell that has the customer; where none has, the question waits for it."""
        index = self.place(customer)
        if index != NOWHERE:
            self.put_at(index, ref, question, done)
        else:
            assert self._places is not None
            self._homeless.add(customer, {ref: (question, done)})
            if self.strangers is not None and questions.is_hearsay(question):
                self.strangers.look_up(customer, ref)
            else:
                self._places.look_for(customer)

    def there_is(self, customer: str) -> None:
        """There is such a customer: what waits for its cell, unless it has one by now, is worth one."""
        assert self._places is not None
        if self._homeless.of(customer):
            self._places.look_for(customer)

    def there_is_none(self, customer: str, refs: Collection[int]) -> None:
        """There was no such customer as these were asked. What else waits for its cell is no hearsay: the customer is
        perhaps about to come."""
        for ref, (question, done) in self._homeless.take_some(customer, refs).items():
            self._meant_for.pop(ref, None)
            done(questions.refused_of_nobody(question, customer, ref))

    def put_for(self, member: str, home: str, ref: int, question: AnyToCell, done: Done) -> None:
        """Asks whom the customer it is meant for was merged into."""
        self._meant_for[ref] = member
        self.put_to(home, ref, questions.put_to(question, home), done)

    def put_at(self, index: int, ref: int, question: AnyToCell, done: Done) -> None:
        """Asks one cell: now, or as soon as it is reached."""
        self._asked[index][ref] = (question, done)
        line = self.lines[index]
        if line is not None:
            line.send(question)

    def answered(self, index: int, reply: Reply) -> None:
        """Hands a cell's reply to whoever asked."""
        # A cell that is gone may still be heard of: its customers' questions were taken from it.
        asked, done = self._asked.get(index, _NOTHING).pop(reply.ref, self._nobody)
        if self._meant_for and asked is not None:
            reply = self._as_meant(reply)
        done(reply)

    def _as_meant(self, reply: Reply) -> Reply:
        """The reply by the name of whom its question was meant for."""
        meant = self._meant_for.pop(reply.ref, None)
        if meant is not None and isinstance(reply, Unlinked):
            return msgspec.structs.replace(reply, customer=meant)
        return reply

    def _late(self, reply: Reply) -> None:
        """An answer to what that cell is no longer asked. A repeat, of one that was asked again, is for nobody."""
        if done := self._homeless.answered(reply.ref):
            done(reply)

    # Cells that come and go

    def add(self, index: int) -> None:
        """There is such a cell from now on."""
        self.index_of[f"cell:{index}"] = index
        self.lines[index], self._asked[index] = None, {}

    def reached(self, index: int, line: Line) -> None:
        """This is its line."""
        self.lines[index] = line
        self._note_open()

    def remove(self, index: int) -> tuple[list[str], Asked]:
        """There is no such cell any more, and what was asked about its customers waits for their next cells. Returns
        these customers, and what was asked of the cell itself, which nobody will answer."""
        self.lines.pop(index)
        self._note_open()
        asked = self._asked.pop(index)
        customers = list(dict.fromkeys(filter(None, map(questions.asked_about, asked.values()))))
        for customer in customers:
            self._homeless.add(customer, questions.about(customer, asked))
        return customers, {ref: each for ref, each in asked.items() if questions.asked_about(each) is None}

    def _note_open(self) -> None:
        self.open = [each for each in self.lines.values() if each is not None]

    # Customers that come to a cell and leave it

    def unseat(self, customer: str, index: int, *, lingers: bool = False) -> None:
        """What the customer asked of that cell waits for its next one. `lingers`: the answer may be on its way."""
        self._homeless.add(customer, self._taken_from(index, customer), lingers_at=index if lingers else None)

    def seat(self, customer: str, index: int) -> Overtaking:
        """Asks that cell all that waits for the customer, in order; each question under a new ref. Returns what is not
        asked again."""
        asked = self._homeless.take(customer)
        overtaking = self.take_overtaking(asked)
        for ref, (question, done) in sorted(asked.items()):
            new_ref = self.new_ref()
            if (meant := self._meant_for.pop(ref, None)) is not None:
                self._meant_for[new_ref] = meant
            self.put_at(index, new_ref, questions.again(question, new_ref), done)
        return overtaking

    def whose(self, index: int, ref: int) -> str | None:
        """The customer of a question that this cell is asked; None where it is not, or not about one."""
        asked = self._asked.get(index, _NOTHING)
        return questions.asked_about(asked[ref]) if ref in asked else None

    def denied(self, ref: int) -> str | None:
        """A former cell will not answer what lingered there: whose it is, unless that was asked elsewhere by now."""
        return self._homeless.denied(ref)

    def ended(self, index: int) -> list[str]:
        """A cell that is gone, or new, answers nothing of what it was asked before: whose questions lingered there."""
        return self._homeless.ended(index)

    # Asked again

    def ask_again(self, index: int) -> Overtaking:
        """Asks a cell that is new what its former life did not answer, in order."""
        line = self.lines[index]
        assert line is not None
        overtaking = self.take_overtaking(self._asked[index])
        for ref, (question, _) in list(self._asked[index].items()):
            line.send(questions.again(question, ref))
        return overtaking

    def take_overtaking(self, asked: Asked) -> Overtaking:
        """Takes out, of what is to be asked again, the inputs that would overtake one that was turned away and waits
        for them. Only the life and seat that turned that one away would answer them alike, so the answers are given
        here."""
        inputs = [each for _, (each, _) in sorted(asked.items()) if isinstance(each, Input)]
        return [(asked.pop(answer.ref)[1], self._as_meant(answer)) for answer in self.overtaking(inputs)]

    # What was asked for whom

    def inputs_of(self, customers: set[str]) -> list[InboundEvent]:
        """The events of theirs that are not answered. Looks through all there are."""
        found = [
            question
            for asked in self._asked.values()
            for each in customers
            for question, _ in questions.about(each, asked).values()
        ]
        found += [question for each in customers for question, _ in self._homeless.of(each)]
        return [question.event for question in found if isinstance(question, Input)]

    def take_turned_away(self, index: int, ref: int) -> Asked:
        """Takes a question that this cell turned away; empty where it is not asked that."""
        asked = self._asked.get(index, _NOTHING)
        return {ref: asked.pop(ref)} if ref in asked else {}

    def take_of(self, customer: str) -> Asked:
        """Takes the customer's from all cells, and from what waits for one."""
        taken: Asked = {}
        for index in self._asked:
            taken |= self._taken_from(index, customer)
        return taken | self._homeless.take(customer)

    def take_about(self, members: set[str]) -> Asked:
        """Takes what was meant for one of these, or names something that was theirs when it began, whichever cell was
        asked; likewise from what waits."""

        def is_about(ref: int, question: AnyToCell) -> bool:
            return self._meant_for.get(ref) in members or questions.named_in(question) in members

        found = self._homeless.take_about(is_about)
        for asked in self._asked.values():
            taken = {ref: each for ref, each in asked.items() if is_about(ref, each[0])}
            for ref in taken:
                del asked[ref]
            found |= taken
        return found

    def take_meant(self, ref: int, otherwise: str) -> str:
        """The customer that a question was meant for, which was taken to be asked anew under another ref: `otherwise`
        where that is whom it was asked of."""
        return self._meant_for.pop(ref, otherwise)

    def _taken_from(self, index: int, customer: str) -> Asked:
        asked = self._asked[index]
        taken = questions.about(customer, asked)
        for ref in taken:
            del asked[ref]
        return taken


def answer(overtaking: Overtaking) -> None:
    """Gives those who asked the answers to what was not asked again."""
    for done, reply in overtaking:
        done(reply)


def _by_shard(count: int) -> Callable[[str], int]:
    return lambda customer: shard_of(customer) % count
