"""What only the archive's file can show."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from adapters.stores import migrations
from adapters.stores.archive import lists
from adapters.stores.archive import queries as archive_queries
from adapters.stores.archive.schema import ARCHIVE
from adapters.stores.archive.sqlite import SqliteArchive, SqliteArchiveReader
from adapters.stores.errors import StoreFailed, StoreTooNew
from adapters.stores.migrations import Schema
from protocol import events as ev
from protocol.inbound import Attachment
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
    await archive.apply(story.changes())
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


async def test_the_first_versions_file_is_brought_up_to_date(tmp_path: Path) -> None:
    """Its rows stay, and what came since has its tables."""
    first = Schema(ARCHIVE.name, ARCHIVE.application_id, ARCHIVE.steps[:1])
    with closing(sqlite3.connect(tmp_path / "archive.db", isolation_level=None)) as db:
        migrations.migrate(db, first)
        db.execute("INSERT INTO customer VALUES ('cu1', 5, 1)")
    archive = SqliteArchive(tmp_path / "archive.db")
    await archive.open()
    assert archive._db is not None
    assert await archive._db.run(lambda db: db.execute("SELECT * FROM customer").fetchall()) == [("cu1", 5, 1, "")]
    assert await archive._db.run(archive_queries.handoffs, "cu1-1") == []
    await archive.close()


async def test_a_takers_list_is_found_by_the_index_of_open_offers(tmp_path: Path) -> None:
    """It grows with what is offered now, not with all that ever was."""
    archive = SqliteArchive(tmp_path / "archive.db")
    await archive.open()
    assert archive._db is not None
    steps = await _plan(archive, list="owner:bob")
    assert any("handoff USING" in step and "handoff_by_taker (offered_to=?)" in step for step in steps), steps
    assert any(step.startswith("SEARCH h USING PRIMARY KEY (conversation=?)") for step in steps), steps
    await archive.close()


@pytest.mark.parametrize("before", [None, (1_700_000_000_000, "cu1-1")])
@pytest.mark.parametrize("status", ["", "closed", "open"])
async def test_a_list_of_all_conversations_reads_a_page_of_those_that_are_over(
    tmp_path: Path, status: str, before: tuple[int, str] | None
) -> None:
    """By an index, from the newest on; those that are not over are as many as what people have to do."""
    archive = SqliteArchive(tmp_path / "archive.db")
    await archive.open()
    steps = await _plan(archive, status=status, before=before)
    of_closed = [step for step in steps if "conversation_closed" in step]
    assert len(of_closed) == (status != "open"), steps
    assert ("SEARCH c USING PRIMARY KEY (conversation=?)" in steps) == (status != "closed"), steps
    assert "SCAN c" not in steps, steps
    await archive.close()


async def _plan(archive: SqliteArchive, **selection: Any) -> list[str]:
    """How SQLite finds the conversations."""
    assert archive._db is not None
    statements: list[str] = []
    await archive._db.run(lambda db: db.set_trace_callback(statements.append))
    await archive._db.run(lists.conversations, **selection)
    await archive._db.run(lambda db: db.set_trace_callback(None))
    plan = await archive._db.run(lambda db: db.execute(f"EXPLAIN QUERY PLAN {statements[0]}").fetchall())
    return [str(step[-1]) for step in plan]


async def test_an_older_file_learns_what_each_source_said(tmp_path: Path) -> None:
    """From its events, as if it had been made anew; what stood in it goes on standing."""
    path, ann = tmp_path / "archive.db", "cuann0000000000000"
    story = Story()
    talk = story.meet(ann, "chat:ann", "chat", "hello")
    for channel, actor, value in (("chat", "agent:ann", 1), ("chat", "agent:bob", "2"), ("sms", "agent:ann", 3.5)):
        said = ev.ContextSet(at_ms=0, actor=actor, key="bill", value=value, channel=channel, version=story.seq(talk))
        story.unit(ann, (talk, said))
    new = SqliteArchive(tmp_path / "new.db")
    await new.open()
    await new.apply(story.changes())
    await new.close()
    path.write_bytes((tmp_path / "new.db").read_bytes())
    with closing(sqlite3.connect(path)) as db, closing(sqlite3.connect(tmp_path / "new.db")) as made:
        rows = "SELECT * FROM {} ORDER BY 1, 2, 3, 4"
        expected = [made.execute(rows.format(table)).fetchall() for table in ("context_item", "context_value")]
        for table in ("context_value", "context_withheld", "channel_switch"):
            db.execute(f"DROP TABLE {table}")
        for column in ("verified", "rule"):
            db.execute(f"ALTER TABLE context_item DROP COLUMN {column}")
        step = next(n for n, step in enumerate(ARCHIVE.steps) if any("context_value" in sql for sql in step))
        later = [sql for steps in ARCHIVE.steps[step + 1 :] for sql in steps if sql.startswith("ALTER TABLE context_")]
        for sql in (*ARCHIVE.steps[step], *later):
            db.execute(sql)
        assert [db.execute(rows.format(table)).fetchall() for table in ("context_item", "context_value")] == expected
    assert len(expected[1]) == 2


async def test_a_closed_archive_is_whole_in_its_one_file(tmp_path: Path) -> None:
    """Also while a reader has it open."""
    archive, reader = SqliteArchive(tmp_path / "archive.db"), SqliteArchiveReader(tmp_path / "archive.db")
    await archive.open()
    await reader.open()
    story = Story()
    story.meet("cuann0000000000000", "chat:ann", "chat", "hello")
    await archive.apply(story.changes())
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


SEEN = ev.ActivitySeen(
    at_ms=0, actor="customer", interaction=1, channel="web", identity="web:7", provider_ms=5, name="bill.viewed"
)
AWAY = ev.AutomaticReplyReceived(
    at_ms=0, actor="account:mail", interaction=1, channel="email", identity="mailto:ann@example.org", source="smtp",
    id="m", provider_ms=6, text="Away", reference="m@x",
)  # fmt: skip
BILL = ev.MessageReceived(
    at_ms=0, actor="customer", interaction=1, channel="email", identity="mailto:ann@example.org", source="smtp",
    id="b", provider_ms=7, text="It's 5 €", subject="Bill", attachments=[Attachment(name="bill.pdf", size_bytes=7)],
)  # fmt: skip
NOW_MS = 1_700_000_000_000


async def test_words_and_activity_are_rows_to_whoever_asks(tmp_path: Path) -> None:
    """Each kind of message in the columns that `docs/data-model.md` names, found by its conversation's index."""
    archive, story = SqliteArchive(tmp_path / "archive.db"), Story(NOW_MS)
    story.open("cu1", "cu1-1", "web:7", "web", "Hello")
    story.unit("cu1", ("cu1-1", BILL), ("cu1-1", AWAY), ("cu1-1", SEEN))
    story.reply("cu1", "cu1-1", 1, "web:7", "web", "Well?")
    await archive.open()
    await archive.apply(story.changes())
    await archive.close()
    with closing(sqlite3.connect(tmp_path / "archive.db")) as db:
        messages = db.execute("SELECT * FROM message WHERE seq > 3 AND conversation = 'cu1-1' ORDER BY seq").fetchall()
        activity = db.execute("SELECT * FROM activity WHERE stream = 'cu1-1'").fetchall()
        plan = db.execute("EXPLAIN QUERY PLAN SELECT text FROM message WHERE conversation = 'cu1-1'").fetchone()
    mail, file = "mailto:ann@example.org", '[{"name":"bill.pdf","size_bytes":7}]'
    assert messages == [
        ("cu1-1", 4, 1, "inbound", "email", mail, "customer", 0, NOW_MS, 7, "Bill", "It's 5 €", file, "", None, 2),
        ("cu1-1", 5, 1, "inbound", "email", mail, "account:mail", 1, NOW_MS, 6, "", "Away", None, "m@x", None, 2),
        ("cu1-1", 7, 1, "outbound", "web", "web:7", "agent:ann", 0, NOW_MS, None, "", "Well?", None, "", "cu1-1.7", 3),
    ]  # fmt: skip
    assert activity == [("cu1-1", 6, 1, "web", "web:7", NOW_MS, 5, "bill.viewed", "{}", 2)]
    assert "USING INDEX event_by_stream (stream=?)" in plan[-1]
