"""Each command, small, on one real server for all of them: its figures are there, and its counts agree.

What a run waits for so that figures are fair (warm-ups, calm) is cut short: these are about being right. They run in
the order they stand in: memory comes first, in a server that is fresh; recovery, which kills its parts, and policy,
which leaves other rules behind, last.
"""

import json
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import psutil
import pytest
import uvloop
from typer.testing import CliRunner

from benchmarks.commands.commands import app
from benchmarks.inputs.past import past_of
from benchmarks.inputs.preload import preloaded
from benchmarks.load import loads, resident
from benchmarks.load.filling import Filling, fill, named
from benchmarks.load.pushing import Shape
from benchmarks.load.server import LiveServer, Setup, serving
from benchmarks.scenarios import context, latency, memory, placement, policy, recovery, sustained, throughput
from orchestrator.tokens import Tokens

pytestmark = pytest.mark.slow

PAST = past_of(2000, text_bytes=160)
SHORT_S = 0.3
ENDED_WITHIN_S = 10.0
"""What was killed is gone when the kernel comes to it."""
SMALL_LOAD = ("--customers", "60", "--agents", "3", "--gateways", "2", "--window", "128")


@pytest.fixture(scope="module")
def server(shared_folder: Path) -> Iterator[LiveServer]:
    """On stores that hold a past; nothing leaves its memory, and at the end nothing of it is left."""

    def past(data: Path) -> None:
        now_ms = time.time_ns() // 1_000_000
        preloaded(data, PAST, kept=None, at_ms=now_ms, on_progress=lambda done, of: None)

    with serving(Setup(folder=shared_folder, more=resident.limits(10_000), fill=past)) as live:
        yield live
        processes = live.processes()
    psutil.wait_procs(processes.values(), timeout=ENDED_WITHIN_S)
    assert not list(filter(runs, processes.values()))
    assert not list(shared_folder.iterdir())


def runs(process: psutil.Process) -> bool:
    """Whether it does; one that ended may still be listed until somebody asks what became of it."""
    try:
        running: bool = process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    return running


