"""Promise 3: ordered, and the archive is the journal's projection.

Gaps and forks show as the ledger reads (`ledger.py`). Here the archive is made anew from all records and compared with
the one that followed, died and caught up, row by row; and each snapshot with what the events up to it make. Of what
retention dropped none has a word.
"""

import asyncio
from collections.abc import Container, Iterable, Mapping
from copy import copy

import msgspec

from actors.archive.projection import project, runs
from actors.cells import snapshots
from actors.cells.loading import load
from actors.identity.members import Member
from actors.state.journey import Aside, Journey
from adapters.stores.archive.memory import MemoryArchive
from adapters.stores.archive.schema import TABLES
from orchestrator.policy.first import policy_of
from protocol.archive import Due, StoredEvent, StoredJourney
from protocol.events import AnyEvent, MessageQueued, MessageReceived, NoteAdded
from protocol.ids import conversation_of
from protocol.inbound import DeliveryReport, InboundEvent
from protocol.journal import Entry
from protocol.links import TailIs
from tests.adapters.stores.dropping import drop_all, over_before
from tests.simulation.ledger import home_of
from tests.simulation.world import World

BATCH = 7
"""Records a batch: other ones than the archive had, since batches must not matter."""
BY_TIME = ("event", "outbox", "identity_review")
"""Of these retention notes a time alone: what the archive hears of later, and is older, goes at the next run, and in
one made anew at once. The others are the same without one more run, since each conversation and input has its note."""

_entries = msgspec.msgpack.Decoder(list[Entry]).decode
_event = msgspec.msgpack.Decoder(AnyEvent).decode


async def check(world: World) -> None:
    """Compares two archives and all snapshots, and the order of each source's events."""
    _check_order(world)
    while await world.disks.archive.position() != world.ledger.position:
        await asyncio.sleep(0.01)
        world.ledger.read()
    # From here on nothing waits, so that nothing moves.
    # Made anew, as an operator does it: retention remembers what it had dropped, and when.
    anew = await world.disks.archive.copy()
    await anew.reset()
    records = world.ledger.records
    for start in range(0, len(records), BATCH):
        batch = records[start : start + BATCH]
        for run in runs(batch):
            await anew.apply(project(run))
    await anew.redrop()
    if before_ms := _retained_from(world):
        await _compare(world, anew, [table for table in TABLES if table not in BY_TIME])
        for archive in (anew, world.disks.archive):
            await drop_all(archive, over_before(before_ms, once_keys_ms=_once_keys_from(world)))
    await _compare(world, anew, ["event", *TABLES])
    past, notes = _Past(world), await world.disks.archive.rows("dropped")
    dropped = {stream: through for kind, stream, _, _, through in notes if kind == "conversation"}
    for customer, position, body in await world.disks.archive.rows("snapshot"):
        await _check_snapshot(world, past.until(position), dropped, customer, position, body)


async def _compare(world: World, anew: MemoryArchive, tables: Iterable[str]) -> None:
    for table in tables:
        made, followed = await anew.rows(table), await world.disks.archive.rows(table)
        if made != followed:
            differ = [row for row in followed if row not in made] or [row for row in made if row not in followed]
            world.broken("ordered", f"the archive's {table} is not the journal's projection: {differ[:2]}")


def _check_order(world: World) -> None:
    """Events of one identity by one source, and its reports on what left one conversation, took effect in the order in
    which the source gave them to the server. One that it was told no of, and gave once more, comes where it did so."""
    last: dict[tuple[str, str], tuple[int, str]] = {}
    seen: set[int] = set()
    for offer in sorted(world.book.offers, key=lambda each: each.turn):
        if offer.event.account not in world.sources or offer.key in seen or "committed" not in offer.answers:
            continue
        seen.add(offer.key)
        place = world.ledger.order_of(offer.key)
        whose = (offer.event.account, _about(offer.event))
        before, id = last.get(whose, (0, ""))
        if place < before:
            world.broken("ordered", f"{offer.event.id} took effect before {id}, which its source sent before it")
        last[whose] = (place, offer.event.id)


def _about(event: InboundEvent) -> str:
    """The identity, or the conversation, whose events have an order."""
    return conversation_of(event.data.delivery) if isinstance(event.data, DeliveryReport) else event.identities[0]


def _retained_from(world: World) -> int:
    kept_ms = round(world.settings.retention_days * 86_400_000)
    return world.now_ms() - kept_ms if kept_ms else 0


def _once_keys_from(world: World) -> int:
    return max(1, world.now_ms() - policy_of(world.settings).once_keys_ms)


