"""Live journeys: what a cell keeps in memory for each customer.

    mailbox → (loaded) → decide → open step → sent → in-flight step → settled

A journey's state runs ahead of the journal: decisions build on decisions that are not committed yet. Whatever they send
out is gated in their step, and leaves when the step is committed. If it is refused, the state is dropped and loaded
anew; what was gated goes back to the mailbox, in order, and is decided again.
"""

from collections.abc import Sequence

from msgspec import Struct

from actors.decisions.deciding import AnyInput
from actors.lines import Line
from actors.state.conversation import Conversation
from actors.state.journey import Journey
from protocol.events import AnyEvent
from protocol.journal import Entry, FamilyStep, MergeDue
from protocol.links import (
    AnyFromCell,
    ReadCustomer,
    Settle,
    UnwatchConversation,
    WatchConversation,
)

GRAIN = 64
"""Memory is weighed in grains of so many bytes, rounded up: nearly every journey then weighs fewer than 257 of them, an
integer that CPython keeps anyway; a larger one takes 32 bytes."""
STEP_BYTES_MAX = 4 * 1024 * 1024
"""An open step that is this large takes no more: what comes then waits in the mailbox for its commit."""

Message = AnyInput | WatchConversation | UnwatchConversation | ReadCustomer | Settle
"""What a journey's mailbox takes."""


class Envelope(Struct, frozen=True, eq=False, gc=False):
    """A message and the line to answer on; None where nobody waits for an answer, as when time gives it."""

    line: Line | None
    message: Message


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

    envelope: Envelope
    reply: AnyFromCell | Promise | None
    after_entries: int


class Step(Struct, eq=False, gc=False):
    """What a journey decided since its last unit was sent: the next unit, and what leaves with it."""

    entries: list[Entry] = []
    effects: list[tuple[str, AnyEvent]] = []
    """Those of the events that mean something outside, with their conversations (see `actors.way_out.outlet`)."""
    identities: list[str] = []
    released: list[tuple[str, bytes]] = []
    inherits: list[tuple[str, int]] = []
    family: list[FamilyStep] = []
    """What the unit assigns, releases, inherits and says of merges (see `protocol.journal.Unit`)."""
    left: list[str] = []
    """Members that leave, with those that they brought."""
    gone: list[Conversation] = []
    """Conversations that left memory with it, though list watchers have to hear of them after the commit."""
    gated: list[Gated] = []
    bytes: int = 0
    at_ms: int = 0
    """When its first event was decided."""
    policy: int = 0
    """The version of the policy that all of it was decided under."""
    sealed: bool = False
    """It takes no more, though there is room: what comes is decided under another version of the policy, or has to know
    what the journal makes of a release in it."""


class Live(Struct, eq=False, gc=False):
    """One customer's place in a cell. `journey` is None while it is being loaded."""

    customer: str
    scope: str
    journey: Journey | None = None
    mailbox: list[Envelope] | None = None
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
    """By conversation whose lists may have changed since list watchers were told: the lists it has stood in from then
    on."""
    unlisted: tuple[str, ...] = ()
    """Conversations with commits that list watchers were not told of yet."""
    moved: set[str] | None = None
    """Identities of inputs that were answered `Moved`, since this customer was a proposal, and a wrong one."""
    moved_to: tuple[str, str] | None = None
    """The answer: the identity that has a customer, and which."""

    def move(self, identities: Sequence[str], to: tuple[str, str]) -> None:
        """An input with these was answered `Moved`."""
        self.moved = self.moved or set()
        self.moved.update(identities)
        self.moved_to = to

    def wait(self, envelope: Envelope) -> None:
        """Puts it last in the mailbox."""
        if self.mailbox is None:
            self.mailbox = [envelope]
        else:
            self.mailbox.append(envelope)

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
