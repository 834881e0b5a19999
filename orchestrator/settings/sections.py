"""The sections of the settings file, with their bounds and defaults."""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from actors.rules.names import Name, Word
from protocol.errors import ThroughlineError
from protocol.shards import SHARDS

SECONDS_MAX = 10 * 365 * 86_400.0
"""Ten years: longer than anything is waited for, and far inside what a clock counts in milliseconds."""
BYTES_MAX = 1024**3
"""More than one message, queue or header may take of a machine."""

Store = Literal["sqlite", "memory"]
Durability = Literal["full", "process"]
Placement = Literal["pooled", "dedicated"]
LogLevel = Literal["debug", "info", "warning", "error"]
RelayTls = Literal["none", "starttls", "tls"]
Uncertain = Literal["retry", "hold"]
Port = Annotated[int, Meta(ge=0, le=65_535)]
Count = Annotated[int, Meta(ge=1, le=10_000_000)]
Bytes = Annotated[int, Meta(ge=1024, le=BYTES_MAX)]
Memory = Annotated[int, Meta(ge=1024 * 1024, le=1024**4)]
"""Of a process: from what one must have to what no machine has."""
Seconds = Annotated[float, Meta(ge=0, le=SECONDS_MAX)]
Days = Annotated[float, Meta(ge=0, le=36_500)]


class SettingsError(ThroughlineError):
    """The settings file or an environment variable is wrong; the message names the field and what to write."""


class EmailAccount(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, tag="email", tag_field="kind"):
    """A mailbox: mails come in by SMTP on `listen`, replies go out by the relay at `relay`."""

    name: Name
    address: Annotated[str, Meta(pattern=r"^[^@\s]+@[^@\s]+\Z", max_length=320)]
    listen: str = "127.0.0.1:7125"
    relay: str = "127.0.0.1:7126"
    relay_user: str = ""
    relay_password: str = ""
    relay_tls: RelayTls = "none"
    trusted: bool = False
    queue: Word = "default"
    message_bytes_max: Bytes = 10 * 1024 * 1024


class TwilioAccount(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, tag="twilio", tag_field="kind"):
    """A Twilio number: SMS come in at `/webhooks/<name>`, replies go out by the REST API at `api`."""

    name: Name
    number: Word
    account_sid: Annotated[str, Meta(min_length=1)]
    auth_token: Annotated[str, Meta(min_length=1)]
    """Empty it would sign whatever anybody writes."""
    api: str = "https://api.twilio.com"
    public_url: str = ""
    """The address Twilio calls, such as https://support.example.org; signatures cover it. Empty: the request's own."""
    trusted: bool = False
    queue: Word = "default"


class GatewayAccount(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, tag="gateway", tag_field="kind"):
    """A line served by a gateway client, which pushes events in and takes deliveries out."""

    name: Name
    channel: Word = "chat"
    trusted: bool = False
    """Whether several identities in one event of it are linked: only where the client has checked them."""
    queue: Word = "default"


Account = EmailAccount | TwilioAccount | GatewayAccount


