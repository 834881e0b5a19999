"""Twilio's webhooks: a text message that came in, and reports of what became of one of ours.

Both come to one path, `/webhooks/<account>`; a status callback is told by its `?delivery=<our delivery id>`, which
`TwilioSender` put there with a digest of its words. Twilio gives a message no time, so the time of arrival stands for
it. `STOP` and `HELP` are passed on as the customer's words: Twilio itself answers them and keeps the opt-out list.

By default Twilio does not call again after an answer that says no: what is refused after its signature proved right
must be kept, in quarantine. The code's range tells: below 4200 the sender is unproven, from 4200 on it was Twilio.

Sources: https://www.twilio.com/docs/messaging/guides/webhook-request and
https://www.twilio.com/docs/messaging/guides/track-outbound-message-status
"""

import mimetypes
import re
from collections.abc import Mapping
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

from adapters.channels.twilio.signature import Pairs, genuine_body, genuine_form
from protocol.errors import Code, Refusal
from protocol.inbound import ATTACHMENTS_MAX, Attachment, DeliveryReport, InboundEvent, MessageArrived

TWIML_NOTHING = b'<?xml version="1.0" encoding="UTF-8"?><Response/>'
"""The answer to a message that was taken: Twilio shall do nothing more. Its media type is `TWIML_TYPE`."""
TWIML_TYPE = "text/xml"
FORM_BYTES_MAX = 64 * 1024
"""The longest body, 4,096 characters of WhatsApp, takes 48 KiB with every UTF-8 byte percent-encoded."""
BODY_MAX = 1600
"""Characters of a message of ours in UTF-16 units, as Twilio counts them (error 21617)."""
FIELDS_MAX = 256
"""Twilio sends about 40; ten media add 20."""
_FORM_TYPE = "application/x-www-form-urlencoded"
_SID = re.compile(r"[A-Za-z0-9]{2,64}", re.ASCII)
_E164 = re.compile(r"\+[1-9][0-9]{4,14}", re.ASCII)
_DELIVERY_MAX = 200
"""Characters of a delivery id: ours have about 30."""

# The prefix of From and To says which of Twilio's channels it is: prefix → (our channel, kind of the identity).
_CHANNELS: dict[str, tuple[str, str]] = {
    "": ("sms", "tel"),
    "whatsapp": ("whatsapp", "whatsapp"),
    "messenger": ("messenger", "messenger"),
}

# MessageStatus → the status of our `DeliveryReport`. Inbound messages' `receiving` and `received` are not among them.
_STATUSES: dict[str, str] = {
    "accepted": "sent",  # Twilio has it: that settles an attempt whose answer never reached us
    "scheduled": "sent",
    "queued": "sent",
    "sending": "sent",
    "sent": "sent",
    "delivered": "delivered",
    "partially_delivered": "delivered",
    "read": "read",
    "undelivered": "undelivered",
    "failed": "undelivered",
    "canceled": "undelivered",
}

# Fields that are translated, or that repeat one that is under an older name; all others go to `raw`.
_TRANSLATED = frozenset({"MessageSid", "SmsSid", "SmsMessageSid", "AccountSid", "From", "Body", "NumMedia"})
_TRANSLATED_OF_STATUS = frozenset({"MessageSid", "SmsSid", "AccountSid", "To", "ErrorCode"})


class TwilioLine(Protocol):
    """What this module needs of a configured account; `orchestrator.settings.TwilioAccount` has it."""

    @property
    def name(self) -> str:
        """The account's name in the settings and in the webhook's path."""

    @property
    def account_sid(self) -> str:
        """Twilio's id of the account that owns the number."""

    @property
    def auth_token(self) -> str:
        """The account's secret, which signs webhooks."""

    @property
    def public_url(self) -> str:
        """The server's address as Twilio knows it; empty: the request's own."""


