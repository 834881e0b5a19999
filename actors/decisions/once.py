"""Once-keys: what a journey remembers of the inputs that came, so that a repeat is recognised by the actor alone.

A record of 24 bytes for each key, the oldest first, all in one string of bytes:

    key 8 | digest 4 | at 4 (seconds since 1970) | conversation 4 (its number; 0: the customer's own stream) | seq 4

With no seq, what it did is nowhere here; and the largest conversation then says that any payload under it is a repeat.

As objects a key took 250 bytes, and the keys of a customer's month more than the rest of their journey. A look-up scans
the bytes, which for the some dozens that customers have costs less than a microsecond; past `SCANNED_MAX` an index of
the places is kept beside them, which is not part of the state.
"""

from struct import Struct as Layout

from msgspec import Struct

_RECORD = Layout("<QIIII")
_SIZE = _RECORD.size

KEYS_MAX = 4096
"""Keys one journey remembers; past it the oldest go before their time. A customer's month is far below it."""
SCANNED_MAX = 64
"""Keys up to which a scan is as fast as an index is."""


_ANY_FORM = 0xFFFF_FFFF


class Seen(Struct, frozen=True, gc=False):
    """A once-key's memory: the payload's digest, when, and the first event it caused."""

    digest: int
    at_s: int
    conversation: int
    """The number of its stream's conversation; 0 for the customer's own stream."""
    seq: int
    """0: what it did is in nobody's streams that are known here."""

    @property
    def is_elsewhere(self) -> bool:
        """Whether it did nothing here: it is, or is about to be, somebody else's."""
        return not self.seq

    def covers(self, digest: int) -> bool:
        """Whether a payload under the key is a repeat of what came."""
        return digest == self.digest or (self.is_elsewhere and self.conversation == _ANY_FORM)


def elsewhere(digest: int, at_s: int) -> Seen:
    """Of an input that came here and is to be somebody else's."""
    return Seen(digest, at_s, 0, 0)


def united(one: bytes, other: bytes) -> bytes:
    """What two packed memories of the same customer's keys know together: each may have what the other has not."""
    if not one or not other or one == other:
        return one or other
    records = {packed[at : at + _SIZE]: None for packed in (one, other) for at in range(0, len(packed), _SIZE)}
    return b"".join(sorted(records, key=_came_s)[-KEYS_MAX:])


def anyones(packed: bytes, since_s: int) -> bytes:
    """Those that came at `since_s` or later, without the places of what they did: for whoever is to know that it was
    done, and not where and for whom."""
    records = (record for record in _RECORD.iter_unpack(packed) if record[2] >= since_s)
    return b"".join(
        _RECORD.pack(key, digest, at_s, _ANY_FORM if (conversation, seq) == (_ANY_FORM, 0) else 0, 0)
        for key, digest, at_s, conversation, seq in records
    )


def in_any_form(key: int, at_s: int) -> bytes:
    """The memory of what came in a form that could not be taken: whatever comes under its key is the same, mended."""
    return _RECORD.pack(key, 0, at_s, _ANY_FORM, 0)


def newest_s(packed: bytes) -> int:
    """When the newest of them came, in seconds since 1970; 0 where there is none."""
    return max((at_s for _, _, at_s, _, _ in _RECORD.iter_unpack(packed)), default=0)


def _came_s(record: bytes) -> int:
    _, _, at_s, _, _ = _RECORD.unpack(record)
    return int(at_s)


class _Index:
    """The newest place of each key, which counts from the first record that the index knew."""

    __slots__ = ("dropped", "places")

    def __init__(self, packed: bytes) -> None:
        self.places = {key: place for place, (key, *_) in enumerate(_RECORD.iter_unpack(packed))}
        self.dropped = 0
        """Records that have left since."""

    def forget(self, gone: bytes) -> None:
        """These records are the oldest, and leave."""
        self.dropped += len(gone) // _SIZE
        for key, *_ in _RECORD.iter_unpack(gone):
            if self.places.get(key, self.dropped) < self.dropped:
                del self.places[key]


class OnceKeys:
    """The keys of one journey. `packed` is all of its state."""

    __slots__ = ("_index", "packed")

    def __init__(self, packed: bytes = b"") -> None:
        self.packed = packed
        self._index: _Index | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OnceKeys) and self.packed == other.packed

    __hash__ = None  # type: ignore[assignment]  # As Python says that there is none.

    def __len__(self) -> int:
        return len(self.packed) // _SIZE

    def get(self, key: int) -> Seen | None:
        """What the key did, if it came."""
        at = self._place(key)
        if at < 0:
            return None
        _, digest, at_s, conversation, seq = _RECORD.unpack_from(self.packed, at)
        return Seen(digest, at_s, conversation, seq)

    def add(self, key: int, seen: Seen) -> None:
        """The key came; over `KEYS_MAX` the oldest is forgotten."""
        if self._index is not None:
            self._index.places[key] = self._index.dropped + len(self)
        self.packed = self.packed + _RECORD.pack(key, seen.digest, seen.at_s, seen.conversation, seen.seq)
        if len(self) > KEYS_MAX:
            self._forget(1)

    @property
    def newest(self) -> bytes:
        """A mark for `since`: the newest record; empty where there is none."""
        return self.packed[-_SIZE:]

    def since(self, mark: bytes) -> bytes:
        """What came after `mark` was the newest, packed; all of it where that is forgotten or there was none. By
        place and not by time: clocks are set back."""
        at = self.packed.rfind(mark) if mark else -1
        while at > 0 and at % _SIZE:
            at = self.packed.rfind(mark, 0, at + _SIZE - 1)
        return self.packed[at + _SIZE :] if at >= 0 else self.packed

    def forget_before(self, at_s: int) -> None:
        """Forgets the oldest up to the first that came at `at_s` or later."""
        count = 0
        for _, _, came_s, _, _ in _RECORD.iter_unpack(self.packed):
            if came_s >= at_s:
                break
            count += 1
        if count:
            self._forget(count)

    def _forget(self, count: int) -> None:
        gone, self.packed = self.packed[: count * _SIZE], self.packed[count * _SIZE :]
        if self._index is not None:
            self._index.forget(gone)

    def _place(self, key: int) -> int:
        """Where the key's newest record begins; -1: nowhere."""
        if len(self.packed) > SCANNED_MAX * _SIZE:
            return self._place_by_index(key)
        self._index = None
        wanted = key.to_bytes(8, "little")
        at = self.packed.rfind(wanted)
        while at > 0 and at % _SIZE:
            # The same eight bytes, by chance, across two fields.
            at = self.packed.rfind(wanted, 0, at + len(wanted) - 1)
        return at

    def _place_by_index(self, key: int) -> int:
        if self._index is None:
            self._index = _Index(self.packed)
        place = self._index.places.get(key)
        return -1 if place is None else (place - self._index.dropped) * _SIZE
