"""Journal events: facts, each in one stream, numbered `seq` 1, 2, 3 … without a gap.

A stream is a conversation, or the customer (what concerns the person and no one conversation: identities, quarantine).
The union `AnyEvent` is closed; `type` on the wire picks the member. Once written, a member's fields are only added to,
with defaults, never renamed: the journal is kept for years.

`at_ms` is when the server decided; a provider's own time stands beside it as `provider_ms`.
"""

from typing import Any, get_args

from msgspec import Struct

from protocol.entities import (
    Before,
    CarryOver,
    ContextValue,
    Direction,
    IdentityLink,
    Interaction,
    Relation,
    Tag,
    Tags,
)
from protocol.handoffs import HandoffPackage
from protocol.inbound import Attachment, GivenContext
from protocol.losses import LossLine


class Once(Struct, array_like=True, frozen=True):
    """The once-key an event was caused by: a repeat of the same key has no second effect.

    `key`: 64 bits of BLAKE2b over (account, source, id) or (`command`, id); `digest`: 32 bits of it over the payload.
    """

    key: int
    digest: int


class Event(Struct, kw_only=True, omit_defaults=True, frozen=True, tag_field="type"):
    """Base of every fact."""

    at_ms: int
    actor: str = ""
    """Who caused it: `customer`, `agent:ann`, `account:mail`, `system`."""
    once: Once | None = None
    policy: int = 0
    """The policy version it was decided under."""


# The conversation and its interactions


class ConversationOpened(Event, kw_only=True, frozen=True, tag="ConversationOpened"):
    """The first fact of a conversation."""

    customer: str
    queue: str
    subject: str = ""
    relation: Relation | None = None
    reason: str = ""
    """Why it is a new conversation; empty for a customer's first."""
    carried: CarryOver | None = None


class InteractionStarted(Event, kw_only=True, frozen=True, tag="InteractionStarted"):
    """A contact on one channel began."""

    interaction: int
    channel: str
    account: str
    identity: str
    direction: Direction = Direction.INBOUND
    session: str = ""
    reason: str = ""
    """Why it was taken to belong to this conversation; empty where it opened it."""
    before: Before | None = None
    """None where nothing was before it."""
    rest_at_ms: int = 0
    """When it ends unless something is said; 0: no time ends it."""


class InteractionEnded(Event, kw_only=True, frozen=True, tag="InteractionEnded"):
    """A contact is over: hung up, left, or at rest for the time the policy gives its channel."""

    interaction: int
    reason: str = ""


class InteractionWentOn(Event, kw_only=True, frozen=True, tag="InteractionWentOn"):
    """The time at which a contact would have rested has passed, and it was not silent: the next is `rest_at_ms`."""

    interaction: int
    rest_at_ms: int


class MessageReceived(Event, kw_only=True, frozen=True, tag="MessageReceived"):
    """The customer's words."""

    interaction: int
    channel: str
    identity: str
    source: str
    id: str
    provider_ms: int
    text: str
    subject: str = ""
    attachments: list[Attachment] = []
    reference: str = ""
    in_reply_to: list[str] = []


class AutomaticReplyReceived(Event, kw_only=True, frozen=True, tag="AutomaticReplyReceived"):
    """A machine answered for the customer: shown, never taken for their words."""

    interaction: int
    channel: str
    identity: str
    source: str
    id: str
    provider_ms: int
    text: str
    subject: str = ""
    reference: str = ""


class ActivitySeen(Event, kw_only=True, frozen=True, tag="ActivitySeen"):
    """The customer did something on the web or in the app."""

    interaction: int
    channel: str
    identity: str
    provider_ms: int
    name: str
    properties: dict[str, Any] = {}
    context: GivenContext | None = None
    """What it made known, where no conversation was open to know it; it comes in with the next one (see
    `ActivityCarried`)."""
    tags: Tags | None = None
    """What it is about, while no conversation is open: a contact that begins soon after is likely about the same."""
    verified: bool = False
    """Whether what it made known counts as verified, while no conversation is open."""


