"""The policy: what business owners decide, as the value that decisions get. Times are milliseconds.

A bundle's folder has a file for each field that is a struct or a dictionary (`channels.yaml`), and `general.yaml` for
all the others. Reading it is `orchestrator/bundles/`'s, which knows no field by name.

Rules of a subject say what is wrong with them in one of two ways, and both are told with file and line: a struct's
`__post_init__` raises `ValueError` for what it can see by itself; a method `faults(policy)` of the subject's struct
yields (keys, what to write instead) for what names another subject's rules.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from actors.rules.capture import CaptureRules
from actors.rules.context import ContextRules
from actors.rules.correlation import NO_RULES, CorrelationRules
from actors.rules.handoffs import Handoffs
from actors.rules.identity import IdentityRules
from actors.rules.names import Name, Word
from actors.rules.report import ReportRules
from actors.rules.retention import RetentionRules
from actors.rules.taxonomy import NO_TAXONOMY, Taxonomy
from protocol.inbound import TEXT_MAX

DAY_MS = 86_400_000
PAUSE_FIRST_MS = 100
PAUSE_MS = 1_000
"""The least before the second attempt of a delivery, which doubles too, and the least in the long run: whatever the
settings say, or a version that was applied before anyone looked at this, a line that fails is not hammered."""

PINNED = "pinned"

Count = Annotated[int, Meta(ge=1, le=1000)]


class ChannelRules(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """How one channel behaves."""

    account: str = ""
    """The account replies go out by where the conversation has had no contact on this channel yet."""
    rest_after_ms: int = DAY_MS
    """A contact that was silent this long is over: the next word begins another."""
    end_in_time: bool = False
    """Whether such a contact is ended when that time has passed; else its end is noted when the next one begins."""
    uncertain: Literal["retry", "hold"] = "hold"
    """What happens to a send of unknown outcome: `retry` under the same idempotency key, or `hold` for a person."""
    text_max: Annotated[int, Meta(ge=1, le=TEXT_MAX)] | None = None
    """Characters, as `protocol.lengths` counts, that a message of ours may have there; None: as many as the account's
    provider takes, where that is known."""


class AccountRules(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A line served by a gateway client, which pushes events in and takes deliveries out. Mailboxes and Twilio's
    numbers need secrets, and stand in the settings."""

    channel: Word
    queue: Word | None = None
    """Where its new conversations wait; none: as `queues` say, else in the default queue."""
    trusted: bool = False
    """Whether several identities in one event of it are linked: only where the client has checked them."""

    def __post_init__(self) -> None:
        """Raises `ValueError` for a channel that no address could be of."""
        if ":" in self.channel:
            raise ValueError(f"channel: {self.channel!r} has a colon in it, which parts a kind of address from it")


