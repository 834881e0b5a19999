"""The campaign's checks see what they are there to see: each planted fault is found, and a sound story has none."""

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from actors.archive.archive import rebuild
from adapters.stores.archive.sqlite import SqliteArchive
from adapters.stores.journal.schema import JOURNAL
from adapters.stores.journal.sqlite_reader import SqliteJournalReader
from adapters.stores.migrations import migrate
from orchestrator.client import ConversationUpdate
from protocol.events import (
    AnyEvent,
    ConversationOpened,
    DeliveryAttempted,
    DeliveryDead,
    DeliverySent,
    DeliveryUncertain,
    MessageQueued,
    MessageReceived,
    NoteAdded,
    Once,
)
from protocol.frames import Result
from protocol.journal import Entry
from tests.faults.arrivals import fates, judged
from tests.faults.evidence import archive_follows, commands_kept, words_kept
from tests.faults.traffic import Record
from tests.faults.truth import Truth
from tests.faults.watchers import View

CONVERSATION = "cu1-1"
OPENED = ConversationOpened(at_ms=1, customer="cu1", queue="default", once=Once(7, 0))


def heard(text: str, key: int = 0) -> MessageReceived:
    """A customer's words on the chat."""
    return MessageReceived(
        at_ms=1, interaction=1, channel="chat", identity="web:1", source="s", id=text, provider_ms=1, text=text,
        once=Once(key, 0) if key else None,
    )  # fmt: skip


def queued(text: str) -> MessageQueued:
    """A reply that is to leave."""
    return MessageQueued(
        at_ms=1, interaction=1, delivery=f"{CONVERSATION}.{text}", channel="chat", account="chat", to="web:1", text=text
    )


Written = tuple[str, int, int, list[tuple[int, AnyEvent]]]
"""A unit: its scope, epoch and batch, and its events with their numbers, all of one conversation."""


def journal(folder: Path, *units: Written) -> Truth:
    """A journal's file with these units, read."""
    with closing(sqlite3.connect(folder / "journal.sqlite", isolation_level=None)) as db:
        migrate(db, JOURNAL)
        db.execute("INSERT INTO meta VALUES ('generation', 'g')")
        for position, (scope, epoch, batch, events) in enumerate(units, 1):
            entries = [Entry(CONVERSATION, seq, msgspec.Raw(msgspec.msgpack.encode(event))) for seq, event in events]
            body = msgspec.msgpack.encode(entries)
            row = (position, scope, epoch, batch, "cu1", 1, None, len(entries), body)
            db.execute("INSERT INTO unit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    return Truth(folder).read()


SOUND: tuple[Written, ...] = (
    ("shard:1", 1, 1, [(1, OPENED), (2, heard("a 1", 8))]),
    ("shard:1", 2, 1, [(3, heard("a 2", 9))]),
    ("shard:1", 2, 2, [(4, queued("answer 1"))]),
)


def test_a_sound_journal_has_no_faults(tmp_path: Path) -> None:
    """What a server writes over two lives of a cell."""
    truth = journal(tmp_path, *SOUND)
    assert truth.faults == []
    assert (truth.position, truth.heads) == (3, {CONVERSATION: 4})


@pytest.mark.parametrize(
    ("unit", "fault"),
    [
        (("shard:1", 2, 3, [(6, heard("a 3"))]), "number 6 follows 4"),
        (("shard:1", 2, 3, [(4, heard("a 3"))]), "number 4 follows 4"),
        (("shard:1", 1, 2, [(5, heard("a 3"))]), "1.2 follows 2.2"),
        (("shard:1", 2, 2, [(5, heard("a 3"))]), "2.2 follows 2.2"),
        (("shard:1", 2, 3, [(5, heard("a 3", 9))]), "a second effect"),
    ],
)
def test_a_gap_a_fork_and_a_double_are_seen(tmp_path: Path, unit: Written, fault: str) -> None:
    """A missing number, one given twice, a stale writer, a batch again, an input's second effect."""
    [found] = journal(tmp_path, *SOUND, unit).faults
    assert fault in found


def said(*words: str) -> Record:
    """These words were sent on the chat, in this order, and acked."""
    record = Record()
    record.said, record.sent, record.acked = {"a": list(words)}, dict.fromkeys(words, 0.0), dict.fromkeys(words, 0.0)
    return record


@pytest.mark.parametrize(
    ("record", "fault"),
    [
        (said("a 1", "a 2"), ""),
        (said("a 1", "a 2", "a 3"), "'a 3' was acked and is not in the journal"),
        (said("a 2", "a 1"), "not in its order"),
        (said("a 1"), "nobody said it"),
    ],
)
def test_a_lost_and_an_invented_word_are_seen(tmp_path: Path, record: Record, fault: str) -> None:
    """Acked and not kept, kept and never said, kept in another order."""
    found = words_kept(record, journal(tmp_path, *SOUND))
    assert [fault in each for each in found] == ([True] if fault else [])


def test_a_word_kept_twice_is_seen(tmp_path: Path) -> None:
    """Under another once-key: the words alone tell."""
    truth = journal(tmp_path, *SOUND, ("shard:1", 2, 3, [(5, heard("a 2", 10))]))
    assert words_kept(said("a 1", "a 2"), truth) == ["'a 2' is in the journal 2 times"]


@pytest.mark.parametrize(
    ("result", "fault"),
    [
        (Result(id="1", conversation=CONVERSATION, seq=4), ""),
        (Result(id="1", conversation="cu2-1", seq=4), "was answered as cu2-1 4"),
        (Result(id="1", conversation=CONVERSATION, seq=5), f"is at {CONVERSATION} 4"),
    ],
)
def test_a_command_that_is_not_where_its_result_says_is_seen(tmp_path: Path, result: Result, fault: str) -> None:
    """Another conversation, another place."""
    record = Record()
    record.asked, record.results = {"answer 1"}, {"answer 1": result}
    found = commands_kept(record, journal(tmp_path, *SOUND))
    assert [fault in each for each in found] == ([True] if fault else [])


def test_a_command_lost_doubled_or_invented_is_seen(tmp_path: Path) -> None:
    """An answered one that is not there, one that happened twice, one that nobody asked for."""
    record = Record()
    record.asked = {"answer 1", "answer 2"}
    record.results = {"answer 2": Result(id="2", conversation=CONVERSATION, seq=9)}
    note = NoteAdded(at_ms=1, text="answer 1")
    found = commands_kept(record, journal(tmp_path, *SOUND, ("shard:1", 2, 3, [(5, note)])))
    assert len(found) == 2
    record.asked = {"answer 2"}
    assert any("nobody asked" in each for each in commands_kept(record, journal_again(tmp_path)))


def journal_again(folder: Path) -> Truth:
    """The same file, read anew."""
    return Truth(folder).read()


async def archive(folder: Path) -> None:
    """The archive of the journal in `folder`, as the server's would be."""
    reader, store = SqliteJournalReader(folder / "journal.sqlite"), SqliteArchive(folder / "archive.sqlite")
    await reader.open()
    await store.open()
    await rebuild(reader, store, lambda position, head: None)
    await store.close()
    await reader.close()


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        ("", ""),
        ("UPDATE meta SET value = 2 WHERE key = 'position'", "is at 2, the journal at 3"),
        ("DELETE FROM event WHERE seq = 3", "table event"),
        ("UPDATE conversation SET head = 3", "table conversation"),
        ("INSERT INTO searchable VALUES (1, 'cu-nowhere', 7)", "an event that is not there"),
    ],
)
async def test_an_archive_that_is_not_the_journal_s_is_seen(tmp_path: Path, damage: str, fault: str) -> None:
    """Behind, a row short, a row that is another, full text of what is not there."""
    truth = journal(tmp_path, *SOUND)
    await archive(tmp_path)
    with closing(sqlite3.connect(tmp_path / "archive.sqlite", isolation_level=None)) as db:
        db.execute(damage)
    found = await archive_follows(tmp_path, truth, tmp_path)
    assert [fault in each for each in found] == ([True] if fault else [])


