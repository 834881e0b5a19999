"""The webhooks that we send, over HTTP: how each endpoint is; to go on with one that is disabled, or from elsewhere.

What is asked is left in the data folder for whoever sends (`orchestrator.feed.webhook_files`), which does it within a
second, or as soon as it is up again.
"""

import asyncio
from typing import Any

from litestar import get, post
from litestar.params import FromPath, JSONBody
from msgspec import Struct

from orchestrator.feed.feed import NOW, check_cursor, is_cursor, newest, oldest
from orchestrator.feed.webhook_files import Asked, asked_file, write
from orchestrator.gateway.health.webhook_troubles import endpoints_of
from orchestrator.gateway.http.access import needs
from orchestrator.gateway.operations.operations import actor_of
from orchestrator.gateway.services import HttpRequest, Services, services_of, speaker_of
from protocol.errors import Code, Refusal

OLDEST = "oldest"
_OPERATORS = needs()


class ResendRequest(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Behind which event to go on: a cursor, as the feed and `webhook-id` have them, `oldest` or `now`."""

    after: str


class AskedAnswer(Struct, kw_only=True, frozen=True):
    """What was asked of an endpoint. `after`: the cursor it goes on behind; empty: the one it stopped at."""

    endpoint: str
    after: str


@get("/v1/webhooks", needs=_OPERATORS, tags=["webhooks"])
async def get_webhooks(request: HttpRequest) -> list[dict[str, Any]]:
    """Every endpoint that committed events are sent to: its `state` (`sending`, `retrying`, `disabled`), how often and
    since when it fails, and how far it is."""
    return [{"endpoint": name, **told} for name, told in endpoints_of(services_of(request)).items()]


@post("/v1/webhooks/{endpoint:str}/enable", needs=_OPERATORS, status_code=202, tags=["webhooks"])
async def post_webhook_enable(request: HttpRequest, endpoint: FromPath[str]) -> AskedAnswer:
    """Goes on with an endpoint that is disabled, or waits for its next attempt, at once and from where it stopped."""
    return await _ask(request, endpoint, "")


@post("/v1/webhooks/{endpoint:str}/resend", needs=_OPERATORS, status_code=202, tags=["webhooks"])
async def post_webhook_resend(
    request: HttpRequest, endpoint: FromPath[str], data: JSONBody[ResendRequest]
) -> AskedAnswer:
    """Sends everything behind a cursor, again where it was sent before, under the same `webhook-id`s. 410 where
    retention has taken what follows the cursor: the error's `ref` is the oldest there is."""
    journal = services_of(request).identities
    match data.after:
        case "oldest":
            after = await oldest(journal)
        case "now":
            after = await newest(journal)
        case after if is_cursor(after):
            await check_cursor(journal, after)
        case _:
            message = f"after must be a cursor that the feed gave, `{OLDEST}` or `{NOW}`"
            raise Refusal(Code.INVALID, message, field="after")
    return await _ask(request, endpoint, after)


async def _ask(request: HttpRequest, endpoint: str, after: str) -> AskedAnswer:
    here: Services = services_of(request)
    if endpoint not in endpoints_of(here):
        known = ", ".join(sorted(endpoints_of(here))) or "none"
        raise Refusal(
            Code.NOT_FOUND, f"no webhook endpoint is called {endpoint[:64]!r}; known: {known}", ref=endpoint[:64]
        )
    asked = Asked(by=actor_of(speaker_of(request)), after=after)
    await asyncio.to_thread(write, asked_file(here.webhooks, endpoint), asked)
    return AskedAnswer(endpoint=endpoint, after=after)


ROUTES: list[Any] = [get_webhooks, post_webhook_enable, post_webhook_resend]
"""What `http.py` serves from here."""
