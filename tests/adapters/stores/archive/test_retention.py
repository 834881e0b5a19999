"""Retention in the archive: each kind by its own time, what is noted of it, and the same again after a rebuild."""

import asyncio
import json
import random
import sqlite3
from pathlib import Path

import msgspec
import pytest

from actors.archive.projection import project
from actors.cells import remains
from actors.state import journey as journeys
from actors.state import recent
from actors.state.journey import Journey
from adapters.stores.archive import retention as archive_retention
from adapters.stores.archive import search as archive_search
from adapters.stores.archive.memory import MemoryArchive
from adapters.stores.archive.quarantine import InputsWanted
from adapters.stores.archive.schema import TABLES
from adapters.stores.archive.sqlite import SqliteArchive
from adapters.stores.archive.steps.retention import NUMBERED, RETENTION_TABLES
from adapters.stores.connection import checkpoint
from protocol import events as ev
from protocol.archive import Bounds, Dropped
from protocol.entities import Tag
from tests.adapters.stores.archive.test_conformance import ANN, BOB
from tests.adapters.stores.dropping import drop_all, over_before
from tests.adapters.stores.story import HOUR_MS, Story, bodies

MAIL = "mailto:ann@example.org"
DAY_MS = 86_400_000
KEY = 2**64 - 5
"""Larger than what SQLite counts with: it must come out as it went in."""


async def followed(story: Story) -> MemoryArchive:
    """An archive that has all of the story."""
    archive = MemoryArchive()
    await archive.open()
    await archive.apply(project(story.records))
    return archive


def closed_story() -> Story:
    """Ann had one issue, which is over; an hour later Bob begins another."""
    story = Story()
    first = f"{ANN}-1"
    story.meet(ANN, MAIL, "email", "secret words", subject="Bill")
    said = ev.MessageReceived(
        at_ms=0, once=ev.Once(KEY, 9), interaction=1, channel="email", identity=MAIL, source="s", id="m1",
        provider_ms=0, text="secret words",
    )  # fmt: skip
    story.unit(ANN, (first, said))
    story.unit(ANN, (first, ev.NoteAdded(at_ms=0, actor="agent:bo", text="secret words")))
    story.unit(ANN, (first, ev.ConversationClosed(at_ms=0, reason="resolved")))
    story.now_ms += HOUR_MS
    story.meet(BOB, "mailto:bob@example.org", "email", "Where is the meter?")
    return story


async def rows_of(archive: MemoryArchive) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all tables that retention reaches."""
    return {table: sorted(await archive.rows(table), key=repr) for table in (*TABLES, *RETENTION_TABLES)}


async def test_once_keys_outlive_what_is_dropped_and_no_longer_than_they_are_asked_for() -> None:
    """Of the words only the key stays, at its place, for as long as a repeat is recognised."""
    story = closed_story()
    archive = await followed(story)
    young = over_before(story.now_ms, once_keys_ms=1)
    assert (await drop_all(archive, young))["closed_conversations"] == 1
    events = await archive.events_of_customer(ANN, 0)
    kept = [event for event in bodies(e.body for e in events) if isinstance(event, ev.FactDropped)]
    assert [event.once for event in kept] == [ev.Once(KEY, 9)]
    assert b"secret" not in b"".join(event.body for event in events)
    loaded = Journey(customer=ANN)
    for stored, event in zip(events, bodies(e.body for e in events), strict=True):
        remains.skip_to(loaded, stored.stream, stored.seq, event)
        journeys.evolve(loaded, stored.stream, event, msgspec.msgpack.encode(event))
    seen = loaded.once.get(KEY)
    assert seen is not None
    assert (seen.digest, seen.conversation) == (9, 1)
    # Nobody is shown what stands there in its place, neither from memory nor from the archive.
    (conversation,) = loaded.kept
    assert not any(b"FactDropped" in shown for shown in recent.events(conversation.recent))
    shown = await archive.events_of_stream(conversation.id, 0, 100)
    assert [type(event) for event in bodies(e.body for e in shown)] == [ev.ConversationOpened, ev.ConversationClosed]
    at_ms = kept[0].at_ms
    assert await drop_all(archive, msgspec.structs.replace(young, once_keys_ms=at_ms)) == {}
    assert await drop_all(archive, msgspec.structs.replace(young, once_keys_ms=at_ms + 1)) == {"once_keys": 1}


async def test_single_words_of_what_was_dropped_leave_the_file_within_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also the index's pages, of which SQLite only notes that nobody is to find them there: in as many steps as it has
    pages, and once a day where there is anything."""
    monkeypatch.setattr(archive_search, "STEP_PAGES", 1)
    story = closed_story()
    # Two pieces of several pages each, beside that of the first words: SQLite itself merges no fewer than four.
    some = random.Random(1)
    for n in range(2):
        story.meet(f"cu{n}", f"chat:{n}", "chat", " ".join(some.randbytes(5).hex() for _ in range(2000)))
    file = tmp_path / "archive.db"
    archive = SqliteArchive(file)
    await archive.open()
    for records in (story.records[:-2], story.records[-2:-1], story.records[-1:]):
        await archive.apply(project(records))
        while await archive.index():
            pass
    assert b"secret" in await on_disk(archive, file)
    await drop_all(archive, over_before(story.now_ms, at_ms=DAY_MS))
    assert b"secret" in await on_disk(archive, file)
    assert await steps_of(archive) > 5
    assert b"secret" not in await on_disk(archive, file)
    assert b"meter" in await on_disk(archive, file)
    assert await drop_all(archive, over_before(story.now_ms, at_ms=3 * DAY_MS)) == {}
    assert await steps_of(archive) == 0
    story.unit(BOB, (f"{BOB}-1", ev.ConversationClosed(at_ms=0, reason="resolved")))
    await archive.apply(project(story.records[-1:]))
    await steps_of(archive)
    assert (await drop_all(archive, over_before(story.now_ms + 1, at_ms=2 * DAY_MS - 1)))["closed_conversations"] == 1
    assert await steps_of(archive) == 0
    assert b"meter" in await on_disk(archive, file)
    await drop_all(archive, over_before(story.now_ms + 1, at_ms=2 * DAY_MS))
    assert await steps_of(archive) > 5
    assert b"meter" not in await on_disk(archive, file)
    await archive.close()


