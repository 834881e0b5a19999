"""Settling: once faults are over, everything that is owed is paid within a bounded time.

Each function yields what is still owed, as (promise, text). A run that owes something at the end has broken that
promise: an event that is never answered is lost however well the rest held.
"""

import asyncio
from collections.abc import Iterator

from actors.archive.timers import timer_changes
from orchestrator.parts.archive import ArchivePart
from orchestrator.parts.cell import CellPart
from protocol.agent_session import State
from tests.simulation.agents import QUEUE, Agent
from tests.simulation.parts import SimulatedChannels, SimulatedGateway, figure
from tests.simulation.world import World

WITHIN_S = 150.0
"""Virtual seconds. The longest wait in the server is for a gateway client's answer that never comes: a minute."""
OVERDUE_MS = 2_000
"""How late a timer may ring: a cell looks four times a second, and may be loading or committing then."""

Owed = Iterator[tuple[str, str]]


async def settle(world: World) -> list[tuple[str, str]]:
    """Lets time pass until nothing is owed, twice in a row; returns what is owed when the time is over."""
    end_s, quiet = world.loop.time() + WITHIN_S, 0
    while world.loop.time() < end_s and not world.failures:
        await asyncio.sleep(0.5)
        first = next(owed_by(world), None)
        quiet = quiet + 1 if first is None else 0
        if quiet == 2:
            return []
    return list(owed_by(world))


def owed_by(world: World) -> Owed:
    """Everything."""
    world.ledger.read()
    yield from _processes(world)
    yield from _answers(world)
    yield from _replays(world)
    yield from _reports(world)
    yield from _imports(world)
    yield from _policy(world)
    yield from _archive(world)
    yield from _timers(world)
    yield from _deliveries(world)
    for agent in world.agents:
        yield from _streams(world, agent)
        yield from _inboxes(world, agent)


def _processes(world: World) -> Owed:
    for process in world.server.processes.values():
        if not process.up:
            yield "alive", f"{process.name} is not up"


def _answers(world: World) -> Owed:
    for source in world.sources.values():
        if source.unanswered:
            yield "refused", f"{source.name} has {source.unanswered} events without an answer"
    if world.mail_room.unanswered:
        yield "refused", f"{world.mail_room.unanswered} mails have no answer"


def _replays(world: World) -> Owed:
    if world.replaying.unanswered:
        yield "refused", f"{world.replaying.unanswered} replays of quarantined input have no answer"


def _reports(world: World) -> Owed:
    """What the provider has yet to say is nobody's debt: only time passes until then."""
    if world.reporting.unsaid or world.reporting.unanswered:
        yield "refused", f"{world.reporting.unsaid} reports are unsaid, {world.reporting.unanswered} have no answer"


def _imports(world: World) -> Owed:
    if world.importing.unanswered:
        yield "refused", f"{world.importing.unanswered} imports of a file are not through"


def _policy(world: World) -> Owed:
    if world.owner.unanswered:
        yield "one_version", f"{world.owner.unanswered} applications have no answer"
    for process in world.server.processes.values():
        part, newest = process.part, world.ledger.policy
        if isinstance(part, CellPart) and figure(part, "policy") != newest:
            yield "one_version", f"{process.name} decides by {figure(part, 'policy')}; {newest} was applied"
        if isinstance(part, SimulatedGateway | SimulatedChannels) and part.front.in_force.policy.version != newest:
            yield "one_version", f"the {process.name} knows {part.front.in_force.policy.version}; {newest} was applied"


def _archive(world: World) -> Owed:
    part = world.server.processes["archive"].part
    if not isinstance(part, ArchivePart) or figure(part, "position") < world.ledger.position:
        yield "ordered", f"the archive has not reached {world.ledger.position}"


def _timers(world: World) -> Owed:
    """Snoozes and offers that should be over, resolved conversations that should be closed."""
    now_ms = world.now_ms()
    for stream, events in world.ledger.streams.items():
        due: dict[str, int] = {}
        for event in events:
            for kind, at_ms in timer_changes(event):
                due.pop(kind, None)
                if at_ms is not None and kind in ("wake", "close", "handoff"):
                    due[kind] = at_ms
        for kind, at_ms in due.items():
            if at_ms <= now_ms - OVERDUE_MS:
                yield "acked", f"{stream}: the timer `{kind}` is {now_ms - at_ms} ms overdue"


def _deliveries(world: World) -> Owed:
    for stream in world.ledger.streams:
        if views := world.folds.views(stream) if "-" in stream else []:
            for delivery in views[-1].deliveries:
                if delivery.state in ("queued", "attempting", "waiting"):
                    yield "sent_once", f"{delivery.id} is still {delivery.state}"


def _streams(world: World, agent: Agent) -> Owed:
    if agent.session.state is not State.OPEN:
        yield "no_gap", f"{agent.name} is not connected"
    if not agent.session.idle:
        yield "once", f"{agent.name} waits for a command's result"
    for conversation in agent.watched():
        head = world.ledger.head(conversation)
        if agent.seen.get(conversation, 0) != head:
            yield "no_gap", f"{agent.name} is at {agent.seen.get(conversation, 0)} of {conversation}; it is at {head}"


def _inboxes(world: World, agent: Agent) -> Owed:
    for inbox, name in ((QUEUE, QUEUE), ("mine", f"owner:{agent.agent}")):
        listed = {c: row.head for c, row in agent.inboxes.get(inbox, {}).items()}
        conversations = [stream for stream in world.ledger.streams if "-" in stream]
        truly = {c: world.ledger.head(c) for c in conversations if name in world.folds.lists(c)}
        if listed != truly:
            differ = {c: (listed.get(c), truly.get(c)) for c in {*listed, *truly} if listed.get(c) != truly.get(c)}
            yield "no_gap", f"{agent.name}'s inbox {inbox} differs (shown, true): {dict(sorted(differ.items()))}"
