"""The lock that makes one process a store's writer."""

import errno
import os
from pathlib import Path
from typing import Never

import pytest

from adapters.stores.errors import StoreLocked
from adapters.stores.locks import FileLock


def test_a_full_disk_keeps_nobody_from_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who holds it cannot be written down then; it is held all the same."""

    def full(*_: object) -> Never:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    one, other = FileLock(tmp_path / "store"), FileLock(tmp_path / "store")
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        one.acquire()
    with pytest.raises(StoreLocked, match="process unknown") as locked:
        other.acquire()
    assert locked.value.pid == 0
    one.release()
    other.acquire()
    other.release()


def test_a_longer_pid_that_stood_there_leaves_nothing(tmp_path: Path) -> None:
    """It is written over, and cut."""
    (tmp_path / "store.lock").write_text("99999999999999")
    lock = FileLock(tmp_path / "store")
    lock.acquire()
    assert (tmp_path / "store.lock").read_text() == str(os.getpid())
    lock.release()
