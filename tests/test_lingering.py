"""A run of tests ends: with its result, with what it forgot, and without what it started."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parent.parent

FORGETS = """
import aiosqlite

async def test_forgets():
    test_forgets.db = await aiosqlite.connect(":memory:")
"""

PLUGIN = """
from tests.lingering import Lingering

def pytest_configure(config):
    config.pluginmanager.register(Lingering())
"""

HOLDS = """
import signal, subprocess, sys
from tests.leash import Leash

held = subprocess.Popen(["sleep", "600"], start_new_session=True)
leash = Leash(held.pid)
print(held.pid, flush=True)
signal.pause()
"""


@pytest.mark.parametrize("processes", [[], ["-n", "1"]], ids=["by itself", "shared"])
def test_a_forgotten_connection_fails_the_run_and_does_not_hold_it(tmp_path: Path, processes: list[str]) -> None:
    """pytest ends by itself, with a failure that says why."""
    (tmp_path / "test_it.py").write_text(FORGETS)
    (tmp_path / "conftest.py").write_text(PLUGIN)
    program = [sys.executable, "-m", "pytest", "-o", "asyncio_mode=auto", *processes, str(tmp_path)]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done.stdout
    assert "1 passed" in done.stdout
    assert "left open by tests: 1 SQLite connections" in done.stdout


def test_a_killed_run_leaves_nothing_running() -> None:
    """Not even `kill -9` of the test run lets a server live on."""
    run = subprocess.Popen([sys.executable, "-c", HOLDS], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    held = psutil.Process(int(run.stdout.readline()))
    run.kill()
    run.communicate()
    psutil.wait_procs([held], timeout=20)
    assert not held.is_running() or held.status() == psutil.STATUS_ZOMBIE
