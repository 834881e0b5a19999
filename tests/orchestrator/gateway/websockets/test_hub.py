"""The hub under random orders of everything: each watcher sees a gap-free stream, once."""

from collections import deque
from collections.abc import Callable, Collection
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from orchestrator.cell_lines.questions import Reply
from orchestrator.gateway.health.metrics import Metrics
from orchestrator.gateway.websockets.backfill import EVENTS_MAX
from orchestrator.gateway.websockets.hub import Hub
from protocol.codec import Codec
from protocol.errors import Code, Refusal
from protocol.events import NoteAdded
from protocol.frames import Frame, Snapshot, ToAgent, Update
from protocol.links import AnyToCell, HeadsAre, UnwatchConversation, Updated
from tests.orchestrator.gateway.fakes import FakeCells, note

ONE = "cu1-1"
Done = Callable[[Any], None]


class Watcher:
    """A connection that checks what it is given as it comes."""

    asker = "ann"

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self.position = 0
        self.seen: list[int] = []
        self.watching = False
        self.stalled = False

    def answer(self, frame: bytes) -> None:
        self._take(frame)

    def update(self, frame: bytes, conversation: str) -> bool:
        if self.stalled:
            return False
        self._take(frame)
        return True

    def overflowed(self) -> None:
        self.watching = False
        self.hub.unwatch(self, ONE)

    def watch_failed(self, conversation: str, refusal: Refusal) -> None:
        raise AssertionError(refusal)

    hub: Hub

    def _take(self, data: bytes) -> None:
        assert self.watching
        (frame,) = self.codec.decode_to_agent(data)
        match frame:
            case Snapshot(seq=seq, recent=recent):
                assert seq >= self.position
                self.seen = list(range(1, seq + 1))
                events = recent
                first = seq - len(recent) + 1
            case Update(seq=first, events=events):
                assert first == self.position + 1
                seq = first + len(events) - 1
                self.seen += range(first, seq + 1)
            case _:
                raise AssertionError(frame)
        assert [event.at_ms for event in events if isinstance(event, NoteAdded)] == list(range(first, seq + 1))
        self.position = seq


class SlowCells(FakeCells):
    """One cell at the end of a slow pipe: questions wait for the cell, and what it says waits for the gateway."""

    def __init__(self) -> None:
        super().__init__()
        self.to_cell: deque[tuple[AnyToCell, Done | None]] = deque()
        self.from_cell: deque[tuple[AnyToCell | None, Reply | Updated | HeadsAre, Done]] = deque()

    def cell_of(self, customer: str) -> int:
        return 0

    def send(self, customer: str, message: AnyToCell) -> None:
        self.to_cell.append((message, None))

    def ask_cell(self, index: int, make: Callable[[int], AnyToCell], done: Done) -> None:
        self.to_cell.append((make(0), done))

    def work(self) -> None:
        """The cell takes its next message."""
        message, done = self.to_cell.popleft()
        if done is None:
            super().send("", message)
        else:
            self.from_cell.append((message, self.reply(message), done))

    def deliver(self) -> None:
        """The gateway takes the next of what the cell said."""
        _, said, done = self.from_cell.popleft()
        done(said)

    def say(self, said: Updated | HeadsAre, listener: Callable[[Any], None]) -> None:
        """The cell says something unasked."""
        self.from_cell.append((None, said, listener))

    def restart(self) -> None:
        """A new cell: what the old one said and nobody heard is lost, and what it did not answer is asked again."""
        self.subscribed.clear()
        unheard = [(message, done) for message, _, done in self.from_cell if message is not None]
        unasked = [(message, done) for message, done in self.to_cell if done]
        self.from_cell.clear()
        self.to_cell = deque([*unheard, *unasked])


class SlowArchive:
    """Reads that are answered when their time comes, with as much as it has by then, a few at a time."""

    def __init__(self, cells: FakeCells) -> None:
        self.cells = cells
        self.reads: deque[tuple[int, Callable[[], Collection[str]], Done]] = deque()
        self.behind = 0
        self.askers: list[set[str]] = []

    def read(self, conversation: str, after: int, askers: Callable[[], Collection[str]], done: Done) -> None:
        self.reads.append((after, askers, done))
        self.askers.append({*askers()})

    def answer(self) -> None:
        """The oldest read is done; of one that nobody waits for nothing is read."""
        after, askers, done = self.reads.popleft()
        events = self.cells.conversations[ONE] if askers() else []
        done(events[after : max(after, len(events) - self.behind)][:3])


