"""The codec: what is refused, in which words, and that nothing else but frames and refusals comes out."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.codec import Codec
from protocol.errors import Code, Refusal
from protocol.frames import AgentFrame, EventsFrame, GatewayFrame, Pong
from protocol.inbound import InboundEvent
from protocol.open_values import DEPTH_MAX, VALUES_MAX
from tests.protocol import samples

CODECS = {name: Codec(name) for name in ("json", "msgpack")}
SECRET = "my card number is 4111"
EVENT: dict[str, Any] = msgspec.to_builtins(samples.MESSAGE)
ACTIVITY: dict[str, Any] = msgspec.to_builtins(samples.ACTIVITY)


def packed(codec: Codec, value: Any) -> bytes:
    """Any value in the codec's form."""
    return msgspec.msgpack.encode(value) if codec.binary else json.dumps(value).encode()


def only(answers: list[Any]) -> Refusal:
    """The one refusal."""
    (refusal,) = answers
    assert isinstance(refusal, Refusal), refusal
    return refusal


def event(**changed: Any) -> dict[str, Any]:
    """An `event` frame with some fields changed."""
    return {"op": "event", "event": {**EVENT, **changed}}


def context(value: Any) -> dict[str, Any]:
    """An `event` frame of a message with this context."""
    return event(data={**EVENT["data"], "context": value})


def properties(value: Any) -> dict[str, Any]:
    """An `event` frame of an activity with these properties."""
    return {"op": "event", "event": {**ACTIVITY, "data": {**ACTIVITY["data"], "properties": value}}}


def nested(depth: int) -> Any:
    """A list in a list in a list …"""
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


REFUSED: list[tuple[str, Any, Code, str, str, str]] = [
    # what, message, code, field, ref, words of the message
    ("a number", 5, Code.MALFORMED, "op", "", "object with an `op`"),
    ("no op", {}, Code.MALFORMED, "op", "", "object with an `op`"),
    ("an op that is no string", {"op": 1}, Code.MALFORMED, "op", "", "object with an `op`"),
    ("an unknown op", {"op": "evnt"}, Code.UNKNOWN_OP, "op", "", "'evnt' is not one of delivered, event"),
    ("another's op", {"op": "watch"}, Code.UNKNOWN_OP, "op", "", "'watch' is not one of"),
    ("words as an op", {"op": SECRET}, Code.UNKNOWN_OP, "op", "", "(not a name)"),
    ("a hello with a wrong field", {"op": "hello", "token": 5}, Code.MALFORMED, "token", "", "`str`, got `int`"),
    ("an event without an event", {"op": "event"}, Code.INVALID, "", "", "Expected `object`"),
    ("events that are no list", {"op": "events", "events": 5}, Code.INVALID, "events", "", "Expected `array`"),
    ("a missing field", {"op": "event", "event": {"id": "e1"}}, Code.INVALID, "", "e1", "required field `source`"),
    ("a time in words", event(time_ms=SECRET), Code.INVALID, "time_ms", "m-1001", "`int`, got `str`"),
    ("an endless time", event(time_ms=2**63), Code.INVALID, "time_ms", "m-1001", "<= 9007199254740991"),
    (
        "an unknown type",
        event(data={"type": "nope"}),
        Code.UNKNOWN_TYPE,
        "data.type",
        "m-1001",
        "'nope'; known are throughline.activity",
    ),
    ("words as a type", event(data={"type": SECRET}), Code.UNKNOWN_TYPE, "data.type", "m-1001", "(not a name)"),
    ("a text of numbers", event(data={**EVENT["data"], "text": 4111}), Code.INVALID, "data.text", "m-1001", "`str`"),
    ("deep raw", event(raw={"a": nested(DEPTH_MAX)}), Code.INVALID, "raw", "m-1001", "deeper than"),
    ("deep properties", properties({"a": nested(DEPTH_MAX)}), Code.INVALID, "data.properties", "a-7", "deeper than"),
    ("many properties", properties({"a": [0] * VALUES_MAX}), Code.INVALID, "data.properties", "a-7", "more than"),
    ("a long integer", properties({"a": 2**64 - 1}), Code.INVALID, "data.properties", "a-7", "64 bits"),
    ("a list as context", context({"a": [1]}), Code.INVALID, "data.context[...]", "m-1001", "got `array`"),
    ("a long context value", context({"a": "x" * 4097}), Code.INVALID, "data.context[...]", "m-1001", "<= 4096"),
    ("a key that is empty", context({"": 1}), Code.INVALID, "data.context", "m-1001", ">= 1"),
    ("a key with a line feed", context({"a\n": 1}), Code.INVALID, "data.context", "m-1001", "cannot be printed"),
    ("much context", context({f"k{n}": n for n in range(65)}), Code.INVALID, "data.context", "m-1001", "<= 64"),
]


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
@pytest.mark.parametrize(
    ("message", "code", "field", "ref", "words"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED]
)
def test_a_bad_frame_is_refused_precisely(
    codec: Codec, message: Any, code: Code, field: str, ref: str, words: str
) -> None:
    """The refusal names code, field and id, and repeats nothing that could be someone's words."""
    refusal = only(codec.decode_gateway(packed(codec, message)))
    assert (refusal.code, refusal.field, refusal.ref) == (code, field, ref)
    assert words in refusal.message
    assert SECRET not in refusal.message


