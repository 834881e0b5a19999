"""Contents: which rows hold what an event says. Pure."""

from collections.abc import Callable, Iterable
from typing import Any, assert_never

from actors.archive.context_rows import context_rows, switch_row, withdrawn_rows, withheld_rows
from actors.archive.correction_rows import came_rows, corrected_rows, moved_rows, repeat_rows, tagged_rows
from actors.archive.delivery_rows import confirmed_row, dead_rows, outbox_change, outbox_row, replayed_rows
from actors.archive.finding_rows import finding_rows
from actors.archive.handoff_rows import handoff_end, handoff_row
from actors.archive.identity_rows import conflict_rows, linked_rows, review_closed_rows, unlinked_rows
from actors.archive.quarantine_rows import begun_rows, came_in_rows, erased_rows, quarantine_row, refused_again_rows
from actors.archive.rows import Place, action_row, attachment_rows, interaction_row
from protocol import events as ev
from protocol.archive import Patch


def contents(at: Place, event: ev.AnyEvent) -> Iterable[Patch]:
    """The rows that hold what an event says. Those of nearly every conversation are found by one look: each case that
    is tried in vain takes 0.1 µs."""
    return _OFTEN.get(type(event), _seldom)(at, event)


_OFTEN: dict[type[ev.AnyEvent], Callable[[Place, Any], Iterable[Patch]]] = {
    ev.MessageReceived: attachment_rows,
    ev.InteractionStarted: lambda at, event: [interaction_row(at, event)],
    ev.InteractionTagged: tagged_rows,
    ev.IdentityLinked: linked_rows,
    ev.ContextSet: context_rows,
    ev.FieldMissing: lambda at, event: [],  # All of it is in `event`, of which `missing_field` is a view.
    ev.MessageQueued: lambda at, event: [outbox_row(at, event)],
    ev.DeliveryAttempted: lambda at, event: [outbox_change(at, event)],
    ev.DeliverySent: lambda at, event: [outbox_change(at, event)],
    ev.DeliveryFailed: lambda at, event: [outbox_change(at, event)],
    ev.DeliveryUncertain: lambda at, event: [outbox_change(at, event)],
}


def _seldom(at: Place, event: ev.AnyEvent) -> Iterable[Patch]:
    """The same for every other member of the union, one line each."""
    match event:
        case ev.AutomaticReplyReceived():
            yield from attachment_rows(at, event)
        case ev.ActivitySeen() | ev.ActivityCarried():
            pass  # All of it is in `event`, of which `activity` is a view.
        case ev.InteractionEnded():
            yield at.change(
                "interaction", at.stream, event.interaction, ended_at_ms=event.at_ms, end_reason=event.reason
            )
        case ev.RepeatContactFound():
            yield from repeat_rows(at, event)
        case ev.CorrelationCorrected():
            yield from corrected_rows(at, event)
        case ev.InteractionMoved():
            yield from moved_rows(at, event)
        case ev.InteractionReceived():
            yield from came_rows(at, event)
        case ev.InteractionWentOn():
            pass  # Its timer is all.
        case ev.ContextRefused():
            yield action_row(at, event, "context_refused", f"{event.key}: {event.reason}")
        case ev.ContextWithdrawn():
            yield from withdrawn_rows(at, event)
        case ev.ContextWithheld():
            yield from withheld_rows(at, event)
        case ev.ChannelSwitched():
            yield switch_row(at, event)
        case ev.HandoffOffered():
            yield handoff_row(at, event)
            yield action_row(at, event, "handoff_offered", f"{event.kind} to {event.to}")
        case ev.HandoffAccepted() | ev.HandoffDeclined() | ev.HandoffExpired() | ev.HandoffWithdrawn():
            yield from handoff_end(at, event)
        case ev.DeliveryDead():
            yield from dead_rows(at, event)
        case ev.DeliveryReplayed():
            yield from replayed_rows(at, event)
        case ev.DeliveryConfirmed():
            yield confirmed_row(at, event)
        case ev.OwnerChanged():
            yield action_row(at, event, "owner_changed", event.owner)
        case ev.QueueChanged():
            yield action_row(at, event, "queue_changed", event.queue)
        case ev.ConversationSnoozed():
            yield action_row(at, event, "snoozed", str(event.until_ms))
        case ev.ConversationWoken():
            yield action_row(at, event, "woken", event.reason)
        case ev.ConversationResolved():
            yield action_row(at, event, "resolved", event.reason)
        case ev.ConversationReopened():
            yield action_row(at, event, "reopened", event.reason)
        case ev.ConversationClosed():
            yield action_row(at, event, "closed", event.reason)
        case ev.NoteAdded():
            yield action_row(at, event, "note", event.text)
        case ev.IdentityUnlinked():
            yield from unlinked_rows(at, event)
        case ev.IdentityConflictFound():
            yield from conflict_rows(at, event)
        case ev.IdentityReviewClosed():
            yield from review_closed_rows(at, event)
        case ev.CustomerGiven():
            yield action_row(at, event, "given", event.to)
        case ev.CustomerMerged():
            yield action_row(at, event, "merged", event.other)
        case ev.CustomerReleased():
            yield action_row(at, event, "released", event.other)
        case ev.CustomerReturned():
            yield action_row(at, event, "returned", event.other)
        case ev.InputQuarantined():
            yield quarantine_row(at, event)
        case ev.QuarantineReplayed():
            yield from came_in_rows(at, event)
        case ev.PolicyApplied():
            pass  # All of it is in `event`, of which `policy` is a view.
        case ev.ReportMade() | ev.FindingOpened() | ev.FindingChanged() | ev.FindingCompared() | ev.FindingDismissed():
            yield from finding_rows(at, event)
        case ev.PastImported():
            yield action_row(at, event, "imported", f"{event.conversation} was {event.id} of {event.source}")
        case ev.CustomerErased():
            yield action_row(at, event, "erased", event.reason)
        case ev.ReplayBegun():
            yield from begun_rows(at, event)
        case ev.ReplayRefused():
            yield from refused_again_rows(at, event)
        case ev.InputErased():
            yield from erased_rows(at, event)
        case ev.FactDropped():
            pass  # It is only met where what was left is looked at again: no journal has it.
        case ev.ConversationOpened():
            pass  # All of it is in `conversation`, `work` and `relation`.
        case (
            ev.MessageReceived()
            | ev.InteractionStarted()
            | ev.InteractionTagged()
            | ev.IdentityLinked()
            | ev.ContextSet()
            | ev.FieldMissing()
            | ev.MessageQueued()
            | ev.DeliveryAttempted()
            | ev.DeliverySent()
            | ev.DeliveryFailed()
            | ev.DeliveryUncertain()
        ):
            raise AssertionError(f"{type(event).__name__} is of those in `_OFTEN`")
        case _:
            assert_never(event)
