"""The timeline and its full text, on SQLite and in memory alike."""

import sqlite3
from time import process_time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.stores.archive import timeline
from adapters.stores.archive.memory import MemoryArchive
from adapters.stores.archive.schema import ARCHIVE
from adapters.stores.archive.search import SEARCH_SCHEMA, STEP_EVENTS, SUBJECTS
from adapters.stores.archive.timeline import ASKED_AT_THE_COST_OF, Before, EntriesWanted, fts_query
from adapters.stores.migrations import migrate
from protocol import events as ev
from protocol.entities import Interaction
from tests.adapters.stores.archive.test_conformance import ANN, BOB, Archive, archive
from tests.adapters.stores.dropping import drop_all, over_before
from tests.adapters.stores.story import HOUR_MS, Story

__all__ = ["archive"]  # The fixture, for both kinds of archive.

FIRST = f"{ANN}-1"


def told() -> Story:
    """Ann mails about her bill, is answered and noted, then texts; Bob has a bill too."""
    story = Story()
    story.meet(ANN, "mailto:ann@example.org", "email", "My électricity bill is wrong", subject="Bill of March")
    story.meet(BOB, "chat:bob", "chat", "My bill is wrong as well")
    story.now_ms += HOUR_MS
    story.reply(ANN, FIRST, 1, "mailto:ann@example.org", "email", "Which meter is it?")
    story.unit(ANN, (FIRST, ev.NoteAdded(at_ms=0, actor="agent:bo", text="Meter 4711 was read twice")))
    story.now_ms += HOUR_MS
    sms = "tel:+447700900123"
    story.unit(ANN, (FIRST, story.contact(2, sms, "sms")), (FIRST, story.message(2, sms, "sms", "Meter 4711, please")))
    return story


async def indexed(archive: Archive, story: Story) -> None:
    """The archive and its full text, at the story's end."""
    await archive.follow(story)
    while await archive.store.index():
        pass


async def look(archive: Archive, limit: int = 100, before: Before | None = None, **wanted: Any) -> list[dict[str, Any]]:
    """Ann's entries."""
    entries = await archive.reader.timeline(ANN, EntriesWanted(**wanted), limit=limit, before=before)
    assert entries is not None
    return entries


def texts(entries: list[dict[str, Any]]) -> list[str]:
    """What was said."""
    return [entry["event"]["text"] for entry in entries if "text" in entry["event"]]


async def test_everything_of_a_customer_comes_newest_first(archive: Archive) -> None:
    """Their own stream and their conversations', and nobody else's."""
    story = told()
    await archive.follow(story)
    entries = await look(archive)
    mine = [(s, seq, type(e).__name__) for s, seq, e in story.events if s in (ANN, FIRST)]
    assert [(e["stream"], e["seq"], e["type"]) for e in entries] == mine[::-1]
    assert await archive.reader.timeline("cunobody", EntriesWanted(), limit=10) is None


async def test_a_contact_that_went_to_its_own_customer_is_in_their_timeline(archive: Archive) -> None:
    """As after an unmerge: what was said in it stays journaled where it was said, and is not the other's any more."""
    story, second, sms = told(), f"{BOB}-2", "tel:+447700900123"
    contact = Interaction(number=1, channel="sms", account="sms", identity=sms, origins=((FIRST, 2),))
    story.unit(
        ANN,
        (FIRST, ev.InteractionMoved(at_ms=0, interaction=2, to=second, number=1)),
        (second, ev.ConversationOpened(at_ms=0, customer=BOB, queue="q")),
        (second, ev.InteractionReceived(at_ms=0, interaction=contact, came_from=FIRST)),
    )
    await indexed(archive, story)
    assert texts(await look(archive)) == [
        "Meter 4711 was read twice",
        "Which meter is it?",
        "My électricity bill is wrong",
    ]
    assert await look(archive, q="please") == []
    assert await look(archive, channel="sms") == []
    theirs = await archive.reader.timeline(BOB, EntriesWanted(), limit=100)
    assert theirs is not None
    assert texts(theirs) == ["Meter 4711, please", "My bill is wrong as well"]
    assert {(entry["stream"], entry["type"]) for entry in theirs if entry["stream"] == FIRST} == {
        (FIRST, "InteractionStarted"),
        (FIRST, "MessageReceived"),
    }
    found = await archive.reader.timeline(BOB, EntriesWanted(q="please"), limit=100)
    assert found is not None
    assert [entry["found"] for entry in found] == ["Meter 4711, [please]"]