class InteractionTagged(Event, kw_only=True, frozen=True, tag="InteractionTagged"):
    """What an interaction is about became known, or is known better. Only what changes is said."""

    interaction: int
    topic: Tag | None = None
    intent: Tag | None = None
    product_line: Tag | None = None
    segment: Tag | None = None
    keys: list[str] = []


class RepeatContactFound(Event, kw_only=True, frozen=True, tag="RepeatContactFound"):
    """The customer is back about a topic that was said to be done a short while ago."""

    interaction: int
    earlier: str
    """The conversation that was resolved; the event's own where it was opened again."""
    topic: str
    resolved_at_ms: int
    channel: str = ""
    relation: Relation | None = None
    """The conversation's relation from now on, where this changes it; `previous` is the one before."""
    previous: Relation | None = None


# Corrections: what an agent says about which contact belongs where


class CorrelationCorrected(Event, kw_only=True, frozen=True, tag="CorrelationCorrected"):
    """Somebody said that contacts were put together, or kept apart, wrongly. What moves is in events of its own."""

    correction: str
    """`split`, `join` or `relate`."""
    other: str = ""
    """The conversation that was split off, was joined into this one, or is the earlier one of the relation."""
    interactions: list[int] = []
    """Of this conversation: those that left, or those that came."""
    relation: Relation | None = None
    """The conversation's relation from now on, where it or `previous`, the one before, is given."""
    previous: Relation | None = None
    earlier_channel: str = ""
    """The channel pair it was about: from the contact before …"""
    channel: str = ""
    """… to the contact that was misplaced."""
    reason: str = ""


class InteractionMoved(Event, kw_only=True, frozen=True, tag="InteractionMoved"):
    """An interaction belongs to another conversation of the customer from now on. What was said in it stays journaled
    here."""

    interaction: int
    to: str
    number: int
    """Its number there."""
    channel: str = ""
    """The channel of the newest interaction that is left."""
    references: list[str] = []
    """Thread references that lead there from now on."""
    keys: list[str] = []
    """Those it names."""


class InteractionReceived(Event, kw_only=True, frozen=True, tag="InteractionReceived"):
    """An interaction that began in another conversation belongs to this one from now on."""

    interaction: Interaction
    came_from: str
    channel: str = ""
    """The channel of the conversation's newest interaction from now on."""
    references: list[str] = []
    """Thread references that lead here from now on."""


# Ownership and status


class OwnerChanged(Event, kw_only=True, frozen=True, tag="OwnerChanged"):
    """From now on `owner` (an agent's name; empty: nobody) has the conversation."""

    owner: str
    previous: str = ""


class QueueChanged(Event, kw_only=True, frozen=True, tag="QueueChanged"):
    """The conversation waits in another queue."""

    queue: str
    previous: str = ""


class ConversationSnoozed(Event, kw_only=True, frozen=True, tag="ConversationSnoozed"):
    """Asleep until `until_ms` or the customer's next word."""

    until_ms: int


class ConversationWoken(Event, kw_only=True, frozen=True, tag="ConversationWoken"):
    """Awake again."""

    reason: str = ""


class ConversationResolved(Event, kw_only=True, frozen=True, tag="ConversationResolved"):
    """Said to be done; closes at `close_at_ms` unless the customer speaks before."""

    close_at_ms: int
    reason: str = ""


class ConversationReopened(Event, kw_only=True, frozen=True, tag="ConversationReopened"):
    """Open again after having been resolved."""

    reason: str = ""


class ConversationClosed(Event, kw_only=True, frozen=True, tag="ConversationClosed"):
    """The last fact of a live conversation."""

    reason: str = ""


class NoteAdded(Event, kw_only=True, frozen=True, tag="NoteAdded"):
    """An internal note; never leaves the building."""

    text: str