class Fanning(RuleBasedStateMachine):
    """Writes, losses, restarts, joins and leaves, over a pipe as slow as it likes to be."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = SlowCells()
        self.events = self.cells.conversations[ONE] = []
        self.archive = SlowArchive(self.cells)
        self.hub = Hub(self.cells, self.archive, Metrics(), on_new_generation=lambda: None)
        self.watchers = [Watcher(Codec(name)) for name in ("msgpack", "msgpack", "json")]
        for watcher in self.watchers:
            watcher.hub = self.hub

    @rule(count=st.integers(1, 3))
    def commit(self, count: int) -> None:
        """Events that arrive, in time."""
        seq = len(self.events) + 1
        events = [note(seq + n) for n in range(count)]
        self.events.extend(events)
        if ONE in self.cells.subscribed:
            self.cells.say(Updated(ONE, seq, events), self.hub.updated)

    @rule()
    def commit_and_lose(self) -> None:
        """An event that does not."""
        self.events.append(note(len(self.events) + 1))

    @rule(which=st.integers(0, 2), anew=st.booleans())
    def watch(self, which: int, anew: bool) -> None:
        """Someone joins, or asks again from where it is."""
        watcher = self.watchers[which]
        if anew:
            watcher.position = 0
        watcher.watching = True
        self.hub.watch(watcher, ONE, -1 if anew else watcher.position, lambda refusal: None)

    @rule(which=st.integers(0, 2))
    def unwatch(self, which: int) -> None:
        """Someone leaves."""
        self.watchers[which].watching = False
        self.hub.unwatch(self.watchers[which], ONE)

    @rule(which=st.integers(0, 2), stalled=st.booleans())
    def stall(self, which: int, stalled: bool) -> None:
        """Someone reads too slowly, or again."""
        self.watchers[which].stalled = stalled

    @precondition(lambda self: self.cells.to_cell)
    @rule()
    def work(self) -> None:
        """The cell takes a message."""
        self.cells.work()

    @precondition(lambda self: self.cells.from_cell)
    @rule()
    def deliver(self) -> None:
        """The gateway takes one."""
        self.cells.deliver()

    @precondition(lambda self: self.archive.reads)
    @rule(behind=st.integers(0, 3))
    def read(self, behind: int) -> None:
        """The archive answers a read."""
        self.archive.behind = behind
        self.archive.answer()

    @rule(keep=st.integers(0, 4))
    def forget(self, keep: int) -> None:
        """The cell keeps fewer events at hand."""
        self.cells.recent_from[ONE] = max(0, len(self.events) - keep)

    @rule()
    def restart(self) -> None:
        """The cell dies and comes back."""
        self.cells.restart()
        self.hub.fresh(0)

    @rule()
    def say_heads(self) -> None:
        """The cell says its heads."""
        if ONE in self.cells.subscribed:
            self.cells.say(HeadsAre({ONE: len(self.events)}), self.hub.heads_are)

    @rule()
    def rest(self) -> None:
        """Everything arrives, and one more event: everyone who watches has all of them, and no one else is served."""
        self.arrive()
        self.commit(1)
        self.arrive()
        for watcher in self.watchers:
            if watcher.watching:
                assert watcher.position == len(self.events)
        assert (
            (ONE in self.cells.subscribed) == any(watcher.watching for watcher in self.watchers) == bool(len(self.hub))
        )

    @rule()
    def rest_by_heads(self) -> None:
        """The same by heads alone, where nothing follows what was lost."""
        self.arrive()
        self.say_heads()
        self.arrive()
        for watcher in self.watchers:
            if watcher.watching:
                assert watcher.position == len(self.events)

    def arrive(self) -> None:
        """Both ends take everything."""
        while self.cells.to_cell or self.cells.from_cell or self.archive.reads:
            if self.cells.to_cell:
                self.cells.work()
            elif self.cells.from_cell:
                self.cells.deliver()
            else:
                self.archive.answer()


Fanning.TestCase.settings = settings(
    max_examples=200, stateful_step_count=50, deadline=None, derandomize=True, database=None
)
TestFanning = Fanning.TestCase


def test_an_update_is_encoded_once_per_codec() -> None:
    """However many watch."""
    encoded: list[str] = []

    class Counting(Codec):
        def encode(self, frame: Frame) -> bytes:
            encoded.append(self.name)
            return super().encode(frame)

    cells = FakeCells()
    cells.write(ONE, note(1))
    hub = Hub(cells, SlowArchive(cells), Metrics(), on_new_generation=lambda: None)
    cells.on_updated = hub.updated
    codecs = (Counting("msgpack"), Counting("json"))
    for number in range(20):
        watcher = Watcher(codecs[number % 2])
        watcher.watching = True
        hub.watch(watcher, ONE, -1, lambda refusal: None)
    encoded.clear()
    cells.write(ONE, note(2))
    assert sorted(encoded) == ["json", "msgpack"]


def test_one_who_joined_while_the_others_waited_for_a_gap_gets_only_what_it_lacks() -> None:
    """The answer that closes the gap is cut to each watcher's own position."""
    cells = SlowCells()
    cells.conversations[ONE] = [note(1)]
    hub = Hub(cells, SlowArchive(cells), Metrics(), on_new_generation=lambda: None)
    early, late = Watcher(Codec("msgpack")), Watcher(Codec("msgpack"))
    for watcher in (early, late):
        watcher.watching = True
        cells.conversations[ONE].append(note(len(cells.conversations[ONE]) + 1))
        hub.watch(watcher, ONE, -1, lambda refusal: None)
        cells.work()
        cells.deliver()
    assert (early.position, late.position) == (2, 3)
    cells.conversations[ONE].append(note(4))
    cells.work()
    cells.deliver()
    assert (early.seen, late.seen) == ([1, 2, 3, 4], [1, 2, 3, 4])
    hub.updated(Updated(ONE, 5, [note(5)]))
    assert (early.seen, late.seen) == ([1, 2, 3, 4, 5], [1, 2, 3, 4, 5]), "and from there on the same"


