"""Remains: an old snapshot, what retention left, and no word more of what is over."""

import asyncio
import itertools
from functools import partial

import msgspec
import pytest
from msgspec import Raw

from actors.archive.projection import project
from actors.cells import remains, snapshots
from actors.cells.loading import load
from actors.decisions.deciding import AnyInput
from actors.inbound.relating import Past
from actors.state import journey as journeys
from actors.state.journey import Aside, Journey
from adapters.stores.archive.memory import MemoryArchive
from protocol.commands import AddNote, AnyCommand, OfferHandoff, Reply, Resolve
from protocol.entities import Status, Tag, Tags
from protocol.errors import Code, Refusal
from protocol.events import AnyEvent, ConversationClosed, ConversationOpened, FactDropped, MessageQueued, NoteAdded
from protocol.ids import customer_of
from protocol.journal import Entry, Record
from protocol.links import Refused, SnapshotTaken, TailIs, WatchConversation
from tests.actors.identity.test_merging import merge, say, two, unmerge
from tests.actors.player import CONVERSATION, CUSTOMER, POLICY, Player
from tests.actors.world import World, world
from tests.adapters.stores.dropping import drop_all, over_before

_encode = msgspec.msgpack.encode


class Told(Player):
    """A customer whose journal an archive follows."""

    def __init__(self) -> None:
        super().__init__()
        self.archive = MemoryArchive()
        self.records: list[Record] = []
        self._seqs: dict[str, itertools.count[int]] = {}

    def give(self, given: AnyInput) -> list[AnyEvent]:
        """Also journals what was decided."""
        events = super().give(given)
        entries = [
            Entry(stream, next(self._seqs.setdefault(stream, itertools.count(1))), Raw(_encode(event)))
            for stream, event in self.decision.events
        ]
        if entries:
            place = len(self.records) + 1
            self.records.append(Record(place, CUSTOMER, self.now_ms, [], len(entries), _encode(entries)))
        return events

    async def archived(self, *, snapshot: bool = False) -> None:
        """The archive has all there is by now, and perhaps the state as a whole."""
        after = await self.archive.position()
        await self.archive.apply(project(self.records[after:]))
        if snapshot:
            taken = SnapshotTaken(CUSTOMER, len(self.records), snapshots.freeze(self.state))
            await self.archive.save_snapshots([taken])

    async def loaded(self) -> Journey:
        """The customer as a cell loads it."""
        journey, position = await load(CUSTOMER, self.archive, self._no_tail)
        assert position == len(self.records)
        return journey

    async def _no_tail(self, customer: str) -> TailIs:
        return TailIs(1, len(self.records), [])


@pytest.mark.parametrize("snapshot", [True, False])
@pytest.mark.parametrize("once_keys_ms", [1, 0])
async def test_what_followed_a_snapshot_and_is_dropped_is_not_undone(snapshot: bool, once_keys_ms: int) -> None:
    """The message that was under way has been sent, and the offer is over: neither is made again."""
    told = Told()
    await told.archive.open()
    told.message("my bill", subject="Bill")
    queued, *_ = told.command(Reply(text="Which?"))
    assert isinstance(queued, MessageQueued)
    told.command(OfferHandoff(kind="plain", agent="bob"))
    await told.archived(snapshot=snapshot)
    assert journeys.attempting(told.state)
    told.outcome(queued.delivery, 1, "sent")
    told.command(AddNote(text="all said"))
    told.command(Resolve())
    told.pass_time(60_000)
    assert told.state.past == (CONVERSATION,)
    told_head, known = told.state.conversations[CONVERSATION].head, told.state
    await told.archived()
    await drop_all(told.archive, over_before(told.now_ms + 1, once_keys_ms=once_keys_ms))
    loaded = await told.loaded()
    assert (loaded.past, loaded.opened) == ((CONVERSATION,), 1)
    (left,) = loaded.kept
    assert (left.head, left.whole, left.live, left.subject, left.handoff) == (told_head, False, False, "", None)
    told.state = loaded
    with pytest.raises(Refusal, match="was dropped by retention"):
        told.command(AddNote(text="by the way"))
    assert journeys.attempting(loaded) == []
    assert journeys.next_due_ms(loaded) is None
    assert loaded.identities == known.identities
    if once_keys_ms:
        assert len(loaded.once) == len(known.once)


