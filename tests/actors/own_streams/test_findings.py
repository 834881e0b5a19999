"""Findings: which lines become one, when a change is compared, and what ends it."""

from typing import Any, get_args

import msgspec
import pytest

from actors.cells.snapshots import freeze, thaw
from actors.own_streams import findings
from actors.own_streams.findings import LIVE_MAX, Findings, compare
from actors.rules.policy import Policy
from actors.rules.report import ReportRules, Threshold
from actors.state.journey import Aside, Journey
from adapters.stores.archive.measures import MEASURES
from protocol.commands import DismissFinding, MakeReport, ResolveFinding
from protocol.errors import Code, Refusal
from protocol.events import FindingChanged, FindingCompared, FindingDismissed, FindingOpened, ReportMade
from protocol.ids import REPORT
from protocol.losses import LossLine, Measure

DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
RULES = ReportRules(
    stands_out=Threshold(count=3, percent=10), measures={"asked_again": Threshold(count=1)}, findings_max=2
)
POLICY = Policy(version=4, report=RULES)


def line(count: int, occasions: int = 20, *, measure: str = "quarantined", team: str = "bills") -> LossLine:
    """One line of a report."""
    return LossLine(measure=measure, channels="sms", team=team, count=count, occasions=occasions, examples=["q1"])


class Stream:
    """The report's stream as its state follows it."""

    def __init__(self, policy: Policy = POLICY) -> None:
        self.state = Findings()
        self.policy = policy

    def ask(self, command: Any, *, now_ms: int = WEEK_MS) -> list[Any]:
        """What it brings about, applied."""
        events = findings.decide(self.state, REPORT, command, "operator:op", self.policy, now_ms)
        for event in events:
            assert isinstance(event, ReportMade | FindingOpened | FindingChanged | FindingCompared | FindingDismissed)
            findings.evolve(self.state, event)
        return events

    def report(self, *lines: LossLine, until_ms: int = WEEK_MS, due_ms: int = 0) -> list[Any]:
        """A report of a week."""
        made = MakeReport(from_ms=until_ms - WEEK_MS, until_ms=until_ms, lines=[*lines], due_ms=due_ms)
        return self.ask(made, now_ms=until_ms)


@pytest.mark.parametrize(
    ("count", "occasions", "measure", "found"),
    [
        (3, 30, "quarantined", True),
        (2, 2, "quarantined", False),
        (3, 31, "quarantined", False),
        (1, 1000, "asked_again", True),
        (3, 0, "of_tomorrow", True),
    ],
)
def test_a_line_stands_out_by_its_count_and_its_share(count: int, occasions: int, measure: str, found: bool) -> None:
    """Both are needed; a measure may have limits of its own."""
    made, *opened = Stream().report(line(count, occasions, measure=measure))
    assert isinstance(made, ReportMade)
    assert (len(opened), made.opened) == (int(found), int(found))


def test_a_report_opens_so_many_and_the_largest_first() -> None:
    """The others wait for the next one; what is found already is not found again."""
    stream = Stream()
    lines = [line(n, team=f"team{n}") for n in (3, 9, 6)]
    first = [event.line.count for event in stream.report(*lines) if isinstance(event, FindingOpened)]
    second = [event.line.count for event in stream.report(*lines) if isinstance(event, FindingOpened)]
    assert (first, second) == ([9, 6], [3])
    assert [*stream.state.live] == ["report-1", "report-2", "report-3"]


def test_there_are_never_more_live_ones_than_anybody_looks_at() -> None:
    """The bound holds over all reports."""
    stream = Stream(Policy(report=msgspec.structs.replace(RULES, findings_max=100)))
    for n in range(4):
        stream.report(*(line(5, team=f"{n}-{m}") for m in range(100)))
    assert len(stream.state.live) == LIVE_MAX


def test_a_scheduled_report_is_made_once() -> None:
    """Neither it nor an earlier one; one that is asked for always is."""
    stream = Stream()
    stream.report(line(3), due_ms=WEEK_MS)
    for due_ms in (WEEK_MS, WEEK_MS - DAY_MS):
        with pytest.raises(Refusal) as refused:
            stream.report(line(3), due_ms=due_ms)
        assert refused.value.code == Code.NOT_ALLOWED_NOW
    assert stream.report(line(3))[0].due_ms == 0


@pytest.mark.parametrize(
    ("before", "after", "outcome"),
    [
        (line(10, 100), line(8, 100), "better"),
        (line(10, 100), line(95, 1000), "same"),
        (line(10, 100), line(12, 100), "worse"),
        (line(10, 100), line(5, 10), "worse"),
        (line(10, 0), line(5, 10), "better"),
        (line(10, 100), line(0, 10), "better"),
    ],
)
def test_before_and_after_are_compared_by_their_rates(before: LossLine, after: LossLine, outcome: str) -> None:
    """By counts where the occasions before are not known; a tenth up or down is the same."""
    assert compare(before, after, 10) == outcome


