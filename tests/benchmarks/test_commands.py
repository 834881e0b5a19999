"""Every command, whole and small: a real server, one JSON object, counts that agree, a plot."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = pytest.mark.slow

TIMEOUT_S = 150.0


def measured(folder: Path, *options: str) -> dict[str, Any]:
    """What a command says with `--json`; its data lies on the disk of `folder`."""
    plot = folder / "run.svg"
    command = [sys.executable, "-m", "benchmarks", *options, "--json", "--folder", str(folder), "--plot", str(plot)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-2000:]
    assert "<svg" in plot.read_text()
    plot.unlink()
    assert not list(folder.glob("throughline-benchmark-*")), "a run leaves nothing behind"
    said: dict[str, Any] = json.loads(done.stdout)
    assert said["faults"] == []
    assert said["fsync_ms"]["p50"] > 0
    return said


@pytest.fixture
def folder() -> Any:
    """On a disk: pytest's own temporary folder may be none, and then a run refuses."""
    path = Path(f"/var/tmp/throughline-test-benchmarks-{os.getpid()}")
    path.mkdir()
    yield path
    for left in path.glob("*"):
        subprocess.run(["rm", "-rf", str(left)], check=True)
    path.rmdir()


def test_throughput_on_a_past(folder: Path) -> None:
    """Counts agree with preloaded stores, repeats of the past included; a small rate holds."""
    said = measured(
        folder, "throughput", "--seconds", "2", "--customers", "60", "--agents", "3", "--preload", "2000",
        "--preloaded", str(folder / "kept"), "--sustained", "100", "--trial-seconds", "2",
    )  # fmt: skip
    assert said["preloaded"] == 2000
    assert said["sent"] == said["acked"] == said["pushed"] == said["journaled"] == said["archived"] > 200
    assert said["repeats_sent"] == said["repeats_answered"] > 0
    (trial,) = said["sustained_trials"]
    assert trial["offered_per_s"] == 100
    # So short a trial may miss its hundredth on a busy machine.
    assert said["sustained_per_s"] == (trial["completed_per_s"] if trial["holds"] else 0)
    assert trial["completed_per_s"] > 50
    assert 0 < said["ratio"] == pytest.approx(said["events_per_s"] / said["relay_per_s"], abs=0.001)
    assert said["cpu_us_per_event"] == pytest.approx(sum(said["cpu_us_by_process"].values()), abs=0.1)
    assert said["archive_lag_s"]["max"] >= said["archive_lag_s"]["p99"]
    assert sum(said["events_by_second"]) == pytest.approx(said["events_per_s"] * 2, rel=0.01)
    (kept,) = (folder / "kept").iterdir()
    assert (kept / "complete.json").exists()


def test_latency_at_a_rate(folder: Path) -> None:
    """The idle server first, then a rate that it keeps up with."""
    said = measured(
        folder, "latency", "--rate", "100", "--seconds", "2", "--idle-seconds", "1", "--customers", "60",
        "--agents", "3",
    )  # fmt: skip
    assert said["offered_per_s"] == 100
    assert said["events_per_s"] == pytest.approx(100, rel=0.05)
    assert 0 < said["ack_ms"]["p50"] <= said["ack_ms"]["p99"]
    assert 0 < said["push_ms"]["p50"] <= said["push_ms"]["p99"]
    assert said["idle_percent_of_a_core"] > 0
    assert set(said["idle_percent_by_process"]) >= {"journal", "archive", "cell", "gateway"}


def test_memory_of_a_few(folder: Path) -> None:
    """All of them live, and each costs something."""
    said = measured(folder, "memory", "--conversations", "3000", "--agents", "100")
    assert said["live"] == 3500
    assert 500 < said["bytes_per_conversation"] < 50_000
    assert 1000 < said["bytes_per_agent"] < 200_000


def test_recovery_of_cell_and_archive(folder: Path) -> None:
    """Killed and back, and every watched conversation goes on."""
    said = measured(
        folder, "recovery", "--conversations", "300", "--watched", "40", "--agents", "4", "--part", "cell",
        "--part", "archive",
    )  # fmt: skip
    assert [kill["part"] for kill in said["kills"]] == ["cell", "archive"]
    assert 100 < said["recovery_ms"] <= said["resumed_ms"]
    assert said["kills"][1]["first_ack_ms"] < said["kills"][1]["archive_level_ms"]


def test_placement_of_two(folder: Path) -> None:
    """A process for each costs a thousand times the memory of sharing one."""
    said = measured(folder, "placement", "--conversations", "2", "--pooled", "2000", "--seconds", "1")
    pooled, dedicated = said["placements"]
    assert (pooled["placement"], dedicated["placement"]) == ("pooled", "dedicated")
    assert pooled["live"] >= 2
    assert dedicated["live"] == 2
    assert dedicated["bytes_per_conversation"] > 100 * pooled["bytes_per_conversation"] > 0
    assert min(pooled["events_per_s"], dedicated["events_per_s"]) > 50


def test_a_run_that_is_ended_stops_its_server(folder: Path) -> None:
    """A time limit's SIGTERM leaves no process and no data behind."""
    command = [sys.executable, "-m", "benchmarks", "latency", "--idle-seconds", "100", "--folder", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as run:
        deadline_s = time.monotonic() + TIMEOUT_S
        while not (found := list(folder.glob("*/data/server.json"))):
            assert run.poll() is None
            assert time.monotonic() < deadline_s
            time.sleep(0.1)
        server = psutil.Process(json.loads(found[0].read_text())["pid"])
        run.terminate()
        assert run.wait(TIMEOUT_S) == 128 + signal.SIGTERM
    assert not server.is_running()
    assert not list(folder.iterdir())
