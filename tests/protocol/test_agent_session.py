"""The agent's side without I/O: resume, gaps, repeats, followed inboxes, pending commands, and a hostile line."""

from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.agent_session import COMMANDS_MAX, AgentSession, State, Turn
from protocol.commands import AddNote
from protocol.entities import ConversationSummary, ConversationView, Status
from protocol.errors import Code, Refusal
from protocol.events import NoteAdded
from protocol.frames import (
    AgentFrame,
    CommandFrame,
    Drain,
    Error,
    Heads,
    Hello,
    Inbox,
    Limits,
    Pong,
    Position,
    Presence,
    Result,
    Resync,
    Snapshot,
    ToAgent,
    Unwatch,
    Update,
    Watch,
    Welcome,
)
from protocol.watched import ConversationUpdate, ResumePoint

A, B = "cua-1", "cub-1"


def welcome(generation: str = "g1", watches: int = 100) -> Welcome:
    """The server's first frame."""
    limits = Limits(message_bytes=1 << 20, frames=100, watches=watches, credits=0)
    return Welcome(session="s", name="ann", generation=generation, heartbeat_ms=1000, limits=limits)


def events(first: int, last: int) -> list[Any]:
    """Events that carry their own number."""
    return [NoteAdded(at_ms=n, text=str(n)) for n in range(first, last + 1)]


def update(conversation: str, first: int, last: int) -> Update:
    """Events `first` to `last`."""
    return Update(conversation=conversation, seq=first, events=events(first, last))


def snapshot(conversation: str, seq: int, *, recent: int = 2, generation: str = "g1") -> Snapshot:
    """A snapshot with its newest events."""
    view = ConversationView(conversation=conversation, customer="cu", status=Status.OPEN)
    first = max(1, seq - recent + 1)
    return Snapshot(conversation=conversation, generation=generation, seq=seq, view=view, recent=events(first, seq))


def row(conversation: str) -> ConversationSummary:
    """A row of an inbox."""
    return ConversationSummary(conversation=conversation, customer="cu", head=1)


def numbers(turn: Turn) -> list[int]:
    """The numbers of the events that happened in this turn."""
    return [e.at_ms for h in turn.happened if isinstance(h, ConversationUpdate) for e in h.events]


def asked(frames: Sequence[AgentFrame]) -> list[tuple[str, int]]:
    """Which conversations are watched from where."""
    return [(frame.conversation, frame.seq) for frame in frames if isinstance(frame, Watch)]


def opened(*conversations: str, resume: ResumePoint | None = None) -> AgentSession:
    """A session that is connected and watches these."""
    session = AgentSession(token="t", resume=resume)
    for conversation in conversations:
        session.watch(conversation=conversation)
    session.connect()
    session.receive(welcome())
    return session


def state(session: AgentSession) -> State:
    """Its state now: read through a call, since a type checker holds an attribute to what was asserted of it before."""
    return session.state


def idle(session: AgentSession) -> bool:
    """Whether nothing is unanswered now, read likewise."""
    return session.idle


def test_the_states_follow_the_connection() -> None:
    """Hello goes out first, the welcome opens, a break closes, and the next connection says hello again."""
    session = AgentSession(token="t", client="c")
    assert state(session) is State.NEW
    assert session.connect() == [Hello(token="t", client="c")]
    assert state(session) is State.HELLO_SENT
    assert session.receive(welcome()).happened == [welcome()]
    assert state(session) is State.OPEN
    session.disconnect()
    assert state(session) is State.CLOSED
    session.connect()
    assert state(session) is State.HELLO_SENT


def test_a_server_that_breaks_the_protocol_is_left() -> None:
    """A frame before the welcome and a second welcome end the connection, and it is worth coming again."""
    session = AgentSession()
    session.connect()
    with pytest.raises(Refusal) as refused:
        session.receive(Heads(heads={}))
    assert refused.value.retryable
    session.receive(welcome())
    with pytest.raises(Refusal) as refused:
        session.receive(welcome())
    assert refused.value.retryable