async def _check_snapshot(
    world: World, past: "_Past", dropped: Mapping[str, int], customer: str, position: int, body: bytes
) -> None:
    made, _ = await load(customer, past, _no_tail)
    kept = snapshots.thaw(body)
    assert kept is not None
    retained = world.settings.retention_days > 0
    if _plain(kept, retained, dropped) != _plain(made, retained, dropped):
        world.broken("ordered", f"the snapshot of {customer} at {position} is not what its events make")
    for stream, through in sorted(dropped.items()):
        for text in past.until(through).texts(stream):
            if text in body and not _is_said_elsewhere(world, text, dropped):
                world.broken("ordered", f"the snapshot of {customer} at {position} tells what was dropped of {stream}")


def _is_said_elsewhere(world: World, text: bytes, dropped: Container[str]) -> bool:
    """Whether a conversation that is kept has the words too, by chance or within longer ones."""
    kept = (events for stream, events in world.ledger.encoded.items() if stream not in dropped)
    return any(text in encoded for events in kept for encoded in events)


class _Past:
    """All that was committed up to a position, without snapshots, as who loads a journey reads it. Read once, whatever
    the position."""

    def __init__(self, world: World) -> None:
        self._until = world.ledger.position
        self._by_customer: dict[str, list[StoredEvent]] = {}
        self._texts: dict[str, list[tuple[int, bytes]]] = {}
        """By stream: position, and what was written there."""
        for record in world.ledger.records:
            for n, entry in enumerate(_entries(record.body)):
                self._take(record.position, n, entry)

    def until(self, position: int) -> "_Past":
        """The same, as it was at that position."""
        then = copy(self)
        then._until = min(position, self._until)
        return then

    def texts(self, stream: str) -> set[bytes]:
        """What people and agents wrote in a conversation, as it stands in a snapshot's bytes: what is said there since
        it was dropped is not dropped."""
        return {text for position, text in self._texts.get(stream, ()) if position <= self._until}

    async def position(self) -> int:
        return self._until

    async def stored(self, customer: str) -> StoredJourney:
        return StoredJourney(self._until, None, await self.events_of_customer(customer, 0))

    async def events_of_customer(self, customer: str, after_position: int) -> list[StoredEvent]:
        events = self._by_customer.get(customer, ())
        return [event for event in events if after_position < event.position <= self._until]

    async def due(self, shards: list[int], before_ms: int, limit: int) -> list[Due]:
        raise AssertionError("nobody asks this here")

    async def untaken(self, shards: list[int], limit: int) -> list[tuple[str, str]]:
        raise AssertionError("nobody asks this here")

    def _take(self, position: int, n: int, entry: Entry) -> None:
        event = _event(entry.event)
        stored = StoredEvent(position, entry.stream, entry.seq, msgspec.json.encode(event), n)
        self._by_customer.setdefault(home_of(entry.stream), []).append(stored)
        if isinstance(event, MessageReceived | MessageQueued | NoteAdded) and event.text:
            self._texts.setdefault(entry.stream, []).append((position, event.text.encode()))


async def _no_tail(_: str) -> TailIs:
    return TailIs(0, 0, [])


def _plain(journey: Journey, retained: bool, dropped: Container[str]) -> Journey:
    """Without what retention takes: what is over, and what is remembered of that; of what another may take along, of
    where members' conversations stood, and of which of them became mixed, that of the conversations it did drop.
    Once-keys stay."""
    if not retained:
        return journey
    live = tuple(conversation for conversation in journey.kept if conversation.live)
    aside = journey.aside or Aside()
    left = tuple(each for each in aside.left if each[0] not in dropped)
    aside = msgspec.structs.replace(aside, remembered=(), left=left)
    disputes = journey.disputes
    if disputes is not None and (family := disputes.family) is not None:
        members = {id: _without(member, dropped) for id, member in family.members.items()}
        # A load that meets them bare does not know whose contacts they had.
        mixed = tuple(id for id in family.mixed if id not in dropped)
        packed = tuple(each for each in family.packed if each[0] not in dropped)
        family = msgspec.structs.replace(family, members=members, mixed=mixed, packed=packed)
        disputes = msgspec.structs.replace(disputes, family=family)
    return msgspec.structs.replace(journey, kept=live, aside=aside, disputes=disputes)


def _without(member: Member, dropped: Container[str]) -> Member:
    heads = {id: head for id, head in (member.heads or {}).items() if id not in dropped}
    return msgspec.structs.replace(member, heads=heads)