def test_a_long_absence_is_filled_from_the_archive() -> None:
    """Who was away for longer than the cell remembers misses no event, in order, and joins at the head."""
    cells = SlowCells()
    cells.conversations[ONE] = [note(n) for n in range(1, 11)]
    cells.recent_from[ONE] = 9
    archive = SlowArchive(cells)
    hub = Hub(cells, archive, Metrics(), on_new_generation=lambda: None)
    watcher = Watcher(Codec("msgpack"))
    watcher.watching, watcher.position, watcher.seen = True, 2, [1, 2]
    outcomes: list[object] = []
    hub.watch(watcher, ONE, 2, outcomes.append)
    while not outcomes:
        if cells.to_cell:
            cells.work()
        elif cells.from_cell:
            cells.deliver()
        else:
            archive.answer()
    assert outcomes == [None]
    assert watcher.seen == list(range(1, 11))
    assert watcher.position == 10


def test_what_is_read_for_somebody_takes_their_turn() -> None:
    """The archive is asked for whoever joins, and for all who watch where a gap has to be closed."""
    desk = Desk(ONE)
    desk.cells.recent_from[ONE] = 9
    for n in range(2, 10):
        desk.cells.write(ONE, note(n))
    desk.watch(ONE, 2, asker="ben")
    assert desk.archive.askers == [{"ben"}]
    while desk.archive.reads:
        desk.archive.answer()
    desk.watch(ONE, 9, asker="ann")
    for n in range(10, 20):
        desk.cells.write(ONE, note(n), lose=True)
    desk.cells.recent_from[ONE] = 18
    desk.archive.askers.clear()
    desk.hub.heads_are(HeadsAre({ONE: 19}))
    assert desk.archive.askers == [{"ann", "ben"}]


def test_nothing_more_is_asked_for_who_left_while_the_archive_was_read() -> None:
    """Neither of the archive, which has them in its line still, nor of the cell, by which it would be watched again."""
    desk = Desk()
    desk.cells.write(ONE, *(note(n) for n in range(1, 11)))
    desk.cells.recent_from[ONE] = 9
    agent = desk.watch(ONE, 2)
    desk.hub.unwatch(agent, ONE)
    asked = len(desk.cells.watches)
    [(_, askers, done)] = desk.archive.reads
    assert askers() == []
    done([])
    assert (len(desk.cells.watches), desk.cells.subscribed) == (asked, set())
    assert (desk.ended, agent.frames, len(desk.hub)) == ([None], [], 0)


