"""History over HTTP: a customer's timeline, searched and filtered; a conversation as a vCon."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import msgspec
from litestar import Response, get
from litestar.params import FromPath, FromQuery, QueryParameter

from adapters.attachments import AttachmentStore
from adapters.stores.archive.timeline import Before, EntriesWanted
from adapters.vcon import MEDIA_TYPE as VCON
from adapters.vcon import to_vcon
from orchestrator.following import reach
from orchestrator.gateway.http.access import needs
from orchestrator.gateway.peers import Archive
from orchestrator.gateway.reads.feed import wanted_types
from orchestrator.gateway.reads.gone import check_kept
from orchestrator.gateway.reads.reads import AT_LEAST_WITHIN_S, PAGE_MAX, AtLeast, Limit, Time, check_span
from orchestrator.gateway.services import HttpRequest, services_of
from protocol.errors import Code, Refusal

Q_MAX = 256
"""Characters of a search: each word is looked for."""
ALONG_BYTES_MAX = 32 * 1024 * 1024
"""Of all files of an export together: what is more is named and not sent."""
EVENTS_BYTES_MAX = 32 * 1024 * 1024
"""Of an export's events: it is put together and written whole, and while it is written, 10 ms for each MiB, nothing
else runs."""
_Events = list[dict[str, Any]]


@get(
    "/v1/customers/{customer:str}/timeline",
    needs=needs("read", "agent"),
    narrower="ask for a shorter time (from_ms, until_ms), a channel or types; look for whole words and not for begin*",
    tags=["reads"],
)
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
    check_span(from_ms, until_ms)
    here = services_of(request)
    position = await reach(here.history, at_least, within_s=AT_LEAST_WITHIN_S)
    wanted = EntriesWanted(
        channel=channel, types=sorted(wanted_types(types)), q=q.strip(), from_ms=from_ms, until_ms=until_ms
    )
    searched = await here.history.searched()
    entries = await here.history.timeline(customer, wanted, limit=limit, before=_cursor(before))
    if entries is None:
        raise Refusal(Code.NOT_FOUND, "there is no such customer", ref=customer)
    last = entries[-1] if entries.more else None
    following = f"{last['happened_at_ms']},{last['position']},{last['n']}" if last else ""
    return {"position": position, "searched": searched, "entries": entries, "next": following}


@get(
    "/v1/conversations/{conversation:str}/vcon",
    needs=needs("read"),
    narrower="ask for the conversation's events, a page at a time: GET /v1/conversations/{id}",
    tags=["reads"],
)
async def get_vcon(request: HttpRequest, conversation: FromPath[str], at_least: AtLeast = 0) -> Response[bytes]:
    """One conversation as a vCon, unsigned. Files are in it as long as they fit; what is `secret` is not."""
    here = services_of(request)
    await reach(here.history, at_least, within_s=AT_LEAST_WITHIN_S)
    row = await here.history.conversation(conversation)
    if row is None:
        raise Refusal(Code.NOT_FOUND, "there is no such conversation", ref=conversation)
    await check_kept(here.history, "conversation", conversation)
    streams = await _all_of(here.history, dict.fromkeys([conversation, *(moved["origin"] for moved in row["moved"])]))
    events = streams.pop(conversation)
    return Response(await asyncio.to_thread(_vcon, row, events, streams, here.attachments), media_type=VCON)


async def _all_of(history: Archive, conversations: Iterable[str]) -> dict[str, _Events]:
    """The events of each. Raises `Refusal` (`OVER_LIMIT`)."""
    streams: dict[str, _Events] = {}
    left = EVENTS_BYTES_MAX
    for conversation in conversations:
        streams[conversation] = []
        after = 0
        while page := await history.events_of_stream(conversation, after, PAGE_MAX):
            left -= sum(len(event.body) for event in page)
            if left < 0:
                long = f"over {EVENTS_BYTES_MAX // 1024**2} MiB, and one export has no more"
                raise Refusal(Code.OVER_LIMIT, f"the conversation's events have {long}: read them a page at a time")
            streams[conversation] += [msgspec.json.decode(event.body) for event in page]
            after = page[-1].seq
    return streams


def _vcon(row: Mapping[str, Any], events: _Events, origins: Mapping[str, _Events], store: AttachmentStore) -> bytes:
    return msgspec.json.encode(to_vcon(row, events, _Along(store), origins))


class _Along:
    """Files that go along with an export, while they fit. Blocks."""

    def __init__(self, store: AttachmentStore) -> None:
        self._store = store
        self._left = ALONG_BYTES_MAX

    def __call__(self, name: str) -> bytes | None:
        """The bytes; None where they are gone, or are too many."""
        try:
            if self._store.size(name) > self._left:
                return None
            body = self._store.read(name)
        except Refusal:
            return None
        self._left -= len(body)
        return body


def _cursor(before: str) -> Before | None:
    if not before:
        return None
    parts = before.split(",")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) <= 18 for part in parts):
        raise Refusal(Code.INVALID, "before must be the `next` of an earlier page", field="before")
    happened_at_ms, position, n = map(int, parts)
    return happened_at_ms, position, n


ROUTES: list[Any] = [get_timeline, get_vcon]
"""What `http.py` serves from here."""