def test_a_snapshot_then_updates_happen_once() -> None:
    """Repeats and overlaps of what was seen bring nothing twice."""
    session = opened(A)
    turn = session.receive(snapshot(A, 5))
    (first,) = turn.happened
    assert isinstance(first, ConversationUpdate)
    assert first.view
    assert (first.seq, first.skipped, numbers(turn)) == (5, 3, [4, 5])
    assert numbers(session.receive(update(A, 6, 7))) == [6, 7]
    assert not session.receive(update(A, 6, 7)).happened
    assert not session.receive(Update(conversation=A, seq=8, events=[])).happened
    assert numbers(session.receive(update(A, 5, 9))) == [8, 9]
    assert numbers(session.receive(snapshot(A, 9))) == []
    assert session.resume_point() == ResumePoint(generation="g1", positions={A: 9})


def test_a_gap_is_asked_for_once_and_closed() -> None:
    """What comes after a gap is not taken; the watch from the own position brings it."""
    session = opened(A)
    session.receive(snapshot(A, 5))
    turn = session.receive(update(A, 7, 7))
    assert turn.send == [Watch(conversation=A, generation="g1", seq=5, ref=f"conversation={A}")]
    assert not turn.happened
    assert not session.receive(update(A, 8, 8)).send
    assert numbers(session.receive(update(A, 6, 8))) == [6, 7, 8]


def test_a_late_snapshot_brings_only_what_is_new() -> None:
    """Where the server answers a position with a snapshot, events that were seen do not come again."""
    session = opened(A)
    session.receive(snapshot(A, 5))
    turn = session.receive(snapshot(A, 8, recent=6))
    assert numbers(turn) == [6, 7, 8]
    assert [h.skipped for h in turn.happened if isinstance(h, ConversationUpdate)] == [0]


def test_heads_are_answered_and_show_a_loss() -> None:
    """The heartbeat gets its pong, and a conversation behind its head is watched again."""
    session = opened(A, B)
    session.receive(snapshot(A, 5))
    session.receive(snapshot(B, 2))
    turn = session.receive(Heads(heads={A: 5, B: 4, "cuz-1": 9}))
    assert turn.send[0] == Pong()
    assert asked(turn.send) == [(B, 2)]


def test_resync_asks_for_conversations_and_inboxes_again() -> None:
    """What the server dropped is asked for from where this client is."""
    session = opened(A)
    session.watch(inbox="mine")
    session.receive(snapshot(A, 5))
    turn = session.receive(Resync(conversations=[A, B], inboxes=["mine", "queue:x"]))
    assert asked(turn.send) == [(A, 5), ("", -1)]


def test_a_reconnect_resumes_everything() -> None:
    """Positions and inboxes go into hello; what has no position yet, customers, presence and commands follow."""
    session = opened(A, B)
    session.receive(snapshot(A, 5))
    session.watch(inbox="queue:default")
    session.watch(customer="cu9")
    session.presence("away")
    session.command("k1", AddNote(text="x"), conversation=A)
    session.disconnect()
    (hello,) = session.connect()
    assert hello == Hello(
        token="t", generation="g1", positions=[Position(conversation=A, seq=5)], inboxes=["queue:default"]
    )
    assert session.receive(welcome()).send == [
        Presence(state="away"),
        Watch(customer="cu9", ref="inbox=customer:cu9"),
        Watch(conversation=B, ref=f"conversation={B}"),
        CommandFrame(id="k1", command=AddNote(text="x"), conversation=A),
    ]
    assert numbers(session.receive(update(A, 6, 6))) == [6]


def test_what_is_asked_without_a_connection_is_said_on_the_next() -> None:
    """Nothing leaves while there is no connection, and nothing is forgotten."""
    session = AgentSession()
    assert not session.watch(conversation=A)
    assert not session.command("k", AddNote(text="x"), conversation=A)
    session.connect()
    assert not session.watch(conversation=B)
    turn = session.receive(welcome())
    assert asked(turn.send) == [(A, -1), (B, -1)]
    assert isinstance(turn.send[-1], CommandFrame)


def test_a_resume_point_outlives_the_program() -> None:
    """A new session with an old one's point goes on behind it, also through JSON."""
    old = opened(A)
    old.receive(snapshot(A, 5))
    point = msgspec.json.decode(msgspec.json.encode(old.resume_point()), type=ResumePoint)
    session = opened(A, resume=point)
    assert numbers(session.receive(update(A, 5, 6))) == [6]


