"""Attribution: whose an inbound event is, and its way to that customer's cell and back.

    memory knows its identities → its customer's cell
    else: the store is asked, with all that gather meanwhile → … or nobody has them: a customer is proposed

Whose a new identity is stays a proposal (`proposals.py`) until the journal's unique key decides. Meanwhile events with
its identities follow it to the same customer. An event that might come back and be overtaken waits instead: one that
lacks the identity that made the first event the customer's, or that brings a new identity to another customer.

A cell may answer that an event is not its customer's: `Moved`, where the proposal was wrong, or `Unlinked`, where the
identity has left the customer, which memory here had not heard of. Such an event, and what comes with its identities,
is held (`holding.py`) until all that is under way with them is answered, and then sent on in the order of taking.

Events that share an identity keep the order in which they were taken; others do not wait for each other. Nor do those
that are with two customers' cells at a time: when one of them comes back, the other may be decided.
"""

from collections.abc import Callable, Sequence
from functools import partial

from orchestrator.cell_lines.cells import Cells
from orchestrator.cell_lines.questions import Reply
from orchestrator.way_in.holding import Holding
from orchestrator.way_in.known_identities import KnownIdentities
from orchestrator.way_in.lookups import LookUp, Lookups
from orchestrator.way_in.proposals import Proposal, TakenEvent
from protocol.errors import Code, Refusal
from protocol.ids import conversation_of, customer_of
from protocol.inbound import DeliveryReport
from protocol.links import Answered, Input, Moved, Unlinked

MOVES_MAX = 5
"""How often one event may be sent on before something must be wrong."""

Answer = Callable[[Reply | Refusal, TakenEvent], None]


