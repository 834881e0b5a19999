"""Contacts: a conversation is opened, and what comes in on its channels."""

from typing import Any

from protocol.entities import Before, CarryOver, Direction, Relation, Tag, Tags
from protocol.events.event import Event
from protocol.inbound import Attachment, GivenContext


class ConversationOpened(Event, kw_only=True, frozen=True, tag="ConversationOpened"):
    """The first fact of a conversation."""

    customer: str
    queue: str
    subject: str = ""
    relation: Relation | None = None
    reason: str = ""
    """Why it is a new conversation; empty for a customer's first."""
    carried: CarryOver | None = None


class InteractionStarted(Event, kw_only=True, frozen=True, tag="InteractionStarted"):
    """A contact on one channel began."""

    interaction: int
    channel: str
    account: str
    identity: str
    direction: Direction = Direction.INBOUND
    session: str = ""
    reason: str = ""
    """Why it was taken to belong to this conversation; empty where it opened it."""
    before: Before | None = None
    """None where nothing was before it."""
    rest_at_ms: int = 0
    """When it ends unless something is said; 0: no time ends it."""


class InteractionEnded(Event, kw_only=True, frozen=True, tag="InteractionEnded"):
    """A contact is over: hung up, left, or at rest for the time the policy gives its channel."""

    interaction: int
    reason: str = ""


class InteractionWentOn(Event, kw_only=True, frozen=True, tag="InteractionWentOn"):
    """The time at which a contact would have rested has passed, and it was not silent: the next is `rest_at_ms`."""

    interaction: int
    rest_at_ms: int


class MessageReceived(Event, kw_only=True, frozen=True, tag="MessageReceived"):
    """The customer's words."""

    interaction: int
    channel: str
    identity: str
    source: str
    id: str
    provider_ms: int
    text: str
    subject: str = ""
    attachments: list[Attachment] = []
    reference: str = ""
    in_reply_to: list[str] = []


class AutomaticReplyReceived(Event, kw_only=True, frozen=True, tag="AutomaticReplyReceived"):
    """A machine answered for the customer: shown, never taken for their words."""

    interaction: int
    channel: str
    identity: str
    source: str
    id: str
    provider_ms: int
    text: str
    subject: str = ""
    attachments: list[Attachment] = []
    reference: str = ""


class ActivitySeen(Event, kw_only=True, frozen=True, tag="ActivitySeen"):
    """The customer did something on the web or in the app."""

    interaction: int
    channel: str
    identity: str
    provider_ms: int
    name: str
    properties: dict[str, Any] = {}
    context: GivenContext | None = None
    """What it made known, where no conversation was open to know it; it comes in with the next one (see
    `ActivityCarried`)."""
    tags: Tags | None = None
    """What it is about, while no conversation is open: a contact that begins soon after is likely about the same."""
    verified: bool = False
    """Whether what it made known counts as verified, while no conversation is open."""


class InteractionTagged(Event, kw_only=True, frozen=True, tag="InteractionTagged"):
    """What an interaction is about became known, or is known better. Only what changes is said."""

    interaction: int
    topic: Tag | None = None
    intent: Tag | None = None
    product_line: Tag | None = None
    segment: Tag | None = None
    keys: list[str] = []


class RepeatContactFound(Event, kw_only=True, frozen=True, tag="RepeatContactFound"):
    """The customer is back about a topic that was said to be done a short while ago."""

    interaction: int
    earlier: str
    """The conversation that was resolved; the event's own where it was opened again."""
    topic: str
    resolved_at_ms: int
    channel: str = ""
    relation: Relation | None = None
    """The conversation's relation from now on, where this changes it; `previous` is the one before."""
    previous: Relation | None = None
