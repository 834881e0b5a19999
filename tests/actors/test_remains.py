"""Remains: an old snapshot, what retention left, and no word more of what is over."""

import asyncio
import itertools

import msgspec
import pytest
from msgspec import Raw

from actors import journey as journeys
from actors import remains, snapshots
from actors.journey import Journey
from actors.loading import load
from actors.projection import project
from adapters.stores.memory_archive import MemoryArchive
from protocol.commands import AddNote, AnyCommand, OfferHandoff, Reply, Resolve
from protocol.entities import Status
from protocol.errors import Code, Refusal
from protocol.events import ConversationClosed, ConversationOpened, Event, NoteAdded
from protocol.journal import Entry, Record
from protocol.links import Refused, SnapshotTaken, TailIs, WatchConversation
from tests.actors.player import CONVERSATION, CUSTOMER, POLICY, Player
from tests.actors.test_merging import merge, say, two, unmerge
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

    def give(self, given: object) -> list[Event]:
        """Also journals what was decided."""
        events = super().give(given)  # type: ignore[arg-type]
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
    told.command(OfferHandoff(kind="plain", agent="bob"))
    await told.archived(snapshot=snapshot)
    assert journeys.attempting(told.state)
    told.outcome(queued.delivery, 1, "sent")  # type: ignore[attr-defined]
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


async def test_what_is_over_and_whole_stays() -> None:
    """Also one of which something was dropped after the snapshot was taken that has the end of it."""
    told = Told()
    await told.archive.open()
    told.message("my bill", subject="Bill")
    told.command(Resolve())
    told.pass_time(60_000)
    await told.archived(snapshot=True)
    await drop_all(told.archive, over_before(told.now_ms + 1))
    (kept,) = (await told.loaded()).kept
    assert (kept.status, kept.whole, kept.subject) == (Status.CLOSED, True, "Bill")


def test_what_is_left_keeps_the_numbers_it_had() -> None:
    """The closing is the sixth fact, as it was; what follows it is told from there."""
    state = Journey(customer=CUSTOMER)
    left = [(1, ConversationOpened(at_ms=1, customer=CUSTOMER, queue="default")), (6, ConversationClosed(at_ms=9))]
    for seq, event in (*left, (7, NoteAdded(at_ms=10, text="by the way"))):
        remains.skip_to(state, CONVERSATION, seq, event)
        journeys.evolve(state, CONVERSATION, event, _encode(event))
    conversation = state.conversations[CONVERSATION]
    assert (conversation.head, conversation.live, conversation.recent_count) == (7, False, 2)
    assert (conversation.whole, state.past) == (False, (CONVERSATION,))


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
