"""Promise 10: bounded. What may wait is looked at while a run goes on, and never passes its bound."""

from orchestrator.gateway.websockets.agents import WATCHES_AT_ONCE
from orchestrator.parts.cell import CellPart
from orchestrator.parts.journal import JournalPart
from tests.simulation.parts import figure
from tests.simulation.sockets import WINDOW_BYTES
from tests.simulation.world import World

EVERY_S = 0.1
ONE_MESSAGE_BYTES = 64 * 1024
"""A queue may pass its bound by the one message that finds it empty, and by what the socket is taking."""
ANSWERS_BYTES = WATCHES_AT_ONCE * 12 * 1024
"""Answers to watches are not dropped, but few at a time are asked for: each has a view of up to 32 contacts and 4 KiB
of recent events."""


def watch(world: World) -> None:
    """Looks now, and again and again."""
    look(world)
    world.loop.call_later(EVERY_S, watch, world)


def look(world: World) -> None:
    """Compares each size with its bound."""
    for name, size, most in _sizes(world):
        if size > most:
            world.broken("bounded", f"{name}: {size} over {most}")
    for agent in world.agents:
        if agent.socket is not None and agent.socket.unread_bytes > WINDOW_BYTES + ONE_MESSAGE_BYTES:
            world.broken("bounded", f"{agent.name} has {agent.socket.unread_bytes} bytes unread")


def _sizes(world: World) -> list[tuple[str, int, int]]:
    limits, processes = world.settings.limits, world.server.processes
    sizes: list[tuple[str, int, int]] = []
    for gateway in world.server.gateways:
        for connection in gateway.connections():
            size = connection.outgoing.size_bytes
            most = 2 * limits.agent_queue_bytes + max(ONE_MESSAGE_BYTES, ANSWERS_BYTES)
            sizes.append((f"{connection.kind} queue", size, most))
            droppable = connection.outgoing.droppable
            if len(droppable) > 1:  # A frame that finds none before it is taken, however long.
                sizes.append((f"{connection.kind} updates", sum(droppable), limits.agent_queue_bytes))
        sizes.append(("gateway inputs", gateway.front.intake.waiting, limits.inputs_waiting_max))
    if isinstance(journal := processes["journal"].part, JournalPart):
        sizes.append(("journal appends", figure(journal, "waiting"), 4 * (len(world.server.cells) + 1)))
    for name in world.server.cells:
        if isinstance(cell := processes[name].part, CellPart):
            sizes.append((f"{name} attempts", figure(cell, "attempts_under_way"), 2 * world.plan.people * 8))
    return sizes
