"""Handoffs: the context package, its hash, and what is shown of a transfer of ownership.

    offered ──▶ accepted | declined | expired | withdrawn

A package names each context item by key and version: a version's value never changes, so the package says exactly what
was handed over without saying it twice. The values stand in the conversation's context and in its events. Whoever
accepts sends the package's hash back, computed from what they were given: the proof that it was delivered.
"""

from enum import StrEnum
from hashlib import sha256

import msgspec
from msgspec import Struct


class HandoffState(StrEnum):
    """Where a handoff stands."""

    OFFERED = "offered"
    """It waits for its taker until its lease ends. The giver still owns the conversation."""
    ACCEPTED = "accepted"
    """The taker owns the conversation, and has acknowledged the package."""
    DECLINED = "declined"
    EXPIRED = "expired"
    """Nobody answered in time."""
    WITHDRAWN = "withdrawn"
    """The giver took it back, or somebody took, assigned, moved or resolved the conversation meanwhile."""


class PackageItem(Struct, kw_only=True, frozen=True, gc=False):
    """A context item that is handed over."""

    key: str
    version: int
    """Names the value: a key's version is set once."""


class HandoffPackage(Struct, kw_only=True, omit_defaults=True, frozen=True, gc=False):
    """The context that a handoff carries."""

    conversation: str
    lease: int
    """The offer's number: two packages are never the same."""
    through: int
    """The `seq` up to which everything said and done is part of it."""
    facts: dict[str, str] = {}
    """What the conversation itself knows: `customer`, `identity`, `channel`, `queue`, `subject`."""
    items: list[PackageItem] = []
    """The context items, by key."""
    note: str = ""
    """The giver's words to the taker."""
    missing: list[str] = []
    """Fields that the policy requires and nobody has given."""


class Handoff(Struct, kw_only=True, omit_defaults=True, frozen=True, gc=False):
    """A conversation's newest handoff."""

    lease: int
    """Grows with each offer of the conversation: an answer to an older one is refused."""
    kind: str
    state: HandoffState
    giver: str
    """Who offered it."""
    to: str
    """`agent:<name>` or `queue:<name>`."""
    continuity: str
    """Who answers for the context: an agent, a queue, or a role that the policy names."""
    sha256: str
    """The package's hash."""
    expires_at_ms: int
    package: HandoffPackage | None = None
    """While it is open; its event has it for ever."""
    missing: list[str] = []
    ended_at_ms: int = 0
    ended_by: str = ""
    reason: str = ""

    @property
    def open(self) -> bool:
        """Whether it waits for an answer."""
        return self.state is HandoffState.OFFERED


def canonical(package: HandoffPackage) -> bytes:
    """The package's bytes to be hashed: its JSON as it stands in frames, keys sorted, without white space, in UTF-8 (as
    in RFC 8785, JSON Canonicalization Scheme)."""
    return msgspec.json.encode(package, order="sorted")


def package_sha256(package: HandoffPackage) -> str:
    """The hash that acknowledges the package: 64 hexadecimal digits."""
    return sha256(canonical(package)).hexdigest()
