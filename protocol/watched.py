"""The conversations a client watches: which, why, and how far each has come.

Everything that makes an event happen exactly once is here. A position moves only with the update that is handed out;
what starts at or before it was seen, what starts after its successor shows a gap and is asked for.
"""

from collections.abc import Iterable

from msgspec import Struct

from protocol.entities import ConversationView
from protocol.events import AnyEvent
from protocol.frames import Position, Snapshot, Update, Watch

HELLO_POSITIONS_MAX = 4096
"""Positions in one hello: about 200 KB, well inside a message. Others are sent as `watch` after the welcome."""
POSITIONS_MAX = 20_000
"""Positions kept, of watched and once watched conversations; over it the longest unmoved of those not watched goes."""


class ResumePoint(Struct, kw_only=True, frozen=True, gc=False):
    """How far a client has come: kept over a restart of the client's program, as JSON for example."""

    generation: str = ""
    positions: dict[str, int] = {}


class ConversationUpdate(Struct, kw_only=True, frozen=True, gc=False):
    """The next events of one conversation. Each event is in exactly one update."""

    conversation: str
    generation: str
    seq: int
    """The last event's number; the first one's is `seq - len(events) + 1`."""
    events: list[AnyEvent]
    view: ConversationView | None = None
    """The conversation as of `seq`, where this is a first look or many events were skipped."""
    skipped: int = 0
    """Events before these that are only in `view`: the server keeps the newest ones at hand."""


