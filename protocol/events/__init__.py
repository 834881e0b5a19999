"""Journal events: facts, each in one stream, numbered `seq` 1, 2, 3 … without a gap.

A stream is a conversation, or the customer (what concerns the person and no one conversation: identities, quarantine).
The union `AnyEvent` is closed; `type` on the wire picks the member. Once written, a member's fields are only added to,
with defaults, never renamed: the journal is kept for years.

`at_ms` is when the server decided; a provider's own time stands beside it as `provider_ms`.
"""

from typing import get_args

from protocol.events.contacts import (
    ActivitySeen,
    AutomaticReplyReceived,
    ConversationOpened,
    InteractionEnded,
    InteractionStarted,
    InteractionTagged,
    InteractionWentOn,
    MessageReceived,
    RepeatContactFound,
)
from protocol.events.context import (
    ActivityCarried,
    ChannelSwitched,
    ContextRefused,
    ContextSet,
    ContextWithdrawn,
    ContextWithheld,
    FieldMissing,
)
from protocol.events.corrections import CorrelationCorrected, InteractionMoved, InteractionReceived
from protocol.events.deliveries import (
    DeliveryAttempted,
    DeliveryConfirmed,
    DeliveryDead,
    DeliveryFailed,
    DeliveryReplayed,
    DeliverySent,
    DeliveryUncertain,
    MessageQueued,
)
from protocol.events.event import Event, Once
from protocol.events.findings import FindingChanged, FindingCompared, FindingDismissed, FindingOpened, ReportMade
from protocol.events.handoffs import HandoffAccepted, HandoffDeclined, HandoffExpired, HandoffOffered, HandoffWithdrawn
from protocol.events.identities import IdentityConflictFound, IdentityLinked, IdentityReviewClosed, IdentityUnlinked
from protocol.events.keeping import CustomerErased, FactDropped, PastImported
from protocol.events.merges import CustomerGiven, CustomerMerged, CustomerReleased, CustomerReturned
from protocol.events.policy import PolicyApplied
from protocol.events.quarantine import InputErased, InputQuarantined, QuarantineReplayed, ReplayBegun, ReplayRefused
from protocol.events.work import (
    ConversationClosed,
    ConversationReopened,
    ConversationResolved,
    ConversationSnoozed,
    ConversationWoken,
    NoteAdded,
    OwnerChanged,
    QueueChanged,
)

__all__ = [
    "EVENT_TYPES",
    "ActivityCarried",
    "ActivitySeen",
    "AnyEvent",
    "AutomaticReplyReceived",
    "ChannelSwitched",
    "ContextRefused",
    "ContextSet",
    "ContextWithdrawn",
    "ContextWithheld",
    "ConversationClosed",
    "ConversationOpened",
    "ConversationReopened",
    "ConversationResolved",
    "ConversationSnoozed",
    "ConversationWoken",
    "CorrelationCorrected",
    "CustomerErased",
    "CustomerGiven",
    "CustomerMerged",
    "CustomerReleased",
    "CustomerReturned",
    "DeliveryAttempted",
    "DeliveryConfirmed",
    "DeliveryDead",
    "DeliveryFailed",
    "DeliveryReplayed",
    "DeliverySent",
    "DeliveryUncertain",
    "Event",
    "FactDropped",
    "FieldMissing",
    "FindingChanged",
    "FindingCompared",
    "FindingDismissed",
    "FindingOpened",
    "HandoffAccepted",
    "HandoffDeclined",
    "HandoffExpired",
    "HandoffOffered",
    "HandoffWithdrawn",
    "IdentityConflictFound",
    "IdentityLinked",
    "IdentityReviewClosed",
    "IdentityUnlinked",
    "InputErased",
    "InputQuarantined",
    "InteractionEnded",
    "InteractionMoved",
    "InteractionReceived",
    "InteractionStarted",
    "InteractionTagged",
    "InteractionWentOn",
    "MessageQueued",
    "MessageReceived",
    "NoteAdded",
    "Once",
    "OwnerChanged",
    "PastImported",
    "PolicyApplied",
    "QuarantineReplayed",
    "QueueChanged",
    "RepeatContactFound",
    "ReplayBegun",
    "ReplayRefused",
    "ReportMade",
]

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
    | ContextWithdrawn
    | ContextWithheld
    | ChannelSwitched
    | ActivityCarried
    | PolicyApplied
    | PastImported
    | CustomerErased
    | ReplayBegun
    | ReplayRefused
    | InputErased
    | FactDropped
    | ReportMade
    | FindingOpened
    | FindingChanged
    | FindingCompared
    | FindingDismissed
)

EVENT_TYPES = frozenset(member.__name__ for member in get_args(AnyEvent))
"""The names of all types, as `type` on the wire has them."""
