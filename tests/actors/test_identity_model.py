"""A model of identities: whatever is linked, unlinked, said and said again, the server ends where the model does.

The model is a dictionary of owners; the implementation is the real journal, cells and intake, whose gateway remembers
who had an identity and has to find out that nobody, or somebody else, has it now.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.commands import LinkIdentity, UnlinkIdentity
from protocol.errors import Code, Refusal
from protocol.ids import customer_of
from protocol.inbound import InboundEvent
from protocol.links import Answered
from tests.actors.world import World, world

IDENTITIES = ("chat:a", "chat:b", "crm:1", "tel:+447700900123")

Say = tuple[Literal["say"], tuple[str, ...]]
Repeat = tuple[Literal["repeat"], int]
Link = tuple[Literal["link", "unlink"], int, str]
Restart = tuple[Literal["restart"], int]
Act = Say | Repeat | Link | Restart

_identity = st.sampled_from(IDENTITIES)
_number = st.integers(0, 5)
ACTS: st.SearchStrategy[list[Act]] = st.lists(
    st.tuples(st.just("say"), st.lists(_identity, min_size=1, max_size=3, unique=True).map(tuple))
    | st.tuples(st.just("repeat"), st.integers(0, 30))
    | st.tuples(st.sampled_from(["link", "unlink"]), _number, _identity)
    | st.tuples(st.just("restart"), st.integers(0, 1)),
    max_size=16,
)  # type: ignore[arg-type]


@dataclass
class Model:
    """Owners by identity, and what each customer was told not to have. Customers in the order of their coming."""

    owners: dict[str, str] = field(default_factory=dict)
    parted: dict[str, set[str]] = field(default_factory=dict)
    customers: list[str] = field(default_factory=list)

    def say(self, identities: tuple[str, ...]) -> str | None:
        """Whose an event is; None: a new customer's."""
        apart: set[str] = set()
        while True:
            counted = [identity for identity in identities if identity not in apart]
            customer = next((self.owners[i] for i in counted if i in self.owners), None)
            if customer is None or identities[0] in self.owners or identities[0] not in self.parted[customer]:
                break
            apart |= {identity for identity in identities if self.owners.get(identity) == customer}
        self._apart = apart
        return customer

    def said(self, identities: tuple[str, ...], customer: str) -> None:
        """The event was taken, as this customer's: nobody's identities are theirs, but for what was taken from them."""
        if customer not in self.parted:
            self.customers.append(customer)
            self.parted[customer] = set()
        for identity in identities:
            if identity not in self.owners and identity not in self.parted[customer] | self._apart:
                self.owners[identity] = customer


@settings(max_examples=60, deadline=None)
@given(ACTS)
def test_the_server_ends_where_the_model_does(acts: list[Act]) -> None:
    """Owners, whose each event is, and that what came before is known whoever has its identities by then."""
    asyncio.run(_play(acts))


async def _play(acts: list[Act]) -> None:
    model, taken = Model(), []
    async with world() as made:
        for number, act in enumerate(acts):
            match act:
                case ("say", identities):
                    event = made.event(f"e{number}", account="chat", identities=identities)
                    taken.append((event, await _say(made, model, event)))
                case ("repeat", n) if taken:
                    event, before = taken[n % len(taken)]
                    again = await made.intake.submit(event)
                    assert (again.status, again.stream, again.seq) == ("repeat", before.stream, before.seq)
                case ("link" | "unlink", n, identity) if model.customers:
                    customer = model.customers[n % len(model.customers)]
                    await _command(made, model, f"c{number}", act[0] == "link", customer, identity)
                case ("restart", index):
                    made.kill_cell(index)
                    await made.start_cell(index)
                case _:
                    pass
            assert await made.journal_store.customers_of(IDENTITIES) == model.owners


async def _say(made: World, model: Model, event: InboundEvent) -> Answered:
    identities = tuple(event.identities)
    expected = model.say(identities)
    answered = await made.intake.submit(event)
    customer = customer_of(answered.stream)
    assert customer == expected or (expected is None and customer not in model.parted)
    model.said(identities, customer)
    return answered


async def _command(made: World, model: Model, id: str, link: bool, customer: str, identity: str) -> None:
    command = LinkIdentity(identity=identity) if link else UnlinkIdentity(identity=identity)
    owner = model.owners.get(identity)
    asking = made.intake.command(actor="agent:ann", id=id, customer=customer, command=command)
    (outcome,) = await asyncio.gather(asking, return_exceptions=True)
    if isinstance(outcome, Refusal):
        taken = link and owner not in (None, customer)
        assert outcome.code == (Code.IDENTITY_TAKEN if taken else Code.NOT_ALLOWED_NOW)
        assert owner == customer if link and not taken else owner != customer
        return
    assert isinstance(outcome, Answered)
    assert owner in ({None, customer} if link else {customer})
    if link:
        model.owners[identity] = customer
        model.parted[customer].discard(identity)
    else:
        del model.owners[identity]
        model.parted[customer].add(identity)
