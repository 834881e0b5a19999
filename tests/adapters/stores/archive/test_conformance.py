"""What every archive store does, on SQLite and in memory alike."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, TypedDict, Unpack

import msgspec
import pytest

from actors.archive.projection import project
from adapters.stores.archive import pages
from adapters.stores.archive.memory import MemoryArchive
from adapters.stores.archive.quarantine import InputsWanted
from adapters.stores.archive.sides import ArchiveReads, ArchiveWrites
from adapters.stores.archive.sqlite import SqliteArchive, SqliteArchiveReader
from adapters.stores.archive.timeline import EntriesWanted
from adapters.stores.errors import StoreFailed, StoreLocked
from protocol import events as ev
from protocol.archive import Changes, Due, StoredJourney, StoredSnapshot, StoredVersion
from protocol.entities import (
    CarryOver,
    ConversationSummary,
    Interaction,
    PriorAction,
    Relation,
    RelationKind,
    Status,
    Tag,
)
from protocol.handoffs import HandoffPackage, PackageItem
from protocol.inbound import Attachment
from protocol.links import SnapshotTaken
from protocol.shards import shard_of
from tests.adapters.stores.dropping import drop_all, over_before
from tests.adapters.stores.story import HOUR_MS, MINUTE_MS, Story, bodies

ANN, BOB = "cuann0000000000000", "cubob0000000000000"


class Archive(NamedTuple):
    """An archive's writer and a reader of it."""

    store: ArchiveWrites
    reader: ArchiveReads
    open: Callable[[], Awaitable[int]]
    close: Callable[[], Awaitable[None]]

    async def follow(self, story: Story, after: int = 0) -> None:
        """Brings the archive to the story's end."""
        await self.store.apply(story.changes(after))


@pytest.fixture(params=["sqlite", "memory"])
async def archive(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Archive]:
    """An empty archive of each kind."""
    if request.param == "memory":
        memory = MemoryArchive()
        assert await memory.open() == 0
        yield Archive(memory, memory, memory.open, memory.close)
        await memory.close()
        return
    store, reader = SqliteArchive(tmp_path / "archive.db"), SqliteArchiveReader(tmp_path / "archive.db")
    assert await store.open() == 0
    await reader.open()
    yield Archive(store, reader, store.open, store.close)
    await reader.close()
    await store.close()


@pytest.fixture
def story() -> Story:
    """Ann mails, Bob chats; Ann is answered, snoozed, and has a second conversation."""
    story = Story()
    first = story.meet(ANN, "mailto:ann@example.org", "email", "My bill is wrong", subject="Bill")
    story.meet(BOB, "chat:bob", "chat", "hello", queue="sales")
    story.now_ms += HOUR_MS
    story.reply(ANN, first, 1, "mailto:ann@example.org", "email", "Which month?")
    story.unit(ANN, (first, ev.OwnerChanged(at_ms=0, actor="agent:ann", owner="ann")))
    story.unit(ANN, (first, ev.ConversationSnoozed(at_ms=0, actor="agent:ann", until_ms=story.now_ms + HOUR_MS)))
    story.now_ms += MINUTE_MS
    relation = Relation(kind=RelationKind.FOLLOWS_UP, conversation=first, reason="another question")
    story.open(ANN, f"{ANN}-2", "mailto:ann@example.org", "email", "And now?", subject="Next", relation=relation)
    return story


async def test_position_moves_with_the_rows(archive: Archive, story: Story) -> None:
    """Both are there, or neither."""
    await archive.follow(story)
    assert await archive.reader.position() == story.position
    await archive.close()
    assert await archive.open() == story.position


async def test_a_customers_events_come_back_in_the_journals_order(archive: Archive, story: Story) -> None:
    """From all streams of the customer, none of another's, and after a position only the newer."""
    await archive.follow(story)
    events = await archive.reader.events_of_customer(ANN, 0)
    mine = [(stream, seq, event) for stream, seq, event in story.events if stream.startswith(ANN)]
    assert [(e.stream, e.seq) for e in events] == [(stream, seq) for stream, seq, _ in mine]
    assert bodies(e.body for e in events) == [event for _, _, event in mine]
    assert events == sorted(events, key=lambda e: e.position)
    later = await archive.reader.events_of_customer(ANN, 5)
    assert later == [e for e in events if e.position > 5]
    assert {e.stream for e in later} == {f"{ANN}-1", f"{ANN}-2"}


async def test_the_policys_versions_are_listed_without_what_is_in_them(archive: Archive, story: Story) -> None:
    """In pages, ascending; a note that nobody wrote is empty."""
    for version, note in ((2, "hours"), (3, ""), (4, "back to version 2")):
        files, actor = {"general.yaml": "attempts_max: 3\n"}, f"operator:o{version}"
        applied = ev.PolicyApplied(at_ms=0, actor=actor, version=version, files=files, body=b"rules", note=note)
        story.unit("policy", ("policy", applied))
    await archive.follow(story)
    assert await archive.reader.policy_versions(1, 2) == [
        StoredVersion(3, story.now_ms, "operator:o3", ""),
        StoredVersion(4, story.now_ms, "operator:o4", "back to version 2"),
    ]
    assert [each.version for each in await archive.reader.policy_versions(0, 2)] == [2, 3]
    assert await archive.reader.policy_versions(3, 2) == []


async def test_a_streams_events_are_read_in_pages(archive: Archive, story: Story) -> None:
    """By seq, ascending."""
    await archive.follow(story)
    page = await archive.reader.events_of_stream(f"{ANN}-1", 1, 2)
    assert [e.seq for e in page] == [2, 3]
    assert [e.seq for e in await archive.reader.events_of_stream(f"{ANN}-1", 3, 10)] == [4, 5, 6, 7]


async def test_following_in_pieces_makes_the_same_rows(archive: Archive, story: Story) -> None:
    """However the records are cut into batches, the archive is the same."""
    whole = MemoryArchive()
    await whole.open()
    await whole.apply(story.changes())
    for record in story.records:
        await archive.store.apply(project([record]))
    for customer in (ANN, BOB):
        assert await archive.reader.journey(customer) == await whole.journey(customer)
    assert await archive.reader.conversations() == await whole.conversations()
    assert await archive.reader.counts() == await whole.counts()
    await whole.close()


