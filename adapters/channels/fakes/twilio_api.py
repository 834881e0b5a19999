"""Twilio's side of a text line: the REST API that takes our messages, and the hand that calls our webhooks.

Only creating a message is known. The real API ignores parameters it does not know; here they are refused, so that a
misspelt one shows. Errors have Twilio's form and numbers: https://www.twilio.com/docs/api/errors
"""

import asyncio
import base64
import re
import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from enum import Enum, auto
from urllib.parse import parse_qsl, urlsplit

import httpx

from adapters.channels.fakes.http_server import Answer, HttpServer, Request
from adapters.channels.twilio.signature import Pairs, sign

_E164 = re.compile(r"(whatsapp:)?\+[1-9][0-9]{4,14}", re.ASCII)
_HOSTNAME = re.compile(r"[A-Za-z0-9.-]+|\[[0-9a-f:]+\]", re.ASCII)
_BODY_MAX = 1600
_STATUS_CALLBACK_MAX = 4000
_FORM = "application/x-www-form-urlencoded"
_CALL_TIMEOUT_S = 15.0
"""Twilio waits this long for a webhook's answer."""

# The parameters of "Create a Message", by https://www.twilio.com/docs/messaging/api/message-resource
_PARAMETERS = frozenset(
    {"To", "From", "MessagingServiceSid", "Body", "MediaUrl", "ContentSid", "ContentVariables", "StatusCallback"}
    | {"ApplicationSid", "MaxPrice", "ProvideFeedback", "Attempt", "ValidityPeriod", "ForceDelivery", "RiskCheck"}
    | {"ContentRetention", "AddressRetention", "SmartEncoded", "PersistentAction", "TrafficType", "ShortenUrls"}
    | {"ScheduleType", "SendAt", "SendAsMms"}
)


class Fault(Enum):
    """How the next request goes wrong."""

    LIMITED = auto()
    """429 with error 20429; the message is not taken."""
    BROKEN = auto()
    """500; not taken."""
    UNAVAILABLE = auto()
    """503; not taken."""
    HANG = auto()
    """The message is taken, but no answer comes."""
    CUT = auto()
    """The message is taken, but the connection is cut before the answer."""


@dataclass(frozen=True, slots=True)
class TakenMessage:
    """A message of ours that Twilio took."""

    sid: str
    to: str
    sender: str
    body: str
    status_callback: str


