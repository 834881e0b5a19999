"""What a run is held to: each figure on the edge of its bar, and a little beyond."""

import io
from collections.abc import Sequence
from typing import Any

import pytest
import typer
from msgspec.structs import replace
from rich.console import Console

from benchmarks.commands import options
from benchmarks.figures import bars
from benchmarks.figures.bars import Bar
from benchmarks.figures.own_cpu import Own
from benchmarks.figures.percentiles import Percentiles
from benchmarks.reports.report import show_bars
from benchmarks.scenarios.context import Result as Context
from benchmarks.scenarios.latency import AtRate
from benchmarks.scenarios.latency import Result as Latency
from benchmarks.scenarios.memory import Result as Memory
from benchmarks.scenarios.policy import Result as Policy
from benchmarks.scenarios.policy import Switch
from benchmarks.scenarios.recovery import Killed
from benchmarks.scenarios.recovery import Result as Recovery
from benchmarks.scenarios.sustained import Trial
from benchmarks.scenarios.throughput import Result as Throughput

NONE = Percentiles()
OWN = Own(0.1, 0.0, 1.0)


def at_rate(per_s: float, *, p50: float, p99: float, later: float = 0.0) -> AtRate:
    """A rate with these latencies to its acks."""
    return AtRate(
        offered_per_s=per_s, events_per_s=per_s, ack_ms=Percentiles(p50=p50, p99=p99),
        push_ms=Percentiles(p50=p50 + later, p99=p99 + later), push_after_ack_ms=NONE, late_ms=NONE,
        cpu_us_per_event=None, server_cores=None, generator=OWN, others_cores=None, curves_ms={},
    )  # fmt: skip


def killed(part: str, first_ack_ms: float | None, resumed_ms: float | None) -> Killed:
    """One kill."""
    return Killed(
        part=part, processes=1, first_ack_ms=first_ack_ms, all_acked_ms=1.0, resumed_ms=resumed_ms, archive_level_ms=1.0
    )


THROUGHPUT = Throughput(
    events_per_s=20_000, relay_per_s=1.0, ratio=0.35, offered_per_s=None, sustained_per_s=12_000,
    sustained_trials=[Trial(12_000, 12_000, 60.0, 1.9, True)], ack_ms=NONE, push_ms=NONE, fsync_ms=None,
    cpu_us_per_event=None, cpu_us_by_process=None, generator_us_per_event=1.0, generator=OWN,
    generator_is_the_limit=False, relay_generator_cpu=OWN, others_cores=None, archive_lag_s=None,
    archive_level_after_s=60.0, seconds=60, preloaded=0, sent=1, acked=1, pushed=1, journaled=1, archived=1,
    repeats_sent=0, repeats_answered=0, faults=[], cautions=[], events_by_second=[], archive_lag_by_sample_s=[],
    setting={"customers": 2000, "agents": 20, "new_every": 10},
)  # fmt: skip
LATENCY = Latency(
    offered_per_s=5000, events_per_s=5000, ack_ms=NONE, push_ms=NONE, fsync_ms=Percentiles(p50=0.5),
    cpu_us_per_event=None, idle_percent_of_a_core=3.0, idle_percent_by_process=None, generator_is_the_limit=False,
    rates=[at_rate(5000, p50=3, p99=12, later=1), at_rate(100, p50=2.5, p99=99)], faults=[], cautions=[], setting={},
)  # fmt: skip
CONTEXT = Context(
    reads_offered_per_s=200, reads_per_s=200, read_ms=Percentiles(p50=1, p99=20, count=9), late_ms=NONE,
    events_offered_per_s=2000, events_per_s=2000, ack_ms=NONE, seconds=60, answered=9, server_cores=None, generator=OWN,
    generator_is_the_limit=False, fsync_ms=None, curve_ms=[(50, 1.0)], faults=[], cautions=[],
    setting={"customers": 2000},
)  # fmt: skip
MEMORY = Memory(
    conversations=200_000, conversations_asked=200_000, live=200_500, bytes_per_conversation=4096,
    pss_per_conversation=1, gateway_bytes_per_conversation=1, agents=2000, bytes_per_agent=40_960, pss_per_agent=1,
    text_bytes_per_conversation=1024, filled_events_per_s=1, archive_level_after_s=None, rss_by_process={}, pss_total=1,
    fsync_ms=None, faults=[], cautions=[], setting={},
)  # fmt: skip
RECOVERY = Recovery(
    recovery_ms=1, resumed_ms=1, conversations=100_000, conversations_asked=100_000, watched=1,
    kills=[killed("cell", 3000, 5000), killed("cell", 1, 2), killed("gateway", None, None)], kills_asked=3,
    fsync_ms=None, faults=[], cautions=[], setting={},
)  # fmt: skip


