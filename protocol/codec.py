"""The codec: WebSocket messages to frames and back, in MessagePack and in JSON. Dicts die here.

    message   what one WebSocket message carries: one frame, or an array of frames
    decode    never raises: a `Refusal` stands in the place of what was refused, and whatever else the message holds is
              still there. One whose code closes the connection (4000-4099) is the last of the list.

A good message is decoded in one typed pass. Only one that fails is looked at again, frame by frame and event by event,
to say which field of which event is at fault and to save the others; its size bounds that work.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar, get_args

import msgspec

from protocol.commands import OfferHandoff, SetContext
from protocol.errors import Code, Refusal
from protocol.faults import check_event, fault_of, invalid_event, named, numbered, refusal_of, refused, unreadable
from protocol.frames import (
    AgentFrame,
    CommandFrame,
    EventFrame,
    EventsFrame,
    Frame,
    GatewayFrame,
    RawSnapshot,
    RawUpdate,
    ToAgent,
    ToGateway,
)
from protocol.inbound import InboundEvent
from protocol.open_values import open_fault, scalar_fault

SUBPROTOCOL_PREFIX = "throughline.v1."
MESSAGE_BYTES_MAX = 1024 * 1024
FRAMES_MAX = 4096
"""Frames of one message: as many as a gateway client has credits by default, so that a full window fits one message."""
REF_LENGTH_MAX = 1024
"""Characters of an id that a refusal carries back; the longest Message-ID has 998 (RFC 5322 §2.1.1)."""

F = TypeVar("F", bound=Frame)
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError)
"""What msgspec raises for bytes: TypeError is a MessagePack map whose key is itself a map."""


class Codec:
    """One subprotocol's codec, with the limits of the connections it serves. It keeps no state: one serves them all."""

    def __init__(self, name: str, *, message_bytes_max: int = MESSAGE_BYTES_MAX, frames_max: int = FRAMES_MAX) -> None:
        """`name` is `msgpack` or `json`."""
        self.name = name
        self.subprotocol = SUBPROTOCOL_PREFIX + name
        self.binary = name == "msgpack"
        """Whether its messages are WebSocket's binary ones."""
        self._encoder = msgspec.msgpack.Encoder() if self.binary else msgspec.json.Encoder()
        limits = (message_bytes_max, frames_max)
        self.decode_agent = _Decoder[AgentFrame](name, AgentFrame, *limits).decode
        self.decode_gateway = _Decoder[GatewayFrame](name, GatewayFrame, *limits).decode
        self.decode_to_agent = _Decoder[ToAgent](name, ToAgent, *limits).decode
        self.decode_to_gateway = _Decoder[ToGateway](name, ToGateway, *limits).decode

    def encode(self, frame: Frame) -> bytes:
        """Returns one frame's bytes. Events that are encoded already are MessagePack; for JSON they are translated."""
        if not self.binary:
            frame = _translated(frame)
        return self._encoder.encode(frame)

    def join(self, encoded: Sequence[bytes]) -> bytes:
        """Returns one message of frames that are encoded already: an array, or the frame itself where it is one."""
        if len(encoded) == 1:
            return encoded[0]
        if not self.binary:
            return b"[" + b",".join(encoded) + b"]"
        return array_header(len(encoded)) + b"".join(encoded)


def array_header(count: int) -> bytes:
    """Returns MessagePack's first bytes of an array of `count` items (msgpack spec, "array format family")."""
    if count < 16:
        return bytes((0x90 | count,))
    if count < 1 << 16:
        return b"\xdc" + count.to_bytes(2)
    return b"\xdd" + count.to_bytes(4)


