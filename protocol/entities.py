"""Entities as clients see them: views of live state, and the rows of lists. Times are milliseconds since 1970 UTC."""

from enum import StrEnum

from msgspec import Struct

from protocol.handoffs import Handoff


class Status(StrEnum):
    """Where a conversation stands."""

    OPEN = "open"
    SNOOZED = "snoozed"
    """Open, asleep until `wake_at_ms` or the customer's next word."""
    RESOLVED = "resolved"
    """Someone says it is done; the customer's next word within the policy's window opens it again."""
    CLOSED = "closed"
    """Over: what comes next is a new conversation related to this one."""


class Direction(StrEnum):
    """Who began an interaction."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class RelationKind(StrEnum):
    """What a conversation is to an earlier one of the same customer."""

    CONTINUES = "continues"
    REPEATS = "repeats"
    FOLLOWS_UP = "follows_up"
    ESCALATES = "escalates"


class Relation(Struct, kw_only=True, omit_defaults=True, frozen=True, gc=False):
    """A typed relation to an earlier conversation, with the reason in words."""

    kind: RelationKind
    conversation: str
    reason: str = ""


class Tag(Struct, kw_only=True, omit_defaults=True, frozen=True, gc=False):
    """What an interaction is about in one respect, with the evidence."""

    value: str
    """A name of the policy's taxonomy."""
    tagger: str = ""
    """What said so: `agent`, `channel` (a menu, a page, the account), `rule`, `subject`, `classifier`, `words`, or
    `before`: what the customer did on the web or in the app shortly before."""
    matched: str = ""
    """What it found there."""


class Tags(Struct, kw_only=True, omit_defaults=True, frozen=True, gc=False):
    """What an interaction or a conversation is about. None: nothing has said so yet."""

    topic: Tag | None = None
    intent: Tag | None = None
    product_line: Tag | None = None
    segment: Tag | None = None
    keys: tuple[str, ...] = ()
    """Numbers that name one matter, as `claim:CLM123456`."""


class PriorAction(Struct, kw_only=True, omit_defaults=True, frozen=True):
    """Something that was done about an earlier conversation."""

    kind: str
    """The fact's name, such as `ConversationResolved`."""
    actor: str
    at_ms: int
    detail: str = ""


class Before(Struct, kw_only=True, omit_defaults=True, frozen=True, gc=False):
    """How the conversation stood when an interaction of it began."""

    actions: int = 0
    """Replies, notes and resolutions so far."""
    resolution_attempts: int = 0
    """How often it had been said to be done."""
    unresolved: bool = False
    """An earlier contact left it unresolved."""


class CarryOver(Struct, kw_only=True, omit_defaults=True, frozen=True, gc=False):
    """What a new conversation takes along from the earlier one it is related to."""

    conversation: str
    subject: str = ""
    topic: str = ""
    unresolved: bool = False
    """It was not resolved, or was opened again, when this one began."""
    resolution_attempts: int = 0
    """How often somebody said that it was done."""
    actions: list[PriorAction] = []
    """The newest, oldest first."""
    items: int = 0
    """Context items that came along; each says so in its `came_from`."""
    left: list[str] = []
    """Keys of items that by `rule` stay behind; the first 64 of them."""
    crowded: int = 0
    """Items that were not in memory any more; the archive has them."""
    rule: str = ""
    """The policy's rule that chose the items, in words; empty: it has none, and no item came along."""


class Interaction(Struct, kw_only=True, omit_defaults=True, gc=False):
    """One contact on one channel. `number` counts within its conversation from 1."""

    number: int
    channel: str
    account: str
    identity: str
    """The customer's address in this contact."""
    direction: Direction = Direction.INBOUND
    started_at_ms: int = 0
    last_at_ms: int = 0
    ended_at_ms: int = 0
    """0 while it goes on."""
    end_reason: str = ""
    session: str = ""
    reason: str = ""
    """Why it was taken to belong to its conversation; empty for the contact that opened it."""
    tags: Tags | None = None
    before: Before | None = None
    """None where nothing was before it."""
    rest_at_ms: int = 0
    """When it is looked at whether it rests; 0: not before the next contact."""
    origins: tuple[tuple[str, int], ...] = ()
    """Where its messages up to a correction are: pairs of conversation and number. Empty: all in this conversation."""
    began_in: str = ""
    """The conversation that it began in, of one that was ever moved."""


class ContextValue(Struct, kw_only=True, omit_defaults=True, frozen=True, gc=False):
    """What one source says of a key: a channel, and there the customer's side or the agents'."""

    value: str | int | float | bool | None
    channel: str = ""
    interaction: int = 0
    actor: str = ""
    at_ms: int = 0
    sensitivity: str = "normal"
    version: int = 1
    verified: bool = False
    came_from: str = ""
    """The earlier conversation in which it was said; empty: this one."""
    said_by: str = ""
    """The customer's address that said it, where `interaction` does not tell: it was said in an earlier conversation,
    in a contact that is elsewhere by now, or in another's session. Empty: whoever had that contact."""


class ContextItem(Struct, kw_only=True, omit_defaults=True, gc=False):
    """A known fact about the issue, with where it comes from. Where sources differ it is the value that stands."""

    key: str
    value: str | int | float | bool | None
    channel: str = ""
    interaction: int = 0
    actor: str = ""
    at_ms: int = 0
    sensitivity: str = "normal"
    """`normal`, `personal` or `secret`."""
    version: int = 1
    """Counts the changes of this key, from 1."""
    verified: bool = False
    """Its source is one the policy calls verified, or an agent said so."""
    rule: str = ""
    """What decided between it and `others`: `verified`, `agent`, `channel`, `newest` or `first`."""
    came_from: str = ""
    """The earlier conversation in which it was said; empty: this one."""
    said_by: str = ""
    """As in `ContextValue`."""
    others: list[ContextValue] = []
    """What other sources say, kept beside it, whether the same or not."""


