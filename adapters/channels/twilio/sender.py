"""Twilio's way out: one attempt to send a text message by the REST API, and what became of it.

Twilio offers no idempotency key for messages, so everything rests on telling "surely not sent" from "perhaps sent":

    no connection               failed      nothing left
    201 with a sid              sent
    429, 500, 502, 503          failed      Twilio says it did not take it; a status callback that says it did holds it
    other 4xx                   refused     with Twilio's own error code
    504, other answers          uncertain   something between us and Twilio answered
    silence or a broken line    uncertain   a status callback, which names our delivery, may settle it later

Source: https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource
"""

import asyncio
import json
from typing import Protocol
from urllib.parse import quote

import httpx

from adapters.channels import SendStatus, Sent
from adapters.channels.twilio.inbound import BODY_MAX, TwilioLine
from protocol.identities import kind_of, value_of
from protocol.lengths import utf16_length
from protocol.links import Attempt
from protocol.wording import digest_of

BODY_TOO_LONG = "21617"
BODY_MISSING = "21602"
_REASON_MAX = 300
"""Characters of Twilio's error text that are kept; real ones have under 200."""
_CONNECTIONS_MAX = 16
"""At once to one account; more attempts wait here. Twilio sends one SMS a second from a plain number."""
_TIMEOUT = httpx.Timeout(15.0, connect=5.0)
"""Seconds without progress. Twilio answers in well under one; 15 s is also what it grants our webhooks."""
ATTEMPT_WITHIN_S = 45.0
"""Of a whole attempt, in however many pieces the answer comes. Waiting for a connection and opening it end sooner, so
that what is cut off here may have left."""
ANSWER_BYTES_MAX = 64 * 1024
"""Of an answer that are read; real ones have under 2 KiB. It is asked for as it is: unpacked, it might be any size."""

# What an identity's kind puts before the number in To and From.
_PREFIXES: dict[str, str] = {"tel": "", "whatsapp": "whatsapp:"}

# HTTP statuses that do not follow the rule of their hundred (4xx: refused; anything else: uncertain).
_STATUSES: dict[int, SendStatus] = {
    408: SendStatus.FAILED,  # the request did not arrive whole
    429: SendStatus.FAILED,  # too many requests at once, error 20429
    500: SendStatus.FAILED,
    502: SendStatus.FAILED,
    503: SendStatus.FAILED,
}

# What httpx raises before the first byte of the request has left.
_NOTHING_LEFT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)


class TwilioNumber(TwilioLine, Protocol):
    """What the sender needs of a configured account; `orchestrator.settings.TwilioAccount` has it."""

    @property
    def number(self) -> str:
        """The number messages are sent from, in E.164."""

    @property
    def api(self) -> str:
        """The address of the REST API."""


class TwilioSender:
    """Sends from one number. `public_url` is the server's own address for status callbacks, where the account's
    settings give none; without either, no callbacks are asked for."""

    def __init__(self, account: TwilioNumber, *, public_url: str = "", timeout: httpx.Timeout = _TIMEOUT) -> None:
        self._number = account.number
        self._url = f"{account.api.rstrip('/')}/2010-04-01/Accounts/{account.account_sid}/Messages.json"
        base = (account.public_url or public_url).rstrip("/")
        self._callback = f"{base}/webhooks/{quote(account.name)}?delivery=" if base else ""
        self._http = httpx.AsyncClient(
            auth=httpx.BasicAuth(account.account_sid, account.auth_token),
            timeout=timeout,
            # No connection is used twice: one that the other side closes just then would make an attempt uncertain, and
            # an uncertain SMS waits for a person.
            limits=httpx.Limits(max_connections=_CONNECTIONS_MAX, max_keepalive_connections=0),
        )

    async def send(self, attempt: Attempt) -> Sent:
        """Makes the attempt. What cannot be an SMS is refused before anything leaves."""
        prefix = _PREFIXES.get(kind_of(attempt.to))
        if prefix is None:
            return _refused("", f"Twilio cannot reach a {kind_of(attempt.to)} identity")
        if not attempt.text:
            return _refused(BODY_MISSING, "the message has no text")
        if (length := utf16_length(attempt.text)) > BODY_MAX:
            return _refused(BODY_TOO_LONG, f"a message may have {BODY_MAX} characters; this one has {length}")
        form = {
            "To": prefix + value_of(attempt.to),
            "From": prefix + self._number,
            "Body": attempt.text,
        }
        if self._callback:
            digest = digest_of(attempt.to, attempt.subject, attempt.text)
            form["StatusCallback"] = f"{self._callback}{quote(attempt.delivery)}&digest={digest}"
        return await self._post(form)

    async def close(self) -> None:
        """Gives back connections; attempts under way end as uncertain."""
        await self._http.aclose()

    async def _post(self, form: dict[str, str]) -> Sent:
        try:
            async with asyncio.timeout(ATTEMPT_WITHIN_S):
                status, body = await self._answer(form)
        except _NOTHING_LEFT as exc:
            return Sent(status=SendStatus.FAILED, reason=f"no connection to Twilio: {type(exc).__name__}")
        except (httpx.HTTPError, TimeoutError) as exc:
            return Sent(status=SendStatus.UNCERTAIN, reason=f"no answer to a sent request: {type(exc).__name__}")
        return outcome(status, body)

    async def _answer(self, form: dict[str, str]) -> tuple[int, bytes]:
        """Its status and its body, of one that is too long no more than that."""
        body = bytearray()
        async with self._http.stream("POST", self._url, data=form, headers={"Accept-Encoding": "identity"}) as answer:
            async for piece in answer.aiter_raw():
                body += piece
                if len(body) > ANSWER_BYTES_MAX:
                    break
        return answer.status_code, bytes(body[:ANSWER_BYTES_MAX])


def outcome(http_status: int, body: bytes) -> Sent:
    """Reads Twilio's answer to a create-message request."""
    answer = _json_object(body)
    if http_status == 201:
        sid = answer.get("sid")
        if isinstance(sid, str) and sid:
            return Sent(status=SendStatus.SENT, external_id=sid)
        return Sent(status=SendStatus.UNCERTAIN, code="201", reason="the answer has no sid: it is not from Twilio")
    by_rule = SendStatus.REFUSED if 400 <= http_status < 500 else SendStatus.UNCERTAIN
    code, message = answer.get("code"), answer.get("message")
    return Sent(
        status=_STATUSES.get(http_status, by_rule),
        code=str(code) if isinstance(code, int) else str(http_status),
        reason=message[:_REASON_MAX] if isinstance(message, str) else f"HTTP {http_status} without Twilio's error",
    )


def _json_object(body: bytes) -> dict[str, object]:
    """The answer's fields; none where it is not a JSON object, such as a proxy's error page."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _refused(code: str, reason: str) -> Sent:
    return Sent(status=SendStatus.REFUSED, code=code, reason=reason)
