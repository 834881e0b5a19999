"""Promises 1 to 3, of contacts of the past: each comes in once, whole and in one unit, over as it comes, at its own
times; nothing of it is sent, and no other word is said of it where it came in.
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from actors.inbound.importing import IMPORTED
from protocol.entities import Direction
from protocol.errors import Code
from protocol.events import (
    AnyEvent,
    ConversationClosed,
    ConversationOpened,
    DeliveryAttempted,
    DeliverySent,
    InteractionEnded,
    InteractionStarted,
    MessageQueued,
    MessageReceived,
    PastImported,
)
from protocol.inbound import PastConversation
from protocol.journal import Entry
from tests.simulation.importing import SOURCE, Contact
from tests.simulation.world import World

Fact = tuple[type[AnyEvent], int, str]
"""What it is, when it was, and its words."""
FACTS = (
    ConversationOpened,
    InteractionStarted,
    MessageReceived,
    MessageQueued,
    DeliverySent,
    InteractionEnded,
    ConversationClosed,
)

_entries = msgspec.msgpack.Decoder(list[Entry]).decode


def check(world: World) -> None:
    """Compares what the files said with what the journal has."""
    if not world.plan.imports:
        return
    units = _units(world)
    for contact in world.importing.contacts:
        taken = [answer for answer in contact.answers if answer.status != "refused"]
        refused = {answer.code for answer in contact.answers} - {0}
        if not contact.answers:
            world.broken("refused", f"{contact.event.id} was never answered")
        elif taken:
            _check_taken(world, contact, units)
        elif Code.DIGEST_CONFLICT in refused:
            kept = world.ledger.quarantined.get((contact.event.account, SOURCE, contact.event.id), ())
            if len(kept) != 1:
                world.broken("refused", f"{contact.event.id} came with other words, and lies in quarantine as {kept}")
        else:
            world.broken("refused", f"{contact.event.id} fits, and was refused with {refused}")
    for stream, events in world.ledger.streams.items():
        if "-" in stream:
            _check_not_sent(world, stream, events)


def sent_then(events: Sequence[AnyEvent]) -> set[str]:
    """The deliveries of a conversation that left before it was here."""
    if not _is_imported(events):
        return set()
    return {event.delivery for event in _at_import(events) if isinstance(event, MessageQueued)}


def _units(world: World) -> dict[str, tuple[int, int]]:
    """By conversation: the position of the unit in which it began, and how many events of it that had."""
    units: dict[str, tuple[int, int]] = {}
    for record in world.ledger.records:
        for entry in _entries(record.body):
            position, events = units.get(entry.stream, (record.position, 0))
            if position == record.position:
                units[entry.stream] = (position, events + 1)
    return units


def _check_taken(world: World, contact: Contact, units: dict[str, tuple[int, int]]) -> None:
    """It has one effect, which is the fact of its import and the conversation that this names."""
    id = contact.event.id
    places = world.ledger.by_once.get(contact.key, [])
    digests = [world.ledger.digest_at(*place) for place in places]
    if digests != [contact.digest & 0xFFFF_FFFF]:
        world.broken("once", f"{id} was imported, and has effects at {places}")
        return
    [(stream, seq)] = places
    own = world.ledger.told(stream)[seq - 1]
    if not isinstance(own, PastImported) or (own.source, own.id) != (SOURCE, id):
        world.broken("once", f"{id} was imported, and its effect is {own}")
        return
    events = world.ledger.told(own.conversation)
    first = list(_at_import(events))
    made = [_fact(event) for event in first if isinstance(event, FACTS)]
    if made != list(_facts(contact)):
        world.broken("imported", f"{id} came in as {made}; it was {list(_facts(contact))}")
    if not _is_imported(events) or units[own.conversation][1] < len(first):
        world.broken("imported", f"{id} came in as {own.conversation} in several units, or as something of now")


def _check_not_sent(world: World, stream: str, events: Sequence[AnyEvent]) -> None:
    then = sent_then(events)
    for event in events if then else ():
        if isinstance(event, DeliveryAttempted) and event.delivery in then:
            world.broken("sent_once", f"{event.delivery} left before it was imported, and is sent again")


def _is_imported(events: Sequence[AnyEvent]) -> bool:
    return events[0].actor == IMPORTED


def _at_import(events: Iterable[AnyEvent]) -> Iterator[AnyEvent]:
    """Up to where it was over."""
    for event in events:
        yield event
        if isinstance(event, ConversationClosed):
            return


def _fact(event: AnyEvent) -> Fact:
    match event:
        case ConversationOpened(subject=words):
            pass
        case MessageReceived(text=words) | MessageQueued(text=words):
            pass
        case _:
            words = ""
    return type(event), event.at_ms, words


def _facts(contact: Contact) -> Iterator[Fact]:
    past: PastConversation = contact.past
    said = sorted(past.messages, key=lambda message: message.at_ms)
    begun_ms = min([contact.event.time_ms, *(message.at_ms for message in said)])
    ended_ms = max([past.ended_ms, begun_ms, *(message.at_ms for message in said)])
    yield ConversationOpened, begun_ms, past.subject
    yield InteractionStarted, begun_ms, ""
    for message in said:
        if message.direction is Direction.INBOUND:
            yield MessageReceived, message.at_ms, message.text
        else:
            yield MessageQueued, message.at_ms, message.text
            yield DeliverySent, message.at_ms, ""
    yield InteractionEnded, ended_ms, ""
    yield ConversationClosed, ended_ms, ""
