"""Context: what is known in a conversation, what is missing, and where it may not be said."""

from typing import Any

from protocol.entities import ContextValue
from protocol.events.event import Event


class ContextSet(Event, kw_only=True, frozen=True, tag="ContextSet"):
    """A context item has a new value and version."""

    key: str
    value: str | int | float | bool | None
    channel: str = ""
    interaction: int = 0
    sensitivity: str = "normal"
    version: int = 1
    verified: bool = False
    said_at_ms: int = 0
    """When it was said, where that was before this conversation began; else 0."""
    rule: str = ""
    """What decided, where another source says otherwise."""
    stands: ContextValue | None = None
    """The value that stands, where it is not this one: both are kept."""
    came_from: str = ""
    """The earlier conversation in which it was said and that this one is related to; empty: it was said here."""
    said_by: str = ""
    """The customer's address that said it, where `interaction` does not tell: it was said in an earlier conversation,
    in a contact that is elsewhere by now, or in another's session. Empty: whoever had that contact."""


class ContextWithdrawn(Event, kw_only=True, frozen=True, tag="ContextWithdrawn"):
    """What a source said of a key is not known here any more: an unmerge made it another person's word, which had
    been carried over, or said in contacts that went or in a session of this person's."""

    key: str
    channel: str
    side: str
    """Who spoke there: `customer`, `agent` or `system`."""
    came_from: str
    """The conversation in which it stays known: the one it was carried over from, or where its contact went; empty:
    history alone has it."""
    stands: ContextValue | None = None
    """The value that stands from now on; none: nothing is known of the key."""
    rule: str = ""
    """What decided, where the sources that are left say different things."""


class ContextRefused(Event, kw_only=True, frozen=True, tag="ContextRefused"):
    """A channel gave a context item that found no room; it is in this event alone."""

    key: str
    value: str | int | float | bool | None
    channel: str = ""
    interaction: int = 0
    reason: str = ""


class ContextWithheld(Event, kw_only=True, frozen=True, tag="ContextWithheld"):
    """From now on these items are not to be said or sent on `channel`; the journey keeps them."""

    channel: str
    keys: list[str]
    rule: str
    """The rule of the policy (whose version is `policy`), in words."""


class ChannelSwitched(Event, kw_only=True, frozen=True, tag="ChannelSwitched"):
    """The conversation goes on on another channel, with everything that was known.

    A proof is over all values of all items (`actors/context/switching.py` says how, so that others can compute it).
    """

    from_channel: str
    to_channel: str
    interaction: int
    by: str
    """`customer`, `agent` or `rule`; `actor` names them."""
    continuity: str
    """Who sees to it that nothing is lost, as the policy says: `agent:ann`, `queue:billing`, `team:claims`."""
    rule: str = ""
    """The pair of channels whose rules held, such as `any to phone`; empty: none was written."""
    required: list[str] = []
    missing: list[str] = []
    """Of `required`: what was not known."""
    items_before: int = 0
    items_after: int = 0
    kept: int = 0
    """Of those before: how many are there after. Another number than `items_before` is a fault of ours."""
    proof_before: str = ""
    proof_after: str = ""
    reason: str = ""


class ActivityCarried(Event, kw_only=True, frozen=True, tag="ActivityCarried"):
    """What the customer did shortly before this conversation began is part of it. The `ActivitySeen` is in the
    customer's own stream."""

    channel: str
    identity: str
    provider_ms: int
    name: str
    properties: dict[str, Any] = {}
    seen_at_ms: int = 0


class FieldMissing(Event, kw_only=True, frozen=True, tag="FieldMissing"):
    """A contact came without what its capture template wants; said once for each field of a conversation."""

    field: str
    interaction: int
    channel: str
    template: str
    action: str
    """`ask_customer` or `ask_agent`."""
    delivery: str = ""
    """The question to the customer, which asks for all that is missing then."""
    reason: str = ""
    """Why the agent is asked where the template would ask the customer."""
