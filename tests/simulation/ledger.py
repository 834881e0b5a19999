"""The ledger: what is committed and synced, read from the journal's disk and from nothing else.

Every check compares what somebody was told with this. Records that retention trims stay here.
"""

from collections.abc import Callable, Sequence

import msgspec

from actors.rules.policies import unpacked
from actors.rules.policy import PINNED
from adapters.stores.journal.memory_disk import MemoryDisk
from protocol.events import (
    AnyEvent,
    CustomerGiven,
    CustomerMerged,
    CustomerReleased,
    CustomerReturned,
    IdentityLinked,
    IdentityUnlinked,
    InputQuarantined,
    InteractionStarted,
    MessageReceived,
    PolicyApplied,
    QuarantineReplayed,
    ReplayBegun,
    ReplayRefused,
)
from protocol.ids import conversation_of, customer_of
from protocol.journal import CLAIM, Entry, Record

_entries = msgspec.msgpack.Decoder(list[Entry]).decode
_event = msgspec.msgpack.Decoder(AnyEvent).decode


class Ledger:
    """`broken(promise, text)` hears where the records themselves contradict a promise."""

    def __init__(self, disk: MemoryDisk, broken: Callable[[str, str], None]) -> None:
        self._disk = disk
        self._broken = broken
        self.on_redacted: Callable[[str], None] = _unheard
        """Hears of each stream that an erasure changes."""
        self.records: list[Record] = []
        self.streams: dict[str, list[AnyEvent]] = {}
        self.encoded: dict[str, list[bytes]] = {}
        """The streams' events as their bytes."""
        self.quarantined: dict[tuple[str, str, str], list[InputQuarantined]] = {}
        """By (account, source, id)."""
        self.replayed: dict[str, tuple[str, int]] = {}
        """By quarantined input that came in: where."""
        self.kept_at: dict[str, list[tuple[str, int]]] = {}
        """By quarantined input: where it stands."""
        self.of_quarantine: list[InputQuarantined | ReplayBegun | ReplayRefused | QuarantineReplayed] = []
        """All that happened to refused inputs, in the journal's order."""
        self.into: dict[str, str] = {}
        """By merged customer: into whom."""
        self.pairs: set[tuple[str, str]] = set()
        """All that were ever merged, either way round."""
        self.roots: dict[str, set[str]] = {}
        """By customer: all whose its affairs ever were."""
        self.by_once: dict[int, list[tuple[str, int]]] = {}
        """By once-key: the places of the events that carry it."""
        self.policy = 1
        """The newest version that was applied."""
        self.pinning: set[int] = set()
        """Versions that leave live conversations with the one they were begun under."""
        self._order: dict[int, int] = {}
        self._events = 0
        self.owners: dict[str, str] = {}
        """By identity: the customer it is assigned to."""
        self._claimed: set[str] = set()
        """By which inputs from quarantine came in."""
        self.owned: set[tuple[str, str]] = set()
        """Identities and all customers that they were ever assigned to."""
        self.once_owned: set[tuple[str, str]] = set()
        """Those of `owned` whose customer was erased."""
        self._redacted: dict[str, dict[int, AnyEvent]] = {}
        """By stream and place: events as they were before an erasure."""
        self.strays: list[tuple[str, str, str, str]] = []
        """Events of an identity that was not their customer's when they were committed: stream, identity, owner, and
        the customer."""

    @property
    def position(self) -> int:
        """The newest synced position."""
        return len(self.records)

    def root(self, customer: str) -> str:
        """Whose the customer's affairs are."""
        while customer in self.into:
            customer = self.into[customer]
        return customer

    def customer(self, stream: str) -> str:
        """Whose the stream is."""
        return self.root(home_of(stream))

    def customers(self) -> list[str]:
        """Those whose affairs are their own, and who have conversations."""
        return sorted({self.customer(stream) for stream in self.streams if "-" in stream})

    def order_of(self, key: int) -> int:
        """When the effect of a once-key was committed, among all events."""
        return self._order[key]

    def digest_at(self, stream: str, seq: int) -> int:
        """Of the payload that the event there was caused by; 0 where it was caused by none."""
        once = self.streams[stream][seq - 1].once
        return once.digest if once is not None else 0

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

    def told(self, stream: str) -> list[AnyEvent]:
        """The stream as it was written, whoever was erased since."""
        known = self._redacted.get(stream, {})
        return [known.get(place, event) for place, event in enumerate(self.streams.get(stream, ()))]

    def is_redacted(self, stream: str, seq: int) -> bool:
        """Whether an erasure changed the event."""
        return seq - 1 in self._redacted.get(stream, ())

    def erased(self, customer: str, trimmed: Sequence[Record]) -> None:
        """The journal has other bodies in the place of those that spoke of the customer, whose identities are free; of
        those that it has no more, these are the others."""
        for record in (*trimmed, *self._disk.image.records):
            if record == self.records[record.position - 1]:
                continue
            self.records[record.position - 1] = record
            for entry in _entries(record.body):
                place, encoded = entry.seq - 1, bytes(entry.event)
                if self.encoded[entry.stream][place] != encoded:
                    events = self.streams[entry.stream]
                    self._redacted.setdefault(entry.stream, {}).setdefault(place, events[place])
                    events[place], self.encoded[entry.stream][place] = _event(entry.event), encoded
                    self.on_redacted(entry.stream)
        self.owners = {identity: owner for identity, owner in self.owners.items() if owner != customer}
        gone = {(identity, owner) for identity, owner in self.owned if owner == customer}
        self.once_owned |= gone
        self.owned -= gone

    def delivery_events(self, delivery: str) -> list[AnyEvent]:
        """The events about one delivery, in order."""
        return [event for event in self.told(conversation_of(delivery)) if getattr(event, "delivery", "") == delivery]

    def _take(self, record: Record) -> None:
        self.records.append(record)
        if record.position != len(self.records):
            self._broken("ordered", f"position {record.position} follows {len(self.records) - 1}")
        before, said = {identity: self.root(owner) for identity, owner in self.owners.items()}, []
        linked: set[str] = set()
        for identity in record.identities:
            if identity.startswith(CLAIM) and identity in self._claimed:
                self._broken("once", f"{identity.removeprefix(CLAIM)} came in twice, from quarantine")
            self._claimed.add(identity)
            other = before.get(identity, record.customer)
            if other != record.customer:
                self._broken("once", f"{identity} was assigned to {other} and to {record.customer}")
        for entry in _entries(record.body):
            event = self._take_entry(record, entry)
            self._take_identity(record, event)
            if isinstance(event, IdentityLinked):
                linked.add(event.identity)  # It may be unlinked again by the same unit.
            if isinstance(event, MessageReceived | InteractionStarted):
                said.append((entry.stream, event.identity))
        for stream, identity in said:
            now = self.owners.get(identity, "")
            owners = {before.get(identity, ""), now, self.root(now)}
            if record.customer not in owners and identity not in linked:
                self.strays.append((stream, identity, str(owners), record.customer))

    def _take_identity(self, record: Record, event: AnyEvent) -> None:
        match event:
            case CustomerGiven() | CustomerMerged() | CustomerReleased() | CustomerReturned():
                self._take_merge(record.customer, event)
            case IdentityLinked(identity=identity):
                other = self.root(self.owners.setdefault(identity, record.customer))
                if other != record.customer:
                    self._broken("once", f"{identity} was linked to {other} and to {record.customer}")
                self.owned.add((identity, record.customer))
            case IdentityUnlinked(identity=identity):
                if self.root(self.owners.pop(identity, "")) != record.customer:
                    self._broken("once", f"{identity} was unlinked from {record.customer}, whose it was not")
            case _:
                pass

    def _take_merge(
        self, customer: str, event: CustomerGiven | CustomerMerged | CustomerReleased | CustomerReturned
    ) -> None:
        """Who goes where, and with which identities: what the events say is what the ledger has."""
        match event:
            case CustomerGiven():
                if customer in self.into or self.root(event.to) == customer or event.to in self.into:
                    self._broken("once", f"{customer} was merged into {event.to}: {self.into}")
                named = self.members_through(customer)
                self.into[customer] = event.to
                for member in named:
                    self.roots.setdefault(member, set()).add(self.root(member))
                self.pairs |= {(customer, event.to), (event.to, customer)}
            case CustomerMerged():
                named = self.members_through(event.other)
                if self.into.get(event.other) != customer:
                    self._broken("once", f"{customer} took {event.other} in, which was not given")
                self._check_identities(named, event.identities, f"{customer} took {event.other} in")
                self.owned |= {(identity, customer) for identity in event.identities}
            case CustomerReleased():
                named = self.members_through(event.other)
                identities = [link.identity for link in event.links]
                self._check_identities(named, identities, f"{customer} released {event.other}")
                if self.into.pop(event.other, "") != customer:
                    self._broken("once", f"{customer} released {event.other}, which it did not have")
            case CustomerReturned():
                self.owned |= {(link.identity, customer) for link in event.links}
                self._check_identities(
                    self.members_through(customer), [link.identity for link in event.links], f"{customer} returned"
                )
                if customer in self.into:
                    self._broken("once", f"{customer} returned, and is {self.into[customer]}'s")
                return
        if set(event.members) != named:
            self._broken("once", f"{event}: its members are {sorted(named)}")

    def members_through(self, customer: str) -> set[str]:
        """Itself, and those who were merged into it."""
        found = {customer}
        while more := {each for each, into in self.into.items() if into in found} - found:
            found |= more
        return found

    def _check_identities(self, members: set[str], named: list[str], what: str) -> None:
        truly = {identity for identity, owner in self.owners.items() if owner in members}
        if set(named) != truly:
            self._broken("once", f"{what} with {sorted(named)}; it has {sorted(truly)}")

    def _take_entry(self, record: Record, entry: Entry) -> AnyEvent:
        stream = self.streams.setdefault(entry.stream, [])
        event: AnyEvent = _event(entry.event)
        if entry.seq != len(stream) + 1:
            self._broken("ordered", f"{entry.stream}: seq {entry.seq} follows {len(stream)}")
        if self.customer(entry.stream) != record.customer:
            whose = self.customer(entry.stream)
            self._broken("one_writer", f"{entry.stream} is {whose}'s, and {record.customer} wrote to it")
        self.roots.setdefault(home_of(entry.stream), set()).add(record.customer)
        stream.append(event)
        self._events += 1
        self.encoded.setdefault(entry.stream, []).append(bytes(entry.event))
        if isinstance(event, InputQuarantined):
            self.kept_at.setdefault(event.quarantine, []).append((entry.stream, entry.seq))
            self.quarantined.setdefault((event.account, event.source, event.id), []).append(event)
        if isinstance(event, InputQuarantined | ReplayBegun | ReplayRefused | QuarantineReplayed):
            self.of_quarantine.append(event)
        if isinstance(event, QuarantineReplayed):
            self.replayed[event.quarantine] = (event.stream, event.seq)
        if isinstance(event, PolicyApplied):
            self.policy = event.version
            if unpacked(event.version, event.body).live_conversations == PINNED:
                self.pinning.add(event.version)
        if event.once is not None:
            self._order.setdefault(event.once.key, self._events)
            self.by_once.setdefault(event.once.key, []).append((entry.stream, len(stream)))
        return event


def home_of(stream: str) -> str:
    """Whose a stream was when it began."""
    return customer_of(stream) or stream


def _unheard(_: str) -> None:
    """Nobody keeps anything of it."""
