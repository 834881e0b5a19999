"""Links: what the server's own actors say to each other over pipes.

    gateway, channel host → cell      inputs, commands, watches, outcomes of deliveries
    cell → gateway, channel host      answers, updates, heads, deliveries
    cell → journal                    fences, units, tails         journal → cell      verdicts, policy versions
    journal → archive                 heads                        archive → journal   archived positions, trims
    cell → archive                    snapshots
    gateway, channel host ↔ usher     who sits where               usher ↔ seat        who is to sit there

`ref` is the asker's number for its question; the answer carries it back. All are arrays on the wire: these never leave
the server, both ends are of one version, and fields may change with it.
"""

from msgspec import Raw, Struct

from protocol.commands import AnyCommand
from protocol.entities import ConversationSummary, ConversationView, CustomerView
from protocol.inbound import InboundEvent
from protocol.journal import Fence, MergeDue, Record, Released, Unit, Unsettled, Verdict


class Link(Struct, array_like=True, frozen=True, tag_field="t"):
    """Base of every message between actors."""


# To a cell


class Replay(Struct, array_like=True, frozen=True):
    """That an input comes out of quarantine: refused again, it is not kept a second time."""

    quarantine: str
    received_ms: int
    """When it first came: its own time is looked at as of then."""
    said_by: str = ""
    """Who said whose it is, as the journal names them; empty: the event itself."""


class Input(Link, frozen=True, tag=1):
    """An inbound event whose customer was found. `proposed`: nobody has its identities yet, `customer` is a proposal.

    `identities` are those the server takes as the customer's, the channel's own first; `claimed` are those of them that
    nobody is known to have. `conflicts` are pairs (identity, customer) of trusted identities that belong to someone
    else.
    """

    ref: int
    customer: str
    proposed: bool
    event: InboundEvent
    identities: list[str]
    conflicts: list[tuple[str, str]]
    key: int
    digest: int
    raw: bytes = b""
    """What to keep should the cell put it in quarantine; empty: the event itself."""
    again: bool = False
    """Another life or seat may have been asked this, or what came before it: what was proposed then may be real now."""
    replay: Replay | None = None
    said_by: str = ""
    """Who says whose it is, where that is not its channel: the `policy`, which found it in the event; an operator."""
    claimed: list[str] = []
    released: list[Released] = []
    """What the journal said of claimed identities that were somebody's; the cell's own."""
    trusted: bool = False
    """Whether its account is one that checks who its customers are: what it says may count as verified."""


class Quarantine(Link, frozen=True, tag=2):
    """An input that the gateway's checks refused: to be kept in the stream of its account (`account:<name>`)."""

    ref: int
    customer: str
    account: str
    source: str
    id: str
    code: int
    field: str
    reason: str
    raw: bytes
    key: int
    digest: int
    event: InboundEvent | None = None
    """What it is, where it could be read as one: what it is about is looked for in it."""


class Ask(Link, frozen=True, tag=3):
    """A command. `actor` is who asks, as the journal will name them (`agent:ann`)."""

    ref: int
    customer: str
    conversation: str
    actor: str
    id: str
    command: AnyCommand
    key: int
    digest: int
    released: list[Released] = []
    """What the journal said of an identity to be linked that was somebody's; the cell's own."""


class WatchConversation(Link, frozen=True, tag=4):
    """Send what is after `seq` (-1: a snapshot) of the conversation, and then every update, to this gateway."""

    ref: int
    customer: str
    conversation: str
    seq: int


class UnwatchConversation(Link, frozen=True, tag=5):
    """No one on this gateway watches it any more. `customer` is whose it is now, where its id does not say so."""

    conversation: str
    customer: str = ""


class WatchList(Link, frozen=True, tag=6):
    """Send rows that change in this list (`queue:<name>`, `owner:<agent>`, `customer:<id>`) to this gateway."""

    ref: int
    list: str


class UnwatchList(Link, frozen=True, tag=7):
    """No one on this gateway watches that list any more."""

    list: str


class ReadCustomer(Link, frozen=True, tag=8):
    """Read what is known of the customer now, committed; without what `channel` may not carry, where one is named."""

    ref: int
    customer: str
    channel: str = ""


class Outcome(Link, frozen=True, tag=9):
    """What became of a delivery's attempt: `sent`, `failed`, `refused`, `uncertain`."""

    ref: int
    customer: str
    conversation: str
    delivery: str
    attempt: int
    status: str
    external_id: str = ""
    code: str = ""
    reason: str = ""


class Settle(Link, frozen=True, tag=10):
    """Take in, before anything else, that `other` gave itself to `customer` or, with `back`, has released it: in that
    turn, or with 0 in whichever. Answered when it is committed."""

    ref: int
    customer: str
    other: str
    turn: int
    back: bool = False


