"""Loading: a journey's state from its last snapshot, the archived events after it, and the journal's tail.

The tail is asked first. It names the position up to which everything older is archived or about to be; the archive is
read once it has reached that. Nothing can fall between, since the cell that loads is the journey's only writer.

The streams of a customer's members are read as well. Up to a member's give they make its own state, which joins the
customer's where that took it in; from there on they change the joined state, in the journal's order, until a release.
A member's own journey ends with its give, unless it was returned: then it goes on through what happened meanwhile.

Retention may have taken facts of conversations that are over: see `actors.cells.remains`.

The tail also says which merges the customer has to take in; whoever loads it does that before anything else.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec
from msgspec import Struct

from actors.cells import remains, snapshots
from actors.identity import merging
from actors.identity.members import home_of
from actors.state import journey as journeys
from actors.state.journey import Journey
from protocol.archive import Due, StoredEvent, StoredJourney
from protocol.events import AnyEvent, CustomerGiven, CustomerMerged, CustomerReleased, CustomerReturned
from protocol.ids import may_be_customer
from protocol.journal import Entry, Record, Unsettled
from protocol.links import TailIs

POLL_S = 0.002
POLL_MAX_S = 0.05
"""Between looks at the archive's position, doubling: it follows within its gathering time."""


class ArchiveReader(Protocol):
    """The archive, read-only."""

    async def position(self) -> int:
        """The journal's position that it has reached."""
        ...

    async def stored(self, customer: str) -> StoredJourney:
        """The journey's newest snapshot and what came after it, in one look."""
        ...

    async def events_of_customer(self, customer: str, after_position: int) -> list[StoredEvent]:
        """The customer's events in all streams, in the journal's order."""
        ...

    async def due(self, shards: list[int], before_ms: int, limit: int) -> list[Due]:
        """Customers of the shards with something to do before then."""
        ...

    async def untaken(self, shards: list[int], limit: int) -> list[tuple[str, str]]:
        """(customer, account) of the shards' deliveries that wait for someone to take them."""
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


ReadTail = Callable[[str], Awaitable[TailIs]]


class Settling(Struct, frozen=True):
    """What a loaded customer has to take in: `other`, as it gave itself, or its own release by another."""

    told: Unsettled
    other: Journey | None = None
    released: CustomerReleased | None = None


class Loaded(Struct, frozen=True):
    """A customer's state, the position of the newest unit in it, and what it has to take in, in that order."""

    journey: Journey
    position: int
    settling: list[Settling] = []


async def load(customer: str, archive: ArchiveReader, read_tail: ReadTail) -> tuple[Journey, int]:
    """Returns the customer's state and the position of the newest unit in it; an empty journey for a stranger."""
    loaded = await load_whole(customer, archive, read_tail)
    return loaded.journey, loaded.position


async def load_whole(customer: str, archive: ArchiveReader, read_tail: ReadTail) -> Loaded:
    """The customer's state with what it has to take in. What cannot be a customer's id, such as a conversation's, gets
    the empty journey of a stranger, so that whatever is asked of it is refused."""
    if not may_be_customer(customer):
        return Loaded(Journey(customer=customer), 0)
    tail = await read_tail(customer)
    back = next((told for told in tail.unsettled if told.turn % 2 == 0), None)
    if back is not None:
        # What the other's cell did in its streams is in no tail of its own.
        await reached(archive, back.position)
    state, position = await _state(customer, archive, read_tail, tail, returning=back is not None)
    settling: list[Settling] = []
    for told in tail.unsettled:
        if told.turn % 2 == 0:
            if merging.given_of(state) is not None:
                settling.append(Settling(told, released=await _release(told, archive)))
        elif not merging.is_member(state, told.other):
            other, _ = await _as_given(told.other, told.position, archive, read_tail)
            settling.append(Settling(told, other=other))
    return Loaded(state, position, settling)


class _Fact(NamedTuple):
    """One event's place and what is in it."""

    position: int
    n: int
    stream: str
    seq: int
    event: AnyEvent
    encoded: bytes


async def _state(
    customer: str,
    archive: ArchiveReader,
    read_tail: ReadTail,
    tail: TailIs,
    *,
    until: int | None = None,
    returning: bool = False,
) -> tuple[Journey, int]:
    """The state as of position `until` (None: now), and the position of its newest fact. `returning`: the customer was
    released, and no fact of its own says so yet."""
    newer = [fact for record in tail.records if until is None or record.position <= until for fact in _facts(record)]
    released = [fact.event.released_at for fact in newer if isinstance(fact.event, CustomerReturned)]
    stored = await _stored_at(customer, archive, max(tail.archived, *released) if released else tail.archived)
    state, position, events = Journey(customer=customer), 0, stored.events
    if (newest := stored.snapshot) is not None:
        thawed = snapshots.thaw(newest.body) if until is None or newest.position <= until else None
        if thawed is not None:
            state, position = thawed, newest.position
        else:
            events = await archive.events_of_customer(customer, 0)
    facts = [_fact_of(each) for each in events]
    archived = facts[-1].position if facts else position
    facts += [fact for fact in newer if fact.position > archived]
    if until is not None or returning or merging.family_of(state) is not None or any(map(_of_family, facts)):
        fold = _Fold(customer, archive, read_tail, until=until, returning=returning)
        return state, await fold.run(state, position, facts)
    for fact in facts:
        _evolve(state, fact)
        position = fact.position
    return state, position