def test_another_generation_voids_positions() -> None:
    """After the journal was replaced nothing of the old numbers is believed, at a welcome or in the middle."""
    session = opened(A, B)
    session.receive(snapshot(A, 5))
    session.receive(snapshot(B, 7))
    session.disconnect()
    session.connect()
    session.receive(welcome("g2"))
    assert numbers(session.receive(update(A, 6, 6))) == []
    assert numbers(session.receive(snapshot(A, 2, generation="g2"))) == [1, 2]
    turn = session.receive(snapshot(A, 1, generation="g3"))
    assert numbers(turn) == [1]
    assert asked(turn.send) == [(B, -1)]
    assert session.resume_point() == ResumePoint(generation="g3", positions={A: 1})


def test_without_room_updates_are_left_and_caught_up() -> None:
    """What finds no room does not move the position, so that it can be asked for later."""
    session = opened(A)
    session.watch(inbox="mine")
    session.receive(snapshot(A, 5))
    assert not session.receive(update(A, 6, 6), room=False).happened
    assert not session.receive(Inbox(inbox="mine", entries=[row(A)], full=True), room=False).happened
    assert session.receive(Heads(heads={A: 6}), room=False).send == [Pong()]
    assert asked(session.catch_up()) == [(A, 5), ("", -1)]
    assert numbers(session.receive(update(A, 6, 6))) == [6]
    assert not session.catch_up()


def test_a_followed_inbox_watches_what_is_listed() -> None:
    """Rows that come are watched, rows that go are left, and their positions are kept for when they come back."""
    session = opened()
    session.watch(inbox="queue:default", follow=True)
    turn = session.receive(Inbox(inbox="queue:default", entries=[row(A), row(B)], full=True))
    assert asked(turn.send) == [(A, -1), (B, -1)]
    session.receive(snapshot(A, 5))
    session.watch(conversation=B)
    assert session.receive(Inbox(inbox="queue:default", removed=[A, B])).send == [Unwatch(conversation=A)]
    assert numbers(session.receive(update(A, 6, 6))) == []
    turn = session.receive(Inbox(inbox="queue:default", entries=[row(A)]))
    assert asked(turn.send) == [(A, 5)]
    assert session.receive(Inbox(inbox="queue:default", full=True)).send == [Unwatch(conversation=A)]
    assert not session.receive(Inbox(inbox="queue:other", entries=[row(A)])).happened


def test_following_stops_at_the_connections_limit() -> None:
    """A row over the limit is listed but not watched: the server would refuse it."""
    session = AgentSession()
    session.watch(inbox="mine", follow=True)
    session.connect()
    session.receive(welcome(watches=2))
    turn = session.receive(Inbox(inbox="mine", entries=[row(A), row(B)], full=True))
    assert asked(turn.send) == [(A, -1)]
    assert turn.happened


def test_unwatching_an_inbox_leaves_what_was_followed() -> None:
    """What the application watches for itself stays."""
    session = opened(B)
    session.watch(customer="cu", follow=True)
    session.receive(Inbox(inbox="customer:cu", entries=[row(A), row(B)], full=True))
    assert session.unwatch(customer="cu") == [Unwatch(customer="cu"), Unwatch(conversation=A)]
    assert session.unwatch(conversation=B) == [Unwatch(conversation=B)]
    assert session.unwatch(conversation=B) == []
    assert session.unwatch(inbox="mine") == []


def test_a_result_happens_once() -> None:
    """A command asked again after a reconnect may be answered twice."""
    session = opened()
    session.command("k", AddNote(text="x"), conversation=A)
    assert not idle(session)
    assert session.receive(Result(id="k", conversation=A, seq=3)).happened == [Result(id="k", conversation=A, seq=3)]
    assert idle(session)
    assert not session.receive(Result(id="k", conversation=A, seq=3)).happened


