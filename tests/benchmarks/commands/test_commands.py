"""A command whole, as somebody types it: a server of its own, one JSON object, a plot, nothing left behind.

What each command measures is shown beside, on a server that they share (`test_scenarios.py`).
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.commands.options import Outcome, Shown, carry_out
from benchmarks.figures.phases import Phases

TIMEOUT_S = 150.0


@pytest.mark.slow
def test_a_command_measures_a_server_of_its_own(folder: Path) -> None:
    """Dedicated placement, which has to be asked for at the start: a process for each takes megabytes."""
    plot = folder / "run.svg"
    command = [
        sys.executable, "-m", "benchmarks", "placement", "--placement", "dedicated", "--conversations", "2",
        "--seconds", "1", "--json", "--folder", str(folder), "--plot", str(plot),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-2000:]
    assert "<svg" in plot.read_text()
    assert list(folder.iterdir()) == [plot], "a run leaves nothing behind"
    said = json.loads(done.stdout)
    assert said["faults"] == []
    assert said["fsync_ms"]["p50"] > 0
    (dedicated,) = said["placements"]
    assert (dedicated["placement"], dedicated["live"], dedicated["start_ms"]["count"]) == ("dedicated", 2, 2)
    assert dedicated["bytes_per_conversation"] > 5_000_000
    assert dedicated["events_per_s"] > 50


def test_a_run_that_is_ended_ends_in_order() -> None:
    """A time limit's SIGTERM leaves every block on the way out, that of the server among them."""
    left: list[str] = []

    def run(phases: Phases) -> Outcome:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            raise AssertionError("it goes on")
        finally:
            left.append("server")

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        carry_out(run, show=_nothing, panels=lambda result: [], out=Shown())
    assert ended.value.code == 128 + signal.SIGTERM
    assert left == ["server"]
    assert signal.getsignal(signal.SIGTERM) == before


def _nothing(result: object, console: Console) -> None:
    raise AssertionError("there is nothing to show")
