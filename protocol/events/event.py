"""What every fact has."""

from msgspec import Struct

CUSTOMER, POLICY, SYSTEM = "customer", "policy", "system"
"""Who may have caused a fact (`Event.actor`), of those who have no name of their own."""


class Once(Struct, array_like=True, frozen=True, gc=False):
    """The once-key an event was caused by: a repeat of the same key has no second effect.

    `key`: 64 bits of BLAKE2b over (account, source, id) or (`command`, id); `digest`: 32 bits of it over the payload.
    """

    key: int
    digest: int


class Event(Struct, kw_only=True, omit_defaults=True, frozen=True, tag_field="type", gc=False):
    """Base of every fact."""

    at_ms: int
    actor: str = ""
    """Who caused it: `customer`, `agent:ann`, `account:mail`, `system`."""
    once: Once | None = None
    policy: int = 0
    """The policy version it was decided under."""
