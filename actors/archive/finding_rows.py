"""Rows of the report's findings in the archive, and of the reports that made them. Pure."""

from collections.abc import Iterable

from actors.archive.rows import Place, as_json
from protocol import events as ev
from protocol.archive import Patch

FindingEvent = ev.ReportMade | ev.FindingOpened | ev.FindingChanged | ev.FindingCompared | ev.FindingDismissed


def finding_rows(at: Place, event: FindingEvent) -> Iterable[Patch]:
    """`report` and `finding`: what a report made, and what became of it."""
    match event:
        case ev.ReportMade():
            yield _report(at, event)
        case ev.FindingOpened():
            yield _opened(at, event)
        case ev.FindingChanged():
            yield at.change(
                "finding",
                event.finding,
                state="changed",
                changed_version=event.version,
                changed_since_ms=event.since_ms,
                changed_by=event.actor,
                changed_rules=as_json(event.rules),
            )
        case ev.FindingCompared():
            yield at.change("finding", event.finding, **_compared(event))
        case ev.FindingDismissed():
            over = {"closed_at_ms": event.at_ms, "dismissed_by": event.actor, "reason": event.reason}
            yield at.change("finding", event.finding, state="dismissed", **over)


def _report(at: Place, event: ev.ReportMade) -> Patch:
    return at.new(
        "report",
        at.seq,
        at_ms=event.at_ms,
        actor=event.actor,
        policy=event.policy,
        due_ms=event.due_ms,
        request=event.request,
        from_ms=event.from_ms,
        until_ms=event.until_ms,
        lines=event.lines,
        opened=event.opened,
        compared=event.compared,
    )


def _opened(at: Place, event: ev.FindingOpened) -> Patch:
    line = event.line
    return at.new(
        "finding",
        event.finding,
        state="open",
        measure=line.measure,
        channels=line.channels,
        team=line.team,
        product=line.product,
        place=line.place,
        file=line.file,
        rule=line.rule,
        opened_at_ms=event.at_ms,
        policy=event.policy,
        from_ms=event.from_ms,
        until_ms=event.until_ms,
        count=line.count,
        occasions=line.occasions,
        examples=as_json(line.examples),
        earlier=event.earlier,
        changed_version=0,
        changed_since_ms=None,
        changed_by="",
        changed_rules="[]",
        compared_at_ms=None,
        compared_version=0,
        before_count=None,
        before_occasions=None,
        after_from_ms=None,
        after_until_ms=None,
        after_count=None,
        after_occasions=None,
        outcome="",
        dismissed_by="",
        reason="",
        closed_at_ms=None,
    )


def _compared(event: ev.FindingCompared) -> dict[str, object]:
    """The columns that a comparison changes. Opened again, its figures after are those it is open by now."""
    compared: dict[str, object] = {
        "compared_at_ms": event.at_ms,
        "compared_version": event.version,
        "before_count": event.before_count,
        "before_occasions": event.before_occasions,
        "after_from_ms": event.from_ms,
        "after_until_ms": event.until_ms,
        "after_count": event.count,
        "after_occasions": event.occasions,
        "outcome": event.outcome,
    }
    if not event.reopened:
        return compared | {"state": "compared", "closed_at_ms": event.at_ms}
    now = {"from_ms": event.from_ms, "until_ms": event.until_ms, "count": event.count, "occasions": event.occasions}
    again = {"state": "open", "policy": event.policy, "examples": as_json(event.examples)}
    return compared | now | again | {"changed_version": 0, "changed_since_ms": None}