class WatchedConversations:
    """Watches with their reasons, and positions. What it returns as `Watch` is to be sent."""

    def __init__(self, resume: ResumePoint) -> None:
        self.generation = resume.generation
        self._positions = dict(resume.positions)
        self._reasons: dict[str, set[str]] = {}
        self._in_hello: set[str] = set()
        self._asked: set[str] = set()
        """Watches whose answer is on its way."""
        self._behind: set[str] = set()
        """Conversations with updates that found no room."""

    def __contains__(self, conversation: str) -> bool:
        return conversation in self._reasons

    def __len__(self) -> int:
        return len(self._reasons)

    def resume_point(self) -> ResumePoint:
        """Returns how far all have come."""
        return ResumePoint(generation=self.generation, positions=dict(self._positions))

    def because_of(self, reason: str) -> set[str]:
        """Returns the conversations that are watched for this reason."""
        return {conversation for conversation, reasons in self._reasons.items() if reason in reasons}

    # Connections

    def hello(self) -> list[Position]:
        """A connection begins: returns the positions that its hello resumes from."""
        known = [c for c in self._reasons if c in self._positions][:HELLO_POSITIONS_MAX]
        self._in_hello = set(known)
        self._asked = set(known)
        self._behind.clear()
        return [Position(conversation=c, seq=self._positions[c]) for c in known]

    def welcome(self, generation: str) -> list[Watch]:
        """The connection is open: returns the watches that its hello had no position for."""
        if generation != self.generation:
            self._void(generation)
        return [self.ask(conversation) for conversation in self._reasons if conversation not in self._in_hello]

    # Watches

    def add(self, conversation: str, reason: str) -> list[Watch]:
        """Watches it for one more reason."""
        if reasons := self._reasons.get(conversation):
            reasons.add(reason)
            return []
        self._reasons[conversation] = {reason}
        return [self.ask(conversation)]

    def remove(self, conversation: str, reason: str) -> bool:
        """Takes a reason back. Returns whether it was the last one, so that the server is to be told."""
        reasons = self._reasons.get(conversation, set())
        if reason not in reasons:
            return False
        reasons.discard(reason)
        if not reasons:
            self.drop(conversation)
        return not reasons

    def drop(self, conversation: str) -> None:
        """It is not watched any more. Its position stays: to watch it again resumes there."""
        self._reasons.pop(conversation, None)
        self._asked.discard(conversation)
        self._behind.discard(conversation)

    def postpone(self, conversation: str) -> None:
        """It cannot be taken now; `catch_up` asks for it."""
        self._asked.discard(conversation)
        if conversation in self._reasons:
            self._behind.add(conversation)

    def ask(self, conversation: str) -> Watch:
        """Returns the watch that resumes from the conversation's position."""
        self._asked.add(conversation)
        self._behind.discard(conversation)
        ref = f"conversation={conversation}"
        if (seq := self._positions.get(conversation)) is None:
            return Watch(conversation=conversation, ref=ref)
        return Watch(conversation=conversation, generation=self.generation, seq=seq, ref=ref)

    # What the server says

    def on_snapshot(self, frame: Snapshot, room: bool) -> tuple[list[Watch], ConversationUpdate | None]:
        """Takes a snapshot; where it is of a new generation, all other watches start anew too."""
        again: list[Watch] = []
        if frame.generation != self.generation:
            self._void(frame.generation)
            again = [self.ask(other) for other in self._reasons if other != frame.conversation]
        at = self._positions.get(frame.conversation, 0)
        if not self._takes(frame.conversation, frame.seq, room):
            return again, None
        events = frame.recent[max(0, len(frame.recent) - (frame.seq - at)) :]
        self._move(frame.conversation, frame.seq)
        update = ConversationUpdate(
            conversation=frame.conversation,
            generation=self.generation,
            seq=frame.seq,
            events=events,
            view=frame.view,
            skipped=frame.seq - at - len(events),
        )
        return again, update

    def on_update(self, frame: Update, room: bool) -> tuple[list[Watch], ConversationUpdate | None]:
        """Takes the events of an update that are new; asks for those before it where there is a gap."""
        last = frame.seq + len(frame.events) - 1
        at = self._positions.get(frame.conversation, 0)
        if not self._takes(frame.conversation, last, room):
            return [], None
        if frame.seq > at + 1:
            # Where the watch is on its way already, its answer closes the gap.
            return [] if frame.conversation in self._asked else [self.ask(frame.conversation)], None
        self._move(frame.conversation, last)
        events = frame.events[at + 1 - frame.seq :]
        update = ConversationUpdate(
            conversation=frame.conversation, generation=self.generation, seq=last, events=events
        )
        return [], update

    def on_heads(self, heads: dict[str, int]) -> list[Watch]:
        """Returns a watch for each conversation that is behind its head.

        An answer on its way may make one superfluous, but one that was lost must be asked for again, and what comes
        twice happens once.
        """
        return [
            self.ask(conversation)
            for conversation, head in heads.items()
            if conversation in self._reasons
            and conversation not in self._behind
            and head > self._positions.get(conversation, 0)
        ]

    def again(self, conversations: Iterable[str]) -> list[Watch]:
        """Returns a watch for each of these that is watched: the server dropped their updates."""
        return [self.ask(conversation) for conversation in conversations if conversation in self._reasons]

    def catch_up(self) -> list[Watch]:
        """Returns a watch for each conversation with updates that found no room."""
        return [self.ask(conversation) for conversation in sorted(self._behind)]

    def _takes(self, conversation: str, last: int, room: bool) -> bool:
        if conversation not in self._reasons:
            return False
        if last <= self._positions.get(conversation, 0):
            self._asked.discard(conversation)
            return False
        if not room:
            self.postpone(conversation)
        return room

    def _void(self, generation: str) -> None:
        """Positions of another generation say nothing. What hello named under it is answered by snapshots."""
        self.generation = generation
        self._positions.clear()

    def _move(self, conversation: str, seq: int) -> None:
        self._asked.discard(conversation)
        self._behind.discard(conversation)
        # Taken out and put in again: the order of the dict is the order of the last moves.
        self._positions.pop(conversation, None)
        self._positions[conversation] = seq
        if len(self._positions) > POSITIONS_MAX:
            oldest = next((c for c in self._positions if c not in self._reasons), conversation)
            if oldest != conversation:
                del self._positions[oldest]
