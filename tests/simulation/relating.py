"""Relating: agents say that contacts belong together otherwise, and what they are about; and rules that decide it.

All of it draws from a `Random` of its own: half of the seeds have no corrections, half have no rules.
"""

from random import Random

import msgspec

from actors.rules.correlation import CorrelationRules, Window
from actors.rules.policy import ChannelRules, Policy
from actors.rules.taxonomy import Label, Tagger, Taxonomy
from protocol.commands import AnyCommand, Join, Relate, Split, TagInteraction
from protocol.entities import RelationKind, Status
from tests.simulation.world import World

TAXONOMY = Taxonomy(
    topics={
        # The traffic's words end in a number: how it begins is what it is about.
        "bill": Label(taggers=(Tagger(words=("1*", "2*")), Tagger(property="page", values=("1",)))),
        "claim": Label(taggers=(Tagger(words=("3*", "4*")), Tagger(rule='channel == "sms" && kind == "start"'))),
    },
    intents={"complaint": Label(taggers=(Tagger(words=("5*", "1*")),))},
    keys={"order": ("######",)},
)
RULES = CorrelationRules(
    windows=(
        Window(earlier="chat", later="chat", within_ms=1_000),
        Window(later="sms", within_ms=2_000),
        Window(later="email", within_ms=500),
    ),
    unlisted="new",
    other_topic="new",
    after_resolved="new",
    repeat_within_ms=5_000,
    escalating_intents=("complaint",),
)
"""Short windows: a run lasts some seconds, and several conversations of one customer are open."""


def ruled(policy: Policy, rules: bool) -> Policy:
    """The policy with these rules, and with contacts that time ends."""
    if not rules:
        return policy
    channels = {
        name: msgspec.structs.replace(channel, end_in_time=True, rest_after_ms=min(channel.rest_after_ms, 3_000))
        for name, channel in {"messenger": ChannelRules(), **policy.channels}.items()
    }
    return msgspec.structs.replace(policy, channels=channels, taxonomy=TAXONOMY, correlation=RULES)


class Relating:
    """Makes one correction at a time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._random = Random(f"relating {world.plan.seed}")

    def schedule(self) -> None:
        """Each correction gets its moment."""
        for _ in range(self._world.plan.corrections):
            self._world.loop.call_later(self._random.uniform(0.5, self._world.plan.active_s), self.step)

    def step(self) -> None:
        """Somebody corrects a conversation, rightly or not; one that is over now and then."""
        world, random = self._world, self._random
        world.ledger.read()
        every = [s for s in sorted(world.ledger.streams) if "-" in s]
        among = [s for s in every if self._live(s)] if random.random() < 0.8 else every
        if among:
            conversation = random.choice(among)
            random.choice(world.agents).ask(self._correction(conversation), conversation=conversation)

    def _live(self, conversation: str) -> bool:
        return self._world.folds.views(conversation)[-1].status is not Status.CLOSED

    def _correction(self, conversation: str) -> AnyCommand:
        world, random = self._world, self._random
        customer = world.ledger.customer(conversation)
        streams = [s for s in sorted(world.ledger.streams) if "-" in s and s != conversation]
        others = [stream for stream in streams if world.ledger.customer(stream) == customer]
        live = [other for other in others if self._live(other)]
        numbers = [interaction.number for interaction in world.folds.views(conversation)[-1].interactions]
        roll = random.random()
        if live and roll < 0.4:
            return Join(other=random.choice(live), reason="one matter")
        if others and roll < 0.55:
            return Relate(earlier=random.choice(others), kind=random.choice([*RelationKind, None]))
        if roll < 0.65:
            return TagInteraction(interaction=random.choice([0, *numbers]), topic=random.choice(["bill", "claim"]))
        count = random.choice((1, 1, 2))
        return Split(interactions=random.sample([*numbers, 99], min(count, len(numbers))), reason="two matters")