async def steps_of(archive: SqliteArchive) -> int:
    """How many steps of the full text there were to do, all done now."""
    steps = 0
    while await archive.index():
        steps += 1
    return steps


async def on_disk(archive: SqliteArchive, file: Path) -> bytes:
    """The bytes of the file and of its WAL, of which the file has all."""
    assert archive._db is not None
    await archive._db.run(checkpoint)
    held, wal = await asyncio.to_thread(lambda: (file.read_bytes(), file.with_name(f"{file.name}-wal").read_bytes()))
    assert not wal
    return held


async def test_each_kind_goes_by_its_own_time() -> None:
    """A dead letter by when it was given up, a refused input by when it was refused or came in."""
    story = closed_story()
    conversation = f"{BOB}-1"
    delivery = story.reply(BOB, conversation, 1, "mailto:bob@example.org", "email", "Which?")
    story.unit(BOB, (conversation, ev.DeliveryDead(at_ms=0, delivery=delivery, code="550", reason="no such box")))
    died_ms = story.now_ms
    own = "account:mail"
    for n in (1, 2):
        refused = ev.InputQuarantined(
            at_ms=0, quarantine=f"mail.{n}", account="mail", source="s", id=str(n), code=4203, field="f",
            reason="r", raw=b"secret", received_ms=1,
        )  # fmt: skip
        story.unit(own, (own, refused))
    refused_ms = story.now_ms
    story.now_ms += HOUR_MS
    story.unit(own, (own, ev.QuarantineReplayed(at_ms=0, quarantine="mail.2", stream=conversation, seq=9)))
    replayed_ms = story.now_ms
    archive = await followed(story)
    bounds = Bounds(at_ms=77, policy=3)
    assert await drop_all(archive, bounds) == {}
    dead = msgspec.structs.replace(bounds, dead_letters_ms=died_ms)
    assert await drop_all(archive, dead) == {}
    assert await drop_all(archive, msgspec.structs.replace(dead, dead_letters_ms=died_ms + 1)) == {"dead_letters": 1}
    assert await archive.outbox(["dead"], 9) == []
    assert await archive.dropped(archive_retention.DELIVERY, delivery) == Dropped(77, 3)
    replayed = msgspec.structs.replace(bounds, quarantine_replayed_ms=replayed_ms)
    assert await drop_all(archive, replayed) == {}
    replayed = msgspec.structs.replace(replayed, quarantine_replayed_ms=replayed_ms + 1)
    assert await drop_all(archive, replayed) == {"quarantine_replayed": 1}
    assert [row["quarantine"] for row in await archive.quarantine(InputsWanted())] == ["mail.1"]
    waiting = msgspec.structs.replace(bounds, quarantine_open_ms=refused_ms + 1)
    assert await drop_all(archive, waiting) == {"quarantine_open": 1}
    assert await archive.dropped(archive_retention.QUARANTINE, "mail.1") == Dropped(77, 3)
    assert await archive.dropped(archive_retention.CONVERSATION, conversation) is None
    assert [row["kind"] for row in await archive.retained()] == [
        "dead_letters",
        "quarantine_open",
        "quarantine_replayed",
    ]


