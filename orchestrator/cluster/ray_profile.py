"""Ray, light: started with what placing and supervising needs and no more. Safe it is by `ray_environment.py`.

Measured with Ray 2.60 on two cores: started in 2-3 s; GCS 39, raylet 23, its two agents 103, the driver 55 MiB (PSS),
and 45-55 for each actor's process.
"""

import os
from pathlib import Path

import psutil
import ray

from protocol.errors import ThroughlineError

OBJECT_STORE_BYTES = 78_643_200
"""The least Ray accepts. Nothing of ours goes through the object store."""

NAMESPACE = "throughline"
"""Where the actors' names are found."""

_SURPLUS = ("monitor.py", "log_monitor.py", "dashboard.py")
"""Ray's autoscaler, log tailer and dashboard head: started in any case, of no use to one machine without a dashboard,
150 MiB together, and the autoscaler serves metrics to whoever asks."""

_VITAL = ("gcs_server", "raylet")


class RayFailed(ThroughlineError):
    """Ray did not start, or not the way it must."""


def start(temp: Path, *, workers: int) -> list[psutil.Process]:
    """Starts Ray under `ray_environment` with its session in `temp`; returns the processes without which it is dead.

    `workers`: how many processes will be wanted at once.

    Raises `RayFailed`.
    """
    if os.environ.get("RAY_AUTH_MODE") != "token":
        raise RayFailed("ray: the process was not started under ray_environment; it would be open to anyone")
    try:
        ray.init(
            address="local",
            # Not for scheduling, since no actor asks for a processor: Ray starts as many workers ahead, side by side.
            num_cpus=workers,
            num_gpus=0,
            object_store_memory=OBJECT_STORE_BYTES,
            include_dashboard=False,
            log_to_driver=False,
            configure_logging=False,
            namespace=NAMESPACE,
            _node_ip_address="127.0.0.1",
            _temp_dir=str(temp),
        )
    except Exception as exc:
        # Ray raises whatever its steps raise: ConnectionError, RuntimeError, ValueError, plain Exception.
        raise RayFailed(f"ray: did not start: {exc}") from exc
    return _trim()


def stop() -> None:
    """Ends Ray and all its actors."""
    ray.shutdown()


def dead(vital: list[psutil.Process]) -> str:
    """The name of a vital process that is gone; empty while all live."""
    return next((program(process) for process in vital if _is_dead(process)), "")


def _is_dead(process: psutil.Process) -> bool:
    # Its state alone, and not also when it began: it is our child, and looked at again long before its pid comes round.
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def program(process: psutil.Process) -> str:
    """The name of a vital process; also of one that is dead, since psutil remembers a name it has asked for."""
    name: str = process.name()
    return name


def _trim() -> list[psutil.Process]:
    vital = []
    for child in psutil.Process().children():
        if any(word.endswith(_SURPLUS) for word in child.cmdline()[:4]):
            child.kill()
        elif program(child) in _VITAL:
            vital.append(child)
    if len(vital) != len(_VITAL):
        raise RayFailed(f"ray: {' and '.join(_VITAL)} should be running; found {len(vital)} of them")
    return vital
