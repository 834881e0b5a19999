"""The gateway client's side without I/O: credits, events kept until their answer, deliveries made once."""

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.agent_session import State
from protocol.errors import Code, Refusal
from protocol.frames import (
    Accounts,
    Ack,
    Deliver,
    Delivered,
    Drain,
    Error,
    Flow,
    Hello,
    Limits,
    Nack,
    Ping,
    Pong,
    ToGateway,
    Welcome,
)
from protocol.gateway_session import EVENTS_MAX, EventRefused, EventsSettled, GatewaySession
from protocol.handed_out import OUTCOMES_MAX
from protocol.outcomes import EXTERNAL_ID_MAX


def welcome(credits: int = 10, generation: str = "g1") -> Welcome:
    """The server's first frame."""
    limits = Limits(message_bytes=1 << 20, frames=100, watches=0, credits=credits)
    return Welcome(session="s", name="bridge", generation=generation, heartbeat_ms=1000, limits=limits)


def opened(credits: int = 10) -> GatewaySession:
    """A session that is connected."""
    session = GatewaySession(token="t", accounts=["chat"])
    session.connect()
    session.receive(welcome(credits))
    return session


def deliver(number: int = 1, attempt: int = 1, text: str = "hi") -> Deliver:
    """A delivery."""
    return Deliver(delivery=f"d{number}", attempt=attempt, account="chat", channel="chat", to="chat:1", text=text)


def restored(session: GatewaySession) -> None:
    """The connection ends; the next one's server was restored from a backup."""
    session.disconnect()
    session.connect()
    session.receive(welcome(generation="g2"))


def state(session: GatewaySession) -> State:
    """Its state now: read through a call, since a type checker holds an attribute to what was asserted of it before."""
    return session.state


def idle(session: GatewaySession) -> bool:
    """Whether nothing is unanswered now, read likewise."""
    return session.idle


def put(session: GatewaySession, *ids: str) -> list[Any]:
    """Takes events whose bytes are their ids; returns what may leave."""
    return [frame for id in ids for frame in session.event(id, id.encode())]


def test_the_first_frame_names_the_accounts_it_delivers_for() -> None:
    """Hello goes out first; the welcome opens."""
    session = GatewaySession(token="t", client="c", accounts=["chat"])
    assert session.connect() == [Hello(token="t", client="c", accounts=["chat"])]
    assert state(session) is State.HELLO_SENT
    assert session.receive(welcome()).happened == [welcome()]
    assert state(session) is State.OPEN


def test_which_accounts_are_not_taken_is_known_until_the_next_connection() -> None:
    """The newest word counts, and a new connection begins without one."""
    session = opened()
    for untaken in ({"line": "gone", "page": "gone"}, {"line": "gone"}):
        said = Accounts(taken=["chat"], untaken=untaken)
        assert session.receive(said).happened == [said]
        assert session.untaken == untaken
    session.disconnect()
    session.connect()
    session.receive(welcome())
    assert session.untaken == {}


def test_a_server_that_breaks_the_protocol_is_left() -> None:
    """A frame before the welcome ends the connection, and it is worth coming again."""
    session = GatewaySession()
    session.connect()
    with pytest.raises(Refusal) as refused:
        session.receive(Ping())
    assert refused.value.retryable


def test_events_wait_for_credits() -> None:
    """The window bounds what is unanswered; an answer gives its credit back, `flow` widens the window."""
    session = opened(credits=2)
    assert put(session, "a", "b", "c", "d", "e") == [b"a", b"b"]
    turn = session.receive(Ack(ids=["a"]))
    assert turn.happened == [EventsSettled(["a"], "committed")]
    assert turn.send == [b"c"]
    assert session.receive(Nack(id="b", code=4204, message="no", retryable=False)).send == [b"d"]
    assert session.receive(Flow(credits=1)).send == [b"e"]
    assert session.unanswered == 3


def test_an_answer_happens_once() -> None:
    """A repeated ack, or one of an id nobody knows, is nothing."""
    session = opened()
    put(session, "a")
    assert session.receive(Ack(ids=["a", "b"])).happened == [EventsSettled(["a"], "committed")]
    assert not session.receive(Ack(ids=["a"])).happened
    assert not session.receive(Nack(id="a", code=4204, message="no", retryable=False)).happened


def test_a_reconnect_sends_again_in_order_what_has_no_answer() -> None:
    """Sent, waiting and new events go out in the order in which they came, within the new window."""
    session = opened(credits=2)
    put(session, "a", "b", "c")
    session.disconnect()
    assert put(session, "d") == []
    session.connect()
    assert session.receive(welcome(3)).send == [b"a", b"b", b"c"]
    assert session.receive(Ack(ids=["a", "b", "c"], status="repeat")).send == [b"d"]


def test_a_nack_for_now_is_held_and_released() -> None:
    """What the server could not take leaves again when the back-off is over, and nothing overtakes it before."""
    session = opened(credits=2)
    put(session, "a", "b", "c")
    turn = session.receive(Nack(id="a", code=4300, message="busy", retryable=True))
    assert turn.held
    assert not turn.happened
    assert not turn.send
    assert put(session, "d") == []
    assert session.release() == [b"a"]
    assert session.receive(Ack(ids=["b"])).send == [b"c"]
    assert session.receive(Ack(ids=["a"])).send == [b"d"]


