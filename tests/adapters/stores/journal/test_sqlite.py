"""What only files can show: another process's lock, a newer version, a killed writer, a full disk."""

import asyncio
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from msgspec import structs

from adapters.stores.archive.sqlite import SqliteArchive
from adapters.stores.errors import StoreFailed, StoreLocked, StoreTooNew
from adapters.stores.journal import reads as journal_reads
from adapters.stores.journal.schema import JOURNAL
from adapters.stores.journal.sqlite import SqliteJournal
from adapters.stores.journal.sqlite_reader import SqliteJournalReader
from protocol.journal import Committed
from tests.adapters.stores.units import Writer

ROOT = Path(__file__).parents[4]

WRITER = """
import asyncio, sys
from pathlib import Path
from adapters.stores.journal.sqlite import SqliteJournal
from tests.adapters.stores.units import Writer

async def main():
    store = SqliteJournal(Path(sys.argv[1]), new_generation=lambda: "g")
    await store.open()
    writer = Writer((await store.raise_fences(["shard:1"]))[0])
    while True:
        group = [writer.unit(f"cu{writer.batch}", f"chat:{writer.batch}") for _ in range(10)]
        print((await store.commit(group))[-1].position, flush=True)

asyncio.run(main())
"""


def journal(path: Path) -> SqliteJournal:
    """The journal at `path`."""
    return SqliteJournal(path, new_generation=lambda: "g")


