"""Reads over HTTP: what is known of a customer now, from the live actor; history and lists, from the archive.

Every answer from the archive carries the `position` it is of. `at_least` asks for one that sees a given write: it waits
for the archive, within a bound.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from litestar import get
from litestar.params import FromPath, FromQuery, QueryParameter

from actors.telling import STRANGERS
from orchestrator.following import reach
from orchestrator.gateway.http.access import needs
from orchestrator.gateway.http.bodies import ConversationsAnswer
from orchestrator.gateway.reads.gone import check_kept, in_words
from orchestrator.gateway.services import HttpRequest, Services, services_of
from orchestrator.way_in.event_checks import CHANNEL_MAX
from protocol.entities import CustomerView, Status
from protocol.errors import Code, Refusal
from protocol.identities import TELEPHONE_KINDS, former_spellings
from protocol.links import CustomerRead, ReadCustomer

AT_LEAST_WITHIN_S = 5.0
"""How long a read waits for the archive before `POSITION_NOT_REACHED`."""
READ_WITHIN_S = 5.0
"""How long `GET /v1/context` waits for the live actor: an IVR greets without context rather than late."""
PAGE_MAX = 1000
STATUSES = tuple(status.value for status in Status)

LISTS = ("queue", "owner", "customer")
LARGEST = 2**53
"""Of a number in a request: none here is larger, and one that is fits no column of the archive."""
AtLeast = Annotated[
    int, QueryParameter(ge=0, le=LARGEST, description="Wait until the archive has the journal up to here.")
]
Limit = Annotated[int, QueryParameter(ge=1, le=PAGE_MAX, description="Rows of one page.")]
Time = Annotated[int, QueryParameter(ge=0, le=LARGEST, description="Milliseconds since 1970 UTC; 0 is no bound.")]
_READERS = needs("read", "agent")


def check_span(since_ms: int, until_ms: int, *, since: str = "from_ms") -> None:
    """Raises `Refusal` for a time that ends before it begins: nothing is in it, and nobody asks for that."""
    if 0 < until_ms < since_ms:
        raise Refusal(Code.INVALID, f"until_ms lies before {since}: there is nothing in between", field="until_ms")


@get("/v1/context", needs=_READERS, tags=["reads"])
async def get_context(
    request: HttpRequest,
    identity: Annotated[str, QueryParameter(description="kind:value, such as tel:%2B447700900123 (a + is %2B)")] = "",
    channel: Annotated[
        str, QueryParameter(description="where you speak, such as phone: what it may not carry is left out")
    ] = "",
) -> CustomerView:
    """What is known of a customer now, committed: open conversations with their context, intent, the last steps in
    words, and `suggested_greeting`, a sentence a machine may say first, which names no issue where the policy says that
    several people share the identity (`shared`). Where nobody has the identity, that of who has the same address under
    the kind that the policy calls `alike`, or as an earlier version spelled it. 404 where nobody has it either."""
    here = services_of(request)
    if not identity:
        raise Refusal(Code.INVALID, "identity is missing: ?identity=kind:value", field="identity")
    if len(channel) > CHANNEL_MAX or not channel.isprintable():
        raise Refusal(Code.INVALID, f"channel is a word of at most {CHANNEL_MAX} characters", field="channel")
    asked, unknown = spellings_in(here, with_plus(identity))
    if asked and (remembered := here.intake.known(asked[0])) is not None:
        view = await _view(here, remembered, asked[:1], channel)
        if view is not None and asked[0] in view.identities:  # Else it has changed hands since.
            return view
    owners = await here.identities.customers_of(asked)
    found = next((each for each in asked if each in owners), None)
    if found is None:
        raise unknown
    view = await _view(here, owners[found], (asked[0], found), channel)
    if view is None:
        raise Refusal(Code.NOT_FOUND, "nothing is known of this customer", field="identity")
    return view


def spellings_in(here: Services, identity: str) -> tuple[list[str], Refusal]:
    """What to look for, the address as it is spelled now first, and what to say where nobody has any. What is no
    identity by now may have been let in by an earlier program, or while its channel was there."""
    former = former_spellings(identity)
    try:
        spelled = here.intake.spelled(identity)
    except Refusal as refusal:
        return former, Refusal(refusal.code, refusal.message, field="identity")
    asked = dict.fromkeys([spelled, *here.intake.alike_to([spelled]), *former])
    return list(asked), Refusal(Code.NOT_FOUND, "no customer has this identity", field="identity")


async def _view(here: Services, customer: str, by: Sequence[str], channel: str) -> CustomerView | None:
    """What the live actor knows of a customer, for whoever asked `by` an identity, and found another of the same
    address; None where that is nothing."""
    reply = await here.cells.call(customer, lambda ref: ReadCustomer(ref, customer, channel), timeout_s=READ_WITHIN_S)
    view = reply.view if isinstance(reply, CustomerRead) else None
    if view is not None and here.policy is not None and any(map(here.policy.policy.identity.is_shared, by)):
        return msgspec.structs.replace(view, shared=True, suggested_greeting=STRANGERS)
    return view


@get("/v1/conversations", needs=_READERS, narrower="ask for a list or a customer", tags=["reads"])
async def get_conversations(
    request: HttpRequest,
    list: Annotated[
        str, QueryParameter(description="queue:<name> or owner:<agent>: theirs and what is offered to them")
    ] = "",
    customer: FromQuery[str] = "",
    status: Annotated[str, QueryParameter(description="open, snoozed, resolved or closed")] = "",
    limit: Limit = 100,
    before: Annotated[str, QueryParameter(description="the `next` of the page before")] = "",
    at_least: AtLeast = 0,
) -> ConversationsAnswer:
    """Conversations, the newest change first, a page at a time."""
    if status and status not in STATUSES:
        raise Refusal(Code.INVALID, f"status must be one of {', '.join(STATUSES)}", field="status")
    if list:
        _check_list(list)
    here = services_of(request)
    position = await _reach(here, at_least)
    cursor = _cursor(before, "before")
    rows = await here.archive.conversations(list=list, customer=customer, status=status, limit=limit, before=cursor)
    following = f"{rows[-1].updated_at_ms},{rows[-1].conversation}" if len(rows) == limit else ""
    return ConversationsAnswer(position=position, conversations=[*rows], next=following)


@get("/v1/conversations/{conversation:str}", needs=_READERS, tags=["reads"])
async def get_conversation(
    request: HttpRequest,
    conversation: FromPath[str],
    after: Annotated[int, QueryParameter(ge=0, le=LARGEST, description="Events after this seq.")] = 0,
    limit: Limit = 200,
    at_least: AtLeast = 0,
) -> dict[str, Any]:
    """One conversation's columns, its `interactions`, `context`, `missing` fields, `relations` with their reasons,
    `deliveries`, `handoffs`, `keys`, `moved`, `corrections` and `repeats`, and a page of its `events` in order of
    `seq`; `next_after` is the following page's `after`, 0 at the end. `dropped` says when and by which policy version
    retention took what was in it; null where it did not."""
    here = services_of(request)
    position = await _reach(here, at_least)
    row = await here.archive.conversation(conversation)
    if row is None:
        raise Refusal(Code.NOT_FOUND, "there is no such conversation", ref=conversation)
    stored = await here.archive.events_of_stream(conversation, after, limit)
    events = [{"seq": event.seq, **msgspec.json.decode(event.body)} for event in stored]
    dropped = await here.archive.dropped("conversation", conversation)
    following = stored[-1].seq if stored.more else 0
    gone = None if dropped is None else in_words(dropped)
    return {**row, "position": position, "events": events, "next_after": following, "dropped": gone}


@get("/v1/conversations/{conversation:str}/handoffs", needs=_READERS, tags=["reads"])
async def get_handoffs(request: HttpRequest, conversation: FromPath[str], at_least: AtLeast = 0) -> dict[str, Any]:
    """A conversation's `handoffs`, the oldest first: who offered it to whom, with which `package`, what was `missing`,
    and how it ended."""
    here = services_of(request)
    position = await _reach(here, at_least)
    if await here.archive.conversation(conversation) is None:
        raise Refusal(Code.NOT_FOUND, "there is no such conversation", ref=conversation)
    await check_kept(here.archive, "conversation", conversation)
    return {"position": position, "handoffs": [dict(row) for row in await here.archive.handoffs(conversation)]}


@get("/v1/conversations/{conversation:str}/interactions/{interaction:int}/messages", needs=_READERS, tags=["reads"])
async def get_messages(
    request: HttpRequest,
    conversation: FromPath[str],
    interaction: FromPath[int],
    limit: Limit = PAGE_MAX,
    after: Annotated[str, QueryParameter(description="the `next` of the page before")] = "",
    at_least: AtLeast = 0,
) -> dict[str, Any]:
    """A page of what was said in one interaction, oldest first, also where a correction has moved it here: a message's
    own `conversation` is the one whose journal it is in. `next` is the following page's `after`, empty at the end."""
    here = services_of(request)
    position = await _reach(here, at_least)
    place = conversation, min(interaction, LARGEST)
    messages = await here.archive.messages_of(*place, limit=limit, after=_message(after))
    if messages is None:
        await check_kept(here.archive, "conversation", conversation)
        raise Refusal(Code.NOT_FOUND, "there is no such interaction in this conversation", ref=conversation)
    last = messages[-1] if messages.more else None
    following = f"{last['position']},{last['seq']},{last['conversation']}" if last else ""
    answer = {"conversation": conversation, "interaction": interaction, "messages": messages, "next": following}
    return answer | {"position": position}