class _Decoder(Generic[F]):
    """Decodes the frames that may come from one side of one kind of connection."""

    def __init__(self, name: str, union: Any, message_bytes_max: int, frames_max: int) -> None:
        self._name = name
        self._union = union
        self._message_bytes_max = message_bytes_max
        self._frames_max = frames_max
        self._ops = sorted(str(member.__struct_config__.tag) for member in get_args(union))
        typed: Any = union | list[union]
        if name == "msgpack":
            self._decode = msgspec.msgpack.Decoder(typed).decode
            self._decode_open = msgspec.msgpack.Decoder().decode
        else:
            self._decode = msgspec.json.Decoder(typed).decode
            self._decode_open = msgspec.json.Decoder().decode

    def decode(self, message: bytes | str) -> list[F | Refusal]:
        """Returns the frames of a message, in order; the module's docstring says what stands where one is refused."""
        if isinstance(message, str):
            if self._name == "msgpack":
                return [Refusal(Code.MALFORMED, "this subprotocol speaks MessagePack in binary messages; this is text")]
            message = message.encode(errors="surrogatepass")
        if len(message) > self._message_bytes_max:
            fault = f"the message has {len(message)} bytes; {self._message_bytes_max} are allowed"
            return [Refusal(Code.TOO_LARGE, fault)]
        try:
            decoded = self._decode(message)
        except _UNREADABLE:
            return self._salvage(message)
        frames = decoded if type(decoded) is list else [decoded]
        if len(frames) > self._frames_max:
            return [self._too_many(len(frames))]
        if any(map(_faulty, frames)):
            return [checked for frame in frames for checked in _checked(frame)]
        return frames

    def _salvage(self, message: bytes) -> list[F | Refusal]:
        try:
            decoded = self._decode_open(message)
        except _UNREADABLE as exc:
            return [unreadable(self._name, exc, message)]
        if type(decoded) is not list:
            return list(self._salvage_frame(decoded, None))
        if len(decoded) > self._frames_max:
            return [self._too_many(len(decoded))]
        saved: list[F | Refusal] = []
        for index, item in enumerate(decoded):
            saved.extend(self._salvage_frame(item, index))
            if isinstance(last := saved[-1] if saved else None, Refusal) and last.code < Code.DRAINING:
                break
        return saved

    def _salvage_frame(self, item: Any, index: int | None) -> Iterator[F | Refusal]:
        place = numbered("frame", index)
        op = item.get("op") if type(item) is dict else None
        if type(op) is not str:
            yield Refusal(Code.MALFORMED, f"{place} must be an object with an `op`", field="op")
        elif op not in self._ops:
            known = ", ".join(self._ops)
            yield Refusal(Code.UNKNOWN_OP, f"{place}: op {named(op)} is not one of {known}", field="op")
        elif op == "events" and type(item.get("events")) is list:
            yield from _salvage_events(item["events"])
        elif op == "event":
            yield from _salvage_events([item.get("event")], numbered=False)
        else:
            yield from self._convert(item, op, place)

    def _convert(self, item: dict[str, Any], op: str, place: str) -> Iterator[F | Refusal]:
        try:
            yield from _checked(msgspec.convert(item, self._union))
        except msgspec.ValidationError as exc:
            if op in ("command", "events"):
                yield refused(exc, place.replace("frame", op), _ref(item))
            else:
                fault, field = fault_of(exc)
                yield refusal_of(Code.MALFORMED, f"{place}: {op}", field, fault)

    def _too_many(self, count: int) -> Refusal:
        return Refusal(Code.TOO_LARGE, f"the message has {count} frames; {self._frames_max} are allowed")


def _salvage_events(items: list[Any], *, numbered: bool = True) -> Iterator[Any]:
    events: list[InboundEvent] = []
    for number, item in enumerate(items):
        index = number if numbered else None
        try:
            event = msgspec.convert(item, InboundEvent)
        except msgspec.ValidationError as exc:
            yield invalid_event(exc, ref=_ref(item), index=index)
            continue
        if refusal := check_event(event, index=index):
            yield refusal
        else:
            events.append(event)
    if events:
        yield EventsFrame(events=events)


def _faulty(frame: Any) -> bool:
    """Whether the frame has open values with a fault: asked of every frame, so cheap where there are none."""
    kind = type(frame)
    if kind is EventFrame:
        return open_fault(frame.event) is not None
    if kind is EventsFrame:
        return any(map(open_fault, frame.events))
    return kind is CommandFrame and any(scalar_fault(value) for _, value in _open_values(frame.command))


def _open_values(command: Any) -> Iterable[tuple[str, Any]]:
    """The values of a command that may be of several kinds, with the fields they stand in."""
    match command:
        case SetContext(value=value):
            return [("value", value)]
        case OfferHandoff(fields=fields):
            return [(f"fields.{name}", value) for name, value in fields.items()]
        case _:
            return ()


def _checked(frame: Any) -> Iterator[Any]:
    """Yields the frame where its open values are in order; else refusals, and an `events` frame of the good ones."""
    match frame:
        case EventFrame(event=event):
            yield check_event(event) or frame
        case EventsFrame(events=events):
            refusals = [refusal for index, event in enumerate(events) if (refusal := check_event(event, index=index))]
            yield from refusals
            if refusals:
                events = [event for event in events if not open_fault(event)]
            if events:
                yield EventsFrame(events=events) if refusals else frame
        case CommandFrame(id=ref, command=command):
            faults = [(field, fault) for field, value in _open_values(command) if (fault := scalar_fault(value))]
            yield refusal_of(Code.INVALID, "command", *faults[0], ref=ref) if faults else frame
        case _:
            yield frame


def _ref(item: Any) -> str:
    ref = item.get("id") if type(item) is dict else None
    return ref if type(ref) is str and len(ref) <= REF_LENGTH_MAX else ""


def _translated(frame: Frame) -> Frame:
    match frame:
        case RawUpdate(events=events):
            return msgspec.structs.replace(frame, events=[_to_json(event) for event in events])
        case RawSnapshot(recent=recent):
            return msgspec.structs.replace(frame, recent=[_to_json(event) for event in recent])
        case _:
            return frame


def _to_json(event: msgspec.Raw) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(msgspec.msgpack.decode(event)))
