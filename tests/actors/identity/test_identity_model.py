"""A model of identities: whatever is linked, unlinked, merged, unmerged, said and said again, the server ends where the
model does.

The model is a dictionary of owners, and one of who was merged into whom; the implementation is the real journal, cells
and intake, whose gateway remembers who had an identity and has to find out that nobody, or somebody else, has it now.
"""

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.rules.identity import IdentityRules
from protocol.commands import LinkIdentity, MergeCustomers, UnlinkIdentity, UnmergeCustomers
from protocol.errors import Code, Refusal
from protocol.identities import kind_of
from protocol.ids import customer_of
from protocol.inbound import InboundEvent
from protocol.links import Answered, CustomerRead, ReadCustomer
from tests.actors.player import POLICY
from tests.actors.world import World, world

IDENTITIES = ("chat:a", "chat:b", "crm:1", "tel:+447700900123", "user:1", "user:2")
RULES = msgspec.structs.replace(POLICY, identity=IdentityRules(single=["user"]))
"""Of its kinds, one is single: who has one of it gets no other from an event."""

Say = tuple[Literal["say"], tuple[str, ...]]
Repeat = tuple[Literal["repeat"], int]
Link = tuple[Literal["link", "unlink"], int, str]
Restart = tuple[Literal["restart"], int]
Merge = tuple[Literal["merge", "unmerge"], int, int]
Act = Say | Repeat | Link | Restart | Merge

_identity = st.sampled_from(IDENTITIES)
_number = st.integers(0, 5)
_identities: st.SearchStrategy[tuple[str, ...]] = st.lists(_identity, min_size=1, max_size=3, unique=True).map(tuple)
_says: st.SearchStrategy[Say] = st.tuples(st.just("say"), _identities)
_repeats: st.SearchStrategy[Repeat] = st.tuples(st.just("repeat"), st.integers(0, 30))
_links: st.SearchStrategy[Link] = st.tuples(st.sampled_from(["link", "unlink"]), _number, _identity)
_merges: st.SearchStrategy[Merge] = st.tuples(st.sampled_from(["merge", "unmerge"]), _number, _number)
_restarts: st.SearchStrategy[Restart] = st.tuples(st.just("restart"), st.integers(0, 1))
ACTS: st.SearchStrategy[list[Act]] = st.lists(_says | _repeats | _links | _merges | _restarts, max_size=20)


@dataclass
class Model:
    """Owners by identity, what each customer was told not to have, and into whom they were merged. Customers in the
    order of their coming."""

    homes: dict[str, str] = field(default_factory=dict)
    """By identity: who has it, or had it when merged into whoever has it now."""
    own_parted: dict[str, set[str]] = field(default_factory=dict)
    customers: list[str] = field(default_factory=list)
    into: dict[str, str] = field(default_factory=dict)

    def root(self, customer: str) -> str:
        """Whose the customer's affairs are."""
        while customer in self.into:
            customer = self.into[customer]
        return customer

    def family(self, customer: str) -> list[str]:
        """The customer, and those who were merged into it."""
        return [each for each in self.customers if each == customer or customer in self._path(each)]

    def _path(self, customer: str) -> list[str]:
        path = []
        while customer in self.into:
            customer = self.into[customer]
            path.append(customer)
        return path

    @property
    def owners(self) -> dict[str, str]:
        """By identity: whose it is."""
        return {identity: self.root(home) for identity, home in self.homes.items()}

    @property
    def parted(self) -> dict[str, set[str]]:
        """By customer: what an event alone does not link to it."""
        return {
            each: set().union(*(self.own_parted[member] for member in self.family(each))) - self._identities(each)
            for each in self.customers
        }

    def _identities(self, customer: str) -> set[str]:
        return {identity for identity, home in self.homes.items() if home in self.family(customer)}

    def say(self, identities: tuple[str, ...]) -> str | None:
        """Whose an event is; None: a new customer's. What leads to a customer who does not have the address that it
        came from, because a person said so or because they have another of a single kind, leads nowhere."""
        apart: set[str] = set()
        while True:
            counted = [identity for identity in identities if identity not in apart]
            customer = next((self.owners[i] for i in counted if i in self.owners), None)
            if customer is None or identities[0] in self.owners:
                break
            if identities[0] not in self.parted[customer] and not self._is_second(identities[0], customer):
                break
            apart |= {identity for identity in identities if self.owners.get(identity) == customer}
        self._apart = apart
        return customer

    def said(self, identities: tuple[str, ...], customer: str) -> None:
        """The event was taken, as this customer's: nobody's identities are theirs, but for what was taken from them."""
        if customer not in self.own_parted:
            self.customers.append(customer)
            self.own_parted[customer] = set()
        parted = self.parted[customer] | self._apart
        for identity in identities:
            if identity not in self.homes and identity not in parted and not self._is_second(identity, customer):
                self.homes[identity] = customer

    def _is_second(self, identity: str, customer: str) -> bool:
        return kind_of(identity) == "user" and any(kind_of(known) == "user" for known in self._identities(customer))