@get(
    "/v1/customers/{customer:str}/journey",
    needs=_READERS,
    narrower="ask for a smaller page: limit",
    tags=["reads"],
)
async def get_journey(
    request: HttpRequest,
    customer: FromPath[str],
    limit: Limit = PAGE_MAX,
    after: Annotated[str, QueryParameter(description="the `next` of the page before")] = "",
    at_least: AtLeast = 0,
) -> dict[str, Any]:
    """A customer across channels: `identities`, and a page of `conversations`, the oldest first, with their
    interactions and relations; `next` is the following page's `after`, empty at the end."""
    here = services_of(request)
    position = await reach(here.history, at_least, within_s=AT_LEAST_WITHIN_S)
    journey = await here.history.journey(customer, limit=limit, after=_cursor(after, "after"))
    if journey is None:
        raise Refusal(Code.NOT_FOUND, "there is no such customer", ref=customer)
    rows = journey["conversations"]
    following = f"{rows[-1]['opened_at_ms']},{rows[-1]['conversation']}" if len(rows) == limit else ""
    return {**journey, "next": following, "position": position}


async def _reach(here: Services, at_least: int) -> int:
    return await reach(here.archive, at_least, within_s=AT_LEAST_WITHIN_S)


def with_plus(identity: str) -> str:
    """The identity that was meant: a query's bare `+` arrives as a space, and no phone number begins with one."""
    kind, colon, value = identity.partition(":")
    meant = colon and kind.strip().lower() in TELEPHONE_KINDS and value.startswith(" ") and value[1:2].isdigit()
    return f"{kind}:+{value[1:]}" if meant else identity


def _cursor(before: str, field: str) -> tuple[int, str] | None:
    if not before:
        return None
    updated, comma, conversation = before.partition(",")
    if not comma or not updated.isascii() or not updated.isdigit() or len(updated) > 16:
        raise Refusal(Code.INVALID, f"{field} must be the `next` of an earlier page", field=field)
    return int(updated), conversation


def _message(after: str) -> tuple[int, int, str] | None:
    if not after:
        return None
    position, _, rest = after.partition(",")
    seq, _, conversation = rest.partition(",")
    if not conversation or not all(each.isascii() and each.isdigit() and len(each) <= 16 for each in (position, seq)):
        raise Refusal(Code.INVALID, "after must be the `next` of an earlier page", field="after")
    return int(position), int(seq), conversation


ROUTES: list[Any] = [get_context, get_conversations, get_conversation, get_messages, get_handoffs, get_journey]
"""What `http.py` serves from here."""


def _check_list(name: str) -> None:
    kind, _, value = name.partition(":")
    if kind not in LISTS or not value:
        raise Refusal(Code.INVALID, "list must be queue:<name>, owner:<agent> or customer:<id>", field="list")