async def _stored_at(customer: str, archive: ArchiveReader, position: int) -> StoredJourney:
    """What the archive has of the customer once it has reached the position. Mostly it has, and one look is enough."""
    stored = await archive.stored(customer)
    if stored.position < position:
        await reached(archive, position)
        stored = await archive.stored(customer)
    return stored


class _Fold:
    """Folds a customer's facts where merges are, or may be, among them: with those of its members, by the journal's
    order."""

    def __init__(
        self, customer: str, archive: ArchiveReader, read_tail: ReadTail, *, until: int | None, returning: bool
    ) -> None:
        self._customer = customer
        self._archive = archive
        self._read_tail = read_tail
        self._until = until
        self._returning = returning

    async def run(self, state: Journey, position: int, own: Sequence[_Fact]) -> int:
        """Changes `state`, which is as of `position`; returns the position of the last fact in it."""
        facts = {(fact.position, fact.n): fact for fact in own if self._is_asked_for(fact.position)}
        others: dict[tuple[str, int], Journey] = {}
        family = merging.family_of(state)
        since = {id: max(position, member.given_at) for id, member in family.members.items()} if family else {}
        for fact in list(facts.values()):
            if isinstance(event := fact.event, CustomerMerged) and fact.stream == self._customer:
                given, _ = await _as_given(event.other, event.given_at, self._archive, self._read_tail)
                others[(event.other, event.turn)] = given
                for member in event.members:
                    since[member] = min(since.get(member, event.given_at), event.given_at)
        for member, after in since.items():
            for each in await self._archive.events_of_customer(member, after):
                if self._is_asked_for(each.position):
                    facts.setdefault((each.position, each.n), _fact_of(each))
        return self._fold(state, position, [facts[place] for place in sorted(facts)], others)

    def _is_asked_for(self, position: int) -> bool:
        return self._until is None or position <= self._until

    def _fold(
        self, state: Journey, position: int, ordered: Sequence[_Fact], others: Mapping[tuple[str, int], Journey]
    ) -> int:
        """Changes `state` by facts in the journal's order; `others` are those who were merged into it, by turn."""
        returned = {
            event.turn
            for fact in ordered
            if isinstance(event := fact.event, CustomerReturned) and fact.stream == self._customer
        }
        for fact in ordered:
            if not self._belongs(state, fact):
                continue
            other = others.get((fact.event.other, fact.event.turn)) if isinstance(fact.event, CustomerMerged) else None
            _evolve(state, fact, other)
            position = fact.position
            if isinstance(fact.event, CustomerGiven) and fact.stream == self._customer and not self._returning:
                if fact.event.turn + 1 in returned:
                    continue
                break  # What follows in its streams is another's doing.
        return position

    def _belongs(self, state: Journey, fact: _Fact) -> bool:
        """Whether the fact changes this customer's state: of members' streams, what came after their give."""
        home = home_of(fact.stream, self._customer)
        if home == self._customer:
            return True
        family = merging.family_of(state)
        member = family.members.get(home) if family is not None else None
        return member is not None and fact.position > member.given_at and fact.stream != home


async def _as_given(customer: str, position: int, archive: ArchiveReader, read_tail: ReadTail) -> tuple[Journey, int]:
    """The state of a customer that gave itself to another at `position`."""
    return await _state(customer, archive, read_tail, await read_tail(customer), until=position)


async def _release(told: Unsettled, archive: ArchiveReader) -> CustomerReleased:
    for each in await archive.events_of_customer(told.other, told.position - 1):
        if each.position > told.position:
            break
        event = _from_json(each.body)
        # Two may be released by one unit.
        if isinstance(event, CustomerReleased) and event.other == told.customer:
            return event
    raise AssertionError(f"{told.other} released {told.customer} at {told.position}, and nothing there says so")


def _of_family(fact: _Fact) -> bool:
    return isinstance(fact.event, CustomerGiven | CustomerMerged | CustomerReleased | CustomerReturned)


def _evolve(state: Journey, fact: _Fact, other: Journey | None = None) -> None:
    remains.skip_to(state, fact.stream, fact.seq, fact.event)
    journeys.evolve(state, fact.stream, fact.event, fact.encoded, other)


def _fact_of(stored: StoredEvent) -> _Fact:
    event = _from_json(stored.body)
    return _Fact(stored.position, stored.n, stored.stream, stored.seq, event, _encode(event))


def _facts(record: Record) -> list[_Fact]:
    return [
        _Fact(record.position, n, entry.stream, entry.seq, _from_msgpack(entry.event), bytes(entry.event))
        for n, entry in enumerate(_entries(record.body))
    ]
