"""Frames: what clients and the server say over a WebSocket, tagged by `op`.

A WebSocket message is one frame or an array of frames, in MessagePack (`throughline.v1.msgpack`, binary messages) or
JSON (`throughline.v1.json`, text messages). Unknown fields are ignored by both sides, so that fields can be added.

A position in a conversation is (generation, seq). `generation` names the life of the journal: it changes only when the
journal was replaced or lost unsynced events, and then every position under the old one is void.
"""

from msgspec import UNSET, Raw, Struct, UnsetType

from protocol.commands import AnyCommand
from protocol.entities import ConversationSummary, ConversationView
from protocol.events import AnyEvent
from protocol.inbound import InboundEvent, WholeNumber


class Frame(Struct, kw_only=True, omit_defaults=True, frozen=True, tag_field="op", gc=False):
    """Base of every frame."""


class Position(Struct, kw_only=True, omit_defaults=True, frozen=True, gc=False):
    """How far a client has come in one conversation."""

    conversation: str
    seq: WholeNumber


# Both kinds of client → server


class Hello(Frame, kw_only=True, frozen=True, tag="hello"):
    """The first frame of every connection."""

    token: str = ""
    """Empty where the HTTP request carried `Authorization: Bearer`."""
    client: str = ""
    """Name and version, for the operator's eyes."""
    generation: str = ""
    """The generation of the positions; empty without any."""
    positions: list[Position] = []
    """Agents: where to resume. The server answers each with the events after it, or a snapshot."""
    inboxes: list[str] = []
    """Agents: inboxes to list again."""
    accounts: list[str] = []
    """Gateway clients: the channel accounts whose deliveries this connection takes."""


class Pong(Frame, kw_only=True, frozen=True, tag="pong"):
    """Answers `heads` (agents) or `ping` (gateway clients): the client is alive."""


# Server → both


class Limits(Struct, kw_only=True, frozen=True):
    """What the server accepts on this connection."""

    message_bytes: int
    """One WebSocket message."""
    frames: int
    """Frames in one message."""
    watches: int
    """Conversations, customers and inboxes watched at once."""
    credits: int
    """Events that may be unanswered: a gateway client's window; an agent, who sends none, is told 0."""


class Welcome(Frame, kw_only=True, frozen=True, tag="welcome"):
    """The connection is open."""

    session: str
    name: str
    """Who the token says the client is."""
    generation: str
    heartbeat_ms: int
    """The server sends `heads` or `ping` this often; a client that hears nothing for twice as long reconnects."""
    limits: Limits


class Error(Frame, kw_only=True, frozen=True, tag="error"):
    """A refusal that has no other frame. Codes: `protocol.errors.TABLE`."""

    code: int
    message: str
    ref: str = ""
    """What it is of: a watch's `ref`, an event's `id`, or the server's reference to its log."""


class Drain(Frame, kw_only=True, frozen=True, tag="drain"):
    """The server stops soon: finish and reconnect after `after_ms`."""

    after_ms: int = 1000


class Ping(Frame, kw_only=True, frozen=True, tag="ping"):
    """A heartbeat to a gateway client."""


class Accounts(Frame, kw_only=True, frozen=True, tag="accounts"):
    """Which of the accounts that `hello` named this connection takes deliveries of: sent behind `welcome` where it is
    not all of them, and whenever it changes."""

    taken: list[str] = []
    untaken: dict[str, str] = {}
    """The others, and why not. One that there is no such account of is taken as soon as there is."""


# Gateway client → server


class EventFrame(Frame, kw_only=True, frozen=True, tag="event"):
    """One inbound event; costs one credit until its `ack` or `nack`."""

    event: InboundEvent


class EventsFrame(Frame, kw_only=True, frozen=True, tag="events"):
    """Several, each answered by itself."""

    events: list[InboundEvent]


class Delivered(Frame, kw_only=True, frozen=True, tag="delivered"):
    """What became of a `deliver`."""

    delivery: str
    attempt: WholeNumber
    """The `deliver`'s."""
    status: str
    """`sent`, `failed` (surely not sent, worth another attempt), `refused` (it never will be) or `uncertain`."""
    external_id: str = ""
    code: str = ""
    reason: str = ""


# Server → gateway client


class Ack(Frame, kw_only=True, frozen=True, tag="ack"):
    """These events are committed and synced."""

    ids: list[str]
    status: str = "committed"
    """`committed`, `repeat` or `quarantined`."""


class Nack(Frame, kw_only=True, frozen=True, tag="nack"):
    """The event was not taken. Send it again only where `retryable`."""

    id: str
    code: int
    message: str
    retryable: bool