def test_what_was_held_when_the_connection_broke_leaves_in_its_order() -> None:
    """The next connection sends all that is kept."""
    session = opened(credits=4)
    put(session, "a", "b")
    session.receive(Nack(id="a", code=4300, message="busy", retryable=True))
    put(session, "c")
    session.disconnect()
    session.connect()
    assert session.receive(welcome(4)).send == [b"a", b"b", b"c"]


def test_a_nack_for_good_is_told() -> None:
    """The event is not kept any more."""
    session = opened()
    put(session, "a")
    turn = session.receive(Nack(id="a", code=4204, message="no identity", retryable=False))
    assert turn.happened == [EventRefused("a", 4204, "no identity")]
    assert session.unanswered == 0


def test_an_error_about_an_event_says_why_and_its_ack_settles_it() -> None:
    """Until then nothing else takes its name: what did would be settled by that ack, unheard of by the server."""
    session = opened()
    put(session, "a")
    assert session.receive(Error(code=4200, message="no", ref="a")).happened == []
    with pytest.raises(Refusal, match="unanswered"):
        put(session, "a")
    assert session.receive(Ack(ids=["a"], status="quarantined")).happened == [EventRefused("a", 4200, "no")]
    assert put(session, "a") == [b"a"]
    assert session.receive(Ack(ids=["a"])).happened == [EventsSettled(["a"], "committed")]


def test_an_error_whose_ack_is_lost_is_said_again() -> None:
    """The event is sent again, and its answer of then is the one that counts."""
    session = opened()
    put(session, "a")
    session.receive(Error(code=4200, message="no", ref="a"))
    session.disconnect()
    session.connect()
    assert session.receive(welcome()).send == [b"a"]
    assert session.receive(Ack(ids=["a"], status="repeat")).happened == [EventsSettled(["a"], "repeat")]


def test_an_event_that_ends_the_connection_is_settled_by_that() -> None:
    """Kept, it would end every connection anew."""
    session = opened()
    put(session, "a")
    assert session.receive(Error(code=4000, message="no", ref="a")).happened == [EventRefused("a", 4000, "no")]
    assert session.unanswered == 0


def test_an_error_about_no_event_is_told_as_it_is() -> None:
    """It is about the connection, or about something else that was sent."""
    session = opened()
    assert session.receive(Error(code=4010, message="who")).happened == [Error(code=4010, message="who")]


def test_events_are_bounded_and_their_ids_differ() -> None:
    """A server that never answers does not fill the client's memory."""
    session = opened()
    put(session, *map(str, range(EVENTS_MAX)))
    with pytest.raises(Refusal) as refused:
        put(session, "more")
    assert refused.value.code is Code.OVERLOADED
    with pytest.raises(Refusal) as refused:
        put(session, "7")
    assert refused.value.code is Code.INVALID


def test_a_delivery_is_handed_out_once() -> None:
    """A repeat while it is worked on is nothing; a repeat afterwards is answered with the outcome."""
    session = opened()
    assert session.receive(deliver()).happened == [deliver()]
    assert not idle(session)
    assert not session.receive(deliver()).happened
    outcome = Delivered(delivery="d1", attempt=1, status="sent", external_id="x")
    assert session.delivered(deliver(), "sent", external_id="x") == (outcome,)
    assert idle(session)
    turn = session.receive(deliver())
    assert (turn.send, turn.happened) == ((outcome,), [])


def test_what_was_sent_is_not_sent_under_another_attempt() -> None:
    """The server may not have heard of the first attempt; a failed one is tried again."""
    session = opened()
    session.receive(deliver())
    session.delivered(deliver(), "failed", reason="busy")
    assert session.receive(deliver(attempt=2)).happened == [deliver(attempt=2)]
    session.delivered(deliver(attempt=2), "sent", external_id="x")
    assert session.receive(deliver(attempt=3)).send == (
        Delivered(delivery="d1", attempt=3, status="sent", external_id="x"),
    )


@pytest.mark.parametrize(
    ("status", "external_id", "field"),
    [("delivered", "", "status"), ("sent", "x" * (EXTERNAL_ID_MAX + 1), "external_id"), ("sent", "\0", "external_id")],
)
def test_an_outcome_that_the_server_refuses_is_refused_here(status: str, external_id: str, field: str) -> None:
    """Where the program hears it. It is not remembered: each attempt would be answered with it, and none be settled."""
    session = opened()
    session.receive(deliver())
    with pytest.raises(Refusal) as refused:
        session.delivered(deliver(), status, external_id=external_id)
    assert refused.value.field == field
    outcome = Delivered(delivery="d1", attempt=1, status="sent", external_id="x")
    assert session.delivered(deliver(), "sent", external_id="x") == (outcome,)


