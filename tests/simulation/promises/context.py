"""Promise 7: context is conserved over channels, restarts and passivation.

What every source said last, and was told is set, is there at the end: in what the live conversation shows, with the
value that stands. At each switch of channel the proofs are those of what was said before it, and by then. Computed from
the events alone, not by the code that folds them. Each contact is in the one conversation that corrections left it in.
"""

import hashlib
from collections.abc import Sequence
from functools import partial

import msgspec

from protocol.entities import ContextItem, ContextValue, ConversationView
from protocol.errors import Refusal
from protocol.events import (
    AnyEvent,
    ChannelSwitched,
    ContextSet,
    ContextWithdrawn,
    ContextWithheld,
    InteractionMoved,
    InteractionReceived,
    InteractionStarted,
)
from protocol.links import CustomerRead, ReadCustomer
from tests.simulation.world import World

Source = tuple[str, str, str]
"""Key, channel, whose word."""


async def check(world: World) -> None:
    """Asks the cells for every customer."""
    gateway = world.server.a_gateway()
    assert gateway is not None
    for customer in sorted({record.customer for record in world.ledger.records}):
        try:
            reply = await gateway.front.cells.call(customer, partial(ReadCustomer, customer=customer))
        except Refusal as refusal:
            world.broken("context", f"{customer} can't be read: {refusal.message}")
            return
        assert isinstance(reply, CustomerRead)
        shown = {view.conversation: view for view in reply.view.open} if reply.view else {}
        whose = world.ledger.root(customer)
        if reply.view is not None and reply.view.customer != whose:
            world.broken("context", f"{customer} is read as {reply.view.customer}; it is {whose}")
        for stream in [s for s in world.ledger.streams if "-" in s and world.ledger.customer(s) == whose]:
            _check_switches(world, stream)
            if world.folds.views(stream)[-1].status == "closed":
                continue
            if stream not in shown:
                world.broken("context", f"{stream} is live and its customer does not show it")
            else:
                _check_shown(world, stream, shown[stream])


def _check_shown(world: World, stream: str, view: ConversationView) -> None:
    events = world.ledger.streams[stream]
    if {item.key: item.value for item in view.context} != _standing(events):
        world.broken("context", f"{stream} shows {view.context}; {_standing(events)} should stand")
    said = {source: event.value for source, event in _said(events).items()}
    if _shown(view.context) != said:
        world.broken("context", f"{stream} shows {_shown(view.context)}; {said} were said")
    if {i.number for i in view.interactions} != _contacts(events):
        world.broken("context", f"{stream} shows other contacts than {_contacts(events)}")
    if view.withheld != _withheld(events):
        world.broken("context", f"{stream} shows {view.withheld} as withheld; it is {_withheld(events)}")
    if {i.identity for i in view.interactions} - {identity for identity, _ in world.ledger.owned}:
        world.broken("context", f"{stream} shows interactions of identities that nobody ever had")


def _contacts(events: Sequence[AnyEvent]) -> set[int]:
    """The numbers of the interactions that began here, or came, and did not leave."""
    numbers: set[int] = set()
    for event in events:
        match event:
            case InteractionStarted():
                numbers.add(event.interaction)
            case InteractionReceived():
                numbers.add(event.interaction.number)
            case InteractionMoved():
                numbers.remove(event.interaction)
            case _:
                pass
    return numbers


def _check_switches(world: World, stream: str) -> None:
    """Each from where the one before led, with an owner of its continuity, and nothing lost."""
    events, channel = world.ledger.told(stream), ""
    for place, event in enumerate(events):
        if not isinstance(event, ChannelSwitched):
            continue
        if (channel and event.from_channel != channel) or event.from_channel == event.to_channel:
            world.broken("context", f"{stream} was on {channel} and went from {event.from_channel} {event.to_channel}")
        channel = event.to_channel
        if event.proof_after != _proof(events[:place]):
            world.broken("context", f"{stream}: what is known at the switch at {place + 1} is not what was said")
        if event.proof_before not in {_proof(events[:start]) for start in _starts(events, place)}:
            world.broken("context", f"{stream}: what was known before the switch at {place + 1} is not what was said")
        if event.kept != event.items_before or not event.continuity or set(event.missing) - set(event.required):
            world.broken("context", f"{stream} lost something at the switch at {place + 1}: {event}")


def _starts(events: Sequence[AnyEvent], place: int) -> list[int]:
    """Where the input that caused the switch at `place` may have begun: its facts are of one moment."""
    starts = [place]
    while starts[-1] > 0 and events[starts[-1] - 1].at_ms == events[place].at_ms:
        starts.append(starts[-1] - 1)
    return starts


def _said(events: Sequence[AnyEvent]) -> dict[Source, ContextSet]:
    """The newest word of each source, but what was another person's."""
    said: dict[Source, ContextSet] = {}
    for event in events:
        if isinstance(event, ContextSet):
            said[event.key, event.channel, _side(event.actor)] = event
        elif isinstance(event, ContextWithdrawn):
            said.pop((event.key, event.channel, event.side), None)
    return said


def _standing(events: Sequence[AnyEvent]) -> dict[str, object]:
    """The value that stands, by the newest event of each key."""
    stands: dict[str, object] = {}
    for event in events:
        if isinstance(event, ContextSet):
            stands[event.key] = event.stands.value if event.stands else event.value
        elif isinstance(event, ContextWithdrawn) and event.stands is not None:
            stands[event.key] = event.stands.value
        elif isinstance(event, ContextWithdrawn):
            stands.pop(event.key, None)
    return stands


def _withheld(events: Sequence[AnyEvent]) -> list[str]:
    keys: list[str] = []
    for event in events:
        if isinstance(event, ChannelSwitched):
            keys = []
        elif isinstance(event, ContextWithheld):
            keys += event.keys
    return keys


def _shown(items: Sequence[ContextItem]) -> dict[Source, object]:
    said: dict[Source, object] = {}
    for item in items:
        values: tuple[ContextItem | ContextValue, ...] = (item, *item.others)
        for value in values:
            said[item.key, value.channel, _side(value.actor)] = value.value
    return said


def _proof(events: Sequence[AnyEvent]) -> str:
    """As docs/data-model.md says that anyone can compute it."""
    lines = sorted(
        msgspec.json.encode([*source, event.version, event.value, event.sensitivity])
        for source, event in _said(events).items()
    )
    return hashlib.blake2b(b"\n".join(lines), digest_size=16).hexdigest() if lines else ""


def _side(actor: str) -> str:
    return actor.partition(":")[0] if actor.startswith(("agent:", "system")) else "customer"
