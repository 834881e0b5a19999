"""The data folder's one server: the lock on it, and the mark that its processes carry.

data/lock       held (flock) by the supervisor until it ends; the holder's pid is in it
data/node-id    a random id made at the first start: with the folder's place it makes the mark
"""

import contextlib
import fcntl
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from protocol.errors import ThroughlineError


class DataFolderInUse(ThroughlineError):
    """Another server holds the data folder, and the message names its process; or it cannot be held at all."""


@contextlib.contextmanager
def locked(data: Path) -> Iterator[None]:
    """Holds the lock on `data`, making the folder if there is none. Raises `DataFolderInUse`.

    The lock ends with the process, however it ends. Locks of NFS and the like may not; a data folder belongs on a
    disk of this machine, which the stores' files need anyway.
    """
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        opened = open(data / "lock", "a+")  # noqa: SIM115 - closed below
    except OSError as exc:
        wanted = "give one that you may write to, on a disk of this machine"
        raise DataFolderInUse(f"{data} cannot be the data folder: {exc.strerror}; {wanted}") from exc
    with opened as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise DataFolderInUse(f"{data} is in use by another server{_holder(data)}; stop that one first") from exc
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def _holder(data: Path) -> str:
    pid = (data / "lock").read_text().strip()
    return f", process {pid}" if pid else ""


def mark_of(data: Path) -> str:
    """The mark of this data folder's processes: 32 hex digits, the same at every start.

    It is made of the folder's id and its place, so that a copy of the folder elsewhere has its own.
    """
    file = data / "node-id"
    if not file.exists():
        # Renamed into place, so that a crash leaves either no id or a whole one.
        fresh = data / "node-id.new"
        fresh.write_text(f"{uuid.uuid4()}\n")
        fresh.rename(file)
    return uuid.uuid5(uuid.UUID(file.read_text().strip()), str(data.resolve())).hex