class ContextSet(Event, kw_only=True, frozen=True, tag="ContextSet"):
    """A context item has a new value and version."""

    key: str
    value: str | int | float | bool | None
    channel: str = ""
    interaction: int = 0
    sensitivity: str = "normal"
    version: int = 1
    verified: bool = False
    said_at_ms: int = 0
    """When it was said, where that was before this conversation began; else 0."""
    rule: str = ""
    """What decided, where another source says otherwise."""
    stands: ContextValue | None = None
    """The value that stands, where it is not this one: both are kept."""
    came_from: str = ""
    """The earlier conversation in which it was said and that this one is related to; empty: it was said here."""


class ContextRefused(Event, kw_only=True, frozen=True, tag="ContextRefused"):
    """A channel gave a context item that found no room; it is in this event alone."""

    key: str
    value: str | int | float | bool | None
    channel: str = ""
    interaction: int = 0
    reason: str = ""


class ContextWithheld(Event, kw_only=True, frozen=True, tag="ContextWithheld"):
    """From now on these items are not to be said or sent on `channel`; the journey keeps them."""

    channel: str
    keys: list[str]
    rule: str
    """The rule of the policy (whose version is `policy`), in words."""


class ChannelSwitched(Event, kw_only=True, frozen=True, tag="ChannelSwitched"):
    """The conversation goes on on another channel, with everything that was known.

    A proof is over all values of all items (`actors/switching.py` says how, so that others can compute it).
    """

    from_channel: str
    to_channel: str
    interaction: int
    by: str
    """`customer`, `agent` or `rule`; `actor` names them."""
    continuity: str
    """Who sees to it that nothing is lost, as the policy says: `agent:ann`, `queue:billing`, `team:claims`."""
    rule: str = ""
    """The pair of channels whose rules held, such as `any to phone`; empty: none was written."""
    required: list[str] = []
    missing: list[str] = []
    """Of `required`: what was not known."""
    items_before: int = 0
    items_after: int = 0
    kept: int = 0
    """Of those before: how many are there after. Another number than `items_before` is a fault of ours."""
    proof_before: str = ""
    proof_after: str = ""
    reason: str = ""


class ActivityCarried(Event, kw_only=True, frozen=True, tag="ActivityCarried"):
    """What the customer did shortly before this conversation began is part of it. The `ActivitySeen` is in the
    customer's own stream."""

    channel: str
    identity: str
    provider_ms: int
    name: str
    properties: dict[str, Any] = {}
    seen_at_ms: int = 0


class HandoffOffered(Event, kw_only=True, frozen=True, tag="HandoffOffered"):
    """Ownership is offered, with a context package, until `expires_at_ms`. The giver owns it meanwhile."""

    lease: int
    """The offer's number in its conversation, from 1. It fences: an answer to an older one is refused."""
    kind: str
    giver: str
    to: str
    """`agent:<name>` or `queue:<name>`."""
    continuity: str
    """Who answers for the context."""
    package: HandoffPackage
    sha256: str
    """Of the package's canonical bytes."""
    expires_at_ms: int


class HandoffAccepted(Event, kw_only=True, frozen=True, tag="HandoffAccepted"):
    """The taker has the package, as its hash proves; an `OwnerChanged` follows."""

    lease: int
    sha256: str
    continuity: str
    """Who answers for the context from now on."""


class HandoffDeclined(Event, kw_only=True, frozen=True, tag="HandoffDeclined"):
    """The taker does not want it; what the policy does then follows."""

    lease: int
    reason: str = ""


class HandoffExpired(Event, kw_only=True, frozen=True, tag="HandoffExpired"):
    """Nobody answered before the lease's end; what the policy does then follows."""

    lease: int


class HandoffWithdrawn(Event, kw_only=True, frozen=True, tag="HandoffWithdrawn"):
    """The giver took the offer back, or somebody changed owner or queue or resolved the conversation over its head."""

    lease: int
    reason: str = ""


