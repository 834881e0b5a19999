"""Conversation rows: a conversation as it stands, in `conversation`, and while it is not closed in `work`. Pure."""

from collections.abc import Iterable
from typing import Any

from actors.archive.rows import Place, capped
from protocol import events as ev
from protocol.archive import Patch


def opened_rows(at: Place, event: ev.ConversationOpened) -> Iterable[Patch]:
    """`conversation` and `work`, and `relation` where it follows from an earlier one."""
    yield at.new(
        "conversation",
        at.stream,
        customer=event.customer,
        status="open",
        queue=event.queue,
        owner="",
        subject=event.subject,
        channel="",
        head=at.seq,
        opened_at_ms=event.at_ms,
        updated_at_ms=event.at_ms,
        wake_at_ms=None,
        close_at_ms=None,
        resolved_at_ms=None,
        closed_at_ms=None,
    )
    yield at.new("work", at.stream, queue=event.queue, owner="", status="open", since_ms=event.at_ms)
    if event.relation is not None:
        relation = event.relation
        yield at.new(
            "relation",
            at.stream,
            relation.conversation,
            kind=relation.kind.value,
            reason=relation.reason,
            at_ms=event.at_ms,
        )


def standing_rows(at: Place, event: ev.AnyEvent) -> Iterable[Patch]:
    """What an event changes of both beside the head. Of most events that is nothing; `work` goes with the closing."""
    kind = type(event)
    if kind in _MOVING:
        return _moved(at, event)
    if kind in _FILLING and (filled := _filled(event)):
        return [Patch("conversation", (at.stream,), {}, False, at.position, filled)]
    return ()


def _moved(at: Place, event: ev.AnyEvent) -> Iterable[Patch]:
    changed = _changed(event)
    yield at.change("conversation", at.stream, **changed)
    if isinstance(event, ev.ConversationClosed):
        yield at.drop("work", at.stream)
    elif stands := {name: changed[name] for name in ("status", "queue", "owner") if name in changed}:
        yield at.change("work", at.stream, since_ms=event.at_ms, **stands)


def _changed(event: ev.AnyEvent) -> dict[str, Any]:
    """The columns of `conversation` that an event changes beside the head."""
    match event:
        case ev.InteractionStarted() | ev.InteractionMoved() | ev.InteractionReceived():
            return {"channel": event.channel}
        case ev.OwnerChanged():
            return {"owner": event.owner}
        case ev.QueueChanged():
            return {"queue": event.queue}
        case ev.ConversationSnoozed():
            until_ms = capped(event.until_ms)
            return {"status": "snoozed", "wake_at_ms": until_ms, "close_at_ms": None, "resolved_at_ms": None}
        case ev.ConversationWoken():
            return {"status": "open", "wake_at_ms": None}
        case ev.ConversationResolved():
            times = {"close_at_ms": capped(event.close_at_ms), "resolved_at_ms": event.since_ms or event.at_ms}
            return {"status": "resolved", "wake_at_ms": None, **times}
        case ev.ConversationReopened():
            return {"status": "open", "wake_at_ms": None, "close_at_ms": None, "resolved_at_ms": None}
        case ev.ConversationClosed():
            return {"status": "closed", "wake_at_ms": None, "close_at_ms": None, "closed_at_ms": event.at_ms}
        case _:
            raise AssertionError(f"{type(event).__name__} moves no conversation")


_MOVING = frozenset(
    {
        ev.InteractionStarted,
        ev.InteractionMoved,
        ev.InteractionReceived,
        ev.OwnerChanged,
        ev.QueueChanged,
        ev.ConversationSnoozed,
        ev.ConversationWoken,
        ev.ConversationResolved,
        ev.ConversationReopened,
        ev.ConversationClosed,
    }
)
"""Those that `_changed` knows: most are none of them, and to try every case of a match takes microseconds."""


def _filled(event: ev.AnyEvent) -> dict[str, str]:
    """What an event puts where a conversation has nothing yet: its first subject, should it have begun without one."""
    match event:
        case ev.MessageReceived() | ev.AutomaticReplyReceived() if event.subject:
            return {"subject": event.subject}
        case _:
            return {}


_FILLING = frozenset({ev.MessageReceived, ev.AutomaticReplyReceived})
"""Those that `_filled` knows."""
