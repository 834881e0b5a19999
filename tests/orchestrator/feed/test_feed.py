"""The feed: every committed event once and in order, whatever the page, the filter and the place one comes back to."""

import pytest

from actors.archive.projection import entries_of
from orchestrator.feed import feed
from orchestrator.feed.feed import FeedPage, newest, oldest, read_page
from protocol import events as ev
from protocol.errors import Code, Refusal
from protocol.journal import Record
from tests.adapters.stores.story import Story

ANN, MAIL = "cuann", "mailto:ann@example.org"


class Kept:
    """A journal of records, of which the oldest may be gone."""

    def __init__(self, records: list[Record], *, first: int = 1) -> None:
        self.records = records
        self.first = first
        self.reads = 0

    async def generation(self) -> str:
        return "g1"

    async def shared_with(self, generation: str) -> int | None:
        return {"g1": len(self.records), "g0b": 2}.get(generation)

    async def position(self) -> int:
        return len(self.records)

    async def first_position(self) -> int:
        return self.first

    async def read(self, after: int, limit: int) -> list[Record]:
        self.reads += 1
        return [record for record in self.records if record.position > max(after, self.first - 1)][:limit]


def told(talks: int = 3) -> Story:
    """Ann meets us and talks on; each unit has several events."""
    story = Story()
    conversation = story.meet(ANN, MAIL, "email", "hello")
    for n in range(talks):
        note = ev.NoteAdded(at_ms=0, actor="agent:bo", text=f"note {n}")
        story.unit(ANN, (conversation, story.message(1, MAIL, "email", f"again {n}")), (conversation, note))
    return story


async def walk(journal: Kept, *, limit: int, types: frozenset[str] = frozenset()) -> list[tuple[str, int, str]]:
    """All of the feed, a page at a time."""
    found, after = [], ""
    while True:
        page = await read_page(journal, after, limit=limit, types=types)
        assert len(page.events) <= limit
        found += [(event.stream, event.seq, event.type) for event in page.events]
        if not page.more:
            return found
        after = page.next


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_each_event_comes_once_and_in_order(limit: int) -> None:
    """Also where a page ends in the middle of a unit."""
    story = told()
    events = [(stream, seq, type(event).__name__) for stream, seq, event in story.events]
    assert await walk(Kept(story.records), limit=limit) == events


@pytest.mark.parametrize("limit", [1, 100])
async def test_types_are_filtered(limit: int) -> None:
    """What does not fit is passed over, and not waited for."""
    story = told()
    notes = await walk(Kept(story.records), limit=limit, types=frozenset({"NoteAdded"}))
    assert [kind for _, _, kind in notes] == ["NoteAdded"] * 3


async def test_a_page_has_so_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long messages are told on several; a unit that has more alone is told all the same."""
    story = told()
    events = [(stream, seq, type(event).__name__) for stream, seq, event in story.events]
    monkeypatch.setattr(feed, "PAGE_BYTES_MAX", len(story.records[0].body) + 1)
    journal = Kept(story.records)
    assert {event.position for event in (await read_page(journal, "", limit=100)).events} == {1, 2}
    assert await walk(journal, limit=100) == events
    monkeypatch.setattr(feed, "PAGE_BYTES_MAX", 1)
    assert await walk(journal, limit=100) == events


async def test_what_does_not_fit_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A filter that fits little looks at all there is, on the loop that everybody is served by."""
    story, decoded = told(), list[int]()

    def counted(record: Record) -> list[tuple[str, int, ev.AnyEvent]]:
        decoded.append(record.position)
        return entries_of(record)

    monkeypatch.setattr(feed, "entries_of", counted)
    journal = Kept(story.records)
    page = await read_page(journal, "", limit=100, types=frozenset({"NoteAdded", "PolicyApplied"}))
    assert [event.position for event in page.events] == decoded == [3, 4, 5]
    page = await read_page(journal, "", limit=100, types=frozenset({"PolicyApplied"}))
    assert (page.events, page.next, decoded) == ([], await newest(journal), [3, 4, 5])