class FieldMissing(Event, kw_only=True, frozen=True, tag="FieldMissing"):
    """A contact came without what its capture template wants; said once for each field of a conversation."""

    field: str
    interaction: int
    channel: str
    template: str
    action: str
    """`ask_customer` or `ask_agent`."""
    delivery: str = ""
    """The question to the customer, which asks for all that is missing then."""
    reason: str = ""
    """Why the agent is asked where the template would ask the customer."""


# Outbound: the delivery id is `<conversation>.<seq of its MessageQueued>`


class MessageQueued(Event, kw_only=True, frozen=True, tag="MessageQueued"):
    """A message to the customer is to leave on a channel."""

    interaction: int
    delivery: str
    channel: str
    account: str
    to: str
    text: str
    subject: str = ""
    references: list[str] = []


class DeliveryAttempted(Event, kw_only=True, frozen=True, tag="DeliveryAttempted"):
    """An attempt begins now; journaled before anything is sent."""

    delivery: str
    attempt: int


class DeliverySent(Event, kw_only=True, frozen=True, tag="DeliverySent"):
    """The provider took it."""

    delivery: str
    external_id: str = ""


class DeliveryFailed(Event, kw_only=True, frozen=True, tag="DeliveryFailed"):
    """The attempt surely did not happen; the next is due at `retry_at_ms`."""

    delivery: str
    code: str
    reason: str
    retry_at_ms: int


class DeliveryUncertain(Event, kw_only=True, frozen=True, tag="DeliveryUncertain"):
    """It may or may not have been sent. `retry_at_ms` is 0 where the policy holds it for a person."""

    delivery: str
    reason: str
    retry_at_ms: int = 0


class DeliveryDead(Event, kw_only=True, frozen=True, tag="DeliveryDead"):
    """Given up: an operator sees it and may replay it."""

    delivery: str
    code: str
    reason: str


class DeliveryReplayed(Event, kw_only=True, frozen=True, tag="DeliveryReplayed"):
    """An operator sends a dead or held delivery again."""

    delivery: str


class DeliveryConfirmed(Event, kw_only=True, frozen=True, tag="DeliveryConfirmed"):
    """The provider says later what became of it: `delivered`, `read`, `undelivered`, `bounced`."""

    delivery: str
    status: str
    code: str = ""


# The customer's own stream


class IdentityLinked(Event, kw_only=True, frozen=True, tag="IdentityLinked"):
    """An identity belongs to this customer from now on."""

    identity: str
    evidence: str
    """`first_contact`, `asserted_by_channel`, `verified_by_otp`, `agent`, `crm`, `login`, or `policy`: found in an
    event by its capture template."""
    verified: bool = False
    account: str = ""
    confidence: int = 0
    """How sure that is, in percent; 0: nobody said. For an identity the customer has already: better evidence."""
    inherited: dict[str, bytes] = {}
    """Of an identity that was unlinked before: by customer it was linked to, the once-keys of what came for them, so
    that a repeat is recognised (see `actors.once`)."""


class IdentityUnlinked(Event, kw_only=True, frozen=True, tag="IdentityUnlinked"):
    """An identity is this customer's no more; what was said under it stays where it was said."""

    identity: str
    reason: str = ""


class IdentityConflictFound(Event, kw_only=True, frozen=True, tag="IdentityConflictFound"):
    """An event named an identity as this customer's, and it was not linked: noted once for a person, nothing merged."""

    identity: str
    other: str
    """Whose it is; empty for nobody's."""
    kind: str = "conflict"
    """`conflict` or, where the policy's level is reached, `merge`: another customer has it. `weak`: the evidence does
    not do. `unlinked`: somebody took it from this customer."""
    evidence: str = ""
    verified: bool = False
    confidence: int = 0


class IdentityReviewClosed(Event, kw_only=True, frozen=True, tag="IdentityReviewClosed"):
    """A person has looked at a conflict (`identity`, `other` as it was found), and it is settled."""

    identity: str
    other: str = ""
    reason: str = ""


