"""Of who is forgotten nothing is left that they said or were told: not in the journal, not in the archive, not in a
cell's memory; nor does it come back. What was counted is as before, what is others' is untouched, the act is recorded.

What a source says once more of theirs after the act comes in as from somebody new.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from adapters.stores.archive_schema import TABLES
from orchestrator.once_keys import once_key
from protocol.errors import Refusal
from protocol.events import AnyEvent, CustomerErased, IdentityLinked, InputQuarantined
from protocol.ids import ACCOUNT
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


async def check_at_once(world: World, person: Forgotten) -> None:
    """On the stopped server: nothing was said since."""
    await _check_gone(world, person, person.words)
    for before, after in zip(person.records, world.ledger.records, strict=False):
        _check_counted(world, person, before, after)


async def check(world: World) -> None:
    """At the end: that they did not come back, and the act is there once."""
    for person in world.forgotten.values():
        acts = [e for e in world.ledger.streams[person.customer] if isinstance(e, CustomerErased)]
        if [(act.actor, act.reason) for act in acts] != [("operator:root", "as they asked")]:
            world.broken("erased", f"{person.customer} was erased; the journal has {acts}")
        await _check_gone(world, person, person.words - set(_said_since(world, person)))


def new_to_somebody(world: World) -> set[int]:
    """The keys of what came from an address of who was forgotten: whoever has it then does not know them."""
    free = {identity for identity, _ in world.ledger.once_owned}
    keys = {offer.key for offer in world.book.offers if not free.isdisjoint(offer.event.identities)}
    kept = [event for event in world.ledger.of_quarantine if isinstance(event, InputQuarantined) and event.once]
    of_payloads = {e.once.key for e in kept if e.once and once_key(e.account, e.source, e.id) in keys}
    return keys | of_payloads


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


def _said_since(world: World, person: Forgotten) -> Iterable[bytes]:
    """Words that came in anew: as somebody else's, or as theirs where an agent gave them an address after the act."""
    acts = world.ledger.streams[person.customer]
    erased = next(n for n, event in enumerate(acts) if isinstance(event, CustomerErased))
    again = any(isinstance(event, IdentityLinked) for event in acts[erased:])
    records = world.ledger.records[person.position :]
    since = [record.body for record in records if again or record.customer != person.customer]
    return (text for text in person.words if any(text in body for body in since))


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
        if bytes(was.event) != bytes(entry.event) and not own and not _is_named(world, person, bytes(was.event)):
            world.broken("erased", f"{person.customer} is forgotten, and {was.stream}/{was.seq} is changed")


def _is_named(world: World, person: Forgotten, event: bytes) -> bool:
    names = [identity.encode() for identity, customer in world.ledger.once_owned if customer == person.customer]
    return person.customer.encode() in event or any(name in event for name in names)
