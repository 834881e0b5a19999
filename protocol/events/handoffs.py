"""Handoffs: a conversation is offered, with a package, and taken or not."""

from protocol.events.event import Event
from protocol.handoffs import HandoffPackage


class HandoffOffered(Event, kw_only=True, frozen=True, tag="HandoffOffered"):
    """Ownership is offered, with a context package, until `expires_at_ms`. The giver owns it meanwhile."""

    lease: int
    """The offer's number in its conversation, from 1. It fences: an answer to an older one is refused."""
    kind: str
    giver: str
    to: str
    """`agent:<name>` or `queue:<name>`."""
    continuity: str
    """Who answers for the context."""
    package: HandoffPackage
    sha256: str
    """Of the package's canonical bytes."""
    expires_at_ms: int


class HandoffAccepted(Event, kw_only=True, frozen=True, tag="HandoffAccepted"):
    """The taker has the package, as its hash proves; an `OwnerChanged` follows."""

    lease: int
    sha256: str
    continuity: str
    """Who answers for the context from now on."""


class HandoffDeclined(Event, kw_only=True, frozen=True, tag="HandoffDeclined"):
    """The taker does not want it; what the policy does then follows."""

    lease: int
    reason: str = ""


class HandoffExpired(Event, kw_only=True, frozen=True, tag="HandoffExpired"):
    """Nobody answered before the lease's end; what the policy does then follows."""

    lease: int


class HandoffWithdrawn(Event, kw_only=True, frozen=True, tag="HandoffWithdrawn"):
    """The giver took the offer back, or somebody changed owner or queue or resolved the conversation over its head."""

    lease: int
    reason: str = ""