POLICY = Policy(
    offered_per_s=5000.0,
    events_per_s=4900.0,
    switches=[Switch(version=2 + number, took_ms=40.0 + number, pause_ms=90.0 + number) for number in range(5)],
    pause_ms=94.0,
    pause_without_ms=31.0,
    took_ms=44.0,
    lost=0,
    ack_ms=NONE,
    ack_without_ms=NONE,
    seconds=10.0,
    generator=OWN,
    generator_is_the_limit=False,
    fsync_ms=None,
    faults=[],
    cautions=[],
    setting={"customers": 2000, "bundle": "insurer"},
)


def missed(held: Sequence[Bar]) -> list[str]:
    """The bars that are not met."""
    return [bar.name.strip() for bar in held if not bar.is_met]


@pytest.mark.parametrize(
    ("changed", "bar"),
    [
        ({}, None),
        ({"events_per_s": 19_999}, "events/s"),
        ({"seconds": 59}, "measured for"),
        ({"setting": {"customers": 1999, "agents": 20, "new_every": 10}}, "live conversations"),
        ({"setting": {"customers": 2000, "agents": 20, "new_every": 0}}, "strangers' events"),
        ({"setting": {"customers": 2000, "agents": 19, "new_every": 10}}, "agents"),
        ({"ratio": 0.349}, "ratio to the relay"),
        ({"archive_level_after_s": 60.1}, "archive level"),
        ({"archive_level_after_s": None}, "archive level"),
        ({"sustained_per_s": 11_999}, "sustained/s"),
        ({"sustained_trials": [Trial(12_000, 12_000, 59.0, 1.9, True)]}, "offered for"),
    ],
)
def test_each_bar_of_throughput_is_missed_by_itself(changed: dict[str, Any], bar: str | None) -> None:
    """Each bar for itself; its conditions are bars too."""
    assert missed(bars.of_throughput(replace(THROUGHPUT, **changed))) == ([bar] if bar else [])


def test_what_was_not_asked_for_is_not_met() -> None:
    """A check never passes by leaving something out."""
    alone = replace(THROUGHPUT, sustained_per_s=None, sustained_trials=[])
    assert missed(bars.of_throughput(alone)) == ["sustained/s", "offered for"]
    assert len(missed(bars.of_latency(replace(LATENCY, rates=[], idle_percent_of_a_core=None)))) == 6
    assert len(missed(bars.of_latency(replace(LATENCY, fsync_ms=None)))) == 1


@pytest.mark.parametrize(
    ("busy", "quiet_p50", "idle", "bar"),
    [
        (at_rate(5000, p50=3, p99=12, later=1), 2.5, 3.0, None),
        (at_rate(5000, p50=3.1, p99=12), 2.5, 3.0, "5,000/s: ack p50"),
        (at_rate(5000, p50=3, p99=12.1), 2.5, 3.0, "5,000/s: ack p99"),
        (at_rate(5000, p50=3, p99=12), 2.6, 3.0, "100/s: ack p50, beyond an fsync"),
        (at_rate(5000, p50=3, p99=12), 2.5, 3.1, "idle server"),
    ],
)
def test_each_bar_of_latency_is_missed_by_itself(busy: AtRate, quiet_p50: float, idle: float, bar: str | None) -> None:
    """At each rate its own."""
    result = replace(LATENCY, rates=[at_rate(100, p50=quiet_p50, p99=99), busy], idle_percent_of_a_core=idle)
    assert missed(bars.of_latency(result)) == ([bar] if bar else [])


def test_a_push_that_comes_late() -> None:
    """At either percentile."""
    result = replace(LATENCY, rates=[at_rate(5000, p50=2, p99=9, later=1.25), at_rate(100, p50=1, p99=1)])
    assert missed(bars.of_latency(result)) == ["5,000/s: push p50, later", "5,000/s: push p99, later"]


