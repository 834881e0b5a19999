"""Whole files: what is kept in a small file is there as it was before or as it is now, whatever happens meanwhile.

    <file>.new, locked ── written, synced ──▶ renamed to <file> ── the folder synced

A reader needs no lock. A crash may leave `<file>.new`, which the next writer takes over; a failure, such as a full
disk, leaves nothing.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from adapters.synced import sync, sync_folder


def write_whole(file: Path, content: bytes) -> None:
    """Replaces a file, which only its owner may read. Writers in turn, across processes; the last one's word stays.
    Blocks. Raises `OSError`, and then the file is as it was."""
    fresh = file.with_name(f"{file.name}.new")
    descriptor = _locked(fresh)
    with os.fdopen(descriptor, "wb") as out:
        try:
            out.truncate(0)  # A crash may have left more than there is to write.
            out.write(content)
            out.flush()
            sync(descriptor)
            fresh.replace(file)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
    sync_folder(file.parent)


def remove(file: Path) -> None:
    """Takes one away, for good: it does not come back after a power cut. Blocks. Raises `OSError`."""
    file.unlink(missing_ok=True)
    sync_folder(file.parent)


def _locked(fresh: Path) -> int:
    """Whoever wrote before may have renamed what was opened here, or removed it: it is not what waits to be renamed."""
    while True:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), fresh.stat()):
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
