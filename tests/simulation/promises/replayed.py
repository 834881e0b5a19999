"""Promise 9, of what lies in quarantine: who takes it in, takes it in once, in one form, as of its own time."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import assert_never

import msgspec

from orchestrator.way_in.once_keys import once_key
from protocol.errors import Code
from protocol.events import (
    IdentityUnlinked,
    InputQuarantined,
    MessageReceived,
    QuarantineReplayed,
    ReplayBegun,
    ReplayRefused,
)
from protocol.ids import ACCOUNT
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
        return self.form.identities != self.sent.identities

    @property
    def sent(self) -> InboundEvent:
        """As its source sent it."""
        return msgspec.json.decode(self.kept.raw, type=InboundEvent)

    @property
    def form(self) -> InboundEvent:
        """As it was begun last."""
        return msgspec.json.decode((self.begun and self.begun[-1]) or self.kept.raw, type=InboundEvent)


async def check(world: World) -> None:
    """Walks what the journal has of each input. Of one that retention drops nothing more is heard."""
    others = given_to_others(world)
    for input in _inputs(world):
        gone = await world.disks.archive.dropped("quarantine", input.kept.quarantine)
        # Of one whose customer is forgotten nobody has what was begun.
        forgotten = any(world.ledger.is_redacted(*place) for place in world.ledger.kept_at[input.kept.quarantine])
        if input.begun and input.came_in is None and gone is None and not forgotten:
            world.broken("refused", f"{input.kept.quarantine} was begun, and neither came in nor was refused")
        if input.came_in is not None:
            _check_effect(world, input, input.came_in, others.get(input.key))


def given_to_others(world: World) -> dict[int, tuple[str, int]]:
    """By once-key: where an input came in as the event of somebody else. Another payload under its name may have come
    in by itself."""
    came_in = [(input, input.came_in) for input in _inputs(world) if input.came_in and input.is_anothers]
    return {input.key: (said.stream, said.seq) for input, said in came_in}


def unknown_at_home(world: World) -> set[int]:
    """The keys of what came in as somebody else's, and is not known where its source's word comes to by then: it lay
    with its account, or its address was unlinked from who kept it."""
    events = [event for stream in world.ledger.streams for event in world.ledger.told(stream)]
    unlinked = {event.identity for event in events if isinstance(event, IdentityUnlinked)}
    others = [input for input in _inputs(world) if input.came_in and input.is_anothers]
    return {input.key for input in others if _is_left(world, input, unlinked)}


def _is_left(world: World, input: _Input, unlinked: set[str]) -> bool:
    [(stream, _)] = world.ledger.kept_at[input.kept.quarantine]
    return stream.startswith(ACCOUNT) or not unlinked.isdisjoint(input.sent.identities)


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
                assert_never(event)
    return inputs.values()


def _check_effect(world: World, input: _Input, said: QuarantineReplayed, others: tuple[str, int] | None) -> None:
    """It is the one effect of its name, where it is said to be, with the words of its form and of its own time. Another
    payload under its name may have come in as somebody else's: at `others`."""
    kept, place = input.kept, (said.stream, said.seq)
    places = world.ledger.by_once.get(input.key, [])
    digest = world.ledger.digest_at(*place)
    differing = {each for each in places if world.ledger.digest_at(*each) != digest}
    apart = differing if input.is_anothers else differing & {others}
    twice = {*places} - apart != {place} and not (input.is_anothers and input.key in unknown_at_home(world))
    if place not in places or twice:
        world.broken("once", f"{kept.quarantine} is said to have come in at {place}; its effects are at {places}")
    form = input.form
    # One that was kept for its time has it all the same where its source was told that it is in.
    told = any(offer.key == input.key and "committed" in offer.answers for offer in world.book.offers)
    time_ms = kept.received_ms if kept.code == Code.TIME_IMPLAUSIBLE and not told else form.time_ms
    if not isinstance(form.data, MessageArrived) or form.data.automatic:
        return
    events = world.ledger.told(said.stream)[said.seq - 1 :]
    words = [e for e in events if isinstance(e, MessageReceived) and (e.source, e.id) == (kept.source, kept.id)]
    if [(message.text, message.provider_ms) for message in words] != [(form.data.text, time_ms)]:
        world.broken("refused", f"{kept.quarantine} came in as {words}; it was begun as {form}, of {time_ms}")