async def test_lists_hold_what_waits(archive: Archive, story: Story) -> None:
    """A queue's and an owner's open and snoozed conversations; a customer's of any status; newest change first."""
    story.unit(ANN, (f"{ANN}-2", ev.ConversationResolved(at_ms=0, close_at_ms=story.now_ms + HOUR_MS)))
    await archive.follow(story)
    first = ConversationSummary(
        conversation=f"{ANN}-1",
        customer=ANN,
        head=7,
        status=Status.SNOOZED,
        queue="bills",
        owner="ann",
        subject="Bill",
        channel="email",
        updated_at_ms=story.now_ms - MINUTE_MS,
    )
    assert await archive.reader.conversations(list="queue:bills") == [first]
    assert await archive.reader.conversations(list="owner:ann") == [first]
    assert await archive.reader.conversations(list="owner:nobody") == []
    assert await _ids(archive, list=f"customer:{ANN}") == [f"{ANN}-2", f"{ANN}-1"]
    assert await _ids(archive, customer=ANN, status="resolved") == [f"{ANN}-2"]
    page = await archive.reader.conversations(limit=2)
    assert [row.conversation for row in page] == [f"{ANN}-2", f"{ANN}-1"]
    assert await _ids(archive, before=(page[-1].updated_at_ms, page[-1].conversation)) == [f"{BOB}-1"]


@pytest.mark.parametrize("status", ["", "open", "resolved", "closed"])
async def test_all_conversations_are_listed_page_by_page(archive: Archive, status: str) -> None:
    """Those that are over between those that are not, by their newest change; of one time, by their ids."""
    story, random = Story(), Random(status)
    states: dict[str, tuple[int, str]] = {}
    for n in range(40):
        customer = f"cu{random.randrange(10**6):06}{n:02}"
        conversation = story.meet(customer, f"chat:{customer}", "chat", "hello")
        states[conversation] = story.now_ms, "open"
    for _ in range(80):
        conversation = random.choice(sorted(states))
        _, state = states[conversation]
        fact: ev.AnyEvent = ev.NoteAdded(at_ms=0, actor="agent:ann", text="as ever")
        if state == "open" and random.random() < 0.4:
            state, fact = "resolved", ev.ConversationResolved(at_ms=0, actor="agent:ann", close_at_ms=1)
        elif state == "resolved":
            state, fact = "closed", ev.ConversationClosed(at_ms=0, actor="system")
        story.now_ms += random.randrange(2)
        states[conversation] = story.now_ms, state
        story.unit(conversation.removesuffix("-1"), (conversation, fact))
    await archive.follow(story)
    wanted = [each for each, (_, state) in states.items() if state == status or not status]
    listed: list[ConversationSummary] = []
    while page := await archive.reader.conversations(
        status=status, limit=3, before=(listed[-1].updated_at_ms, listed[-1].conversation) if listed else None
    ):
        listed += page
    assert [row.conversation for row in listed] == sorted(
        wanted, key=lambda each: (states[each][0], each), reverse=True
    )
    assert all((row.updated_at_ms, row.status.value) == states[row.conversation] for row in listed)


async def test_a_conversation_is_shown_with_its_parts(archive: Archive, story: Story) -> None:
    """Contacts, context, relations and deliveries."""
    item = ev.ContextSet(at_ms=0, actor="agent:ann", key="invoice", value=1, version=1)
    story.unit(ANN, (f"{ANN}-2", item))
    await archive.follow(story)
    first, second = [await archive.reader.conversation(f"{ANN}-{n}") for n in (1, 2)]
    assert first is not None
    assert second is not None
    assert [i["channel"] for i in first["interactions"]] == ["email"]
    assert [(d["delivery"], d["state"], d["attempt"]) for d in first["deliveries"]] == [(f"{ANN}-1.4", "attempting", 1)]
    assert [(r["earlier"], r["kind"]) for r in second["relations"]] == [(f"{ANN}-1", "follows_up")]
    assert [(c["key"], c["value"]) for c in second["context"]] == [("invoice", 1)]
    assert await archive.reader.conversation("nobody-1") is None


async def test_a_journey_is_a_customer_with_everything(archive: Archive, story: Story) -> None:
    """Identities with their evidence, and the conversations in order."""
    await archive.follow(story)
    journey = await archive.reader.journey(ANN)
    assert journey is not None
    assert [(i["identity"], i["evidence"], i["verified"]) for i in journey["identities"]] == [
        ("mailto:ann@example.org", "first_contact", 1)
    ]
    assert [c["conversation"] for c in journey["conversations"]] == [f"{ANN}-1", f"{ANN}-2"]
    assert await archive.reader.journey("cunobody") is None


