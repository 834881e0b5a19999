"""Reporting: what the provider says later of what left, and what an operator says who has looked at its list.

It says what is true, and when it likes: ahead of the attempt's outcome or seconds later, in any order, once more under
the same name or under another; also where the conversation is another's by then, is over, or was whose is forgotten.
Others' reports are on no message of that conversation: by an account that did not send it, on other words (a message
that left before a restore from a backup had its id), on what never was. Of what is held an operator looks whether it
left (`throughline outbox settle`). All of it draws from a `Random` of its own; seven of eight seeds have none of it.
"""

import asyncio
from itertools import count
from random import Random
from typing import TYPE_CHECKING

import msgspec

from orchestrator.way_in.once_keys import once_key
from protocol.commands import Reply, SettleDelivery
from protocol.errors import Refusal
from protocol.ids import conversation_of
from protocol.inbound import DeliveryReport, InboundEvent
from protocol.wording import digest_of
from tests.simulation.agents import held
from tests.simulation.plan import CHANNELS
from tests.simulation.provider import Sending

if TYPE_CHECKING:
    from tests.simulation.traffic import Traffic
    from tests.simulation.world import World

SAID = (("sent", "delivered", "read"), ("delivered",), ("sent",), ("sent", "undelivered"), ("bounced",))
"""What is said of a message, in the order in which it becomes so."""
SOON_S, LATE_S = 0.6, 6.0
"""An attempt mostly takes less than the one, and a conversation that is resolved is closed within the other."""
REPLIES = 12
LOOKS = 6
OPERATOR = "operator:root"
RETRY_S = 0.7
ANSWER_WITHIN_S = 5.0


class Reporting:
    """Hears what leaves, and has the provider report on it."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._random = Random(f"reporting {world.plan.seed}")
        self._ids = count(1)
        self.true: dict[str, Sending] = {}
        """By the ids of reports on what left: on what."""
        self.others: dict[str, Sending] = {}
        """By the ids of reports that mean another message: on which they seem to be."""
        self.looked: dict[str, int] = {}
        """By delivery: how many attempts of it had left as an operator last looked."""
        self.unsaid = 0
        """Reports that are yet to come."""
        self.unanswered = 0
        """Operators who have no answer yet."""

    def schedule(self, traffic: "Traffic") -> None:
        """From now on. More is written than elsewhere, and the provider is not sure of all that it does: so reports
        say what no outcome did."""
        plan, loop = self._world.plan, self._world.loop
        if not plan.reported:
            return
        self._traffic = traffic
        self._world.provider.left = self._hear
        for _ in range(2):
            at_s, share = self._random.uniform(0.1, 0.6) * plan.active_s, self._random.uniform(0.3, 0.9)
            loop.call_later(at_s, self._trouble, share)
        for _ in range(REPLIES):
            loop.call_later(self._random.uniform(0.15, 1.0) * plan.active_s, self._reply)
        for _ in range(LOOKS):
            loop.call_later(self._random.uniform(0.4, 1.0) * plan.active_s, self._look)

    def _trouble(self, share: float) -> None:
        self._world.provider.trouble = share

    def _reply(self) -> None:
        """An agent writes."""
        agent = self._random.choice(self._world.agents)
        if agent.seen:
            words = f"words {self._random.randrange(10**6)}"
            agent.ask(Reply(text=words), conversation=self._random.choice(sorted(agent.seen)))

    def _hear(self, sending: Sending) -> None:
        """It left: what will be said of it, and when."""
        said = list(self._random.choice(SAID))
        if self._random.random() < 0.3:
            self._random.shuffle(said)
        at_s = 0.0
        for status in said:
            at_s += self._random.uniform(0.0, SOON_S if self._random.random() < 0.7 else LATE_S)
            event = self._made(sending, status)
            self.true[event.id] = sending
            self._say_later(at_s, event)
            if self._random.random() < 0.3:
                again = event if self._random.random() < 0.5 else msgspec.structs.replace(event, id=self._new_id())
                self.true[again.id] = sending
                self._say_later(at_s + self._random.uniform(0.0, LATE_S), again)
        if self._random.random() < 0.25:
            event = self._mistaken(self._made(sending, self._random.choice(said)))
            self.others[event.id] = sending
            self._say_later(self._random.uniform(0.0, LATE_S), event)

    def _made(self, sending: Sending, status: str) -> InboundEvent:
        digest = sending.digest if self._random.random() < 0.5 else ""
        return InboundEvent(
            id=self._new_id(),
            source="provider",
            time_ms=self._world.now_ms(),
            account=sending.account,
            channel=CHANNELS[sending.account],
            identities=[],
            data=DeliveryReport(delivery=sending.delivery, status=status, digest=digest),
        )

    def _mistaken(self, event: InboundEvent) -> InboundEvent:
        """The same of another message, of which nobody here knows."""
        data = event.data
        assert isinstance(data, DeliveryReport)
        conversation, _, seq = data.delivery.rpartition(".")
        match self._random.randrange(4):
            case 0:
                account = self._random.choice([account for account in CHANNELS if account != event.account])
                return msgspec.structs.replace(event, account=account, channel=CHANNELS[account])
            case 1:
                data = msgspec.structs.replace(data, digest=digest_of("nobody", "", "other words"))
            case 2:
                data = msgspec.structs.replace(data, delivery=f"{conversation}.{self._random.choice((1, 10**6))}")
            case _:
                data = msgspec.structs.replace(data, delivery=f"{conversation}999.{seq}")
        return msgspec.structs.replace(event, data=data)

    def _say_later(self, in_s: float, event: InboundEvent) -> None:
        self.unsaid += 1
        self._world.loop.call_later(in_s, self._say, event)

    def _say(self, event: InboundEvent) -> None:
        self.unsaid -= 1
        self._traffic.offer(event)

    # The operator

    def _look(self) -> None:
        """Somebody looks after what is held, at the provider's list."""
        self._world.ledger.read()
        uncertain = [each for _, each in held(self._world) if each.state == "uncertain"]
        if not uncertain:
            return
        delivery = self._random.choice(uncertain).id
        left = sum(sending.delivery == delivery for sending in self._world.provider.sent)
        self.looked[delivery] = left
        self.unanswered += 1
        command = SettleDelivery(delivery=delivery, left=left > 0)
        self._world.spawn(self._until_answered(command, f"settle-{self._new_id()}"))

    async def _until_answered(self, command: SettleDelivery, id: str) -> None:
        while not await self._answered(command, id):  # noqa: ASYNC110 - asked again, as a person does
            await asyncio.sleep(RETRY_S)
        self.unanswered -= 1

    async def _answered(self, command: SettleDelivery, id: str) -> bool:
        world = self._world
        gateway = world.server.a_gateway()
        if gateway is None:
            return False
        conversation = conversation_of(command.delivery)
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                answered = await gateway.front.intake.command(
                    actor=OPERATOR, id=id, command=command, conversation=conversation
                )
        except TimeoutError:
            return False
        except Refusal as refusal:
            world.trace("settle", delivery=command.delivery, refused=int(refusal.code))
            return not refusal.retryable
        world.trace("settle", delivery=command.delivery, left=command.left)
        world.ledger.read()
        if world.ledger.by_once.get(once_key("command", OPERATOR, id)) != [(answered.stream, answered.seq)]:
            world.broken("acked", f"{command.delivery} is said to be settled, and that is not synced")
        return True

    def _new_id(self) -> str:
        return f"report{next(self._ids)}"