@pytest.mark.parametrize(
    ("name", "message", "code", "words"),
    [
        ("json", b"\xff", Code.MALFORMED, "malformed"),
        ("json", b"", Code.MALFORMED, "truncated"),
        ("json", b'{"op":"hello","token":"\xff"}', Code.MALFORMED, "UTF-8"),
        ("json", b'{"op":"pong","x":' + b"[" * 50_000 + b"]" * 50_000 + b"}", Code.TOO_LARGE, "deeply"),
        ("json", b" " * (1 << 20) + b"1", Code.TOO_LARGE, "1048577 bytes; 1048576 are allowed"),
        ("json", "[" + ",".join(['{"op":"pong"}'] * 4097) + "]", Code.TOO_LARGE, "4097 frames; 4096"),
        ("msgpack", '{"op":"pong"}', Code.MALFORMED, "binary messages"),
        ("msgpack", b"\xc1", Code.MALFORMED, "invalid opcode"),
        ("msgpack", b"\x82\xa2op\xa4pong\xa1x" + b"\x91" * 50_000 + b"\x01", Code.TOO_LARGE, "deeply"),
        ("msgpack", b"\x82\xa2op\xa4pong\xa1x\xdd\xff\xff\xff\xff", Code.MALFORMED, "truncated"),
        ("msgpack", b"\x82\xa2op\xa4pong\x81\x01\x02\x03", Code.MALFORMED, "hashable"),
        ("msgpack", b"\x82\xa2op\xa5hello\xa5token\xa1\xff", Code.MALFORMED, "UTF-8"),
    ],
)
def test_bytes_that_are_no_frames_are_refused(name: str, message: bytes | str, code: Code, words: str) -> None:
    """What is not MessagePack or JSON, too long, too deep or too many, is named as that."""
    refusal = only(CODECS[name].decode_gateway(message))
    assert refusal.code == code
    assert words in refusal.message


@pytest.mark.parametrize(
    "value",
    [b"bytes", msgspec.msgpack.Ext(5, b"x"), {5: 6}, float("inf")],
    ids=["bytes", "an extension", "a number as a key", "infinity"],
)
def test_what_json_has_not_is_refused_in_open_values(value: Any) -> None:
    """MessagePack's own types would break the first reader that speaks JSON."""
    codec = CODECS["msgpack"]
    refusal = only(codec.decode_gateway(packed(codec, properties({"a": value}))))
    assert (refusal.code, refusal.field, refusal.ref) == (Code.INVALID, "data.properties", "a-7")


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_one_bad_event_is_refused_and_the_others_are_taken(codec: Codec) -> None:
    """Only the bad events of an `events` frame are refused, each under its id and with its place."""
    good, late = {**EVENT, "id": "good"}, {**EVENT, "id": "late", "time_ms": "?"}
    deep = {**ACTIVITY, "id": "deep", "raw": {"a": nested(DEPTH_MAX)}}
    for events, bad in (([good, late, deep, 7], {"late", "deep", ""}), ([good, deep], {"deep"})):
        answers = codec.decode_gateway(packed(codec, [{"op": "pong"}, {"op": "events", "events": events}]))
        refusals = {a.ref: a for a in answers if isinstance(a, Refusal)}
        assert set(refusals) == bad
        assert refusals["deep"].message.startswith(f"event {events.index(deep)}: raw:")
        kept = [a for a in answers if not isinstance(a, Refusal)]
        assert kept == [Pong(), EventsFrame(events=[msgspec.convert(good, InboundEvent)])]


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_what_closes_the_connection_ends_the_message(codec: Codec) -> None:
    """Frames before the fault count; those after it are not looked at."""
    answers = codec.decode_gateway(packed(codec, [event(), {"op": "dance"}, {"op": "pong"}]))
    assert answers[0] == EventsFrame(events=[samples.MESSAGE])
    assert only(answers[1:]).message.startswith("frame 1: op 'dance'")


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_a_bad_command_is_refused_under_its_id(codec: Codec) -> None:
    """A command with an unknown `do` or an infinite value is an answer to that command, not the connection's end."""
    for command, code, field in (
        ({"do": "dance"}, Code.UNKNOWN_TYPE, "command.do"),
        ({"do": "reply", "text": 5}, Code.INVALID, "command.text"),
        ({"do": "snooze", "until_ms": 2**60}, Code.INVALID, "command.until_ms"),
    ):
        refusal = only(codec.decode_agent(packed(codec, {"op": "command", "id": "k", "command": command})))
        assert (refusal.code, refusal.field, refusal.ref) == (code, field, "k")
    unknown = only(codec.decode_agent(packed(codec, {"op": "command", "id": "k", "command": {"do": "dance"}})))
    assert "'dance'; known are accept_handoff, " in unknown.message
    assert "apply_policy" not in unknown.message, "the server's own are refused to whoever tries them"
    infinite = {"op": "command", "id": "k", "command": {"do": "set_context", "key": "a", "value": float("inf")}}
    assert only(CODECS["msgpack"].decode_agent(msgspec.msgpack.encode(infinite))).field == "value"
    offer = {"do": "offer_handoff", "kind": "up", "fields": {"claim": float("nan")}}
    nan = {"op": "command", "id": "k", "command": offer}
    assert only(CODECS["msgpack"].decode_agent(msgspec.msgpack.encode(nan))).field == "fields.claim"


JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
PLAIN_FRAMES = [msgspec.to_builtins(frame) for frame in samples.ALL.values()]


@st.composite
def odd_frames(draw: st.DrawFn) -> Any:
    """A valid frame with something taken away or put in another's place, anywhere in it."""
    frame = json.loads(json.dumps(draw(st.sampled_from(PLAIN_FRAMES))))
    at = frame
    while True:
        key = draw(st.sampled_from(sorted(at))) if isinstance(at, dict) else draw(st.integers(0, len(at) - 1))
        if isinstance(at[key], dict | list) and at[key] and draw(st.booleans()):
            at = at[key]
            continue
        if isinstance(at, dict) and draw(st.booleans()):
            del at[key]
        else:
            at[key] = draw(JSONISH)
        return frame


def decode_everywhere(codec: Codec, message: bytes) -> None:
    """Gives the message to every decoder: each must answer with frames or refusals, and frames must go out again."""
    for decode in (codec.decode_agent, codec.decode_gateway, codec.decode_to_agent, codec.decode_to_gateway):
        for answer in decode(message):
            if not isinstance(answer, Refusal):
                codec.encode(answer)
    for decode in (codec.decode_agent, codec.decode_gateway):
        for answer in decode(message):
            if not isinstance(answer, Refusal):
                # What a client may send must fit both forms: the journal is MessagePack, the archive speaks JSON.
                CODECS["json"].encode(answer)
                CODECS["msgpack"].encode(answer)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_bring_only_frames_and_refusals(message: bytes) -> None:
    """No bytes make a decoder raise."""
    for codec in CODECS.values():
        decode_everywhere(codec, message)


@settings(max_examples=300, deadline=None)
@given(st.lists(odd_frames() | JSONISH, min_size=1, max_size=3), st.booleans())
def test_odd_frames_bring_only_frames_and_refusals(frames: list[Any], alone: bool) -> None:
    """Frames that are nearly right are taken or refused, and what is taken can be encoded again."""
    message = json.dumps(frames[0] if alone else frames).encode()
    decode_everywhere(CODECS["json"], message)
    try:
        packed_form = msgspec.msgpack.encode(json.loads(message))
    except OverflowError:
        return
    decode_everywhere(CODECS["msgpack"], packed_form)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(samples.ALL)), st.data())
def test_flipped_bytes_bring_only_frames_and_refusals(name: str, data: st.DataObject) -> None:
    """One damaged byte anywhere in a good message does not make a decoder raise."""
    for codec in CODECS.values():
        message = bytearray(codec.encode(samples.ALL[name]))
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
        decode_everywhere(codec, bytes(message))


@pytest.mark.parametrize(
    ("text", "half"),
    [
        (r'{"op":"pong","x":"\ud83d"}', True),
        (r'{"op":"pong","x":"\uD83D and more"}', True),
        (r'{"op":"pong","x":"\\\ud83d"}', True),
        (r'{"op":"pong","x":"\ud83d\ude00', False),
        (r'{"op":"pong","x":"\\ud83d', False),
    ],
)
def test_half_of_a_surrogate_pair_is_named(text: str, half: bool) -> None:
    """Not mistaken for a message that ends too early, which is what the others are."""
    (refusal,) = CODECS["json"].decode_agent(text)
    assert isinstance(refusal, Refusal)
    assert refusal.code == Code.MALFORMED
    assert ("half of a surrogate pair" in refusal.message) is half
    assert ("truncated" in refusal.message) is not half


def unbounded_integers(kind: msgspec.inspect.Type, path: str, seen: set[type]) -> list[str]:
    """The paths of integers without both bounds in a type."""
    match kind:
        case msgspec.inspect.IntType(ge=low, le=high):
            return [] if low is not None and high is not None else [path]
        case msgspec.inspect.UnionType(types=kinds):
            return [found for inner in kinds for found in unbounded_integers(inner, path, seen)]
        case msgspec.inspect.ListType(item_type=inner):
            return unbounded_integers(inner, path, seen)
        case msgspec.inspect.StructType(cls=cls, fields=fields) if cls not in seen:
            seen.add(cls)
            name = cls.__name__
            return [found for f in fields for found in unbounded_integers(f.type, f"{name}.{f.name}", seen)]
        case _:
            return []


def test_every_integer_that_clients_send_is_bounded() -> None:
    """A new integer field without bounds would let JSON's endless integers into a cell."""
    assert not unbounded_integers(msgspec.inspect.type_info(AgentFrame | GatewayFrame), "", set())
