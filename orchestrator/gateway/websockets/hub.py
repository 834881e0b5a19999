"""The hub: fans the updates of watched conversations out to the agents' connections.

One subscription per conversation stands between this gateway and the conversation's cell, however many agents watch.
Each watcher's position is kept: an update goes to it only from there on, so that nothing is missed or doubled.

    a watcher joins   asks the cell for an answer of its own, from its own position; the pipe is ordered, so what
                      arrives after that answer is just what follows it
    a long absence    the cell no longer has all events after a position at hand: the archive gives the older ones,
                      then the cell is asked again from there
    a gap             an update begins after the stream's position: asks the cell again from there, for all watchers
    a fresh cell      it forgot the subscriptions: asks again from the streams' positions
"""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from msgspec import Raw

from orchestrator.cell_lines.questions import Reply
from orchestrator.gateway.health.metrics import Metrics
from orchestrator.gateway.peers import Cells
from orchestrator.gateway.websockets.backfill import EVENTS_MAX
from orchestrator.gateway.websockets.streams import Stream, Watcher
from protocol.errors import Code, Refusal
from protocol.frames import RawSnapshot, RawUpdate
from protocol.ids import customer_of
from protocol.links import HeadsAre, Refused, UnwatchConversation, Updated, WatchConversation, Watched

_NEVER_SEEN = -1
"""The position of who begins with a snapshot."""


class Older(Protocol):
    """Where the hub has events from that a cell no longer has at hand (see `backfill.py`)."""

    def read(
        self, conversation: str, after: int, askers: Callable[[], Collection[str]], done: Callable[[list[Raw]], None], /
    ) -> None:
        """Gives the next events after the seq `after` to `done`, once; none where there are none to be had. `askers`
        say whose turn it may be, and are empty once nobody waits for it."""
        ...


Done = Callable[[Refusal | None], None]


