"""Work on a conversation: whose it is, how it stands, and notes."""

from protocol.events.event import Event


class OwnerChanged(Event, kw_only=True, frozen=True, tag="OwnerChanged"):
    """From now on `owner` (an agent's name; empty: nobody) has the conversation."""

    owner: str
    previous: str = ""


class QueueChanged(Event, kw_only=True, frozen=True, tag="QueueChanged"):
    """The conversation waits in another queue."""

    queue: str
    previous: str = ""


class ConversationSnoozed(Event, kw_only=True, frozen=True, tag="ConversationSnoozed"):
    """Asleep until `until_ms` or the customer's next word."""

    until_ms: int


class ConversationWoken(Event, kw_only=True, frozen=True, tag="ConversationWoken"):
    """Awake again."""

    reason: str = ""


class ConversationResolved(Event, kw_only=True, frozen=True, tag="ConversationResolved"):
    """Said to be done; closes at `close_at_ms` unless the customer speaks before."""

    close_at_ms: int
    reason: str = ""
    since_ms: int = 0
    """When that was said, where it was before: of a conversation whose contacts were in another one then."""


class ConversationReopened(Event, kw_only=True, frozen=True, tag="ConversationReopened"):
    """Open again after having been resolved."""

    reason: str = ""


class ConversationClosed(Event, kw_only=True, frozen=True, tag="ConversationClosed"):
    """The last fact of a live conversation."""

    reason: str = ""


class NoteAdded(Event, kw_only=True, frozen=True, tag="NoteAdded"):
    """An internal note; never leaves the building."""

    text: str