DELIVERY = queued("x").delivery
SENT = DeliverySent(at_ms=2, delivery=DELIVERY)
DOUBT = DeliveryUncertain(at_ms=2, delivery=DELIVERY, reason="?", retry_at_ms=3)
HELD = DeliveryUncertain(at_ms=2, delivery=DELIVERY, reason="?")
HELD_FOR_EARLIER = msgspec.structs.replace(HELD, earlier=True)
DEAD = DeliveryDead(at_ms=2, delivery=DELIVERY, code="1", reason="no")
TRIED = DeliveryAttempted(at_ms=2, delivery=DELIVERY, attempt=1)


@pytest.mark.parametrize(
    ("story", "arrived", "sound"),
    [
        ([TRIED, SENT], 1, True),
        ([TRIED, SENT], 2, False),
        ([TRIED, SENT], 0, False),
        ([TRIED, DOUBT, TRIED, SENT], 2, True),
        ([TRIED, DOUBT, TRIED, SENT], 3, False),
        ([TRIED, HELD], 0, True),
        ([TRIED, HELD], 1, True),
        ([TRIED, DEAD], 0, True),
        ([TRIED, DEAD], 1, False),
        ([TRIED, DOUBT, TRIED, DEAD], 1, False),
        ([TRIED, DOUBT, TRIED, HELD_FOR_EARLIER], 1, True),
        ([TRIED, DOUBT, TRIED, HELD_FOR_EARLIER], 3, False),
        ([TRIED], 1, False),
    ],
)
def test_a_delivery_is_sent_once_or_visibly_doubted(story: list[AnyEvent], arrived: int, sound: bool) -> None:
    """Twice without a doubt, never though it is said to be sent, sent though it is said to be dead, never settled."""
    assert (judged(fates([queued("x"), *story]), Counter({"x": arrived})) == []) is sound


def update(seq: int, *events: AnyEvent, skipped: int = 0) -> ConversationUpdate:
    """What the SDK hands out."""
    return ConversationUpdate(conversation=CONVERSATION, generation="g", seq=seq, events=list(events), skipped=skipped)


@pytest.mark.parametrize(
    ("updates", "sound"),
    [
        ([update(1, OPENED), update(2, heard("a 1"))], True),
        ([update(5, heard("a 1"), skipped=4), update(6, heard("a 2"))], True),
        ([update(1, OPENED), update(3, heard("a 1"))], False),
        ([update(1, OPENED), update(1, OPENED)], False),
        ([update(1, OPENED), update(5, heard("a 1"), skipped=3)], False),
    ],
)
def test_a_view_that_is_no_prefix_is_seen(updates: list[ConversationUpdate], sound: bool) -> None:
    """A gap, an event twice, events passed over after the first look."""
    view = View("ann")
    for each in updates:
        view.take(each)
    assert (view.faults == []) is sound


def test_a_view_that_is_not_the_journal_s_is_seen() -> None:
    """Other words, and more than there is; and one that has not come to the head."""
    view = View("ann")
    view.take(update(2, OPENED, heard("a 1")))
    assert view.compared({CONVERSATION: [OPENED, heard("a 1")]}) == []
    assert len(view.compared({CONVERSATION: [OPENED, heard("a 2")]})) == 1
    assert len(view.compared({CONVERSATION: [OPENED]})) == 1
    assert view.behind({CONVERSATION: 2, "cu1": 9}) == []
    assert view.behind({CONVERSATION: 3}) == [CONVERSATION]
