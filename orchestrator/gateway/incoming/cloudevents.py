"""CloudEvents 1.0 over HTTP: structured, binary and batched requests to events, and events to `InboundEvent`. Pure.

Two steps, because they fail differently. *Reading* a request finds an envelope: where an attribute is missing or not of
its form, the sender has not spoken CloudEvents, and gets an error that names the attribute. *Translating* finds out
what an event says: where its `data` does not fit its `type`, the event is whole and goes to quarantine.

    attribute     becomes
    id, source    `id`, `source`: with the account they name the event
    type          the tag of `protocol.inbound.Data`
    time          `time_ms`; RFC 3339; the arrival's where it is missing
    account       `account` (extension); the token's only one where it is missing
    channel       `channel` (extension); the account's where it is missing
    identities    `identities` (extension): `kind:value`, separated by commas; structured JSON may use a list
    others        `raw`

Sources: CloudEvents 1.0.2 core, JSON format and HTTP protocol binding (https://github.com/cloudevents/spec).
"""

import base64
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec
from msgspec import Struct

from protocol.errors import Code, Refusal
from protocol.faults import check_event, invalid_event, json_fault
from protocol.inbound import InboundEvent

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
BATCH_MAX = 1000
"""Events of one batch; the body's own limit is usually met before."""
ATTRIBUTES_MAX = 64
ATTRIBUTE_LENGTH_MAX = 4096

