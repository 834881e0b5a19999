"""Rules of retention: how long what is over is kept. What a rule leaves out is kept as the settings' `retention_days`
say; 0 is for ever.

How long a repeat is recognised is `once_keys` of `general.yaml`: whatever is dropped before, its once-key stays until
then (`FactDropped`).
"""

from typing import Annotated

from msgspec import Meta, Struct

HOUR_MS = 3_600_000

Kept = Annotated[int, Meta(ge=0)] | None


class RetentionRules(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """How long each kind is kept. Conversations that are open, and what belongs to them, stay whatever is said here."""

    closed_conversations_ms: Kept = None
    """What was said and done in a conversation, after it was closed."""
    quarantine_open_ms: Kept = None
    """A refused input that nobody has brought in, after it was refused."""
    quarantine_replayed_ms: Kept = None
    """A refused input that came in after all, after it did."""
    sent_deliveries_ms: Kept = None
    """The row of a message that was sent: when, by which account, under which id of the provider's."""
    dead_letters_ms: Kept = None
    """A message that was given up, after it was."""
    identity_reviews_ms: Kept = None
    """A question of who is who, after it was answered, or came up."""
    journal_ms: Kept = None
    """How far back the journal, and with it the feed, webhooks' resending and a rebuild of the archive reach. Left out:
    as the shortest of the others, so that what was dropped is nowhere."""

    def __post_init__(self) -> None:
        """Raises `ValueError` for what retention, which looks every hour, could not keep to."""
        for name in self.__struct_fields__:
            kept_ms = getattr(self, name)
            if kept_ms and kept_ms < HOUR_MS:
                raise ValueError(f"{name.removesuffix('_ms')} is less than the hour between two runs: write 1h or more")
