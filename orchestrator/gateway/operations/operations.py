"""Operations over HTTP: commands, quarantine, outbox. What agents do over WebSocket, and what operators do besides."""

from typing import Annotated, Any

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import Struct

from adapters.stores.archive.quarantine import InputsWanted
from orchestrator.gateway.http.access import needs
from orchestrator.gateway.http.bodies import CommandAnswer
from orchestrator.gateway.incoming.replaying import ReplayRequest, quarantined, readable, replay
from orchestrator.gateway.reads.gone import check_kept
from orchestrator.gateway.reads.reads import LARGEST, Limit, check_span
from orchestrator.gateway.services import HttpRequest, services_of, speaker_of
from orchestrator.tokens import Token
from orchestrator.way_in.event_checks import ID_MAX
from protocol.commands import SERVERS_OWN, AnyCommand, ReplayDelivery, SettleDelivery
from protocol.errors import Code, Refusal
from protocol.ids import conversation_of
from protocol.links import Answered

POSITION_HEADER = "Throughline-Position"
"""Carries the archive's position where the body is a bare list."""
IDEMPOTENCY_KEY = "idempotency-key"
MS_MAX = 2**53
"""Later than any time there is."""
STATES = ("queued", "attempting", "waiting", "uncertain", "dead")

_COMMANDERS = needs("agent")
_OPERATORS = needs()


