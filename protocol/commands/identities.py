"""Commands on whose an address is."""

from protocol.commands.command import Command
from protocol.inbound import WholeNumber


class LinkIdentity(Command, kw_only=True, frozen=True, tag="link_identity"):
    """Say that `identity` belongs to this customer, by `evidence`: `agent`, `crm`, `login` or `verified_by_otp`.

    Addressed to a customer; refused where it is another's. For an identity that is this customer's already it counts
    where the evidence is better. `confidence` is in percent; with 0 the policy says how much such evidence is worth.
    """

    identity: str
    evidence: str = "agent"
    confidence: WholeNumber = 0


class UnlinkIdentity(Command, kw_only=True, frozen=True, tag="unlink_identity"):
    """Say that `identity` is not this customer's. It is nobody's then: who writes from it next is a new customer,
    unless it is linked before. Addressed to a customer."""

    identity: str
    reason: str = ""


class CloseIdentityReview(Command, kw_only=True, frozen=True, tag="close_identity_review"):
    """Say that the conflict over `identity` with the customer `other` (empty: nobody) needs nothing more, and why.
    Addressed to the customer for whom it was found; it is not found again."""

    identity: str
    other: str = ""
    reason: str = ""
