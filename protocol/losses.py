"""Losses: the ways in which context gets lost, and a line of the report that counts them.

A *group* is where it was lost: a pair of channels, a team, a product line; what is not known of it is empty.
"""

from typing import Literal

from msgspec import Struct

from protocol.inbound import WholeNumber

Measure = Literal[
    "quarantined",
    "repeat_without_relation",
    "repeat_contact",
    "correlation_corrected",
    "handoff_unacknowledged",
    "incomplete_package",
    "switch_missing",
    "asked_again",
    "identity_conflict",
    "duplicate_identity",
]
"""What is counted; `docs/policy-report.md` says what each means."""

Group = tuple[str, str, str, str]
"""Measure, channels, team, product line."""


class LossLine(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """One line: how often something was lost in a group, of how many occasions."""

    measure: str
    """One of `Measure`, or one of tomorrow's."""
    channels: str = ""
    """`email → phone`; one channel where there is no second."""
    team: str = ""
    product: str = ""
    count: WholeNumber = 0
    occasions: WholeNumber = 0
    """How often it could have happened; never fewer than `count`."""
    place: str = ""
    """What the occasions are counted of: most are of the group itself."""
    examples: list[str] = []
    """Ids of what an operator looks at next, the newest first."""
    file: str = ""
    """The file of the policy bundle to look at, or `sender`: the program that sends to the account."""
    rule: str = ""
    """The rule in it, as `throughline policy diff` names it, where one stands out."""

    @property
    def group(self) -> Group:
        """Where it was lost."""
        return self.measure, self.channels, self.team, self.product