class _Wrong(Exception):
    """The request is answered with this error."""

    def __init__(self, http_status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.answer = _error(http_status, code, message)


@dataclass(slots=True)
class FakeTwilio:
    """One account with some numbers. `start` before use, `close` after; `messages` are those it took, oldest first."""

    account_sid: str
    auth_token: str
    numbers: Sequence[str]
    unsubscribed: set[str] = field(default_factory=set)
    """Numbers that answered STOP: sending to them is refused with 21610."""
    new_sid: Callable[[], str] = lambda: "SM" + secrets.token_hex(16)
    now_s: Callable[[], float] = time.time
    messages: list[TakenMessage] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    """Error numbers of the requests that were refused."""
    _faults: deque[Fault] = field(default_factory=deque)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _server: HttpServer | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listens (port 0: any free one) and returns the address to give as the account's `api`."""
        self._server = HttpServer(self._answer)
        return await self._server.start(host, port)

    async def close(self) -> None:
        """Stops listening and cuts every connection."""
        if self._server is not None:
            await self._server.close()

    def fail_next(self, *faults: Fault) -> None:
        """Lets the next requests fail, one fault each, in this order."""
        self._faults.extend(faults)

    async def message(self, index: int) -> TakenMessage:
        """Waits until there is a message of that index, counted from 0, and returns it."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.messages) > index)
            return self.messages[index]

    async def text(
        self,
        webhook: str,
        *,
        sender: str,
        body: str,
        to: str = "",
        media: Sequence[tuple[str, str]] = (),
        sid: str = "",
    ) -> httpx.Response:
        """Posts a customer's message to `webhook`, signed. `media` are pairs (URL, media type); with a `sid` that was
        used before it is the repeat Twilio makes after a timeout."""
        sid = sid or self.new_sid()
        form = [
            ("ToCountry", "GB"),
            ("SmsMessageSid", sid),
            ("NumMedia", str(len(media))),
            ("SmsSid", sid),
            ("SmsStatus", "received"),
            ("Body", body),
            ("To", to or self.numbers[0]),
            ("NumSegments", "1"),
            ("MessageSid", sid),
            ("AccountSid", self.account_sid),
            ("From", sender),
            ("ApiVersion", "2010-04-01"),
        ]
        for number, (url, media_type) in enumerate(media):
            form += [(f"MediaUrl{number}", url), (f"MediaContentType{number}", media_type)]
        return await self._call(webhook, form)

    async def report(self, message: TakenMessage, status: str, *, error_code: str = "") -> httpx.Response:
        """Posts a status callback to the address the message named, signed."""
        form = [
            ("SmsSid", message.sid),
            ("SmsStatus", status),
            ("MessageStatus", status),
            ("To", message.to),
            ("MessageSid", message.sid),
            ("AccountSid", self.account_sid),
            ("From", message.sender),
            ("ApiVersion", "2010-04-01"),
        ]
        return await self._call(message.status_callback, form + ([("ErrorCode", error_code)] if error_code else []))

    async def _call(self, url: str, form: Pairs) -> httpx.Response:
        headers = {"X-Twilio-Signature": sign(self.auth_token, url, form)}
        async with httpx.AsyncClient(timeout=_CALL_TIMEOUT_S, trust_env=False) as http:
            return await http.post(url, data=dict(form), headers=headers)

    async def _answer(self, request: Request) -> Answer | None:
        """Twilio's answer; None cuts the connection."""
        fault = self._faults.popleft() if self._faults else None
        match fault:
            case Fault.LIMITED:
                return _error(429, 20429, "Too Many Requests")
            case Fault.BROKEN:
                return _error(500, 20500, "Internal Server Error")
            case Fault.UNAVAILABLE:
                return _error(503, 20503, "Service Unavailable")
            case Fault.HANG | Fault.CUT | None:
                pass
        try:
            message = self._take(request)
        except _Wrong as wrong:
            self.refused.append(int(wrong.answer.body["code"]))
            return wrong.answer
        async with self._changed:
            self.messages.append(message)
            self._changed.notify_all()
        if fault is Fault.HANG:
            await asyncio.Event().wait()
        return None if fault is Fault.CUT else Answer(201, self._resource(message))

    def _take(self, request: Request) -> TakenMessage:
        """Checks the request as the real API does. Raises `_Wrong`."""
        self._check_envelope(request)
        form = parse_qsl(request.body.decode(), keep_blank_values=True, errors="strict")
        if unknown := {name for name, _ in form} - _PARAMETERS:
            raise _Wrong(400, 20001, f"Unknown parameter(s) {', '.join(sorted(unknown))}")
        if len({name for name, _ in form}) < len(form):
            raise _Wrong(400, 20001, "A parameter stands twice")
        fields = dict(form)
        self._check_addresses(fields.get("To", ""), fields.get("From", ""))
        _check_content(fields.get("Body", ""), fields.get("StatusCallback"))
        return TakenMessage(
            sid=self.new_sid(),
            to=fields["To"],
            sender=fields["From"],
            body=fields["Body"],
            status_callback=fields.get("StatusCallback", ""),
        )

    def _check_envelope(self, request: Request) -> None:
        credentials = base64.b64encode(f"{self.account_sid}:{self.auth_token}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {credentials}":
            raise _Wrong(401, 20003, "Authenticate")
        if request.target != f"/2010-04-01/Accounts/{self.account_sid}/Messages.json":
            raise _Wrong(404, 20404, f"The requested resource {request.target} was not found")
        if request.method != "POST":
            raise _Wrong(405, 20004, "Method not allowed")
        if request.headers.get("content-type", "").partition(";")[0] != _FORM:
            raise _Wrong(415, 20415, f"The request's content type must be {_FORM}")

    def _check_addresses(self, to: str, sender: str) -> None:
        if not to:
            raise _Wrong(400, 21604, "A 'To' phone number is required.")
        if not sender:
            raise _Wrong(400, 21603, "A 'From' phone number is required.")
        if not _E164.fullmatch(to):
            raise _Wrong(400, 21211, "The 'To' number is not a valid phone number.")
        if not _E164.fullmatch(sender):
            raise _Wrong(400, 21212, "The 'From' number is not a valid phone number or short code.")
        if to.startswith("whatsapp:") != sender.startswith("whatsapp:"):
            raise _Wrong(400, 21910, "'From' and 'To' must be of the same channel")
        if sender.removeprefix("whatsapp:") not in self.numbers:
            raise _Wrong(400, 21606, "The 'From' phone number is not a valid, message-capable number of this account.")
        if to in self.unsubscribed:
            raise _Wrong(400, 21610, "Attempt to send to unsubscribed recipient")

    def _resource(self, message: TakenMessage) -> dict[str, object]:
        uri = f"/2010-04-01/Accounts/{self.account_sid}/Messages/{message.sid}"
        created = formatdate(self.now_s())
        return {
            "account_sid": self.account_sid,
            "api_version": "2010-04-01",
            "body": message.body,
            "date_created": created,
            "date_sent": None,
            "date_updated": created,
            "direction": "outbound-api",
            "error_code": None,
            "error_message": None,
            "from": message.sender,
            "messaging_service_sid": None,
            "num_media": "0",
            "num_segments": str(-(-len(message.body) // 160)),
            "price": None,
            "price_unit": "USD",
            "sid": message.sid,
            "status": "queued",
            "subresource_uris": {"media": f"{uri}/Media.json"},
            "to": message.to,
            "uri": f"{uri}.json",
        }


def _check_content(body: str, status_callback: str | None) -> None:
    if not body:
        raise _Wrong(400, 21602, "Message body is required.")
    if len(body.encode("utf-16-le")) // 2 > _BODY_MAX:
        raise _Wrong(400, 21617, "The concatenated message body exceeds the 1600 character limit.")
    if status_callback is not None and not _is_callback(status_callback):
        raise _Wrong(400, 21609, "The 'StatusCallback' URL is not a valid URL.")


def _is_callback(url: str) -> bool:
    """A full URL of http or https with a host name without underscores. Loopback is fine here, unlike at Twilio."""
    parts = urlsplit(url)
    return (
        len(url) <= _STATUS_CALLBACK_MAX
        and parts.scheme in ("http", "https")
        and bool(_HOSTNAME.fullmatch(parts.hostname or ""))
        and parts.path.startswith("/")
    )


def _error(http_status: int, code: int, message: str) -> Answer:
    return Answer(
        http_status,
        {
            "code": code,
            "message": message,
            "more_info": f"https://www.twilio.com/docs/errors/{code}",
            "status": http_status,
        },
    )
