"""Promise 1: acked is durable. What was answered is in the journal when all is over, whatever died meanwhile."""

from tests.simulation.world import World


def check(world: World) -> None:
    """That each ack was true when it left is the witness's to say (`Book.check`); here: that it still is."""
    for offer in world.book.offers:
        for answer in offer.answers:
            if not answer.startswith("refused") and not offer.is_kept(world.ledger, answer):
                world.broken("acked", f"{offer.event.id} was acked as {answer} and is not in the journal")
    for asked in world.asked.values():
        if asked.result is not None and not asked.result.code and asked.key not in world.ledger.by_once:
            world.broken("acked", f"command {asked.id} has its result and is not in the journal")
