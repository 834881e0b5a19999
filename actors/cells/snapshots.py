"""Snapshots: a journey's state as one blob, so that loading it need not read all its events."""

from collections.abc import Set

import msgspec

from actors.cells import remains
from actors.decisions.once import OnceKeys
from actors.state.journey import Journey
from protocol.links import SnapshotTaken

STATE_VERSION = 9
"""Of the snapshot's form; another one is not read, and the journey is loaded from its events."""


def _pack(value: object) -> object:
    assert isinstance(value, OnceKeys), value
    return value.packed


def _unpack(kind: type, value: bytes) -> object:
    assert kind is OnceKeys, kind
    return OnceKeys(value)


_encode = msgspec.msgpack.Encoder(enc_hook=_pack).encode
_decode = msgspec.msgpack.Decoder(tuple[int, Journey], dec_hook=_unpack).decode
_decode_version = msgspec.msgpack.Decoder(tuple[int, msgspec.Raw]).decode


def freeze(state: Journey) -> bytes:
    """The state as a snapshot's body."""
    return _encode((STATE_VERSION, state))


def thaw(body: bytes) -> Journey | None:
    """The state of a snapshot's body; None where another version of the server wrote it."""
    if _decode_version(body)[0] != STATE_VERSION:
        return None
    return _decode(body)[1]


def without(taken: SnapshotTaken, dropped: Set[str]) -> SnapshotTaken | None:
    """The snapshot without a word of these conversations; None where another version of the server wrote it."""
    state = thaw(taken.body)
    if state is None:
        return None
    remains.forget(state, dropped)
    return SnapshotTaken(taken.customer, taken.position, freeze(state), remains.words(state))
