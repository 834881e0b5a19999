"""Promise 9, of what lies in quarantine: who takes it in, takes it in once, in one form, as of its own time."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from orchestrator.once_keys import once_key
from protocol.errors import Code
from protocol.events import (
    InputQuarantined,
    MessageReceived,
    QuarantineReplayed,
    ReplayBegun,
    ReplayRefused,
)
from protocol.inbound import InboundEvent, MessageArrived
from tests.simulation.world import World


@dataclass(slots=True)
class _Input:
    """One input in quarantine, and what became of it."""

    kept: InputQuarantined
    begun: list[bytes] = field(default_factory=list)
    """The form that is about to come in: one at most."""
    came_in: QuarantineReplayed | None = None

    @property
    def key(self) -> int:
        """The event's own once-key."""
        return once_key(self.kept.account, self.kept.source, self.kept.id)

    @property
    def is_anothers(self) -> bool:
        """Whether it came in as somebody else's event than it was sent as."""
        return self.form.identities != msgspec.json.decode(self.kept.raw, type=InboundEvent).identities

    @property
    def form(self) -> InboundEvent:
        """As it was begun last."""
        return msgspec.json.decode((self.begun and self.begun[-1]) or self.kept.raw, type=InboundEvent)


async def check(world: World) -> None:
    """Walks what the journal has of each input. Of one that retention drops nothing more is heard."""
    for input in _inputs(world):
        gone = await world.disks.archive.dropped("quarantine", input.kept.quarantine)
        if input.begun and input.came_in is None and gone is None:
            world.broken("refused", f"{input.kept.quarantine} was begun, and neither came in nor was refused")
        if input.came_in is not None:
            _check_effect(world, input, input.came_in)


def given_to_others(world: World) -> dict[int, tuple[str, int]]:
    """By once-key: where an input came in as the event of somebody else. Once-keys are each customer's own: should its
    source say it once more, it may come in as its first owner's as well."""
    came_in = [(input, input.came_in) for input in _inputs(world) if input.came_in and input.is_anothers]
    return {input.key: (said.stream, said.seq) for input, said in came_in}


def _inputs(world: World) -> Iterable[_Input]:
    inputs: dict[str, _Input] = {}
    for event in world.ledger.of_quarantine:
        match event:
            case InputQuarantined():
                inputs[event.quarantine] = _Input(event)
            case ReplayBegun():
                input = inputs[event.quarantine]
                if input.begun or input.came_in:
                    world.broken("once", f"{event.quarantine} is begun, and came in or may be about to")
                input.begun.append(event.raw)
            case ReplayRefused():
                inputs[event.quarantine].begun.clear()
            case QuarantineReplayed():
                if inputs[event.quarantine].came_in is not None:
                    world.broken("once", f"{event.quarantine} came in twice")
                inputs[event.quarantine].came_in = event
            case _:
                pass
    return inputs.values()


def _check_effect(world: World, input: _Input, said: QuarantineReplayed) -> None:
    """It is the one effect of its name, where it is said to be, with the words of its form and of its own time."""
    kept, place = input.kept, (said.stream, said.seq)
    places = world.ledger.by_once.get(input.key, [])
    if place not in places or (len(places) > 1 and not input.is_anothers):
        world.broken("once", f"{kept.quarantine} is said to have come in at {place}; its effects are at {places}")
    form = input.form
    time_ms = kept.received_ms if kept.code == Code.TIME_IMPLAUSIBLE else form.time_ms
    if not isinstance(form.data, MessageArrived) or form.data.automatic:
        return
    events = world.ledger.told(said.stream)[said.seq - 1 :]
    words = [e for e in events if isinstance(e, MessageReceived) and (e.source, e.id) == (kept.source, kept.id)]
    if [(message.text, message.provider_ms) for message in words] != [(form.data.text, time_ms)]:
        world.broken("refused", f"{kept.quarantine} came in as {words}; it was begun as {form}, of {time_ms}")
