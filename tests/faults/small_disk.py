"""A small disk: a file system of its own for a data folder, that a test can fill and empty.

A loop-mounted ext4 where the machine allows, else a tmpfs with a size; both need root.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.peers import missing

SIZE_MIB = 24
BLOCK = 64 * 1024


class SmallDisk:
    """A mounted file system of `SIZE_MIB`."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder = folder
        self.kind = kind
        self._filler = folder / "filler"

    @property
    def free_bytes(self) -> int:
        """What anybody may still write."""
        about = os.statvfs(self.folder)
        return about.f_bavail * about.f_frsize

    def fill(self, leave_bytes: int) -> None:
        """Writes until only so much is left."""
        with self._filler.open("ab") as file:
            while (free := self.free_bytes) > leave_bytes:
                file.write(b"\0" * min(BLOCK, free - leave_bytes))
                file.flush()
                os.fsync(file.fileno())

    def empty(self) -> None:
        """Takes the filler away."""
        self._filler.unlink(missing_ok=True)


@contextmanager
def small_disk(folder: Path) -> Iterator[SmallDisk]:
    """One that is mounted at `folder`, which is made. Skips, or fails under CI, where no mount is allowed."""
    folder.mkdir(parents=True)
    kind = _mount(folder)
    if not kind:
        missing("a file system of its own", "run as root, where mounts are allowed")
    try:
        folder.chmod(0o700)
        yield SmallDisk(folder, kind)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _mount(folder: Path) -> str:
    """Returns the kind of what was mounted; empty where nothing could be."""
    image = folder.with_suffix(".img")
    with image.open("wb") as file:
        file.truncate(SIZE_MIB * 1024 * 1024)
    # Without reserved blocks: those would be root's, and a server that runs as root would not find the disk full.
    made = ["mkfs.ext4", "-q", "-m", "0", str(image)]
    if shutil.which("mkfs.ext4") and _done(made) and _done(["mount", "-o", "loop", str(image), str(folder)]):
        return "ext4"
    if _done(["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "tmpfs", str(folder)]):
        return "tmpfs"
    return ""


def _done(program: list[str]) -> bool:
    return subprocess.run(program, capture_output=True, check=False).returncode == 0
