"""The data folder's lock and mark, and the run folder, on disks that are full and systems that have no locks."""

import errno
import fcntl
import os
import tempfile
from pathlib import Path
from typing import Never

import psutil
import pytest

from orchestrator.cluster.data_folder import DataFolderInUse, holder_of, locked, mark_of
from orchestrator.cluster.run_folder import Unwritable, run_folder, write_private


def full(*_: object, **__: object) -> Never:
    """What a write says then; it names no file."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_keeps_nobody_from_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stores say that it is full, each for itself. Who comes second hears of no former holder."""
    (tmp_path / "lock").write_text("4711\n")
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        with (
            locked(tmp_path),
            pytest.raises(DataFolderInUse, match="another server; stop") as refused,
            locked(tmp_path),
        ):
            pass
    assert "4711" not in str(refused.value)


def test_the_holder_is_written_over_a_longer_one(tmp_path: Path) -> None:
    """And it is gone with the lock's next holder alone."""
    (tmp_path / "lock").write_text("99999999999999\n")
    with locked(tmp_path):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_a_disk_without_room_for_the_first_start_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what to do; with room there, the start goes well."""
    with monkeypatch.context() as patched:
        patched.setattr("orchestrator.whole_files.os.fsync", full)
        with pytest.raises(DataFolderInUse, match="No space left on device; make room"):
            mark_of(tmp_path)
    assert mark_of(tmp_path) == mark_of(tmp_path)


def test_a_file_system_without_locks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some of the network's have none."""

    def none(*_: object) -> Never:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.raises(DataFolderInUse, match="a disk of this machine"), locked(tmp_path):
        pass


@pytest.mark.parametrize("damaged", ["", "no id", "\udcff"])
def test_a_damaged_id_is_told(tmp_path: Path, damaged: str) -> None:
    """Nothing depends on which one it is."""
    (tmp_path / "node-id").write_text(damaged, errors="surrogateescape")
    with pytest.raises(DataFolderInUse, match="remove it"):
        mark_of(tmp_path)


def test_a_disk_without_room_for_a_run_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The standard library looks at each folder that there may be, and says only that none will do."""
    monkeypatch.setattr(tempfile, "gettempdir", full)
    with (
        pytest.raises(Unwritable, match="No space left on device; make room there"),
        run_folder("0" * 32),
    ):
        pass


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Else nobody knows which disk it is."""
    with pytest.raises(Unwritable, match="none/file cannot be written: No such file"):
        write_private(tmp_path / "none" / "file", b"")


def test_who_has_the_folder_is_known_without_its_lock(tmp_path: Path) -> None:
    """Also while it starts; a number that has become another process's since is not believed."""
    assert holder_of(tmp_path) == 0
    with locked(tmp_path):
        assert holder_of(tmp_path) == os.getpid()
    before = psutil.Process().create_time() - 60
    os.utime(tmp_path / "lock", (before, before))
    assert holder_of(tmp_path) == 0
    (tmp_path / "lock").write_text("no number")
    assert holder_of(tmp_path) == 0