class Hub:
    """The fan-out of one gateway. Its owner hands it what the cells say."""

    def __init__(self, cells: Cells, older: Older, metrics: Metrics, *, on_new_generation: Callable[[], None]) -> None:
        self._cells = cells
        self._older = older
        self._generation = ""
        self._on_new_generation = on_new_generation
        self._metrics = metrics
        self._streams: dict[str, Stream] = {}
        self.updates = 0
        """Of watched conversations, that arrived from cells."""

    def __len__(self) -> int:
        return len(self._streams)

    def watch(self, watcher: Watcher, conversation: str, seq: int, done: Done) -> None:
        """Joins `watcher` from `seq` (-1: with a snapshot). A watcher that was joined begins anew there.

        `done` is called once: when the answer is queued, with the refusal, or when the answer found the watcher gone.
        """
        stream = self._streams.get(conversation)
        if stream is None:
            stream = self._streams[conversation] = Stream(conversation)
        stream.watchers.pop(watcher, None)
        question = stream.joining[watcher] = object()
        self._join(stream, watcher, question, seq, done)

    def unwatch(self, watcher: Watcher, conversation: str) -> None:
        """Leaves; whoever leaves last ends the subscription."""
        stream = self._streams.get(conversation)
        if stream is None:
            return
        stream.watchers.pop(watcher, None)
        stream.joining.pop(watcher, None)
        self._end_if_unwatched(stream)

    def heads(self, watcher: Watcher, conversations: Sequence[str]) -> dict[str, int]:
        """The newest `seq` of each of these that `watcher` has joined, for its heartbeat."""
        return {
            conversation: stream.position
            for conversation in conversations
            if (stream := self._streams.get(conversation)) and watcher in stream.watchers
        }

    # What cells say

    def updated(self, updated: Updated) -> None:
        """Committed events of a conversation: to everyone who watches."""
        self.updates += 1
        stream = self._streams.get(updated.conversation)
        if stream is None:
            # A watch that was asked again of a new cell came behind its unwatch: nobody wants this any more.
            self._cells.send(customer_of(updated.conversation), UnwatchConversation(updated.conversation))
            return
        # Before the first answer, and while catching up, the answer on its way covers this.
        if stream.position < 0 or stream.catching_up:
            return
        if updated.seq > stream.position + 1:
            self._catch_up(stream)
        elif updated.seq + len(updated.events) > stream.position + 1:
            stream.fan_out(updated.seq, updated.events)

    def heads_are(self, heads: HeadsAre) -> None:
        """Heads from a cell. One ahead of what it sent before, on an ordered pipe, shows a loss."""
        for conversation, head in heads.heads.items():
            stream = self._streams.get(conversation)
            if stream and head > stream.position >= 0 and not stream.catching_up:
                self._catch_up(stream)

    def fresh(self, cell: int) -> None:
        """The cell came back without its subscriptions, or dropped updates because the line was full. Questions it
        never answered are the pipe's to repeat."""
        for stream in list(self._streams.values()):
            if stream.position >= 0 and not stream.catching_up and self._cells.cell_of(stream.customer) == cell:
                self._catch_up(stream, gap=False)

    def moved(self, customer: str) -> None:
        """The customer has a cell that knows nothing of our subscriptions to its conversations yet."""
        for stream in list(self._streams.values()):
            if stream.position >= 0 and not stream.catching_up and stream.customer == customer:
                self._catch_up(stream, gap=False)

    # Joining

    def _join(self, stream: Stream, watcher: Watcher, question: object, seq: int, done: Done) -> None:
        self._ask(stream, seq, lambda reply: self._joined(stream, watcher, question, seq, reply, done))

    def _joined(self, stream: Stream, watcher: Watcher, question: object, seq: int, reply: Reply, done: Done) -> None:
        if stream.joining.get(watcher) is not question:
            # It left, or asked again since.
            self._end_if_unwatched(stream)
            done(None)
            return
        if isinstance(reply, Watched) and self._check_generation() and _long_absence(seq, reply):
            self._older.read(
                stream.conversation,
                seq,
                lambda: [watcher.asker] if stream.joining.get(watcher) is question else [],
                lambda events: self._backfilled(stream, watcher, question, seq, events, done),
            )
            return
        del stream.joining[watcher]
        if not isinstance(reply, Watched):
            self._end_if_unwatched(stream)
            done(_refusal(reply))
            return
        frame = _answer(reply, self._generation)
        watcher.answer(watcher.codec.encode(frame))
        stream.watchers[watcher] = reply.head
        if stream.position < 0:
            stream.position = reply.head
        elif reply.head > stream.position and not stream.catching_up:
            self._catch_up(stream)
        done(None)

    def _backfilled(
        self, stream: Stream, watcher: Watcher, question: object, seq: int, events: list[Raw], done: Done
    ) -> None:
        """The archive gave the next events after `seq`: the cell is asked from there. It gave none: a snapshot."""
        if stream.joining.get(watcher) is not question:
            self._end_if_unwatched(stream)
            done(None)
            return
        if events:
            watcher.answer(
                watcher.codec.encode(RawUpdate(conversation=stream.conversation, seq=seq + 1, events=events))
            )
        self._join(stream, watcher, question, seq + len(events) if events else _NEVER_SEEN, done)

    def _end_if_unwatched(self, stream: Stream) -> None:
        if stream.watchers or stream.joining or self._streams.get(stream.conversation) is not stream:
            return
        del self._streams[stream.conversation]
        self._cells.send(stream.customer, UnwatchConversation(stream.conversation))

    def _ask(self, stream: Stream, seq: int, done: Callable[[Reply], None]) -> None:
        customer, conversation = stream.customer, stream.conversation
        self._cells.ask(customer, lambda ref: WatchConversation(ref, customer, conversation, seq), done)

    # Catching up

    def _catch_up(self, stream: Stream, *, gap: bool = True) -> None:
        if self._streams.get(stream.conversation) is not stream:
            return  # Its last watcher was full, and left.
        if gap:
            self._metrics.gaps.inc()
        stream.catching_up = True
        self._ask(stream, stream.position, lambda reply: self._caught_up(stream, reply))

    def _caught_up(self, stream: Stream, reply: Reply) -> None:
        stream.catching_up = False
        if not self._check_generation():
            return
        if self._streams.get(stream.conversation) is not stream:
            return
        if not isinstance(reply, Watched):
            self._give_up(stream, _refusal(reply))
        elif reply.view is None:
            stream.fan_out(reply.head - len(reply.events) + 1, reply.events)
        elif _long_absence(stream.position, reply):
            stream.catching_up = True
            self._older.read(
                stream.conversation,
                stream.position,
                lambda: stream.askers,
                lambda events: self._refilled(stream, reply, events),
            )
        else:
            stream.begin_anew(_answer(reply, self._generation), reply.head)

    def _refilled(self, stream: Stream, reply: Watched, events: list[Raw]) -> None:
        """The archive gave the next events for all watchers; the cell is asked for the rest."""
        if self._streams.get(stream.conversation) is not stream:
            return
        if events:
            stream.fan_out(stream.position + 1, events)
            self._catch_up(stream, gap=False)
        else:
            stream.catching_up = False
            stream.begin_anew(_answer(reply, self._generation), reply.head)

    def _give_up(self, stream: Stream, refusal: Refusal) -> None:
        watchers = list(stream.watchers)
        stream.watchers.clear()
        self._end_if_unwatched(stream)
        for watcher in watchers:
            watcher.watch_failed(stream.conversation, refusal)

    def _check_generation(self) -> bool:
        """Whether positions still mean what they meant. A cell names its generation before it answers anything."""
        before, self._generation = self._generation, self._cells.generation
        if before in ("", self._generation):
            return True
        self._on_new_generation()
        return False


def _long_absence(seq: int, reply: Watched) -> bool:
    """Whether the cell answered a position with a snapshot that the archive can do better than."""
    return reply.view is not None and 0 <= seq < reply.head <= seq + EVENTS_MAX


def _answer(reply: Watched, generation: str) -> RawUpdate | RawSnapshot:
    """The frame that answers a watch. One that is at the head already gets an update without events: it has joined."""
    if reply.view is None:
        seq = reply.head - len(reply.events) + 1
        return RawUpdate(conversation=reply.conversation, seq=seq, events=reply.events)
    return RawSnapshot(
        conversation=reply.conversation,
        generation=generation,
        seq=reply.head,
        view=reply.view,
        recent=reply.events,
    )


def _refusal(reply: Reply) -> Refusal:
    if isinstance(reply, Refused):
        return Refusal(Code(reply.code), reply.message, field=reply.field)
    return Refusal(Code.UNAVAILABLE, "the conversation is being moved; watch it again")