async def test_a_page_has_so_many_bytes(archive: Archive, story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A customer's messages may each have 256 KiB: fewer of them are given, and it is said that there are more."""
    await archive.follow(story)
    whole = await archive.reader.events_of_stream(f"{ANN}-1", 0, 100)
    entries = await archive.reader.timeline(ANN, EntriesWanted())
    said = await archive.reader.messages_of(f"{ANN}-1", 1)
    assert entries is not None
    assert said is not None
    assert not any(each.more for each in (whole, entries, said))
    monkeypatch.setattr(pages, "PAGE_BYTES_MAX", 1)
    page = await archive.reader.events_of_stream(f"{ANN}-1", 0, 100)
    assert (page, page.more) == (whole[:1], True)
    newest = await archive.reader.timeline(ANN, EntriesWanted())
    assert newest is not None
    assert (newest, newest.more) == (entries[:1], True)
    first = await archive.reader.messages_of(f"{ANN}-1", 1)
    assert first is not None
    assert (first, first.more) == (said[:1], True)


async def test_a_journey_comes_a_page_at_a_time(archive: Archive, story: Story) -> None:
    """A customer may have thousands of conversations; none is told twice, and who they are each time."""
    await archive.follow(story)
    whole = await archive.reader.journey(ANN)
    assert whole is not None
    first, second = whole["conversations"]
    page = await archive.reader.journey(ANN, limit=1)
    assert page == whole | {"conversations": [first]}
    after = (first["opened_at_ms"], first["conversation"])
    assert await archive.reader.journey(ANN, limit=1, after=after) == whole | {"conversations": [second]}
    assert await archive.reader.journey(ANN, limit=0) == whole | {"conversations": []}


async def test_due_names_each_customer_once(archive: Archive, story: Story) -> None:
    """The nearest timer counts; only the asker's shards, only up to the moment, the nearest first."""
    story.unit(BOB, (f"{BOB}-1", ev.ConversationSnoozed(at_ms=0, until_ms=story.now_ms - MINUTE_MS)))
    await archive.follow(story)
    attempted_ms = story.now_ms - MINUTE_MS
    both = [shard_of(ANN), shard_of(BOB)]
    everyone = [Due(ANN, attempted_ms), Due(BOB, attempted_ms)]
    assert sorted(await archive.reader.due(both, story.now_ms, 10), key=lambda d: d.customer) == everyone
    assert await archive.reader.due(both[1:], story.now_ms, 10) == everyone[1:]
    assert len(await archive.reader.due(both, story.now_ms, 1)) == 1
    assert await archive.reader.due(both, attempted_ms - 1, 10) == []


async def test_who_waits_for_someone_to_take_a_delivery_is_found(archive: Archive) -> None:
    """By shard, each customer and account once; not what failed otherwise, nor what is under way again."""
    story = Story()
    for customer in (ANN, BOB):
        conversation = story.meet(customer, f"web:{customer}", "chat", "hello")
        for n in (1, 2):
            delivery = story.reply(customer, conversation, 1, f"web:{customer}", "chat", f"hi {n}")
            failed = ev.DeliveryFailed(
                at_ms=0, delivery=delivery, code="no_taker", reason="", retry_at_ms=story.now_ms + HOUR_MS, untaken=True
            )
            story.unit(customer, (conversation, failed))
    story.unit(BOB, (conversation, ev.DeliveryAttempted(at_ms=0, delivery=delivery, attempt=2)))
    late = story.reply(ANN, f"{ANN}-1", 1, f"web:{ANN}", "app", "hi")
    other = ev.DeliveryFailed(at_ms=0, delivery=late, code="500", reason="", retry_at_ms=story.now_ms)
    story.unit(ANN, (f"{ANN}-1", other))
    await archive.follow(story)
    found = await archive.reader.untaken([shard_of(ANN), shard_of(BOB)], 10)
    assert sorted(found) == [(ANN, "chat"), (BOB, "chat")]
    assert await archive.reader.untaken([shard_of(ANN)], 10) == [(ANN, "chat")]
    assert len(await archive.reader.untaken([shard_of(ANN), shard_of(BOB)], 1)) == 1


async def test_who_is_there_is_known(archive: Archive, story: Story) -> None:
    """Customers, also one of whom retention left little, and accounts of which something was refused."""
    story.unit(BOB, (f"{BOB}-1", ev.ConversationClosed(at_ms=0, reason="resolved")))
    story.unit("account:mail", ("account:mail", _quarantined("mail.1", b"raw")))
    await archive.follow(story)
    assert await drop_all(archive.store, over_before(story.now_ms + 1)) != {}
    named = {ANN, BOB, "account:mail", "account:sms", "cunobody", f"{ANN[:-1]}", "", "cu\0"}
    assert await archive.reader.known(named) == {ANN, BOB, "account:mail"}
    assert await archive.reader.known([]) == set()


async def test_a_load_begins_with_one_look(archive: Archive, story: Story) -> None:
    """The newest snapshot, and the events after it; all of them where there is none."""
    await archive.follow(story)
    events = await archive.reader.events_of_customer(ANN, 0)
    assert await archive.reader.stored(ANN) == StoredJourney(story.position, None, events)
    await archive.store.save_snapshots([SnapshotTaken(ANN, 5, b"five")])
    later = [event for event in events if event.position > 5]
    assert await archive.reader.stored(ANN) == StoredJourney(story.position, StoredSnapshot(5, b"five"), later)
    assert await archive.reader.stored("cunobody") == StoredJourney(story.position, None, [])


async def test_the_newest_snapshot_is_kept(archive: Archive) -> None:
    """An older one that comes late changes nothing."""
    await archive.store.save_snapshots([SnapshotTaken(ANN, 5, b"five"), SnapshotTaken(BOB, 2, b"two")])
    await archive.store.save_snapshots([SnapshotTaken(ANN, 4, b"four"), SnapshotTaken(BOB, 3, b"three")])
    assert (await archive.reader.stored(ANN)).snapshot == StoredSnapshot(5, b"five")
    assert (await archive.reader.stored(BOB)).snapshot == StoredSnapshot(3, b"three")
    assert (await archive.reader.stored("cunobody")).snapshot is None


async def test_no_snapshot_has_what_retention_dropped(archive: Archive) -> None:
    """They go with it: of whose it was, of who has it, and of all who had it in between. One that comes afterwards and
    still has words of it is not taken, and it is said of what."""
    story = Story()
    one, two, three = "cu1", "cu2", "cu3"
    first = story.meet(one, "tel:+1", "phone", "secret words")
    others = story.meet(BOB, "tel:+9", "phone", "other words")
    for member, to in ((one, two), (two, three)):
        story.unit(member, (member, ev.CustomerGiven(at_ms=0, actor="agent:ann", to=to, turn=1, members=[member])))
    story.unit(three, (first, ev.ConversationClosed(at_ms=0, reason="resolved")))
    story.now_ms += HOUR_MS
    await archive.follow(story)
    taken = [SnapshotTaken(each, 1, b"secret", (first,)) for each in (one, two, three)]
    other = SnapshotTaken(BOB, 1, b"other", (others,))
    assert await archive.store.save_snapshots([*taken, other]) == set()
    assert (await drop_all(archive.store, over_before(story.now_ms)))["closed_conversations"] == 1
    for customer, left in ((one, None), (two, None), (three, None), (BOB, StoredSnapshot(1, b"other"))):
        assert (await archive.reader.stored(customer)).snapshot == left
    late = SnapshotTaken(three, 9, b"secret", (others, first))
    newer = SnapshotTaken(BOB, 9, b"newer", (others,))
    assert await archive.store.save_snapshots([late, newer]) == {first}
    assert (await archive.reader.stored(three)).snapshot is None
    assert (await archive.reader.stored(BOB)).snapshot == StoredSnapshot(9, b"newer")
    await archive.store.save_snapshots([SnapshotTaken(three, 9, b"emptied", (others,))])
    assert (await archive.reader.stored(three)).snapshot == StoredSnapshot(9, b"emptied")


async def test_open_reviews_of_identities_are_listed_with_whose_they_are(archive: Archive) -> None:
    """Those of identities that came to the customer after all, and closed ones, are not; the page after goes on."""
    story = Story()
    for customer, identity, verified in (("cu1", "tel:+1", True), ("cu9", "crm:9", False)):
        linked = ev.IdentityLinked(at_ms=0, actor="agent:x", identity=identity, evidence="login", verified=verified)
        story.unit(customer, (customer, linked))
    for customer, identity, other, kind in (
        ("cu2", "tel:+1", "cu1", "merge"),
        ("cu3", "crm:9", "cu9", "conflict"),
        ("cu4", "crm:9", "cu9", "conflict"),
        ("cu5", "web:5", "", "weak"),
        ("cu6", "web:6", "", "unlinked"),
    ):
        story.now_ms += 1
        found = ev.IdentityConflictFound(
            at_ms=0, actor="account:chat", identity=identity, other=other, kind=kind, evidence="login", verified=True
        )
        story.unit(customer, (customer, found))
    linked = ev.IdentityLinked(at_ms=0, actor="agent:x", identity="web:5", evidence="agent")
    story.unit("cu5", ("cu5", linked))
    story.unit("cu6", ("cu6", ev.IdentityReviewClosed(at_ms=0, actor="agent:x", identity="web:6", reason="old")))
    await archive.follow(story)
    rows = await archive.reader.identity_reviews(shared_after=2)
    shown = [(row["customer"], row["kind"], row["owner"], row["claimants"]) for row in rows]
    # Both customers have shown the number to be theirs: no case for a guess. Three claim the CRM's one.
    assert shown == [("cu4", "shared", "cu9", 3), ("cu3", "shared", "cu9", 3), ("cu2", "conflict", "cu1", 2)]
    last = rows[0]
    before = (last["found_at_ms"], last["customer"], last["identity"], last["other"])
    assert await archive.reader.identity_reviews(shared_after=2, before=before) == rows[1:]
    (first,) = await archive.reader.identity_reviews(shared_after=3, limit=1)
    assert first["kind"] == "conflict"
    await drop_all(archive.store, over_before(story.now_ms + 1))
    assert await archive.reader.identity_reviews(shared_after=2) == []


async def test_quarantine_keeps_the_input_whole(archive: Archive) -> None:
    """Listed without its bytes, newest first; read with them; marked when it came in after all."""
    story = Story()
    for n in range(3):
        story.now_ms += MINUTE_MS
        story.unit("account:mail", ("account:mail", _quarantined(f"mail.{n + 1}", b"\x00raw\xff")))
    story.unit("account:mail", ("account:mail", ev.QuarantineReplayed(at_ms=0, quarantine="mail.1")))
    story.unit("account:mail", ("account:mail", ev.QuarantineReplayed(at_ms=0, quarantine="mail.99")))
    await archive.follow(story)
    page = await archive.reader.quarantine(InputsWanted(account="mail"), limit=2)
    assert [(row["quarantine"], row["raw_bytes"]) for row in page] == [("mail.3", 5), ("mail.2", 5)]
    before = (page[-1]["at_ms"], page[-1]["quarantine"])
    rest = await archive.reader.quarantine(InputsWanted(), before=before)
    assert [(row["quarantine"], row["replayed_at_ms"]) for row in rest] == [("mail.1", story.now_ms)]
    assert await archive.reader.quarantine(InputsWanted(account="sms")) == []
    whole = await archive.reader.quarantined("mail.2")
    assert whole is not None
    assert whole["raw"] == b"\x00raw\xff"
    assert await archive.reader.quarantined("mail.99") is None
    assert (await archive.reader.counts())["customers"] == 0


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, [4, 3, 2, 1]),
        ({"account": "chat"}, [4]),
        ({"code": 4204}, [2]),
        ({"field": "contract"}, [4, 3]),
        ({"rule": "capture:mail"}, [3]),
        ({"since_ms": 3}, [4, 3]),
        ({"until_ms": 2}, [2, 1]),
        ({"since_ms": 2, "until_ms": 3, "field": "contract"}, [3]),
        ({"waiting": True}, [4, 3, 2]),
        ({"waiting": True, "rule": "schema"}, [2]),
    ],
)
async def test_quarantine_is_filtered(archive: Archive, wanted: dict[str, Any], found: list[int]) -> None:
    """By account, code, field, rule, age, and whether it waits still; each alone and together."""
    story = Story()
    kinds: list[dict[str, Any]] = [
        {},
        {"code": 4204, "field": "identities", "rule": "schema"},
        {"field": "contract", "rule": "capture:mail"},
        {"field": "contract", "rule": "capture:chat", "account": "chat"},
    ]
    for n, kind in enumerate(kinds, start=1):
        story.now_ms = n
        kept = msgspec.structs.replace(_quarantined(f"q.{n}", b"x"), **kind)
        story.unit("account:mail", ("account:mail", kept))
    story.unit("account:mail", ("account:mail", ev.QuarantineReplayed(at_ms=0, quarantine="q.1")))
    await archive.follow(story)
    rows = await archive.reader.quarantine(InputsWanted(**wanted))
    assert [int(row["quarantine"].partition(".")[2]) for row in rows] == found


