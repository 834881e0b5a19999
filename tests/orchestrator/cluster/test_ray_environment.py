"""Ray's environment: what is set there is known to the Ray that is installed. It ignores what it does not know."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from orchestrator.cluster.ray_environment import ray_environment

_PROGRAMS = ("gcs/gcs_server", "raylet/raylet")
"""Ray's own, which read the options in small letters; those in capitals are Python's."""


@pytest.fixture(scope="module")
def programs() -> bytes:
    """What they are made of."""
    # Found, and not imported: that takes each process of a test run a second.
    ray = find_spec("ray")
    assert ray is not None
    assert ray.origin is not None
    source = Path(ray.origin).parent / "core" / "src" / "ray"
    return b"".join((source / program).read_bytes() for program in _PROGRAMS)


def _options(run: Path) -> list[str]:
    names = [name.removeprefix("RAY_") for name in ray_environment({}, run)]
    return [name for name in names if name.islower()]


def test_each_option_is_one_that_ray_has(tmp_path: Path, programs: bytes) -> None:
    """One that a newer Ray has renamed would be without effect, and nobody would hear of it."""
    assert len(_options(tmp_path)) > 5
    assert [name for name in _options(tmp_path) if name.encode() not in programs] == []


def test_what_others_set_for_ray_is_not_taken_over(tmp_path: Path) -> None:
    """An operator's own Ray is another one."""
    assert "RAY_ADDRESS" not in ray_environment({"RAY_ADDRESS": "ray://elsewhere:10001"}, tmp_path)
