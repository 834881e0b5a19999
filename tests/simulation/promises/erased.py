"""Of who is forgotten nothing is left that they said or were told: not in the journal, not in the archive, not in a
cell's memory; nor does it come back, though sources say it once more. What was counted is as before, what is others' is
untouched, the act is recorded.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from adapters.stores.archive.schema import TABLES
from protocol.errors import Refusal
from protocol.events import AnyEvent, ConversationOpened, CustomerErased, InteractionReceived, InteractionStarted
from protocol.ids import ACCOUNT
from protocol.inbound import MessageArrived
from protocol.journal import Entry, Record
from protocol.links import ReadCustomer
from tests.simulation.world import World

_entries = msgspec.msgpack.Decoder(list[Entry]).decode
_event = msgspec.msgpack.Decoder(AnyEvent).decode


@dataclass(frozen=True, slots=True)
class Forgotten:
    """One of them, as the server lay before the act."""

    customer: str
    position: int
    words: set[bytes]
    """What nobody else's events had."""
    records: list[Record]
    emptied: set[str]
    """Quarantined inputs that an earlier act had emptied: it had found another person's address in them."""
    unfit: set[int] = field(default_factory=set)
    """The once-keys of what accounts kept of theirs, that comes again mended."""


async def check_at_once(world: World, person: Forgotten) -> None:
    """On the stopped server: nothing was said since."""
    await _check_gone(world, person, person.words)
    for before, after in zip(person.records, world.ledger.records, strict=False):
        _check_counted(world, person, before, after)
    image = world.disks.disk.image
    for identity in _names(world, person):
        if image.owners.get(identity) == person.customer or identity in image.free:
            world.broken("erased", f"{person.customer} is forgotten, and the journal has {identity}")


async def check(world: World) -> None:
    """At the end: that they did not come back, and the act is there once."""
    for person in world.forgotten.values():
        acts = [e for e in world.ledger.streams[person.customer] if isinstance(e, CustomerErased)]
        if [(act.actor, act.reason) for act in acts] != [("operator:root", "as they asked")]:
            world.broken("erased", f"{person.customer} was erased; the journal has {acts}")
        for key in person.unfit & world.ledger.by_once.keys():
            world.broken("erased", f"{person.customer} is forgotten, and what was kept of theirs came in: {key:x}")
        await _check_gone(world, person, person.words - set(_in_other_payloads(world, person)))


async def _check_gone(world: World, person: Forgotten, words: Iterable[bytes]) -> None:
    places = {"the journal": b"".join(record.body for record in world.disks.disk.image.records)}
    for table in ("event", *TABLES):
        places[f"the archive's {table}"] = repr(await world.disks.archive.rows(table)).encode()
    places["memory"] = await _in_memory(world, person.customer)
    for text in sorted(words):
        for place in [place for place, body in places.items() if text in body]:
            world.broken("erased", f"{person.customer} is forgotten, and {place} has {text[:40]!r}")


async def _in_memory(world: World, customer: str) -> bytes:
    gateway = world.server.a_gateway()
    if gateway is None:
        return b""  # The server is stopped.
    try:
        return repr(await gateway.front.cells.call(customer, lambda ref: ReadCustomer(ref, customer))).encode()
    except Refusal as refusal:
        world.broken("erased", f"{customer} can't be read: {refusal.message}")
        return b""


def _in_other_payloads(world: World, person: Forgotten) -> Iterable[bytes]:
    """Words that stand in what is another payload, and may come in, or be kept, after the act."""
    said = [offer.event.data for offer in world.book.offers]
    texts = [data.text.encode() for data in said if isinstance(data, MessageArrived)]
    return (text for text in person.words if any(text in each and text != each for each in texts))


def _check_counted(world: World, person: Forgotten, before: Record, after: Record) -> None:
    """The unit has the events it had, at their times, with their once-keys; of those that are not about the person not
    a byte is changed."""
    if before.body == after.body:
        return
    for was, entry in zip(_entries(before.body), _entries(after.body), strict=True):
        old, new = _event(was.event), _event(entry.event)
        if (was.stream, was.seq, type(old), old.at_ms, old.once) != (
            entry.stream,
            entry.seq,
            type(new),
            new.at_ms,
            new.once,
        ):
            world.broken("erased", f"{was.stream}/{was.seq} is {new}, and was {old}")
        # Of what an account refused an address is found in whatever spelling.
        own = world.ledger.customer(was.stream) == person.customer or was.stream.startswith(ACCOUNT)
        named = own or _is_named(world, person, bytes(was.event)) or _is_said(world, person, was.stream, old)
        if bytes(was.event) != bytes(entry.event) and not named:
            world.broken("erased", f"{person.customer} is forgotten, and {was.stream}/{was.seq} is changed")


def _is_named(world: World, person: Forgotten, event: bytes) -> bool:
    return person.customer.encode() in event or any(name.encode() in event for name in _names(world, person))


def _is_said(world: World, person: Forgotten, stream: str, event: AnyEvent) -> bool:
    """Whether it is of a contact of theirs, which stands in a conversation of whom they were merged with."""
    names, told = _names(world, person), world.ledger.told(stream)
    numbers = {each.interaction for each in told if isinstance(each, InteractionStarted) and each.identity in names}
    received = [each.interaction for each in told if isinstance(each, InteractionReceived)]
    numbers |= {each.number for each in received if each.identity in names}
    contact = getattr(event, "interaction", 0)
    number = contact if isinstance(contact, int) else contact.number
    return number in numbers or (isinstance(event, ConversationOpened) and 1 in numbers)


def _names(world: World, person: Forgotten) -> list[str]:
    return [identity for identity, customer in world.ledger.once_owned if customer == person.customer]
