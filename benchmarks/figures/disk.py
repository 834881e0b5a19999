"""The disk under a run: whether it is one, and what a sync costs on it."""

import os
import tempfile
import time
from pathlib import Path

import psutil
from msgspec import Struct

from benchmarks.figures.percentiles import Percentiles, percentiles_ms

_NO_DISK = frozenset({"tmpfs", "ramfs", "devtmpfs"})
"""File systems in memory: a sync on them costs nothing and means nothing."""
_PROBES = 200
_PROBE_BYTES = 4096
"""One page of SQLite's WAL."""


class NoDisk(Exception):
    """The folder lies in memory, so a figure measured there would say nothing about a durable server."""


class Disk(Struct, frozen=True):
    """What a run says of the disk under its server."""

    kind: str
    """The type of its file system."""
    fsync_ms: Percentiles | None
    """What appending one page and syncing it takes, while nobody else does."""


UNKNOWN = Disk("unknown", None)
"""Somebody else's server has a disk of its own, which is not the one of the machine that loads it."""


def probed(folder: Path) -> Disk:
    """The disk that `folder` lies on. Raises `NoDisk`."""
    return Disk(check(folder), fsync_ms(folder))


def check(folder: Path) -> str:
    """The type of the file system that `folder` lies on. Raises `NoDisk`."""
    kind = _kind(folder.resolve(), [(part.mountpoint, part.fstype) for part in psutil.disk_partitions(all=True)])
    if kind in _NO_DISK:
        raise NoDisk(f"{folder} is on {kind}, which forgets at power-off: give --folder on a real disk")
    return kind


def fsync_ms(folder: Path) -> Percentiles:
    """What appending one page and syncing it takes."""
    samples_s: list[float] = []
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(_PROBES):
            file.write(os.urandom(_PROBE_BYTES))
            began_s = time.perf_counter()
            os.fsync(file.fileno())
            samples_s.append(time.perf_counter() - began_s)
    return percentiles_ms(samples_s)


def _kind(path: Path, mounts: list[tuple[str, str]]) -> str:
    """The file system of the deepest mount that holds `path`; of two on one place, the later covers the other."""
    holding = [(len(Path(place).parts), kind) for place, kind in mounts if path.is_relative_to(place)]
    depth = max((depth for depth, _ in holding), default=0)
    return next((kind for found, kind in reversed(holding) if found == depth), "unknown")
