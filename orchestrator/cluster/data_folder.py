"""The data folder's one server: the lock on it, and the mark that its processes carry.

data/lock       held (flock) by the supervisor until it ends; the holder's pid is in it
data/node-id    a random id made at the first start: with the folder's place it makes the mark
"""

import contextlib
import errno
import fcntl
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil

from orchestrator.whole_files import write_whole
from protocol.errors import ThroughlineError

_CLOCK_TICKS_S = 1.0
"""A process's beginning is known by the kernel's ticks, a file's time by the clock."""


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
        lock = os.open(data / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as exc:
        raise _unusable(data, exc) from exc
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise DataFolderInUse(f"{data} is in use by another server{_holder(data)}; stop that one first") from exc
        except OSError as exc:
            raise _unusable(data, exc) from exc
        _tell_holder(lock)
        yield
    finally:
        os.close(lock)


def _tell_holder(lock: int) -> None:
    """For who comes second. A full disk keeps nobody from the lock: what it does keep them from says so itself."""
    try:
        os.ftruncate(lock, os.pwrite(lock, f"{os.getpid()}\n".encode(), 0))
    except OSError:
        # Better nobody than a former holder.
        os.ftruncate(lock, 0)


def _unusable(data: Path, exc: OSError) -> DataFolderInUse:
    full = exc.errno in (errno.ENOSPC, errno.EDQUOT)
    wanted = "make room there" if full else "give one that you may write to, on a disk of this machine"
    return DataFolderInUse(f"{data} cannot be the data folder: {exc.strerror}; {wanted}")


def holder_of(data: Path) -> int:
    """The process that has the folder: that of a server, also while it starts or stops; 0 where there is none. To take
    the lock for a look would refuse a server that starts in this moment. So the number in the file is believed where
    its process was there as it was written: since then it may have become another's."""
    file = data / "lock"
    try:
        pid = int(file.read_text())
        began_s = psutil.Process(pid).create_time()
        return pid if began_s <= file.stat().st_mtime + _CLOCK_TICKS_S else 0
    except (OSError, ValueError, psutil.Error):
        return 0


def _holder(data: Path) -> str:
    pid = (data / "lock").read_text().strip()
    return f", process {pid}" if pid else ""


def mark_of(data: Path) -> str:
    """The mark of this data folder's processes: 32 hex digits, the same at every start.

    It is made of the folder's id and its place, so that a copy of the folder elsewhere has its own. Raises
    `DataFolderInUse` where there is none and it cannot be written, and where it is damaged.
    """
    file = data / "node-id"
    if not file.exists():
        try:
            write_whole(file, f"{uuid.uuid4()}\n".encode())
        except OSError as exc:
            raise _unusable(data, exc) from exc
    try:
        id = uuid.UUID(file.read_text(errors="replace").strip())
    except ValueError as exc:
        raise DataFolderInUse(f"{file} is damaged; remove it, and the next start makes another") from exc
    return uuid.uuid5(id, str(data.resolve())).hex
