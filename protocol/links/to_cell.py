"""To a cell: what gateways and channel hosts put to it."""

from msgspec import Struct

from protocol.commands import AnyCommand
from protocol.inbound import InboundEvent
from protocol.journal import Released
from protocol.links.link import Link


class Replay(Struct, array_like=True, frozen=True, gc=False):
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
    heard: int = 0
    """The newest ref of what this customer's cell answered `Unlinked`, and its asker held it with. Whoever shares an
    identity with a newer one is answered so too."""


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
    """What became of a delivery's attempt: `sent`, `failed`, `refused`, `uncertain`; `untaken`: nobody was there who
    takes the account's deliveries, and nothing left.

    `accounts`: who says so takes deliveries of these, and had this one from another process, or from a former life of
    its own; one by any other account is not theirs to answer. Empty: the attempt was given out by whoever says so."""

    ref: int
    customer: str
    conversation: str
    delivery: str
    attempt: int
    status: str
    external_id: str = ""
    code: str = ""
    reason: str = ""
    accounts: list[str] = []


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


class TakersAre(Link, frozen=True, tag=12):
    """Accounts whose deliveries someone takes at this gateway, from now on. To every cell that is new, and to all as it
    changes; to the usher likewise. Ahead of the first `untaken` that follows from it."""

    accounts: list[str]


AnyToCell = (
    Settle
    | TakersAre
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