_NAME = re.compile(r"[a-z0-9]{1,64}", re.ASCII)
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d):(\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_JSON_TYPE = re.compile(r"[a-z]+/([a-z0-9.-]+\+)?json", re.ASCII)
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_OWN = frozenset({"specversion", "id", "source", "type", "time", "account", "channel", "identities", "datacontenttype"})
_BEYOND_ASCII = "what is not ASCII has each byte of its UTF-8 as %XX in a header; or send the event in structured mode"
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class CloudEvent(Struct, kw_only=True, frozen=True):
    """One event's envelope, in order. `attributes` are all but `data`; `data` is what JSON gave, or bytes that are not
    JSON."""

    id: str
    source: str
    type: str
    time_ms: int | None
    identities: list[str]
    attributes: dict[str, Any]
    data: Any = None

    def attribute(self, name: str, default: str = "") -> str:
        """A string attribute; `default` where it is missing."""
        return str(self.attributes.get(name) or default)

    def kept(self) -> bytes:
        """The event in structured form, for quarantine."""
        body = dict(self.attributes)
        if isinstance(self.data, bytes):
            body["data_base64"] = base64.b64encode(self.data).decode()
        elif self.data is not None:
            body["data"] = self.data
        return msgspec.json.encode(body)


# Reading


def read_structured(body: bytes) -> CloudEvent:
    """One event in the JSON format. Raises `Refusal`: `MALFORMED` or `TOO_LARGE` of the body, `INVALID` of an
    attribute."""
    return _from_json(_json(body, "the body"))


def read_batch(body: bytes) -> list[CloudEvent | Refusal]:
    """A batch in the JSON format: an event or its refusal for each. Raises `Refusal` where it is no array of at most
    `BATCH_MAX`."""
    items = _json(body, "the body")
    if not isinstance(items, list):
        raise Refusal(Code.MALFORMED, "a batch is a JSON array of events")
    if len(items) > BATCH_MAX:
        raise Refusal(Code.TOO_LARGE, f"a batch has at most {BATCH_MAX} events; this one has {len(items)}")
    return [_or_refusal(item) for item in items]


def read_binary(headers: Iterable[tuple[str, str]], body: bytes) -> CloudEvent:
    """One event in binary mode: attributes are headers that begin with `ce-`, the body is the data.

    `headers` have lower-case names and values decoded as Latin-1. Raises `Refusal` (`INVALID`) naming the attribute.
    """
    attributes: dict[str, Any] = {}
    for name, value in headers:
        if name.startswith("ce-"):
            attributes[name.removeprefix("ce-")] = _header_value(name, value)
        elif name == "content-type":
            attributes["datacontenttype"] = value
    if "specversion" not in attributes:
        message = f"send {STRUCTURED}, {BATCH}, or the attributes as ce-* headers: ce-specversion is missing"
        raise _invalid("specversion", message)
    event = _envelope(attributes)
    return msgspec.structs.replace(event, data=_content(body, str(attributes.get("datacontenttype", ""))))


def _or_refusal(item: Any) -> CloudEvent | Refusal:
    try:
        return _from_json(item)
    except Refusal as refusal:
        ref = item.get("id") if isinstance(item, dict) else None
        return Refusal(refusal.code, refusal.message, ref=ref if isinstance(ref, str) else "", field=refusal.field)


def _from_json(item: Any) -> CloudEvent:
    if not isinstance(item, dict):
        raise Refusal(Code.MALFORMED, "an event is a JSON object")
    # JSON format §2.2: an attribute that is null is an attribute that is not there.
    attributes = {name: value for name, value in item.items() if value is not None}
    data = attributes.pop("data", None)
    encoded = attributes.pop("data_base64", None)
    event = _envelope(attributes)
    if encoded is None:
        return msgspec.structs.replace(event, data=data)
    if data is not None:
        raise _invalid("data_base64", "data and data_base64 exclude each other", ref=event.id)
    if not isinstance(encoded, str):
        raise _invalid("data_base64", "data_base64 must be a string", ref=event.id)
    try:
        content = base64.b64decode(encoded, validate=True)
    except ValueError as exc:  # `binascii.Error` is one; letters beyond ASCII are another.
        raise _invalid("data_base64", "data_base64 is not Base64 (RFC 4648)", ref=event.id) from exc
    return msgspec.structs.replace(event, data=_content(content, event.attribute("datacontenttype")))


def _envelope(attributes: dict[str, Any]) -> CloudEvent:
    if len(attributes) > ATTRIBUTES_MAX:
        raise Refusal(Code.TOO_LARGE, f"an event has at most {ATTRIBUTES_MAX} attributes")
    for name, value in attributes.items():
        _check_attribute(name, value)
    if (version := attributes.get("specversion")) != "1.0":
        shown = "missing" if version is None else "another"
        raise _invalid("specversion", f"specversion must be 1.0; it is {shown}")
    for name in ("id", "source", "type"):
        if not isinstance(attributes.get(name), str) or not attributes[name]:
            raise _invalid(name, f"{name} must be a string that is not empty")
    ref = attributes["id"]
    time = attributes.get("time")
    return CloudEvent(
        id=ref,
        source=attributes["source"],
        type=attributes["type"],
        time_ms=None if time is None else read_time(time, ref=ref),
        identities=_identities(attributes.get("identities", ""), ref),
        attributes=attributes,
    )


def _check_attribute(name: str, value: Any) -> None:
    if not _NAME.fullmatch(name):
        raise _invalid("", "an attribute's name has lower-case letters and digits only (CloudEvents §3.1)")
    if name == "identities" and isinstance(value, list):
        return
    if not isinstance(value, str | int):
        raise _invalid(name, f"{name} must be a string, a whole number or a boolean")
    if isinstance(value, str) and len(value) > ATTRIBUTE_LENGTH_MAX:
        raise _invalid(name, f"{name} has {len(value)} characters; {ATTRIBUTE_LENGTH_MAX} are allowed")


def _identities(value: Any, ref: str) -> list[str]:
    if isinstance(value, str):
        return [one.strip() for one in value.split(",") if one.strip()]
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return value
    raise _invalid("identities", "identities must be a string of kind:value, separated by commas", ref=ref)


def read_time(text: Any, *, ref: str = "") -> int:
    """RFC 3339 to milliseconds since 1970 UTC. Raises `Refusal` (`INVALID`)."""
    parts = _TIME.fullmatch(text) if isinstance(text, str) else None
    if parts is None:
        raise _invalid("time", "time must be RFC 3339, such as 2026-11-22T08:15:00Z", ref=ref)
    day, minute, second, fraction, zone = parts.groups()
    # A leap second (RFC 3339 §5.7) is the next minute's first, as most clocks have it.
    leap = second == "60"
    try:
        moment = datetime.fromisoformat(
            f"{day}T{minute}:{'59' if leap else second}{'+00:00' if zone in 'Zz' else zone}"
        )
        since = moment - _EPOCH + timedelta(seconds=1 if leap else 0)
    except (ValueError, OverflowError) as exc:
        raise _invalid("time", "time names no moment: a day, hour or offset is out of its range", ref=ref) from exc
    milliseconds = int((fraction or ".0")[1:4].ljust(3, "0"))
    return since // timedelta(milliseconds=1) + milliseconds


def _header_value(name: str, value: str) -> str:
    """HTTP binding §3.1.3.2: perhaps quoted, then percent-decoded once, then UTF-8."""
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    try:
        return unquote_to_bytes(value.encode("latin-1")).decode()
    except UnicodeDecodeError as exc:
        fault = f"{name} is not UTF-8 after percent-decoding: {_BEYOND_ASCII}"
        raise _invalid(name.removeprefix("ce-"), fault) from exc


def _content(body: bytes, media_type: str) -> Any:
    """The data of a body: what JSON says, or the bytes where it is no JSON at all."""
    kind = media_type.partition(";")[0].strip().lower()
    if kind and not _JSON_TYPE.fullmatch(kind):
        return body
    if not body:
        return None
    try:
        return msgspec.json.decode(body)
    except _UNREADABLE:
        return body


def _json(body: bytes, what: str) -> Any:
    try:
        return msgspec.json.decode(body)
    except RecursionError as exc:
        raise Refusal(Code.TOO_LARGE, f"{what} is nested too deeply") from exc
    except UnicodeDecodeError as exc:
        raise Refusal(Code.MALFORMED, f"{what} is not UTF-8") from exc
    except msgspec.DecodeError as exc:
        raise Refusal(Code.MALFORMED, f"{what} is not JSON: {json_fault(body, exc)}") from exc


# Translating


def to_inbound(event: CloudEvent, *, account: str, channel: str, arrived_ms: int) -> InboundEvent:
    """What the event says, for an account and channel that its own attributes did not name otherwise.

    Raises `Refusal`: `UNKNOWN_TYPE` of the attribute `type`, or `INVALID` with the path of the field in `data` that
    does not fit.
    """
    if not isinstance(event.data, dict):
        shown = "missing" if event.data is None else "not one"
        raise Refusal(Code.INVALID, f"data must be a JSON object; it is {shown}", ref=event.id, field="data")
    fields = {
        "id": event.id,
        "source": event.source,
        "time_ms": arrived_ms if event.time_ms is None else event.time_ms,
        "account": account,
        "channel": channel,
        "identities": event.identities,
        "data": {**event.data, "type": event.type},
        "raw": {name: value for name, value in event.attributes.items() if name not in _OWN},
    }
    try:
        inbound = msgspec.convert(fields, InboundEvent)
    except msgspec.ValidationError as exc:
        raise _as_written(invalid_event(exc, ref=event.id)) from exc
    if refusal := check_event(inbound):
        raise refusal
    return inbound


def _as_written(refusal: Refusal) -> Refusal:
    """A refusal whose field is where the sender wrote it: the type stands beside `data`, and not in it."""
    if refusal.field != "data.type":
        return refusal
    message = refusal.message.replace("data.type", "type", 1)
    return Refusal(refusal.code, message, ref=refusal.ref, field="type")


def _invalid(attribute: str, message: str, *, ref: str = "") -> Refusal:
    return Refusal(Code.INVALID, message, ref=ref, field=attribute)
