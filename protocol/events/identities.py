"""Whose an identity is, in the customer's own stream."""

from protocol.events.event import Event


class IdentityLinked(Event, kw_only=True, frozen=True, tag="IdentityLinked"):
    """An identity belongs to this customer from now on."""

    identity: str
    evidence: str
    """`first_contact`, `asserted_by_channel`, `verified_by_otp`, `agent`, `crm`, `login`, or `policy`: found in an
    event by its capture template."""
    verified: bool = False
    account: str = ""
    confidence: int = 0
    """How sure that is, in percent; 0: nobody said. For an identity the customer has already: better evidence."""
    inherited: dict[str, bytes] = {}
    """Of an identity that was unlinked before: by customer it was linked to, the once-keys of what came for them, so
    that a repeat is recognised (see `actors.decisions.once`)."""


class IdentityUnlinked(Event, kw_only=True, frozen=True, tag="IdentityUnlinked"):
    """An identity is this customer's no more; what was said under it stays where it was said."""

    identity: str
    reason: str = ""


class IdentityConflictFound(Event, kw_only=True, frozen=True, tag="IdentityConflictFound"):
    """An event named an identity as this customer's, and it was not linked: noted once for a person, nothing merged."""

    identity: str
    other: str
    """Whose it is; empty for nobody's."""
    kind: str = "conflict"
    """`conflict` or, where the policy's level is reached, `merge`: another customer has it. `weak`: the evidence does
    not do. `unlinked`: somebody took it from this customer. `second`: the customer has another of its kind, of which
    one has one."""
    evidence: str = ""
    verified: bool = False
    confidence: int = 0


class IdentityReviewClosed(Event, kw_only=True, frozen=True, tag="IdentityReviewClosed"):
    """A person has looked at a conflict (`identity`, `other` as it was found), and it is settled."""

    identity: str
    other: str = ""
    reason: str = ""