async def test_a_replay_shows_its_form_and_what_became_of_it(archive: Archive) -> None:
    """Begun with an edit, refused, begun as it was kept, and in; files that an edit names stay."""
    story, name = Story(), "a" * 64
    own = "account:mail"
    story.unit(own, (own, _quarantined("mail.1", b"x")))
    story.unit(own, (own, ev.ReplayBegun(at_ms=0, quarantine="mail.1", raw=f'{{"sha256":"{name}"}}'.encode())))
    await archive.follow(story)
    position = story.position
    row = await archive.reader.quarantined("mail.1")
    assert row is not None
    assert (row["replaying_at_ms"], name.encode() in row["edited"]) == (story.now_ms, True)
    assert await archive.store.attached({name}) == {name}
    story.unit(own, (own, ev.ReplayRefused(at_ms=0, quarantine="mail.1", code=4200, reason="no", field="f")))
    story.unit(own, (own, ev.ReplayBegun(at_ms=0, quarantine="mail.1")))
    await archive.follow(story, position)
    position = story.position
    row = await archive.reader.quarantined("mail.1")
    assert row is not None
    assert (row["replaying_at_ms"], row["edited"], row["refused_field"]) == (story.now_ms, None, "f")
    story.unit(own, (own, ev.QuarantineReplayed(at_ms=0, quarantine="mail.1", stream="cu1-1", seq=3)))
    await archive.follow(story, position)
    row = await archive.reader.quarantined("mail.1")
    assert row is not None
    assert (row["replaying_at_ms"], row["replayed_stream"], row["replayed_seq"]) == (None, "cu1-1", 3)


