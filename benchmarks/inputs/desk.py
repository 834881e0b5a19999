"""The past of a service desk: customers who write, are answered, come back, change channels and are handed on.

Each decision is one that a cell would make under the policy, in the order of time, over half a year that begins at
`decided.BEGAN_MS`; the run's seed decides everything else. Here is what the other runs' traffic has not and reports
count: conversations that are resolved and closed, repeat contacts, changes of channels, handoffs, corrections, missing
fields, refused input.
"""

import random
from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush
from pathlib import Path

import msgspec
from msgspec import Raw, Struct

from actors.decisions import deciding
from actors.decisions.deciding import AnyInput, TimerDue
from actors.rules.policy import Policy
from actors.state import journey as journeys
from actors.state.journey import Journey
from adapters.stores.journal.sqlite import SqliteJournal
from benchmarks.inputs.decided import BEGAN_MS, COMMIT, outcomes_of
from orchestrator.way_in.once_keys import digest_of, once_key
from protocol.commands import (
    AcceptHandoff,
    AnyCommand,
    DeclineHandoff,
    OfferHandoff,
    Relate,
    Reply,
    Resolve,
    SetContext,
    Split,
    Take,
)
from protocol.errors import Refusal
from protocol.events import AnyEvent
from protocol.ids import RANDOM_BYTES, customer_id
from protocol.inbound import InboundEvent, MessageArrived
from protocol.journal import Entry, Unit
from protocol.links import Ask, Input, Quarantine

MINUTE_MS, DAY_MS = 60_000, 86_400_000
SPAN_MS = 182 * DAY_MS
EVENTS_EACH = 20
"""Journal events of a conversation here, about: by it the number of customers is chosen."""
CHANNELS = {"chat": "web", "email": "mailto", "sms": "tel", "whatsapp": "whatsapp"}
WORDS = (
    "My bill is higher than the last one, and I do not see why.",
    "I want to report an accident with my car this morning.",
    "Is water damage in the kitchen covered?",
    "I have heard nothing, how long does it take?",
    "We moved, this is our new address.",
    "Hello, is anybody there?",
)
BACK_PERCENT, SWITCH_PERCENT, CONTEXT_PERCENT, HANDOFF_PERCENT = 30, 15, 30, 15
CORRECTED_PERCENT, REFUSED_PERCENT, CONFLICT_PERCENT = 10, 3, 1
APART_EVERY = 20
_SCOPE = "shard:0"

_encode = msgspec.msgpack.Encoder().encode


OnProgress = Callable[[int, int], None]
"""Gets the events written, and about how many there will be."""


def _ignored(done: int, of: int) -> None:
    """Nobody looks."""


class Written(Struct, frozen=True):
    """What the journal holds."""

    customers: int
    facts: int
    until_ms: int


async def write(
    path: Path, *, events: int, each: int, policy: Policy, seed: int = 1, on_progress: OnProgress = _ignored
) -> Written:
    """Makes the journal of about so many events, `each` conversations of a customer at least."""
    store = SqliteJournal(path, new_generation=lambda: "benchmark")
    await store.open()
    (fence,) = await store.raise_fences([_SCOPE])
    customers = max(1, round(events / EVENTS_EACH / (each + BACK_PERCENT / (100 - BACK_PERCENT))))
    desk = _Desk(customers, each, policy, fence.epoch, random.Random(seed))
    group, facts = list[Unit](), 0
    for unit in desk.units():
        group.append(unit)
        facts += unit.entries
        if len(group) == COMMIT:
            await store.commit(group)
            group = []
            on_progress(facts, events)
    await store.commit(group)
    await store.close()
    return Written(desk.customers, facts, desk.now_ms)