def test_an_outcome_without_a_connection_is_said_on_the_next() -> None:
    """What became of a delivery is not lost with the connection it came by."""
    session = opened()
    session.receive(deliver())
    session.disconnect()
    assert session.delivered(deliver(), "sent") == ()
    session.connect()
    assert session.receive(welcome()).send == [Delivered(delivery="d1", attempt=1, status="sent")]


def test_another_message_under_a_known_id_is_not_the_one_that_was_sent() -> None:
    """A server that was restored from a backup gives the ids of what it lost once more; what it did not lose is still
    answered from memory."""
    session = opened()
    session.receive(deliver())
    session.delivered(deliver(), "sent", external_id="x")
    restored(session)
    again = session.receive(deliver())
    assert [(f.status, f.external_id) for f in again.send if isinstance(f, Delivered)] == [("sent", "x")]
    assert session.receive(deliver(text="other words")).happened == [deliver(text="other words")]


def test_what_a_former_generation_gave_is_not_the_answer_to_another_message() -> None:
    """Neither what had not been said when it ended, nor what the application says late."""
    session = opened()
    session.receive(deliver())
    session.receive(deliver(2))
    session.disconnect()
    assert session.delivered(deliver(), "sent") == ()
    session.connect()
    assert not session.receive(welcome(generation="g2")).send
    assert session.receive(deliver(2, text="other words")).happened == [deliver(2, text="other words")]
    assert session.delivered(deliver(2), "sent") == ()
    assert not idle(session)
    (outcome,) = session.delivered(deliver(2, text="other words"), "failed")
    assert isinstance(outcome, Delivered)
    assert (outcome.delivery, outcome.status) == ("d2", "failed")


def test_what_is_asked_for_again_in_a_new_generation_is_answered_once_it_is_known() -> None:
    """The message was in the backup: the application has it already."""
    session = opened()
    session.receive(deliver())
    restored(session)
    assert not session.receive(deliver()).happened
    assert len(session.delivered(deliver(), "sent")) == 1


def test_a_delivery_without_room_is_surely_not_sent() -> None:
    """The server is told at once, and tries it later."""
    session = opened()
    (answer,) = session.receive(deliver(), room=False).send
    assert isinstance(answer, Delivered)
    assert answer.status == "failed"
    assert session.receive(deliver(attempt=2)).happened


def test_outcomes_are_bounded() -> None:
    """The oldest are forgotten."""
    session = opened()
    more = OUTCOMES_MAX // 8 + 1
    for n in range(OUTCOMES_MAX + more):
        session.receive(deliver(n))
        session.delivered(deliver(n), "sent")
    assert session.receive(deliver(more - 1)).happened
    assert not session.receive(deliver(more)).happened


def test_heartbeats_are_answered() -> None:
    """A ping gets its pong."""
    assert opened().receive(Ping()).send == (Pong(),)


def test_a_draining_connection_sends_nothing_new() -> None:
    """What is unanswered is waited for; the rest waits for the next connection."""
    session = opened()
    put(session, "a")
    session.receive(Drain(after_ms=5))
    assert put(session, "b") == []
    assert not idle(session)
    assert session.receive(Ack(ids=["a"])).send == ()
    assert idle(session)
    session.disconnect()
    session.connect()
    assert session.receive(welcome()).send == [b"b"]


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_on_a_hostile_line_every_event_is_settled_once(seed: int) -> None:
    """Breaks before and after the server's commit, refusals for now and a narrow window: each event has one effect."""
    random = Random(seed)
    session = GatewaySession()
    committed: list[str] = []
    settled: list[str] = []
    on_the_wire: list[str] = []
    window = 3

    def hear(frame: ToGateway) -> None:
        turn = session.receive(frame)
        on_the_wire.extend(f.decode() for f in turn.send if isinstance(f, bytes))
        settled.extend(id for h in turn.happened if isinstance(h, EventsSettled) for id in h.ids)
        assert len(on_the_wire) <= window

    def send(frames: Sequence[Any]) -> None:
        on_the_wire.extend(frame.decode() for frame in frames)
        assert len(on_the_wire) <= window

    def reconnect() -> None:
        session.disconnect()
        # The server may have committed what it never acked.
        committed.extend(id for id in on_the_wire if random.random() < 0.5 and id not in committed)
        on_the_wire.clear()
        session.connect()
        hear(welcome(window))

    reconnect()
    for n in range(60):
        match random.randint(0, 9):
            case 0:
                reconnect()
            case 1 | 2 | 3 | 4:
                send(session.event(str(n), str(n).encode()))
            case 5 if on_the_wire:
                hear(Nack(id=on_the_wire.pop(0), code=4300, message="busy", retryable=True))
            case 6:
                send(session.release())
            case _ if on_the_wire:
                id = on_the_wire.pop(0)
                status = "repeat" if id in committed else "committed"
                committed.extend([id] if status == "committed" else [])
                hear(Ack(ids=[id], status=status))
            case _:
                pass
    while session.unanswered:
        send(session.release())
        id = on_the_wire.pop(0)
        committed.extend([id] if id not in committed else [])
        hear(Ack(ids=[id]))
    assert sorted(settled) == sorted(committed)
    assert len(settled) == len(set(settled))
