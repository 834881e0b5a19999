"""The feed over HTTP: committed events by cursor, waited for where the reader is up to date."""

import asyncio
from typing import Annotated, Any

from litestar import get
from litestar.params import QueryParameter

from orchestrator.feed.feed import FeedPage, read_page
from orchestrator.gateway.http.access import needs
from orchestrator.gateway.reads.reads import Limit
from orchestrator.gateway.services import HttpRequest, services_of
from protocol.errors import Code, Refusal
from protocol.events import EVENT_TYPES

WAIT_S_MAX = 60.0
"""Proxies cut what is silent for longer."""
FIRST_PAUSE_S = 0.01
LONGEST_PAUSE_S = 0.25
"""Between two looks at the journal's end while a reader waits: each costs a step of the journal's reader."""


@get("/v1/feed", needs=needs("read"), tags=["feed"])
async def get_feed(
    request: HttpRequest,
    after: Annotated[str, QueryParameter(description="A cursor, `now`, or nothing: from the oldest kept.")] = "",
    limit: Limit = 100,
    types: Annotated[
        str, QueryParameter(description="Separated by commas, such as MessageReceived; all without.")
    ] = "",
    wait: Annotated[float, QueryParameter(ge=0, le=WAIT_S_MAX, description="Seconds to wait for an event.")] = 0,
) -> FeedPage:
    """Committed events in the journal's order, behind a cursor. 410 where retention has taken what follows it: the
    error's `ref` is the oldest cursor there is."""
    wanted = wanted_types(types)
    journal = services_of(request).feed
    page = await read_page(journal, after, limit=limit, types=wanted)
    clock = asyncio.get_running_loop().time
    deadline, pause = clock() + wait, FIRST_PAUSE_S
    while not page.events and (page.more or clock() < deadline):
        if not page.more:
            await asyncio.sleep(min(pause, deadline - clock()))
            pause = min(pause * 2, LONGEST_PAUSE_S)
        elif not wait:
            break
        page = await read_page(journal, page.next, limit=limit, types=wanted)
    return page


def wanted_types(text: str) -> frozenset[str]:
    """The types of a list with commas. Raises `Refusal` for one there is not."""
    wanted = frozenset(name.strip() for name in text.split(",") if name.strip())
    if unknown := sorted(wanted - EVENT_TYPES):
        raise Refusal(Code.INVALID, f"there is no event type {unknown[0][:64]!r}; see docs/protocol.md", field="types")
    return wanted


ROUTES: list[Any] = [get_feed]
"""What `http.py` serves from here."""
