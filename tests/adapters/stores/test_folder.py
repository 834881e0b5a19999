"""The look at a data folder before anything is started on it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from adapters.stores.archive.sqlite import SqliteArchive
from adapters.stores.errors import StoreFailed, StoreTooNew
from adapters.stores.folder import ARCHIVE_FILE, JOURNAL_FILE, check_folder
from adapters.stores.journal.sqlite import SqliteJournal


async def made(folder: Path) -> None:
    """Both files, closed."""
    journal, archive = (
        SqliteJournal(folder / JOURNAL_FILE, new_generation=lambda: "g1"),
        SqliteArchive(folder / ARCHIVE_FILE),
    )
    await journal.open()
    await archive.open()
    await journal.close()
    await archive.close()


def contents(folder: Path) -> dict[str, bytes]:
    """All files by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def raise_version(path: Path) -> None:
    """What a newer program would have left."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")


async def test_what_this_program_wrote_is_fine(tmp_path: Path) -> None:
    """As is a folder with nothing in it."""
    check_folder(tmp_path)
    await made(tmp_path)
    check_folder(tmp_path)


@pytest.mark.parametrize("file", [JOURNAL_FILE, ARCHIVE_FILE])
async def test_a_newer_versions_file_is_named_and_left_as_it_was(tmp_path: Path, file: str) -> None:
    """Not even the files that SQLite makes beside it are made."""
    await made(tmp_path)
    raise_version(tmp_path / file)
    before = contents(tmp_path)
    with pytest.raises(StoreTooNew, match=rf"{file.partition('.')[0]} has schema version 99.*upgrade it"):
        check_folder(tmp_path)
    assert contents(tmp_path) == before


async def test_what_a_killed_program_left_in_its_wal_is_seen(tmp_path: Path) -> None:
    """The version may stand there alone."""
    await made(tmp_path)
    with closing(sqlite3.connect(tmp_path / JOURNAL_FILE)) as db:
        db.execute("PRAGMA wal_autocheckpoint = 0")
        db.execute("PRAGMA user_version = 99")
        with pytest.raises(StoreTooNew):
            check_folder(tmp_path)


@pytest.mark.parametrize("content", [b"these are no pages of SQLite" * 100, b"SQLite format 3\x00" + b"\xff" * 500])
def test_a_file_that_is_none_of_ours_is_named(tmp_path: Path, content: bytes) -> None:
    """Damaged, or something else."""
    (tmp_path / ARCHIVE_FILE).write_bytes(content)
    with pytest.raises(StoreFailed, match=r"archive\.sqlite cannot be read"):
        check_folder(tmp_path)
