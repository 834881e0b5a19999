"""Policies: the versions of the policy that a cell has heard of. The newest decides.

Version 1 is what the settings say. A conversation that stays with the version it was opened under finds it through the
newest one (`Policy.at`); of those only the newest `POLICIES_KEPT` are kept, so that memory and starting stay bounded. A
conversation that names an older one follows the newest.
"""

from collections.abc import Iterable

import msgspec

from actors.policy import PINNED, Policy
from protocol.journal import POLICIES_KEPT

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Policy).decode


def packed(policy: Policy) -> bytes:
    """A policy's rules as bytes, without its place among the versions. Raises `msgspec.ValidationError` where they are
    outside the bounds of their types: that is for who applies them to hear, and not for every cell as it starts."""
    body = _encode(msgspec.structs.replace(policy, version=1, earlier={}))
    _decode(body)
    return body


def unpacked(version: int, body: bytes) -> Policy:
    """The rules in `packed` bytes, as that version."""
    return msgspec.structs.replace(_decode(body), version=version)


class Policies:
    """What one cell knows. `newest` is what decisions get, `body` its bytes; empty for the first, the settings'."""

    def __init__(self, first: Policy) -> None:
        self.newest = first
        self.body = b""
        self._first = first
        self._known: dict[int, Policy] = {}

    def learn(self, versions: Iterable[tuple[int, bytes]]) -> bool:
        """Takes in versions, the newest last; says whether there is a newer one to decide by now."""
        before = self.newest.version
        for version, body in versions:
            if version not in self._known:
                self._known[version] = unpacked(version, body)
            if version > self.newest.version:
                self.newest, self.body = self._known[version], body
        if self.newest.version == before:
            return False
        for old in sorted(self._known)[:-POLICIES_KEPT]:
            del self._known[old]
        if self.newest.live_conversations == PINNED:
            earlier = {self._first.version: self._first, **self._known}
            self.newest = msgspec.structs.replace(self.newest, earlier=earlier)
        return True
