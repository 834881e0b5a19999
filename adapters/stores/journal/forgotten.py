"""What stays of the addresses of who was erased: a mark of each, by which the once-keys are found that it left.

Whoever gets such an address next has to know what came from it before, as with one that was unlinked; but that somebody
had it is not to be read here any more. A mark is a keyed hash, under a secret of the journal's own: who has an address
finds it. Who has the file can try one address after the other, so a mark stays for as long as the once-keys count, and
no longer. Pure.
"""

import hashlib
from collections.abc import Iterable, Mapping

from msgspec import msgpack

from protocol.journal import CLAIM, Freed, Record, Unit

SECRET_BYTES = 32
_MARK_BYTES = 16

_keys_by_customer = msgpack.Decoder(dict[str, bytes]).decode


def mark(identity: str, secret: bytes) -> bytes:
    """BLAKE2b, keyed; 16 bytes."""
    return hashlib.blake2b(identity.encode(), key=secret, digest_size=_MARK_BYTES).digest()


def assigned(units: Iterable[Unit | Record]) -> set[str]:
    """The identities that somebody is to get: only of these it matters whether they were freed."""
    return {identity for unit in units for identity in unit.identities}


def left_of(customer: str, freed: Freed, owned: Iterable[str], free: Mapping[str, bytes]) -> dict[str, bytes]:
    """By identity: the once-keys to keep by its mark. `owned` are those of `customer` now, and others of theirs that
    are nobody's; `free` those that were unlinked from somebody, whose once-keys name the customer: each with these."""
    own = _keys_by_customer(freed.keys)
    left = {each: freed.keys for each in owned if not each.startswith(CLAIM)}
    for identity, keys in free.items():
        others = {each: packed for each, packed in _keys_by_customer(keys).items() if each != customer}
        left[identity] = msgpack.encode({**others, **own})
    return left
