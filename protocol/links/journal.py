"""Between cells and the journal: fences, commit units and their verdicts, tails, the policy's versions."""

from protocol.journal import Fence, Record, Unit, Unsettled, Verdict
from protocol.links.link import Link


class RaiseFences(Link, frozen=True, tag=40):
    """Take these scopes: raise each one's epoch.

    `over` are fences of the asker's that it gives up, `void` begins the scopes of the placement that is not in force:
    both are forgotten, so that the table grows with what is held and not with what ever was.
    """

    ref: int
    scopes: list[str]
    over: list[Fence] = []
    void: str = ""


class Append(Link, frozen=True, tag=41):
    """Commit these units, in order, in one transaction with whatever else has gathered."""

    ref: int
    units: list[Unit]


class ReadTail(Link, frozen=True, tag=42):
    """Give the customer's units that the archive may not have."""

    ref: int
    customer: str


class FencesRaised(Link, frozen=True, tag=50):
    """The scopes are the asker's. The archive must be at `position` before it is read for what came before."""

    ref: int
    fences: list[Fence]
    position: int
    generation: str


class Settled(Link, frozen=True, tag=51):
    """A verdict for each unit of the append, in its order."""

    ref: int
    verdicts: list[Verdict]


class TailIs(Link, frozen=True, tag=52):
    """The customer's newest units, oldest first. All older ones are in the archive at `archived` or later."""

    ref: int
    archived: int
    records: list[Record]
    unsettled: list[Unsettled] = []
    """What the customer has to take in, in the order in which it happened."""


class PoliciesAre(Link, frozen=True, tag=53):
    """To every cell: committed versions of the policy and their bodies, the newest last. The first word on a line, with
    all that are kept; then each new one, right after its commit."""

    versions: list[tuple[int, bytes]]


class FamiliesAre(Link, frozen=True, tag=54):
    """To every cell: what customers have to take in. On a new line all of it; then each, right after its commit."""

    unsettled: list[Unsettled]


AnyFromJournal = FencesRaised | Settled | TailIs | PoliciesAre | FamiliesAre