class Settlement(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What somebody found out about a delivery."""

    external_id: str = ""
    """The provider's id of it, where it is known."""
    left: bool = True
    """False: it did not leave, and is a dead letter."""


class CommandRequest(Struct, kw_only=True, frozen=True):
    """A command. `id`, or the header Idempotency-Key, names it: the same id has one effect and repeats its result.
    Without either, a repeated request is a second command; two that differ are refused."""

    command: AnyCommand
    id: str = ""


# Commands


@post("/v1/conversations/{conversation:str}/commands", needs=_COMMANDERS, status_code=200, tags=["commands"])
async def post_conversation_command(
    request: HttpRequest, conversation: FromPath[str], data: JSONBody[CommandRequest]
) -> CommandAnswer:
    """Asks something of a conversation; answers after the commit."""
    return await _command(request, data, conversation=conversation)


@post("/v1/customers/{customer:str}/commands", needs=_COMMANDERS, status_code=200, tags=["commands"])
async def post_customer_command(
    request: HttpRequest, customer: FromPath[str], data: JSONBody[CommandRequest]
) -> CommandAnswer:
    """Asks something of a customer, such as `link_identity`; answers after the commit."""
    return await _command(request, data, customer=customer)


async def _command(
    request: HttpRequest, asked: CommandRequest, *, conversation: str = "", customer: str = ""
) -> CommandAnswer:
    if (instead := SERVERS_OWN.get(type(asked.command))) is not None:
        raise Refusal(Code.INVALID, f"this command is the server's own; see {instead}", field="do")
    id = id_of_request(request, asked.id)
    here = services_of(request)
    answered = await here.intake.command(
        actor=actor_of(speaker_of(request)), id=id, command=asked.command, conversation=conversation, customer=customer
    )
    return _answer(id, answered)


def id_of_request(request: HttpRequest, in_body: str = "") -> str:
    """The command's id: the header's or the body's, else one that nobody has. Raises `Refusal` where the two differ:
    whoever repeats the request under one of them would find that the other had no effect."""
    in_header = request.headers.get(IDEMPOTENCY_KEY, "")
    id = in_header or in_body or services_of(request).new_id()
    if len(id) > ID_MAX:
        raise Refusal(Code.INVALID, f"a command's id has at most {ID_MAX} characters", field="id")
    if in_body and in_body != id:
        said = f"the header Idempotency-Key says {in_header[:64]!r} and the body's id {in_body[:64]!r}"
        raise Refusal(Code.INVALID, f"{said}: send one, or the same", field="id")
    return id


def actor_of(token: Token) -> str:
    """Who asks, as the journal names them."""
    return f"operator:{token.name}" if token.operator else f"agent:{token.name}"


def _answer(id: str, answered: Answered) -> CommandAnswer:
    return CommandAnswer(
        id=id, status=answered.status, stream=answered.stream, seq=answered.seq, position=answered.position
    )


# Quarantine


@get(
    "/v1/quarantine",
    needs=_OPERATORS,
    narrower="ask for a shorter time: since_ms, until_ms",
    tags=["quarantine"],
)
async def get_quarantine(
    request: HttpRequest,
    account: FromQuery[str] = "",
    code: Annotated[int, QueryParameter(ge=0, le=LARGEST, description="A code of the error table.")] = 0,
    field: Annotated[str, QueryParameter(description="The field at fault.")] = "",
    rule: Annotated[str, QueryParameter(description="`schema`, `once` or `capture:<template>`")] = "",
    since_ms: Annotated[int, QueryParameter(ge=0, le=LARGEST, description="Refused then or later.")] = 0,
    until_ms: Annotated[
        int, QueryParameter(ge=0, le=LARGEST, description="Refused then or earlier; 0: until now.")
    ] = 0,
    waiting: Annotated[bool, QueryParameter(description="Without those that came in after all.")] = False,
    limit: Limit = 100,
    before: Annotated[str, QueryParameter(description="`at_ms,quarantine` of the last row of the page before")] = "",
) -> Response[list[dict[str, Any]]]:
    """Quarantined inputs without their bytes, the newest first."""
    check_span(since_ms, until_ms, since="since_ms")
    here = services_of(request)
    position = await here.archive.position()
    at_ms, _, quarantine = before.partition(",")
    if before and not (at_ms.isascii() and at_ms.isdigit() and len(at_ms) <= 16 and quarantine):
        raise Refusal(Code.INVALID, "before must be `at_ms,quarantine` of a row", field="before")
    wanted = InputsWanted(
        account=account,
        code=code,
        field=field,
        rule=rule,
        since_ms=min(since_ms, MS_MAX),
        until_ms=min(until_ms or MS_MAX, MS_MAX),
        waiting=waiting,
    )
    page = (int(at_ms), quarantine) if before else None
    rows = await here.archive.quarantine(wanted, limit=limit, before=page)
    return Response([dict(row) for row in rows], headers={POSITION_HEADER: str(position)})


@get("/v1/quarantine/{quarantine:str}", needs=_OPERATORS, tags=["quarantine"])
async def get_quarantined(request: HttpRequest, quarantine: FromPath[str]) -> dict[str, Any]:
    """One quarantined input, whole, with what refused it: `field`, `reason`, the `rule` and the `policy` version.

    `raw` is Base64 of what came, `text` the same where it is UTF-8; `event` is the event in it, where one can be read:
    edited, it may be replayed. `edited` is the event of the last replay that changed it, `refused_reason` what that one
    or another met.
    """
    here = services_of(request)
    row = await quarantined(here, quarantine)
    row["event"] = await readable(here, row)
    raw = bytes(row["raw"])
    edited = row.get("edited")
    row["edited"] = msgspec.json.decode(edited) if edited else None
    try:
        return {**row, "raw": raw, "text": raw.decode()}
    except UnicodeDecodeError:
        return {**row, "raw": raw, "text": None}


@post("/v1/quarantine/{quarantine:str}/replay", needs=_OPERATORS, status_code=200, tags=["quarantine"])
async def post_quarantine_replay(
    request: HttpRequest, quarantine: FromPath[str], data: JSONBody[ReplayRequest | None] = None
) -> CommandAnswer:
    """Takes a quarantined input in after all, once, at its own time: the same checks decide again, by today's settings
    and policy. The body may edit the event, or say whose it is."""
    actor = actor_of(speaker_of(request))
    return _answer(quarantine, await replay(services_of(request), quarantine, data or ReplayRequest(), actor))


# Outbox


@get("/v1/outbox", needs=_OPERATORS, tags=["outbox"])
async def get_outbox(
    request: HttpRequest,
    states: Annotated[
        str, QueryParameter(description=f"Separated by commas, of {', '.join(STATES)}; all without it.")
    ] = "",
    limit: Limit = 100,
) -> Response[list[dict[str, Any]]]:
    """Deliveries that have not left, the longest queued first."""
    wanted = [state.strip() for state in states.split(",") if state.strip()]
    if not set(wanted) <= set(STATES):
        raise Refusal(Code.INVALID, f"states are {', '.join(STATES)}", field="states")
    here = services_of(request)
    position = await here.archive.position()
    rows = await here.archive.outbox(wanted or STATES, limit)
    return Response([dict(row) for row in rows], headers={POSITION_HEADER: str(position)})


@post("/v1/outbox/{delivery:str}/replay", needs=_OPERATORS, status_code=200, tags=["outbox"])
async def post_outbox_replay(request: HttpRequest, delivery: FromPath[str]) -> CommandAnswer:
    """Sends a dead or held delivery again, under its idempotency key."""
    return await _of_delivery(request, ReplayDelivery(delivery=delivery))


@post("/v1/outbox/{delivery:str}/settle", needs=_OPERATORS, status_code=200, tags=["outbox"])
async def post_outbox_settle(
    request: HttpRequest, delivery: FromPath[str], data: JSONBody[Settlement | None] = None
) -> CommandAnswer:
    """Says that a held delivery did leave, as somebody found out: it is not sent again. Or, with `left: false`, that it
    did not: it is a dead letter then."""
    found = data or Settlement()
    command = SettleDelivery(delivery=delivery, external_id=found.external_id, left=found.left)
    return await _of_delivery(request, command)


async def _of_delivery(request: HttpRequest, command: ReplayDelivery | SettleDelivery) -> CommandAnswer:
    conversation = conversation_of(command.delivery)
    if not conversation:
        raise Refusal(Code.NOT_FOUND, "there is no such delivery", ref=command.delivery)
    id = id_of_request(request)
    await check_kept(services_of(request).archive, "delivery", command.delivery)
    answered = await services_of(request).intake.command(
        actor=actor_of(speaker_of(request)), id=id, command=command, conversation=conversation
    )
    return _answer(id, answered)


ROUTES: list[Any] = [
    post_conversation_command,
    post_customer_command,
    get_quarantine,
    get_quarantined,
    post_quarantine_replay,
    get_outbox,
    post_outbox_replay,
    post_outbox_settle,
]
"""What `http.py` serves from here."""
