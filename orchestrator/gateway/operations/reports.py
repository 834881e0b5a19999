"""Reports over HTTP: where context gets lost, and what becomes of what stands out. Operators act, others look."""

from typing import Annotated, Any

from litestar import get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import Struct

from adapters.stores.archive.findings import STATES
from adapters.stores.archive.losses import LossesWanted
from orchestrator.gateway.http.access import needs
from orchestrator.gateway.operations.operations import actor_of, id_of_request
from orchestrator.gateway.reads.reads import Limit, Time, check_span
from orchestrator.gateway.services import HttpRequest, services_of, speaker_of
from orchestrator.report.desk import ReportDesk
from orchestrator.report.schedule import week_of
from protocol.errors import Code, Refusal
from protocol.inbound import WholeNumber

_OPERATORS = needs()
_READERS = needs("read")


class Resolution(Struct, kw_only=True, frozen=True):
    """In which version of the policy a finding was changed; 0: in the one in force. `id` as for every command."""

    version: WholeNumber = 0
    id: str = ""


class Dismissal(Struct, kw_only=True, frozen=True):
    """Why a finding needs no change."""

    reason: str
    id: str = ""


class Run(Struct, kw_only=True, frozen=True):
    """A report that is wanted now."""

    id: str = ""


@get(
    "/v1/reports/context-loss",
    needs=_READERS,
    narrower="ask for a week, or for a few (from_ms, until_ms)",
    tags=["reports"],
)
async def get_context_loss(
    request: HttpRequest,
    from_ms: Time = 0,
    until_ms: Time = 0,
    week: Annotated[str, QueryParameter(description="A day such as 2026-11-25: its week, in UTC.")] = "",
    channel: Annotated[str, QueryParameter(description="On either side of a pair.")] = "",
    team: Annotated[str, QueryParameter(description="A queue.")] = "",
    product_line: FromQuery[str] = "",
) -> dict[str, Any]:
    """Where context was lost: `rows` by measure, channel pair, team, product line and week, each with its `count`, how
    many `occasions` there were, the newest `examples`, its `meaning`, `mend`, the file of the policy bundle to look at
    (`sender`: what sends to the account), and `rule`, the one in it that more than half of them lead to. What retention
    dropped is not counted: `retained` says of which kind, before when (`before_ms`), and by which policy version."""
    if week and (from_ms or until_ms):
        raise Refusal(Code.INVALID, "week is a time of its own: leave from_ms and until_ms out", field="week")
    check_span(from_ms, until_ms)
    if week:
        from_ms, until_ms = _week(week)
    here = services_of(request)
    wanted = LossesWanted(from_ms=from_ms, until_ms=until_ms, channel=channel, team=team, product=product_line)
    position = await here.counting.position()
    rows = [*await here.counting.losses(wanted)]
    return {"position": position, "rows": rows, "retained": [dict(row) for row in await here.counting.retained()]}


@get("/v1/reports/context-loss/findings", needs=_READERS, tags=["reports"])
async def get_findings(
    request: HttpRequest,
    states: Annotated[
        str, QueryParameter(description=f"Separated by commas, of {', '.join(STATES)}; all without it.")
    ] = "",
    limit: Limit = 100,
    before: Annotated[str, QueryParameter(description="the `next` of the page before")] = "",
) -> dict[str, Any]:
    """Lines of reports that stood out by the policy's threshold, the newest first, and what became of each."""
    wanted = [each.strip() for each in states.split(",") if each.strip()]
    if not set(wanted) <= set(STATES):
        raise Refusal(Code.INVALID, f"states are {', '.join(STATES)}", field="states")
    desk = _desk(request)
    position = await desk.archive.position()
    rows = await desk.archive.findings(wanted or STATES, limit, _cursor(before))
    following = f"{rows[-1]['opened_at_ms']},{rows[-1]['finding']}" if len(rows) == limit else ""
    return {"position": position, "findings": rows, "next": following}


@get("/v1/reports/context-loss/findings/{finding:str}", needs=_READERS, tags=["reports"])
async def get_finding(request: HttpRequest, finding: FromPath[str]) -> dict[str, Any]:
    """One finding with its `history`, the events that made it."""
    return await _desk(request).finding(finding)


@post(
    "/v1/reports/context-loss/findings/{finding:str}/resolve",
    needs=_OPERATORS,
    status_code=200,
    tags=["reports"],
)
async def post_finding_resolve(
    request: HttpRequest, finding: FromPath[str], data: JSONBody[Resolution]
) -> dict[str, Any]:
    """Says that a finding was changed in a version; a whole window later a report compares before and after. A version
    that changes the file a finding points at is noted without it."""
    id = id_of_request(request, data.id)
    return await _desk(request).resolve(finding, data.version, actor=actor_of(speaker_of(request)), id=id)


@post(
    "/v1/reports/context-loss/findings/{finding:str}/dismiss",
    needs=_OPERATORS,
    status_code=200,
    tags=["reports"],
)
async def post_finding_dismiss(
    request: HttpRequest, finding: FromPath[str], data: JSONBody[Dismissal]
) -> dict[str, Any]:
    """Says that a finding needs no change, and why."""
    id = id_of_request(request, data.id)
    return await _desk(request).dismiss(finding, data.reason, actor=actor_of(speaker_of(request)), id=id)


@get("/v1/reports/context-loss/runs", needs=_READERS, tags=["reports"])
async def get_runs(request: HttpRequest, limit: Limit = 100) -> list[dict[str, Any]]:
    """Reports that were made, by the policy's schedule or on demand, the newest first."""
    return await _desk(request).archive.reports(limit)


@post(
    "/v1/reports/context-loss/runs",
    needs=_OPERATORS,
    narrower="the policy's report.yaml has a shorter window, or leave it to the schedule, which has the time it takes",
    status_code=200,
    tags=["reports"],
)
async def post_run(request: HttpRequest, data: JSONBody[Run]) -> dict[str, Any]:
    """Makes a report of the policy's window up to now: opens findings, and compares those that were changed."""
    return await _desk(request).make(actor=actor_of(speaker_of(request)), id=id_of_request(request, data.id))


def _desk(request: HttpRequest) -> ReportDesk:
    desk = services_of(request).report
    if desk is None:
        raise Refusal(Code.UNAVAILABLE, "this gateway has no report desk")
    return desk


def _week(day: str) -> tuple[int, int]:
    try:
        return week_of(day)
    except (ValueError, OverflowError) as exc:
        raise Refusal(Code.INVALID, "week: write a day such as 2026-11-25", field="week") from exc


def _cursor(before: str) -> tuple[int, str] | None:
    if not before:
        return None
    at_ms, _, finding = before.partition(",")
    if not (at_ms.isascii() and at_ms.isdigit() and len(at_ms) <= 16 and finding):
        raise Refusal(Code.INVALID, "before must be the `next` of an earlier page", field="before")
    return int(at_ms), finding


ROUTES: list[Any] = [
    get_context_loss,
    get_findings,
    get_finding,
    post_finding_resolve,
    post_finding_dismiss,
    get_runs,
    post_run,
]
"""What `http.py` serves from here."""
