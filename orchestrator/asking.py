"""Asking: the lines to the cells, and what was asked by them and is not answered yet.

    put_to(customer) ── its cell is known ──▶ put_at(cell) ──▶ line          answered(cell) ──▶ who asked
                     └─ it has none ────────▶ homeless.py, and one is looked for

Questions of one customer keep their order, also when they are asked again. What follows an input that was answered
`Moved` is not asked again, but answered so: elsewhere nobody knows of that, and it would be overtaken.
"""

import itertools
from collections.abc import Callable

import msgspec

from actors.lines import Line
from orchestrator import questions
from orchestrator.homeless import Asked, Done, Homeless, Reply
from orchestrator.places import NOWHERE, Places
from protocol.inbound import InboundEvent
from protocol.links import AnyToCell, Input, Moved, Unlinked
from protocol.shards import shard_of

_NOTHING: Asked = {}
"""What a cell that is gone was asked."""

Overtaking = list[tuple[Done, Moved]]
"""Who asked what is not asked again, and the answer; they get it when the others were asked."""


class Asking:
    """Pooled there are `count` cells, from the start. With `places` there are those that were added."""

    def __init__(self, count: int, places: Places | None) -> None:
        self.lines: dict[int, Line | None] = dict.fromkeys(range(count))
        """By cell; None where it was not reached yet."""
        self.open: list[Line] = []
        """Those that were reached."""
        self.index_of = {f"cell:{index}": index for index in range(count)}
        """By a line's peer."""
        self.asked: dict[int, Asked] = {index: {} for index in range(count)}
        self.homeless = Homeless()
        self.meant_for: dict[int, str] = {}
        """By ref, of questions that were asked of another customer than they were meant for: for whom."""
        self.place: Callable[[str], int] = places.cell_of if places is not None else _by_shard(count)
        """The index of a customer's cell, or `NOWHERE`."""
        self.new_ref: Callable[[], int] = itertools.count(1).__next__
        """For one question."""
        self.moved_to: Callable[[Input], tuple[str, str] | None] = lambda _: None
        """Of a proposed input, the identity and customer for which an earlier one under its proposal was sent on."""
        self._places = places
        self._nobody = (None, self._late)

    def __len__(self) -> int:
        """Questions under way."""
        return sum(map(len, self.asked.values())) + len(self.homeless)

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
            self.homeless.add(customer, {ref: (question, done)})
            self._places.look_for(customer)

    def put_at(self, index: int, ref: int, question: AnyToCell, done: Done) -> None:
        """Asks one cell: now, or as soon as it is reached."""
        self.asked[index][ref] = (question, done)
        line = self.lines[index]
        if line is not None:
            line.send(question)

    def answered(self, index: int, reply: Reply) -> None:
        """Hands a cell's reply to who asked."""
        # A cell that is gone may still be heard of: its customers' questions were taken from it.
        asked, done = self.asked.get(index, _NOTHING).pop(reply.ref, self._nobody)
        meant = self.meant_for.pop(reply.ref, None) if self.meant_for and asked is not None else None
        if meant is not None and isinstance(reply, Unlinked):
            reply = msgspec.structs.replace(reply, customer=meant)
        done(reply)

    def _late(self, reply: Reply) -> None:
        """An answer to what that cell is no longer asked. A repeat, of one that was asked again, is for nobody."""
        if done := self.homeless.answered(reply.ref):
            done(reply)

    # Cells that come and go

    def add(self, index: int) -> None:
        """There is such a cell from now on."""
        self.index_of[f"cell:{index}"] = index
        self.lines[index], self.asked[index] = None, {}

    def reached(self, index: int, line: Line) -> None:
        """This is its line."""
        self.lines[index] = line
        self._note_open()

    def remove(self, index: int) -> Asked:
        """There is no such cell any more; returns what it has not answered."""
        self.lines.pop(index)
        self._note_open()
        return self.asked.pop(index)

    def _note_open(self) -> None:
        self.open = [each for each in self.lines.values() if each is not None]

    # Asked again

    def ask_again(self, index: int) -> Overtaking:
        """Asks a cell that is new what its former life did not answer, in order."""
        line = self.lines[index]
        assert line is not None
        overtaking = self.take_overtaking(self.asked[index])
        for ref, (question, _) in list(self.asked[index].items()):
            line.send(questions.again(question, ref))
        return overtaking

    def ask_anew(self, index: int, asked: Asked) -> None:
        """Asks a cell what another one, or this one in a former sitting, was asked; each question under a new ref."""
        for ref, (question, done) in sorted(asked.items()):
            new_ref = self.new_ref()
            if (meant := self.meant_for.pop(ref, None)) is not None:
                self.meant_for[new_ref] = meant
            self.put_at(index, new_ref, questions.again(question, new_ref), done)

    def take_overtaking(self, asked: Asked) -> Overtaking:
        """Takes out, of what is to be asked again, inputs that would overtake one that was answered `Moved` and waits
        for them. Only the life and seat that answered it would answer them so; they are, when the others were asked."""
        proposed = {ref: each for ref, (each, _) in asked.items() if isinstance(each, Input) and each.proposed}
        moved = {ref: to for ref, each in sorted(proposed.items()) if (to := self.moved_to(each)) is not None}
        return [(asked.pop(ref)[1], Moved(ref, *to)) for ref, to in moved.items()]

    # What was asked for whom

    def inputs_of(self, customers: set[str]) -> list[InboundEvent]:
        """The events of theirs that are not answered. Looks through all there are."""
        found = [
            question
            for asked in self.asked.values()
            for each in customers
            for question, _ in questions.about(each, asked).values()
        ]
        found += [question for each in customers for question, _ in self.homeless.of(each)]
        return [question.event for question in found if isinstance(question, Input)]

    def taken_from(self, index: int, customer: str) -> Asked:
        """Takes the customer's questions from that cell."""
        asked = self.asked[index]
        taken = questions.about(customer, asked)
        for ref in taken:
            del asked[ref]
        return taken

    def taken_of(self, customer: str) -> Asked:
        """Takes the customer's from all cells, and from what waits for one."""
        taken: Asked = {}
        for index in self.asked:
            taken |= self.taken_from(index, customer)
        return taken | self.homeless.take(customer)

    def taken_about(self, is_about: Callable[[int, AnyToCell], bool]) -> Asked:
        """Takes those that are about somebody, whosever cell was asked, likewise."""
        found = self.homeless.take_about(is_about)
        for asked in self.asked.values():
            taken = {ref: each for ref, each in asked.items() if is_about(ref, each[0])}
            for ref in taken:
                del asked[ref]
            found |= taken
        return found


def answer(overtaking: Overtaking) -> None:
    """Says to those who asked what was not asked again."""
    for done, reply in overtaking:
        done(reply)


def _by_shard(count: int) -> Callable[[str], int]:
    return lambda customer: shard_of(customer) % count
