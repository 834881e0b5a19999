"""The operating system's lock that makes one process the only writer of a store's file.

The lock is `flock` on `<file>.lock`, taken before the file is opened and held until it is closed or the process dies:
the kernel lets go of it even after `kill -9`. Two processes that write and checkpoint one WAL can corrupt it in SQLite
3.7.0 to 3.51.2 (https://www.sqlite.org/wal.html, "The WAL-Reset Bug"), so SQLite's own locks are not enough. The lock
file itself stays: removing it would let two processes lock two files of one name.
"""

import contextlib
import fcntl
import os
from pathlib import Path

from adapters.stores.errors import StoreFailed, StoreLocked


class FileLock:
    """One writer's lock on the store at `path`. It is not for network file systems, where `flock` may be local."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1

    def acquire(self) -> None:
        """Takes the lock without waiting. Raises `StoreLocked` that names the holder, or `StoreFailed`."""
        lock_path = self._path.with_name(self._path.name + ".lock")
        try:
            fd = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise StoreFailed(f"{lock_path} cannot be opened: {exc.strerror}") from exc
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            pid = _pid_in(fd)
            os.close(fd)
            raise StoreLocked(
                f"{self._path.name} is written by process {pid or 'unknown'}: stop that server, or start this one "
                "with another data folder",
                pid=pid,
            ) from exc
        except OSError as exc:
            os.close(fd)
            raise StoreFailed(f"{lock_path} cannot be locked: {exc.strerror}") from exc
        self._fd = fd
        # Only told, to whoever comes second: on a full disk it is the store that says so. Written over what stands
        # there, since a block that was given up first may be another's by then.
        with contextlib.suppress(OSError):
            os.ftruncate(fd, os.pwrite(fd, str(os.getpid()).encode(), 0))

    def release(self) -> None:
        """Gives the lock back; nothing where it is not held."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _pid_in(fd: int) -> int:
    text = os.pread(fd, 20, 0)  # 20 digits are more than any process id has.
    return int(text) if text.isdigit() else 0
