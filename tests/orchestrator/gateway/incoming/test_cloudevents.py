"""CloudEvents: the three HTTP forms, what each attribute must be, and what an event becomes."""

import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.gateway.incoming.cloudevents import (
    BATCH_MAX,
    CloudEvent,
    read_batch,
    read_binary,
    read_structured,
    read_time,
    to_inbound,
)
from protocol.errors import Code, Refusal
from protocol.inbound import ActivityArrived, InboundEvent, MessageArrived

WHOLE: dict[str, Any] = {
    "specversion": "1.0",
    "id": "m-1",
    "source": "https://chat.example.org",
    "type": "throughline.message.received",
    "time": "2026-11-22T08:15:00Z",
    "identities": "user:4711, mailto:ann@example.org",
    "data": {"text": "hello"},
}


def structured(**fields: Any) -> bytes:
    """A whole event, changed; a field that is `...` is left out."""
    return json.dumps({name: value for name, value in {**WHOLE, **fields}.items() if value is not ...}).encode()


def inbound(event: CloudEvent) -> InboundEvent:
    """What it becomes for the account `chat`."""
    return to_inbound(event, account="chat", channel="chat", arrived_ms=5)


def test_a_structured_event_becomes_an_inbound_event() -> None:
    """Every attribute has its place."""
    event = inbound(read_structured(structured(subject="bills", comexampleextra=True)))
    assert event == InboundEvent(
        id="m-1",
        source="https://chat.example.org",
        time_ms=1_795_335_300_000,
        account="chat",
        channel="chat",
        identities=["user:4711", "mailto:ann@example.org"],
        data=MessageArrived(text="hello"),
        raw={"subject": "bills", "comexampleextra": True},
    )


def test_binary_mode_says_the_same() -> None:
    """Attributes are headers, percent-decoded once; the body is the data."""
    headers = [(f"ce-{name}", str(value)) for name, value in WHOLE.items() if name != "data"]
    headers = [*headers, ("content-type", "application/json"), ("host", "x"), ("ce-subject", "Euro%20%E2%82%AC%2520")]
    event = inbound(read_binary(headers, b'{"text": "hello"}'))
    assert event.data == MessageArrived(text="hello")
    assert event.raw == {"subject": "Euro €%20"}


def test_a_quoted_header_is_unquoted() -> None:
    """HTTP binding §3.1.3.2: older senders quote."""
    headers = [(f"ce-{name}", str(value)) for name, value in WHOLE.items() if name != "data"]
    event = read_binary([*headers, ("ce-subject", '"a \\"b\\""')], b"{}")
    assert event.attributes["subject"] == 'a "b"'


def test_data_base64_is_data_too() -> None:
    """JSON in it is read, other bytes are kept as they are."""
    encoded = base64.b64encode(b'{"text": "hi"}').decode()
    assert inbound(read_structured(structured(data=..., data_base64=encoded))).data == MessageArrived(text="hi")
    other = read_structured(structured(data=..., data_base64="/w==", datacontenttype="image/png"))
    assert other.data == b"\xff"
    assert json.loads(other.kept())["data_base64"] == "/w=="


def test_identities_may_be_a_list_in_structured_json() -> None:
    """The string is what the specification knows; the list is what JSON writers expect."""
    assert read_structured(structured(identities=["user:1"])).identities == ["user:1"]


def test_an_event_without_time_has_the_arrivals() -> None:
    """`time` is optional in CloudEvents."""
    assert inbound(read_structured(structured(time=...))).time_ms == 5
    assert inbound(read_structured(structured(time=None))).time_ms == 5


