"""History over HTTP: a customer's timeline, searched and filtered."""

from typing import Annotated, Any

from litestar import get
from litestar.params import FromPath, FromQuery, QueryParameter

from adapters.stores.archive_timeline import Before, Wanted
from orchestrator.gateway.access import needs
from orchestrator.gateway.archive_reads import reach
from orchestrator.gateway.feed import wanted_types
from orchestrator.gateway.reads import AT_LEAST_WITHIN_S, AtLeast, Limit
from orchestrator.gateway.services import HttpRequest, services_of
from protocol.errors import Code, Refusal

Q_MAX = 256
"""Characters of a search: each word is looked for."""
Time = Annotated[int, QueryParameter(ge=0, le=2**53, description="Milliseconds since 1970 UTC; 0 is no bound.")]


@get("/v1/customers/{customer:str}/timeline", guards=[needs("read", "agent")], tags=["reads"])
async def get_timeline(
    request: HttpRequest,
    customer: FromPath[str],
    channel: FromQuery[str] = "",
    types: Annotated[str, QueryParameter(description="Separated by commas, such as MessageReceived,NoteAdded.")] = "",
    q: Annotated[str, QueryParameter(max_length=Q_MAX, description='Words, "a phrase", begin*: all must occur.')] = "",
    from_ms: Time = 0,
    until_ms: Time = 0,
    limit: Limit = 100,
    before: Annotated[str, QueryParameter(description="the `next` of the page before")] = "",
    at_least: AtLeast = 0,
) -> dict[str, Any]:
    """What happened with a customer across channels, the newest first: `entries`, `next` for the following page, and
    `searched`, the position up to which words can be found."""
    here = services_of(request)
    position = await reach(here.archive, at_least, within_s=AT_LEAST_WITHIN_S)
    wanted = Wanted(channel=channel, types=sorted(wanted_types(types)), q=q.strip(), from_ms=from_ms, until_ms=until_ms)
    searched = await here.archive.searched()
    entries = await here.archive.timeline(customer, wanted, limit=limit, before=_cursor(before))
    if entries is None:
        raise Refusal(Code.NOT_FOUND, "there is no such customer", ref=customer)
    last = entries[-1] if len(entries) == limit else None
    following = f"{last['at_ms']},{last['position']},{last['n']}" if last else ""
    return {"position": position, "searched": searched, "entries": entries, "next": following}


def _cursor(before: str) -> Before | None:
    if not before:
        return None
    parts = before.split(",")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) <= 18 for part in parts):
        raise Refusal(Code.INVALID, "before must be the `next` of an earlier page", field="before")
    at_ms, position, n = map(int, parts)
    return at_ms, position, n


ROUTES: list[Any] = [get_timeline]
"""What `http.py` serves from here."""