class Flow(Frame, kw_only=True, frozen=True, tag="flow"):
    """`credits` more events may be sent."""

    credits: int


class Deliver(Frame, kw_only=True, frozen=True, tag="deliver"):
    """Send this to the customer, once; answer with `delivered`. `delivery` is the idempotency key."""

    delivery: str
    attempt: int
    account: str
    channel: str
    to: str
    text: str
    subject: str = ""
    references: list[str] = []
    digest: str = ""
    """Of its words and of whom it is for; give it back with reports on it."""


# Agent → server


class Presence(Frame, kw_only=True, frozen=True, tag="presence"):
    """Whether the agent is at work: noted with the connection, and nothing depends on it."""

    state: str
    """`online`, `away` or `offline`."""


class Watch(Frame, kw_only=True, frozen=True, tag="watch"):
    """Watch one conversation (`seq`: resume after it), one customer, or one inbox (`queue:<name>` or `mine`)."""

    conversation: str = ""
    customer: str = ""
    inbox: str = ""
    generation: str = ""
    seq: WholeNumber = -1
    """-1: never seen; begin with a snapshot."""
    ref: str = ""


class Unwatch(Frame, kw_only=True, frozen=True, tag="unwatch"):
    """Stop watching."""

    conversation: str = ""
    customer: str = ""
    inbox: str = ""


class CommandFrame(Frame, kw_only=True, frozen=True, tag="command"):
    """Ask something of a conversation or of a customer (one of the two is given)."""

    id: str
    command: AnyCommand
    conversation: str = ""
    customer: str = ""


# Server → agent


class Result(Frame, kw_only=True, frozen=True, tag="result"):
    """What became of a command. With `code` 0 it is committed: its first event is (`conversation`, `seq`)."""

    id: str
    conversation: str = ""
    seq: int = 0
    code: int = 0
    message: str = ""
    retryable: bool = False


class Snapshot(Frame, kw_only=True, frozen=True, tag="snapshot"):
    """A watched conversation as of `seq`."""

    conversation: str
    generation: str
    seq: int
    """The last event's number: your position once you took it."""
    view: ConversationView
    recent: list[AnyEvent] = []
    """The newest events up to `seq`, the last one being `seq`."""


class Update(Frame, kw_only=True, frozen=True, tag="update"):
    """The next events of a watched conversation."""

    conversation: str
    seq: int
    """The first event's number; the last one's is `seq` + the count of events - 1."""
    events: list[AnyEvent]
    """None where you are at the head already: the watch has begun."""


class Heads(Frame, kw_only=True, frozen=True, tag="heads"):
    """The heartbeat: the newest committed `seq` of watched conversations. Behind one? Watch it again from your own."""

    heads: dict[str, int]


class Resync(Frame, kw_only=True, frozen=True, tag="resync"):
    """Updates were dropped because this client reads too slowly: watch these again from where you are."""

    conversations: list[str] = []
    inboxes: list[str] = []


class Inbox(Frame, kw_only=True, frozen=True, tag="inbox"):
    """The rows of an inbox: all of them where `full`, else those that changed; `removed` ones left it.

    `inbox` is `queue:<name>`, `mine`, or `customer:<id>` for a watched customer's conversations.
    """

    inbox: str
    entries: list[ConversationSummary] = []
    removed: list[str] = []
    full: bool = False


AgentFrame = Hello | Pong | Presence | Watch | Unwatch | CommandFrame
"""Agent → server."""
GatewayFrame = Hello | Pong | EventFrame | EventsFrame | Delivered
"""Gateway client → server."""
ToAgent = Welcome | Error | Drain | Result | Snapshot | Update | Heads | Resync | Inbox
"""Server → agent."""
ToGateway = Welcome | Error | Drain | Ping | Accounts | Ack | Nack | Flow | Deliver
"""Server → gateway client."""


# The server writes the two frames that carry events without decoding them: the cell encoded each event once, and
# `Raw` puts those bytes in place. Same wire form as `Update` and `Snapshot`.


class RawUpdate(Frame, kw_only=True, frozen=True, tag="update"):
    """`Update` with events that are encoded already (MessagePack)."""

    conversation: str
    seq: int
    events: list[Raw]


class RawSnapshot(Frame, kw_only=True, frozen=True, tag="snapshot"):
    """`Snapshot` with events that are encoded already (MessagePack)."""

    conversation: str
    generation: str
    seq: int
    view: ConversationView | UnsetType = UNSET
    recent: list[Raw] = []