def test_commands_are_bounded() -> None:
    """A server that never answers does not fill the client's memory."""
    session = opened()
    for n in range(COMMANDS_MAX):
        session.command(str(n), AddNote(text="x"), conversation=A)
    with pytest.raises(Refusal) as refused:
        session.command("one more", AddNote(text="x"), conversation=A)
    assert refused.value.code is Code.OVERLOADED
    session.forget("0")
    assert session.command("one more", AddNote(text="x"), conversation=A)


def test_errors_go_where_they_belong() -> None:
    """A command's error is its result, a refused watch is over, one that could not be taken now is asked again."""
    session = opened(A, B)
    session.command("k", AddNote(text="x"), conversation=A)
    (result,) = session.receive(Error(code=4208, message="closed", ref="k")).happened
    assert isinstance(result, Result)
    assert (result.code, result.retryable) == (4208, False)
    assert session.receive(Error(code=4207, message="no", ref=f"conversation={A}")).happened
    assert not session.receive(snapshot(A, 5)).happened
    session.watch(inbox="mine")
    for ref in (f"conversation={B}", "inbox=mine"):
        turn = session.receive(Error(code=4301, message="starting", ref=ref))
        assert turn.held
        assert not turn.happened
    assert asked(session.receive(Heads(heads={})).send) == [(B, -1), ("", -1)]


def test_drain_is_known_until_the_next_connection() -> None:
    """The server's wish to end the connection is kept for the line."""
    session = opened()
    session.receive(Drain(after_ms=5))
    assert session.drain == Drain(after_ms=5)
    session.connect()
    assert session.drain is None


class HostileServer:
    """A server with one conversation, on a line that loses, repeats and swaps updates and breaks."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.head = 1
        self.watched = False

    def answer(self, frame: AgentFrame) -> list[ToAgent]:
        """What the real server says to a watch or a hello, faithfully: the suffix, or a snapshot."""
        match frame:
            case Hello(positions=positions, generation=generation):
                self.watched = bool(positions)
                return [welcome(), *(a for p in positions for a in self.resume(p.seq, generation))]
            case Watch(seq=seq, generation=generation):
                self.watched = True
                return self.resume(seq, generation)
            case _:
                return []

    def resume(self, seq: int, generation: str) -> list[ToAgent]:
        if generation != "g1" or seq < 0 or self.random.random() < 0.2:
            return [snapshot(A, self.head, recent=self.head)]
        return [update(A, seq + 1, self.head)]

    def step(self) -> list[ToAgent]:
        """New events, told well or badly."""
        first = self.head + 1
        self.head += self.random.randint(0, 2)
        told: list[ToAgent] = [update(A, n, n) for n in range(first, self.head + 1)]
        match self.random.randint(0, 4):
            case 0:
                told = []
            case 1:
                told.reverse()
            case 2:
                told += told
            case 3 if first > 1:
                told.append(update(A, self.random.randint(1, first), self.head))
        return told if self.watched else []


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_on_a_hostile_line_every_event_happens_once_and_in_order(seed: int) -> None:
    """Whatever is lost, repeated, swapped or left for want of room, the events are 1, 2, 3 … without a gap."""
    random = Random(seed)
    server, session = HostileServer(random), AgentSession()
    seen: list[int] = []
    session.watch(conversation=A)

    def exchange(frames: Sequence[ToAgent], room: bool) -> None:
        for frame in frames:
            turn = session.receive(frame, room=room)
            for happening in turn.happened:
                if isinstance(happening, ConversationUpdate):
                    assert not happening.skipped
                    seen.extend(e.at_ms for e in happening.events)
            for sent in turn.send:
                exchange(server.answer(sent), room)

    def reconnect() -> None:
        session.disconnect()
        server.watched = False
        for hello in session.connect():
            exchange(server.answer(hello), True)

    reconnect()
    for _ in range(40):
        room = random.random() < 0.8
        match random.randint(0, 9):
            case 0:
                reconnect()
            case 1:
                exchange([Heads(heads={A: server.head})], room)
            case 2:
                for frame in session.catch_up():
                    exchange(server.answer(frame), True)
            case _:
                exchange(server.step(), room)
    exchange([Heads(heads={A: server.head})], True)
    assert seen == list(range(1, server.head + 1))