class Policy(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One version of all rules."""

    version: int = 1
    earlier: "dict[int, Policy]" = field(default_factory=dict)
    """Where live conversations stay with the version they were opened under: those that are still known."""
    channel_of: dict[Name, Word] | None = None
    """Account → channel, of all accounts that there are: the settings' and this version's. The settings may change
    under it, so it is no part of a version: whoever decides by one puts it there. None: nobody said."""
    former: dict[Name, frozenset[Word]] = field(default_factory=dict)
    """Account → the channels that it was a line of under earlier versions, as far as they are known, and is not under
    this one (see `accounts.former_channels`): nothing for those leaves by it. No part of a version, as `channel_of`
    is."""
    provider_max: dict[Name, int] = field(default_factory=dict)
    """Account → the characters that its provider takes in one message, of those of the settings for which that is
    known. No part of a version."""
    live_conversations: Literal["follow", "pinned"] = "follow"
    """What a new version means to conversations that are open: they `follow` it, or each stays `pinned` to its own."""
    channels: dict[Word, ChannelRules] = field(default_factory=dict)
    accounts: dict[Name, AccountRules] = field(default_factory=dict)
    """Accounts of gateway clients, beside those of the settings."""
    queues: dict[Name, Word] = field(default_factory=dict)
    """Account → the queue its new conversations wait in."""
    queue_default: Word = "default"
    close_after_resolved_ms: int = 3 * DAY_MS
    attempts_max: Count = 16
    """Attempts of one delivery before it is a dead letter. With the waits below they take 77 minutes: a relay that
    greylists, a line's program that is being renewed, and an outage of an hour end before."""
    backoff_ms: int = 2_000
    """Before the second attempt; doubles with each one."""
    backoff_max_ms: int = 600_000
    line_wait_ms: Annotated[int, Meta(ge=0)] = 77 * 60_000
    """How long a delivery waits for a client of its account to connect, before it is a dead letter; as long as the
    attempts take where one is connected and fails. What waits so uses up none of them."""
    once_keys_ms: int = 30 * DAY_MS
    """How long a repeat of an input is recognised, whatever `retention` drops meanwhile."""
    handoffs: Handoffs = field(default_factory=Handoffs)
    context: ContextRules = field(default_factory=ContextRules)
    identity: IdentityRules = field(default_factory=IdentityRules)
    """How people are recognised: links, matches, shared identities."""
    capture: CaptureRules = CaptureRules()
    """What each channel's contacts must bring."""
    taxonomy: Taxonomy = NO_TAXONOMY
    correlation: CorrelationRules = NO_RULES
    retention: RetentionRules = RetentionRules()
    """How long what is over is kept. The newest version's, also of conversations that are pinned to an earlier one."""
    report: ReportRules = field(default_factory=ReportRules)
    """When lost context is reported, and what of it stands out."""

    def at(self, version: int, channel: str = "") -> "Policy":
        """The rules that hold for what was begun under `version`; for what happens on a channel that came later than
        that, these. Those of the newest version are this very object, so that whoever holds it need not ask twice."""
        if not self.earlier or version == self.version:
            return self
        begun = self.earlier.get(version, self)
        return self if channel in self.channels and channel not in begun.channels else begun

    def channel(self, channel: str) -> ChannelRules:
        """The channel's rules; one nobody wrote rules for has the defaults."""
        return self.channels.get(channel, _DEFAULT)

    def has_account(self, account: str) -> bool:
        """Whether there is such an account, as far as anyone said."""
        return self.channel_of is None or account in self.channel_of

    def moved(self, account: str, channel: str) -> bool:
        """Whether the account was a line of this channel, and is one of another by now."""
        return channel in self.former.get(account, ()) and self.has_account(account)

    def text_max(self, account: str, channel: str) -> int:
        """How many characters a message may have that leaves so; 0: nobody said."""
        by_provider = self.provider_max.get(account, 0) if account not in self.accounts else 0
        by_rule = self.channel(channel).text_max or 0
        return min(by_provider, by_rule) or by_provider or by_rule

    def accounts_of(self, channel: str) -> list[str]:
        """The channel's accounts, in the order of their names."""
        return sorted(name for name, of in (self.channel_of or {}).items() if of == channel)

    def retry_at_ms(self, attempt: int, now_ms: int) -> int:
        """When the attempt after `attempt` is due: exponential back-off. One conversation sends one message at a time
        per channel, so there is no herd for jitter to spread."""
        doubled = min(attempt - 1, 30)
        least_ms = min(PAUSE_FIRST_MS << doubled, PAUSE_MS)
        return now_ms + max(min(self.backoff_ms << doubled, self.backoff_max_ms), least_ms)


_DEFAULT = ChannelRules()

IDENTITY_KINDS = {"email": "mailto", "sms": "tel", "phone": "tel"}
"""Channels whose addresses have another name than the channel itself."""


def identity_kind(channel: str) -> str:
    """The kind of identity a channel reaches people by."""
    return IDENTITY_KINDS.get(channel, channel.lower())