@pytest.mark.parametrize("step_rows", [archive_retention.STEP_ROWS, 1])
async def test_a_rebuild_gives_the_rows_that_there_were(monkeypatch: pytest.MonkeyPatch, step_rows: int) -> None:
    """What was dropped, under two versions of the policy and with something said in between, is dropped again: in one
    step or in many."""
    monkeypatch.setattr(archive_retention, "STEP_ROWS", step_rows)
    story = closed_story()
    archive = await followed(story)
    await drop_all(archive, over_before(story.now_ms, at_ms=5, policy=2, once_keys_ms=1))
    after = story.position
    late = ev.DeliveryConfirmed(at_ms=0, delivery=f"{ANN}-1.4", status="read")
    story.unit(ANN, (f"{ANN}-1", late))
    story.unit(BOB, (f"{BOB}-1", ev.ConversationClosed(at_ms=0, reason="resolved")))
    story.now_ms += HOUR_MS
    await archive.apply(project(story.records[after:]))
    await drop_all(archive, over_before(story.now_ms, at_ms=6, policy=4, once_keys_ms=2))
    before = await rows_of(archive)
    await rebuild(archive, story)
    assert await rows_of(archive) == before
    assert await archive.dropped("conversation", f"{ANN}-1") == Dropped(5, 2)
    assert await archive.dropped("conversation", f"{BOB}-1") == Dropped(6, 4)


async def test_what_is_said_of_what_was_dropped_is_dropped_in_its_turn() -> None:
    """A note, a tag and what is only written down afterwards stay as long as the conversation did; also after a
    rebuild."""
    story = closed_story()
    first = f"{ANN}-1"
    archive = await followed(story)
    await drop_all(archive, over_before(story.now_ms, at_ms=5, policy=2))
    after = story.position
    topic = Tag(value="bill", tagger="agent", matched="bo")
    story.unit(
        ANN, (first, ev.InteractionTagged(at_ms=0, actor="agent:bo", interaction=1, topic=topic, keys=["claim:7"]))
    )
    for subject in ("", "secret roof", "Another"):
        story.unit(ANN, (first, story.message(1, MAIL, "email", "secret words", subject=subject)))
    story.unit(ANN, (first, ev.NoteAdded(at_ms=0, actor="agent:bo", text="secret words")))
    said_ms = story.now_ms
    await archive.apply(project(story.records[after:]))
    assert await drop_all(archive, over_before(said_ms, at_ms=6, policy=2)) == {}
    between = await rows_of(archive)
    assert between["interaction"] == [row for row in between["interaction"] if row[0] != first]
    assert "secret" in repr(between["event"])
    assert [row for row in between["conversation"] if "secret roof" in row] != []
    await rebuild(archive, story)
    assert await rows_of(archive) == between
    assert (await drop_all(archive, over_before(said_ms + 1, at_ms=7, policy=3)))["closed_conversations"] == 1
    dropped = await rows_of(archive)
    assert "secret" not in repr(dropped)
    assert [row for row in dropped["interaction_key"] if row[0] == first] == []
    assert await archive.dropped("conversation", first) == Dropped(5, 2)
    await rebuild(archive, story)
    assert await rows_of(archive) == dropped


async def test_what_a_person_says_of_a_dropped_delivery_does_not_bring_it_back() -> None:
    """Nobody knew whether it was sent, its conversation was over and dropped; that it was sent, as is said later, is no
    recipient's address. One that is queued since is another one."""
    story = Story()
    conversation = f"{ANN}-1"
    story.open(ANN, conversation, MAIL, "email", "Hello")
    held, later = [f"{conversation}.{seq}" for seq in (4, 7)]
    queued = ev.MessageQueued(
        at_ms=0, interaction=1, delivery=held, channel="email", account="mail", to=MAIL, text="hello"
    )
    story.unit(ANN, (conversation, queued))
    story.unit(ANN, (conversation, ev.ConversationClosed(at_ms=0)))
    archive = await followed(story)
    await drop_all(archive, over_before(story.now_ms + 1, at_ms=5, policy=2))
    after = story.position
    story.unit(ANN, (conversation, ev.DeliverySent(at_ms=0, actor="agent:bo", delivery=held)))
    story.unit(ANN, (conversation, msgspec.structs.replace(queued, delivery=later)))
    await archive.apply(project(story.records[after:]))
    between = await rows_of(archive)
    assert [row[0] for row in between["outbox"]] == [later]
    await rebuild(archive, story)
    assert await rows_of(archive) == between