@pytest.fixture
def folder(server: LiveServer, shared_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a command's options point; whoever starts a server is handed the one that is there."""
    for starts in (loads, throughput, memory, placement, recovery):
        monkeypatch.setattr(starts, "serving", lambda setup: nullcontext(server))
    for module in (throughput, latency, context, policy, sustained):
        monkeypatch.setattr(module, "WARM_UP_S", SHORT_S)
    for module in (latency, context, policy):
        # How fast this machine is just now, beside all else that a test run does, is no test's business.
        monkeypatch.setattr(module, "OFFERED_MIN", 0.1)
    for module in (latency, resident):
        monkeypatch.setattr(module, "SETTLE_S", SHORT_S)
    for scenario in (memory, placement):
        monkeypatch.setattr(scenario, "WARM", Filling(conversations=100))
    monkeypatch.setattr(recovery, "CALM_S", SHORT_S)
    return shared_folder


def measured(folder: Path, *options: str) -> dict[str, Any]:
    """What a command says with `--json`."""
    plot = folder / "run.svg"
    done = CliRunner().invoke(app, [*options, "--json", "--folder", str(folder), "--plot", str(plot)])
    assert done.exit_code == 0, done.stdout[-1000:] + done.stderr[-2000:]
    assert "<svg" in plot.read_text()
    plot.unlink()
    said: dict[str, Any] = json.loads(done.stdout)
    assert said["faults"] == []
    assert said["fsync_ms"]["p50"] > 0
    return said


def test_memory_of_a_few(folder: Path) -> None:
    """All of them live, and each costs something."""
    said = measured(folder, "memory", "--conversations", "2000", "--messages", "2", "--agents", "100")
    assert said["cautions"] == []
    assert said["conversations"] == 2000
    assert said["text_bytes_per_conversation"] == 512
    assert said["live"] == 2100
    assert 500 < said["bytes_per_conversation"] < 50_000
    assert 1000 < said["bytes_per_agent"] < 200_000


def test_filling_ends_when_its_time_is_up(server: LiveServer, folder: Path) -> None:
    """With what was acknowledged by then."""
    asked = named(Filling(conversations=1_000_000))
    told: list[int] = []
    filled = uvloop.run(
        fill(server, asked, Shape(window=64), on_progress=lambda done, of: told.append(done), seconds=0.3)
    )
    assert 0 < filled.conversations == filled.events < asked.conversations
    assert not filled.is_whole
    assert told


def test_throughput_on_a_past(folder: Path) -> None:
    """Counts agree with preloaded stores, repeats of the past included; a small rate is tried."""
    said = measured(
        folder, "throughput", "--seconds", "1", *SMALL_LOAD, "--preload", "2000", "--sustained", "100",
        "--trial-seconds", "1",
    )  # fmt: skip
    assert said["preloaded"] == PAST.events == 2000
    assert said["sent"] == said["acked"] == said["pushed"] == said["journaled"] == said["archived"] > 200
    assert said["repeats_sent"] == said["repeats_answered"] > 0
    assert 0 < said["ratio"] == pytest.approx(said["events_per_s"] / said["relay_per_s"], abs=0.001)
    assert said["relay_generator_cpu"]["cores"] > 0.01
    assert said["cpu_us_per_event"] == pytest.approx(sum(said["cpu_us_by_process"].values()), abs=0.1)
    assert said["archive_lag_s"]["max"] >= said["archive_lag_s"]["p99"]
    assert sum(said["events_by_second"]) == pytest.approx(said["events_per_s"], rel=0.01)
    assert not [one for one in said["cautions"] if "was empty" in one]
    (trial,) = said["sustained_trials"]
    assert trial["offered_per_s"] == 100
    # So short a trial may miss its hundredth.
    assert said["sustained_per_s"] == (trial["completed_per_s"] if trial["holds"] else 0)
    assert trial["completed_per_s"] > 50


def test_latency_at_a_rate(folder: Path) -> None:
    """The idle server first, then a rate that it keeps up with."""
    said = measured(folder, "latency", "--rate", "100", "--seconds", "1.5", "--idle-seconds", "0.5", *SMALL_LOAD)
    assert said["offered_per_s"] == 100
    assert 10 < said["events_per_s"] < 110
    assert 0 < said["ack_ms"]["p50"] <= said["ack_ms"]["p99"]
    assert 0 < said["push_ms"]["p50"] <= said["push_ms"]["p99"]
    assert said["idle_percent_of_a_core"] >= 0
    assert set(said["idle_percent_by_process"]) >= {"journal", "archive", "cell", "gateway"}


@pytest.mark.parametrize("command", [("latency", "--rate", "100"), ("throughput",)])
def test_a_server_by_its_address(server: LiveServer, folder: Path, command: tuple[str, ...]) -> None:
    """With one token for both sides: what is seen from outside is there, what only its machine knows is not."""
    assert server.data is not None
    tokens = Tokens(server.data / "tokens.json", now_ms=lambda: time.time_ns() // 1_000_000)
    token = tokens.create(["agent", "gateway:benchmark"], "bench")[0]
    there = ["--url", server.url, "--token", token, "--account", "benchmark", "--queue", "new"]
    done = CliRunner().invoke(app, [*command, "--seconds", "1.5", *SMALL_LOAD, *there, "--json"])
    assert done.exit_code == 0, done.stdout[-1000:] + done.stderr[-2000:]
    said = json.loads(done.stdout)
    assert said["events_per_s"] > 10
    assert 0 < said["ack_ms"]["p50"] <= said["push_ms"]["max"]
    assert said["cpu_us_per_event"] is said["fsync_ms"] is None


def test_context_beside_events(folder: Path) -> None:
    """Questions by the clock, each with its own customer's answer, while events go on."""
    said = measured(folder, "context", "--rate", "40", "--events", "100", "--seconds", "1.5", *SMALL_LOAD)
    assert 4 < said["reads_per_s"] < 44
    assert said["answered"] >= said["read_ms"]["count"] > 5
    assert 0 < said["read_ms"]["p50"] <= said["read_ms"]["p99"]
    assert 10 < said["events_per_s"] < 110


def test_merges_beside_events(folder: Path) -> None:
    """Two customers become one and two again, while others' events are acknowledged."""
    said = measured(folder, "merge", "--events", "30", "--merges", "1", "--rate", "100", *SMALL_LOAD)
    assert (said["events_each"], said["faults"]) == (30, [])
    assert said["merge_ms"]["count"] == said["unmerge_ms"]["count"] == 1
    assert said["merge_ms"]["max"] > 0
    assert said["ack_ms"]["count"] > 50


def test_placement_of_two_in_one_process(folder: Path) -> None:
    """Sharing one, a conversation takes kilobytes; a process for each is shown in `test_commands.py`."""
    said = measured(
        folder, "placement", "--placement", "pooled", "--conversations", "2", "--pooled", "1000", "--seconds", "1"
    )
    (pooled,) = said["placements"]
    assert (pooled["placement"], pooled["start_ms"]["count"], pooled["measured_on"]) == ("pooled", 2, 1000)
    assert pooled["live"] >= 2
    assert 300 < pooled["bytes_per_conversation"] < 50_000
    assert pooled["events_per_s"] > 50


def test_recovery_of_an_archive(folder: Path) -> None:
    """Killed and back; nobody waits for it."""
    said = measured(
        folder, "recovery", "--conversations", "300", "--watched", "40", "--agents", "4", "--part", "archive"
    )
    assert (said["conversations"], said["watched"], said["cautions"]) == (300, 40, [])
    (killed,) = said["kills"]
    assert killed["part"] == "archive"
    assert killed["first_ack_ms"] < killed["archive_level_ms"]


def test_recovery_of_a_cell_ends_when_its_time_is_up(folder: Path) -> None:
    """Every watched conversation goes on; of two kills the second would begin too late."""
    said = measured(
        folder, "recovery", "--conversations", "100", "--messages", "1", "--watched", "40", "--agents", "4",
        "--part", "cell", "--rounds", "2", "--seconds", "1",
    )  # fmt: skip
    assert [killed["part"] for killed in said["kills"]] == ["cell"]
    assert "after 1 of 2 kills" in said["cautions"][-1]
    assert min(said["recovery_ms"], said["resumed_ms"]) > 100


def test_new_versions_under_events(folder: Path) -> None:
    """Each comes into force in every cell, and no event is lost meanwhile."""
    said = measured(folder, "policy", "--rate", "100", "--versions", "2", "--seconds", "2", *SMALL_LOAD)
    first, second = said["switches"]
    assert second["version"] == first["version"] + 1
    assert min(first["took_ms"], first["pause_ms"], said["pause_without_ms"]) > 0
    assert said["pause_ms"] == max(first["pause_ms"], second["pause_ms"])
    assert said["lost"] == 0
    assert said["setting"]["bundle"] == "insurer"