@pytest.mark.parametrize(
    ("changed", "bar"),
    [
        ({}, None),
        ({"read_ms": Percentiles(p99=20.1, count=9)}, "read p99"),
        ({"read_ms": NONE}, "read p99"),
        ({"reads_per_s": 189}, "reads/s"),
        ({"events_per_s": 1899}, "events/s beside"),
        ({"seconds": 59}, "measured for"),
        ({"setting": {"customers": 1999}}, "live conversations"),
    ],
)
def test_each_bar_of_context_is_missed_by_itself(changed: dict[str, Any], bar: str | None) -> None:
    """Beside a load, for long enough; without a question there is no figure."""
    assert missed(bars.of_context(replace(CONTEXT, **changed))) == ([bar] if bar else [])


@pytest.mark.parametrize(
    ("changed", "bar"),
    [
        ({}, None),
        ({"lost": 1}, "lost events"),
        ({"pause_ms": 100.1}, "longest pause"),
        ({"switches": POLICY.switches[:4]}, "versions"),
        ({"events_per_s": 4499}, "events/s beside"),
        ({"setting": {"customers": 1999}}, "live conversations"),
    ],
)
def test_each_bar_of_policy_is_missed_by_itself(changed: dict[str, Any], bar: str | None) -> None:
    """Several versions beside a load, of which nothing may be lost."""
    assert missed(bars.of_policy(replace(POLICY, **changed))) == ([bar] if bar else [])


@pytest.mark.parametrize(
    ("changed", "bar"),
    [
        ({}, None),
        ({"bytes_per_conversation": 4096.1}, "a conversation"),
        ({"text_bytes_per_conversation": 999}, "of text in it"),
        ({"conversations": 199_999}, "live conversations"),
        ({"live": 199_999}, "live conversations"),
        ({"bytes_per_agent": 40_961}, "an agent"),
        ({"agents": 1999}, "agents"),
    ],
)
def test_each_bar_of_memory_is_missed_by_itself(changed: dict[str, Any], bar: str | None) -> None:
    """With enough in each conversation, and enough of them."""
    assert missed(bars.of_memory(replace(MEMORY, **changed))) == ([bar] if bar else [])


@pytest.mark.parametrize(
    ("changed", "bars_missed"),
    [
        ({}, []),
        ({"kills": [killed("cell", 3001, 5000), killed("cell", 1, 1)]}, ["first ack"]),
        ({"kills": [killed("cell", 3000, 5001)]}, ["all resumed"]),
        ({"kills": [killed("cell", 1, None)]}, ["all resumed"]),
        ({"kills": [killed("gateway", 1, 1)]}, ["first ack", "all resumed"]),
        ({"conversations": 99_999}, ["live conversations"]),
    ],
)
def test_the_slowest_kill_of_a_cell_has_the_bar(changed: dict[str, Any], bars_missed: list[str]) -> None:
    """Of the cell's kills the slowest; those of other parts have no bar."""
    assert missed(bars.of_recovery(replace(RECOVERY, **changed))) == bars_missed


def test_a_table_says_what_must_be_and_what_was() -> None:
    """And of each bar whether it is met."""
    console = Console(file=io.StringIO(), width=120, record=True)
    show_bars(bars.of_throughput(replace(THROUGHPUT, events_per_s=12_345.678, sustained_per_s=None)), console)
    lines = [" ".join(line.replace("│", " ").split()) for line in console.export_text().splitlines()]
    assert "events/s ≥ 20,000 12,345.68 NO" in lines
    assert "measured for ≥ 60 s 60 yes" in lines
    assert "archive level ≤ 60 s 60.0 yes" in lines
    assert "sustained/s ≥ 12,000 unknown NO" in lines


@pytest.mark.parametrize(
    ("result", "check", "code"),
    [
        (MEMORY, True, 0),
        (replace(MEMORY, agents=1), True, options.BAR_MISSED),
        (replace(MEMORY, agents=1), False, 0),
        (replace(MEMORY, faults=["1 event is lost"]), True, options.WRONG_COUNTS),
    ],
)
def test_a_missed_bar_is_an_exit_code(
    result: Memory, check: bool, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only where it was asked for; standard output has the one object all the same."""
    try:
        options.carry_out(
            lambda phases: result, show=lambda result, console: None, panels=lambda result: [],
            out=options.Checked(as_json=True, check=check), bars=bars.of_memory,
        )  # fmt: skip
        ended = 0
    except typer.Exit as exit:
        ended = exit.exit_code
    said = capsys.readouterr()
    assert ended == code
    assert said.out.count("\n") == 1
    assert ("must be" in said.err) == check