def child(path: Path) -> subprocess.Popen[str]:
    """Another process that commits to the journal without end and prints each position after its commit."""
    return subprocess.Popen([sys.executable, "-c", WRITER, path], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def committed(process: subprocess.Popen[str]) -> int:
    """The next position it printed."""
    assert process.stdout is not None
    return int(process.stdout.readline())


async def test_a_killed_writers_commits_are_there(tmp_path: Path) -> None:
    """`kill -9` in the midst of commits: all that was answered is found, whole groups only, and the lock is free."""
    path = tmp_path / "journal.db"
    with child(path) as process:
        for _ in range(20):
            seen = await asyncio.to_thread(committed, process)
        process.kill()
    store = journal(path)
    state = await store.open()
    assert state.position >= seen
    assert state.position % 10 == 0
    reader = SqliteJournalReader(path)
    await reader.open()
    records = await reader.read(0, state.position + 1)
    assert [record.position for record in records] == [*range(1, state.position + 1)]
    owners = await reader.customers_of([f"chat:{n}" for n in range(state.position + 10)])
    assert len(owners) == state.position
    writer = Writer((await store.raise_fences(["shard:1"]))[0])
    assert writer.epoch == 2
    assert await store.commit([writer.unit("cu0")]) == [Committed(state.position + 1)]
    await reader.close()
    await store.close()


async def test_a_second_process_is_told_who_has_the_file(tmp_path: Path) -> None:
    """The holder's process id is in the message and in the error."""
    path = tmp_path / "journal.db"
    with child(path) as process:
        await asyncio.to_thread(committed, process)
        with pytest.raises(StoreLocked, match=f"process {process.pid}: stop that server") as locked:
            await journal(path).open()
        process.kill()
    assert locked.value.pid == process.pid


async def test_a_newer_file_is_left_alone(tmp_path: Path) -> None:
    """Writer and reader refuse it, say what to do, and change nothing."""
    path = tmp_path / "journal.db"
    store = journal(path)
    await store.open()
    await store.close()
    newer = len(JOURNAL.steps) + 1
    _pragma(path, f"user_version = {newer}")
    before = path.read_bytes()
    with pytest.raises(StoreTooNew, match=f"version {newer}.* upgrade it, or start with another data folder"):
        await journal(path).open()
    with pytest.raises(StoreTooNew):
        await SqliteJournalReader(path).open()
    assert path.read_bytes() == before
    _pragma(path, f"user_version = {newer - 1}")
    await store.open()
    await store.close()


async def test_what_is_not_a_journal_is_left_alone(tmp_path: Path) -> None:
    """An archive, someone else's database, or no database at all."""
    archive = SqliteArchive(tmp_path / "archive.db")
    await archive.open()
    await archive.close()
    (tmp_path / "letter.db").write_text("Dear Sir or Madam, this is no database, however long it may become. " * 20)
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE things (name TEXT)")
    other.close()
    for name in ("archive.db", "letter.db", "other.db"):
        with pytest.raises(StoreFailed, match=r"not a (journal|database)"):
            await journal(tmp_path / name).open()


async def test_a_reader_waits_for_no_file(tmp_path: Path) -> None:
    """A reader never makes the file it is to read."""
    with pytest.raises(StoreFailed, match=r"journal\.db: unable to open"):
        await SqliteJournalReader(tmp_path / "journal.db").open()
    assert _files(tmp_path) == {}


async def test_a_reader_needs_no_writer(tmp_path: Path) -> None:
    """After a clean end and after a kill, what was committed is read without anyone who writes."""
    path = tmp_path / "journal.db"
    with child(path) as process:
        seen = await asyncio.to_thread(committed, process)
        process.kill()
    for _ in range(2):
        reader = SqliteJournalReader(path)
        await reader.open()
        assert await reader.position() >= seen
        await reader.close()
        store = journal(path)
        await store.open()
        await store.close()


async def test_readers_see_only_what_is_committed(tmp_path: Path) -> None:
    """While a transaction is under way its rows are nobody's."""
    store = journal(tmp_path / "journal.db")
    await store.open()
    writer = Writer((await store.raise_fences(["shard:1"]))[0])
    reader = SqliteJournalReader(tmp_path / "journal.db")
    await reader.open()
    inserted, go_on = threading.Event(), threading.Event()

    def linger(db: sqlite3.Connection) -> None:
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO unit VALUES (1, 'shard:1', 1, 1, 'cu1', 0, NULL, 1, x'00')")
        inserted.set()
        go_on.wait(timeout=10)
        db.execute("ROLLBACK")

    assert store._db is not None
    lingering = asyncio.create_task(store._db.run(linger))
    await asyncio.to_thread(inserted.wait, 10)
    assert await reader.position() == 0
    go_on.set()
    await lingering
    await store.commit([writer.unit("cu1")])
    assert await reader.position() == 1
    await reader.close()
    await store.close()


async def test_a_readers_failure_passes(tmp_path: Path) -> None:
    """One read that fails is told to its caller alone: the next is answered."""
    store = journal(tmp_path / "journal.db")
    await store.open()
    reader = SqliteJournalReader(tmp_path / "journal.db")
    await reader.open()
    assert reader._db is not None
    with pytest.raises(StoreFailed, match=r"journal\.db: no such table: missing"):
        await reader._db.run(lambda db: db.execute("SELECT * FROM missing"))
    assert await reader.position() == 0
    await reader.close()
    await store.close()


async def test_a_full_disk_leaves_no_half_commit(tmp_path: Path) -> None:
    """The commit that does not fit raises, the store is done, and after a new start the resend is taken."""
    path = tmp_path / "journal.db"
    store = journal(path)
    await store.open()
    writer = Writer((await store.raise_fences(["shard:1"]))[0])
    assert store._db is not None
    await store._db.run(lambda db: db.execute("PRAGMA max_page_count = 20").fetchone())
    group = [writer.unit(f"cu{n}", f"chat:{n}") for n in range(2_000)]
    with pytest.raises(StoreFailed, match="full"):
        await store.commit(group)
    with pytest.raises(StoreFailed, match="failed before"):
        await store.commit(group[:1])
    await store.close()
    assert (await store.open()).position == 0
    assert (await store.commit(group))[-1] == Committed(len(group))
    await store.close()


async def test_a_cancelled_commit_is_still_whole(tmp_path: Path) -> None:
    """Whoever waited for it is gone; the store's memory and its file agree all the same."""
    store = journal(tmp_path / "journal.db")
    await store.open()
    writer = Writer((await store.raise_fences(["shard:1"]))[0])
    committing = asyncio.create_task(store.commit([writer.unit("cu1")]))
    await asyncio.sleep(0)
    committing.cancel()
    assert await store.commit([writer.unit("cu1")]) == [Committed(2)]
    await store.close()


async def test_only_the_owner_may_read_the_file(tmp_path: Path) -> None:
    """Customers' words lie in it, and in what SQLite puts beside it."""
    store = journal(tmp_path / "journal.db")
    await store.open()
    modes = _files(tmp_path)
    assert len(modes) >= 3
    assert set(modes.values()) == {0o600}, modes
    await store.close()


async def test_a_closed_journal_is_whole_in_its_one_file(tmp_path: Path) -> None:
    """Also while a reader in another process keeps the two files beside it: a copy of the one has every commit."""
    store, reader = journal(tmp_path / "journal.db"), SqliteJournalReader(tmp_path / "journal.db")
    await store.open()
    await reader.open()
    writer = Writer((await store.raise_fences(["shard:1"]))[0])
    await store.commit([writer.unit("cu1")])
    await store.close()
    copy = tmp_path / "copy.db"
    copy.write_bytes((tmp_path / "journal.db").read_bytes())
    await reader.close()
    assert (tmp_path / "journal.db-wal").stat().st_size == 0
    with sqlite3.connect(copy) as db:
        assert db.execute("SELECT max(position) FROM unit").fetchone() == (1,)
    db.close()


async def test_a_reader_in_the_midst_of_a_read_holds_up_no_close(tmp_path: Path) -> None:
    """Its WAL stays, with everything in it."""
    store, reader = journal(tmp_path / "journal.db"), SqliteJournalReader(tmp_path / "journal.db")
    await store.open()
    await reader.open()
    assert reader._db is not None
    await reader._db.run(lambda db: db.execute("BEGIN").execute("SELECT count(*) FROM unit").fetchone())
    writer = Writer((await store.raise_fences(["shard:1"]))[0])
    await store.commit([writer.unit("cu1")])
    await store.close()
    await reader.close()
    store = journal(tmp_path / "journal.db")
    assert (await store.open()).position == 1
    await store.close()


def _files(folder: Path) -> dict[str, int]:
    """Names and permissions of what lies in the folder."""
    return {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()}


def _pragma(path: Path, pragma: str) -> None:
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA {pragma}")
    db.close()


@pytest.mark.parametrize("trimmed", [0, 1])
async def test_a_restored_journal_begins_a_new_generation_once(tmp_path: Path, trimmed: int) -> None:
    """Positions given out after the backup would else be taken for positions in what comes now; those before it are
    what they were, also where retention took some."""
    path = tmp_path / "journal.sqlite"
    names = iter(("first", "second"))
    for expected in ("first", "second", "second"):
        journal = SqliteJournal(path, new_generation=lambda: next(names))
        assert (await journal.open()).generation == expected
        writer = Writer((await journal.raise_fences(["shard:1"]))[0])
        await journal.commit([writer.unit("cu1"), writer.unit("cu1")])
        await journal.trim(trimmed)
        await journal.close()
        if expected == "first":
            (tmp_path / "restored").touch()
    assert not (tmp_path / "restored").exists()
    reader = SqliteJournalReader(path)
    await reader.open()
    assert [await reader.shared_with(name) for name in ("first", "second", "third", "")] == [2, 6, None, None]
    await reader.close()


async def test_a_read_of_long_units_gives_fewer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One at least; and the next read goes on behind it."""
    monkeypatch.setattr(journal_reads, "READ_BYTES_MAX", 100)
    store, reader = journal(tmp_path / "journal.db"), SqliteJournalReader(tmp_path / "journal.db")
    await store.open()
    writer = Writer((await store.raise_fences(["shard:1"]))[0])
    lengths = [60, 60, 200, 10]
    await store.commit([structs.replace(writer.unit(f"cu{n}"), body=b"x" * n) for n in lengths])
    await reader.open()
    assert [[r.position for r in await reader.read(after, 10)] for after in (0, 2, 3)] == [[1, 2], [3], [4]]
    await reader.close()
    await store.close()


async def test_where_an_empty_journal_begins_is_one_answer_though_it_is_written_meanwhile(tmp_path: Path) -> None:
    """The first commit falls between the reader's statements: read apart, they would say that position 1 is gone."""
    path = tmp_path / "journal.db"
    store = journal(path)
    await store.open()
    [fence] = await store.raise_fences(["shard:1"])
    unit, loop = Writer(fence).unit("cu1", "chat:1"), asyncio.get_running_loop()
    reader = SqliteJournalReader(path)
    await reader.open()

    def committing(statement: str) -> None:
        if "max(position)" in statement:
            asyncio.run_coroutine_threadsafe(store.commit([unit]), loop).result()

    assert reader._db is not None
    await reader._db.run(lambda db: db.set_trace_callback(committing))
    assert await reader.first_position() == 1
    await reader._db.run(lambda db: db.set_trace_callback(None))
    assert await reader.position() == 1
    await reader.close()
    await store.close()
