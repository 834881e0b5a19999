"""Traffic: what people, sources and agents do while a run is active, each at a moment drawn before."""

from collections.abc import Callable
from random import Random

import msgspec

from protocol.inbound import (
    TEXT_MAX,
    ActivityArrived,
    AnyData,
    ContextScalar,
    InboundEvent,
    InteractionBegan,
    InteractionStopped,
    MessageArrived,
)
from tests.simulation.agents import Agent, any_command
from tests.simulation.plan import CHANNELS
from tests.simulation.sources import with_other_words
from tests.simulation.world import World, offered


class Traffic:
    """Schedules all of it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._random: Random = world.random
        self._events = 0

    def schedule(self) -> None:
        """Every event and command gets its moment."""
        world, plan = self._world, self._world.plan
        for client in (*world.agents, *world.sources.values()):
            world.loop.call_later(self._random.uniform(0, 1), client.dial)
        for _ in range(plan.events):
            world.loop.call_later(self._random.uniform(0, plan.active_s), self.event)
        for _ in range(plan.commands):
            world.loop.call_later(self._random.uniform(0.5, plan.active_s), self.command)

    def event(self) -> None:
        """Somebody makes contact."""
        account = self._random.choice(list(CHANNELS))
        person = self._random.choice(self._world.people)
        identities = [person[account]]
        if account == "chat" and self._random.random() < 0.5:
            other = self._random.choice(self._world.people) if self._random.random() < 0.1 else person
            identities.append(other[self._random.choice(list(CHANNELS))])
        self.say(account, identities, self._data())

    def say(self, account: str, identities: list[str], data: AnyData) -> None:
        """This is said by an account."""
        offered(self._world, self._made(account, identities, data))

    def offer(self, event: InboundEvent) -> None:
        """This is what an account says."""
        offered(self._world, event)

    def again(self) -> bool:
        """A source says something once more that it said before. False where there is nothing yet, here and below."""
        offers = self._world.book.offers
        if offers:
            offered(self._world, self._random.choice(offers).event)
        return bool(offers)

    def say_again(self, which: Callable[[], InboundEvent | None]) -> None:
        """A source says that event once more."""
        if (event := which()) is not None:
            offered(self._world, event)

    def conflict(self) -> bool:
        """A source uses a name once more, for other words."""
        offers = [o for o in self._world.book.offers if isinstance(o.event.data, MessageArrived)]
        if offers:
            offered(self._world, with_other_words(self._random.choice(offers).event))
        return bool(offers)

    def bad(self) -> None:
        """A source sends what can't be taken."""
        account, world = self._random.choice(list(CHANNELS)), self._world
        good = self._made(account, [self._random.choice(world.people)[account]], MessageArrived(text="fine"))
        wrong: list[dict[str, object]] = [
            {"identities": []},
            {"identities": ["nonsense"]},
            {"time_ms": world.now_ms() + 10**9},
            {"data": MessageArrived(text="x" * (TEXT_MAX + 1))},
        ]
        offered(world, msgspec.structs.replace(good, **self._random.choice(wrong)))

    def command(self) -> None:
        """An agent asks something of a conversation it knows."""
        agent = self._random.choice(self._world.agents)
        known = sorted({*agent.seen, *(c for rows in agent.inboxes.values() for c in rows)})
        if not known:
            return
        conversation = self._random.choice(known)
        if self._random.random() < 0.15:
            self._look(agent, conversation)
        else:
            any_command(self._world, agent, conversation)()

    def _look(self, agent: Agent, conversation: str) -> None:
        if self._random.random() < 0.7:
            agent.watch(conversation)
        else:
            agent.unwatch(conversation)

    def _data(self) -> AnyData:
        roll, number = self._random.random(), self._random.randrange(3)
        if roll < 0.75:
            words = f"words {self._random.randrange(10**6)}" * self._random.choice((1, 1, 30))
            return MessageArrived(text=words, automatic="auto_reply" if roll < 0.05 else "", context=self._context())
        if roll < 0.85:
            return ActivityArrived(name="viewed", properties={"page": number}, context=self._context())
        if roll < 0.93:
            return InteractionBegan(session=f"s{number}", context=self._context())
        return InteractionStopped(session=f"s{number}", context=self._context())

    def _context(self) -> dict[str, ContextScalar] | None:
        """Every third event makes something known: of a few keys, so that channels and agents contradict each other."""
        number = self._events
        return {"abc"[number // 3 % 3]: f"said {number % 5}"} if number % 3 == 0 else None

    def _made(self, account: str, identities: list[str], data: AnyData) -> InboundEvent:
        self._events += 1
        return InboundEvent(
            id=f"e{self._events}",
            source="simulation",
            time_ms=self._world.now_ms(),
            account=account,
            channel=CHANNELS[account],
            identities=identities,
            data=data,
        )
