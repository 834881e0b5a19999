"""The settings file: read once, checked, and what is wrong with it said by field and with what to write."""

import base64
import os
import re
import tomllib
from ipaddress import ip_network
from pathlib import Path
from typing import Any, get_args

import msgspec
import phonenumbers

from orchestrator.settings.addresses import is_loopback
from orchestrator.settings.meant import meant
from orchestrator.settings.sections import (
    DEMO_TOKEN,
    Durability,
    LogLevel,
    Placement,
    RelayTls,
    Settings,
    SettingsError,
    Store,
    TwilioAccount,
    Uncertain,
    WebhookEndpoint,
)
from protocol.events import EVENT_TYPES
from protocol.faults import fault_and_path

FILE_DEFAULT = "throughline.toml"
_FROM_ENVIRONMENT = ("DATA", "CELLS", "DURABILITY", "LOG_LEVEL", "PLACEMENT", "HTTP_HOST", "HTTP_PORT")
_SIGNING = "write whsec_ and the Base64 of 24 to 64 random bytes, such as: echo whsec_$(openssl rand -base64 32)"

_HINTS = {
    "store": f"write one of {', '.join(get_args(Store))}",
    "durability": f"write one of {', '.join(get_args(Durability))}",
    "placement": f"write one of {', '.join(get_args(Placement))}",
    "log_level": f"write one of {', '.join(get_args(LogLevel))}",
    "accounts.relay_tls": f"write one of {', '.join(get_args(RelayTls))}",
    "policy.uncertain": f"write one of {', '.join(get_args(Uncertain))} for each channel",
    "accounts.name": "a name has 1 to 64 letters and digits of ASCII, `-` and `_`, and begins with none of the two",
    "accounts.address": "write a mail address, such as support@example.org",
    "accounts.kind": "write one of email, twilio, gateway",
    "webhooks.secret": _SIGNING,
    "webhooks.secret_before": _SIGNING,
    "webhooks.url": "write an address such as https://crm.example.org/throughline",
}
"""What to write, by a field's path without its indexes, where the type's own message does not say it."""


def load(path: Path | None = None, environ: dict[str, str] | None = None) -> Settings:
    """Reads `path` (default: `throughline.toml` where there is one), then `THROUGHLINE_*` variables over it.

    `THROUGHLINE_DATA`, `_CELLS`, `_DURABILITY`, `_LOG_LEVEL`, `_PLACEMENT`, `_HTTP_HOST` and `_HTTP_PORT` are known.
    Raises `SettingsError`.
    """
    environ = dict(os.environ) if environ is None else environ
    raw = _read(path)
    for name in ("data", "durability", "log_level", "placement"):
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
    try:
        return parse(raw)
    except SettingsError as exc:
        file = path or Path(FILE_DEFAULT)
        origins = [str(file)] if file.exists() else []
        # One that stayed in the shell since another run is in no file that anybody would look into.
        origins += sorted(f"THROUGHLINE_{name}" for name in _FROM_ENVIRONMENT if environ.get(f"THROUGHLINE_{name}"))
        raise SettingsError(f"{exc} (read from {', '.join(origins)})" if origins else str(exc)) from exc


def parse(raw: dict[str, Any]) -> Settings:
    """Checks what a settings file says. Raises `SettingsError` that names the field."""
    try:
        settings = msgspec.convert(raw, Settings)
    except msgspec.ValidationError as exc:
        raise SettingsError(_fault(str(exc))) from exc
    names = [account.name for account in settings.accounts]
    if twice := {name for name in names if names.count(name) > 1}:
        raise SettingsError(f"settings: account names must be unique; {sorted(twice)} stand twice")
    _check_proxies(settings.http.proxies)
    _check_webhooks(settings.webhooks)
    check_demo(settings)
    if settings.region not in phonenumbers.SUPPORTED_REGIONS:
        raise SettingsError(
            f"settings: region is {settings.region[:16]!r}; write an ISO 3166 country code in capitals, such as GB"
        )
    return settings


def check_demo(settings: Settings) -> None:
    """That nobody but this machine reaches a webhook whose token is in the source. Raises `SettingsError`."""
    host = settings.http.host
    lines = [account for account in settings.accounts if isinstance(account, TwilioAccount)]
    known = [account.name for account in lines if account.auth_token == DEMO_TOKEN]
    if known and not is_loopback(host):
        raise SettingsError(
            f"settings: http.host is {host[:64]!r}, where others reach it, and account {known[0]!r} has the demo's "
            "auth_token, which everybody knows: write accounts of your own, or accounts = [] for none"
        )


def _check_proxies(proxies: list[str]) -> None:
    for proxy in proxies:
        try:
            ip_network(proxy, strict=False)
        except ValueError as exc:
            raise SettingsError(
                f"settings: http.proxies: {proxy[:64]!r} is no address and no network; write 10.0.0.2 or 10.0.0.0/24"
            ) from exc


def _check_webhooks(endpoints: list[WebhookEndpoint]) -> None:
    names = [endpoint.name for endpoint in endpoints]
    if twice := {name for name in names if names.count(name) > 1}:
        raise SettingsError(f"settings: webhooks' names must be unique; {sorted(twice)} stand twice")
    # Each names a file, and macOS takes `Crm.json` and `crm.json` for the same one.
    folded = [name.lower() for name in names]
    if alike := sorted(name for name in names if folded.count(name.lower()) > 1):
        raise SettingsError(f"settings: webhooks' names must differ by more than their capitals; {alike} do not")
    for endpoint in endpoints:
        for field in ("secret", "secret_before"):
            try:
                base64.b64decode(getattr(endpoint, field).removeprefix("whsec_"), validate=True)
            except ValueError as exc:
                raise SettingsError(f"settings: webhook {endpoint.name!r}: {field}: {_SIGNING}") from exc
        if unknown := sorted(set(endpoint.types) - EVENT_TYPES):
            raise SettingsError(
                f"settings: webhook {endpoint.name!r}: types: there is no event {unknown[0]!r}; see docs/protocol.md"
            )


def _fault(text: str) -> str:
    """msgspec's message with the field first, and with what to write."""
    fault, path = fault_and_path(text)
    place = re.sub(r"\[[^]]*\]", "", path)
    hint = _HINTS.get(place) or meant(fault, place, Settings)
    return f"settings: {path + ': ' if path else ''}{fault}{'; ' + hint if hint else ''}"


def _read(path: Path | None) -> dict[str, Any]:
    if path is None:
        path = Path(FILE_DEFAULT)
        if not path.exists():
            return {}
    try:
        # Some editors begin a file with a mark of UTF-8, which TOML does not know.
        return dict(tomllib.loads(path.read_text(encoding="utf-8-sig")))
    except FileNotFoundError as exc:
        raise SettingsError(f"settings: there is no file {path}") from exc
    except OSError as exc:
        raise SettingsError(f"settings: {path} cannot be read: {exc.strerror}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise SettingsError(f"settings: {path} is not TOML: {exc}") from exc


def _number(name: str, value: str) -> int:
    try:
        return int(value)
    except ValueError as exc:
        raise SettingsError(f"settings: {name} must be a whole number, not {value!r}") from exc
