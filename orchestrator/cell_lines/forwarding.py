"""Forwarding: a merged customer's questions go to the customer it was merged into (`homes.py`), also those that its own
cell turned away.

    a question of a customer with a home     behind a word on each merge on the way (`Settle`), once ──▶ the home's cell
    a cell says `Rehomed`                    all that is unanswered goes on to where it belongs, in order
"""

from collections.abc import Callable

import msgspec

from actors.lines import Line
from orchestrator.cell_lines import questions
from orchestrator.cell_lines.asking import Asking, answer
from orchestrator.cell_lines.homes import Homes
from orchestrator.cell_lines.questions import Done, Reply
from protocol.errors import Code
from protocol.links import AnyToCell, Heard, Refused, Rehomed, Settle


class Forwarding:
    """`on_moved` hears of each customer whose affairs another cell has now."""

    def __init__(self, asking: Asking, on_moved: Callable[[str], None]) -> None:
        self._asking = asking
        self._on_moved = on_moved
        self.homes = Homes()

    def put(self, customer: str, ref: int, question: AnyToCell, done: Done) -> None:
        """Asks the customer that has this one's affairs; the first time behind a `Settle` for each merge on the way."""
        path = self.homes.path(customer)
        home = path[-1][1].customer if path else customer
        for member, known in path:
            if not known.told:
                known.told = True
                self._tell(member, known.customer, known.turn, home)
                # A new ref, higher than the `Settle`'s: what is asked again goes in the order of refs.
                ref = self._asking.new_ref()
                question = msgspec.structs.replace(question, ref=ref)
        if home != customer:
            self._asking.put_for(customer, home, ref, question, done)
        else:
            self._asking.put_to(customer, ref, question, done)

    def _tell(self, member: str, home: str, turn: int, root: str) -> None:
        if home not in (member, root):
            return  # That home was merged itself since, and had taken the member in before.
        ref = self._asking.new_ref()
        settle = Settle(ref, home, "" if home == member else member, turn, home == member)
        self._asking.put_to(home, ref, settle, _nobody_waits)

    def rehomed(self, index: int, line: Line, said: Rehomed) -> None:
        """A customer's affairs are another's, or its own again. What that cell has not answered goes on to where it
        belongs, in order."""
        customer = said.customer
        news = self.homes.learn(customer, said.home, said.turn)
        taken = self._asking.take_turned_away(index, said.ref)
        if said.home != customer:
            line.send(Heard(customer))
            taken |= self._asking.take_of(customer)
        else:
            taken |= self._asking.take_about({customer, *self.homes.members_of(customer)})
        overtaking = self._asking.take_overtaking(taken)
        for ref, (question, done) in sorted(taken.items()):
            meant = self._asking.take_meant(ref, customer)
            if isinstance(question, Settle):
                done(Refused(ref, Code.NOT_ALLOWED_NOW, f"{customer} has changed hands since", "customer"))
            else:
                ref = self._asking.new_ref()
                self.put(meant, ref, questions.asked_of(question, meant, ref), done)
        if news:
            self.say_moved(customer)
        answer(overtaking)

    def say_moved(self, customer: str) -> None:
        """Says so of the customer and of its members: whoever watches them asks again."""
        self._on_moved(customer)
        for member in self.homes.members_of(customer) if self.homes.known else ():
            self._on_moved(member)


def _nobody_waits(_: Reply) -> None:
    """The answer to a `Settle` that goes ahead of a question: where it was in vain, the question itself is turned
    away."""
