"""Synced: by whatever the system has for it, and whoever keeps a file of ours goes by it."""

import fcntl
import os
from pathlib import Path

import pytest

from adapters.attachments import AttachmentStore
from adapters.stores.journal.sqlite import SqliteJournal
from adapters.synced import sync, sync_folder

FULLFSYNC = 51
"""Its number on macOS; Linux's fcntl knows no such command."""


class Calls:
    """What was asked of a system that has F_FULLFSYNC, by a file's name."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, refused: bool = False) -> None:
        self.full: list[str] = []
        self.plain: list[str] = []
        usual, self._refused = fcntl.fcntl, refused

        def asked(descriptor: int, command: int, argument: int = 0) -> int:
            if command != FULLFSYNC:
                return usual(descriptor, command, argument)
            if refused:
                raise OSError("no such thing here")
            self.full.append(_name(descriptor))
            return 0

        monkeypatch.setattr(fcntl, "F_FULLFSYNC", FULLFSYNC, raising=False)
        monkeypatch.setattr(fcntl, "fcntl", asked)
        monkeypatch.setattr(os, "fsync", lambda descriptor: self.plain.append(_name(descriptor)))


def _name(descriptor: int) -> str:
    return Path(os.readlink(f"/proc/self/fd/{descriptor}")).name


def test_the_real_sync_works_on_files_and_folders(tmp_path: Path) -> None:
    """As the system has it."""
    (tmp_path / "file").write_bytes(b"x")
    descriptor = os.open(tmp_path / "file", os.O_RDONLY)
    sync(descriptor)
    os.close(descriptor)
    sync_folder(tmp_path)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="a descriptor's file is read from /proc")
class TestOnMacos:
    """Its fsync leaves the data in the drive's cache: what is acked after it would not be there after a power cut."""

    def test_a_file_system_without_it_gets_the_plain_call(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Such as a network's."""
        calls = Calls(monkeypatch, refused=True)
        sync_folder(tmp_path)
        assert (calls.full, calls.plain) == ([], [tmp_path.name])

    async def test_the_name_of_a_store_is_on_the_disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is in it SQLite syncs itself, by `PRAGMA fullfsync`."""
        calls = Calls(monkeypatch)
        store = SqliteJournal(tmp_path / "journal.sqlite", new_generation=lambda: "g")
        await store.open()
        await store.close()
        assert tmp_path.name in calls.full
        assert calls.plain == []

    def test_so_is_an_attachment(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Before the event that speaks of it is submitted."""
        calls = Calls(monkeypatch)
        store = AttachmentStore(tmp_path / "attachments")
        store.open()
        store.keep(b"bill")
        assert calls.full.count("attachments") == 1
        assert calls.plain == []
