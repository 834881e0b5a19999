"""Channels: each module translates one provider's form into inbound events, and deliveries into the provider's form.

A channel is data and two functions: something that makes `InboundEvent`s, and a `Sender` that makes one attempt of a
delivery and says in `Sent` what became of it. It keeps no state that matters: order, retries and dead letters are the
outbox's.
"""

from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from protocol.links import Attempt


class SendStatus(StrEnum):
    """What became of one attempt."""

    SENT = "sent"
    """The provider took it."""
    FAILED = "failed"
    """It surely did not happen and may work later: connection refused, 4xx of SMTP, 429 and 5xx of HTTP."""
    REFUSED = "refused"
    """The provider says it never will."""
    UNCERTAIN = "uncertain"
    """The connection broke after the message had left: it may have been sent."""


class Sent(Struct, kw_only=True, frozen=True):
    """The outcome of one attempt. `code` is the provider's own, uninterpreted; `reason` is for an operator's eyes."""

    status: SendStatus
    external_id: str = ""
    code: str = ""
    reason: str = ""


class Sender(Protocol):
    """One channel account's way out."""

    async def send(self, attempt: Attempt) -> Sent:
        """Makes the attempt. Never raises for what the outside does; a bug may raise, and counts as uncertain."""
        ...

    async def close(self) -> None:
        """Gives back connections."""
        ...