class CustomerGiven(Event, kw_only=True, frozen=True, tag="CustomerGiven"):
    """The customer is one person with `to`, whose affairs these are from here on: its conversations keep their ids, and
    what happens in them is decided there. Nothing follows in this stream until it is returned."""

    to: str
    turn: int
    """Counts the customer's gives and releases from 1: odd ones are gives."""
    members: list[str] = []
    """Whose conversations go along: its own, and those of customers that were merged into it before."""
    reason: str = ""


class CustomerMerged(Event, kw_only=True, frozen=True, tag="CustomerMerged"):
    """`other` gave itself to this customer: from here on its conversations, identities and past are this one's too."""

    other: str
    turn: int
    given_at: int
    """The journal's position of its `CustomerGiven`."""
    members: list[str] = []
    identities: list[str] = []
    """Those that came along."""
    reason: str = ""


class CustomerReleased(Event, kw_only=True, frozen=True, tag="CustomerReleased"):
    """`other` is not the same person after all: it leaves with its conversations and identities. Interactions that were
    mixed have been moved by the events before this one, each to where its own identity belongs."""

    other: str
    turn: int
    members: list[str] = []
    """Whose conversations leave."""
    links: list[IdentityLink] = []
    """The identities that leave, as they are linked now."""
    inherited: dict[str, bytes] = {}
    """By customer: the once-keys of what came here meanwhile, so that a repeat is recognised there."""
    unmoved: list[str] = []
    """Conversations that may still have contacts of both, since those are no longer in memory."""
    reason: str = ""


class CustomerReturned(Event, kw_only=True, frozen=True, tag="CustomerReturned"):
    """The customer's affairs are its own again, as `other` released them."""

    other: str
    turn: int
    released_at: int
    """The journal's position of the `CustomerReleased`."""
    links: list[IdentityLink] = []
    inherited: dict[str, bytes] = {}


class InputQuarantined(Event, kw_only=True, frozen=True, tag="InputQuarantined"):
    """An input was refused after its sender was known: kept whole, with the reason, replayable."""

    quarantine: str
    account: str
    source: str
    id: str
    code: int
    field: str
    reason: str
    raw: bytes
    """The event as it came: JSON, in `InboundEvent`'s or CloudEvents' form, the vendor's own, or a mail."""
    received_ms: int = 0
    rule: str = ""
    """What refused it: `schema`, `once`, or `capture:<template>`, which `policy` has."""


class QuarantineReplayed(Event, kw_only=True, frozen=True, tag="QuarantineReplayed"):
    """A quarantined input came in after all."""

    quarantine: str
    stream: str = ""
    """Where it came in: its first event is (`stream`, `seq`)."""
    seq: int = 0


class ReplayBegun(Event, kw_only=True, frozen=True, tag="ReplayBegun"):
    """An operator takes a quarantined input in: until it is in or refused again, in this form and in no other."""

    quarantine: str
    raw: bytes = b""
    """As it was edited: JSON in `InboundEvent`'s form. Empty: as it was kept."""


class ReplayRefused(Event, kw_only=True, frozen=True, tag="ReplayRefused"):
    """It did not fit then, either."""

    quarantine: str
    code: int
    reason: str
    field: str = ""


# The policy's stream


class PolicyApplied(Event, kw_only=True, frozen=True, tag="PolicyApplied"):
    """A bundle is the policy from now on, in every cell. The event's `policy` is the version before it."""

    version: int
    files: dict[str, str]
    """The bundle's texts by name; none: as the settings say."""
    body: bytes
    """What was made of them: MessagePack of the server's `Policy`."""
    note: str = ""


class PastImported(Event, kw_only=True, frozen=True, tag="PastImported"):
    """A contact of the past came in as `conversation`, which was over before it was here."""

    source: str
    id: str
    conversation: str


