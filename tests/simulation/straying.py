"""Straying: an agent says that an address is not its customer's, and takes that back, while its person speaks.

What is said meanwhile is on its way at both moments: what the cell turns away must not be overtaken by what it takes,
since the address is the customer's again. All of it draws from a `Random` of its own; seven of eight seeds have none of
it.
"""

from random import Random

from protocol.commands import LinkIdentity, UnlinkIdentity
from protocol.inbound import MessageArrived
from tests.simulation.traffic import Traffic
from tests.simulation.world import World

WORDS = 5
"""So many messages come at once."""
WITHIN_S = 0.05
"""About as long as two commands are on their way."""


class Straying:
    """Takes one address away from its customer, and gives it back, at a time."""

    def __init__(self, world: World, traffic: Traffic) -> None:
        self._world = world
        self._traffic = traffic
        self._random = Random(f"straying {world.plan.seed}")

    def schedule(self) -> None:
        """Each gets its moment."""
        for _ in range(self._world.plan.strays):
            self._world.loop.call_later(self._random.uniform(0.5, self._world.plan.active_s), self.step)

    def step(self) -> None:
        """Somebody is wrong about a person who chats."""
        world, random = self._world, self._random
        world.ledger.read()
        account = random.choice(("chat", "messenger"))
        identity = random.choice(world.people)[account]
        customer = world.ledger.root(world.ledger.owners.get(identity, ""))
        agent = random.choice(world.agents)
        if not customer:
            return
        agent.ask(UnlinkIdentity(identity=identity), customer=customer)
        world.loop.call_later(
            random.uniform(0, WITHIN_S), lambda: agent.ask(LinkIdentity(identity=identity), customer=customer)
        )
        for _ in range(WORDS):
            world.loop.call_later(random.uniform(0, WITHIN_S), self._speak, account, identity)

    def _speak(self, account: str, identity: str) -> None:
        words = MessageArrived(text=f"words {self._random.randrange(10**6)}")
        self._traffic.say(account, [identity], words)
