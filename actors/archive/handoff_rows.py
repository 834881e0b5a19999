"""Handoff rows: offers of the ownership, and how each ended. Pure."""

from collections.abc import Iterable
from typing import assert_never

from actors.archive.rows import Place, action_row, as_json, capped
from protocol import events as ev
from protocol.archive import Patch


def handoff_row(at: Place, event: ev.HandoffOffered) -> Patch:
    """`handoff`: an offer that waits for its answer."""
    return at.new(
        "handoff",
        at.stream,
        event.lease,
        kind=event.kind,
        state="offered",
        giver=event.giver,
        offered_to=event.to,
        continuity=event.continuity,
        sha256=event.sha256,
        items=len(event.package.items),
        missing=as_json(event.package.missing),
        seq=at.seq,
        offered_at_ms=event.at_ms,
        expires_at_ms=capped(event.expires_at_ms),
        ended_at_ms=None,
        ended_by="",
        reason="",
        policy=event.policy,
    )


def handoff_end(
    at: Place, event: ev.HandoffAccepted | ev.HandoffDeclined | ev.HandoffExpired | ev.HandoffWithdrawn
) -> Iterable[Patch]:
    """`handoff` after its end, and the `action` it was."""
    state, more = "accepted", {}
    match event:
        case ev.HandoffAccepted():
            more = {"continuity": event.continuity}
        case ev.HandoffDeclined():
            state, more = "declined", {"reason": event.reason}
        case ev.HandoffExpired():
            state = "expired"
        case ev.HandoffWithdrawn():
            state, more = "withdrawn", {"reason": event.reason}
        case _:
            assert_never(event)
    yield at.change(
        "handoff", at.stream, event.lease, state=state, ended_at_ms=event.at_ms, ended_by=event.actor, **more
    )
    yield action_row(at, event, f"handoff_{state}", more.get("reason", ""))
