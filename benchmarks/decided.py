"""A journal of `Traffic`: each event decided as a cell would, and committed to the journal's own store."""

import random
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import msgspec
from msgspec import Raw, Struct

from actors import deciding
from actors import journey as journeys
from actors.journey import Journey
from actors.policy import Policy
from adapters.stores.sqlite_journal import SqliteJournal
from benchmarks.traffic import Traffic
from orchestrator.intake import digest_of, once_key
from protocol.events import AnyEvent
from protocol.ids import RANDOM_BYTES, customer_id
from protocol.inbound import InboundEvent
from protocol.journal import Entry, Unit
from protocol.links import Input

BEGAN_MS = 1_700_000_000_000
EVENTS_PER_MS = 12
COMMIT = 1000
_SCOPE = "shard:0"

_encode = msgspec.msgpack.Encoder().encode


class Made(Struct, frozen=True):
    """A journal."""

    events: int
    facts: int


async def make_journal(path: Path, *, events: int, customers: int, text_bytes: int, until_s: float) -> Made:
    """Makes the journal, or as much of it as there is time for, by `time.perf_counter`."""
    store = SqliteJournal(path, new_generation=lambda: "benchmark")
    await store.open()
    (fence,) = await store.raise_fences([_SCOPE])
    traffic = Traffic("run", customers=customers, account="chat", text_bytes=text_bytes, began_ms=BEGAN_MS)
    units, made, facts = _units(traffic, events, fence.epoch), 0, 0
    while (not made or time.perf_counter() < until_s) and (group := list(islice(units, COMMIT))):
        made += len(group)
        facts += sum(unit.entries for unit in group)
        await store.commit(group)
    await store.close()
    return Made(made, facts)


def _units(traffic: Traffic, events: int, epoch: int) -> Iterator[Unit]:
    """One unit an event."""
    rng = random.Random(1)
    live: dict[int, Journey] = {}
    for number in range(events):
        now_ms, owner = BEGAN_MS + number // EVENTS_PER_MS, traffic.customer(number)
        state = live.get(owner)
        stranger = state is None
        if state is None:
            state = Journey(customer=customer_id(now_ms, rng.randbytes(RANDOM_BYTES)))
            if number < traffic.customers:  # The others never come again.
                live[owner] = state
        event = msgspec.convert(traffic.event(number), InboundEvent)
        yield _decided(state, event, stranger, number, epoch, now_ms)


def _decided(state: Journey, event: InboundEvent, stranger: bool, number: int, epoch: int, now_ms: int) -> Unit:
    key, digest = once_key(event.account, event.source, event.id), digest_of(event.data)
    given = Input(number, state.customer, stranger, event, event.identities, [], key, digest)
    decision = deciding.decide(state, given, Policy(), now_ms)
    entries: list[Entry] = []
    for stream, fact in decision.events:
        encoded = _encode(fact)
        assert isinstance(fact, AnyEvent)
        journeys.evolve(state, stream, fact, encoded)
        entries.append(Entry(stream, state.head_of(stream), Raw(encoded)))
    body = _encode(entries)
    return Unit(_SCOPE, epoch, number + 1, state.customer, now_ms, decision.identities, len(entries), body)
