"""Outbound: the delivery id is `<conversation>.<seq of its MessageQueued>`."""

from protocol.events.event import Event


class MessageQueued(Event, kw_only=True, frozen=True, tag="MessageQueued"):
    """A message to the customer is to leave on a channel."""

    interaction: int
    delivery: str
    channel: str
    account: str
    to: str
    text: str
    subject: str = ""
    references: list[str] = []


class DeliveryAttempted(Event, kw_only=True, frozen=True, tag="DeliveryAttempted"):
    """An attempt begins now; journaled before anything is sent."""

    delivery: str
    attempt: int


class DeliverySent(Event, kw_only=True, frozen=True, tag="DeliverySent"):
    """The provider took it."""

    delivery: str
    external_id: str = ""


class DeliveryFailed(Event, kw_only=True, frozen=True, tag="DeliveryFailed"):
    """The attempt surely did not happen; the next is due at `retry_at_ms`, or where it was `untaken` sooner: as soon as
    a client of its account connects. Where that is 0 another message is under way on its channel, and it is next."""

    delivery: str
    code: str
    reason: str
    retry_at_ms: int
    untaken: bool = False
    """Nobody was connected who takes the account's deliveries; the attempt does not count."""


class DeliveryUncertain(Event, kw_only=True, frozen=True, tag="DeliveryUncertain"):
    """It may or may not have been sent. `retry_at_ms` is 0 where it is held for a person."""

    delivery: str
    reason: str
    retry_at_ms: int = 0
    code: str = ""
    """As in `DeliveryFailed`: of its newest attempt."""
    earlier: bool = False
    """Its newest attempt surely did not happen, and there is no other: one before it may have sent it."""


class DeliveryDead(Event, kw_only=True, frozen=True, tag="DeliveryDead"):
    """Given up: an operator sees it and may replay it. By a person's word, with the code `not_left`, it did not leave
    although an attempt was in doubt."""

    delivery: str
    code: str
    reason: str


class DeliveryReplayed(Event, kw_only=True, frozen=True, tag="DeliveryReplayed"):
    """An operator sends a dead or held delivery again."""

    delivery: str


class DeliveryConfirmed(Event, kw_only=True, frozen=True, tag="DeliveryConfirmed"):
    """The provider says what became of it: `delivered`, `read`, `undelivered`, `bounced`; or `sent`, which a gateway
    client may also say of an earlier attempt during the next."""

    delivery: str
    status: str
    code: str = ""
    external_id: str = ""
    """The provider's id of it, where it says so before the attempt has an outcome."""
