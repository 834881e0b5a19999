"""Withdrawing: an open offer ends before anything goes over its head, whichever command does. Pure."""

from actors.state.conversation import Conversation
from protocol.events import (
    AnyEvent,
    ConversationClosed,
    ConversationResolved,
    HandoffAccepted,
    HandoffDeclined,
    HandoffExpired,
    HandoffWithdrawn,
    OwnerChanged,
    QueueChanged,
)

Decided = list[tuple[str, AnyEvent]]
"""Events by stream, in order."""


def withdrawn_by(state: Conversation, decided: Decided, actor: str, now_ms: int) -> Decided:
    """What was decided, with the end of the conversation's open offer before whatever goes over the offer's head:
    another owner or queue, or no work any more."""
    handoff = state.handoff
    if handoff is None or not handoff.open:
        return decided
    for place, (stream, event) in enumerate(decided):
        if stream != state.id or not (reason := _overruled(event)):
            continue
        if any(isinstance(before, _ENDED) for of, before in decided[:place] if of == stream):
            return decided
        withdrawn = HandoffWithdrawn(at_ms=now_ms, actor=actor, lease=handoff.lease, reason=reason)
        return [*decided[:place], (stream, withdrawn), *decided[place:]]
    return decided


_ENDED = (HandoffAccepted, HandoffDeclined, HandoffExpired, HandoffWithdrawn)


def _overruled(event: AnyEvent) -> str:
    match event:
        case OwnerChanged(owner=owner):
            return f"owner changed to {owner}" if owner else "nobody owns it now"
        case QueueChanged(queue=queue):
            return f"moved to queue {queue}"
        case ConversationResolved():
            return "resolved"
        case ConversationClosed():
            return "closed"
        case _:
            return ""
