"""Commands on handoffs: an offer, and the three ways in which people end one."""

from protocol.commands.command import Command
from protocol.inbound import WholeNumber


class OfferHandoff(Command, kw_only=True, frozen=True, tag="offer_handoff"):
    """Offer the ownership to an `agent` or to a `queue`, with all that is known; without either, to the first whom the
    policy names for this kind. Refused while another agent owns it, while an offer is open, and where the policy blocks
    a package that lacks something."""

    kind: str
    """`tier1-tier2`, `bot-person`, …: the policy says what each kind needs."""
    agent: str = ""
    queue: str = ""
    note: str = ""
    """Your words to the taker."""
    fields: dict[str, str | WholeNumber | float | bool] = {}
    """What the package still needs: each becomes a context item."""


class AcceptHandoff(Command, kw_only=True, frozen=True, tag="accept_handoff"):
    """Become the owner of what was offered to you or to a queue. `sha256` acknowledges the package you were given."""

    lease: WholeNumber
    """The offer's number; refused where it is not the newest, or its time is over."""
    sha256: str
    """Computed from the package."""


class DeclineHandoff(Command, kw_only=True, frozen=True, tag="decline_handoff"):
    """Say no to what was offered to you, or to a queue for all in it."""

    lease: WholeNumber
    reason: str = ""


class WithdrawHandoff(Command, kw_only=True, frozen=True, tag="withdraw_handoff"):
    """Take your own offer back."""

    lease: WholeNumber
    reason: str = ""