def handle(line: TwilioLine, *, url: str, headers: Mapping[str, str], body: bytes, arrived_ms: int) -> InboundEvent:
    """Checks and translates one request to `/webhooks/<account>`.

    `url` is the request's own, query included; where the account has a `public_url`, that takes the place of its scheme
    and host. `headers` are looked up in lower case. Raises `Refusal`: `TOO_LARGE`, `MALFORMED` or `BAD_SIGNATURE` from
    a sender who is not proven, `INVALID`, `BAD_IDENTITY`, `OVER_LIMIT` or `UNKNOWN_ACCOUNT` of a genuine request.
    """
    if len(body) > FORM_BYTES_MAX:
        raise Refusal(Code.TOO_LARGE, f"a webhook's body may have {FORM_BYTES_MAX} bytes; this one has {len(body)}")
    signature = headers.get("x-twilio-signature", "")
    if not signature:
        raise Refusal(Code.BAD_SIGNATURE, "the request has no X-Twilio-Signature header")
    called = _as_twilio_called(line.public_url, url)
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != _FORM_TYPE:
        if not genuine_body(line.auth_token, url=called, body=body, signature=signature):
            raise _bad_signature()
        raise Refusal(Code.INVALID, f"Twilio's message webhooks are forms ({_FORM_TYPE})", field="Content-Type")
    form = parse_form(body)
    if not genuine_form(line.auth_token, url=called, form=form, signature=signature):
        raise _bad_signature()
    if _Form(form).required("AccountSid") != line.account_sid:
        raise Refusal(Code.UNKNOWN_ACCOUNT, "AccountSid is not the one this account has", field="AccountSid")
    query = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    return parse_called(form, query, account=line.name, arrived_ms=arrived_ms)


def parse_form(body: bytes) -> list[tuple[str, str]]:
    """Decodes a form, blank values kept. Raises `Refusal`: `MALFORMED` where it is not UTF-8, `TOO_LARGE`."""
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX)
    except UnicodeDecodeError as exc:
        raise Refusal(Code.MALFORMED, "the form is not UTF-8") from exc
    except ValueError as exc:
        raise Refusal(Code.TOO_LARGE, f"the form has more than {FIELDS_MAX} fields") from exc


def parse_called(form: Pairs, query: Mapping[str, str], *, account: str, arrived_ms: int) -> InboundEvent:
    """A message or a report, as the URL's query says. Raises `Refusal` naming the field."""
    if (delivery := query.get("delivery")) is None:
        return parse_inbound(form, account=account, arrived_ms=arrived_ms)
    return parse_status(form, delivery, query.get("digest", ""), account=account, arrived_ms=arrived_ms)


def parse_inbound(form: Pairs, *, account: str, arrived_ms: int) -> InboundEvent:
    """A message that a customer wrote. Media stay at Twilio, named by their URLs. Raises `Refusal` naming the field."""
    fields = _Form(form)
    sid = fields.sid("MessageSid")
    channel, identity = _address(fields, "From", ref=sid)
    attachments = _media(fields, ref=sid)
    urls = {name for n in range(len(attachments)) for name in (f"MediaUrl{n}", f"MediaContentType{n}")}
    return InboundEvent(
        id=sid,
        source=f"twilio:{fields.sid('AccountSid')}",
        time_ms=arrived_ms,
        account=account,
        channel=channel,
        identities=[identity],
        data=MessageArrived(text=fields.required("Body"), attachments=attachments),
        raw=fields.others(_TRANSLATED | urls),
    )


def parse_status(form: Pairs, delivery: str, digest: str, *, account: str, arrived_ms: int) -> InboundEvent:
    """What became of our `delivery`, whose words have `digest`; those that earlier versions sent have none. Reports may
    come late, twice and out of order; each status has one id, so that a repeat has no second effect. Raises `Refusal`
    naming the field."""
    fields = _Form(form)
    sid = fields.sid("MessageSid")
    if not 0 < len(delivery) <= _DELIVERY_MAX or not delivery.isprintable():
        raise Refusal(Code.INVALID, "the URL's delivery is not one of our delivery ids", ref=sid, field="delivery")
    said = fields.required("MessageStatus")
    status = _STATUSES.get(said)
    if status is None:
        raise Refusal(
            Code.INVALID, f"MessageStatus must be one of {', '.join(sorted(_STATUSES))}", ref=sid, field="MessageStatus"
        )
    channel, identity = _address(fields, "To", ref=sid)
    return InboundEvent(
        id=f"{sid}:{said}",
        source=f"twilio:{fields.sid('AccountSid')}",
        time_ms=arrived_ms,
        account=account,
        channel=channel,
        identities=[identity],
        data=DeliveryReport(
            delivery=delivery, status=status, external_id=sid, code=fields.get("ErrorCode"), digest=digest
        ),
        raw=fields.others(_TRANSLATED_OF_STATUS),
    )


