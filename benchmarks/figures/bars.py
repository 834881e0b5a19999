"""The bars: what a server of two cores, its load generator included, is held to by `--check`.

Their source is the project's third issue, "Speed and memory"; for `context` the fourth, "Context and channel switches",
and for `policy` its "Speed and memory". A bar holds under its own conditions (how long, how many conversations and
agents), so these are bars as well: a short or small run meets none of them by being easy. What was not measured is not
met.
"""

from collections.abc import Sequence

from msgspec import Struct

from benchmarks.scenarios.context import Result as Context
from benchmarks.scenarios.latency import AtRate
from benchmarks.scenarios.latency import Result as Latency
from benchmarks.scenarios.memory import Result as Memory
from benchmarks.scenarios.merge import Result as Merge
from benchmarks.scenarios.policy import Result as Policy
from benchmarks.scenarios.recovery import Result as Recovery
from benchmarks.scenarios.throughput import Result as Throughput

KIB = 1024


class Bar(Struct, frozen=True, kw_only=True):
    """One figure, and between what it must be."""

    name: str
    measured: float | None
    least: float = float("-inf")
    most: float = float("inf")
    unit: str = ""

    @property
    def is_met(self) -> bool:
        """Whether it was measured and lies there."""
        return self.measured is not None and self.least <= self.measured <= self.most


def of_throughput(result: Throughput) -> list[Bar]:
    """End to end for a minute, beside the relay, and what can be sustained."""
    trials = [trial.seconds for trial in result.sustained_trials]
    return [
        Bar(name="events/s", measured=result.events_per_s, least=20_000),
        Bar(name="  measured for", measured=result.seconds, least=60, unit="s"),
        Bar(name="  live conversations", measured=_set(result.setting, "customers"), least=2000),
        Bar(name="  strangers' events", measured=_strangers(result.setting), least=10, unit="%"),
        Bar(name="  agents", measured=_set(result.setting, "agents"), least=20),
        Bar(name="ratio to the relay", measured=result.ratio, least=0.35),
        Bar(name="archive level", measured=result.archive_level_after_s, most=60, unit="s"),
        Bar(name="sustained/s", measured=result.sustained_per_s, least=12_000),
        Bar(name="  offered for", measured=min(trials, default=None), least=60, unit="s"),
    ]


def of_latency(result: Latency) -> list[Bar]:
    """At 5,000 events/s, at 100, and at none."""
    busy, quiet = _at(result.rates, 5000), _at(result.rates, 100)
    sync_ms = result.fsync_ms.p50 if result.fsync_ms else None
    return [
        Bar(name="5,000/s: ack p50", measured=busy.ack_ms.p50 if busy else None, most=3, unit="ms"),
        Bar(name="5,000/s: ack p99", measured=busy.ack_ms.p99 if busy else None, most=12, unit="ms"),
        Bar(
            name="5,000/s: push p50, later",
            measured=busy.push_ms.p50 - busy.ack_ms.p50 if busy else None,
            most=1,
            unit="ms",
        ),
        Bar(
            name="5,000/s: push p99, later",
            measured=busy.push_ms.p99 - busy.ack_ms.p99 if busy else None,
            most=1,
            unit="ms",
        ),
        Bar(
            name="100/s: ack p50, beyond an fsync",
            measured=quiet.ack_ms.p50 - sync_ms if quiet and sync_ms is not None else None,
            most=2,
            unit="ms",
        ),
        Bar(name="idle server", measured=result.idle_percent_of_a_core, most=3, unit="% of a core"),
    ]


def of_context(result: Context) -> list[Bar]:
    """A machine's question at 200/s beside 2,000 events/s."""
    return [
        Bar(name="read p99", measured=result.read_ms.p99 if result.read_ms.count else None, most=20, unit="ms"),
        Bar(name="  reads/s", measured=result.reads_per_s, least=190),
        Bar(name="  events/s beside", measured=result.events_per_s, least=1900),
        Bar(name="  measured for", measured=result.seconds, least=60, unit="s"),
        Bar(name="  live conversations", measured=_set(result.setting, "customers"), least=2000),
    ]


def of_policy(result: Policy) -> list[Bar]:
    """New versions under 5,000 events/s."""
    return [
        Bar(name="lost events", measured=result.lost, most=0),
        Bar(name="longest pause", measured=result.pause_ms, most=100, unit="ms"),
        Bar(name="  versions", measured=len(result.switches), least=5),
        Bar(name="  events/s beside", measured=result.events_per_s, least=4500),
        Bar(name="  live conversations", measured=_set(result.setting, "customers"), least=2000),
    ]


def of_merge(result: Merge) -> list[Bar]:
    """Of two customers with 10,000 events each; nobody else waits for it longer than they do without."""
    longest_ms = result.merge_ms.max if result.merge_ms.count else None
    beyond_ms = max(0.0, result.ack_ms.max - result.quiet_ack_ms.max) if result.ack_ms.count else None
    return [
        Bar(name="merge", measured=longest_ms, most=1000, unit="ms"),
        Bar(name="  events of each", measured=result.events_each, least=10_000),
        Bar(name="others' longest pause, beyond before", measured=beyond_ms, most=100, unit="ms"),
        Bar(name="  others' events/s", measured=result.others_per_s, least=950),
    ]


def of_memory(result: Memory) -> list[Bar]:
    """Of a conversation with a kilobyte of messages, and of an agent."""
    return [
        Bar(name="a conversation", measured=result.bytes_per_conversation, most=4 * KIB, unit="B"),
        Bar(name="  of text in it", measured=result.text_bytes_per_conversation, least=1000, unit="B"),
        Bar(name="  live conversations", measured=min(result.conversations, result.live), least=200_000),
        Bar(name="an agent", measured=result.bytes_per_agent, most=40 * KIB, unit="B"),
        Bar(name="  agents", measured=result.agents, least=2000),
    ]


def of_recovery(result: Recovery) -> list[Bar]:
    """After a cell was killed: the slowest of them."""
    cells = [kill for kill in result.kills if kill.part == "cell"]
    return [
        Bar(name="first ack", measured=_slowest([kill.first_ack_ms for kill in cells]), most=3000, unit="ms"),
        Bar(name="all resumed", measured=_slowest([kill.resumed_ms for kill in cells]), most=5000, unit="ms"),
        Bar(name="  live conversations", measured=result.conversations, least=100_000),
    ]


def _set(setting: dict[str, str | int | float], name: str) -> float:
    return float(setting[name])


def _strangers(setting: dict[str, str | int | float]) -> float:
    """Of all events, in per cent."""
    every = _set(setting, "new_every")
    return 100 / every if every else 0.0


def _at(rates: Sequence[AtRate], per_s: float) -> AtRate | None:
    return next((rate for rate in rates if rate.offered_per_s == per_s), None)


def _slowest(times_ms: Sequence[float | None]) -> float | None:
    """None where one never ended."""
    known = [time_ms for time_ms in times_ms if time_ms is not None]
    return max(known) if known and len(known) == len(times_ms) else None
