"""Synced: on the disk, and not only handed to it. What is acked after this survives a power cut.

macOS's fsync(2) leaves the data in the drive's cache, and says to use F_FULLFSYNC; a file system that has no such
thing gets the plain call. A file's name is its folder's: made, renamed or removed, it is synced with that.
"""

import fcntl
import os
from pathlib import Path


def sync(descriptor: int) -> None:
    """Returns when the file or folder is on the disk. Raises `OSError`."""
    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is not None:
        try:
            fcntl.fcntl(descriptor, full)
        except OSError:
            os.fsync(descriptor)
    else:
        os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """The same of the names in a folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)