class Agent:
    """A connection that keeps what it is given."""

    def __init__(self, asker: str = "ann") -> None:
        self.asker = asker
        self.codec = Codec("msgpack")
        self.frames: list[ToAgent | Refusal] = []
        self.failed: list[tuple[str, Refusal]] = []

    def answer(self, frame: bytes) -> None:
        self.frames += self.codec.decode_to_agent(frame)

    def update(self, frame: bytes, conversation: str) -> bool:
        self.frames += self.codec.decode_to_agent(frame)
        return True

    def overflowed(self) -> None:
        raise AssertionError("it is never full")

    def watch_failed(self, conversation: str, refusal: Refusal) -> None:
        self.failed.append((conversation, refusal))

    def seqs(self) -> list[int]:
        """Of the events in updates that came since this was asked last."""
        frames, self.frames = self.frames, []
        updates = [frame for frame in frames if isinstance(frame, Update)]
        return [frame.seq + n for frame in updates for n in range(len(frame.events))]


class Desk:
    """A hub over cells that answer at once, for agents that watch."""

    def __init__(self, *conversations: str) -> None:
        self.cells = FakeCells()
        self.metrics = Metrics()
        self.archive = SlowArchive(self.cells)
        self.new_generations = 0
        self.hub = Hub(self.cells, self.archive, self.metrics, on_new_generation=self._new_generation)
        self.cells.on_updated = self.hub.updated
        self.ended: list[Refusal | None] = []
        for conversation in conversations:
            self.cells.write(conversation, note(1))

    def _new_generation(self) -> None:
        self.new_generations += 1

    def watch(self, conversation: str, seq: int = 0, *, asker: str = "ann") -> Agent:
        """Somebody joins."""
        agent = Agent(asker)
        self.hub.watch(agent, conversation, seq, self.ended.append)
        return agent

    @property
    def gaps(self) -> float:
        return self.metrics.registry.get_sample_value("throughline_update_gaps_total") or 0.0


EVE = "cuevan-1"
"""Of the other cell than `ONE`."""


def test_a_watch_that_is_refused_says_why_and_leaves_nothing() -> None:
    """There is no such conversation, or it is over."""
    desk = Desk()
    agent = desk.watch(ONE)
    [refusal] = desk.ended
    assert refusal is not None
    assert (refusal.code, refusal.message) == (Code.NOT_FOUND, "there is no such conversation")
    assert (len(desk.hub), agent.frames, agent.failed) == (0, [], [])
    assert desk.cells.told == [UnwatchConversation(ONE)]


def test_a_conversation_that_its_cell_has_no_more_ends_for_all_who_watch_it() -> None:
    """They learn it when the cell is asked again."""
    desk = Desk(ONE, EVE)
    agents = [desk.watch(ONE), desk.watch(ONE)]
    other = desk.watch(EVE)
    del desk.cells.conversations[ONE]
    desk.hub.fresh(desk.cells.cell_of("cu1"))
    for agent in agents:
        [(conversation, refusal)] = agent.failed
        assert (conversation, refusal.code) == (ONE, Code.NOT_FOUND)
    assert (len(desk.hub), other.failed) == (1, [])
    assert desk.cells.told == [UnwatchConversation(ONE)]


@pytest.mark.parametrize("by", ["fresh", "moved"])
def test_only_those_are_asked_again_whose_cell_is_another(by: str) -> None:
    """What was missed meanwhile comes, and it is no gap: nobody lost a frame."""
    desk = Desk(ONE, EVE)
    one, eve = desk.watch(ONE), desk.watch(EVE)
    assert (one.seqs(), eve.seqs()) == ([1], [1])
    for conversation in (ONE, EVE):
        desk.cells.write(conversation, note(2), lose=True)
    asked = len(desk.cells.watches)
    if by == "fresh":
        desk.hub.fresh(desk.cells.cell_of("cuevan"))
    else:
        desk.hub.moved("cuevan")
    assert (one.seqs(), eve.seqs()) == ([], [2])
    assert [(watch.conversation, watch.seq) for watch in desk.cells.watches[asked:]] == [(EVE, 1)]
    assert desk.gaps == 0
    desk.hub.moved("cuevan")
    assert eve.frames == [], "nothing new is no frame"


