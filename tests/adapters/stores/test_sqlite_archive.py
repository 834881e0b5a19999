"""What only the archive's file can show."""

from pathlib import Path

import pytest

from adapters.stores.archive_schema import ARCHIVE
from adapters.stores.errors import StoreFailed, StoreTooNew
from adapters.stores.sqlite_archive import SqliteArchive, SqliteArchiveReader
from tests.adapters.stores.story import Story


async def test_syncing_names_the_position_that_is_safe(tmp_path: Path) -> None:
    """Also while a reader holds a state of the file, which would stop a checkpoint; and the weaker mode goes on."""
    archive, reader = SqliteArchive(tmp_path / "archive.db"), SqliteArchiveReader(tmp_path / "archive.db")
    await archive.open()
    await reader.open()
    assert archive._db is not None
    assert reader._db is not None
    await reader._db.run(lambda db: db.execute("BEGIN").execute("SELECT count(*) FROM event").fetchone())
    story = Story()
    story.meet("cuann0000000000000", "chat:ann", "chat", "hello")
    await archive.apply(story.patches(), story.position)
    assert await archive.sync() == story.position
    assert await archive._db.run(lambda db: db.execute("PRAGMA synchronous").fetchone()) == (1,)
    await reader.close()
    await archive.close()


async def test_a_newer_file_is_left_alone(tmp_path: Path) -> None:
    """By the writer and by readers, which say what to do."""
    path = tmp_path / "archive.db"
    archive = SqliteArchive(path)
    await archive.open()
    assert archive._db is not None
    newer = len(ARCHIVE.steps) + 1
    await archive._db.run(lambda db: db.execute(f"PRAGMA user_version = {newer}"))
    await archive.close()
    with pytest.raises(StoreTooNew, match="archive has schema version"):
        await archive.open()
    with pytest.raises(StoreTooNew):
        await SqliteArchiveReader(path).open()


async def test_a_closed_archive_is_whole_in_its_one_file(tmp_path: Path) -> None:
    """Also while a reader has it open."""
    archive, reader = SqliteArchive(tmp_path / "archive.db"), SqliteArchiveReader(tmp_path / "archive.db")
    await archive.open()
    await reader.open()
    story = Story()
    story.meet("cuann0000000000000", "chat:ann", "chat", "hello")
    await archive.apply(story.patches(), story.position)
    await archive.close()
    copy = tmp_path / "copy.db"
    copy.write_bytes((tmp_path / "archive.db").read_bytes())
    await reader.close()
    archive = SqliteArchive(copy)
    assert await archive.open() == story.position
    await archive.close()


async def test_a_reader_never_writes(tmp_path: Path) -> None:
    """The file is opened read-only, whatever a query says."""
    archive, reader = SqliteArchive(tmp_path / "archive.db"), SqliteArchiveReader(tmp_path / "archive.db")
    await archive.open()
    await reader.open()
    assert reader._db is not None
    with pytest.raises(StoreFailed, match="readonly"):
        await reader._db.run(lambda db: db.execute("DELETE FROM event"))
    await reader.close()
    await archive.close()
