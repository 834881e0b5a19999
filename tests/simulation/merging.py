"""Merging: agents say that two customers are one person, rightly or not, and that they are not.

All of it draws from a `Random` of its own, and half of the seeds have none of it. The same two are merged once: an
event that is on its way while an identity goes to and fro between the same two customers may be overtaken.
"""

from random import Random

from protocol.commands import MergeCustomers, UnmergeCustomers
from tests.simulation.world import World, offered

REPEATS = 4
"""Events that come again shortly after an unmerge: their keys must be known where their identities are by then."""


class Merging:
    """Makes one merge, or undoes one, at a time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._random = Random(f"merging {world.plan.seed}")

    def schedule(self) -> None:
        """Each gets its moment."""
        for _ in range(self._world.plan.merges):
            self._world.loop.call_later(self._random.uniform(0.5, self._world.plan.active_s), self.step)

    def step(self) -> None:
        """Somebody merges, or takes apart."""
        world, random = self._world, self._random
        world.ledger.read()
        into = sorted(world.ledger.into.items())
        agent = random.choice(world.agents)
        if into and random.random() < 0.45:
            other, customer = random.choice(into)
            agent.ask(UnmergeCustomers(other=other, reason="words"), customer=customer)
            for _ in range(REPEATS):
                world.loop.call_later(random.uniform(0.1, 1.5), self._again)
            return
        customers = world.ledger.customers()
        if len(customers) < 2:
            return
        customer, other = random.sample(customers, 2)
        members = [(a, b) for a in self._family(customer) for b in self._family(other)]
        if not world.ledger.pairs.intersection(members):
            agent.ask(MergeCustomers(other=other, reason="words"), customer=customer)

    def _again(self) -> None:
        """A source says something once more: perhaps to another customer than the first time."""
        if self._world.book.offers:
            offered(self._world, self._random.choice(self._world.book.offers).event)

    def _family(self, customer: str) -> set[str]:
        return self._world.ledger.members_through(customer)
