"""From a cell: answers, what watchers see, what is to be delivered."""

from msgspec import Raw

from protocol.entities import ConversationSummary, ConversationView, CustomerView
from protocol.journal import MergeDue
from protocol.links.link import Link


class Answered(Link, frozen=True, tag=20):
    """An input, quarantine, command or outcome is committed and synced, by `position`.

    `status`: `committed`, `repeat` or `quarantined`; (`stream`, `seq`) is its first event. `owns`: all identities of
    the inbound event it answers are the customer's, by what is committed.
    """

    ref: int
    status: str
    stream: str
    seq: int
    position: int
    owns: bool = False
    why: tuple[int, str, str] | None = None
    """Code, field and reason of an input that the cell put in quarantine."""
    merge: MergeDue | None = None
    """What the policy says is to be done about a conflict that the input raised; said again by the next one."""


class Refused(Link, frozen=True, tag=21):
    """It changed nothing; `code` is of `protocol.errors`."""

    ref: int
    code: int
    message: str
    field: str = ""


class Moved(Link, frozen=True, tag=22):
    """The identity belongs to `customer`: send the input there."""

    ref: int
    identity: str
    customer: str


class Unlinked(Link, frozen=True, tag=35):
    """The identity is not, or no more, `customer`'s, who was asked, or an earlier input with it was answered so: find
    whose it is, and send the input there. With `apart`, it is: but these identities do not say whose the input is, and
    its others do."""

    ref: int
    identity: str
    customer: str
    apart: list[str] = []


class Rehomed(Link, frozen=True, tag=36):
    """Whose affairs `customer`'s are since this `turn` (see `FamilyStep`): ask there, and all that was asked after it.
    What was asked before it is answered. Without a `ref` it answers nothing, and is told to all at once."""

    ref: int
    customer: str
    home: str
    turn: int


class Updated(Link, frozen=True, tag=23):
    """Committed events of a watched conversation, from `seq` on, each the bytes of one `AnyEvent`."""

    conversation: str
    seq: int
    events: list[Raw]


class Watched(Link, frozen=True, tag=24):
    """The answer to a watch: `events` end at `head`; with `view` they are the recent ones, without it they are what
    follows the watcher's own position."""

    ref: int
    conversation: str
    head: int
    view: ConversationView | None
    events: list[Raw]


class ListWatched(Link, frozen=True, tag=25):
    """From now on changes of the list are sent; what was committed before is in the archive at `position`."""

    ref: int
    list: str
    position: int


class ListChanged(Link, frozen=True, tag=26):
    """A conversation that is in `lists` now and was in `left` before."""

    row: ConversationSummary
    lists: list[str]
    left: list[str]


class HeadsAre(Link, frozen=True, tag=27):
    """Heads of watched conversations, for heartbeats."""

    heads: dict[str, int]


class CustomerRead(Link, frozen=True, tag=28):
    """What is known of the customer; None where nothing is."""

    ref: int
    view: CustomerView | None


class Attempt(Link, frozen=True, tag=29):
    """One attempt to send a delivery, to be made now; it is journaled.

    With `again` it was given out before, perhaps to an earlier life of the receiver: one who does not know it must not
    send it, but answer `uncertain`. What is `automatic` a rule wrote, and no person.
    """

    customer: str
    conversation: str
    delivery: str
    number: int
    """Which attempt of the delivery it is, from 1."""
    channel: str
    account: str
    to: str
    text: str
    subject: str
    references: list[str]
    again: bool = False
    automatic: bool = False


class CellIs(Link, frozen=True, tag=30):
    """The first message of a cell on a pipe: its scopes' state. `generation` of the journal it writes to."""

    cell: int
    generation: str


class Overflowed(Link, frozen=True, tag=31):
    """What watchers should have seen was dropped, because their line was full: return the subscriptions."""


class Elsewhere(Link, frozen=True, tag=32):
    """The customer of the question does not sit here (any more): ask the usher, and then again. All earlier questions
    of the same customer on this line have been answered."""

    ref: int


class PolicyIs(Link, frozen=True, tag=33):
    """From here on the cell decides by this version; `body` is MessagePack of `actors.rules.policy.Policy`. The first
    word of a cell that has one beside the settings', behind `CellIs`."""

    version: int
    body: bytes
    former: dict[str, frozenset[str]] = {}
    """Account → the channels that it was a line of, as far as is known, and is not (see `actors.rules.policy`)."""


AnyFromCell = (
    Overflowed
    | Rehomed
    | PolicyIs
    | Elsewhere
    | Answered
    | Refused
    | Moved
    | Unlinked
    | Updated
    | Watched
    | ListWatched
    | ListChanged
    | HeadsAre
    | CustomerRead
    | Attempt
    | CellIs
)