RETRIES_S = (5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
"""The schedule that Standard Webhooks gives as an example: 5 seconds, 5 and 30 minutes, 2, 5, 10, 14, 20, 24 hours."""


class WebhookEndpoint(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Where committed events are sent to, one signed POST each (Standard Webhooks)."""

    name: Name
    """Names the file that keeps how far it is."""
    url: Annotated[str, Meta(pattern=r"^https?://[^\s/]+(/\S*)?\Z", max_length=2048)]
    secret: Annotated[str, Meta(pattern=r"^whsec_[A-Za-z0-9+/]{32,88}={0,2}\Z")]
    """`whsec_` and the Base64 of 24 to 64 random bytes, which the receiver has too."""
    secret_before: Annotated[str, Meta(pattern=r"^(whsec_[A-Za-z0-9+/]{32,88}={0,2})?\Z")] = ""
    """The one before, while the receiver may still have that: each event is signed by both. Empty: none."""
    types: list[Word] = []
    """Events' types, such as `ConversationClosed`; empty: all."""
    retry_s: Annotated[tuple[Seconds, ...], Meta(min_length=1, max_length=64)] = RETRIES_S
    """Waits before the next attempt, each after one more failure; the last is repeated."""
    disabled_after_days: Annotated[float, Meta(gt=0, le=365)] = 5.0
    """An endpoint that has failed for so long is disabled, until somebody enables it."""


class Http(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The one port."""

    host: str = "127.0.0.1"
    port: Port = 7100
    """0: any free one."""
    origins: list[str] = []
    """Browser origins that may connect, beside the server's own."""
    connections_max: Count = 10_000
    strangers_per_address: Annotated[int, Meta(ge=0, le=10_000_000)] = 1000
    """Connections of one address whose clients have shown no token; 0: any number."""
    proxies: list[str] = []
    """Addresses and networks that are not counted by it: each bounds those whose requests it passes on."""
    body_bytes_max: Bytes = 1024 * 1024
    frame_bytes_max: Bytes = 1024 * 1024
    header_bytes_max: Bytes = 16 * 1024


class Limits(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Bounds; each says what happens at it in `docs/operations.md`."""

    agent_queue_bytes: Bytes = 256 * 1024
    """Unsent updates of one agent; over it they are dropped and the agent gets `resync`."""
    gateway_credits: Count = 4096
    """Unanswered events of one gateway client."""
    watches_max: Count = 10_000
    inputs_waiting_max: Count = 50_000
    """Inputs a gateway holds unanswered; over it new ones wait, then are refused as `OVERLOADED`."""
    live_journeys_max: Count = 250_000
    """Live journeys of one cell; over it the idlest are passivated."""
    live_bytes_max: Memory = 512 * 1024 * 1024
    """Memory of one cell's live journeys, by estimate; over it the idlest are passivated."""
    passivate_after_s: Seconds = 900.0
    dedicated_max: Annotated[int, Meta(ge=1, le=1000)] = 16
    """Dedicated placement: customers that are live at once, each in a process; over it the idlest is passivated."""
    dedicated_warm: Annotated[int, Meta(ge=1, le=1000)] = 2
    """Dedicated placement: processes kept ready for the next customers."""
    archive_lag_max: Count = 200_000
    """Events the archive may be behind; over it commits wait."""
    events_ahead_s: Seconds = 3600.0
    """How far in the future an event's time may lie."""
    events_behind_days: Days = 3650.0
    drain_s: Annotated[float, Meta(ge=0, le=3600)] = 5.0
    hang_s: Annotated[float, Meta(ge=0, le=86400)] = 60.0
    """A process that lives and has not answered for so long is ended and started again; 0: it is only named."""


class PolicySettings(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The first policy: a few values, until bundles come."""

    close_after_resolved_s: Seconds = 3 * 86400.0
    rest_after_s: dict[Word, Seconds] = field(
        default_factory=lambda: {"chat": 1800.0, "email": 7 * 86400.0, "sms": 86400.0}
    )
    uncertain: dict[Word, Uncertain] = field(default_factory=lambda: {"email": "retry", "sms": "hold", "chat": "retry"})
    """What happens to an uncertain send, by channel: `retry` under the same idempotency key, or `hold` for a person."""
    attempts_max: Annotated[int, Meta(ge=1, le=1000)] = 16
    backoff_s: Seconds = 2.0
    backoff_max_s: Seconds = 600.0
    line_wait_s: Seconds = 4620.0
    once_keys_days: Days = 30.0


class Settings(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """All of it. Every value has a default that serves one machine."""

    data: Annotated[str, Meta(min_length=1)] = "./data"
    store: Store = "sqlite"
    durability: Durability = "full"
    """`full`: synced before the ack. `process`: survives the server's death, not the machine's."""
    cells: Annotated[int, Meta(ge=0, le=SHARDS)] = 0
    """0: one for every two cores."""
    placement: Placement = "pooled"
    """`pooled`: a cell, one Ray actor, hosts many customers. `dedicated`: each live customer has a Ray actor."""
    region: str = "GB"
    """ISO 3166 region of phone numbers written without a country."""
    http: Http = Http()
    limits: Limits = Limits()
    policy: PolicySettings = field(default_factory=PolicySettings)
    policy_folder: str = ""
    """A bundle's folder: applied as the server starts and whenever its files change. Empty: none is watched."""
    retention_days: Days = 0.0
    """Closed conversations, quarantine and sent outbox rows older than this leave the archive. 0: kept."""
    log_level: LogLevel = "info"
    accounts: list[Account] = field(default_factory=lambda: list(DEMO_ACCOUNTS))
    webhooks: list[WebhookEndpoint] = []


DEMO_TOKEN = "demo-auth-token"  # noqa: S105 - everybody knows it; the demo plays Twilio on loopback
DEMO_ACCOUNTS: tuple[Account, ...] = (
    EmailAccount(name="mail", address="support@throughline.example"),
    TwilioAccount(
        name="sms",
        number="+447700900000",
        account_sid="ACdemo00000000000000000000000000demo",
        auth_token=DEMO_TOKEN,
        api="http://127.0.0.1:7127",
    ),
    GatewayAccount(name="chat", channel="chat", trusted=True),
)
"""What a server without settings has: loopback accounts that `throughline demo` plays both ends of. Where others reach
its port they are refused (`file.parse`): whoever knows the token writes webhooks in any customer's name."""
