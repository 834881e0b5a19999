"""The states of a handoff: one table for what may be decided and for what facts change.

    (none) ─offer─▶ offered ─accept──▶ accepted      the taker owns the conversation
                            ─decline─▶ declined
                            ─expire──▶ expired       its lease is over
                            ─withdraw▶ withdrawn

From each of the last four the next offer begins, with a higher lease. So there is at most one open offer, and an answer
names by its lease which one it means.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import assert_never

from msgspec.structs import replace

from protocol.events import HandoffAccepted, HandoffDeclined, HandoffExpired, HandoffOffered, HandoffWithdrawn
from protocol.handoffs import Handoff, HandoffState

HandoffFact = HandoffOffered | HandoffAccepted | HandoffDeclined | HandoffExpired | HandoffWithdrawn


class Move(StrEnum):
    """What can happen to a handoff."""

    OFFER = "offer"
    ACCEPT = "accept"
    DECLINE = "decline"
    EXPIRE = "expire"
    WITHDRAW = "withdraw"


_AGAIN = {Move.OFFER: HandoffState.OFFERED}
TABLE: Mapping[HandoffState | None, Mapping[Move, HandoffState]] = {
    None: _AGAIN,
    HandoffState.OFFERED: {
        Move.ACCEPT: HandoffState.ACCEPTED,
        Move.DECLINE: HandoffState.DECLINED,
        Move.EXPIRE: HandoffState.EXPIRED,
        Move.WITHDRAW: HandoffState.WITHDRAWN,
    },
    HandoffState.ACCEPTED: _AGAIN,
    HandoffState.DECLINED: _AGAIN,
    HandoffState.EXPIRED: _AGAIN,
    HandoffState.WITHDRAWN: _AGAIN,
}
"""By state, None being a conversation without one: the moves there are, and where they lead."""


def evolve(before: Handoff | None, fact: HandoffFact) -> Handoff:
    """The newest handoff after a fact."""
    match fact:
        case HandoffOffered():
            return _offered(before, fact)
        case HandoffAccepted(continuity=continuity):
            ended = _ended(before, fact, Move.ACCEPT)
            return replace(ended, continuity=continuity)
        case HandoffDeclined(reason=reason):
            return replace(_ended(before, fact, Move.DECLINE), reason=reason)
        case HandoffExpired():
            return _ended(before, fact, Move.EXPIRE)
        case HandoffWithdrawn(reason=reason):
            return replace(_ended(before, fact, Move.WITHDRAW), reason=reason)
        case _:
            assert_never(fact)


def may(before: Handoff | None, move: Move) -> bool:
    """Whether the table has the move."""
    return move in TABLE[before.state if before else None]


def _offered(before: Handoff | None, fact: HandoffOffered) -> Handoff:
    assert may(before, Move.OFFER), f"offer {fact.lease} while one is open"
    assert before is None or fact.lease > before.lease, f"lease {fact.lease} after {before.lease}"
    return Handoff(
        lease=fact.lease,
        kind=fact.kind,
        state=HandoffState.OFFERED,
        giver=fact.giver,
        to=fact.to,
        continuity=fact.continuity,
        sha256=fact.sha256,
        expires_at_ms=fact.expires_at_ms,
        package=fact.package,
        missing=fact.package.missing,
    )


def _ended(
    before: Handoff | None, fact: HandoffAccepted | HandoffDeclined | HandoffExpired | HandoffWithdrawn, move: Move
) -> Handoff:
    assert before is not None, f"{move} of what was never offered"
    assert may(before, move), f"{move} of what is {before.state}"
    assert before.lease == fact.lease, f"{move} of lease {fact.lease}; {before.lease} is open"
    # The package goes: its event has it, and a conversation stays small.
    return replace(before, state=TABLE[before.state][move], package=None, ended_at_ms=fact.at_ms, ended_by=fact.actor)
