"""Identity rows: whose an address is, and the conflicts over it that a person is to look at. Pure."""

from collections.abc import Iterable

from actors.archive.rows import Place, action_row
from protocol import events as ev
from protocol.archive import Patch
from protocol.identities import kind_of


def linked_rows(at: Place, event: ev.IdentityLinked) -> Iterable[Patch]:
    """`identity`, `action`: whose it is, and why."""
    if event.identity:  # Else it is forgotten.
        yield _identity_row(at, event)
    yield action_row(at, event, "identity_linked", event.identity)


def _identity_row(at: Place, event: ev.IdentityLinked) -> Patch:
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


def _review_row(at: Place, event: ev.IdentityConflictFound) -> Patch:
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


def unlinked_rows(at: Place, event: ev.IdentityUnlinked) -> Iterable[Patch]:
    """`identity`, `action`: it is nobody's."""
    yield at.drop("identity", event.identity)
    yield action_row(at, event, "identity_unlinked", event.identity)


def conflict_rows(at: Place, event: ev.IdentityConflictFound) -> Iterable[Patch]:
    """`identity_review`, `action`: a conflict for a person to look at."""
    if event.identity:  # Else it is forgotten.
        yield _review_row(at, event)
    whose = f"belongs to {event.other}" if event.other else "is nobody's"
    yield action_row(at, event, "identity_conflict", f"{event.identity} {whose}")


def review_closed_rows(at: Place, event: ev.IdentityReviewClosed) -> Iterable[Patch]:
    """`identity_review`, `action`: somebody looked."""
    review = {"closed_by": event.actor, "closed_at_ms": event.at_ms, "reason": event.reason}
    if event.identity:
        yield at.change("identity_review", at.customer, event.identity, event.other, **review)
    yield action_row(at, event, "identity_review_closed", event.identity)
