"""What is kept of a customer: brought in from the past, erased, dropped by retention."""

from protocol.events.event import Event


class PastImported(Event, kw_only=True, frozen=True, tag="PastImported"):
    """A contact of the past came in as `conversation`, which was over before it was here."""

    source: str
    id: str
    conversation: str


class CustomerErased(Event, kw_only=True, frozen=True, tag="CustomerErased"):
    """The person was forgotten: what was said and their addresses are gone from everywhere, also from the facts before
    this one. `reason` is the operator's."""

    reason: str


class FactDropped(Event, kw_only=True, frozen=True, tag="FactDropped"):
    """What retention left of a fact of a conversation that is over: its `once`, for as long as a repeat of the input
    may still come. Never journaled: it stands in the archive, in the fact's place."""
