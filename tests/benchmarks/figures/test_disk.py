"""The disk under a run."""

from pathlib import Path

import pytest

from benchmarks.figures import disk

MOUNTS = [("/", "ext4"), ("/tmp", "ext4"), ("/tmp", "tmpfs"), ("/var/lib", "xfs")]


@pytest.mark.parametrize(
    ("path", "kind"), [("/tmp/x", "tmpfs"), ("/tmpx", "ext4"), ("/var/lib/a/b", "xfs"), ("/var", "ext4")]
)
def test_the_deepest_and_newest_mount_holds_a_path(path: str, kind: str) -> None:
    """A mount covers what was mounted there before."""
    assert disk._kind(Path(path), MOUNTS) == kind


def test_memory_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A figure without a disk would say nothing about a durable server."""
    monkeypatch.setattr(disk, "_kind", lambda path, mounts: "tmpfs")
    with pytest.raises(disk.NoDisk, match="--folder"):
        disk.check(tmp_path)


def test_a_sync_takes_time(tmp_path: Path) -> None:
    """The probe writes and syncs for real, and leaves nothing behind."""
    assert disk.fsync_ms(tmp_path).max > 0
    assert not list(tmp_path.iterdir())