@pytest.mark.parametrize("by", ["update", "heads"])
def test_a_gap_is_closed_and_counted(by: str) -> None:
    """By what follows it, or by the cell's heads."""
    desk = Desk(ONE)
    agent = desk.watch(ONE)
    agent.seqs()
    desk.cells.write(ONE, note(2), lose=True)
    if by == "update":
        desk.cells.write(ONE, note(3))
    else:
        desk.hub.heads_are(HeadsAre({ONE: 2}))
    assert agent.seqs() == [2, 3][: 2 if by == "update" else 1]
    assert desk.gaps == 1
    desk.hub.heads_are(HeadsAre({ONE: len(desk.cells.conversations[ONE])}))
    assert (agent.seqs(), desk.gaps) == ([], 1)


def test_updates_that_nobody_watches_are_stopped() -> None:
    """A cell that was asked again behind an unwatch sends them on and on."""
    desk = Desk(ONE)
    desk.cells.subscribed.add(ONE)
    desk.cells.write(ONE, note(2))
    assert desk.cells.told == [UnwatchConversation(ONE)]
    assert desk.hub.updates == 1
    desk.cells.write(ONE, note(3))
    assert desk.hub.updates == 1, "and it is"


def test_a_heartbeat_has_the_heads_of_what_one_has_joined() -> None:
    """Neither what others watch, nor what the cell has not answered, nor what one has left."""
    desk = Desk(ONE, EVE, "cubob-1")
    agent, other = desk.watch(ONE), desk.watch(EVE)
    desk.hub.watch(agent, "cubob-1", 0, desk.ended.append)
    desk.hub.unwatch(agent, "cubob-1")
    desk.cells.held = True
    desk.hub.watch(agent, EVE, 0, desk.ended.append)
    desk.cells.write(ONE, note(2))
    asked = [ONE, EVE, "cubob-1", "cunone-1"]
    assert desk.hub.heads(agent, asked) == {ONE: 2}
    assert desk.hub.heads(other, asked) == {EVE: 1}
    desk.cells.release()
    assert desk.hub.heads(agent, asked) == {ONE: 2, EVE: 1}
    assert desk.hub.heads(agent, [EVE]) == {EVE: 1}


def test_who_was_not_watching_leaves_nothing() -> None:
    """Neither the conversation's other watchers nor its cell hear of it."""
    desk = Desk(ONE)
    agent = desk.watch(ONE)
    agent.seqs()
    desk.hub.unwatch(Agent(), ONE)
    desk.hub.unwatch(Agent(), EVE)
    assert (len(desk.hub), desk.cells.told) == (1, [])
    desk.cells.write(ONE, note(2))
    assert agent.seqs() == [2]


def test_another_generation_is_told_and_not_put_behind_the_former_ones_events() -> None:
    """Positions of another journal mean something else: whoever serves the connections has them all begin anew."""
    desk = Desk(ONE)
    agent = desk.watch(ONE)
    assert (agent.seqs(), desk.new_generations) == ([1], 0)
    desk.cells.write(ONE, note(2), lose=True)
    desk.cells.generation = "g2"
    desk.hub.fresh(desk.cells.cell_of("cu1"))
    assert (agent.seqs(), desk.new_generations) == ([], 1)


@pytest.mark.parametrize(("behind", "reads"), [(EVENTS_MAX, 1), (EVENTS_MAX + 1, 0)])
def test_the_archive_fills_an_absence_up_to_its_bound(behind: int, reads: int) -> None:
    """Beyond it a snapshot says more in less."""
    desk = Desk()
    desk.cells.conversations[ONE] = [note(n) for n in range(1, behind + 6)]
    desk.cells.recent_from[ONE] = behind + 5
    agent = desk.watch(ONE, 5)
    assert len(desk.archive.reads) == reads
    assert [type(frame) for frame in agent.frames] == [Snapshot] * (1 - reads)


