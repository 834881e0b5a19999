"""What the archive's SQL does not do: nothing is made anew that is new."""

import sqlite3
from collections.abc import Iterator

import pytest

from adapters.stores import migrations
from adapters.stores.archive import rows as archive_rows
from adapters.stores.archive.schema import ARCHIVE


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    """An archive as its first start finds it."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    migrations.migrate(db, ARCHIVE)
    yield db
    db.close()


def test_an_archive_without_rows_keeps_its_tables(db: sqlite3.Connection) -> None:
    """They are those that emptying it would make, which takes as long as all the rest of the opening."""
    made = _schema_version(db)
    assert archive_rows.adopt(db, "first") == 0
    assert archive_rows.generation(db) == "first"
    assert _schema_version(db) == made
    archive_rows.adopt(db, "second")
    assert _schema_version(db) > made


def test_emptied_it_is_as_it_was_new(db: sqlite3.Connection) -> None:
    """To the last table, index and view, and what stands in `meta`."""
    new = _everything(db)
    archive_rows.reset(db, "")
    assert _everything(db) == new


def _schema_version(db: sqlite3.Connection) -> int:
    """Which SQLite raises at each change of a table."""
    return int(db.execute("PRAGMA schema_version").fetchone()[0])


def _everything(db: sqlite3.Connection) -> list[tuple[object, ...]]:
    schema = db.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name").fetchall()
    return schema + db.execute("SELECT key, value FROM meta ORDER BY key").fetchall()
