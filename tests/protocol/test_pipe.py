"""The pipe's rules: order, resending, and saying when the other end is new."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import Refusal
from protocol.pipe import ACK_EVERY_BLOBS, ACK_EVERY_BYTES, PipeEnd


def connect(one: PipeEnd, two: PipeEnd) -> tuple[list[bytes], list[bytes]]:
    """Connects two ends over a perfect wire; returns what each then received."""
    to_two, to_one = [one.connected()], [two.connected()]
    got_one: list[bytes] = []
    got_two: list[bytes] = []
    while to_one or to_two:
        for end, arriving, leaving, got in ((two, to_two, to_one, got_two), (one, to_one, to_two, got_one)):
            while arriving:
                received = end.receive(arriving.pop(0))
                leaving += received.write
                if received.payload is not None:
                    got.append(received.payload)
    return got_one, got_two


def test_first_contact_is_fresh_on_both_sides() -> None:
    """Ends that never met have nothing to resume."""
    one, two = PipeEnd("a", "1"), PipeEnd("b", "1")
    hello_one, hello_two = one.connected(), two.connected()
    assert two.receive(hello_one).fresh
    assert one.receive(hello_two).fresh
    assert one.open
    assert two.open
    assert (one.peer_name, two.peer_name) == ("b", "a")


def test_what_was_lost_with_the_wire_is_sent_again_in_order_and_once() -> None:
    """Blobs that never arrived, and only those, come after the reconnect."""
    one, two = PipeEnd("a", "1"), PipeEnd("b", "1")
    connect(one, two)
    arrived = one.send(b"first")
    assert arrived is not None
    assert two.receive(arrived).payload == b"first"
    one.send(b"second")
    one.disconnected()
    two.disconnected()
    assert one.send(b"third") is None
    got_one, got_two = connect(one, two)
    assert got_two == [b"second", b"third"]
    assert got_one == []


@pytest.mark.parametrize("which", ["sender", "receiver"])
def test_a_new_life_is_said_and_old_blobs_are_dropped(which: str) -> None:
    """If either end is new, nothing is resent: only the owners know what must be said again."""
    one, two = PipeEnd("a", "1"), PipeEnd("b", "1")
    connect(one, two)
    one.send(b"lost")
    if which == "receiver":
        two = PipeEnd("b", "2")
    else:
        one = PipeEnd("a", "2")
    hello_one, hello_two = one.connected(), two.connected()
    assert two.receive(hello_one).fresh
    opened = one.receive(hello_two)
    assert opened.fresh
    assert opened.write == []


@pytest.mark.parametrize("which", ["sender", "receiver"])
def test_a_new_life_begins_at_one(which: str) -> None:
    """Whatever the end that lives on has sent, received and kept before: nothing of it counts any more."""
    one, two = PipeEnd("a", "1", unacked_bytes_max=12), PipeEnd("b", "1")
    connect(one, two)
    for payload in (b"arrives", b"is lost"):
        blob = one.send(payload)
        assert blob is not None
        if payload == b"arrives":
            assert two.receive(blob).payload == payload
    assert one.full
    if which == "receiver":
        two = PipeEnd("b", "2")
    else:
        one = PipeEnd("a", "2", unacked_bytes_max=12)
    assert connect(one, two) == ([], [])
    assert not one.full
    one.send(b"new")
    one.disconnected()
    two.disconnected()
    assert connect(one, two) == ([], [b"new"])
    blob = one.send(b"newer")
    assert blob is not None
    assert two.receive(blob).payload == b"newer"


def test_a_connection_that_was_replaced_is_closed_until_the_hello() -> None:
    """Also where nobody said that the last one is gone: nothing overtakes the hello, which says how it goes on."""
    one, two = PipeEnd("a", "1"), PipeEnd("b", "1")
    connect(one, two)
    hello_one, hello_two = one.connected(), two.connected()
    assert one.send(b"later") is None
    with pytest.raises(Refusal, match="before the hello"):
        two.receive(b"\x02" + bytes(16))
    opened = two.receive(hello_one)
    assert (opened.opened, opened.fresh) == (True, False)
    opened = one.receive(hello_two)
    assert (opened.opened, opened.fresh, len(opened.write)) == (True, False, 1)
    assert two.receive(opened.write[0]).payload == b"later"


def test_a_hello_that_only_one_side_saw_is_fresh_for_both() -> None:
    """A wire that broke between the hellos leaves both ends to begin anew, and neither to guess."""
    one, two = PipeEnd("a", "1"), PipeEnd("b", "1")
    two.connected()
    one.receive(two.connected())
    one.send(b"early")
    one.disconnected()
    hello_one, hello_two = one.connected(), two.connected()
    assert two.receive(hello_one).fresh
    assert one.receive(hello_two).fresh


def test_acknowledgements_free_what_is_kept() -> None:
    """One-way traffic is acknowledged often enough that little is kept, and `full` tells when it is not."""
    one, two = PipeEnd("a", "1", unacked_bytes_max=1000), PipeEnd("b", "1")
    connect(one, two)
    wire = [one.send(bytes(100)) for _ in range(ACK_EVERY_BLOBS)]
    assert one.full
    for blob in wire:
        assert blob is not None
        for ack in two.receive(blob).write:
            one.receive(ack)
    assert not one.full


def test_few_large_blobs_are_acknowledged_as_many_small_ones_are() -> None:
    """By their bytes, and again after as many more; what goes the other way tells it as well."""
    one, two = PipeEnd("a", "1"), PipeEnd("b", "1")
    connect(one, two)
    acks = []
    for _ in range(6):
        blob = one.send(bytes(ACK_EVERY_BYTES // 3))
        assert blob is not None
        acks.append(len(two.receive(blob).write))
    assert acks == [0, 0, 1, 0, 0, 1]


@pytest.mark.parametrize(
    "blob", [b"", b"\x01", b"\x09" + bytes(16), b"\x02" + bytes(16), b"\x01" + bytes(16) + b"\xc1"]
)
def test_broken_blobs_are_refused(blob: bytes) -> None:
    """What is no blob, or comes before the hello, ends the connection with a named error."""
    with pytest.raises(Refusal, match="pipe"):
        PipeEnd("a", "1").receive(blob)


def test_a_gap_is_refused() -> None:
    """A number that skips one cannot come from a peer that keeps the rules."""
    one, two = PipeEnd("a", "1"), PipeEnd("b", "1")
    connect(one, two)
    one.send(b"kept back")
    second = one.send(b"arrives")
    assert second is not None
    with pytest.raises(Refusal, match="number 2 after 0"):
        two.receive(second)


@given(st.lists(st.one_of(st.binary(max_size=20), st.none()), max_size=60), st.data())
def test_every_payload_arrives_once_and_in_order_whatever_breaks(sent: list[bytes | None], data: st.DataObject) -> None:
    """Between two lives that last, breaking the wire at any moment loses, doubles and reorders nothing."""
    one, two = PipeEnd("a", "1"), PipeEnd("b", "1")
    got = connect(one, two)[1]
    for payload in sent:
        if payload is None:
            one.disconnected()
            two.disconnected()
            got += connect(one, two)[1]
            continue
        blob = one.send(payload)
        assert blob is not None
        if data.draw(st.booleans(), label="arrives"):
            received = two.receive(blob)
            if received.payload is not None:
                got.append(received.payload)
            for ack in received.write:
                one.receive(ack)
        else:
            one.disconnected()
            two.disconnected()
            got += connect(one, two)[1]
    one.disconnected()
    two.disconnected()
    got += connect(one, two)[1]
    assert got == [payload for payload in sent if payload is not None]
