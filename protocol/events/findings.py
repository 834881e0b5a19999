"""The report's stream: where context gets lost, and what became of it."""

from protocol.events.event import Event
from protocol.losses import LossLine


class ReportMade(Event, kw_only=True, frozen=True, tag="ReportMade"):
    """Where context was lost from `from_ms` to before `until_ms` was looked at; what follows from it comes after."""

    from_ms: int
    until_ms: int
    due_ms: int = 0
    """When the policy's schedule wanted it; 0: somebody asked for it."""
    request: str = ""
    """The id they asked under."""
    lines: int = 0
    opened: int = 0
    compared: int = 0


class FindingOpened(Event, kw_only=True, frozen=True, tag="FindingOpened"):
    """A line of the report stands out by the policy's threshold."""

    finding: str
    line: LossLine
    from_ms: int
    until_ms: int
    earlier: str = ""
    """The finding of the same group before this one."""


class FindingChanged(Event, kw_only=True, frozen=True, tag="FindingChanged"):
    """What a finding points at was changed in a version of the policy: from `since_ms` on that one holds."""

    finding: str
    version: int
    since_ms: int
    rules: list[str] = []
    """What changed in the file, as `throughline policy diff` names it; none where a person said so."""


class FindingCompared(Event, kw_only=True, frozen=True, tag="FindingCompared"):
    """A finding after its change: the same group, over a whole window under `version`."""

    finding: str
    version: int
    from_ms: int
    until_ms: int
    count: int
    occasions: int
    before_count: int
    before_occasions: int
    outcome: str
    """`better`, `same` or `worse`."""
    examples: list[str] = []
    reopened: bool = False
    """It still stands out and is not better: it is open again, and these are its figures now."""


class FindingDismissed(Event, kw_only=True, frozen=True, tag="FindingDismissed"):
    """Somebody said that a finding needs no change, and why."""

    finding: str
    reason: str
