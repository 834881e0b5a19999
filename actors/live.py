"""Live journeys: what a cell keeps for each customer in memory, and in what order they would leave it.

    mailbox → (loaded) → decide → open step → sent → in-flight step → settled

A journey's state runs ahead of the journal: decisions build on decisions that are not committed yet. All that they let
out is gated in their step and leaves when the step is committed; if it is refused, the state is dropped, what was gated
goes back to the mailbox in its order, and is decided again on a state that was loaded anew.
"""

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct

from actors.conversation import Conversation
from actors.deciding import AnyInput, links
from actors.journey import Journey
from actors.lines import Line
from protocol.errors import Code
from protocol.events import AnyEvent
from protocol.journal import Entry, FamilyStep, MergeDue, Released, Taken
from protocol.links import (
    AnyFromCell,
    Ask,
    Input,
    Moved,
    ReadCustomer,
    Refused,
    Settle,
    UnwatchConversation,
    WatchConversation,
)

GRAIN = 64
"""Memory is weighed in grains of so many bytes, the last one full: nearly every journey then weighs less than 257,
which is an integer that CPython has anyway; a larger one takes 32 bytes."""
STEP_BYTES_MAX = 4 * 1024 * 1024
"""An open step that is this large takes no more: what comes then waits in the mailbox for its commit."""

Message = AnyInput | WatchConversation | UnwatchConversation | ReadCustomer | Settle
"""What a journey's mailbox takes."""


class Given(Struct, frozen=True, eq=False, gc=False):
    """A message and the line to answer on; None for what time itself gives."""

    line: Line | None
    message: Message


def heir(given: Given, released: Released) -> Given:
    """An input or command that wants an identity that was somebody's, knowing what the journal said of it."""
    message = given.message
    match message:
        case Input() if released.identity in message.identities:
            pass
        case Ask() if links(message, released.identity):
            pass
        case _:
            return given
    others = [known for known in message.released if known.identity != released.identity]
    return Given(given.line, msgspec.structs.replace(message, released=[*others, released]))


def knowing(given: Given, taken: Taken, customer: str) -> Given | Moved | Refused:
    """What becomes of an input of `customer` now that the journal said whose an identity is: the input, knowing it, or
    the answer that follows from it."""
    message = given.message
    match message:
        case Input() if taken.identity in message.identities:
            if taken.customer == customer:
                return Given(given.line, msgspec.structs.replace(message, proposed=False))
            if message.proposed:
                return Moved(message.ref, taken.identity, taken.customer)
            known = msgspec.structs.replace(
                message,
                identities=[identity for identity in message.identities if identity != taken.identity],
                conflicts=[*message.conflicts, (taken.identity, taken.customer)],
            )
            return Given(given.line, known)
        case Ask() if links(message, taken.identity) and taken.customer != customer:
            text = f"{taken.identity} belongs to customer {taken.customer}"
            return Refused(message.ref, Code.IDENTITY_TAKEN, text, "identity")
        case _:
            return given


def following(given: Given, live: "Live") -> Given | Moved:
    """What becomes of an input beside others of its customer that were answered `Moved`: the same, where it is under
    the same proposal and has an identity of theirs. Decided here it would overtake them, and keep that identity."""
    message = given.message
    if not (live.moved_to and isinstance(message, Input) and message.proposed):
        return given
    if not live.moved or live.moved.isdisjoint(message.identities):
        return given
    live.move(message.identities, live.moved_to)
    return Moved(message.ref, *live.moved_to)


class Promise(Struct, frozen=True, gc=False):
    """An `Answered` whose position is known at the commit."""

    ref: int
    status: str
    stream: str
    seq: int
    owns: bool
    why: tuple[int, str, str] | None = None
    merge: MergeDue | None = None


class Gated(Struct, frozen=True, eq=False, gc=False):
    """A reply that waits for a commit, what it answers, and how many of the step's entries came before it."""

    given: Given
    reply: AnyFromCell | Promise | None
    after_entries: int


class Step(Struct, eq=False, gc=False):
    """What a journey decided since its last unit was sent: the next unit, and what leaves with it."""

    entries: list[Entry] = []
    effects: list[tuple[str, AnyEvent]] = []
    """Those of the events that mean something outside, with their conversations (see `actors.outlet`)."""
    identities: list[str] = []
    released: list[tuple[str, bytes]] = []
    inherits: list[tuple[str, int]] = []
    family: list[FamilyStep] = []
    left: list[str] = []
    """Members that leave, with those that they brought."""
    gone: list[Conversation] = []
    """Conversations that it closed, too many of them at once for all to stay in memory."""
    gated: list[Gated] = []
    bytes: int = 0
    at_ms: int = 0
    """When its first event was decided."""
    policy: int = 0
    """The version of the policy that all of it was decided under."""
    sealed: bool = False
    """It takes no more, though there is room: what comes is decided under another version of the policy."""


