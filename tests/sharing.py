"""How three test processes share a run (`pytest-xdist`): what computes goes first, a file stays whole.

Most tests wait for real processes. So one of the three waits for the simulation, which computes meanwhile at a low
priority in processes of its own; the others share the rest, and it then helps with what is left. On two cores that is
enough to keep both at work.
"""

import pytest
from xdist.scheduler import LoadFileScheduling

SIMULATION = "tests/simulation"


class Sharing(LoadFileScheduling):
    """Hands out whole files, and the simulation's as one."""

    def _split_scope(self, nodeid: str) -> str:
        return SIMULATION if nodeid.startswith(f"{SIMULATION}/") else super()._split_scope(nodeid)


def is_one_of_many(config: pytest.Config) -> bool:
    """Whether this process is given a part of the tests."""
    return hasattr(config, "workerinput")


def longest_first(items: list[pytest.Item]) -> list[pytest.Item]:
    """The order in which they are handed out: what computes, the files that start real processes, then the many small
    ones, so that no process is left with a long file at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    return sorted(items, key=lambda item: (not item.nodeid.startswith(f"{SIMULATION}/"), item.path not in slow))