async def test_a_timer_of_what_was_dropped_does_not_come_back_where_its_customer_was_merged_since() -> None:
    """The merge changed its row, if it had been there then: in an archive that is made anew it is."""
    story = closed_story()
    first = f"{ANN}-1"
    went_on = ev.InteractionWentOn(at_ms=0, interaction=1, rest_at_ms=story.now_ms + DAY_MS)
    story.unit(ANN, (first, went_on))
    archive = await followed(story)
    assert [row[0] for row in await archive.rows("timer")] == [first]
    await drop_all(archive, over_before(story.now_ms + 1, at_ms=5, policy=2))
    after = story.position
    story.unit(ANN, (ANN, ev.CustomerGiven(at_ms=0, actor="agent:bo", to=BOB, turn=1, members=[ANN])))
    merged = ev.CustomerMerged(at_ms=0, other=ANN, turn=1, given_at=after + 1, members=[ANN], identities=[MAIL])
    story.unit(BOB, (BOB, merged))
    await archive.apply(project(story.records[after:]))
    before = await rows_of(archive)
    assert before["timer"] == []
    await rebuild(archive, story)
    assert await rows_of(archive) == before


async def rebuild(archive: MemoryArchive, story: Story) -> None:
    """Makes it anew from the journal."""
    await archive.reset()
    await archive.apply(project(story.records))
    await archive.redrop()


def refused(quarantine: str) -> ev.InputQuarantined:
    """An input that lies in quarantine."""
    return ev.InputQuarantined(
        at_ms=0, quarantine=quarantine, account="mail", source="s", id="1", code=4203, field="f", reason="r",
        raw=b"secret", received_ms=1,
    )  # fmt: skip


def all_open(story: Story) -> Bounds:
    """To drop whatever lies there."""
    return Bounds(at_ms=77, policy=3, quarantine_open_ms=story.now_ms + 1)


async def test_a_replay_that_begins_as_its_input_is_dropped_leaves_no_words() -> None:
    """Whoever replays it has read it before; what it was edited to goes all the same, also after a rebuild."""
    story, own = closed_story(), "account:mail"
    story.unit(own, (own, refused("mail.1")))
    archive = await followed(story)
    assert await drop_all(archive, all_open(story)) == {"quarantine_open": 1}
    after = story.position
    story.unit(own, (own, ev.ReplayBegun(at_ms=0, quarantine="mail.1", raw=b"edited")))
    story.unit(own, (own, ev.ReplayRefused(at_ms=0, quarantine="mail.1", code=4203, reason="r")))
    await archive.apply(project(story.records[after:]))
    begun = [json.loads(row[-1]) for row in await archive.rows("event") if row[4] == "ReplayBegun"]
    assert [body["raw"] for body in begun] == [""]
    assert await archive.rows("quarantine") == []
    dropped = await rows_of(archive)
    await rebuild(archive, story)
    assert await rows_of(archive) == dropped


@pytest.mark.parametrize("edited", [b"edited", b""])
async def test_a_replay_in_another_stream_goes_with_its_input(edited: bytes) -> None:
    """Of an input of somebody who was merged since, the replay is a fact of whom they were merged with."""
    story, theirs, ours = closed_story(), "cu-theirs", "cu-ours"
    story.unit(theirs, (theirs, refused("cu-theirs.1")))
    story.unit(ours, (ours, ev.ReplayBegun(at_ms=0, quarantine="cu-theirs.1", raw=edited)))
    story.unit(ours, (ours, ev.ReplayRefused(at_ms=0, quarantine="cu-theirs.1", code=4203, reason="r")))
    archive = await followed(story)
    assert await drop_all(archive, all_open(story)) == {"quarantine_open": 1}
    begun = [json.loads(row[-1]) for row in await archive.rows("event") if row[4] == "ReplayBegun"]
    assert [body.get("raw", "") for body in begun] == [""]
    dropped = await rows_of(archive)
    await rebuild(archive, story)
    assert await rows_of(archive) == dropped


