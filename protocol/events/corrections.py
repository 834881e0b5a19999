"""Corrections: what an agent says about which contact belongs where."""

from protocol.entities import Interaction, MissingField, Relation
from protocol.events.event import Event

UNMERGE = "unmerge"
"""A correction that nobody asked for by itself: two customers became two again."""


class CorrelationCorrected(Event, kw_only=True, frozen=True, tag="CorrelationCorrected"):
    """Somebody said that contacts were put together, or kept apart, wrongly. What moves is in events of its own."""

    correction: str
    """`split`, `join` or `relate`; `unmerge`: the relation was to what is another person's from now on, or rested on
    it, and what was done there is no past of this conversation (`carried`); or its subject was their word."""
    other: str = ""
    """The conversation that was split off, was joined into this one, or is, or was, the earlier one of the relation."""
    interactions: list[int] = []
    """Of this conversation: those that left, or those that came."""
    relation: Relation | None = None
    """The conversation's relation from now on, where it or `previous`, the one before, is given."""
    previous: Relation | None = None
    subject: str | None = None
    """The conversation's subject from now on, where an unmerge made the one it had another person's word."""
    subject_by: str = ""
    """The address that wrote it."""
    earlier_channel: str = ""
    """The channel pair it was about: from the contact before …"""
    channel: str = ""
    """… to the contact that was misplaced."""
    reason: str = ""


class InteractionMoved(Event, kw_only=True, frozen=True, tag="InteractionMoved"):
    """An interaction belongs to another conversation of the customer from now on. What was said in it stays journaled
    here."""

    interaction: int
    to: str
    number: int
    """Its number there."""
    channel: str = ""
    """The channel of the newest interaction that is left."""
    references: list[str] = []
    """Thread references that lead there from now on."""
    keys: list[str] = []
    """Those it names."""


class InteractionReceived(Event, kw_only=True, frozen=True, tag="InteractionReceived"):
    """An interaction that began in another conversation belongs to this one from now on."""

    interaction: Interaction
    came_from: str
    channel: str = ""
    """The channel of the conversation's newest interaction from now on."""
    references: list[str] = []
    """Thread references that lead here from now on."""
    gaps: list[MissingField] = []
    """What it came without: asked for there, it is missing here from now on, and not there."""