@pytest.mark.parametrize("over", [True, False])
async def test_no_snapshot_keeps_the_words_of_what_was_dropped(over: bool) -> None:
    """Be it of before the conversation's end, or of after it; nor does one that comes later bring them back."""
    told = Told()
    await told.archive.open()
    told.message("my bill", subject="Bill")
    told.command(Resolve())
    if not over:
        await told.archived(snapshot=True)
    told.pass_time(60_000)
    await told.archived(snapshot=over)
    await drop_all(told.archive, over_before(told.now_ms + 1))
    assert await told.archive.rows("snapshot") == []
    for _ in range(2):
        (left,) = (await told.loaded()).kept
        assert (left.status, left.whole, left.subject) == (Status.CLOSED, False, "")
        assert b"my bill" not in left.recent
        taken = SnapshotTaken(CUSTOMER, len(told.records), snapshots.freeze(told.state), remains.words(told.state))
        assert await told.archive.save_snapshots([taken]) == {CONVERSATION}
        emptied = snapshots.without(taken, {CONVERSATION})
        assert emptied is not None
        assert emptied.words == ()
        assert await told.archive.save_snapshots([emptied]) == set()
    assert len(await told.archive.rows("snapshot")) == 1


def test_what_is_dropped_is_not_remembered_either() -> None:
    """Of one that left memory, neither what another may take along nor what it was about; of others both stay."""
    about = Tags(topic=Tag(value="bill"))
    state = Journey(customer=CUSTOMER, past=("c-1", "c-2"), aside=Aside())
    assert remains.words(state) == ()
    assert state.aside is not None
    state.aside.left = (("c-1", b"one"), ("c-2", b"two"))
    state.aside.remembered = (Past("c-2", about, 1), Past("c-1", about, 1))
    assert remains.words(state) == ("c-1", "c-2")
    remains.forget(state, {"c-1"})
    aside: Aside = state.aside
    assert (aside.left, aside.remembered) == ((("c-2", b"two"),), (Past("c-2", about, 1),))
    assert (remains.words(state), state.past) == (("c-2",), ("c-1", "c-2"))


def test_what_is_left_keeps_the_numbers_it_had() -> None:
    """The closing is the sixth fact, as it was; what follows it is told from there."""
    state = Journey(customer=CUSTOMER)
    left: list[tuple[int, AnyEvent]] = [
        (1, ConversationOpened(at_ms=1, customer=CUSTOMER, queue="default")),
        (6, ConversationClosed(at_ms=9)),
    ]
    for seq, event in (*left, (7, NoteAdded(at_ms=10, text="by the way"))):
        remains.skip_to(state, CONVERSATION, seq, event)
        journeys.evolve(state, CONVERSATION, event, _encode(event))
    conversation = state.conversations[CONVERSATION]
    assert (conversation.head, conversation.live, conversation.recent_count) == (7, False, 2)
    assert (conversation.whole, state.past) == (False, (CONVERSATION,))


@pytest.mark.parametrize("seq", [2, 3])
def test_only_that_one_is_bare_of_which_something_was_taken(seq: int) -> None:
    """Be it the very next fact, or one before: the customer's other conversations keep their words."""
    state = Journey(customer=CUSTOMER)
    for conversation in (CONVERSATION, f"{CUSTOMER}-2"):
        opened = ConversationOpened(at_ms=1, customer=CUSTOMER, queue="default")
        journeys.evolve(state, conversation, opened, _encode(opened))
    remains.skip_to(state, CONVERSATION, seq, FactDropped(at_ms=2))
    assert [(each.head, each.whole) for each in state.kept] == [(seq - 1, False), (1, True)]


async def did(made: World, conversation: str, command: AnyCommand) -> None:
    """An agent's command, that is taken."""
    await made.intake.command(actor="agent:ann", id=type(command).__name__, conversation=conversation, command=command)


