"""Promise 2: once. One (account, source, id) has one effect; another payload under it lies in quarantine; a command
that is asked again repeats its result. What a contact lacks is said once in its conversation."""

from collections import defaultdict

from protocol.errors import Code
from protocol.events import FieldMissing, IdentityConflictFound, InteractionMoved, InteractionReceived
from tests.simulation.promises.replayed import given_to_others, unknown_at_home
from tests.simulation.sources import Offer
from tests.simulation.world import World


def check(world: World) -> None:
    """Counts effects by once-key, in the journal alone."""
    others, unknown = given_to_others(world), unknown_at_home(world)
    for key, places in world.ledger.by_once.items():
        kept = [place for place in places if place != others.get(key)]
        payloads = [world.ledger.digest_at(*place) for place in places]
        if len(kept) > 1 or (len(set(payloads)) < len(payloads) and key not in unknown):
            world.broken("once", f"the key {key:x} has effects at {places}")
    _check_customers(world)
    _check_questions(world)
    offers: dict[tuple[str, str, str], list[Offer]] = defaultdict(list)
    for offer in world.book.offers:
        offers[offer.place].append(offer)
    for same in offers.values():
        _check_payloads(world, same)
    for asked in world.asked.values():
        if asked.result is not None and not asked.result.code:
            result = (asked.result.conversation, asked.result.seq)
            if world.ledger.by_once.get(asked.key) != [result]:
                world.broken("once", f"command {asked.id} has the result {result} and another effect")


def _check_customers(world: World) -> None:
    """An event is its identity's customer's at its commit; or it is said to be in conflict: an agent linked the
    identity elsewhere, or unlinked it, while the event, which has another one of this customer, was on its way."""
    for stream, identity, owner, customer in world.ledger.strays:
        own = world.ledger.told(customer)
        if all(not isinstance(e, IdentityConflictFound) or e.identity != identity for e in own):
            world.broken("once", f"{stream} has an event of {identity}, which was {owner}'s")


def _check_questions(world: World) -> None:
    """Nobody is asked twice for what a template wants: not in one conversation, and not where a contact has come to
    that was asked where it was before."""
    for stream, events in world.ledger.streams.items():
        asked: set[tuple[str, int]] = set()
        for event in events:
            match event:
                case FieldMissing(field=field, interaction=interaction):
                    if any(each == field for each, _ in asked):
                        world.broken("once", f"{stream} says once more that {field} is missing")
                    asked.add((field, interaction))
                case InteractionMoved(interaction=interaction):
                    asked = {each for each in asked if each[1] != interaction}
                case InteractionReceived(gaps=gaps):
                    asked |= {(gap.field, gap.interaction) for gap in gaps}
                case _:
                    pass


def _check_payloads(world: World, same: list[Offer]) -> None:
    """Of the payloads under one name one counts; each other one that was answered is kept, once."""
    payloads = {repr(offer.event.data) for offer in same}
    answered = {a for offer in same for a in offer.answers}
    if len(payloads) < 2 or not same[0].answers:
        return
    kept = world.ledger.quarantined.get(same[0].place, [])
    raws = {event.raw for event in kept}
    if len(raws) < len(kept):
        world.broken("once", f"{same[0].event.id}: one conflict lies in quarantine {len(kept)} times")
    effects = [offer for offer in same if {"committed", "repeat"} & set(offer.answers)]
    if len({repr(offer.event.data) for offer in effects}) > 1:
        world.broken("once", f"{same[0].event.id}: two payloads were taken under one name: {sorted(answered)}")
    conflicts = [offer for offer in same if f"refused:{int(Code.DIGEST_CONFLICT)}" in offer.answers]
    if conflicts and not kept:
        world.broken("refused", f"{same[0].event.id}: its conflict was refused and is not in quarantine")