@pytest.mark.parametrize(("seq", "reads", "snapshots"), [(0, 1, []), (-1, 0, [(5, "g1")])])
def test_who_has_seen_nothing_is_given_a_snapshot_at_once(
    seq: int, reads: int, snapshots: list[tuple[int, str]]
) -> None:
    """Who has seen that there was nothing yet goes on from there, with all events."""
    desk = Desk()
    desk.cells.conversations[ONE] = [note(n) for n in range(1, 6)]
    desk.cells.recent_from[ONE] = 4
    agent = desk.watch(ONE, seq)
    assert len(desk.archive.reads) == reads
    assert [(each.seq, each.generation) for each in agent.frames if isinstance(each, Snapshot)] == snapshots


@pytest.mark.parametrize(
    ("seq", "numbers", "seen"),
    [
        pytest.param(1, [1, 2], [], id="all of it was given out"),
        pytest.param(2, [2], [], id="the newest, again"),
        pytest.param(1, [1, 2, 3], [3], id="a part of it was"),
        pytest.param(2, [2, 3, 4], [3, 4], id="the first of it was"),
        pytest.param(3, [3], [3], id="it is what follows"),
    ],
)
def test_an_update_goes_out_from_the_streams_position_on(seq: int, numbers: list[int], seen: list[int]) -> None:
    """A cell that is asked again repeats what it said before; nobody asks it why."""
    desk = Desk(ONE)
    desk.cells.write(ONE, note(2))
    agent = desk.watch(ONE)
    assert agent.seqs() == [1, 2]
    asked = len(desk.cells.watches)
    desk.hub.updated(Updated(ONE, seq, [note(number) for number in numbers]))
    assert (agent.seqs(), len(desk.cells.watches), desk.gaps) == (seen, asked, 0)
    assert desk.hub.heads(agent, [ONE]) == {ONE: 2 + len(seen)}


def test_what_comes_before_the_first_answer_is_in_that_answer() -> None:
    """And while the stream catches up: neither is a gap, nor is it given out twice."""
    desk = Desk(ONE)
    desk.cells.held = True
    agent = desk.watch(ONE)
    desk.cells.conversations[ONE].append(note(2))
    desk.hub.updated(Updated(ONE, 2, [note(2)]))
    desk.hub.heads_are(HeadsAre({ONE: 2}))
    desk.hub.fresh(desk.cells.cell_of("cu1"))
    desk.hub.moved("cu1")
    assert (agent.frames, len(desk.cells.asked)) == ([], 1)
    desk.cells.release()
    assert agent.seqs() == [1, 2]
    desk.cells.held = True
    desk.cells.conversations[ONE] += [note(3), note(4)]
    for number in (4, 5):
        desk.hub.updated(Updated(ONE, number, [note(number)]))
    desk.hub.heads_are(HeadsAre({ONE: 5}))
    desk.hub.fresh(desk.cells.cell_of("cu1"))
    desk.hub.moved("cu1")
    assert (agent.frames, len(desk.cells.asked), desk.gaps) == ([], 1, 1)
    desk.cells.release()
    assert agent.seqs() == [3, 4]


def test_who_was_away_for_long_is_given_events_and_no_snapshot() -> None:
    """The archive's, then the cell's: a program that acts on each event would miss what a snapshot skips."""
    desk = Desk()
    desk.cells.write(ONE, *(note(n) for n in range(1, 11)))
    desk.cells.recent_from[ONE] = 9
    agent = desk.watch(ONE, 2)
    while desk.archive.reads:
        desk.archive.answer()
    assert all(isinstance(frame, Update) for frame in agent.frames)
    assert agent.seqs() == list(range(3, 11))


def test_a_stream_goes_on_from_the_snapshot_where_the_archive_has_nothing() -> None:
    """It is behind as well. What follows the snapshot comes as it happens."""
    desk = Desk(ONE)
    agent = desk.watch(ONE, 1)
    desk.archive.behind = 100
    desk.cells.write(ONE, *(note(n) for n in range(2, 11)), lose=True)
    desk.cells.recent_from[ONE] = 9
    desk.cells.write(ONE, note(11))
    while desk.archive.reads:
        desk.archive.answer()
    snapshot = agent.frames.pop()
    assert isinstance(snapshot, Snapshot)
    assert snapshot.seq == 11
    desk.cells.write(ONE, note(12))
    assert agent.seqs() == [12]