class Attribution:
    """See the module. `customers_of` asks the store; `new_customer` makes an id; `answer` hears the cells' replies."""

    def __init__(self, cells: Cells, customers_of: LookUp, new_customer: Callable[[], str], answer: Answer) -> None:
        self._cells = cells
        self._new_customer = new_customer
        self._answer = answer
        self._known = KnownIdentities()
        self._holding = Holding(self._known, cells.inputs_under_way, self.send)
        self._proposed = self._holding.proposed
        self._returns = self._holding.returns
        self._lookups = Lookups(
            customers_of,
            self._known,
            is_known=self._is_known,
            route=self._route,
            refuse=self._unavailable,
            broke=self._broke,
        )
        self._awaited = self._lookups.awaited
        """Identities of events that wait for the store."""
        cells.follow_turned_away(self._holding.overtaking)

    def send(self, taken: TakenEvent) -> None:
        """Sends the event to its customer's cell; `answer` gets the reply, or a refusal, once."""
        data, identities = taken.event.data, taken.identities
        if isinstance(data, DeliveryReport):
            self._ask(taken, customer_of(conversation_of(data.delivery)), [], [])
        elif (
            len(identities) == 1
            and identities[0] not in self._awaited
            and (customer := self._known.get(identities[0])) is not None
        ):
            # By far the most: one identity, and memory knows whose. `_route` would find the same.
            self._ask(taken, customer, identities, [])
        elif all(self._is_known(identity) and identity not in self._awaited for identity in identities):
            self._route(taken)
        else:
            self._lookups.add(taken)

    def known(self, identity: str) -> str | None:
        """Whose an identity was when an event with it last came. It may have changed hands since: that customer's cell
        knows."""
        return self._known.get(identity)

    def _is_known(self, identity: str) -> bool:
        return identity in self._known or identity in self._proposed

    def _unavailable(self, taken: TakenEvent) -> None:
        text = "the identities' customers could not be looked up; send again"
        self._answer(Refusal(Code.UNAVAILABLE, text, ref=taken.event.id), taken)

    def _broke(self, exc: Exception) -> None:
        self._cells.broke(exc)

    # Choosing the customer

    def _route(self, taken: TakenEvent) -> None:
        """Picks the customer, and asks its cell. Memory or a proposal knows each of the event's identities, or the
        store was just asked for it."""
        identities = taken.identities
        proposals = [p for i in identities if i not in self._known and (p := self._proposed.get(i)) is not None]
        # One that was wrong goes first: it holds events that share an identity with this one.
        followed = next((p for p in proposals if p.moved), proposals[0] if proposals else None)
        owner = {i: c for i in identities if (c := self._customer(i)) is not None}
        customer = next(iter(owner.values())) if owner else self._new_customer()
        # It would claim an identity for another customer than the proposal's, for which those that follow the proposal
        # by that identity would claim it.
        claims_apart = followed is not None and followed.customer != customer and len(owner) < len(identities)
        if followed is not None and (followed.moved or claims_apart or followed.leaves_behind(identities)):
            self._holding.hold(taken, followed)
            return
        # Only with what the journal has is there a conflict: a proposal of another customer may come to nothing.
        conflicts = [(i, c) for i, c in owner.items() if c != customer and i in self._known]
        if conflicts and not taken.sure:
            self._make_sure(taken, [(i, c) for i, c in owner.items() if i in self._known])
            return
        unclaimed = [i for i in identities if i not in owner]
        taken.proposal = followed
        if unclaimed and taken.proposal is None:
            taken.proposal = Proposal(customer, new=not owner, first=identities)
        for identity in unclaimed:
            # Until it is answered, whoever comes with this identity goes where this event goes.
            assert taken.proposal is not None
            self._proposed[identity] = taken.proposal
            taken.proposal.identities.append(identity)
            taken.claims.append(identity)
        mine = [i for i in identities if owner.get(i, customer) == customer]
        if taken.apart:
            conflicts += self._led_astray(taken, customer)
        self._ask(taken, customer, mine, conflicts, [i for i in mine if i not in self._known])

    def _led_astray(self, taken: TakenEvent, customer: str) -> list[tuple[str, str]]:
        """Identities that the event names beside its own address, each with its customer, whose cell has just said that
        the event is not that customer's."""
        named = [i for i in taken.event.identities[1:] if i in taken.apart]
        return [(i, c) for i in named if (c := self._known.get(i)) is not None and c != customer]

    def _make_sure(self, taken: TakenEvent, known: list[tuple[str, str]]) -> None:
        """Has the store asked once more before a conflict is noted, which people will read: memory may have missed that
        an identity was unlinked, or customers merged. Until then the event is held, so that it does not overtake those
        under way to the customers that memory named."""
        taken.sure = True
        first, *others = [self._holding.return_of(identity, customer) for identity, customer in known]
        self._holding.hold(taken, first)  # Which the others join, since the event has their identities too.
        for returning in (*others, first):
            if returning.over:
                self._holding.end(returning)

    def _customer(self, identity: str) -> str | None:
        customer = self._known.get(identity)
        if customer is not None:
            return customer
        proposal = self._proposed.get(identity)
        return proposal.customer if proposal else None

    # Asking the cell

    def _ask(
        self,
        taken: TakenEvent,
        customer: str,
        identities: list[str],
        conflicts: list[tuple[str, str]],
        claimed: Sequence[str] = (),
    ) -> None:
        proposal = taken.proposal
        if proposal is not None:
            proposal.under_way += 1
        proposed = proposal is not None and proposal.new and proposal.customer == customer
        ref = self._cells.new_ref()
        asked = Input(
            ref=ref,
            customer=customer,
            proposed=proposed,
            event=taken.event,
            identities=identities,
            conflicts=conflicts,
            key=taken.key,
            digest=taken.digest,
            raw=taken.raw,
            replay=taken.replay,
            said_by=taken.said_by,
            claimed=list(claimed),
            trusted=taken.trusted,
            heard=taken.heard.get(customer, 0) if taken.heard else 0,
        )
        self._cells.put(customer, ref, asked, partial(self._answered, taken))

    def _answered(self, taken: TakenEvent, reply: Reply) -> None:
        proposal, taken.proposal = taken.proposal, None
        if proposal is not None:
            proposal.under_way -= 1
        if isinstance(reply, Moved):
            self._moved(taken, proposal, reply)
        elif isinstance(reply, Unlinked):
            self._unlinked(taken, proposal, reply)
        else:
            if proposal is not None and isinstance(reply, Answered) and reply.owns:
                proposal.owned += taken.claims
            self._answer(reply, taken)
        if proposal is not None and proposal.over:
            self._holding.end(proposal)
        if self._returns:
            self._holding.note_answered(taken)

    def _moved(self, taken: TakenEvent, proposal: Proposal | None, moved: Moved) -> None:
        if self._gave_up(taken):
            return
        if proposal is None:
            self._known.learn(moved.identity, moved.customer)
            self.send(taken)
        else:
            proposal.moved = True
            proposal.moves.append((moved.identity, moved.customer))
            self._holding.hold(taken, proposal)

    def _gave_up(self, taken: TakenEvent) -> bool:
        """Counts that the event is sent on; True where that is once too often, and it was refused (`UNAVAILABLE`)."""
        taken.moves += 1
        if taken.moves <= MOVES_MAX:
            return False
        text = "the customer of the event's identities keeps changing; send again"
        self._answer(Refusal(Code.UNAVAILABLE, text, ref=taken.event.id), taken)
        return True

    def _unlinked(self, taken: TakenEvent, proposal: Proposal | None, reply: Unlinked) -> None:
        """The customer does not have the identity any more: events with it are held until those under way are answered.
        Where it is `apart` from the event's own, it says nothing of whose the event is, which is sent without it."""
        if self._gave_up(taken):
            return
        taken.apart += [identity for identity in reply.apart if identity not in taken.apart]
        if reply.apart and proposal is None:
            self.send(taken)
            return
        if reply.apart and proposal is not None:
            returning = proposal
        else:
            returning = self._holding.return_of(reply.identity, reply.customer)
            self._holding.await_answers(returning, taken.identities, reply.customer)
            returning.hear(reply.customer, reply.ref)
        returning.moved = True
        # Whatever else is held, or under way, with one of its identities joins in there, or it would be overtaken.
        self._holding.hold(taken, returning)
        if returning is not proposal and returning.over:
            self._holding.end(returning)
