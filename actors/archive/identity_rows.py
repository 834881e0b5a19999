"""Identity rows: whose an address is, and the conflicts over it that a person is to look at. Pure."""

from typing import Any

from actors.archive.rows import Place
from protocol import events as ev
from protocol.archive import Patch
from protocol.identities import kind_of


def identity_row(at: Place, event: ev.IdentityLinked) -> Patch:
    """`identity`: whose it is, and why."""
    return at.new(
        "identity",
        event.identity,
        customer=at.customer,
        kind=kind_of(event.identity),
        evidence=event.evidence,
        verified=int(event.verified),
        confidence=event.confidence,
        account=event.account,
        linked_by=event.actor,
        linked_at_ms=event.at_ms,
    )


def review_row(at: Place, event: ev.IdentityConflictFound) -> Patch:
    """`identity_review`: a conflict for a person to look at."""
    return at.new(
        "identity_review",
        at.customer,
        event.identity,
        event.other,
        kind=event.kind,
        evidence=event.evidence,
        verified=int(event.verified),
        confidence=event.confidence,
        found_by=event.actor,
        found_at_ms=event.at_ms,
        closed_by="",
        closed_at_ms=None,
        reason="",
    )


def review_closed(event: ev.IdentityReviewClosed) -> dict[str, Any]:
    """The columns of `identity_review` that its end changes."""
    return {"closed_by": event.actor, "closed_at_ms": event.at_ms, "reason": event.reason}