class Heard(Link, frozen=True, tag=11):
    """To who said `Rehomed` of the customer: that was heard, and what is asked from here on is asked in knowing it."""

    customer: str


AnyToCell = (
    Settle
    | Heard
    | Input
    | Quarantine
    | Ask
    | WatchConversation
    | UnwatchConversation
    | WatchList
    | UnwatchList
    | ReadCustomer
    | Outcome
)


# From a cell


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
    """The identity is not, or no more, `customer`'s, who was asked: find whose it is, and send the input there. With
    `apart`, it is: but these identities do not say whose the input is, and its others do."""

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


class DeliverNow(Link, frozen=True, tag=29):
    """Make this attempt; it is journaled.

    With `again` it was given out before, perhaps to an earlier life of the receiver: one who does not know it must not
    send it, but answer `uncertain`.
    """

    customer: str
    conversation: str
    delivery: str
    attempt: int
    channel: str
    account: str
    to: str
    text: str
    subject: str
    references: list[str]
    again: bool = False


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
    """From here on the cell decides by this version; `body` is MessagePack of `actors.policy.Policy`. The first word of
    a cell that has one beside the settings', behind `CellIs`."""

    version: int
    body: bytes


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
    | DeliverNow
    | CellIs
)


# Cell ↔ journal


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


# Journal ↔ archive, cell → archive


class HeadIs(Link, frozen=True, tag=60):
    """The journal's newest position."""

    position: int


class ArchivedIs(Link, frozen=True, tag=61):
    """The archive has all rows up to `position`, durably."""

    position: int


class TrimTo(Link, frozen=True, tag=63):
    """Retention: drop units at or below `position`, which the archive has on disk."""

    position: int


class SnapshotTaken(Link, frozen=True, tag=62):
    """A journey's state as of `position`: MessagePack, opaque to the archive."""

    customer: str
    position: int
    body: bytes


# Usher ↔ seats, gateways and channel hosts: dedicated placement


class Take(Link, frozen=True, tag=70):
    """To a seat: this customer sits there next. `due`: time has come for it, whoever else may ask."""

    customer: str
    due: bool


class Release(Link, frozen=True, tag=71):
    """To a seat: should this customer sit there, it sits elsewhere by now and is to leave."""

    customer: str


class Sitting(Link, frozen=True, tag=72):
    """From a seat: who sits there now, empty for nobody; also its first word on a line. `position`: of the newest unit
    it knows of; the archive at that position has every timer that a former customer of the seat left behind.
    `sitting` names this sitting among all of all lives of the seat."""

    seat: int
    customer: str
    position: int
    sitting: str = ""


class Left(Link, frozen=True, tag=73):
    """From a seat: the customer has left memory, all it decided is committed, and time has something for it then."""

    customer: str
    due_ms: int | None


class Touched(Link, frozen=True, tag=74):
    """From a seat: its customer was asked something since it last said so."""


class Locate(Link, frozen=True, tag=75):
    """To the usher: where does this customer sit? Give it a seat if it has none. `denied` is the turn of a seating that
    the seat itself denied; 0 where there was none. The answer is a `SeatIs`, as soon as it sits."""

    customer: str
    denied: int


class SeatIs(Link, frozen=True, tag=76):
    """From the usher, to all: who sits there, empty for nobody. `turn` numbers what one life of the usher said;
    `sitting` is the seat's own name for it."""

    seat: int
    customer: str
    turn: int
    sitting: str = ""


class SeatGone(Link, frozen=True, tag=77):
    """From the usher, to all: there is no such seat now. `lost`: it was not told to end."""

    seat: int
    lost: bool


class SeatsAre(Link, frozen=True, tag=78):
    """From the usher: all seats there are. What was known before is void."""

    seats: list[SeatIs]


class ForSitting(Link, frozen=True, tag=79):
    """To a seat, from who asks: what is asked of its customer on this line from here on is asked in this sitting. In
    another one it is turned away, since something asked before it may have been, and is not to be overtaken."""

    sitting: str


AnyToSeat = Take | Release | ForSitting
AnyToUsher = Sitting | Left | Touched | Locate
AnyFromUsher = SeatIs | SeatGone | SeatsAre
AnyToJournal = RaiseFences | Append | ReadTail | ArchivedIs | TrimTo
AnyToArchive = HeadIs | SnapshotTaken
AnyLink = AnyToCell | AnyFromCell | AnyToJournal | AnyFromJournal | AnyToArchive | AnyToSeat | AnyToUsher | AnyFromUsher
"""Every message there is: one decoder serves every pipe."""
