"""The server's own commands on the report and its findings."""

from protocol.commands.command import Command
from protocol.inbound import WholeNumber
from protocol.losses import LossLine


class MakeReport(Command, kw_only=True, frozen=True, tag="make_report"):
    """Make findings of what was counted from `from_ms` to before `until_ms`, and compare those that were changed.
    Addressed to the customer `report`; the server's own, since it counts before. The report of one `due_ms` is made
    once; 0: somebody asked for it.
    """

    from_ms: WholeNumber
    until_ms: WholeNumber
    lines: list[LossLine]
    due_ms: WholeNumber = 0
    request: str = ""


class ResolveFinding(Command, kw_only=True, frozen=True, tag="resolve_finding"):
    """Say in which version of the policy a finding was changed, in force since `since_ms`. The server's own."""

    finding: str
    version: WholeNumber
    since_ms: WholeNumber
    rules: list[str] = []


class DismissFinding(Command, kw_only=True, frozen=True, tag="dismiss_finding"):
    """Say that a finding needs no change, and why. The server's own."""

    finding: str
    reason: str