def test_a_change_is_compared_after_a_whole_window() -> None:
    """Not by a report whose window began before it, nor by one in which nothing could be lost."""
    stream = Stream()
    stream.report(line(5))
    stream.ask(ResolveFinding(finding="report-1", version=5, since_ms=WEEK_MS + 1))
    assert len(stream.report(line(5), until_ms=2 * WEEK_MS)) == 1
    assert len(stream.report(until_ms=3 * WEEK_MS)) == 1
    assert len(stream.report(line(0, 0), until_ms=3 * WEEK_MS)) == 1
    _, compared = stream.report(line(1), until_ms=3 * WEEK_MS)
    assert isinstance(compared, FindingCompared)
    assert (compared.outcome, compared.before_count, compared.count, compared.reopened) == ("better", 5, 1, False)
    assert not stream.state.live


def test_what_is_not_better_is_open_again() -> None:
    """By its figures of now, for a version after this one; unless it no longer stands out."""
    stream = Stream()
    stream.report(line(5), line(3, 30, team="sales"))
    for finding in ("report-1", "report-2"):
        stream.ask(ResolveFinding(finding=finding, version=5, since_ms=WEEK_MS))
    stream.policy = msgspec.structs.replace(POLICY, version=5)
    _, *compared = stream.report(line(6), line(3, 31, team="sales"), until_ms=2 * WEEK_MS)
    assert [(each.outcome, each.reopened) for each in compared] == [("worse", True), ("same", False)]
    [again] = stream.state.live.values()
    assert (again.id, again.line.count, again.policy, again.version) == ("report-1", 6, 5, 0)
    with pytest.raises(Refusal, match="only a later one"):
        stream.ask(ResolveFinding(finding="report-1", version=5, since_ms=1))


def test_a_newer_change_begins_the_wait_anew() -> None:
    """The comparison is of one version."""
    stream = Stream()
    stream.report(line(5))
    stream.ask(ResolveFinding(finding="report-1", version=5, since_ms=WEEK_MS))
    stream.ask(ResolveFinding(finding="report-1", version=6, since_ms=WEEK_MS + DAY_MS))
    assert len(stream.report(line(1), until_ms=2 * WEEK_MS)) == 1
    with pytest.raises(Refusal, match="changed in version 6 already"):
        stream.ask(ResolveFinding(finding="report-1", version=6, since_ms=1))


def test_what_is_dismissed_is_left_alone_for_its_time() -> None:
    """Then it is found again, and names the finding before."""
    stream = Stream()
    stream.report(line(5))
    stream.ask(DismissFinding(finding="report-1", reason="tests"), now_ms=WEEK_MS)
    assert len(stream.report(line(5), until_ms=2 * WEEK_MS)) == 1
    _, opened = stream.report(line(5), until_ms=WEEK_MS + RULES.dismissed_for_ms)
    assert (opened.finding, opened.earlier) == ("report-2", "report-1")


@pytest.mark.parametrize(
    ("finding", "reason", "code"),
    [
        ("report-1", "", Code.INVALID),
        ("report-1", "x" * 1001, Code.INVALID),
        ("report-7", "x", Code.NOT_FOUND),
        ("cu-1", "x", Code.NOT_FOUND),
        ("report-2", "x", Code.NOT_ALLOWED_NOW),
    ],
)
def test_a_dismissal_needs_a_live_finding_and_a_reason(finding: str, reason: str, code: Code) -> None:
    """What is over stays as it ended."""
    stream = Stream()
    stream.report(line(5), line(4, team="sales"))
    stream.ask(DismissFinding(finding="report-2", reason="tests"))
    with pytest.raises(Refusal) as refused:
        stream.ask(DismissFinding(finding=finding, reason=reason))
    assert refused.value.code == code


def test_a_snapshot_has_them() -> None:
    """Whoever loads the report's stream from it decides as before."""
    stream = Stream()
    stream.report(line(5), line(4, team="sales"), due_ms=WEEK_MS)
    stream.ask(DismissFinding(finding="report-2", reason="tests"))
    journey = thaw(freeze(Journey(customer=REPORT, aside=Aside(findings=stream.state))))
    assert journey is not None
    assert journey.aside is not None
    assert journey.aside.findings == stream.state


def test_a_customer_has_no_findings() -> None:
    """The commands are the report's."""
    with pytest.raises(Refusal, match="not a customer's"):
        findings.decide(None, "cu1", MakeReport(from_ms=0, until_ms=1, lines=[]), "x", POLICY, 1)


def test_the_policy_knows_every_measure() -> None:
    """What the archive counts is what thresholds may be given for."""
    assert [measure.name for measure in MEASURES] == [*get_args(Measure)]
