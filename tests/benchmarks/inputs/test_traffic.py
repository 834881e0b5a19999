"""The load's events: pure, of the announced mix, and such as the server takes."""

from collections import Counter
from typing import Any

import msgpack
import pytest

from benchmarks.inputs.past import Past
from benchmarks.inputs.traffic import Order, Traffic
from protocol.codec import Codec
from protocol.frames import EventsFrame
from protocol.inbound import InboundEvent

TRAFFIC = Traffic("run", customers=200, account="benchmark", text_bytes=160, began_ms=1_700_000_000_000)


def test_every_live_conversation_goes_on_and_one_in_ten_is_new() -> None:
    """After the first events, a tenth are strangers' and the others spread evenly over all live conversations."""
    later = range(200, 20_200)
    new = [number for number in later if TRAFFIC.is_new(number)]
    assert len(new) == 2000
    assert all(TRAFFIC.customer(number) == number for number in new)
    old = Counter(TRAFFIC.customer(number) for number in later if not TRAFFIC.is_new(number))
    assert set(old) == set(range(200))
    assert set(old.values()) == {90}


def test_without_strangers_all_events_are_of_the_live_conversations() -> None:
    """What strangers cost is told by a run without them."""
    traffic = Traffic("run", customers=200, account="benchmark", text_bytes=160, began_ms=0, new_every=0)
    assert {traffic.customer(number) for number in range(200, 2_200)} == set(range(200))
    assert not any(traffic.is_new(number) for number in range(200, 2_200))


def taken_by_the_server(event: dict[str, Any]) -> InboundEvent:
    """The event as the server's codec reads it from the wire."""
    (frame,) = Codec("msgpack").decode_gateway(msgpack.packb({"op": "events", "events": [event]}))
    assert isinstance(frame, EventsFrame)
    return frame.events[0]


@pytest.mark.parametrize("number", [0, 199, 200, 201, 4711])
def test_the_server_takes_the_events(number: int) -> None:
    """They pass the codec as they are sent, and a number is always the same event."""
    assert taken_by_the_server(TRAFFIC.event(number)).id == str(number)
    assert TRAFFIC.event(number) == TRAFFIC.event(number)


def test_a_subject_names_the_event_that_opened_a_conversation() -> None:
    """Only of this run: a queue may hold others' conversations."""
    assert TRAFFIC.number_of_subject(TRAFFIC.subject(210)) == 210
    assert TRAFFIC.subject(211) == ""
    assert [TRAFFIC.number_of_subject(other) for other in ("", "other 210", "run x", "run")] == [None] * 4


def test_one_in_fifty_is_a_repeat_of_any_earlier_event() -> None:
    """New numbers come without a gap; repeats are strewn in, of old events too, and follow from the seed."""
    order = Order(first=0, seed=1)
    taken = [order.take() for _ in range(20_000)]
    fresh = [number for number, repeat in taken if not repeat]
    assert fresh == list(range(len(fresh)))
    repeats = [number for number, repeat in taken if repeat]
    assert 350 < len(repeats) < 450
    assert min(repeats) < 500
    again = Order(first=0, seed=1)
    assert taken == [again.take() for _ in range(20_000)]


def test_a_tenth_of_the_repeats_is_of_the_past_where_there_is_one() -> None:
    """They are events of the preloaded stores, byte for byte but for the time."""
    order = Order(first=0, seed=1, past=370)
    taken = [number for number, repeat in (order.take() for _ in range(40_000)) if repeat]
    old = [number for number in taken if number < 0]
    assert 50 < len(old) < 110
    assert set(old) <= set(range(-370, 0))
    past = Past(10, 160)
    traffic = Traffic("run", customers=9, account="benchmark", text_bytes=160, began_ms=5, past=past)
    assert traffic.event(-1) == past.event(0, 5)
    assert traffic.event(-370)["identities"] == ["chat:past-9"]
