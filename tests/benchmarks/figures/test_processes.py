"""Whose CPU it was."""

import os

import psutil
import pytest

from benchmarks.figures.processes import Used, memory, role_of, used


@pytest.mark.parametrize(
    ("command", "role"),
    [
        (["ray::cell-0"], "cell"),
        (["ray::cell-12.run"], "cell"),
        (["ray::gateway.status"], "gateway"),
        (["ray::journal"], "journal"),
        (["ray::usher"], "usher"),
        (["ray::DashboardAgent"], "ray"),
        (["ray::IDLE"], "ray"),
        (["/lib/ray/core/src/ray/raylet/raylet", "--raylet_socket_name=/x"], "ray"),
        (["/lib/ray/core/src/ray/gcs/gcs_server"], "ray"),
        (["python", "-m", "orchestrator.cluster.node", "/x"], "other"),
        ([], "other"),
    ],
)
def test_processes_are_known_by_their_titles(command: list[str], role: str) -> None:
    """As `ps` shows them."""
    assert role_of(command) == role


def test_cpu_is_shared_out_between_two_moments() -> None:
    """What was used before does not count; who was not there before counts whole, also under a pid of another."""
    before = Used({(1, 10.0): ("cell", 5.0), (2, 10.0): ("journal", 3.0)})
    after = Used({(1, 10.0): ("cell", 7.5), (1, 20.0): ("cell", 1.0), (3, 10.0): ("gateway", 0.5)})
    spent = after.since(before)
    assert spent == {"cell": 3.5, "gateway": 0.5}


def test_this_process_uses_cpu_and_memory() -> None:
    """The readings are the system's own."""
    own = psutil.Process(os.getpid())
    ((role, seconds),) = used({own.pid: own}).seconds.values()
    assert (role, seconds > 0) == ("other", True)
    assert own.memory_info().rss / 2 < memory(own).rss < own.memory_info().rss * 2
    assert 0 < memory(own).pss <= memory(own).rss
