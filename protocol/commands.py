"""Commands: what an agent or operator asks of a conversation or customer. They yield events or a refusal.

On the wire a command is an object whose `do` names the member. The frame around it carries its id: the same id has one
effect and repeats its result.
"""

from msgspec import Struct

from protocol.entities import RelationKind
from protocol.inbound import WholeNumber
from protocol.losses import LossLine


class Command(Struct, kw_only=True, omit_defaults=True, frozen=True, tag_field="do", gc=False):
    """Base of every command."""


class Reply(Command, kw_only=True, frozen=True, tag="reply"):
    """Send `text` to the customer.

    Without `channel` it goes where the customer's newest interaction came from; with it, to the customer's newest
    identity on that channel. `to` names one identity of the customer exactly.
    """

    text: str
    channel: str = ""
    to: str = ""
    subject: str = ""


class AddNote(Command, kw_only=True, frozen=True, tag="note"):
    """Write an internal note."""

    text: str


class Take(Command, kw_only=True, frozen=True, tag="take"):
    """Become the owner; refused while someone else is, unless `force`."""

    force: bool = False


class Assign(Command, kw_only=True, frozen=True, tag="assign"):
    """Give the conversation to `owner`, or to nobody with an empty one."""

    owner: str


class Move(Command, kw_only=True, frozen=True, tag="move"):
    """Put the conversation in another queue."""

    queue: str


class Snooze(Command, kw_only=True, frozen=True, tag="snooze"):
    """Sleep until `until_ms`."""

    until_ms: WholeNumber


class Resolve(Command, kw_only=True, frozen=True, tag="resolve"):
    """Say it is done."""

    reason: str = ""


class Reopen(Command, kw_only=True, frozen=True, tag="reopen"):
    """Say it is not done."""

    reason: str = ""


class SetContext(Command, kw_only=True, frozen=True, tag="set_context"):
    """Set one context item."""

    key: str
    value: str | WholeNumber | float | bool | None
    sensitivity: str = "normal"
    verified: bool = False
    """You checked it: read from a document, or confirmed by the customer against what we have."""


class SwitchChannel(Command, kw_only=True, frozen=True, tag="switch_channel"):
    """Go on on another channel ("I call you"), with everything that is known.

    `to` names one identity of the customer exactly; without it, it is their newest one on that channel.
    """

    channel: str
    to: str = ""
    reason: str = ""


class TagInteraction(Command, kw_only=True, frozen=True, tag="tag"):
    """Say what an interaction is about: `interaction` is its number, 0 the newest. What is empty stays as it is.

    `classified`: a program says so, not a person: it counts less, and only for the time that the policy gives it."""

    interaction: WholeNumber = 0
    topic: str = ""
    intent: str = ""
    product_line: str = ""
    segment: str = ""
    classified: bool = False
    evidence: str = ""
    """What it goes by, for people."""


class Split(Command, kw_only=True, frozen=True, tag="split"):
    """Put these interactions in a conversation of their own: they are about something else. Undone by `join`."""

    interactions: list[WholeNumber]
    kind: RelationKind = RelationKind.FOLLOWS_UP
    """What the new conversation is to this one."""
    reason: str = ""


class Join(Command, kw_only=True, frozen=True, tag="join"):
    """Take everything of `other`, a conversation of the same customer, into this one; the other closes. Undone by
    `split`."""

    other: str
    reason: str = ""


class Relate(Command, kw_only=True, frozen=True, tag="relate"):
    """Say what this conversation is to an earlier one of the same customer; without `kind`: nothing."""

    earlier: str = ""
    """Empty with a kind: the one it is related to now."""
    kind: RelationKind | None = None
    reason: str = ""


class LinkIdentity(Command, kw_only=True, frozen=True, tag="link_identity"):
    """Say that `identity` belongs to this customer, by `evidence`: `agent`, `crm`, `login` or `verified_by_otp`.

    Addressed to a customer; refused where it is another's. For an identity that is this customer's already it counts
    where the evidence is better. `confidence` is in percent; with 0 the policy says how much such evidence is worth.
    """

    identity: str
    evidence: str = "agent"
    confidence: WholeNumber = 0


class UnlinkIdentity(Command, kw_only=True, frozen=True, tag="unlink_identity"):
    """Say that `identity` is not this customer's. It is nobody's then: who writes from it next is a new customer,
    unless it is linked before. Addressed to a customer."""

    identity: str
    reason: str = ""


class MergeCustomers(Command, kw_only=True, frozen=True, tag="merge_customers"):
    """Say that `other` is the same person: its conversations, identities and past are this customer's from then on.
    Addressed to the customer that keeps its id. Undone by `unmerge_customers`."""

    other: str
    reason: str = ""


class UnmergeCustomers(Command, kw_only=True, frozen=True, tag="unmerge_customers"):
    """Say that `other`, which was merged into this customer, is somebody else: each interaction goes back with its own
    identity. Addressed to the customer it was merged into."""

    other: str
    reason: str = ""


class GiveCustomer(Command, kw_only=True, frozen=True, tag="give_customer"):
    """Give `customer` to `to`: the first half of a merge. Addressed to `customer`; the server's own.

    With `identity` it is by a rule of the policy, since both are said to have it: refused where it is not `customer`'s,
    where both have shown it to be theirs (`verified`: the other has), and where both have one of a kind that is single
    (`kinds`: those that the other has)."""

    customer: str
    to: str
    reason: str = ""
    identity: str = ""
    verified: bool = False
    kinds: list[str] = []