class CustomerErased(Event, kw_only=True, frozen=True, tag="CustomerErased"):
    """The person was forgotten: what was said and their addresses are gone from everywhere, also from the facts before
    this one. `reason` is the operator's."""

    reason: str


class FactDropped(Event, kw_only=True, frozen=True, tag="FactDropped"):
    """What retention left of a fact of a conversation that is over: its `once`, for as long as a repeat of the input
    may still come. Never journaled: it stands in the archive, in the fact's place."""


# The report's stream


class ReportMade(Event, kw_only=True, frozen=True, tag="ReportMade"):
    """Where context was lost from `from_ms` to before `until_ms` was looked at; what follows from it comes after."""

    from_ms: int
    until_ms: int
    due_ms: int = 0
    """When the policy's schedule wanted it; 0: somebody asked for it."""
    request: str = ""
    """The id they asked under."""
    lines: int = 0
    opened: int = 0
    compared: int = 0


class FindingOpened(Event, kw_only=True, frozen=True, tag="FindingOpened"):
    """A line of the report stands out by the policy's threshold."""

    finding: str
    line: LossLine
    from_ms: int
    until_ms: int
    earlier: str = ""
    """The finding of the same group before this one."""


class FindingChanged(Event, kw_only=True, frozen=True, tag="FindingChanged"):
    """What a finding points at was changed in a version of the policy: from `since_ms` on that one holds."""

    finding: str
    version: int
    since_ms: int
    rules: list[str] = []
    """What changed in the file, as `throughline policy diff` names it; none where a person said so."""


class FindingCompared(Event, kw_only=True, frozen=True, tag="FindingCompared"):
    """A finding after its change: the same group, over a whole window under `version`."""

    finding: str
    version: int
    from_ms: int
    until_ms: int
    count: int
    occasions: int
    before_count: int
    before_occasions: int
    outcome: str
    """`better`, `same` or `worse`."""
    examples: list[str] = []
    reopened: bool = False
    """It still stands out and is not better: it is open again, and these are its figures now."""


class FindingDismissed(Event, kw_only=True, frozen=True, tag="FindingDismissed"):
    """Somebody said that a finding needs no change, and why."""

    finding: str
    reason: str


AnyEvent = (
    ConversationOpened
    | InteractionStarted
    | InteractionEnded
    | MessageReceived
    | AutomaticReplyReceived
    | ActivitySeen
    | InteractionWentOn
    | InteractionTagged
    | RepeatContactFound
    | CorrelationCorrected
    | InteractionMoved
    | InteractionReceived
    | OwnerChanged
    | QueueChanged
    | ConversationSnoozed
    | ConversationWoken
    | ConversationResolved
    | ConversationReopened
    | ConversationClosed
    | NoteAdded
    | ContextSet
    | HandoffOffered
    | HandoffAccepted
    | HandoffDeclined
    | HandoffExpired
    | HandoffWithdrawn
    | FieldMissing
    | MessageQueued
    | DeliveryAttempted
    | DeliverySent
    | DeliveryFailed
    | DeliveryUncertain
    | DeliveryDead
    | DeliveryReplayed
    | DeliveryConfirmed
    | IdentityLinked
    | IdentityUnlinked
    | IdentityConflictFound
    | IdentityReviewClosed
    | CustomerGiven
    | CustomerMerged
    | CustomerReleased
    | CustomerReturned
    | InputQuarantined
    | QuarantineReplayed
    | ContextRefused
    | ContextWithheld
    | ChannelSwitched
    | ActivityCarried
    | PolicyApplied
    | PastImported
    | CustomerErased
    | ReplayBegun
    | ReplayRefused
    | FactDropped
    | ReportMade
    | FindingOpened
    | FindingChanged
    | FindingCompared
    | FindingDismissed
)

EVENT_TYPES = frozenset(member.__name__ for member in get_args(AnyEvent))
"""The names of all types, as `type` on the wire has them."""
