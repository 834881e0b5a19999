"""What a store's failure tells an operator: SQLite's words, the file's name, and what to do."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from adapters.stores.errors import store_failed


def failing(file: Path, *statements: str) -> sqlite3.Error:
    """The error with which the last of these ends."""
    *before, last = statements
    with closing(sqlite3.connect(file, isolation_level=None, timeout=0)) as db:
        for statement in before:
            db.execute(statement)
        with pytest.raises(sqlite3.Error) as failed:
            db.execute(last)
    return failed.value


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    """As SQLite meets it at a page's limit too."""
    exc = failing(
        tmp_path / "a.db",
        "CREATE TABLE t (x)",
        "PRAGMA max_page_count = 3",
        "INSERT INTO t VALUES (zeroblob(100000))",
    )
    assert str(store_failed("a.db", exc)) == (
        "a.db: database or disk is full; make room on its disk, and a server that runs goes on"
    )


def test_anothers_lock_is_told_as_such(tmp_path: Path) -> None:
    """Somebody's transaction."""
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        exc = failing(tmp_path / "a.db", "BEGIN IMMEDIATE")
    assert str(store_failed("a.db", exc)).startswith("a.db: database is locked; another program has it locked")


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    """One that is not SQLite's at all."""
    (tmp_path / "a.db").write_text("not a database, whatever its name says" * 100)
    exc = failing(tmp_path / "a.db", "SELECT * FROM sqlite_master")
    assert str(store_failed("a.db", exc)).endswith("; the file is damaged: put a backup in its place")


def test_what_has_no_advice_is_told_as_it_is() -> None:
    """A bug's message gets none that would mislead."""
    assert str(store_failed("a.db", sqlite3.ProgrammingError("closed"))) == "a.db: closed"