class CloseIdentityReview(Command, kw_only=True, frozen=True, tag="close_identity_review"):
    """Say that the conflict over `identity` with the customer `other` (empty: nobody) needs nothing more, and why.
    Addressed to the customer for whom it was found; it is not found again."""

    identity: str
    other: str = ""
    reason: str = ""


class ReplayDelivery(Command, kw_only=True, frozen=True, tag="replay_delivery"):
    """Send a dead or held delivery again."""

    delivery: str


class SettleDelivery(Command, kw_only=True, frozen=True, tag="settle_delivery"):
    """Say that a held delivery did leave, as somebody found out, by `external_id` where it is known: it is not sent
    again."""

    delivery: str
    external_id: str = ""


class MarkReplayed(Command, kw_only=True, frozen=True, tag="mark_replayed"):
    """Note that a quarantined input came in after all. Addressed to the account's own stream; the server's own."""

    quarantine: str
    stream: str = ""
    seq: WholeNumber = 0


class BeginReplay(Command, kw_only=True, frozen=True, tag="begin_replay"):
    """Say in which form a quarantined input is to come in; refused while another form of it may. The server's own."""

    quarantine: str
    raw: bytes = b""


class EndReplay(Command, kw_only=True, frozen=True, tag="end_replay"):
    """Note that the form was refused, so that another may follow. The server's own."""

    quarantine: str
    code: WholeNumber
    reason: str
    field: str = ""


class OfferHandoff(Command, kw_only=True, frozen=True, tag="offer_handoff"):
    """Offer the ownership to an `agent` or to a `queue`, with all that is known; without either, to the first whom the
    policy names for this kind. Refused while another agent owns it, while an offer is open, and where the policy blocks
    a package that lacks something."""

    kind: str
    """`tier1-tier2`, `bot-person`, …: the policy says what each kind needs."""
    agent: str = ""
    queue: str = ""
    note: str = ""
    """Your words to the taker."""
    fields: dict[str, str | WholeNumber | float | bool] = {}
    """What the package still needs: each becomes a context item."""


class AcceptHandoff(Command, kw_only=True, frozen=True, tag="accept_handoff"):
    """Become the owner of what was offered to you or to a queue. `sha256` acknowledges the package you were given."""

    lease: WholeNumber
    """The offer's number; refused where it is not the newest, or its time is over."""
    sha256: str
    """Computed from the package."""


class DeclineHandoff(Command, kw_only=True, frozen=True, tag="decline_handoff"):
    """Say no to what was offered to you, or to a queue for all in it."""

    lease: WholeNumber
    reason: str = ""


class WithdrawHandoff(Command, kw_only=True, frozen=True, tag="withdraw_handoff"):
    """Take your own offer back."""

    lease: WholeNumber
    reason: str = ""


class ApplyPolicy(Command, kw_only=True, frozen=True, tag="apply_policy"):
    """Make a bundle the next version of the policy. Addressed to the customer `policy`; the server's own, since it
    checks a bundle before.

    `files` are the bundle's texts by name, `body` is what was made of them: MessagePack of `actors.policy.Policy`.
    Refused where the newest version is not `base` any more; 0: whichever it is.
    """

    files: dict[str, str]
    body: bytes
    note: str = ""
    base: WholeNumber = 0


class MakeReport(Command, kw_only=True, frozen=True, tag="make_report"):
    """Make findings of what was counted from `from_ms` to before `until_ms`, and compare those that were changed.
    Addressed to the customer `report`; the server's own, since it counts before. The report of one `due_ms` is made
    once; 0: somebody asked for it.
    """

    from_ms: WholeNumber
    until_ms: WholeNumber
    lines: list[LossLine]
    due_ms: WholeNumber = 0
    request: str = ""


class ResolveFinding(Command, kw_only=True, frozen=True, tag="resolve_finding"):
    """Say in which version of the policy a finding was changed, in force since `since_ms`. The server's own."""

    finding: str
    version: WholeNumber
    since_ms: WholeNumber
    rules: list[str] = []


class DismissFinding(Command, kw_only=True, frozen=True, tag="dismiss_finding"):
    """Say that a finding needs no change, and why. The server's own."""

    finding: str
    reason: str


AnyCommand = (
    Reply
    | AddNote
    | Take
    | Assign
    | Move
    | Snooze
    | Resolve
    | Reopen
    | SetContext
    | TagInteraction
    | Split
    | Join
    | Relate
    | LinkIdentity
    | UnlinkIdentity
    | MergeCustomers
    | UnmergeCustomers
    | GiveCustomer
    | CloseIdentityReview
    | ReplayDelivery
    | SettleDelivery
    | MarkReplayed
    | OfferHandoff
    | AcceptHandoff
    | DeclineHandoff
    | WithdrawHandoff
    | SwitchChannel
    | ApplyPolicy
    | BeginReplay
    | EndReplay
    | MakeReport
    | ResolveFinding
    | DismissFinding
)

_REPLAY = "POST /v1/quarantine/{id}/replay"
SERVERS_OWN: dict[type[Command], str] = {
    MarkReplayed: _REPLAY,
    BeginReplay: _REPLAY,
    EndReplay: _REPLAY,
    ApplyPolicy: "POST /v1/policy",
    MakeReport: "POST /v1/reports/context-loss/runs",
    ResolveFinding: "POST /v1/reports/context-loss/findings/{id}/resolve",
    DismissFinding: "POST /v1/reports/context-loss/findings/{id}/dismiss",
    GiveCustomer: "the command merge_customers",
}
"""What no client may ask for as a command, and of what each is a part."""