class _Customer:
    """One of them: their state, and what they and the desk do, one step after the other."""

    def __init__(self, begins_ms: int, number: int, conversations: int, rng: random.Random) -> None:
        self.state = Journey(customer=customer_id(begins_ms, rng.randbytes(RANDOM_BYTES)))
        self.at_ms = begins_ms
        self._number = number
        self._conversations = conversations
        self._rng = rng
        self._steps = 0
        # Of so many customers one is known by WhatsApp alone, and the next one has the same number by SMS.
        self._apart = number % APART_EVERY
        others = tuple(channel for channel in CHANNELS if self._apart != 1 or channel != "whatsapp")
        self._channels = ("whatsapp",) if self._apart == 0 else others

    def steps(self) -> Iterator[AnyInput]:
        """Gives each input; `at_ms` is its time."""
        yield from self._contact()
        left = self._conversations - 1
        while left > 0 or self._happens(BACK_PERCENT):
            left -= 1
            self.at_ms += self._rng.randrange(DAY_MS, max(16 * DAY_MS // self._conversations, 2 * DAY_MS))
            yield from self._contact()

    def _contact(self) -> Iterator[AnyInput]:
        channel, words = self._rng.choice(self._channels), self._rng.choice(WORDS)
        for _ in range(self._rng.randrange(1, 4)):
            yield self._said(channel, words)
        if self._happens(REFUSED_PERCENT):
            yield self._refused(channel)
        conversation = f"{self.state.customer}-{self.state.opened}"
        agent = f"agent-{self._rng.randrange(40)}"
        yield self._asks(agent, conversation, Take())
        yield self._asks(agent, conversation, Reply(text="We are looking into it."))
        if self._happens(SWITCH_PERCENT):
            yield self._said(self._rng.choice(self._channels), words)
        if self._happens(CONTEXT_PERCENT):
            yield self._asks(agent, conversation, SetContext(key="contract", value="P-12345678"))
        if self._happens(HANDOFF_PERCENT):
            yield from self._handoff(agent, conversation)
        if self._happens(CORRECTED_PERCENT):
            yield from self._correction(agent, conversation)
        yield self._asks(agent, conversation, Reply(text="That is done."))
        yield self._asks(agent, conversation, Resolve(reason="done"))
        for _ in range(4):
            self.at_ms = max(self.at_ms, journeys.next_due_ms(self.state) or self.at_ms)
            yield TimerDue(self.state.customer)

    def _handoff(self, agent: str, conversation: str) -> Iterator[AnyInput]:
        """By a protocol whose package is whole, by one that misses something, or by nobody's."""
        other = f"agent-{self._rng.randrange(40, 60)}"
        kind = self._rng.choice(("team-team", "complaint", ""))
        if not kind:
            yield self._asks(other, conversation, Take(force=True))
            return
        yield self._asks(agent, conversation, OfferHandoff(kind=kind, queue="claims", note="Please look."))
        kept = self.state.conversation(conversation)
        if kept is not None and kept.handoff is not None and kept.handoff.open:
            lease, sha256 = kept.handoff.lease, kept.handoff.sha256
            taken = AcceptHandoff(lease=lease, sha256=sha256) if self._happens(70) else DeclineHandoff(lease=lease)
            yield self._asks(other, conversation, taken)

    def _correction(self, agent: str, conversation: str) -> Iterator[AnyInput]:
        """A contact that was somebody else's matter; of one alone, a relation that is none."""
        kept = self.state.conversation(conversation)
        if kept is not None and len(kept.interactions) > 1:
            yield self._asks(agent, conversation, Split(interactions=[2], reason="another matter"))
        elif kept is not None and kept.relation is not None:
            yield self._asks(agent, conversation, Relate(earlier=kept.relation.conversation, reason="another matter"))

    def _said(self, channel: str, words: str) -> Input:
        event = self._event(channel, words)
        key, digest = once_key(event.account, event.source, event.id), digest_of(event.data)
        known = self.state.identities
        claimed = [identity for identity in event.identities if known and identity not in known]
        conflicts = [("user:somebody", "cusomebody")] if known and self._happens(CONFLICT_PERCENT) else []
        return Input(
            0, self.state.customer, not known, event, event.identities, conflicts, key, digest,
            claimed=claimed, trusted=True,
        )  # fmt: skip

    def _refused(self, channel: str) -> Quarantine:
        event = self._event(channel, "?")
        key, digest = once_key(event.account, event.source, event.id), digest_of(event.data)
        return Quarantine(
            0, self.state.customer, channel, event.source, event.id, 4203, "time_ms", "late", b"{}", key, digest
        )

    def _event(self, channel: str, words: str) -> InboundEvent:
        self._steps += 1
        self.at_ms += self._rng.randrange(MINUTE_MS, 20 * MINUTE_MS)
        number = self._number + (self._apart == 0)
        address = f"+4477{number:08d}" if channel in ("sms", "whatsapp") else f"c{number}@example.org"
        login = [] if self._apart == 0 else [f"user:{self._number}"]
        return InboundEvent(
            id=f"{self._number}-{self._steps}",
            source="benchmark:desk",
            time_ms=self.at_ms,
            account=channel,
            channel=channel,
            identities=[f"{CHANNELS[channel]}:{address}", *login],
            data=MessageArrived(text=words),
        )

    def _asks(self, agent: str, conversation: str, command: AnyCommand) -> Ask:
        self._steps += 1
        self.at_ms += self._rng.randrange(MINUTE_MS, 20 * MINUTE_MS)
        id = f"{self._number}-{self._steps}"
        key = once_key(agent, "command", id)
        return Ask(0, self.state.customer, conversation, f"agent:{agent}", id, command, key, 1)

    def _happens(self, percent: int) -> bool:
        return self._rng.randrange(100) < percent


class _Desk:
    """All of them, by time."""

    def __init__(self, customers: int, each: int, policy: Policy, epoch: int, rng: random.Random) -> None:
        self.customers = customers
        self._each = each
        self.now_ms = BEGAN_MS
        self._policy = policy
        self._epoch = epoch
        self._batch = 0
        self._rng = rng

    def units(self) -> Iterator[Unit]:
        """One for each input that was not refused, and for each outcome."""
        begins = sorted(self._rng.randrange(SPAN_MS // self._each) for _ in range(self.customers))
        waiting: list[tuple[int, int]] = [(BEGAN_MS + ms, number) for number, ms in enumerate(begins)]
        heapify(waiting)
        coming: dict[int, tuple[_Customer, Iterator[AnyInput], AnyInput | None]] = {}
        while waiting:
            self.now_ms, number = heappop(waiting)
            if number in coming:
                customer, steps, input = coming.pop(number)
            else:
                customer = _Customer(self.now_ms, number, self._each, self._rng)
                steps, input = customer.steps(), None
            if input is not None:
                yield from self._decided(customer.state, input)
            # Only now is the next one made: it looks at what came of this one.
            if (following := next(steps, None)) is not None:
                coming[number] = customer, steps, following
                heappush(waiting, (customer.at_ms, number))

    def _decided(self, state: Journey, input: AnyInput) -> Iterator[Unit]:
        try:
            decision = deciding.decide(state, input, self._policy, self.now_ms)
        except Refusal:
            return
        entries: list[Entry] = []
        for stream, fact in decision.events:
            encoded = _encode(fact)
            assert isinstance(fact, AnyEvent)
            seq = journeys.evolve(state, stream, fact, encoded)
            entries.append(Entry(stream, seq, Raw(encoded)))
        if not entries:
            return
        self._batch += 1
        yield Unit(
            _SCOPE, self._epoch, self._batch, state.customer, self.now_ms, decision.identities, len(entries),
            _encode(entries),
        )  # fmt: skip
        for outcome in outcomes_of(state.customer, decision.events):
            yield from self._decided(state, outcome)