async def test_refused_input_itself_is_not_in_the_timeline(archive: Archive) -> None:
    """It is an operator's to look at, in quarantine; that there is some is not."""
    story = told()
    refused = ev.InputQuarantined(
        at_ms=0, quarantine=f"{ANN}.9", account="chat", source="s", id="1", code=4200, field="", reason="r", raw=b"w"
    )
    story.unit(ANN, (ANN, refused))
    await archive.follow(story)
    entry = (await look(archive))[0]
    assert (entry["event"]["quarantine"], "raw" in entry["event"]) == (f"{ANN}.9", False)


@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_pages_join_without_a_gap(archive: Archive, limit: int) -> None:
    """By the place of a page's last entry, also where one came in late."""
    story = told()
    story.unit(ANN, (FIRST, late(story)))
    await archive.follow(story)
    whole, found, before = await look(archive), [], None
    while page := await look(archive, limit, before):
        found += page
        before = (page[-1]["happened_at_ms"], page[-1]["position"], page[-1]["n"])
    assert found == whole


def late(story: Story) -> ev.MessageReceived:
    """A text that Ann sent half an hour after her mail, and that lay in quarantine until now."""
    text = story.message(2, "tel:+447700900123", "sms", "It is far too high")
    return msgspec.structs.replace(text, provider_ms=story.now_ms - 3 * HOUR_MS // 2)


async def test_what_came_in_late_stands_where_it_happened(archive: Archive) -> None:
    """Between what was said before and after it, by its own time, which filters go by; a clock's difference moves
    nothing."""
    story = told()
    story.unit(ANN, (FIRST, late(story)))
    await archive.follow(story)
    entries = await look(archive)
    assert texts(entries) == [
        "Meter 4711, please",
        "Meter 4711 was read twice",
        "Which meter is it?",
        "It is far too high",
        "My électricity bill is wrong",
    ]
    (found,) = [entry for entry in entries if entry["event"].get("text") == "It is far too high"]
    assert (found["at_ms"], found["happened_at_ms"]) == (story.now_ms, story.now_ms - 3 * HOUR_MS // 2)
    then = await look(archive, from_ms=story.now_ms - 2 * HOUR_MS + 1, until_ms=story.now_ms - HOUR_MS)
    assert texts(then) == ["It is far too high"]


async def test_a_search_is_narrowed_by_channel_type_and_time(archive: Archive) -> None:
    """By channel, also where only the contact has one; by type; by time."""
    story = told()
    await archive.follow(story)
    assert texts(await look(archive, channel="sms")) == ["Meter 4711, please"]
    assert {e["channel"] for e in await look(archive, channel="email")} == {"email"}
    assert texts(await look(archive, types=["NoteAdded"])) == ["Meter 4711 was read twice"]
    assert texts(await look(archive, from_ms=story.now_ms)) == ["Meter 4711, please"]
    assert texts(await look(archive, until_ms=story.now_ms - HOUR_MS)) == ["My électricity bill is wrong"]


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("bill", ["My électricity bill is wrong"]),
        ("ELECTRICITY", ["My électricity bill is wrong"]),
        ("march", ["My électricity bill is wrong"]),
        ("meter 4711", ["Meter 4711, please", "Meter 4711 was read twice"]),
        ('"4711 was"', ["Meter 4711 was read twice"]),
        ("electr*", ["My électricity bill is wrong"]),
        ("electr", []),
        ("bill OR meter", []),
        ("???", []),
        ('"', []),
    ],
)
@pytest.mark.parametrize("cost", [ASKED_AT_THE_COST_OF, 0])
async def test_words_are_searched(
    archive: Archive, q: str, found: list[str], cost: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All must occur, in one message or note of this customer; what looks like an operator is a word. So it is, whether
    the words are looked for first or the customer's messages."""
    monkeypatch.setattr(timeline, "ASKED_AT_THE_COST_OF", cost)
    await indexed(archive, told())
    assert texts(await look(archive, q=q)) == found


async def test_beginnings_of_words_are_gathered_once() -> None:
    """As often as a customer had messages they were, while every other read waited."""
    story = told()
    for first in range(0, 20_000, 40):
        text = " ".join(f"b{number:05}" for number in range(first, first + 40))
        story.unit(ANN, (FIRST, ev.NoteAdded(at_ms=0, actor="agent:bo", text=text)))
    archive = MemoryArchive()
    await archive.open()
    await archive.apply(story.changes())
    while await archive.index():
        pass
    began_s = process_time()
    entries = await archive.timeline(ANN, EntriesWanted(q="b000* b* b00*"), limit=100, before=None)
    assert process_time() - began_s < 0.5
    assert entries is not None
    assert [entry["event"]["text"][:6] for entry in entries] == ["b00080", "b00040", "b00000"]


@pytest.mark.parametrize(("q", "found"), [("meter", 100), ("saffron", 1), ("absent", 0), ('"bill mine"', 0)])
async def test_of_a_customer_with_thousands_of_messages_few_are_asked_for_words(q: str, found: int) -> None:
    """Those that have the words are; and only those of the page are read whole."""
    archive = await _thousands()
    steps = _counted(archive)
    entries = await archive.timeline(ANN, EntriesWanted(q=q), limit=100, before=None)
    assert entries is not None
    assert len(entries) == found
    assert all(entry["found"] for entry in entries)
    assert len(steps) < 250, "thousands of steps: with each of 3,000 messages asked for the words they are 370 to 710"


async def test_a_few_messages_are_asked_for_words_that_many_have() -> None:
    """Bob has one, and thousands of Ann's have the word."""
    archive = await _thousands()
    steps = _counted(archive)
    assert await archive.timeline(BOB, EntriesWanted(q="meter"), limit=100, before=None) == []
    assert len(steps) < 5


async def _thousands() -> MemoryArchive:
    """Ann has 3,000 messages, in each of which `meter` is, and in one `saffron`."""
    story = told()
    for n in range(3_000):
        story.say(ANN, FIRST, 1, "mailto:ann@example.org", "email", f"My meter {n}" + " saffron" * (n == 1_500))
    archive = MemoryArchive()
    await archive.open()
    await archive.apply(story.changes())
    while await archive.index():
        pass
    return archive


def _counted(archive: MemoryArchive) -> list[int]:
    """Gets a number for each thousand steps that SQLite takes from here on."""
    steps: list[int] = []
    archive._opened().db.set_progress_handler(lambda: steps.append(1), 1_000)
    return steps


async def test_a_subject_that_no_message_has_is_found_where_its_conversation_begins(archive: Archive) -> None:
    """As those of calls and of imported contacts; a mail's is its message's, and found once."""
    story = told()
    opened = ev.ConversationOpened(at_ms=0, customer=ANN, queue="bills", subject="Überflutung im Keller")
    story.unit(ANN, (f"{ANN}-2", opened), (f"{ANN}-2", story.contact(1, "tel:+447700900123", "phone")))
    await indexed(archive, story)
    [entry] = await look(archive, q="keller uber*")
    assert (entry["stream"], entry["type"], entry["found"]) == (
        f"{ANN}-2", "ConversationOpened", "[Überflutung] im [Keller]",
    )  # fmt: skip
    assert [entry["type"] for entry in await look(archive, q="march")] == ["MessageReceived"]


async def test_what_was_found_is_shown_in_its_place(archive: Archive) -> None:
    """The words around it, with a mark."""
    await indexed(archive, told())
    [entry] = await look(archive, q="twice")
    assert entry["found"] == "Meter 4711 was read [twice]"


async def test_the_index_follows_in_steps_with_a_position_of_its_own(archive: Archive) -> None:
    """Each looks at a bounded number of events, or one unit; a step after the end does nothing."""
    story = told()
    for n in range(STEP_EVENTS):
        story.unit(ANN, (FIRST, story.message(2, "tel:+447700900123", "sms", f"word{n}")))
    await archive.follow(story)
    assert await archive.reader.searched() == 0
    assert await look(archive, q="meter") == []
    looked = [await archive.store.index()]
    assert len(await look(archive, q="meter")) == 3
    assert await look(archive, q=f"word{STEP_EVENTS - 1}") == []
    looked += [await archive.store.index(), await archive.store.index()]
    assert (looked[0], looked[2]) == (STEP_EVENTS, 0)
    assert sum(looked) == len(story.events)
    assert await archive.reader.searched() == story.position
    assert len(await look(archive, q=f"word{STEP_EVENTS - 1}")) == 1


async def test_retention_takes_the_words_out_of_the_index() -> None:
    """With the conversation they were said in; what is left is still found, and the index is sound."""
    story = told()
    opened = ev.ConversationOpened(at_ms=0, customer=BOB, queue="bills", subject="A call about a bill")
    story.unit(BOB, (f"{BOB}-2", opened), (f"{BOB}-2", ev.ConversationClosed(at_ms=0)))
    story.unit(BOB, (f"{BOB}-1", ev.ConversationClosed(at_ms=0)))
    archive = MemoryArchive()
    await archive.open()
    await archive.apply(story.changes())
    while await archive.index():
        pass
    await drop_all(archive, over_before(story.now_ms + 1))
    check = "INSERT INTO search (search, rank) VALUES ('integrity-check', 1)"
    db = archive._opened().db
    db.execute(check)
    assert db.execute("SELECT count(*) FROM search WHERE search MATCH 'bill'").fetchone() == (1,)
    assert await archive.index() == 0
    await archive.reset()
    assert (await archive.searched(), await archive.index()) == (0, 0)


async def test_a_vacuum_does_not_confuse_it() -> None:
    """It may number the events anew."""
    story = told()
    story.unit(ANN, (FIRST, ev.ConversationClosed(at_ms=0)))
    archive = MemoryArchive()
    await archive.open()
    await archive.apply(story.changes())
    while await archive.index():
        pass
    await drop_all(archive, over_before(story.now_ms + 1))
    archive._opened().db.execute("VACUUM")
    before = story.position
    story.unit(BOB, (f"{BOB}-1", story.message(1, "chat:bob", "chat", "still wrong")))
    await archive.apply(story.changes(before))
    assert await archive.index() == 1
    entries = await archive.timeline(BOB, EntriesWanted(q="wrong"))
    assert entries is not None
    assert texts(entries) == ["still wrong", "My bill is wrong as well"]


async def test_an_older_archive_is_indexed_anew() -> None:
    """One whose index was made before subjects were in it finds them as soon as the steps have come by."""
    story = told()
    story.unit(BOB, (f"{BOB}-2", ev.ConversationOpened(at_ms=0, customer=BOB, queue="bills", subject="A call")))
    archive = MemoryArchive()
    await archive.open()
    await archive.apply(story.changes())
    db = archive._opened().db
    before = ARCHIVE.steps.index(SUBJECTS)
    for index in ("event_replay", "conversation_closed", "event_keyed"):  # Of later steps.
        db.execute(f"DROP INDEX {index}")
    db.execute("DROP VIEW said")
    db.execute(next(step for step in SEARCH_SCHEMA if "VIEW said" in step))
    db.execute("UPDATE meta SET value = ? WHERE key = 'searched'", (story.position,))
    db.execute(f"PRAGMA user_version = {before}")
    migrate(db, ARCHIVE)
    while await archive.index():
        pass
    found = await archive.timeline(BOB, EntriesWanted(q="call"))
    assert found is not None
    assert [entry["type"] for entry in found] == ["ConversationOpened"]
    db.execute("INSERT INTO search (search, rank) VALUES ('integrity-check', 1)")


async def test_a_step_does_not_read_what_is_indexed_already() -> None:
    """However much there is: it is taken several times a second beside the load."""
    story = told()
    archive = MemoryArchive()
    await archive.open()
    await archive.apply(story.changes())
    db = archive._opened().db
    many = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 20000) "
    columns = [row[1] for row in db.execute("PRAGMA table_info(event)")]
    values = {"position": "? + i", "stream": "'x'", "seq": "i", "body": "'{}'", "type": "'OwnerChanged'"}
    made = ", ".join(values.get(column, "0") for column in columns)
    db.execute(f"{many} INSERT INTO event SELECT {made} FROM n", (story.position,))
    db.execute("UPDATE meta SET value = ? WHERE key = 'searched'", (story.position + 20_000,))
    turns = 0

    def turn() -> int:
        nonlocal turns
        turns += 1
        return 0

    db.set_progress_handler(turn, 1_000)
    assert await archive.index() == 0
    assert turns < 10, "a thousand operations each"


@given(st.text(max_size=40))
def test_whatever_is_typed_is_a_query(q: str) -> None:
    """FTS5 never calls it a fault."""
    db = sqlite3.connect(":memory:")
    db.execute("CREATE VIRTUAL TABLE t USING fts5 (x)")
    db.execute("SELECT * FROM t WHERE t MATCH ?", (fts_query(q),)).fetchall()
    db.close()
