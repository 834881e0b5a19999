"""The attachment store: content-addressed, synced before it says so, safe against odd names and broken files."""

import os
from pathlib import Path

import pytest

from adapters import attachments
from adapters.attachments import AttachmentStore, name_of
from protocol.errors import Code, Refusal


def store_in(folder: Path, **given: object) -> AttachmentStore:
    """An open store."""
    store = AttachmentStore(folder / "attachments", **given)  # type: ignore[arg-type]
    store.open()
    return store


def test_it_keeps_and_gives_back(tmp_path: Path) -> None:
    """Bytes lie under their SHA-256, its first two digits a folder."""
    store = store_in(tmp_path)
    name = store.keep(b"bill")
    assert name == name_of(b"bill")
    assert (tmp_path / "attachments" / name[:2] / name[2:]).read_bytes() == b"bill"
    assert store.read(name) == b"bill"


def test_the_same_bytes_are_kept_once(tmp_path: Path) -> None:
    """A second time writes nothing."""
    store = store_in(tmp_path)
    path = store.path_of(store.keep(b"bill"))
    before = path.stat()
    store.keep(b"bill")
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_the_file_is_synced_under_its_name_before_it_is_kept(tmp_path: Path) -> None:
    """First the bytes, then the rename, then both folders: a power cut leaves all or nothing."""
    synced: list[str] = []

    def record(descriptor: int) -> None:
        kind = "folder" if os.path.isdir(f"/dev/fd/{descriptor}") else "file"
        there = path.exists()
        synced.append(f"{kind} {'after' if there else 'before'} the rename")

    store = AttachmentStore(tmp_path / "attachments", sync=record)
    path = store.path_of(name_of(b"bill"))
    store.open()
    synced.clear()
    store.keep(b"bill")
    assert synced == ["file before the rename", "folder after the rename", "folder after the rename"]


def test_a_failed_sync_keeps_nothing(tmp_path: Path) -> None:
    """The caller hears it, and no half file lies about."""

    def fail(_: int) -> None:
        raise OSError("no space")

    store_in(tmp_path)
    store = AttachmentStore(tmp_path / "attachments", sync=fail)
    with pytest.raises(OSError, match="no space"):
        store.keep(b"bill")
    assert not store.path_of(name_of(b"bill")).exists()
    assert not list((tmp_path / "attachments" / "parts").iterdir())


def test_opening_removes_what_a_crash_left(tmp_path: Path) -> None:
    """Half-written files have no name that anyone knows."""
    store_in(tmp_path)
    (tmp_path / "attachments" / "parts" / "half").write_bytes(b"bi")
    store_in(tmp_path)
    assert not list((tmp_path / "attachments" / "parts").iterdir())


def test_too_large(tmp_path: Path) -> None:
    """The bound is named."""
    with pytest.raises(Refusal, match="3 are allowed") as caught:
        store_in(tmp_path, file_bytes_max=3).keep(b"bill")
    assert caught.value.code is Code.TOO_LARGE


def test_a_damaged_file_is_noticed_and_replaced(tmp_path: Path) -> None:
    """Reading checks the hash; keeping the bytes again mends a file of the wrong length."""
    store = store_in(tmp_path)
    name = store.keep(b"bill")
    store.path_of(name).write_bytes(b"bil")
    with pytest.raises(Refusal, match="damaged"):
        store.read(name)
    store.keep(b"bill")
    assert store.read(name) == b"bill"


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n"])
def test_what_is_no_hash_leads_nowhere(tmp_path: Path, name: str) -> None:
    """No name leads out of the folder."""
    with pytest.raises(Refusal) as caught:
        store_in(tmp_path).read(name)
    assert caught.value.code is Code.INVALID


def test_an_unknown_hash(tmp_path: Path) -> None:
    """It is said to be unknown."""
    with pytest.raises(Refusal) as caught:
        store_in(tmp_path).read("0" * 64)
    assert caught.value.code is Code.NOT_FOUND


def test_the_real_sync_works_on_files_and_folders(tmp_path: Path) -> None:
    """What the store uses by default."""
    for path in (tmp_path, tmp_path / "file"):
        if path != tmp_path:
            path.write_bytes(b"x")
        descriptor = os.open(path, os.O_RDONLY)
        attachments.sync(descriptor)
        os.close(descriptor)
