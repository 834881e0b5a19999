"""Views: what watchers, lists and readers are shown of a conversation."""

from collections.abc import Sequence
from copy import copy

from actors.state.conversation import Conversation, knows
from protocol.entities import ConversationSummary, ConversationView, MissingField, Status
from protocol.events import (
    ConversationClosed,
    ConversationOpened,
    ConversationReopened,
    ConversationResolved,
    ConversationSnoozed,
    ConversationWoken,
    HandoffAccepted,
    HandoffDeclined,
    HandoffExpired,
    HandoffOffered,
    HandoffWithdrawn,
    OwnerChanged,
    QueueChanged,
)

RELISTING = frozenset(
    (
        ConversationOpened,
        OwnerChanged,
        QueueChanged,
        ConversationSnoozed,
        ConversationWoken,
        ConversationResolved,
        ConversationReopened,
        ConversationClosed,
        HandoffOffered,
        HandoffAccepted,
        HandoffDeclined,
        HandoffExpired,
        HandoffWithdrawn,
    )
)
"""The facts that may change what `lists_of` says."""


def view(state: Conversation, identities: Sequence[str]) -> ConversationView:
    """What a watcher sees of it."""
    return ConversationView(
        conversation=state.id,
        customer=state.customer,
        status=state.status,
        queue=state.queue,
        owner=state.owner,
        subject=state.subject,
        opened_at_ms=state.opened_at_ms,
        updated_at_ms=state.updated_at_ms,
        wake_at_ms=state.wake_at_ms,
        identities=list(identities),
        # Copies: a view may wait for a commit while the state goes on.
        interactions=[copy(interaction) for interaction in state.interactions],
        context=list(state.context.values()),
        deliveries=[copy(delivery) for delivery in state.deliveries.values()],
        relation=state.relation,
        handoff=state.handoff,
        channel=state.channel,
        withheld=list(state.withheld),
        missing=_missing(state),
        tags=state.tags,
        resolution_attempts=state.work.resolutions if state.work else 0,
        actions_taken=state.work.actions if state.work else 0,
        carried=state.work.carried if state.work else None,
    )


def _missing(state: Conversation) -> list[MissingField]:
    """Each field once: of contacts that were joined more than one may have come without it."""
    first = {gap.field: gap for gap in reversed(state.missing)}
    return [gap for gap in state.missing if first[gap.field] is gap and not knows(state, gap.field)]


def summary(state: Conversation) -> ConversationSummary:
    """Its row in a list."""
    return ConversationSummary(
        conversation=state.id,
        customer=state.customer,
        head=state.head,
        status=state.status,
        queue=state.queue,
        owner=state.owner,
        subject=state.subject,
        channel=state.interactions[-1].channel if state.interactions else "",
        updated_at_ms=state.updated_at_ms,
        offered_to=state.handoff.to if state.handoff is not None and state.handoff.open else "",
    )


def lists_of(state: Conversation) -> tuple[str, ...]:
    """The lists it stands in: its customer's always, its queue's and owner's while it is not done, and those of whom it
    is offered to."""
    mine = f"customer:{state.customer}"
    if state.status not in (Status.OPEN, Status.SNOOZED):
        return (mine,)
    lists = (mine, f"queue:{state.queue}", f"owner:{state.owner}") if state.owner else (mine, f"queue:{state.queue}")
    if state.handoff is None or not state.handoff.open:
        return lists
    kind, _, name = state.handoff.to.partition(":")
    offered = f"owner:{name}" if kind == "agent" else state.handoff.to
    return lists if offered in lists else (*lists, offered)
