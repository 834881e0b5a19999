"""Commands: what an agent or operator asks of a conversation or customer. They yield events or a refusal.

On the wire a command is an object whose `do` names the member. The frame around it carries its id: the same id has one
effect and repeats its result.
"""

from protocol.commands.command import Command
from protocol.commands.context import SetContext, SwitchChannel
from protocol.commands.corrections import Join, Relate, Split, TagInteraction
from protocol.commands.deliveries import ReplayDelivery, SettleDelivery
from protocol.commands.findings import DismissFinding, MakeReport, ResolveFinding
from protocol.commands.handoffs import AcceptHandoff, DeclineHandoff, OfferHandoff, WithdrawHandoff
from protocol.commands.identities import CloseIdentityReview, LinkIdentity, UnlinkIdentity
from protocol.commands.merges import GiveCustomer, MergeCustomers, UnmergeCustomers
from protocol.commands.policy import ApplyPolicy
from protocol.commands.quarantine import BeginReplay, EndReplay, MarkReplayed
from protocol.commands.work import AddNote, Assign, Move, Reopen, Reply, Resolve, Snooze, Take

__all__ = [
    "SERVERS_OWN",
    "AcceptHandoff",
    "AddNote",
    "AnyCommand",
    "ApplyPolicy",
    "Assign",
    "BeginReplay",
    "CloseIdentityReview",
    "Command",
    "DeclineHandoff",
    "DismissFinding",
    "EndReplay",
    "GiveCustomer",
    "Join",
    "LinkIdentity",
    "MakeReport",
    "MarkReplayed",
    "MergeCustomers",
    "Move",
    "OfferHandoff",
    "Relate",
    "Reopen",
    "ReplayDelivery",
    "Reply",
    "Resolve",
    "ResolveFinding",
    "SetContext",
    "SettleDelivery",
    "Snooze",
    "Split",
    "SwitchChannel",
    "TagInteraction",
    "Take",
    "UnlinkIdentity",
    "UnmergeCustomers",
    "WithdrawHandoff",
]

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
