"""The hub under random orders of everything: each watcher sees a gap-free stream, once."""

from collections import deque
from collections.abc import Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from orchestrator.gateway.hub import Hub
from orchestrator.gateway.metrics import Metrics
from orchestrator.gateway.peers import Reply
from protocol.codec import Codec
from protocol.errors import Refusal
from protocol.events import NoteAdded
from protocol.frames import Frame, Snapshot, Update
from protocol.links import AnyToCell, HeadsAre, Updated
from tests.orchestrator.gateway.fakes import FakeCells, note

ONE = "cu1-1"
Done = Callable[[Any], None]


class Watcher:
    """A connection that checks what it is given as it comes."""

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
        self.reads: deque[tuple[int, Done]] = deque()
        self.behind = 0

    def read(self, conversation: str, after: int, done: Done) -> None:
        self.reads.append((after, done))

    def answer(self) -> None:
        """The oldest read is done."""
        after, done = self.reads.popleft()
        events = self.cells.conversations[ONE]
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
