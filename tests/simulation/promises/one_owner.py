"""Promise 8: one owner at a time. Each change of owner names the owner before it; nobody takes from another unforced.

Handoffs with leases are not built yet, and not checked."""

from protocol.commands import Take
from protocol.events import OwnerChanged
from tests.simulation.world import World


def check(world: World) -> None:
    """Walks the changes of each conversation."""
    taken = {asked.key: asked for asked in world.asked.values() if isinstance(asked.command, Take)}
    for stream, events in world.ledger.streams.items():
        owner = ""
        for event in events:
            if not isinstance(event, OwnerChanged):
                continue
            if event.previous != owner:
                world.broken(
                    "one_owner", f"{stream} went from {event.previous!r} to {event.owner!r}; it was {owner!r}'s"
                )
            asked = taken.get(event.once.key) if event.once else None
            if asked is not None and isinstance(asked.command, Take) and not asked.command.force and owner:
                world.broken("one_owner", f"{stream} was taken from {owner} by {event.owner}, who did not force it")
            owner = event.owner
