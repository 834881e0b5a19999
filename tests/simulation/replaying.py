"""Replaying: what a capture template refuses lies in quarantine, and operators take it in after all.

They take an input in as it was kept, or as they mend it, or as somebody else's, two of them at once now and then; and
ask again over whatever dies, as people do, until they are answered. Meanwhile the owner mends the template now and then
(`rules.py`), and sources say once more what was refused. All of it draws from a `Random` of its own; three of four
seeds have none of it.
"""

import asyncio
from collections import Counter
from itertools import count
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import msgspec

from actors.rules.capture import CaptureRules, Field, Template
from actors.rules.policy import Policy
from orchestrator.gateway.incoming.replaying import ReplayRequest, replay
from orchestrator.gateway.services import Services
from protocol.errors import Code, Refusal
from protocol.events import InputQuarantined, ReplayBegun
from protocol.inbound import InboundEvent, MessageArrived

if TYPE_CHECKING:
    from tests.simulation.parts import SimulatedGateway
    from tests.simulation.traffic import Traffic
    from tests.simulation.world import World

RETRY_S = 0.7
ANSWER_WITHIN_S = 5.0
CUT_OFF_S = 0.2
"""Within this most replays are begun, and few are through."""
FITS = " 1"
"""What an operator adds to words, so that the template takes them."""
_NEEDED = (Field(name="needed", pattern="[0-6]$", when_missing="quarantine"),)
# The traffic's words end in a digit.
STRICT = CaptureRules(
    templates=tuple(
        Template(channel=channel, events=("message",), fields=_NEEDED) for channel in ("messenger", "sms", "email")
    )
)
"""Three of ten messages are refused."""


def strict(policy: Policy, replays: int) -> Policy:
    """The policy with the template, where there are replays."""
    return msgspec.structs.replace(policy, capture=STRICT) if replays else policy


class Replaying:
    """Makes one replay at a time, or two of one input."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._random = Random(f"replaying {world.plan.seed}")
        self._ids = count(1)
        self.unanswered = 0
        """Operators who have no answer yet."""
        self._at: Counter[str] = Counter()
        """The same, by input."""
        self.answered = 0
        """Inputs that came in, as operators were told."""

    def schedule(self, traffic: "Traffic") -> None:
        """Each gets its moment; what sources say once more, too."""
        plan, loop, random = self._world.plan, self._world.loop, self._random
        for _ in range(plan.replays):
            loop.call_later(random.uniform(0.5, plan.active_s), self.step)
            loop.call_later(random.uniform(0.5, plan.active_s), traffic.say_again, self._refused)
        if plan.replays:
            loop.call_later(random.uniform(0.5, plan.active_s), self._world.owner.switch)

    def step(self) -> None:
        """Somebody looks into the quarantine."""
        self._world.ledger.read()
        kept = [each for same in self._world.ledger.quarantined.values() for each in same]
        if not kept:
            return
        input = self._random.choice(kept)
        for _ in range(self._random.choice((1, 1, 2))):
            self.unanswered += 1
            self._at[input.quarantine] += 1
            self._world.spawn(self._until_answered(input, self._form(input)))

    def _refused(self) -> InboundEvent | None:
        """Something that lies in quarantine, or did."""
        offers = [each for each in self._world.book.offers if "quarantined" in each.answers]
        return self._random.choice(offers).event if offers else None

    def _form(self, input: InputQuarantined) -> ReplayRequest:
        roll, event = self._random.random(), msgspec.json.decode(input.raw, type=InboundEvent)
        if roll < 0.3:
            return ReplayRequest()
        if roll < 0.6 or not isinstance(event.data, MessageArrived):
            person = self._random.choice(self._world.people)
            return ReplayRequest(identities=[person.get(event.account, person["chat"])])
        mended = msgspec.structs.replace(event.data, text=event.data.text[:100] + FITS)
        return ReplayRequest(event=msgspec.to_builtins(msgspec.structs.replace(event, data=mended)))

    async def _until_answered(self, input: InputQuarantined, form: ReplayRequest) -> None:
        operator = f"operator:o{next(self._ids)}"
        # What dies on the way of a replay is found by the next one: chance alone ends one too seldom.
        within_s = self._random.choice((ANSWER_WITHIN_S, self._random.uniform(0.0, CUT_OFF_S)))
        while not await self._answered(input, form, operator, within_s):
            within_s = ANSWER_WITHIN_S
            await asyncio.sleep(RETRY_S)
        self.unanswered -= 1
        self._at[input.quarantine] -= 1

    async def _answered(self, input: InputQuarantined, form: ReplayRequest, operator: str, within_s: float) -> bool:
        world = self._world
        gateway = world.server.a_gateway()
        if gateway is None:
            return False
        if self._is_forgotten(input):
            return True  # Whose it was is forgotten: nobody has it to replay.
        try:
            async with asyncio.timeout(within_s):
                answered = await replay(self._services(gateway), input.quarantine, form, operator)
        except TimeoutError:
            return False
        except Refusal as refusal:
            world.trace("replay", quarantine=input.quarantine, refused=int(refusal.code))
            if refusal.code == Code.NOT_FOUND:
                world.broken("refused", f"{input.quarantine} lies in quarantine, and is not found: {refusal.message}")
            return not refusal.retryable and not (refusal.code == Code.NOT_ALLOWED_NOW and self._is_left(input))
        world.trace("replay", quarantine=input.quarantine, into=answered.stream, seq=answered.seq)
        world.ledger.read()
        if world.ledger.replayed.get(input.quarantine) != (answered.stream, answered.seq):
            world.broken("acked", f"{input.quarantine} is said to be in {answered.stream}, and that is not synced")
        self.answered += 1
        return True

    def _is_left(self, input: InputQuarantined) -> bool:
        """Whether it is begun, and nobody else is at it: who was cut off looks at it again, as they are told."""
        self._world.ledger.read()
        own = [e for e in self._world.ledger.of_quarantine if e.quarantine == input.quarantine]
        return isinstance(own[-1], ReplayBegun) and self._at[input.quarantine] == 1

    def _is_forgotten(self, input: InputQuarantined) -> bool:
        return any(self._world.ledger.is_redacted(*place) for place in self._world.ledger.kept_at[input.quarantine])

    def _services(self, gateway: "SimulatedGateway") -> Services:
        """The gateway's, as far as a replay needs them."""
        front = gateway.front
        needed = SimpleNamespace(
            archive=front.archive,
            identities=front.journal,
            accounts=front.in_force.accounts,
            intake=front.intake,
            attachments=None,
            new_id=lambda: f"replay-{next(self._ids)}",
        )
        return cast(Services, needed)