async def test_retention_takes_edits_too(archive: Archive) -> None:
    """Their words are as personal as what came; those of what stays, stay."""
    story, own = Story(), "account:mail"
    story.unit(own, (own, _quarantined("mail.1", b"secret words")))
    story.unit(own, (own, ev.ReplayBegun(at_ms=0, quarantine="mail.1", raw=b"secret words")))
    then = story.now_ms
    story.now_ms += HOUR_MS
    story.unit(own, (own, _quarantined("mail.3", b"secret words")))
    story.unit(own, (own, ev.ReplayBegun(at_ms=0, quarantine="mail.3", raw=b"secret words")))
    await archive.follow(story)
    await drop_all(archive.store, over_before(then + 1))
    left = [b"c2VjcmV0" in event.body for event in await archive.reader.events_of_stream(own, 0, 9)]
    assert left == [False, False, True, True]


async def test_a_missing_field_is_shown_until_it_is_known(archive: Archive, story: Story) -> None:
    """With the template and the policy that want it."""
    conversation = f"{ANN}-1"
    missing = ev.FieldMissing(
        at_ms=0, policy=4, field="contract", interaction=1, channel="chat", template="chat", action="ask_agent"
    )
    story.unit(ANN, (conversation, missing))
    await archive.follow(story)
    position = story.position
    row = await archive.reader.conversation(conversation)
    assert row is not None
    [shown] = row["missing"]
    assert (shown["field"], shown["template"], shown["policy"]) == ("contract", "chat", 4)
    assert (shown["known_at_ms"], shown["delivery"]) == (None, "")
    for nothing in (None, "", " \t\n", "\u3000\u2003\x0b"):
        story.now_ms += MINUTE_MS
        story.unit(ANN, (conversation, ev.ContextSet(at_ms=0, key="contract", value=nothing)))
        await archive.follow(story, position)
        position = story.position
        row = await archive.reader.conversation(conversation)
        assert row is not None
        assert row["missing"][0]["known_at_ms"] is None, "nothing is not known"
    story.now_ms += MINUTE_MS
    story.unit(ANN, (conversation, ev.ContextSet(at_ms=0, key="contract", value="B1234")))
    await archive.follow(story, position)
    row = await archive.reader.conversation(conversation)
    assert row is not None
    assert row["missing"][0]["known_at_ms"] == story.now_ms


async def test_a_missing_field_is_shown_where_its_contact_is(archive: Archive, story: Story) -> None:
    """And is known by what was said of that contact, wherever that is journaled; home again, it is as it was."""
    home, away = f"{ANN}-1", f"{ANN}-9"
    contact = Interaction(number=1, channel="sms", account="sms", identity="tel:+447700900123", origins=((home, 7),))
    missing, bill = (
        ev.FieldMissing(at_ms=0, field="topic", interaction=7, channel="sms", template="sms", action="ask_agent"),
        Tag(value="bill"),
    )
    gap_seq = story.seq(home) + 2
    story.unit(ANN, (home, story.contact(7, contact.identity, "sms")), (home, missing))
    story.now_ms += MINUTE_MS
    tagged_ms = story.now_ms
    story.unit(ANN, (home, ev.InteractionTagged(at_ms=0, interaction=7, topic=bill)))
    story.now_ms += MINUTE_MS
    story.unit(
        ANN,
        (away, ev.ConversationOpened(at_ms=0, customer=ANN, queue="bills")),
        (home, ev.InteractionMoved(at_ms=0, interaction=7, to=away, number=1)),
        (away, ev.InteractionReceived(at_ms=0, interaction=contact, came_from=home)),
    )
    await archive.follow(story)
    position = story.position

    async def shown(conversation: str) -> list[tuple[object, ...]]:
        row = await archive.reader.conversation(conversation)
        assert row is not None
        columns = ("conversation", "interaction", "field", "stream", "seq", "known_at_ms")
        return [tuple(gap[column] for column in columns) for gap in row["missing"]]

    assert await shown(home) == []
    assert await shown(away) == [(away, 1, "topic", home, gap_seq, tagged_ms)]
    back = msgspec.structs.replace(contact, number=7, origins=((away, 1),))
    story.unit(
        ANN,
        (away, ev.InteractionMoved(at_ms=0, interaction=1, to=home, number=7)),
        (home, ev.InteractionReceived(at_ms=0, interaction=back, came_from=away)),
    )
    await archive.follow(story, position)
    assert await shown(away) == []
    assert await shown(home) == [(home, 7, "topic", home, gap_seq, tagged_ms)]


async def test_a_tag_of_a_contact_that_has_left_tells_nothing_here(archive: Archive, story: Story) -> None:
    """What was missing is missing again, as the live conversation has it."""
    home, away = f"{ANN}-1", f"{ANN}-9"
    contact = Interaction(number=1, channel="sms", account="sms", identity="tel:+447700900123", origins=((home, 7),))
    missing = ev.FieldMissing(at_ms=0, field="topic", interaction=1, channel="x", template="x", action="ask_agent")
    tagged = ev.InteractionTagged(at_ms=0, interaction=7, topic=Tag(value="bill"))
    story.unit(ANN, (home, missing), (home, story.contact(7, contact.identity, "sms")), (home, tagged))
    await archive.follow(story)
    position = story.position
    row = await archive.reader.conversation(home)
    assert row is not None
    assert [gap["known_at_ms"] for gap in row["missing"]] == [story.now_ms]
    story.unit(
        ANN,
        (away, ev.ConversationOpened(at_ms=0, customer=ANN, queue="bills")),
        (home, ev.InteractionMoved(at_ms=0, interaction=7, to=away, number=1)),
        (away, ev.InteractionReceived(at_ms=0, interaction=contact, came_from=home)),
    )
    await archive.follow(story, position)
    row = await archive.reader.conversation(home)
    assert row is not None
    assert [gap["known_at_ms"] for gap in row["missing"]] == [None]


