"""What people see: every figure is in the table, and faults stand below it."""

import io

import pytest
from rich.console import Console

from benchmarks.figures.lag import Lag
from benchmarks.figures.own_cpu import Own
from benchmarks.figures.percentiles import Percentiles
from benchmarks.reports import context as context_report
from benchmarks.reports import latency as latency_report
from benchmarks.reports import policy as policy_report
from benchmarks.reports import throughput as throughput_report
from benchmarks.scenarios.latency import AtRate
from benchmarks.scenarios.latency import Result as LatencyResult
from benchmarks.scenarios.sustained import Trial
from benchmarks.scenarios.throughput import Result as ThroughputResult
from tests.benchmarks.figures.test_bars import CONTEXT, POLICY

SOME = Percentiles(p50=1.5, p90=2.5, p99=3.5, p999=4.5, max=5.5, count=10)


@pytest.fixture
def console() -> Console:
    """Keeps what is printed."""
    return Console(file=io.StringIO(), width=140)


def printed(console: Console) -> str:
    """What it has."""
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def throughput(*, faults: list[str], own: bool) -> ThroughputResult:
    """A result; of one's own server all is known."""
    return ThroughputResult(
        events_per_s=12_345.6,
        relay_per_s=50_000.0,
        ratio=0.247,
        offered_per_s=None,
        sustained_per_s=9_000.0 if own else None,
        sustained_trials=[Trial(9_000.0, 8_990.0, 20.0, 0.4, True)] if own else [],
        ack_ms=SOME,
        push_ms=SOME,
        fsync_ms=SOME if own else None,
        cpu_us_per_event=88.8 if own else None,
        cpu_us_by_process={"journal": 11.1, "cell": 77.7} if own else None,
        generator_us_per_event=9.9,
        generator=Own(0.5, 0.45, 3.0),
        generator_is_the_limit=True,
        relay_generator_cpu=Own(0.875, 0.0, 3.0),
        others_cores=0.75 if own else None,
        archive_lag_s=Lag(1.9, 1.2, 7, 3) if own else None,
        archive_level_after_s=4.25 if own else None,
        seconds=10.0,
        preloaded=2_000_000,
        sent=123_456,
        acked=123_456,
        pushed=123_455,
        journaled=123_456 if own else None,
        archived=123_456 if own else None,
        repeats_sent=2_469,
        repeats_answered=2_469,
        faults=faults,
        cautions=["not a figure to publish: x"],
        events_by_second=[12_000, 12_600],
        archive_lag_by_sample_s=[0.1, 0.2],
        setting={"customers": 2000},
    )


def test_throughput_shows_all_it_measured(console: Console) -> None:
    """CPU by process, the archive's lag, what held, and that the generator was the limit."""
    throughput_report.show(throughput(faults=["1 events were never shown to an agent"], own=True), console)
    said = printed(console)
    for figure in ("12,346", "50,000", "0.25", "88.8 µs", "77.7 µs", "1.2 / 1.9 s", "4.25 s", "7 / 3", "2,000,000"):
        assert figure in said
    assert "holds" in said
    assert "never shown to an agent" in said
    assert "0.88 of a core" in said
    assert "not a figure to publish: x" in said


def test_of_somebody_elses_server_it_says_what_is_unknown(console: Console) -> None:
    """No figure is made up."""
    throughput_report.show(throughput(faults=[], own=False), console)
    assert printed(console).count("unknown") == 6
    assert "Does not add up" not in printed(console)


def test_throughput_is_drawn_over_time() -> None:
    """Events by second, lag by sample."""
    events, lag = throughput_report.panels(throughput(faults=[], own=True))
    assert isinstance(events.shown, list)
    assert isinstance(lag.shown, list)
    assert (events.shown[0].x, events.shown[0].y) == ([0.5, 1.5], [12_000, 12_600])
    assert lag.shown[0].x == [0.0, 0.1]


def test_latency_has_a_row_and_a_curve_for_each_rate(console: Console) -> None:
    """And the idle server by process."""
    rates = [
        AtRate(
            offered_per_s=rate,
            events_per_s=rate - 1,
            ack_ms=SOME,
            push_ms=SOME,
            push_after_ack_ms=SOME,
            late_ms=SOME,
            cpu_us_per_event=123.4,
            server_cores=0.75,
            generator=Own(0.1, 0.0, 1.0),
            others_cores=rate / 10_000,
            curves_ms={"ack": [(50.0, 1.5), (99.0, 3.5)], "push": []},
        )
        for rate in (100.0, 5000.0)
    ]
    result = LatencyResult(
        offered_per_s=5000.0,
        events_per_s=4999.0,
        ack_ms=SOME,
        push_ms=SOME,
        fsync_ms=SOME,
        cpu_us_per_event=123.4,
        idle_percent_of_a_core=2.5,
        idle_percent_by_process={"journal": 0.5, "gateway": 2.0},
        generator_is_the_limit=False,
        rates=rates,
        faults=[],
        cautions=["Others used 0.5 cores"],
        setting={},
    )
    latency_report.show(result, console)
    assert "Others used 0.5 cores" in printed(console)
    for figure in ("4,999", "123.4", "1.50", "2.5 %", "0.5 %"):
        assert figure in printed(console)
    ack, push = latency_report.panels(result)
    assert isinstance(ack.shown, list)
    assert [line.name for line in ack.shown] == ["100/s", "5,000/s"]
    assert ack.shown[0].y == [1.5, 3.5]
    assert push.shown == []


def test_context_shows_its_questions(console: Console) -> None:
    """The reads, what of them is the generator's, and the events beside them; one curve."""
    context_report.show(CONTEXT, console)
    shown = printed(console)
    for figure in ("200/s", "of 200 offered", "1.0 / 0.0 / 20.0 / 0.0 ms", "2,000/s", "unknown"):
        assert figure in shown, figure
    (panel,) = context_report.panels(CONTEXT)
    assert isinstance(panel.shown, list)
    assert [line.name for line in panel.shown] == ["read"]


def test_policy_shows_each_switch(console: Console) -> None:
    """How long it took and the pause around it, beside the longest without one; two lines."""
    policy_report.show(POLICY, console)
    shown = printed(console)
    for figure in ("44.0", "94.0 ms", "31.0 ms", "4,900/s", "of 5,000 offered", "must be none"):
        assert figure in shown, figure
    (panel,) = policy_report.panels(POLICY)
    assert isinstance(panel.shown, list)
    assert [line.name for line in panel.shown] == ["around it", "without"]
