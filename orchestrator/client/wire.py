"""The SDK's bytes: frames to MessagePack and back by the `msgpack` package.

The server's codec is msgspec's. Two implementations that know nothing of each other meet in every test and benchmark,
so that a fault of one shows.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, TypeVar, get_args

import msgpack
import msgspec

from protocol.errors import Code, Refusal
from protocol.frames import Frame

SUBPROTOCOL = "throughline.v1.msgpack"

F = TypeVar("F", bound=Frame)
_ARRAY_HEADER_BYTES = 5


def pack(frame: Frame) -> bytes:
    """Returns one frame's bytes."""
    return bytes(msgpack.packb(msgspec.to_builtins(frame, builtin_types=(bytes,))))


def unpack(message: bytes | str, frames: Any) -> list[Any]:
    """Returns the frames of a message, members of the union `frames`; ones whose `op` is not of it are left out, since
    servers may learn new ones.

    Raises `Refusal` (`MALFORMED`) where the bytes are not such frames.
    """
    ops = _ops(frames)
    try:
        decoded = msgpack.unpackb(message)
        items = decoded if isinstance(decoded, list) else [decoded]
        known = [item for item in items if item["op"] in ops]
        return msgspec.convert(known, list[frames], builtin_types=(bytes,))
    except (ValueError, TypeError, KeyError, msgpack.UnpackException) as exc:
        raise Refusal(Code.MALFORMED, "the server sent what this client cannot read: is the client older?") from exc


def messages(encoded: Sequence[bytes], *, bytes_max: int, frames_max: int) -> Iterator[bytes]:
    """Puts frames into as few messages as the server's limits allow, in order."""
    batch: list[bytes] = []
    size = _ARRAY_HEADER_BYTES
    for frame in encoded:
        if batch and (size + len(frame) > bytes_max or len(batch) >= frames_max):
            yield _message(batch)
            batch, size = [], _ARRAY_HEADER_BYTES
        batch.append(frame)
        size += len(frame)
    if batch:
        yield _message(batch)


def refusal_of(code: int, message: str, *, ref: str = "") -> Refusal:
    """Returns the refusal of a wire code; of an unknown one the range says what to do."""
    try:
        return Refusal(Code(code), message, ref=ref)
    except ValueError:
        known = {40: Code.MALFORMED, 42: Code.INVALID, 43: Code.OVERLOADED}.get(code // 100, Code.INTERNAL)
        return Refusal(known, f"{message} (code {code})", ref=ref)


@cache
def _ops(frames: Any) -> frozenset[str]:
    return frozenset(member.__struct_config__.tag for member in get_args(frames))


def _message(batch: Sequence[bytes]) -> bytes:
    if len(batch) == 1:
        return batch[0]
    return bytes(msgpack.Packer().pack_array_header(len(batch))) + b"".join(batch)