@pytest.mark.parametrize(
    ("fields", "attribute"),
    [
        ({"specversion": ...}, "specversion"),
        ({"specversion": "0.3"}, "specversion"),
        ({"id": ...}, "id"),
        ({"id": ""}, "id"),
        ({"id": 7}, "id"),
        ({"source": ...}, "source"),
        ({"type": None}, "type"),
        ({"time": "yesterday"}, "time"),
        ({"time": "2026-11-22T08:15:00"}, "time"),
        ({"time": "2026-13-22T08:15:00Z"}, "time"),
        ({"time": 17}, "time"),
        ({"identities": {"a": 1}}, "identities"),
        ({"identities": [1]}, "identities"),
        ({"data_base64": "eA=="}, "data_base64"),
        ({"data": ..., "data_base64": "*"}, "data_base64"),
        ({"data": ..., "data_base64": "é"}, "data_base64"),
        ({"subject": {"a": 1}}, "subject"),
        ({"Subject": "x"}, ""),
        ({"subject": "x" * 5000}, "subject"),
    ],
)
def test_a_broken_envelope_names_the_attribute(fields: dict[str, Any], attribute: str) -> None:
    """The sender has not spoken CloudEvents: nothing is kept, the message says where."""
    with pytest.raises(Refusal) as refused:
        read_structured(structured(**fields))
    assert (refused.value.code, refused.value.field) == (Code.INVALID, attribute)


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"type": "com.example.other"}, Code.UNKNOWN_TYPE, "type"),
        ({"data": {"text": 1}}, Code.INVALID, "data.text"),
        ({"data": {}}, Code.INVALID, "data"),
        ({"data": "hello"}, Code.INVALID, "data"),
        ({"data": ...}, Code.INVALID, "data"),
        (
            {"type": "throughline.activity.seen", "data": {"name": "x", "properties": {"a": 2**70}}},
            Code.INVALID,
            "data.properties",
        ),
    ],
)
def test_data_that_does_not_fit_its_type_is_another_fault(fields: dict[str, Any], code: Code, field: str) -> None:
    """The envelope is whole, so the event can be kept."""
    event = read_structured(structured(**fields))
    with pytest.raises(Refusal) as refused:
        inbound(event)
    assert (refused.value.code, refused.value.ref) == (code, "m-1")
    assert refused.value.field == field


def test_a_type_that_is_unknown_is_named_where_its_sender_wrote_it() -> None:
    """Beside `data`, and not in it."""
    with pytest.raises(Refusal, match=r"^event: type: Invalid value 'com\.example\.other'; known are "):
        inbound(read_structured(structured(type="com.example.other")))


def test_a_header_that_is_not_percent_encoded_says_what_would_do() -> None:
    """An SDK that writes it as it is: whoever uses that has another mode."""
    headers = [("ce-specversion", "1.0"), ("ce-id", "m-1"), ("ce-subject", "s\xfcb")]
    with pytest.raises(Refusal, match=r"ce-subject is not UTF-8 .* structured mode$") as refused:
        read_binary(headers, b"{}")
    assert refused.value.field == "subject"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_event_is_malformed(body: bytes) -> None:
    """Whatever it is."""
    with pytest.raises(Refusal) as refused:
        read_structured(body)
    assert refused.value.code in (Code.MALFORMED, Code.TOO_LARGE)


def test_a_batch_has_a_result_for_each() -> None:
    """A broken one costs only itself."""
    first, second, third = read_batch(b"[" + structured() + b"," + structured(source=...) + b",7]")
    assert isinstance(first, CloudEvent)
    assert isinstance(second, Refusal)
    assert (second.ref, second.field) == ("m-1", "source")
    assert isinstance(third, Refusal)


@pytest.mark.parametrize("body", [b"{}", b"[" + b"7," * BATCH_MAX + b"7]"])
def test_a_batch_is_an_array_of_bounded_length(body: bytes) -> None:
    """One that is not is refused whole."""
    with pytest.raises(Refusal):
        read_batch(body)


def test_no_ce_headers_say_what_to_send() -> None:
    """A plain POST of JSON is the usual first try."""
    with pytest.raises(Refusal, match="ce-specversion"):
        read_binary([("content-type", "application/json")], b"{}")


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t00:00:00.5z", 500),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01T00:00:00.123456789Z", 123),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000),
        ("1969-12-31T23:59:59.999Z", -1),
    ],
)
def test_times_are_rfc_3339(text: str, milliseconds: int) -> None:
    """Fractions, offsets, leap seconds, times before 1970."""
    assert read_time(text) == milliseconds


@given(st.binary(max_size=200))
def test_random_bodies_are_refused_or_read(body: bytes) -> None:
    """Nothing else is raised."""
    for read in (read_structured, read_batch):
        with contextlib.suppress(Refusal):
            read(body)


@given(
    st.dictionaries(
        st.text(max_size=12), st.none() | st.integers() | st.text(max_size=12) | st.lists(st.text(max_size=3))
    )
)
def test_random_attributes_are_refused_or_read(fields: dict[str, Any]) -> None:
    """Also where the rest is whole: and what was read can be kept and read again."""
    try:
        event = read_structured(json.dumps({**WHOLE, **fields}).encode())
        again = read_structured(event.kept())
    except Refusal:
        return
    assert again == event


def test_kept_events_come_back_whole() -> None:
    """Quarantine keeps the structured form, whatever form the event came in."""
    headers = [(f"ce-{name}", str(value)) for name, value in WHOLE.items() if name != "data"]
    headers.append(("ce-type", "throughline.activity.seen"))
    event = read_binary(headers, b'{"name": "bill viewed"}')
    assert inbound(read_structured(event.kept())).data == ActivityArrived(name="bill viewed")