class _Form:
    """A decoded form by name. A field that is read must not have two values; what nobody reads may."""

    def __init__(self, pairs: Pairs) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)

    def get(self, name: str) -> str:
        """The field's value; empty where it is missing."""
        values = self._values.get(name, [""])
        if len(set(values)) > 1:
            raise Refusal(Code.INVALID, f"{name} stands {len(values)} times with different values", field=name)
        return values[0]

    def required(self, name: str) -> str:
        """The field's value, which may be empty; the field must be there."""
        if name not in self._values:
            raise Refusal(Code.INVALID, f"{name} is missing", field=name)
        return self.get(name)

    def sid(self, name: str) -> str:
        """The field's value, which must look like one of Twilio's ids."""
        value = self.required(name)
        if not _SID.fullmatch(value):
            raise Refusal(Code.INVALID, f"{name} must be letters and digits, at most 64", field=name)
        return value

    def others(self, names: frozenset[str] | set[str]) -> dict[str, str | list[str]]:
        """All fields but these, for `raw`."""
        return {
            name: values[0] if len(values) == 1 else values
            for name, values in self._values.items()
            if name not in names
        }


def _address(fields: _Form, name: str, *, ref: str) -> tuple[str, str]:
    """The channel and identity that `From` or `To` names."""
    prefix, _, value = fields.required(name).rpartition(":")
    if prefix not in _CHANNELS:
        known = ", ".join(repr(f"{one}:") for one in _CHANNELS if one)
        raise Refusal(Code.BAD_IDENTITY, f"{name} must be a number, or begin with {known}", ref=ref, field=name)
    channel, kind = _CHANNELS[prefix]
    # A short code or a sender's name would be read as a national number further on, and belong to a stranger.
    if kind != "messenger" and not _E164.fullmatch(value):
        raise Refusal(Code.BAD_IDENTITY, f"{name} must be in E.164, such as +447700900123", ref=ref, field=name)
    return channel, f"{kind}:{value}"


def _media(fields: _Form, *, ref: str) -> list[Attachment]:
    """The files a message names: `NumMedia` says how many, `MediaUrl0`, `MediaContentType0` … where and what."""
    said = fields.get("NumMedia") or "0"
    if not (said.isascii() and said.isdigit() and len(said) < 4):
        raise Refusal(Code.INVALID, "NumMedia must be a whole number", ref=ref, field="NumMedia")
    if int(said) > ATTACHMENTS_MAX:
        raise Refusal(Code.OVER_LIMIT, f"a message may have {ATTACHMENTS_MAX} files", ref=ref, field="NumMedia")
    return [_file(fields, number) for number in range(int(said))]


def _file(fields: _Form, number: int) -> Attachment:
    url = fields.required(f"MediaUrl{number}")
    media_type = fields.get(f"MediaContentType{number}").lower() or "application/octet-stream"
    # Twilio gives no file name: the type's usual ending lets an agent's machine open it.
    ending = mimetypes.guess_extension(media_type) or ""
    return Attachment(name=f"media-{number}{ending}", media_type=media_type, url=url)


def _as_twilio_called(public_url: str, url: str) -> str:
    """The address that was signed: behind a proxy, the request's own host is not the one Twilio knows."""
    if not public_url:
        return url
    parts = urlsplit(url)
    return public_url.rstrip("/") + parts.path + (f"?{parts.query}" if parts.query else "")


def _bad_signature() -> Refusal:
    return Refusal(
        Code.BAD_SIGNATURE,
        "X-Twilio-Signature does not match: check the account's auth_token, and behind a proxy its public_url",
    )