class MissingField(Struct, kw_only=True, omit_defaults=True, frozen=True, gc=False):
    """What the capture template of a contact wants and nobody has said yet."""

    field: str
    """The key of the context item that ends it."""
    action: str
    """`ask_customer`: the question is on its way; `ask_agent`: it is for whoever has the conversation to ask."""
    channel: str = ""
    interaction: int = 0
    at_ms: int = 0


class Delivery(Struct, kw_only=True, omit_defaults=True, gc=False):
    """An outbound message on its way: the outbox row of a live conversation."""

    id: str
    """`<conversation>.<seq>` of the event that queued it: also the idempotency key towards the provider."""
    channel: str
    account: str
    to: str
    """The identity it goes to."""
    text: str
    subject: str = ""
    references: list[str] = []
    """Thread references, oldest first, for a mail's References header."""
    author: str = ""
    state: str = "queued"
    """`queued`, `attempting`, `waiting` (for its next attempt), `uncertain`, `dead`; a sent one leaves the outbox."""
    attempt: int = 0
    """The newest attempt's number, from 1; a replay counts on, so that no number is ever of two attempts."""
    next_at_ms: int = 0
    reason: str = ""
    attempts_before: int = 0
    """Those that do not count: before an operator's last replay, which gives it as many as the policy has once more,
    and those for which nobody was there to take it."""
    untaken_until_ms: int = 0
    """How long it waits for someone to take it, where its newest attempt found nobody; 0: it does not wait for that."""
    unsure: bool = False
    """Whether it waits for its next attempt, or its turn, though the newest one may have sent it."""
    doubted: bool = False
    """Whether an attempt before the newest one may have sent it."""
    earlier: bool = False
    """Whether it is held for that alone: its newest attempt surely did not send it."""
    reported: bool = False
    """Whether its channel reported on it during its newest attempt: whatever that attempt comes to, one has sent it."""
    reported_id: str = ""
    """The provider's id of it, as reported then."""
    arrived: bool = False
    """Whether its channel said during an attempt that the customer has it."""
    said_sent: bool = False
    """Whether its channel said since its newest attempt began that it was sent: should that one fail, nobody knows."""


class ConversationSummary(Struct, kw_only=True, omit_defaults=True):
    """A row of an inbox or list."""

    conversation: str
    customer: str
    head: int
    """The newest committed `seq`."""
    status: Status = Status.OPEN
    queue: str = ""
    owner: str = ""
    subject: str = ""
    channel: str = ""
    """The channel of the newest interaction."""
    updated_at_ms: int = 0
    offered_to: str = ""
    """`agent:<name>` or `queue:<name>` while a handoff waits for an answer."""


class ConversationView(Struct, kw_only=True, omit_defaults=True):
    """All of a live conversation that fits a screen; its recent events travel beside it in the same frame."""

    conversation: str
    customer: str
    status: Status
    queue: str = ""
    owner: str = ""
    subject: str = ""
    opened_at_ms: int = 0
    updated_at_ms: int = 0
    wake_at_ms: int = 0
    identities: list[str] = []
    interactions: list[Interaction] = []
    context: list[ContextItem] = []
    deliveries: list[Delivery] = []
    relation: Relation | None = None
    handoff: Handoff | None = None
    """The newest one, also when it is over."""
    channel: str = ""
    """Where the customer and we speak now: the channel of the newest contact with words."""
    withheld: list[str] = []
    """Keys that by policy are not to be said or sent there. They are in `context` for agents, and left out of it for a
    machine that asks for a channel."""
    missing: list[MissingField] = []
    tags: Tags | None = None
    """What it is about: the strongest tags of its interactions, and all their keys."""
    resolution_attempts: int = 0
    """How often somebody said that it was done."""
    actions_taken: int = 0
    """Replies, notes and resolutions so far."""
    carried: CarryOver | None = None
    """What was known of the earlier conversation when this one began."""


class LastStep(Struct, kw_only=True, omit_defaults=True, frozen=True):
    """A recent fact in words, without what was said."""

    at_ms: int
    words: str
    channel: str = ""


class IdentityLink(Struct, kw_only=True, omit_defaults=True, frozen=True, gc=False):
    """Why an identity is a customer's: the evidence, how sure it is in percent, who said so and when."""

    identity: str
    evidence: str
    confidence: int = 0
    verified: bool = False
    actor: str = ""
    at_ms: int = 0


class CustomerView(Struct, kw_only=True, omit_defaults=True):
    """What is known of a customer now: the answer of `GET /v1/context`."""

    customer: str
    identities: list[str] = []
    links: list[IdentityLink] = []
    """Of each identity, in the same order: why it is this customer's."""
    shared: bool = False
    """By policy the identity that was asked for stands for several people: ask who it is before you name an issue."""
    open: list[ConversationView] = []
    past: list[str] = []
    """Ids of the newest conversations that are over, newest last."""
    topic: str = ""
    intent: str = ""
    """Of the newest open conversation, where they are known."""
    last_steps: list[LastStep] = []
    """Of the newest open conversation, or of the last one that is still in memory; newest last."""
    suggested_greeting: str = ""
    """A sentence that a machine may say first: it names the issue (its subject or topic), never what was said."""