async def test_what_a_conversation_took_along_is_shown_with_where_it_was_said(archive: Archive, story: Story) -> None:
    """What was done in the earlier one, what stays behind and by which rule; each item names its conversation."""
    over = CarryOver(
        conversation=f"{ANN}-1",
        unresolved=True,
        resolution_attempts=2,
        actions=[PriorAction(kind="NoteAdded", actor="agent:ann", at_ms=5)],
        items=1,
        left=["last_page"],
        rule="carry_over: all with continues, never last_page",
    )
    second = f"{ANN}-9"
    opened = ev.ConversationOpened(at_ms=0, policy=4, customer=ANN, queue="default", carried=over)
    item = ev.ContextSet(at_ms=0, actor="agent:ann", key="contract", value="4711", came_from=f"{ANN}-1")
    story.unit(ANN, (second, opened), (second, item))
    await archive.follow(story)
    row = await archive.reader.conversation(second)
    assert row is not None
    [carried] = row["carried"]
    assert (carried["earlier"], carried["unresolved"], carried["resolution_attempts"]) == (f"{ANN}-1", 1, 2)
    assert (carried["items"], carried["left_behind"], carried["policy"]) == (1, ["last_page"], 4)
    assert carried["actions"][0]["kind"] == "NoteAdded"
    assert [each["came_from"] for each in (*row["context"], *row["context_values"])] == [f"{ANN}-1"] * 2


async def test_a_missing_topic_is_known_by_a_tag(archive: Archive, story: Story) -> None:
    """As the live conversation has it; a tag of another kind is none."""
    conversation = f"{ANN}-1"
    missing = ev.FieldMissing(
        at_ms=0, field="topic", interaction=1, channel="chat", template="chat", action="ask_agent"
    )
    other = ev.InteractionTagged(at_ms=0, interaction=1, intent=Tag(value="question"))
    story.unit(ANN, (conversation, missing), (conversation, other))
    await archive.follow(story)
    position = story.position
    row = await archive.reader.conversation(conversation)
    assert row is not None
    assert row["missing"][0]["known_at_ms"] is None
    story.now_ms += MINUTE_MS
    story.unit(ANN, (conversation, ev.InteractionTagged(at_ms=0, interaction=1, topic=Tag(value="bill"))))
    await archive.follow(story, position)
    row = await archive.reader.conversation(conversation)
    assert row is not None
    assert row["missing"][0]["known_at_ms"] == story.now_ms


async def test_a_missing_number_is_known_when_it_is_named(archive: Archive, story: Story) -> None:
    """In words, as the taxonomy's keys have it; a number of another kind is not it."""
    conversation = f"{ANN}-1"
    missing = ev.FieldMissing(
        at_ms=0, field="claim", interaction=1, channel="chat", template="chat", action="ask_agent"
    )
    other = ev.InteractionTagged(at_ms=0, interaction=1, keys=["claims:C1"])
    story.unit(ANN, (conversation, missing), (conversation, other))
    await archive.follow(story)
    position = story.position
    row = await archive.reader.conversation(conversation)
    assert row is not None
    assert row["missing"][0]["known_at_ms"] is None
    story.now_ms += MINUTE_MS
    story.unit(ANN, (conversation, ev.InteractionTagged(at_ms=0, interaction=1, keys=["order:1", "claim:C2"])))
    await archive.follow(story, position)
    row = await archive.reader.conversation(conversation)
    assert row is not None
    assert row["missing"][0]["known_at_ms"] == story.now_ms


async def test_the_outbox_shows_deliveries_by_state(archive: Archive, story: Story) -> None:
    """The longest queued first; a sent one only for who asks for it."""
    conversation = f"{ANN}-1"
    dead = story.reply(ANN, conversation, 1, "mailto:ann@example.org", "email", "Hello?")
    story.unit(ANN, (conversation, ev.DeliverySent(at_ms=0, delivery=f"{conversation}.4", external_id="x1")))
    story.unit(ANN, (conversation, ev.DeliveryDead(at_ms=0, delivery=dead, code="550", reason="no such mailbox")))
    story.unit(ANN, (conversation, ev.DeliveryConfirmed(at_ms=0, delivery="someone-1.7", status="read")))
    await archive.follow(story)
    assert [(row["delivery"], row["code"]) for row in await archive.reader.outbox(["dead"], 10)] == [(dead, "550")]
    assert [row["external_id"] for row in await archive.reader.outbox(["sent", "dead"], 10)] == ["x1", ""]
    counts = await archive.reader.counts()
    assert (counts["outbox"], counts["outbox_dead"], counts["outbox_uncertain"]) == (1, 1, 0)
    assert await archive.reader.unsent() == {"dead": 1}


async def test_a_report_on_a_dead_letter_leaves_its_reason_and_takes_it_out_where_the_customer_has_it(
    archive: Archive, story: Story
) -> None:
    """That it did not arrive explains nothing; that it did ends it, as if it had never been given up."""
    conversation = f"{ANN}-1"
    dead = story.reply(ANN, conversation, 1, "mailto:ann@example.org", "email", "Hello?")
    story.unit(ANN, (conversation, ev.DeliveryDead(at_ms=0, delivery=dead, code="550", reason="no such mailbox")))
    story.unit(ANN, (conversation, ev.DeliveryConfirmed(at_ms=0, delivery=dead, status="undelivered")))
    await archive.follow(story)
    position = story.position
    [row] = await archive.reader.outbox(["dead"], 10)
    assert (row["confirmed"], row["code"], row["reason"]) == ("undelivered", "550", "no such mailbox")
    story.unit(
        ANN,
        (conversation, ev.DeliverySent(at_ms=0, delivery=dead, external_id="x1")),
        (conversation, ev.DeliveryConfirmed(at_ms=0, delivery=dead, status="read")),
    )
    await archive.follow(story, position)
    row = next(row for row in await archive.reader.outbox(["sent"], 10) if row["delivery"] == dead)
    assert (row["confirmed"], row["code"], row["reason"], row["dead_at_ms"]) == ("read", "", "", None)


