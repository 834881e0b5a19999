"""The attachment store: content-addressed, synced before it says so, safe against odd names and broken files."""

import os
import threading
from pathlib import Path

import pytest

from adapters.attachments import FILE_BYTES_MAX, READ_BYTES, AttachmentStore, name_of
from protocol.errors import Code, Refusal


def store_in(folder: Path, *, file_bytes_max: int = FILE_BYTES_MAX) -> AttachmentStore:
    """An open store."""
    store = AttachmentStore(folder / "attachments", file_bytes_max=file_bytes_max)
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
    """A second time writes nothing; the file counts as kept now."""
    store = store_in(tmp_path)
    path = store.path_of(store.keep(b"bill"))
    before = path.stat()
    os.utime(path, (1, 1))
    store.keep(b"bill")
    assert path.stat().st_ino == before.st_ino
    assert path.stat().st_mtime_ns >= before.st_mtime_ns


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


def aged(store: AttachmentStore, body: bytes, kept_s: int) -> str:
    """Keeps a file, as of then."""
    name = store.keep(body)
    os.utime(store.path_of(name), (kept_s, kept_s))
    return name


def test_a_file_comes_in_pieces(tmp_path: Path) -> None:
    """In order; nobody gets the end of a damaged one."""
    store, body = store_in(tmp_path), b"bill" * READ_BYTES
    name = store.keep(body)
    assert [len(piece) for piece in store.pieces(name)] == [READ_BYTES] * 4
    assert store.read(name) == body
    assert store.size(name) == len(body)
    store.path_of(name).write_bytes(body[:-1] + b"!")
    pieces = store.pieces(name)
    assert [len(next(pieces)) for _ in range(3)] == [READ_BYTES] * 3
    with pytest.raises(Refusal, match="damaged"):
        next(pieces)
    assert list(store.pieces(store.keep(b""))) == []


def test_old_files_are_found_a_few_at_a_time(tmp_path: Path) -> None:
    """In the order of their names, from where the last look ended; what is not a file of ours is left alone."""
    store = store_in(tmp_path)
    names = sorted(aged(store, bytes([n]), 1 if n % 2 else 3) for n in range(7))
    old = {name for name in names if store.path_of(name).stat().st_mtime == 1}
    (store.path_of(names[0]).parent / "notes").touch()
    found, after, looks = set(), "", 0
    while looks == 0 or after:
        some, after = store.look(after, 2000, 3)
        found |= some
        looks += 1
    assert (found, looks) == (old, 3)


def test_only_what_is_still_old_is_removed(tmp_path: Path) -> None:
    """A file that was kept again since stays, and one that is gone does no harm."""
    store = store_in(tmp_path)
    gone, again, missing = aged(store, b"gone", 1), aged(store, b"again", 1), name_of(b"missing")
    store.keep(b"again")
    assert store.remove({gone, again, missing}, 2000) == 1
    assert not store.path_of(gone).exists()
    assert store.read(again) == b"again"


def test_nothing_is_removed_while_a_file_is_being_kept(tmp_path: Path) -> None:
    """Whoever keeps may have found the very file there, and counts on it."""
    keeping = threading.Event()
    go_on = threading.Event()

    def wait(_: int) -> None:
        keeping.set()
        assert go_on.wait(10)

    store = store_in(tmp_path)
    name = aged(store, b"bill", 1)
    other = AttachmentStore(tmp_path / "attachments", sync=wait)
    thread = threading.Thread(target=other.keep, args=[b"new"])
    thread.start()
    assert keeping.wait(10)
    assert store.remove({name}, 2000) == 0
    go_on.set()
    thread.join()
    assert store.remove({name}, 2000) == 1


def test_a_file_over_the_bound_is_refused(tmp_path: Path) -> None:
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