class Live(Struct, eq=False, gc=False):
    """One customer's place in a cell. `journey` is None while it is being loaded."""

    customer: str
    scope: str
    journey: Journey | None = None
    mailbox: list[Given] | None = None
    """Short: what is in memory is stepped at once, so messages wait here only for a load or behind a large step."""
    open: Step | None = None
    in_flight: Step | None = None
    position: int = 0
    """Of the newest unit known to be committed."""
    unsaved: int = 0
    """Events since the last snapshot."""
    grains: int = 0
    """Its memory by estimate (see `GRAIN`)."""
    touched_ms: int = 0
    listed: dict[str, tuple[str, ...]] | None = None
    """By conversation whose lists may have changed since their watchers were told: those it stood in then or since."""
    unlisted: tuple[str, ...] = ()
    """Conversations with commits that list watchers were not told of yet."""
    moved: set[str] | None = None
    """Identities of inputs that were sent on, since the customer was a proposal and a wrong one."""
    moved_to: tuple[str, str] | None = None
    """What they were answered: the identity that has a customer, and who that is."""

    def move(self, identities: Sequence[str], to: tuple[str, str]) -> None:
        """An input with these was answered `Moved`."""
        self.moved = self.moved or set()
        self.moved.update(identities)
        self.moved_to = to

    def wait(self, given: Given) -> None:
        """Puts it last in the mailbox."""
        if self.mailbox is None:
            self.mailbox = [given]
        else:
            self.mailbox.append(given)

    @property
    def bytes(self) -> int:
        """Its memory, by estimate."""
        return self.grains * GRAIN

    @property
    def gate(self) -> Step | None:
        """The newest step that is not committed: what may be told now waits for it."""
        return self.open or self.in_flight

    @property
    def crowded(self) -> bool:
        """Whether the open step should leave before more is decided."""
        return self.open is not None and (self.open.sealed or self.open.bytes >= STEP_BYTES_MAX)

    @property
    def quiet(self) -> bool:
        """Nothing waits and nothing is uncommitted: memory and stores agree."""
        return self.journey is not None and not self.mailbox and self.open is None and self.in_flight is None


JOURNEY_BYTES = 850
CONVERSATION_BYTES = 850
CONTEXT_VALUE_BYTES = 250
"""Rough sizes on CPython 3.11, for the memory cap; `benchmarks` measures what a conversation really takes."""


def weight(journey: Journey | None) -> int:
    """Bytes of memory, by estimate; None: of a journey with one new conversation."""
    if journey is None:
        return JOURNEY_BYTES + CONVERSATION_BYTES
    size = JOURNEY_BYTES + len(journey.once.packed) + (len(journey.aside.before) if journey.aside else 0)
    for conversation in journey.kept:
        size += CONVERSATION_BYTES + len(conversation.recent)
        size += sum(len(delivery.text) for delivery in conversation.deliveries.values())
        size += CONTEXT_VALUE_BYTES * sum(1 + len(item.others) for item in conversation.context.values())
    return size


class Population:
    """All live journeys of a cell, the longest untouched first."""

    def __init__(self, *, count_max: int, bytes_max: int, idle_ms: int) -> None:
        self._count_max = count_max
        self._bytes_max = bytes_max
        self._idle_ms = idle_ms
        self._lives: dict[str, Live] = {}
        self._grains = 0

    def __len__(self) -> int:
        return len(self._lives)

    @property
    def bytes(self) -> int:
        """The memory of all, by estimate."""
        return self._grains * GRAIN

    def get(self, customer: str) -> Live | None:
        """The customer's place, untouched."""
        return self._lives.get(customer)

    def touch(self, live: Live, now_ms: int) -> None:
        """Puts it last in the order of leaving."""
        self._lives.pop(live.customer, None)
        self._lives[live.customer] = live
        live.touched_ms = now_ms

    def weigh(self, live: Live, size: int) -> None:
        """Its memory is `size` bytes now, by estimate."""
        grains = -(-size // GRAIN)
        self._grains += grains - live.grains
        live.grains = grains

    def remove(self, live: Live) -> None:
        """It has left."""
        self._lives.pop(live.customer, None)
        self._grains -= live.grains
        live.grains = 0

    def leaving(self, now_ms: int, may_leave: Callable[[Live], bool]) -> list[Live]:
        """Who is to be passivated now: the idle, and the idlest while there are too many or they are too large."""
        chosen: list[Live] = []
        excess = len(self._lives) - self._count_max
        excess_bytes = self.bytes - self._bytes_max
        for live in self._lives.values():
            if excess <= 0 and excess_bytes <= 0 and now_ms - live.touched_ms < self._idle_ms:
                break
            if may_leave(live):
                chosen.append(live)
                excess -= 1
                excess_bytes -= live.bytes
        return chosen
