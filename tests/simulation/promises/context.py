"""Promise 7: context is conserved over channels, restarts and passivation.

What an agent set, and was told is set, is there at the end: in what the live conversation shows, and in the archive.
Computed from the `ContextSet` events alone, not by the code that folds them.
"""

from protocol.errors import Refusal
from protocol.events import ContextSet
from protocol.links import CustomerRead, ReadCustomer
from tests.simulation.world import World


async def check(world: World) -> None:
    """Asks the cells for every customer."""
    gateway = world.server.gateway
    assert gateway is not None
    for customer in sorted({record.customer for record in world.ledger.records}):
        try:
            reply = await gateway.front.cells.call(customer, lambda ref, c=customer: ReadCustomer(ref, c))
        except Refusal as refusal:
            world.broken("context", f"{customer} can't be read: {refusal.message}")
            return
        assert isinstance(reply, CustomerRead)
        shown = {view.conversation: view for view in reply.view.open} if reply.view else {}
        for stream in [s for s, c in world.ledger.customers.items() if c == customer and "-" in s]:
            expected = set_in(world, stream)
            live = world.folds.views(stream)[-1].status != "closed"
            if live and stream not in shown:
                world.broken("context", f"{stream} is live and its customer does not show it")
            elif live and {item.key: item.value for item in shown[stream].context} != expected:
                world.broken("context", f"{stream} shows {shown[stream].context}; {expected} were set")
            elif live and {i.identity for i in shown[stream].interactions} - set(world.ledger.owners):
                world.broken("context", f"{stream} shows interactions of identities that nobody has")


def set_in(world: World, stream: str) -> dict[str, object]:
    """The newest value of each key."""
    return {event.key: event.value for event in world.ledger.streams[stream] if isinstance(event, ContextSet)}
