"""The wire form of every frame, byte by byte: a change of it breaks clients and must be seen.

    <name>.json      the frame in JSON
    <name>.msgpack   the frame in MessagePack, as hexadecimal digits

`python -m tests.protocol.test_frames_golden` writes the files anew, for a change that is meant.
"""

import json
from pathlib import Path
from typing import Any, get_args

import msgpack
import msgspec
import pytest

from protocol.codec import Codec
from protocol.errors import Refusal
from protocol.frames import (
    AgentFrame,
    Frame,
    GatewayFrame,
    RawSnapshot,
    RawUpdate,
    Snapshot,
    ToAgent,
    ToGateway,
    Update,
)
from tests.protocol import samples

FOLDER = Path(__file__).parent / "golden"
JSON, MSGPACK = Codec("json"), Codec("msgpack")
NAMES = sorted(samples.ALL)


def golden(name: str, form: str) -> bytes:
    """The committed bytes."""
    text = (FOLDER / f"{name}.{form}").read_text().rstrip("\n")
    return bytes.fromhex(text) if form == "msgpack" else text.encode()


def decoded(codec: Codec, name: str, data: bytes) -> list[Any]:
    """What the side that receives this frame makes of it."""
    if name in samples.FROM_AGENT:
        return list(codec.decode_agent(data))
    if name in samples.FROM_GATEWAY:
        return list(codec.decode_gateway(data))
    return list(codec.decode_to_agent(data) if name in samples.TO_AGENT else codec.decode_to_gateway(data))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("codec", [JSON, MSGPACK], ids=["json", "msgpack"])
def test_a_frame_is_encoded_to_its_golden_bytes_and_back(codec: Codec, name: str) -> None:
    """Encoding gives the committed bytes; decoding them gives the frame."""
    data = golden(name, codec.name)
    assert codec.encode(samples.ALL[name]) == data
    assert decoded(codec, name, data) == [samples.ALL[name]]


@pytest.mark.parametrize("name", NAMES)
def test_the_msgpack_package_reads_and_writes_the_same(name: str) -> None:
    """Another implementation of MessagePack sees what JSON shows, and its bytes are understood."""
    plain = msgpack.unpackb(golden(name, "msgpack"))
    assert plain == json.loads(golden(name, "json"))
    assert decoded(MSGPACK, name, msgpack.packb(plain)) == [samples.ALL[name]]


def test_every_frame_has_a_golden_file() -> None:
    """A new frame type comes with its bytes, and no file is left behind."""
    members = {member for union in (AgentFrame, GatewayFrame, ToAgent, ToGateway) for member in get_args(union)}
    assert {type(frame) for frame in samples.ALL.values()} == members
    assert {path.name for path in FOLDER.iterdir()} == {f"{n}.{form}" for n in NAMES for form in ("json", "msgpack")}


@pytest.mark.parametrize("codec", [JSON, MSGPACK], ids=["json", "msgpack"])
def test_events_that_are_encoded_already_go_out_in_the_same_form(codec: Codec) -> None:
    """The server's frames with raw events are the bytes of the typed ones."""
    update, snapshot = samples.ALL["update"], samples.ALL["snapshot"]
    assert isinstance(update, Update)
    assert isinstance(snapshot, Snapshot)
    raw = [msgspec.Raw(msgspec.msgpack.encode(event)) for event in update.events]
    encoded = codec.encode(RawUpdate(conversation=update.conversation, seq=update.seq, events=raw))
    assert codec.decode_to_agent(encoded) == [update]
    recent = [msgspec.Raw(msgspec.msgpack.encode(event)) for event in snapshot.recent]
    encoded = codec.encode(
        RawSnapshot(
            conversation=snapshot.conversation,
            generation=snapshot.generation,
            seq=snapshot.seq,
            view=snapshot.view,
            recent=recent,
        )
    )
    assert codec.decode_to_agent(encoded) == [snapshot]


@pytest.mark.parametrize("count", [1, 2, 15, 16, 70_000])
@pytest.mark.parametrize("codec", [JSON, MSGPACK], ids=["json", "msgpack"])
def test_joined_frames_are_one_message(codec: Codec, count: int) -> None:
    """Frames put together decode one by one, at each width of MessagePack's array header."""
    wide = Codec(codec.name, message_bytes_max=8 << 20, frames_max=count)
    frame = samples.FROM_AGENT["pong"]
    assert wide.decode_agent(wide.join([wide.encode(frame)] * count)) == [frame] * count
    if count > 1:
        (refusal,) = Codec(codec.name, message_bytes_max=8 << 20, frames_max=count - 1).decode_agent(
            wide.join([wide.encode(frame)] * count)
        )
        assert isinstance(refusal, Refusal)


def write(frames: dict[str, Frame]) -> None:
    """Writes the golden files."""
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.iterdir():
        path.unlink()
    for name, frame in frames.items():
        (FOLDER / f"{name}.json").write_bytes(JSON.encode(frame) + b"\n")
        (FOLDER / f"{name}.msgpack").write_text(MSGPACK.encode(frame).hex() + "\n")


if __name__ == "__main__":
    write(samples.ALL)
