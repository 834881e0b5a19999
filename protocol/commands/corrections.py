"""Commands that say what contacts are about, and what belongs together."""

from protocol.commands.command import Command
from protocol.entities import RelationKind
from protocol.inbound import WholeNumber


class TagInteraction(Command, kw_only=True, frozen=True, tag="tag"):
    """Say what an interaction is about: `interaction` is its number, 0 the newest. What is empty stays as it is.

    `classified`: a program says so, not a person: it counts less, and only for the time that the policy gives it."""

    interaction: WholeNumber = 0
    topic: str = ""
    intent: str = ""
    product_line: str = ""
    segment: str = ""
    classified: bool = False
    evidence: str = ""
    """What it goes by, for people."""


class Split(Command, kw_only=True, frozen=True, tag="split"):
    """Put these interactions in a conversation of their own: they are about something else. Undone by `join`."""

    interactions: list[WholeNumber]
    kind: RelationKind = RelationKind.FOLLOWS_UP
    """What the new conversation is to this one."""
    reason: str = ""


class Join(Command, kw_only=True, frozen=True, tag="join"):
    """Take everything of `other`, a conversation of the same customer, into this one; the other closes. Undone by
    `split`."""

    other: str
    reason: str = ""


class Relate(Command, kw_only=True, frozen=True, tag="relate"):
    """Say what this conversation is to an earlier one of the same customer; without `kind`: nothing."""

    earlier: str = ""
    """Empty with a kind: the one it is related to now."""
    kind: RelationKind | None = None
    reason: str = ""
