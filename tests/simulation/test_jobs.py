"""Many seeds' processes: each has its share and ends."""

import os.path
from pathlib import Path

import pytest

from tests.simulation.jobs import in_processes

SELF = Path("/proc/self")


@pytest.mark.skipif(not SELF.exists(), reason="who a process is, is read from /proc")
def test_a_process_ends_after_its_share() -> None:
    """Six pieces of work, two for each: three processes."""
    who = list(in_processes(os.path.realpath, [str(SELF)] * 6, 1, chunk=1, chunks_each=2))
    assert len(who) == 6
    assert len(set(who)) == 3
