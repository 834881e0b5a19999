"""How three test processes share a run (`pytest-xdist`): what computes goes first, a file stays whole, and so do all
files whose tests are of one server.

Most tests wait for real processes. So one of the three waits for the simulation, which computes meanwhile at a low
priority in processes of its own; the others share the rest, and it then helps with what is left. On two cores that is
enough to keep both at work.

A server's start and end are seconds of CPU: where each test process had its own of the session's
(`tests/conftest.py`), a run had two or three of each.
"""

import pytest
from xdist.scheduler import LoadFileScheduling

SIMULATION = "tests/simulation"
AHEAD = frozenset({"ended", "caught", "again"})
"""Fixtures that wait for the simulation's processes."""
SERVED = "tests of the session's servers"
OF_THE_SERVERS = frozenset(
    {
        "tests/faults/test_crowds.py",
        "tests/faults/test_held_files.py",
        "tests/faults/test_stopped.py",
        "tests/orchestrator/cli/test_cli_live.py",
        "tests/orchestrator/cluster/test_cluster_rebuild.py",
        "tests/orchestrator/test_dedicated_ray.py",
        "tests/orchestrator/test_metrics_live.py",
        "tests/test_durability.py",
        "tests/test_logs.py",
        "tests/test_node_client.py",
        "tests/test_walk.py",
    }
)
"""Files that ask for `server` or `dedicated` of `tests/conftest.py`: who hands tests out knows no more of them than
their names. `tests/test_sharing.py` knows of one that is not here."""


class Sharing(LoadFileScheduling):  # type: ignore[misc]  # pytest-xdist ships no types
    """Hands out whole files; the simulation's as one, and those of the session's servers as one."""

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(f"{SIMULATION}/"):
            return SIMULATION
        file: str = super()._split_scope(nodeid)
        return SERVED if file in OF_THE_SERVERS else file


def is_one_of_many(config: pytest.Config) -> bool:
    """Whether this process is given a part of the tests."""
    return hasattr(config, "workerinput")


def longest_first(items: list[pytest.Item]) -> list[pytest.Item]:
    """The order in which they are handed out: what computes, the files that start real processes, those of the
    session's servers before them, then the many small ones, so that no process is left with a long file at the end. Of
    the simulation's tests those that play runs themselves come before those that wait for the others."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    return sorted(items, key=lambda item: (_turn(item), item.path not in slow))


def _turn(item: pytest.Item) -> int:
    """Which of the four: those before the last are the longest that there are."""
    if item.nodeid.startswith(f"{SIMULATION}/"):
        return 0 if AHEAD.isdisjoint(getattr(item, "fixturenames", ())) else 1
    return 2 if item.nodeid.partition("::")[0] in OF_THE_SERVERS else 3
