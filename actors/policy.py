"""The policy: what business owners decide, as the value that decisions get. Times are milliseconds."""

from msgspec import Struct, field

from actors.rules.context import ContextRules
from actors.rules.handoffs import Handoffs

DAY_MS = 86_400_000


class ChannelRules(Struct, kw_only=True, frozen=True):
    """How one channel behaves."""

    account: str = ""
    """The account replies go out by where the conversation has had no contact on this channel yet."""
    rest_after_ms: int = DAY_MS
    """A contact that was silent this long is over: the next word begins another."""
    uncertain: str = "hold"
    """What happens to a send of unknown outcome: `retry` under the same idempotency key, or `hold` for a person."""


class Policy(Struct, kw_only=True, frozen=True):
    """One version of all rules."""

    version: int = 1
    channels: dict[str, ChannelRules] = field(default_factory=dict)
    queues: dict[str, str] = field(default_factory=dict)
    """Account → the queue its new conversations wait in."""
    queue_default: str = "default"
    close_after_resolved_ms: int = 3 * DAY_MS
    attempts_max: int = 8
    """Attempts of one delivery before it is a dead letter."""
    backoff_ms: int = 2_000
    """Before the second attempt; doubles with each one."""
    backoff_max_ms: int = 600_000
    once_keys_ms: int = 30 * DAY_MS
    """How long a repeat of an input is recognised."""
    handoffs: Handoffs = field(default_factory=Handoffs)
    context: ContextRules = field(default_factory=ContextRules)

    def channel(self, channel: str) -> ChannelRules:
        """The channel's rules; one nobody wrote rules for has the defaults."""
        return self.channels.get(channel, _DEFAULT)

    def retry_at_ms(self, attempt: int, now_ms: int) -> int:
        """When the attempt after `attempt` is due: exponential back-off. One conversation sends one message at a time
        per channel, so there is no herd for jitter to spread."""
        return now_ms + min(self.backoff_ms << min(attempt - 1, 30), self.backoff_max_ms)


_DEFAULT = ChannelRules()

IDENTITY_KINDS = {"email": "mailto", "sms": "tel", "phone": "tel"}
"""Channels whose addresses have another name than the channel itself."""


def identity_kind(channel: str) -> str:
    """The kind of identity a channel reaches people by."""
    return IDENTITY_KINDS.get(channel, channel)
