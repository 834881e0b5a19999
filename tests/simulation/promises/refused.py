"""Promise 9: refused is not lost. What was refused has its reason, and lies in quarantine; what was not answered at all
is found by settling."""

from orchestrator.gateway.incoming.quarantine import KEPT
from protocol.errors import Code
from tests.simulation.world import World

IN_QUARANTINE = {*map(int, KEPT), int(Code.DIGEST_CONFLICT)}


def check(world: World) -> None:
    """Every offer has an answer; a refusal for good is kept, whole."""
    for offer in world.book.offers:
        if not offer.answers:
            world.broken("refused", f"{offer.event.id} was never answered")
        for answer in offer.answers:
            kind, _, code = answer.partition(":")
            kept = world.ledger.quarantined.get(offer.place, [])
            if kind == "refused" and int(code) in IN_QUARANTINE and not kept:
                world.broken("refused", f"{offer.event.id} was refused with {code} and is not in quarantine")
            if any(not event.raw or not event.code for event in kept):
                world.broken("refused", f"{offer.event.id} lies in quarantine without its bytes or its reason")
