"""Handing: agents offer conversations to each other and to queues, and answer, rightly or not.

Who answers has what the offers said; some take the lease of one and the hash of another, some answer late or for
somebody else. All of it draws from a `Random` of its own, and half of the seeds have none of it.
"""

from collections.abc import Callable
from random import Random

from actors.rules.handoffs import HandoffRules, Handoffs
from protocol.commands import AcceptHandoff, AnyCommand, DeclineHandoff, OfferHandoff, WithdrawHandoff
from protocol.events import HandoffOffered
from protocol.handoffs import Handoff
from tests.simulation.agents import Agent
from tests.simulation.world import World

RULES = Handoffs(
    kinds={
        "short": HandoffRules(waits_ms=400),
        "blocked": HandoffRules(waits_ms=2_000, required=("a",), incomplete="block"),
        "queued": HandoffRules(
            waits_ms=1_000, required=("b",), on_decline="queue:second", on_expiry="queue:second", continuity="taker"
        ),
        "chain": HandoffRules(
            waits_ms=700, to=("agent:agent1", "queue:second", "agent:agent0"), on_decline="next", on_expiry="next"
        ),
    }
)
"""Short leases: a run lasts some seconds."""


class Handing:
    """Makes one step of one handoff at a time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._random = Random(f"handing {world.plan.seed}")

    def schedule(self) -> None:
        """Each step gets its moment."""
        for _ in range(self._world.plan.handoffs):
            self._world.loop.call_later(self._random.uniform(0.5, self._world.plan.active_s), self.step)

    def step(self) -> None:
        """Somebody offers a conversation, or answers."""
        world, random = self._world, self._random
        world.ledger.read()
        live = [s for s in sorted(world.ledger.streams) if "-" in s and world.folds.views(s)[-1].status != "closed"]
        if not live:
            return
        offered = [c for c in live if (newest := world.folds.views(c)[-1].handoff) and newest.open]
        conversation = random.choice(offered if offered and random.random() < 0.6 else live)
        view = world.folds.views(conversation)[-1]
        handoff = view.handoff
        if handoff is not None and random.random() < (0.9 if handoff.open else 0.2):
            self._by(*self._answer(conversation, handoff))(conversation)
        else:
            self._by(view.owner, self._offer())(conversation)

    def _offer(self) -> AnyCommand:
        random = self._random
        kind = random.choice(sorted(RULES.kinds))
        to: dict[str, str] = random.choice(
            [
                {"agent": random.choice(self._world.agent_names)},
                {"queue": "second"},
                {} if kind == "chain" else {"queue": "default"},
            ]
        )
        fields: dict[str, str | int | float | bool] = {"a": random.randrange(9)} if random.random() < 0.4 else {}
        return OfferHandoff(kind=kind, note="words", fields=fields, **to)

    def _answer(self, conversation: str, newest: Handoff) -> tuple[str, AnyCommand]:
        """Whom it suits best, and what they say."""
        random = self._random
        offers = [e for e in self._world.ledger.streams[conversation] if isinstance(e, HandoffOffered)]
        old = random.choice(offers)
        lease = newest.lease if random.random() < 0.8 else old.lease
        sha256 = newest.sha256 if random.random() < 0.8 else old.sha256
        roll = random.random()
        if roll < 0.15:
            return newest.giver, WithdrawHandoff(lease=lease, reason="words")
        taker = newest.to.removeprefix("agent:")
        if roll < 0.4:
            return taker, DeclineHandoff(lease=lease, reason="words")
        return taker, AcceptHandoff(lease=lease, sha256=sha256)

    def _by(self, name: str, command: AnyCommand) -> Callable[[str], None]:
        """Mostly by the agent of that name, where there is one."""
        named = [agent for agent in self._world.agents if agent.agent == name]
        agent: Agent = named[0] if named and self._random.random() < 0.8 else self._random.choice(self._world.agents)
        return lambda conversation: agent.ask(command, conversation=conversation)
