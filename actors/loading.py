"""Loading: a journey's state from its last snapshot, the archived events after it, and the journal's tail.

The tail is asked first. It names the position up to which everything older is archived or about to be; the archive is
read once it has reached that. Nothing can fall between, since the cell that loads is the journey's only writer.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from actors import journey as journeys
from actors import snapshots
from actors.journey import Journey
from protocol.archive import Due, StoredEvent, StoredSnapshot
from protocol.events import AnyEvent
from protocol.journal import Entry
from protocol.links import TailIs

POLL_S = 0.002
POLL_MAX_S = 0.05
"""Between looks at the archive's position, doubling: it follows within its gathering time."""


class ArchiveReader(Protocol):
    """The archive, read-only."""

    async def position(self) -> int:
        """How far it is."""
        ...

    async def snapshot(self, customer: str) -> StoredSnapshot | None:
        """The journey's newest snapshot."""
        ...

    async def events_of_customer(self, customer: str, after_position: int) -> list[StoredEvent]:
        """The customer's events in all streams, in the journal's order."""
        ...

    async def due(self, shards: list[int], before_ms: int, limit: int) -> list[Due]:
        """Customers of the shards with something to do before then."""
        ...


_from_json = msgspec.json.Decoder(AnyEvent).decode
_from_msgpack = msgspec.msgpack.Decoder(AnyEvent).decode
_encode = msgspec.msgpack.Encoder().encode
_entries = msgspec.msgpack.Decoder(list[Entry]).decode


async def reached(archive: ArchiveReader, position: int) -> None:
    """Returns when the archive has reached `position`."""
    pause = POLL_S
    while await archive.position() < position:
        await asyncio.sleep(pause)
        pause = min(2 * pause, POLL_MAX_S)


async def load(
    customer: str, archive: ArchiveReader, read_tail: Callable[[str], Awaitable[TailIs]]
) -> tuple[Journey, int]:
    """Returns the customer's state and the position of the newest unit in it; an empty journey for a stranger."""
    tail = await read_tail(customer)
    await reached(archive, tail.archived)
    state, position = Journey(customer=customer), 0
    stored = await archive.snapshot(customer)
    if stored is not None and (thawed := snapshots.thaw(stored.body)) is not None:
        state, position = thawed, stored.position
    for event in await archive.events_of_customer(customer, position):
        decoded = _from_json(event.body)
        journeys.skip_to(state, event.stream, event.seq)
        journeys.evolve(state, event.stream, decoded, _encode(decoded))
        position = event.position
    for record in tail.records:
        if record.position <= position:
            continue  # Archived since the tail was asked for.
        for entry in _entries(record.body):
            journeys.evolve(state, entry.stream, _from_msgpack(entry.event), bytes(entry.event))
        position = record.position
    return state, position