@pytest.mark.parametrize("dies", ["before", "after"])
async def test_what_went_on_and_ended_while_they_were_one_is_over_afterwards(dies: str) -> None:
    """Who was released has the snapshot of before the merge, and of what the other did what retention left of it."""
    async with world() as made:
        a, b, first, _ = await two(made)
        made.count_max = 0
        await again(made)  # From now on who is quiet leaves memory, and its state goes to the archive.
        await did(made, first.stream, OfferHandoff(kind="plain", agent="bob"))
        async with asyncio.timeout(5):
            while not await made.archive_store.rows("snapshot"):
                tick(made, 1)
                await asyncio.sleep(0.01)
        made.count_max = 1000
        await again(made)
        await merge(made, b, a)
        second = await say(made, "a2", "chat:a")
        await did(made, first.stream, Resolve())
        resolved = made.journal.position
        tick(made, POLICY.close_after_resolved_ms + 1)
        await made.until(lambda: made.journal.position > resolved)
        await made.archived()
        await drop_all(made.archive_store, over_before(made.now_ms + 1, once_keys_ms=1))
        if dies == "before":
            await again(made)
        await unmerge(made, b, a)
        if dies == "after":
            await again(made)
        reply = await made.cells.call(a, lambda ref: WatchConversation(ref, a, first.stream, -1))
        assert isinstance(reply, Refused)
        assert reply.code == Code.NOT_FOUND
        repeated = await say(made, "a2", "chat:a")
        assert (repeated.status, repeated.stream) == ("repeat", second.stream)


def tick(made: World, ms: int) -> None:
    """So much time passes, and the cells look at it."""
    made.now_ms += ms
    for cell in made.cell_actors:
        assert cell is not None
        cell.tick(made.now_ms)


async def again(made: World) -> None:
    """All cells die and come back."""
    for index in range(made.cell_count):
        made.kill_cell(index)
        await made.start_cell(index)


async def over(made: World, text: str) -> str:
    """Somebody's conversation, with these words, that is closed and in the archive; its id."""
    first = await made.intake.submit(made.event(text, id="a1", account="chat", identities=("chat:a",)))
    await did(made, first.stream, Resolve())
    resolved = made.journal.position
    tick(made, POLICY.close_after_resolved_ms + 1)
    await made.until(lambda: made.journal.position > resolved)
    await made.archived()
    return first.stream


async def left_memory(made: World) -> list[tuple[str, int, bytes]]:
    """Who is quiet leaves, and writes down what it knows: the snapshots there are then."""
    async with asyncio.timeout(5):
        while not (rows := await made.archive_store.rows("snapshot")):
            tick(made, 10_000_000)
            await asyncio.sleep(0.01)
    return rows


async def test_a_watch_tells_nothing_that_retention_dropped() -> None:
    """Although the customer's state was written down, with the words, before they were dropped."""
    async with world() as made:
        first = await over(made, "my secret bill 4711")
        assert "4711" in repr(await left_memory(made))
        await drop_all(made.archive_store, over_before(made.now_ms + 1))
        assert await made.archive_store.rows("snapshot") == []
        await again(made)
        customer = customer_of(first)
        reply = await made.cells.call(customer, lambda ref: WatchConversation(ref, customer, first, -1))
        assert isinstance(reply, Refused)
        assert reply.code == Code.NOT_FOUND


async def test_who_has_it_in_memory_does_not_write_it_down_again() -> None:
    """The snapshot that is taken afterwards has what else there is, and of what was dropped no word."""
    async with world() as made:
        first = await over(made, "my secret bill 4711")
        await drop_all(made.archive_store, over_before(made.now_ms + 1))
        second = await made.intake.submit(made.event("meter 0815", id="a2", account="chat", identities=("chat:a",)))
        await made.archived()
        ((_, _, body),) = await left_memory(made)
        assert (b"4711" in body, b"0815" in body) == (False, True)
        await again(made)
        customer, codes = customer_of(first), []
        for stream in (first, second.stream):
            watch = partial(WatchConversation, customer=customer, conversation=stream, seq=-1)
            reply = await made.cells.call(customer, watch)
            codes.append(reply.code if isinstance(reply, Refused) else 0)
        assert codes == [Code.NOT_FOUND, 0]


async def test_who_had_a_member_that_left_has_its_words_no_longer() -> None:
    """What was written down while they were one goes as well, whosever the conversation is by then."""
    async with world() as made:
        first = await over(made, "my secret bill 4711")
        a, b = customer_of(first), customer_of((await say(made, "b1", "chat:b")).stream)
        await merge(made, b, a)
        await made.archived()
        ((customer, _, body),) = await left_memory(made)
        assert (customer, b"4711" in body) == (b, True)
        await unmerge(made, b, a)
        await made.archived()
        await drop_all(made.archive_store, over_before(made.now_ms + 1))
        assert "4711" not in repr(await made.archive_store.rows("snapshot"))
        assert "4711" not in repr(await left_memory(made))