@settings(max_examples=60, deadline=None)
@given(ACTS)
def test_the_server_ends_where_the_model_does(acts: list[Act]) -> None:
    """Owners, whose each event is, and that what came before is known whoever has its identities by then."""
    asyncio.run(_play(acts))


async def _play(acts: list[Act]) -> None:
    model, taken = Model(), []
    async with world(policy=RULES) as made:
        for number, act in enumerate(acts):
            match act:
                case ("say", identities):
                    event = made.event(f"e{number}", account="chat", identities=identities)
                    taken.append((event, await _say(made, model, event)))
                case ("repeat", n) if taken:
                    event, before = taken[n % len(taken)]
                    again = await made.intake.submit(event)
                    assert (again.status, again.stream, again.seq) == ("repeat", before.stream, before.seq)
                case ("merge" | "unmerge", n, m) if model.customers:
                    one, other = (model.customers[each % len(model.customers)] for each in (n, m))
                    await _merge(made, model, f"c{number}", act[0] == "merge", one, other)
                case ("link" | "unlink", n, identity) if model.customers:
                    customer = model.root(model.customers[n % len(model.customers)])
                    await _command(made, model, f"c{number}", act[0] == "link", customer, identity)
                case ("restart", index):
                    made.kill_cell(index)
                    await made.start_cell(index)
                case _:
                    pass
            assert await made.journal_store.customers_of(IDENTITIES) == model.owners
        for customer in model.customers:
            reply = await made.cells.call(customer, partial(ReadCustomer, customer=customer))
            assert isinstance(reply, CustomerRead)
            assert reply.view is not None
            whose = model.root(customer)
            assert reply.view.customer == whose
            assert set(reply.view.identities) == {i for i, owner in model.owners.items() if owner == whose}
            assert {customer_of(each.conversation) for each in reply.view.open} <= set(model.family(whose))


async def _say(made: World, model: Model, event: InboundEvent) -> Answered:
    identities = tuple(event.identities)
    expected = model.say(identities)
    answered = await made.intake.submit(event)
    customer = model.root(customer_of(answered.stream))
    assert customer == expected or (expected is None and customer not in model.own_parted)
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
        model.homes.setdefault(identity, customer)
        for member in model.family(customer):
            model.own_parted[member].discard(identity)
    else:
        del model.homes[identity]
        model.own_parted[customer].add(identity)


async def _merge(made: World, model: Model, id: str, merge: bool, keeps: str, other: str) -> None:
    """One of them is said to be the other, or not to be."""
    command = MergeCustomers(other=other) if merge else UnmergeCustomers(other=other)
    asking = made.intake.command(actor="agent:ann", id=id, customer=keeps, command=command)
    (outcome,) = await asyncio.gather(asking, return_exceptions=True)
    if merge:
        possible = keeps != other and keeps not in model.into and other not in model.into
    else:
        # Whoever is a member is asked as whoever it is a member of.
        possible = model.into.get(other) == model.root(keeps)
    assert isinstance(outcome, Answered) is possible, (outcome, keeps, other, model.into)
    if possible and merge:
        model.into[other] = keeps
    elif possible:
        del model.into[other]
