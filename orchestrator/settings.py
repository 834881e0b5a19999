"""Settings: what an operator sets once, in `throughline.toml`; read at start, then handed out value by value.

Business rules are not here: they are the policy, which owners edit live.
"""

import os
import tomllib
from pathlib import Path

import msgspec
from msgspec import Struct, field

from protocol.errors import ThroughlineError

FILE_DEFAULT = "throughline.toml"


class SettingsError(ThroughlineError):
    """The settings file or an environment variable is wrong; the message names the field and what to write."""


class EmailAccount(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, tag="email", tag_field="kind"):
    """A mailbox: mails come in by SMTP on `listen`, replies go out by the relay at `relay`."""

    name: str
    address: str
    listen: str = "127.0.0.1:7125"
    relay: str = "127.0.0.1:7126"
    relay_user: str = ""
    relay_password: str = ""
    relay_tls: str = "none"
    """`none`, `starttls` or `tls`."""
    trusted: bool = False
    queue: str = "default"
    message_bytes_max: int = 10 * 1024 * 1024


class TwilioAccount(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, tag="twilio", tag_field="kind"):
    """A Twilio number: SMS come in at `/webhooks/<name>`, replies go out by the REST API at `api`."""

    name: str
    number: str
    account_sid: str
    auth_token: str
    api: str = "https://api.twilio.com"
    public_url: str = ""
    """The address Twilio calls, such as https://support.example.org; signatures cover it. Empty: the request's own."""
    trusted: bool = False
    queue: str = "default"


class GatewayAccount(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, tag="gateway", tag_field="kind"):
    """A line served by a gateway client, which pushes events in and takes deliveries out."""

    name: str
    channel: str = "chat"
    trusted: bool = False
    """Whether several identities in one event of it are linked: only where the client has checked them."""
    queue: str = "default"


Account = EmailAccount | TwilioAccount | GatewayAccount