async def test_the_cursor_of_an_event_goes_on_behind_it() -> None:
    """Of any event, not only of a page's last."""
    story = told()
    journal = Kept(story.records)
    page = await read_page(journal, "", limit=100)
    assert len(page.events) == len(story.events)
    for n, event in enumerate(page.events):
        after = await read_page(journal, event.cursor, limit=100)
        assert [e.cursor for e in after.events] == [e.cursor for e in page.events[n + 1 :]]


async def test_a_reader_who_is_up_to_date_gets_what_comes_next() -> None:
    """`now` and the last cursor are the same place."""
    story = told()
    journal = Kept(story.records)
    page = await read_page(journal, "now", limit=10)
    assert page == FeedPage(events=[], next=await newest(journal), more=False)
    story.unit(ANN, (ANN, ev.IdentityConflictFound(at_ms=0, identity=MAIL, other="cubob")))
    [event] = (await read_page(journal, page.next, limit=10)).events
    assert (event.type, event.customer, event.event["other"]) == ("IdentityConflictFound", ANN, "cubob")


async def test_what_retention_took_is_an_error_with_the_oldest_cursor() -> None:
    """A whole unit that is gone is no loss for whoever had it; half a one is."""
    story = told()
    journal = Kept(story.records)
    cursors = [event.cursor for event in (await read_page(journal, "", limit=100)).events]
    journal.first = 3
    kept = await oldest(journal)
    assert (await read_page(journal, kept, limit=1)).events[0].position == 3
    lost = cursors[:3]
    assert lost == ["g1-1", "g1-2-0", "g1-2-1"]
    for cursor in lost:
        with pytest.raises(Refusal) as refused:
            await read_page(journal, cursor, limit=10)
        assert (refused.value.code, refused.value.ref) == (Code.GONE, kept)
    assert (await read_page(journal, "", limit=1)).events[0].position == 3


@pytest.mark.parametrize(
    ("after", "code"),
    [
        ("x", Code.INVALID),
        ("g1-1-2-3", Code.INVALID),
        ("g1-99", Code.INVALID),
        ("g0-1", Code.GONE),
        ("g1-٣", Code.INVALID),
    ],
)
async def test_what_is_no_cursor_is_refused(after: str, code: Code) -> None:
    """One of another life of the journal has an oldest one to go on from."""
    with pytest.raises(Refusal) as refused:
        await read_page(Kept(told().records), after, limit=10)
    assert refused.value.code == code


async def test_a_cursor_from_before_a_restore_is_good_where_the_backup_has_what_it_stands_behind() -> None:
    """What it was given after that is lost, and what has its place now is something else."""
    journal = Kept(told().records)
    for cursor in ("2", "1", "1-0"):
        was, here = [await read_page(journal, f"{life}-{cursor}", limit=10) for life in ("g0b", "g1")]
        assert was == here
        assert was.events
    with pytest.raises(Refusal) as refused:
        await read_page(journal, "g0b-3", limit=10)
    assert refused.value.code == Code.GONE


async def test_a_filter_that_fits_nothing_reads_a_bounded_part() -> None:
    """And says that there is more."""
    story = told(talks=2500)
    journal = Kept(story.records)
    page = await read_page(journal, "", limit=10, types=frozenset({"ConversationClosed"}))
    assert (page.events, page.more, page.next) == ([], True, "g1-2000")
    assert journal.reads * feed.READ_RECORDS == 2000


async def test_refused_input_itself_is_not_in_the_feed() -> None:
    """It is an operator's to look at, in quarantine; that there is some is not."""
    story = Story()
    refused = ev.InputQuarantined(
        at_ms=0, quarantine="chat.1", account="chat", source="s", id="1", code=4200, field="", reason="r", raw=b"words"
    )
    story.unit("account:chat", ("account:chat", refused))
    [event] = (await read_page(Kept(story.records), "", limit=10)).events
    assert (event.event["quarantine"], event.event["raw"]) == ("chat.1", "")


async def test_refused_input_is_not_in_the_feed_as_somebody_edited_it_either() -> None:
    """What an operator wrote in its place is the customer's words and addresses still."""
    story = Story()
    begun = ev.ReplayBegun(at_ms=0, actor="operator:ann", quarantine="chat.1", raw=b"edited words")
    story.unit("account:chat", ("account:chat", begun))
    [event] = (await read_page(Kept(story.records), "", limit=10)).events
    assert (event.event["quarantine"], event.event.get("raw", "")) == ("chat.1", "")
