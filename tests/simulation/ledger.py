"""The ledger: what is committed and synced, read from the journal's disk and from nothing else.

Every check compares what somebody was told with this. Records that retention trims stay here.
"""

from collections.abc import Callable

import msgspec

from adapters.stores.memory import MemoryDisk
from protocol.events import (
    AnyEvent,
    IdentityLinked,
    IdentityUnlinked,
    InputQuarantined,
    InteractionStarted,
    MessageReceived,
    PolicyApplied,
)
from protocol.ids import conversation_of
from protocol.journal import Entry, Record

_entries = msgspec.msgpack.Decoder(list[Entry]).decode
_event = msgspec.msgpack.Decoder(AnyEvent).decode


class Ledger:
    """`broken(promise, text)` hears where the records themselves contradict a promise."""

    def __init__(self, disk: MemoryDisk, broken: Callable[[str, str], None]) -> None:
        self._disk = disk
        self._broken = broken
        self.records: list[Record] = []
        self.streams: dict[str, list[AnyEvent]] = {}
        self.encoded: dict[str, list[bytes]] = {}
        """The streams' events as their bytes."""
        self.quarantined: dict[tuple[str, str, str], list[InputQuarantined]] = {}
        """By (account, source, id)."""
        self.customers: dict[str, str] = {}
        """By stream: whose it is."""
        self.by_once: dict[int, list[tuple[str, int]]] = {}
        """By once-key: the places of the events that carry it."""
        self.policy = 1
        """The newest version that was applied."""
        self._order: dict[int, int] = {}
        self._events = 0
        self.owners: dict[str, str] = {}
        """By identity: the customer it is assigned to."""
        self.owned: set[tuple[str, str]] = set()
        """Identities and all customers that they were ever assigned to."""
        self.strays: list[tuple[str, str, str]] = []
        """Events of an identity that was not their customer's when they were committed: stream, identity, owner."""

    @property
    def position(self) -> int:
        """The newest synced position."""
        return len(self.records)

    def order_of(self, key: int) -> int:
        """When the effect of a once-key was committed, among all events."""
        return self._order[key]

    def head(self, stream: str) -> int:
        """The newest synced seq of a stream."""
        return len(self.streams.get(stream, ()))

    def read(self) -> None:
        """Takes what was synced since."""
        synced = self._disk.synced_position
        if synced == len(self.records):
            return
        image = self._disk.image
        for record in image.records[len(self.records) - image.trimmed : synced - image.trimmed]:
            self._take(record)

    def delivery_events(self, delivery: str) -> list[AnyEvent]:
        """The events about one delivery, in order."""
        stream = self.streams.get(conversation_of(delivery), [])
        return [event for event in stream if getattr(event, "delivery", "") == delivery]

    def _take(self, record: Record) -> None:
        self.records.append(record)
        if record.position != len(self.records):
            self._broken("ordered", f"position {record.position} follows {len(self.records) - 1}")
        before, said = dict(self.owners), []
        for identity in record.identities:
            other = before.get(identity, record.customer)
            if other != record.customer:
                self._broken("once", f"{identity} was assigned to {other} and to {record.customer}")
        for entry in _entries(record.body):
            event = self._take_entry(record, entry)
            self._take_identity(record, event)
            if isinstance(event, MessageReceived | InteractionStarted):
                said.append((entry.stream, event.identity))
        for stream, identity in said:
            owners = {before.get(identity), self.owners.get(identity)}
            if record.customer not in owners:
                self.strays.append((stream, identity, str(owners)))

    def _take_identity(self, record: Record, event: AnyEvent) -> None:
        match event:
            case IdentityLinked(identity=identity):
                other = self.owners.setdefault(identity, record.customer)
                if other != record.customer:
                    self._broken("once", f"{identity} was linked to {other} and to {record.customer}")
                self.owned.add((identity, record.customer))
            case IdentityUnlinked(identity=identity):
                if self.owners.pop(identity, "") != record.customer:
                    self._broken("once", f"{identity} was unlinked from {record.customer}, whose it was not")
            case _:
                pass

    def _take_entry(self, record: Record, entry: Entry) -> AnyEvent:
        stream = self.streams.setdefault(entry.stream, [])
        event = _event(entry.event)
        if entry.seq != len(stream) + 1:
            self._broken("ordered", f"{entry.stream}: seq {entry.seq} follows {len(stream)}")
        if self.customers.setdefault(entry.stream, record.customer) != record.customer:
            self._broken("ordered", f"{entry.stream} has events of two customers")
        stream.append(event)
        self._events += 1
        self.encoded.setdefault(entry.stream, []).append(bytes(entry.event))
        if isinstance(event, InputQuarantined):
            self.quarantined.setdefault((event.account, event.source, event.id), []).append(event)
        if isinstance(event, PolicyApplied):
            self.policy = event.version
        if event.once is not None:
            self._order.setdefault(event.once.key, self._events)
            self.by_once.setdefault(event.once.key, []).append((entry.stream, len(stream)))
        return event