CALLBACKS = (
    ("sent", "sent"),
    ("undelivered", "undelivered"),
    ("sent", "undelivered"),
    ("", ""),
    ("sent", "sent"),
    ("delivered", "delivered"),
    ("sent", "delivered"),
    ("bounced", "bounced"),
    ("delivered", "bounced"),
    ("read", "read"),
    ("delivered", "read"),
    ("bounced", "read"),
    ("undelivered", "read"),
    ("", ""),
    ("undelivered", "undelivered"),
    ("delivered", "delivered"),
    ("undelivered", "delivered"),
)
"""What a provider says, and what then stands in the row; nothing is a replay."""


@pytest.mark.parametrize("apart", [False, True])
async def test_a_report_that_comes_late_says_no_less_than_the_one_before(
    archive: Archive, story: Story, apart: bool
) -> None:
    """A provider's callbacks are in no order: `sent` after `delivered` changes nothing, nor does `delivered` after
    `read`, in one batch or in two. Who says that it came is believed, but of a mail that bounced behind the server
    that took it. What is replayed is told of anew."""
    conversation = f"{ANN}-1"
    delivery = story.reply(ANN, conversation, 1, "mailto:ann@example.org", "email", "Hello?")

    async def confirmed() -> str:
        rows = await archive.reader.outbox(["attempting", "queued"], 10)
        return str(next(row["confirmed"] for row in rows if row["delivery"] == delivery))

    position = 0
    for status, then in CALLBACKS:
        said = ev.DeliveryConfirmed(at_ms=0, delivery=delivery, status=status)
        story.unit(ANN, (conversation, said if status else ev.DeliveryReplayed(at_ms=0, delivery=delivery)))
        if apart:
            await archive.follow(story, position)
            position = story.position
            assert await confirmed() == then
    if not apart:
        await archive.follow(story)
    assert await confirmed() == "delivered"


async def test_handoffs_are_rows_and_put_their_conversation_in_the_takers_list(archive: Archive, story: Story) -> None:
    """While one is open; afterwards each is kept, with its package, its end and what was missing."""
    first = f"{ANN}-1"
    accepted = ev.HandoffAccepted(at_ms=0, actor="agent:eve", lease=2, sha256="b", continuity="agent:eve")
    story.unit(ANN, (first, _offered(first, 1, "agent:bob", missing=["invoice"])))
    await archive.follow(story)
    after = story.position
    [row] = await archive.reader.conversations(list="owner:bob")
    assert (row.conversation, row.owner, row.offered_to) == (first, "ann", "agent:bob")
    assert (await archive.reader.due([shard_of(ANN)], story.now_ms + MINUTE_MS, 10)) != []
    story.unit(ANN, (first, ev.HandoffDeclined(at_ms=0, actor="agent:bob", lease=1, reason="not mine")))
    story.unit(ANN, (first, _offered(first, 2, "queue:tier2")))
    await archive.follow(story, after)
    after = story.position
    assert await _ids(archive, list="owner:bob") == []
    assert await _ids(archive, list="queue:tier2") == [first]
    story.unit(ANN, (first, accepted))
    await archive.follow(story, after)
    assert await _ids(archive, list="queue:tier2") == []
    [declined, taken] = await archive.reader.handoffs(first)
    assert (declined["state"], declined["missing"], declined["reason"]) == ("declined", ["invoice"], "not mine")
    assert (taken["state"], taken["ended_by"], taken["continuity"]) == ("accepted", "agent:eve", "agent:eve")
    assert taken["package"]["items"] == [{"key": "invoice", "version": 1}]
    found = await archive.reader.conversation(first)
    assert found is not None
    assert [handoff["lease"] for handoff in found["handoffs"]] == [1, 2]
    assert await archive.reader.handoffs(f"{BOB}-1") == []


async def test_retention_drops_what_is_over(archive: Archive, story: Story) -> None:
    """A closed conversation goes but is still counted; what is open stays; late words about it do no harm."""
    first, kept = f"{ANN}-1", f"{ANN}-2"
    story.unit("account:mail", ("account:mail", _quarantined("mail.1", b"secret words")))
    story.unit(ANN, (first, _offered(first, 1, "agent:bob")))
    story.unit(ANN, (first, ev.HandoffWithdrawn(at_ms=0, actor="agent:ann", lease=1)))
    story.unit(ANN, (first, ev.ConversationClosed(at_ms=0, reason="resolved")))
    closed_at_ms = story.now_ms
    story.now_ms += HOUR_MS
    story.say(ANN, kept, 1, "mailto:ann@example.org", "email", "Still there?")
    await archive.follow(story)
    after = story.position
    assert await drop_all(archive.store, over_before(closed_at_ms)) == {}
    assert await drop_all(archive.store, over_before(closed_at_ms + 1)) != {}
    assert await drop_all(archive.store, over_before(closed_at_ms + 1)) == {}
    assert await archive.reader.quarantine(InputsWanted()) == []
    assert await archive.reader.handoffs(first) == []
    found = await archive.reader.conversation(first)
    assert found is not None
    assert (found["subject"], found["interactions"], found["status"]) == ("", [], "closed")
    # Without a snapshot the customer's next conversation must not get the number of one that was.
    opened = bodies(e.body for e in await archive.reader.events_of_customer(ANN, 0))
    assert [type(event) for event in opened].count(ev.ConversationOpened) == 2
    left = await archive.reader.events_of_stream(first, 0, 100)
    assert [type(event) for event in bodies(e.body for e in left)] == [ev.ConversationOpened, ev.ConversationClosed]
    assert b"Bill" not in left[0].body
    assert b"c2VjcmV0" not in (await archive.reader.events_of_stream("account:mail", 0, 1))[0].body
    story.unit(ANN, (first, ev.DeliveryConfirmed(at_ms=0, delivery=f"{first}.4", status="read")))
    await archive.follow(story, after)


