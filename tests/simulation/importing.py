"""Importing: an operator brings contacts of the past in, while everything else goes on.

They come as `throughline import` sends them: a file in requests, one after the other; where one is cut off or its
gateway dies, the whole file once more, until each contact has its answer. Files are imported again although they are
in, two operators import one at once, and a later file has some of an earlier one's contacts, one of them with other
words. All of it draws from a `Random` of its own; seven of eight seeds have none of it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import TYPE_CHECKING

import msgspec

from orchestrator.gateway.http.bodies import EventAnswer
from orchestrator.gateway.operations.imports import take_in
from orchestrator.way_in.once_keys import digest_of, once_key
from protocol.entities import Direction
from protocol.errors import Refusal, retryable
from protocol.inbound import InboundEvent, PastConversation, PastMessage
from tests.simulation.plan import CHANNELS

if TYPE_CHECKING:
    from tests.simulation.world import World

CONTACTS = 8
"""Of each file."""
REQUEST_CONTACTS = 3
SOURCE = "former system"
RETRY_S = 0.7
ANSWER_WITHIN_S = 5.0
CUT_OFF_S = 0.05
"""Within this some requests are answered, and others are not."""
AGO_MS = (2_000, 60_000, 40 * 86_400_000)
"""How long ago a contact was, at most: within the run, before it, or out of retention's reach."""


@dataclass(slots=True)
class Contact:
    """One payload under one id, and what operators were told of it."""

    event: InboundEvent
    answers: list[EventAnswer] = field(default_factory=list)

    @property
    def key(self) -> int:
        """Its once-key."""
        return once_key(self.event.account, self.event.source, self.event.id)

    @property
    def digest(self) -> int:
        """What tells it from another one under its id."""
        return digest_of(self.event.data)

    @property
    def past(self) -> PastConversation:
        """What it was."""
        assert isinstance(self.event.data, PastConversation)
        return self.event.data


class Importing:
    """Imports files, each until it is in."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._random = Random(f"importing {world.plan.seed}")
        self._ids = count(1)
        self.contacts: list[Contact] = []
        self.unanswered = 0
        """Operators who are not through yet."""

    def schedule(self) -> None:
        """Each file gets its moments."""
        plan, random = self._world.plan, self._random
        for _ in range(plan.imports):
            begun_s = random.uniform(0.05, 0.8) * plan.active_s
            self._world.loop.call_later(begun_s, self._begin, begun_s)

    def _begin(self, begun_s: float) -> None:
        """The file is made, and imported: once more now and then, at once or later."""
        file = self._file()
        self._import(file)
        for _ in range(self._random.choice((0, 1, 2))):
            later_s = self._random.choice((0.0, self._random.uniform(0.0, self._world.plan.active_s - begun_s)))
            self._world.loop.call_later(later_s, self._import, file)

    def _import(self, file: Sequence[Contact]) -> None:
        self.unanswered += 1
        self._world.spawn(self._until_in(file))

    def _file(self) -> list[Contact]:
        """New contacts, and some that were in an earlier file."""
        random = self._random
        old = random.sample(self.contacts, min(3, len(self.contacts)))
        new = [Contact(self._made()) for _ in range(CONTACTS)]
        if old:
            other = PastConversation(subject="other words")
            new.append(Contact(msgspec.structs.replace(old[0].event, data=other)))
        self.contacts += new
        file = [*old, *new]
        random.shuffle(file)
        return file

    def _made(self) -> InboundEvent:
        world, random, id = self._world, self._random, f"past{next(self._ids)}"
        account = random.choice(list(CHANNELS))
        person = random.choice(world.people)
        identities = [person[account]]
        if random.random() < 0.2:
            identities = [identities[0].replace("person", "stranger")]
        elif account == "chat" and random.random() < 0.3:
            identities.append(person[random.choice(list(CHANNELS))])
        begun_ms = world.now_ms() - random.randrange(1_000, random.choice(AGO_MS))
        return InboundEvent(
            id=id,
            source=SOURCE,
            time_ms=begun_ms,
            account=account,
            channel=CHANNELS[account],
            identities=identities,
            data=self._past(id, begun_ms),
        )

    def _past(self, id: str, begun_ms: int) -> PastConversation:
        random = self._random
        said = [
            PastMessage(
                at_ms=begun_ms + random.randrange(-200, 600),
                text=f"{id} words {random.randrange(10**6)}",
                direction=random.choice((Direction.INBOUND, Direction.INBOUND, Direction.OUTBOUND)),
                author=random.choice(("", "bo")),
            )
            for _ in range(random.randrange(5))
        ]
        ended_ms = random.choice((0, begun_ms + 700))
        return PastConversation(messages=said, subject=f"{id} subject", ended_ms=ended_ms)

    async def _until_in(self, file: Sequence[Contact]) -> None:
        # Chance alone ends a gateway in the midst of a request too seldom.
        within_s = self._random.choice((ANSWER_WITHIN_S, self._random.uniform(0.0, CUT_OFF_S)))
        while not await self._is_in(file, within_s):
            within_s = ANSWER_WITHIN_S
            await asyncio.sleep(RETRY_S)
        self.unanswered -= 1

    async def _is_in(self, file: Sequence[Contact], within_s: float) -> bool:
        """Sends all of it; False where it is to be imported again: a request was cut off, or one waits for a better
        moment."""
        settled = True
        for start in range(0, len(file), REQUEST_CONTACTS):
            request = file[start : start + REQUEST_CONTACTS]
            gateway = self._world.server.a_gateway()
            if gateway is None:
                return False
            try:
                async with asyncio.timeout(within_s):
                    answers = await take_in(gateway.front.intake, [contact.event for contact in request])
            except (TimeoutError, Refusal):
                return False
            for contact, answer in zip(request, answers, strict=True):
                self._heard(contact, answer)
                settled &= not retryable(answer.code)
        return settled

    def _heard(self, contact: Contact, answer: EventAnswer) -> None:
        world = self._world
        world.trace("imported", id=answer.id, status=answer.status, into=answer.conversation, code=answer.code)
        contact.answers.append(answer)
        if answer.status == "refused":
            return
        world.ledger.read()
        places = world.ledger.by_once.get(contact.key, [])
        # What came from an address of who is forgotten is known, and neither where nor to whom.
        free = {identity for identity, _ in world.ledger.once_owned}
        gone = not answer.conversation and not free.isdisjoint(contact.event.identities)
        if (answer.conversation, answer.seq) not in places and not gone:
            world.broken("acked", f"{answer.id} was answered as {answer}, and is not synced there")
