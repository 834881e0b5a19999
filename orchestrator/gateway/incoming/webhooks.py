"""Vendors' webhooks: `POST /webhooks/{account}`. The adapter checks and translates, the answer comes after the commit.

A vendor that hears "no" often does not call again, so what its signature proves to be genuine is kept in quarantine
when it does not fit, and answered like what does.
"""

import hashlib
from typing import Any
from urllib.parse import urlsplit

from litestar import Response, post
from litestar.params import FromPath

from adapters.channels.twilio.inbound import FORM_BYTES_MAX, TWIML_NOTHING, TWIML_TYPE, handle
from orchestrator.gateway.incoming.quarantine import KEPT, keep_webhook
from orchestrator.gateway.services import HttpRequest, Services, services_of
from orchestrator.settings import TwilioAccount
from protocol.errors import Code, Refusal, kept_because

KEPT_OF_VENDORS = KEPT | {Code.UNKNOWN_ACCOUNT}
"""A genuine request for another of the vendor's accounts is a mistake in the settings: kept until they are mended."""


# Whoever asks is a stranger until their body was read: so it is bounded before, and not by `http.body_bytes_max`.
@post("/webhooks/{account:str}", status_code=200, request_max_body_size=FORM_BYTES_MAX, tags=["webhooks"])
async def post_webhook(request: HttpRequest, account: FromPath[str]) -> Response[bytes]:
    """Twilio's messages and status callbacks. Answers TwiML; a wrong signature answers 403."""
    here = services_of(request)
    line = here.accounts.get(account)
    if not isinstance(line, TwilioAccount):
        raise Refusal(Code.UNKNOWN_ACCOUNT, "no account of this name takes webhooks")
    url = _url_of(request)
    body = await request.body()
    raw = keep_webhook(query=urlsplit(url).query, body=body)
    try:
        headers = dict(request.headers.items())
        event = handle(line, url=url, headers=headers, body=body, arrived_ms=here.now_ms())
        answered = await here.intake.submit(event, raw=raw)
        if answered.status == "quarantined":
            here.metrics.refused(kept_because(answered.why, event.id).code, "webhook")
        here.metrics.events.labels(answered.status, account).inc()
    except Refusal as refusal:
        if refusal.code not in KEPT_OF_VENDORS:
            raise
        await _quarantine(here, line, refusal, raw)
    return Response(TWIML_NOTHING, media_type=TWIML_TYPE)


def _url_of(request: HttpRequest) -> str:
    """The request's address, which `urlsplit` can read. Raises `Refusal` (`MALFORMED`) where its Host is none."""
    try:
        url = str(request.url)
        urlsplit(url)
    except ValueError as exc:
        raise Refusal(Code.MALFORMED, "the Host header must be a host, perhaps with a port") from exc
    return url


async def _quarantine(here: Services, line: TwilioAccount, refusal: Refusal, raw: bytes) -> None:
    # A request that does not say its id is named by what it holds: the same one again is the same.
    id = refusal.ref or hashlib.sha256(raw).hexdigest()[:32]
    source = f"twilio:{line.account_sid}"
    await here.intake.quarantine(account=line.name, source=source, id=id, refusal=refusal, raw=raw)
    here.metrics.refused(refusal.code, "webhook")
    here.metrics.events.labels("quarantined", line.name).inc()


ROUTES: list[Any] = [post_webhook]
"""What `http.py` serves from here."""