class Http(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The one port."""

    host: str = "127.0.0.1"
    port: int = 7100
    origins: list[str] = []
    """Browser origins that may connect, beside the server's own."""
    connections_max: int = 10_000
    body_bytes_max: int = 1024 * 1024
    frame_bytes_max: int = 1024 * 1024
    header_bytes_max: int = 16 * 1024


class Limits(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Bounds; each says what happens at it in `docs/operations.md`."""

    agent_queue_bytes: int = 256 * 1024
    """Unsent updates of one agent; over it they are dropped and the agent gets `resync`."""
    gateway_credits: int = 4096
    """Unanswered events of one gateway client."""
    watches_max: int = 10_000
    inputs_waiting_max: int = 50_000
    """Inputs a gateway holds unanswered; over it new ones wait, then are refused as `OVERLOADED`."""
    live_journeys_max: int = 250_000
    """Live journeys of one cell; over it the idlest are passivated."""
    passivate_after_s: float = 900.0
    archive_lag_max: int = 100_000
    """Events the archive may be behind; over it commits wait."""
    events_ahead_s: float = 3600.0
    """How far in the future an event's time may lie."""
    events_behind_days: float = 3650.0
    drain_s: float = 5.0


class PolicySettings(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The first policy: a few values, until bundles come."""

    close_after_resolved_s: float = 3 * 86400.0
    rest_after_s: dict[str, float] = field(
        default_factory=lambda: {"chat": 1800.0, "email": 7 * 86400.0, "sms": 86400.0}
    )
    uncertain: dict[str, str] = field(
        default_factory=lambda: {"email": "retry", "sms": "hold", "chat": "retry"}
    )
    """What happens to an uncertain send, per channel: `retry` under the same idempotency key, or `hold` for a person."""
    attempts_max: int = 8
    backoff_s: float = 2.0
    backoff_max_s: float = 600.0
    once_keys_days: float = 30.0


class Settings(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """All of it. Every value has a default that serves one machine."""

    data: str = "./data"
    store: str = "sqlite"
    durability: str = "full"
    """`full`: synced before the ack. `process`: survives the server's death, not the machine's."""
    cells: int = 0
    """0: one for every two cores."""
    region: str = "GB"
    """ISO 3166 region of phone numbers written without a country."""
    http: Http = Http()
    limits: Limits = Limits()
    policy: PolicySettings = field(default_factory=PolicySettings)
    retention_days: float = 0.0
    """Closed conversations, quarantine and sent outbox rows older than this leave the archive. 0: kept."""
    log_level: str = "info"
    accounts: list[Account] = field(default_factory=lambda: list(DEMO_ACCOUNTS))


DEMO_ACCOUNTS: tuple[Account, ...] = (
    EmailAccount(name="mail", address="support@throughline.example"),
    TwilioAccount(
        name="sms",
        number="+447700900000",
        account_sid="ACdemo00000000000000000000000000demo",
        auth_token="demo-auth-token",  # noqa: S106 - it opens nothing: the demo plays Twilio on loopback
        api="http://127.0.0.1:7127",
    ),
    GatewayAccount(name="chat", channel="chat", trusted=True),
)
"""What a server without settings has: loopback accounts that `throughline demo` plays both ends of."""


def load(path: Path | None = None, environ: dict[str, str] | None = None) -> Settings:
    """Reads `path` (default: `throughline.toml` where there is one), then `THROUGHLINE_*` variables over it.

    `THROUGHLINE_DATA`, `_CELLS`, `_DURABILITY`, `_LOG_LEVEL`, `_HTTP_HOST` and `_HTTP_PORT` are known.
    Raises `SettingsError`.
    """
    environ = dict(os.environ) if environ is None else environ
    raw = _read(path)
    for name in ("data", "durability", "log_level"):
        if value := environ.get(f"THROUGHLINE_{name.upper()}"):
            raw[name] = value
    if value := environ.get("THROUGHLINE_CELLS"):
        raw["cells"] = _number("THROUGHLINE_CELLS", value)
    http: dict[str, object] = {}
    if value := environ.get("THROUGHLINE_HTTP_HOST"):
        http["host"] = value
    if value := environ.get("THROUGHLINE_HTTP_PORT"):
        http["port"] = _number("THROUGHLINE_HTTP_PORT", value)
    if http:
        in_file = raw.get("http", {})
        raw["http"] = {**in_file, **http} if isinstance(in_file, dict) else in_file
    return parse(raw)


def parse(raw: dict[str, object]) -> Settings:
    """Checks what a settings file says. Raises `SettingsError` that names the field."""
    try:
        settings = msgspec.convert(raw, Settings)
    except msgspec.ValidationError as exc:
        raise SettingsError(f"settings: {exc}") from exc
    names = [account.name for account in settings.accounts]
    if twice := {name for name in names if names.count(name) > 1}:
        raise SettingsError(f"settings: account names must be unique; {sorted(twice)} stand twice")
    for known, field_name, value in (
        (("sqlite", "memory"), "store", settings.store),
        (("full", "process"), "durability", settings.durability),
    ):
        if value not in known:
            raise SettingsError(f"settings: {field_name} is {value!r}; write one of {', '.join(known)}")
    return settings


def _read(path: Path | None) -> dict[str, object]:
    if path is None:
        path = Path(FILE_DEFAULT)
        if not path.exists():
            return {}
    try:
        return dict(tomllib.loads(path.read_text()))
    except FileNotFoundError as exc:
        raise SettingsError(f"settings: there is no file {path}") from exc
    except tomllib.TOMLDecodeError as exc:
        raise SettingsError(f"settings: {path} is not TOML: {exc}") from exc


def _number(name: str, value: str) -> int:
    try:
        return int(value)
    except ValueError as exc:
        raise SettingsError(f"settings: {name} must be a whole number, not {value!r}") from exc
