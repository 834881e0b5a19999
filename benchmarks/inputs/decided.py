"""A journal of `Traffic`: each event decided as a cell would, and committed to the journal's own store."""

import random
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from msgspec import Raw, Struct

from actors.decisions import deciding
from actors.rules.policy import Policy
from actors.state import journey as journeys
from actors.state.journey import Journey
from adapters.stores.journal.sqlite import SqliteJournal
from benchmarks.inputs.traffic import Traffic
from orchestrator.way_in.once_keys import digest_of, once_key
from protocol.events import AnyEvent, DeliveryAttempted
from protocol.ids import RANDOM_BYTES, customer_id
from protocol.inbound import InboundEvent
from protocol.journal import Entry, Unit
from protocol.links import Input, Outcome

BEGAN_MS = 1_700_000_000_000
EVENTS_PER_MS = 12
COMMIT = 1000
_SCOPE = "shard:0"

_encode = msgspec.msgpack.Encoder().encode


class Made(Struct, frozen=True):
    """A journal."""

    positions: list[int]
    """Of the events, one each; what became of a message that answered one has a position of its own, behind it."""
    facts: int

    @property
    def events(self) -> int:
        """How many there are."""
        return len(self.positions)

    def events_through(self, position: int) -> int:
        """How many of them are at a position or before it."""
        return bisect_right(self.positions, position)


async def make_journal(
    path: Path, *, events: int, customers: int, text_bytes: int, policy: Policy, until_s: float
) -> Made:
    """Makes the journal, or as much of it as there is time for, by `time.perf_counter`."""
    store = SqliteJournal(path, new_generation=lambda: "benchmark")
    await store.open()
    (fence,) = await store.raise_fences([_SCOPE])
    traffic = Traffic("run", customers=customers, account="chat", text_bytes=text_bytes, began_ms=BEGAN_MS)
    writer, made, position, facts = _Writer(traffic, policy, fence.epoch), list[int](), 0, 0
    for first in range(0, events, COMMIT):
        group = list[Unit]()
        for number in range(first, min(first + COMMIT, events)):
            made.append(position + len(group) + 1)
            group += writer.units_of(number)
        await store.commit(group)
        position += len(group)
        facts += sum(unit.entries for unit in group)
        if time.perf_counter() >= until_s:
            break
    await store.close()
    return Made(made, facts)


def outcomes_of(customer: str, events: Sequence[tuple[str, AnyEvent]]) -> Iterator[Outcome]:
    """What becomes of each message that a step sends: it arrives."""
    for stream, fact in events:
        if isinstance(fact, DeliveryAttempted):
            yield Outcome(0, customer, stream, fact.delivery, fact.attempt, "sent", f"external-{fact.delivery}")


class _Writer:
    """Decides the traffic, one event after the other."""

    def __init__(self, traffic: Traffic, policy: Policy, epoch: int) -> None:
        self._traffic = traffic
        self._policy = policy
        self._epoch = epoch
        self._batch = 0
        self._live: dict[int, Journey] = {}
        self._random = random.Random(1)

    def units_of(self, number: int) -> list[Unit]:
        """The event's unit, and that of each outcome."""
        now_ms, owner = BEGAN_MS + number // EVENTS_PER_MS, self._traffic.customer(number)
        state = self._live.get(owner)
        stranger = state is None
        if state is None:
            state = Journey(customer=customer_id(now_ms, self._random.randbytes(RANDOM_BYTES)))
            if number < self._traffic.customers:  # The others never come again.
                self._live[owner] = state
        event = msgspec.convert(self._traffic.event(number), InboundEvent)
        key, digest = once_key(event.account, event.source, event.id), digest_of(event.data)
        input = Input(number, state.customer, stranger, event, event.identities, [], key, digest)
        unit, sent = self._step(state, input, now_ms)
        return [unit, *(self._step(state, outcome, now_ms)[0] for outcome in sent)]

    def _step(self, state: Journey, input: Input | Outcome, now_ms: int) -> tuple[Unit, list[Outcome]]:
        decision = deciding.decide(state, input, self._policy, now_ms)
        entries: list[Entry] = []
        for stream, fact in decision.events:
            encoded = _encode(fact)
            assert isinstance(fact, AnyEvent)
            seq = journeys.evolve(state, stream, fact, encoded)
            entries.append(Entry(stream, seq, Raw(encoded)))
        self._batch += 1
        body, count = _encode(entries), len(entries)
        unit = Unit(_SCOPE, self._epoch, self._batch, state.customer, now_ms, decision.identities, count, body)
        return unit, list(outcomes_of(state.customer, decision.events))