async def test_retention_keeps_what_a_live_conversation_still_speaks_of(archive: Archive, story: Story) -> None:
    """The words of a contact that was joined away stay in the closed conversation's journal; both go together."""
    first, home = f"{ANN}-1", f"{ANN}-2"
    mail = "mailto:ann@example.org"
    moved = Interaction(
        number=2, channel="email", account="email", identity=mail, started_at_ms=1, origins=((first, 1),)
    )
    story.unit(
        ANN,
        (home, ev.CorrelationCorrected(at_ms=0, actor="agent:ann", correction="join", other=first, interactions=[2])),
        (first, ev.InteractionMoved(at_ms=0, interaction=1, to=home, number=2)),
        (home, ev.InteractionReceived(at_ms=0, interaction=moved, came_from=first, channel="email")),
        (first, ev.ConversationClosed(at_ms=0, reason=f"joined into {home}")),
    )
    story.now_ms += HOUR_MS
    await archive.follow(story)
    after = story.position
    assert await drop_all(archive.store, over_before(story.now_ms)) == {}
    said = await archive.reader.messages_of(home, 2)
    assert said is not None
    assert [(row["text"], row["conversation"]) for row in said] == [
        ("My bill is wrong", first),
        ("Which month?", first),
    ]
    assert await archive.reader.messages_of(home, 2, limit=1) == said[:1]
    after_first = (said[0]["position"], said[0]["seq"], first)
    assert await archive.reader.messages_of(home, 2, limit=1, after=after_first) == said[1:]
    assert await archive.reader.messages_of(first, 1) is None
    story.unit(ANN, (home, ev.ConversationClosed(at_ms=0, reason="resolved")))
    story.now_ms += HOUR_MS
    await archive.follow(story, after)
    assert await drop_all(archive.store, over_before(story.now_ms)) != {}
    for stream in (first, home):
        left = bodies(event.body for event in await archive.reader.events_of_stream(stream, 0, 100))
        assert [type(event) for event in left] == [ev.ConversationOpened, ev.ConversationClosed]


async def test_files_are_named_by_messages_and_by_quarantine(archive: Archive, story: Story) -> None:
    """What neither names any more may go."""
    names = [f"{n}" * 64 for n in range(3)]
    bill = ev.MessageReceived(
        at_ms=0, interaction=1, channel="email", identity="mailto:ann@example.org", source="s", id="b", provider_ms=0,
        text="See the bill", attachments=[Attachment(name="bill", sha256=names[0])],
    )  # fmt: skip
    story.unit(ANN, (f"{ANN}-1", bill))
    story.unit("account:mail", ("account:mail", _quarantined("mail.1", f'{{"message_sha256":"{names[1]}"}}'.encode())))
    story.unit("account:mail", ("account:mail", _quarantined("mail.2", b"\x00raw\xff")))
    await archive.follow(story)
    assert await archive.store.attached(set(names)) == {names[0], names[1]}
    assert await archive.store.attached(set()) == set()


async def test_reset_empties_it(archive: Archive, story: Story) -> None:
    """Nothing is left, readers go on, and it can follow from the beginning."""
    await archive.follow(story)
    await archive.store.save_snapshots([SnapshotTaken(ANN, 5, b"five")])
    await archive.store.reset()
    assert await archive.reader.position() == 0
    assert (await archive.reader.stored(ANN)).snapshot is None
    assert set((await archive.reader.counts()).values()) == {0}
    await archive.follow(story)
    assert (await archive.reader.counts())["events"] == len(story.events)


async def test_another_journals_life_empties_it(archive: Archive, story: Story) -> None:
    """Positions of a lost generation mean nothing."""
    assert await archive.store.adopt("first") == 0
    await archive.follow(story)
    assert await archive.store.adopt("first") == story.position
    assert await archive.store.adopt("restored", keeps=True) == story.position
    assert await archive.store.generation() == "restored"
    assert await archive.reader.journey(ANN) is not None
    assert await archive.store.adopt("second") == 0
    assert await archive.reader.journey(ANN) is None


async def test_what_is_of_no_named_journal_is_emptied_too(archive: Archive, story: Story) -> None:
    """Only an archive without a row is taken over as it is."""
    await archive.follow(story)
    assert await archive.store.generation() == ""
    assert await archive.store.adopt("first") == 0
    assert set((await archive.reader.counts()).values()) == {0}
    assert await archive.store.generation() == "first"


async def test_a_row_that_should_be_there_is_missed_loudly(archive: Archive, story: Story) -> None:
    """A batch was left out: nothing of the next one is written."""
    with pytest.raises(AssertionError, match="rebuild the archive"):
        await archive.store.apply(story.changes(after=4))
    assert await archive.reader.position() == 0
    assert await archive.reader.events_of_customer(ANN, 0) == []


async def test_a_forked_stream_stops_the_archive(archive: Archive, story: Story) -> None:
    """Two events with one seq must never stand beside each other."""
    await archive.follow(story)
    first = story.changes().events[0]
    with pytest.raises(StoreFailed):
        await archive.store.apply(Changes(99, [(99, 0, *first[2:])], [], []))


async def test_it_has_one_writer(archive: Archive) -> None:
    """And says nothing once closed."""
    with pytest.raises(StoreLocked):
        await archive.open()
    await archive.close()
    with pytest.raises(StoreFailed, match="not open"):
        await archive.store.reset()


def _offered(conversation: str, lease: int, to: str, *, missing: Sequence[str] = ()) -> ev.HandoffOffered:
    package = HandoffPackage(
        conversation=conversation,
        lease=lease,
        through=6,
        items=[PackageItem(key="invoice", version=1)],
        missing=list(missing),
    )
    return ev.HandoffOffered(
        at_ms=0,
        actor="agent:ann",
        lease=lease,
        kind="tier1-tier2",
        giver="ann",
        to=to,
        continuity=to,
        package=package,
        sha256="a",
        expires_at_ms=1_800_000_000_000,
    )


def _quarantined(quarantine: str, raw: bytes) -> ev.InputQuarantined:
    return ev.InputQuarantined(
        at_ms=0,
        quarantine=quarantine,
        account="mail",
        source="smtp",
        id="m1",
        code=4200,
        field="data.text",
        reason="too long",
        raw=raw,
        received_ms=1,
    )


class Selection(TypedDict, total=False):
    """Which conversations."""

    list: str
    customer: str
    status: str
    before: tuple[int, str]


async def _ids(archive: Archive, **selection: Unpack[Selection]) -> list[str]:
    return [row.conversation for row in await archive.reader.conversations(**selection)]
