"""Quarantine: what may not come in, in the stream of the account or customer."""

from protocol.events.event import Event, Once


class InputQuarantined(Event, kw_only=True, frozen=True, tag="InputQuarantined"):
    """An input was refused after its sender was known: kept whole, with the reason, replayable."""

    quarantine: str
    account: str
    source: str
    id: str
    code: int
    field: str
    reason: str
    raw: bytes
    """The event as it came: JSON, in `InboundEvent`'s or CloudEvents' form, the vendor's own, or a mail."""
    received_ms: int = 0
    rule: str = ""
    """What refused it: `schema`, `once`, or `capture:<template>`, which `policy` has."""
    product_line: str = ""
    """What it is about, where the taxonomy finds that in it."""


class QuarantineReplayed(Event, kw_only=True, frozen=True, tag="QuarantineReplayed"):
    """A quarantined input came in after all."""

    quarantine: str
    stream: str = ""
    """Where it came in: its first event is (`stream`, `seq`)."""
    seq: int = 0


class ReplayBegun(Event, kw_only=True, frozen=True, tag="ReplayBegun"):
    """An operator takes a quarantined input in: until it is in or refused again, in this form and in no other."""

    quarantine: str
    raw: bytes = b""
    """As it was edited: JSON in `InboundEvent`'s form. Empty: as it was kept."""
    form: int | None = None
    """What tells this form from others (`form_of`), also where retention has taken what it was edited to."""
    input: Once | None = None
    """The input's own once-key, where it is to come in as somebody else's: should its source send it again, that is a
    repeat here, too."""


class InputErased(Event, kw_only=True, frozen=True, tag="InputErased"):
    """A quarantined input was forgotten: what came and what it was edited to are gone from everywhere, also from the
    facts before this one. What came in of it is its customer's. `reason` is the operator's."""

    quarantine: str
    reason: str


class ReplayRefused(Event, kw_only=True, frozen=True, tag="ReplayRefused"):
    """It did not fit then, either."""

    quarantine: str
    code: int
    reason: str
    field: str = ""
