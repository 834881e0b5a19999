"""Holding: events that wait until whatever is under way with their identities is answered, so that nobody is overtaken.

    a proposal that was wrong (`Moved`)          holds what came under it
    a return: an identity that left (`Unlinked`) holds what comes with the event that was answered so

Two that hold events of the same identities join: what the one holds ends up with the other. When nothing is under way
any more, all that is held goes on in the order of taking, to whoever has the identities by then. What is under way is
answered alike by the customer's cell (`actors/cells/astray.py`); where a cell's next life or seat, which does not know
of it, would be asked again, it is answered from here.
"""

from collections.abc import Callable, Sequence

from orchestrator.way_in.known_identities import KnownIdentities
from orchestrator.way_in.proposals import Proposal, TakenEvent, number_of
from protocol.inbound import InboundEvent
from protocol.links import Input, Moved, Unlinked


class Holding:
    """`known` learns whose the identities are when a proposal ends; `send` gets each event that goes on.

    `inputs_under_way` says which events a customer's cell was asked and has not answered. What is held is unanswered,
    and bounded with all that is: by the credits of whoever sent it, or the intake's refusal (`intake.py`).
    """

    def __init__(
        self,
        known: KnownIdentities,
        inputs_under_way: Callable[[str], list[InboundEvent]],
        send: Callable[[TakenEvent], None],
    ) -> None:
        self._known = known
        self._inputs_under_way = inputs_under_way
        self._send = send
        self.proposed: dict[str, Proposal] = {}
        """By identity: proposals that are under way, and returns."""
        self.returns: list[Proposal] = []
        """Those that await answers to events which are not under them. Few, and mostly none."""

    def return_of(self, identity: str, customer: str) -> Proposal:
        """The return of an identity that memory had as the customer's, or that was proposed to be."""
        claimed = self.proposed.get(identity)
        if claimed is not None:
            claimed.moved = True
            return claimed
        if self._known.get(identity) == customer:
            self._known.forget(identity)
        returning = Proposal(customer, new=False)
        returning.moved = True
        returning.identities = [identity]
        self.await_answers(returning, [identity], customer)
        self.proposed[identity] = returning
        return returning

    def await_answers(self, returning: Proposal, identities: Sequence[str], customer: str) -> None:
        """Has what the return holds wait for the customer's events that are under way with any of these identities."""
        under_way = self._inputs_under_way(customer)
        returning.awaited |= {id(event) for event in under_way if any(i in event.identities for i in identities)}
        if returning.awaited and returning not in self.returns:
            self.returns.append(returning)

    def hold(self, taken: TakenEvent, held_by: Proposal) -> None:
        """Keeps the event until nothing is under way, and behind it all that comes with any of its identities. What is
        held by another with one of these joins in."""
        held_by.held.append(taken)
        for identity in taken.identities:
            if (customer := self._known.get(identity)) is not None:
                # Events with it may be on their way there, and come back: what is held must not overtake them.
                self.await_answers(held_by, [identity], customer)
                self._known.forget(identity)
            if (other := self.proposed.get(identity)) is None:
                self.proposed[identity] = held_by
                held_by.identities.append(identity)
            elif other.last is not held_by.last:
                other.moved = True
                other.last.join(held_by.last)

    def note_answered(self, taken: TakenEvent) -> None:
        """The event is answered: a return that waited for it alone is over, and ends."""
        for returning in list(self.returns):
            returning.awaited.discard(id(taken.event))
            if not returning.awaited:
                self.returns.remove(returning)
                if returning.over:
                    self.end(returning)

    def end(self, proposal: Proposal) -> None:
        """None of its events is under way any more. What is held goes on in the order of taking, or waits on with what
        the one it joins holds. Whoever comes next finds the identities in memory or asks the store."""
        if proposal.joins is not None:
            self._hand_over(proposal, proposal.joins)
            return
        for identity in proposal.identities:
            if self.proposed.get(identity) is proposal:
                del self.proposed[identity]
        for identity in () if proposal.moved else proposal.owned:
            self._known.learn(identity, proposal.customer)
        for identity, customer in proposal.moves:
            self._known.learn(identity, customer)
        held, proposal.held = sorted(proposal.held, key=number_of), []
        for taken in held:
            taken.claims = []
            taken.heard = taken.heard | proposal.heard
            self._send(taken)

    def _hand_over(self, proposal: Proposal, to: Proposal) -> None:
        for identity in proposal.identities:
            if self.proposed.get(identity) is proposal:
                self.proposed[identity] = to
        to.identities += proposal.identities
        to.moves += proposal.moves
        to.held += proposal.held
        for customer, ref in proposal.heard.items():
            to.hear(customer, ref)
        to.under_way -= 1
        if to.over:
            self.end(to)

    # What would be asked again

    def overtaking(self, asked: Sequence[Input]) -> list[Moved | Unlinked]:
        """Which of these inputs, in order, are not to be asked again, as the answers they get instead: those that would
        overtake an earlier one that was turned away and is held, and what shares an identity with such a one."""
        answers: list[Moved | Unlinked] = []
        following: set[str] = set()
        for each in asked:
            if (moved := self._moved_to(each)) is not None:
                answers.append(Moved(each.ref, *moved))
            elif self._is_awaited(each) or not following.isdisjoint(each.event.identities):
                following.update(each.event.identities)
                answers.append(Unlinked(each.ref, each.event.identities[0], each.customer))
        return answers

    def _is_awaited(self, asked: Input) -> bool:
        """Whether a return holds events until this is answered."""
        return any(id(asked.event) in returning.awaited for returning in self.returns)

    def _moved_to(self, asked: Input) -> tuple[str, str] | None:
        """Where an input under a proposal belongs, since an earlier one under it was sent on; None where none was."""
        for identity in asked.identities if asked.proposed else ():
            proposal = self.proposed.get(identity)
            if proposal is not None and proposal.moves and proposal.customer == asked.customer:
                return proposal.moves[0]
        return None
