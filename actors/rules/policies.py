"""Policies: the versions of the policy that a cell has heard of. The newest decides.

Version 1 is what the settings say. A conversation that stays with the version it was opened under finds it through the
newest one (`Policy.at`); of those only the newest `POLICIES_KEPT` are kept, so that memory and starting stay bounded. A
conversation that names an older one follows the newest.
"""

from collections.abc import Iterable, Iterator
from itertools import chain

import msgspec

from actors.rules.accounts import former_channels
from actors.rules.policy import PINNED, Policy
from protocol.journal import POLICIES_KEPT

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Policy).decode
_PLACES = ("version", "earlier", "channel_of", "former", "provider_max")
"""Fields that say where a policy stands, among its versions and the accounts that there are."""


def packed(policy: Policy) -> bytes:
    """A policy's rules as bytes, without its place among versions and accounts. Raises `msgspec.ValidationError` where
    they are outside the bounds of their types: whoever applies them has to hear that, and not every cell as it
    starts."""
    rules = {name: getattr(policy, name) for name in policy.__struct_fields__ if name not in _PLACES}
    body = _encode({"version": 1, "earlier": {}, **rules})
    _decode(body)
    return body


def unpacked(version: int, body: bytes) -> Policy:
    """The rules in `packed` bytes, as that version."""
    return msgspec.structs.replace(_decode(body), version=version)


def still_accepted(version: int, body: bytes) -> Policy | None:
    """The same; None where what an earlier program accepted is outside the bounds that rules have by now."""
    try:
        return unpacked(version, body)
    except msgspec.ValidationError:
        return None


class Policies:
    """What one cell knows. `newest` is what decisions get, `body` its bytes; empty for the first, the settings'."""

    def __init__(self, first: Policy) -> None:
        self.newest = self._first = _with_accounts(first, first)
        self.body = b""
        self._known: dict[int, Policy] = {}

    def learn(self, versions: Iterable[tuple[int, bytes]]) -> bool:
        """Takes in versions, the newest last; says whether there is a newer one to decide by now."""
        before = self.newest.version
        told = list(versions)
        for version, body in told:
            if version in self._known:
                continue
            # A conversation pinned to a version that is not accepted or kept any more follows the newest.
            # The newest itself the start has looked at.
            policy = unpacked(version, body) if version == told[-1][0] else still_accepted(version, body)
            if policy is None:
                continue
            self._known[version] = policy
            if version > self.newest.version:
                self.newest, self.body = policy, body
        if self.newest.version == before:
            return False
        for old in sorted(self._known)[:-POLICIES_KEPT]:
            del self._known[old]
        versions_known = [self._first, *self._known.values()]
        self.newest = _with_former(_with_accounts(self.newest, self._first), versions_known)
        if self.newest.live_conversations == PINNED:
            # Who stays with an earlier version's rules has the accounts that there are, all the same.
            place = {name: getattr(self.newest, name) for name in ("channel_of", "former", "provider_max")}
            known = {self._first.version: self._first, **self._known}
            earlier = {n: msgspec.structs.replace(each, **place) for n, each in known.items()}
            self.newest = msgspec.structs.replace(self.newest, earlier=earlier)
        return True


def _with_accounts(policy: Policy, first: Policy) -> Policy:
    """With all accounts that there are under it: those of the settings, which `first` was made of, and its own."""
    if first.channel_of is None:
        return policy
    own = {name: account.channel for name, account in policy.accounts.items()}
    return msgspec.structs.replace(policy, channel_of={**first.channel_of, **own}, provider_max=first.provider_max)


def _with_former(policy: Policy, known: Iterable[Policy]) -> Policy:
    """With the channels that accounts were lines of under these versions, or before the first of them."""
    lines = ((*_channels(version).items(), *_were(version)) for version in known)
    return msgspec.structs.replace(policy, former=former_channels(_channels(policy), chain.from_iterable(lines)))


def _channels(policy: Policy) -> dict[str, str]:
    return {**(policy.channel_of or {}), **{name: account.channel for name, account in policy.accounts.items()}}


def _were(policy: Policy) -> Iterator[tuple[str, str]]:
    """What its accounts were lines of before it, as far as was known as it was made."""
    return ((account, channel) for account, channels in policy.former.items() for channel in channels)
