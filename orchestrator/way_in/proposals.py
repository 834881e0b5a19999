"""Proposals: events on their way, and the customers that they may turn out to be of.

Events whose identities nobody has go under a proposal until the journal has decided. A proposal that was wrong, and a
customer that an identity has left, hold what comes with the identities until nothing is under way any more.
"""

from collections.abc import Callable, Sequence

from protocol.errors import Refusal
from protocol.inbound import InboundEvent
from protocol.links import Answered, Replay

Done = Callable[[Answered | Refusal], None]

_NOTHING_HEARD: dict[str, int] = {}
"""`TakenEvent.heard` of nearly all events, which share it: it is replaced and never written to."""


class TakenEvent:
    """An event on its way. `number` is its place in the order of taking; the rest is as `Intake.take` got it."""

    __slots__ = (
        "apart",
        "claims",
        "digest",
        "done",
        "event",
        "heard",
        "key",
        "moves",
        "number",
        "proposal",
        "raw",
        "replay",
        "said_by",
        "size_bytes",
        "sure",
        "trusted",
    )

    def __init__(
        self,
        number: int,
        event: InboundEvent,
        key: int,
        digest: int,
        raw: bytes,
        done: Done,
        replay: Replay | None = None,
    ) -> None:
        self.number = number
        self.event = event
        self.key = key
        self.digest = digest
        self.size_bytes = 0
        self.raw = raw
        self.done = done
        self.replay = replay
        self.said_by = ""
        self.trusted = False
        self.proposal: Proposal | None = None
        self.claims: list[str] = []
        """Identities that nobody had, and that the event is to make its customer's."""
        self.apart: list[str] = []
        """Identities of the event that do not say whose it is: they are shared, or lead to a customer it is not of."""
        self.moves = 0
        """How often it was sent on."""
        self.heard = _NOTHING_HEARD
        """By customer: the newest ref of what its cell turned away, be it this or what this was held with
        (`Input.heard`)."""
        self.sure = False
        """The store was asked once more about the customers that it is in conflict with."""

    @property
    def identities(self) -> list[str]:
        """Those that say whose the event is."""
        identities = self.event.identities
        return [i for i in identities if i not in self.apart] if self.apart else identities


class Proposal:
    """A customer that identities may belong to, until the journal has decided; or, `moved` from the start, one that
    an identity has left: a return."""

    __slots__ = (
        "awaited", "customer", "first", "heard", "held", "identities", "joins", "moved", "moves", "new",
        "owned", "under_way",
    )  # fmt: skip

    def __init__(self, customer: str, *, new: bool, first: Sequence[str] = ()) -> None:
        self.customer = customer
        self.first = first
        """The identities of the event that began it."""
        self.new = new
        """No store knows the customer, so its cell need not look; else only an identity is new to it."""
        self.identities: list[str] = []
        self.under_way = 0
        """Events sent under it and not answered yet."""
        self.moved = False
        """It was wrong: `held` wait until nothing is under way, then go to whom `moves` say."""
        self.moves: list[tuple[str, str]] = []
        """What the answers said: (identity, its customer)."""
        self.owned: list[str] = []
        """Identities that turned out to be the customer's. Memory learns them at the end: until then, events with them
        follow those that are under way, which may yet be sent on."""
        self.held: list[TakenEvent] = []
        self.heard: dict[str, int] = {}
        """Of those that are held: see `TakenEvent`."""
        self.awaited: set[int] = set()
        """Events that were sent before to a customer that an identity has left, and are not answered yet, by `id`."""
        self.joins: Proposal | None = None
        """The one that takes over what is held, when nothing is under way here any more."""

    @property
    def over(self) -> bool:
        """Whether nothing is under way."""
        return not self.under_way and not self.awaited

    def leaves_behind(self, identities: Sequence[str]) -> bool:
        """Whether an event with these identities waits for the end. It may not be the customer's though the first one
        is: perhaps it has only an identity that the first one was to bring, and does not. Then it would come back,
        overtaken by what was sent behind it."""
        return bool(self.held) or (identities != self.first and not (self.new and self.first[0] in identities))

    @property
    def last(self) -> "Proposal":
        """Where what is held here ends up: the end of the chain that this joins, or this."""
        last = self
        while last.joins is not None:
            last = last.joins
        return last

    def join(self, to: "Proposal") -> None:
        """What is held here ends up with the other."""
        if self is not to:
            self.joins = to
            to.under_way += 1

    def hear(self, customer: str, ref: int) -> None:
        """That customer's cell turned away this question, or an older one."""
        self.heard[customer] = max(self.heard.get(customer, 0), ref)


def number_of(taken: TakenEvent) -> int:
    """Its place in the order of taking."""
    return taken.number