async def test_a_step_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much is over, a step drops so many and says that there may be more."""
    story = Story()
    for n in range(1, 6):
        story.open(ANN, f"{ANN}-{n}", MAIL, "email", "Hello")
        story.unit(ANN, (f"{ANN}-{n}", ev.ConversationClosed(at_ms=0)))
    archive = await followed(story)
    monkeypatch.setattr(archive_retention, "STEP_ROWS", 2)
    bounds = over_before(story.now_ms + 1)
    steps = [await archive.drop(bounds) for _ in range(4)]
    assert [step.get("closed_conversations", 0) for step in steps] == [2, 2, 1, 0]


async def test_the_newest_version_of_the_policy_is_found() -> None:
    """By the archive alone, for who starts with it."""
    story = Story()
    archive = await followed(closed_story())
    assert await archive.policy() is None
    for version in (2, 3):
        applied = ev.PolicyApplied(at_ms=0, version=version, files={}, body=bytes([version]))
        story.unit("policy", ("policy", applied))
    archive = await followed(story)
    assert await archive.policy() == (3, b"\x03")


async def test_notes_of_single_things_are_kept_for_some_years() -> None:
    """A conversation's for as long as its row."""
    story = closed_story()
    own = "account:mail"
    story.unit(own, (own, refused("mail.1")))
    archive = await followed(story)
    now_ms = story.now_ms + 1
    await drop_all(archive, over_before(now_ms, at_ms=now_ms))
    edge_ms = now_ms + archive_retention.NOTES_MS
    await drop_all(archive, over_before(1, at_ms=edge_ms))
    assert await archive.dropped("quarantine", "mail.1") is not None
    await drop_all(archive, over_before(1, at_ms=edge_ms + 1))
    assert await archive.dropped("quarantine", "mail.1") is None
    assert await archive.dropped("conversation", f"{ANN}-1") is not None


NUMBERS = "SELECT seq, type, body FROM event WHERE stream = ? AND seq >= 5 ORDER BY seq"


async def test_the_newest_fact_of_what_is_dropped_stays_for_its_number() -> None:
    """Also one that came after the closing, such as a provider's report: whoever loads the stream counts on from it.
    Its once-key goes when that is over; and it goes itself once a later one was dropped."""
    story, first = closed_story(), f"{ANN}-1"
    archive = await followed(story)

    async def confirmed(key: int) -> None:
        event = ev.DeliveryConfirmed(at_ms=0, once=ev.Once(key, 9), delivery=f"{first}.3", status="read")
        story.unit(ANN, (first, event))
        await archive.apply(project(story.records[-1:]))

    async def numbers() -> list[tuple[int, str, bool]]:
        rows = await archive._opened().run(lambda db: db.execute(NUMBERS, (first,)).fetchall())
        return [(seq, kind, "once" in body) for seq, kind, body in rows]

    await confirmed(1)
    *_, (closed, *_), (head, *_) = await numbers()
    for once_keys_ms, keyed in ((1, True), (story.now_ms + 1, False)):
        await drop_all(archive, over_before(story.now_ms + 1, once_keys_ms=once_keys_ms))
        assert await numbers() == [(closed, "ConversationClosed", False), (head, "FactDropped", keyed)]
    await confirmed(2)
    await drop_all(archive, over_before(story.now_ms + 1))
    assert await numbers() == [(closed, "ConversationClosed", False), (head + 1, "FactDropped", False)]


async def test_what_stays_for_its_number_is_not_gone_through_again() -> None:
    """An index has those alone whose once-keys are still to end, however many others there are."""
    archive = MemoryArchive()
    await archive.open()
    db = archive._opened().db
    for sql in (archive_retention._DELETE_KEYS, archive_retention._EMPTY_KEYS):
        plan = db.execute(f"EXPLAIN QUERY PLAN {sql}", (1, 1)).fetchall()
        assert "SEARCH event USING INDEX event_keyed (at_ms<?)" in [step for *_, step in plan]


async def test_what_an_earlier_program_dropped_is_numbered_to_its_end() -> None:
    """It left the closing as the newest fact, whatever had come after it."""
    story, first = closed_story(), f"{ANN}-1"
    story.unit(ANN, (first, ev.DeliveryConfirmed(at_ms=0, delivery=f"{first}.3", status="read")))
    archive = await followed(story)
    await drop_all(archive, over_before(story.now_ms + 1))

    def migrated(db: sqlite3.Connection) -> list[tuple[int, ...]]:
        db.execute("DELETE FROM event WHERE type = 'FactDropped'")
        for statement in (*NUMBERED, *NUMBERED):
            db.execute(statement)
        sql = "SELECT max(seq), head FROM event JOIN conversation ON conversation = stream WHERE stream = ?"
        return db.execute(sql, (first,)).fetchall()

    [(newest, head)] = await archive._opened().run(migrated)
    assert newest == head
