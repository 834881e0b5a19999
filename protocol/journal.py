"""What the journal keeps: commit units, and the entries in them.

    unit     one journey's step: all events it decided in one turn, with the identities they assign
    entry    one event's place: its stream, its seq, and its bytes (MessagePack of one `AnyEvent`)

The journal reads only the unit's head; `body` is opaque to it.
"""

from typing import Final, Literal

from msgspec import Raw, Struct

POLICIES_KEPT = 16
"""Policy versions that a journal tells a starting cell: the newest, and those that pinned conversations may name."""


FamilyVerb = Literal["give", "adopt", "release", "return"]
"""The steps of a merge, and of its undoing."""
GIVE: Final = "give"
ADOPT: Final = "adopt"
RELEASE: Final = "release"
RETURN: Final = "return"


class Entry(Struct, array_like=True, frozen=True, gc=False):
    """One event of a unit. `stream` is a conversation's id, or the customer's for what concerns the person."""

    stream: str
    seq: int
    event: Raw


class FamilyStep(Struct, array_like=True, frozen=True, gc=False):
    """A step by which `customer` becomes a member of `other`, or leaves it again.

    give      by `customer`: its affairs are `other`'s from here on           release   by `other`: they are no more
    adopt     by `other`: it knows all that `customer` knew                   return    by `customer`: it has them again

    `turn` counts the gives and releases of `customer` from 1: while it is odd, whose affairs they are is `other`.
    """

    step: FamilyVerb
    customer: str
    other: str
    turn: int


class Unsettled(Struct, array_like=True, frozen=True, gc=False):
    """What `customer` has to take in before anything else: by an odd `turn`, `other` gave itself to it at `position`;
    by an even one, `other` released it there."""

    customer: str
    other: str
    turn: int
    position: int


CLAIM = "Replay:"
"""How begins what an input from quarantine is claimed by, among the identities of the unit in which it comes in: the
journal's unique key has it once, in whatever form and whosever it is. No identity begins so: kinds have no capitals."""


def claim_of(quarantine: str) -> str:
    """What the unit assigns that takes in the input."""
    return CLAIM + quarantine


class Unit(Struct, array_like=True, frozen=True, gc=False):
    """One journey's step, committed as a whole or not at all.

    `scope` is the writer's (`shard:n` or `customer:id`), `epoch` its fence, `batch` counts the scope's units from 1.
    `identities` are assigned to `customer`; an identity that has a customer already refuses the unit. Then those in
    `released`, which are `customer`'s, are nobody's: each with the once-keys that whoever gets it next has to know, and
    shows to know by naming in `inherits` the position at which it was released. `family` are the steps it takes.
    """

    scope: str
    epoch: int
    batch: int
    customer: str
    at_ms: int
    identities: list[str]
    entries: int
    """How many entries `body` has."""
    body: bytes
    """MessagePack of `list[Entry]`."""
    released: list[tuple[str, bytes]] = []
    inherits: list[tuple[str, int]] = []
    family: list[FamilyStep] = []


class Freed(Struct, frozen=True, gc=False):
    """Addresses that an erasure frees, and the packed once-keys by customer that whoever gets one of them next has to
    know: what the person sent is not taken for new when a source says it again. Kept until `until_ms`, and without the
    addresses themselves."""

    identities: list[str]
    keys: bytes
    """MessagePack of `dict[str, bytes]`, as with an identity that is released."""
    until_ms: int


class Record(Struct, array_like=True, frozen=True, gc=False):
    """A committed unit as the journal gives it back. `position` increases without end, across all units."""

    position: int
    customer: str
    at_ms: int
    identities: list[str]
    entries: int
    body: bytes


class Fence(Struct, array_like=True, frozen=True, gc=False):
    """Who may write a scope: the newest `epoch`, and the last `batch` settled under it."""

    scope: str
    epoch: int
    batch: int


class Committed(Struct, array_like=True, frozen=True, tag="committed", gc=False):
    """The unit is synced at `position`; also the answer to a resent unit that was committed before."""

    position: int


class Stale(Struct, array_like=True, frozen=True, tag="stale", gc=False):
    """Another writer holds the scope since `epoch`: drop it and all unsent output."""

    epoch: int


class Taken(Struct, array_like=True, frozen=True, tag="taken", gc=False):
    """`identity` belongs to `customer` (perhaps the unit's own, which then knew too little): load, and decide again."""

    identity: str
    customer: str


class Released(Struct, array_like=True, frozen=True, tag="released", gc=False):
    """`identity` is nobody's, and was somebody's up to `position`: know the once-keys it was released with (bytes that
    are opaque to the journal), and decide again."""

    identity: str
    position: int
    keys: bytes


class MergeDue(Struct, array_like=True, frozen=True, gc=False):
    """By a rule of the policy the customer `other`, who has `identity`, is the same person as `customer`. `verified`:
    what says so has shown the identity to be `customer`'s."""

    customer: str
    other: str
    identity: str
    verified: bool
    rule: str


class Unmergeable(Struct, array_like=True, frozen=True, tag="unmergeable", gc=False):
    """The customer cannot be given to that other one: decide again, knowing why."""

    reason: str


class Skipped(Struct, array_like=True, frozen=True, tag="skipped", gc=False):
    """An earlier unit of the same customer in the same group was refused, so this one was not looked at; or it takes a
    step of a merge that is not the next one: load, and decide again."""


Verdict = Committed | Stale | Taken | Released | Unmergeable | Skipped
