"""The policy over HTTP: check, compare, apply, look up, go back. For operators; whoever may read, may look."""

from typing import Annotated, Any

from litestar import get, post
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Struct

from orchestrator.bundles.differences import Difference
from orchestrator.bundles.reading import Wrong
from orchestrator.gateway.http.access import needs
from orchestrator.gateway.operations.operations import actor_of, id_of_request
from orchestrator.gateway.reads.reads import LARGEST, Limit
from orchestrator.gateway.services import HttpRequest, services_of, speaker_of
from orchestrator.policy.desk import Applied, PolicyDesk, Version
from protocol.errors import Code, Refusal
from protocol.inbound import WholeNumber

_OPERATORS = needs()
_READERS = needs("read")


class Bundle(Struct, kw_only=True, frozen=True):
    """A bundle's files: name → text, such as `general.yaml`."""

    files: dict[str, str]


class Application(Struct, kw_only=True, frozen=True):
    """A bundle to be applied. `base`: only if that is still the newest version. `id` as for every command."""

    files: dict[str, str]
    note: str = ""
    base: WholeNumber = 0
    id: str = ""


class Return(Struct, kw_only=True, frozen=True):
    """Which version to go back to."""

    version: WholeNumber
    note: str = ""
    id: str = ""


class CheckAnswer(Struct, kw_only=True, frozen=True):
    """Whether a bundle could be applied; else everything that is wrong with it. `remarks`: what could be, and looks
    mistyped."""

    valid: bool
    wrong: list[Wrong] = []
    remarks: list[Wrong] = []


class PolicyAnswer(Struct, kw_only=True, frozen=True):
    """What is in force. `troubles` are those of a watched folder's newest state, which therefore is not; `remarks` what
    a check of that folder asked, where it is."""

    version: int
    at_ms: int
    actor: str
    note: str
    files: dict[str, str]
    troubles: list[Wrong] = []
    remarks: list[Wrong] = []


@get("/v1/policy", needs=_READERS, tags=["policy"])
async def get_policy(request: HttpRequest) -> PolicyAnswer:
    """The version in force, with its files; none of them where it is made of the settings."""
    desk = _desk(request)
    known = await desk.version(desk.policy.version)
    return PolicyAnswer(
        version=known.version,
        at_ms=known.at_ms,
        actor=known.actor,
        note=known.note,
        files=known.files,
        troubles=desk.troubles,
        remarks=desk.remarks,
    )


@get("/v1/policy/versions", needs=_READERS, tags=["policy"])
async def get_policy_versions(
    request: HttpRequest,
    limit: Limit = 100,
    before: Annotated[int, QueryParameter(ge=0, le=LARGEST, description="Versions before this one.")] = 0,
) -> list[Version]:
    """Versions without their files, the newest first."""
    return await _desk(request).history(limit=limit, before=before)


@get("/v1/policy/versions/{version:int}", needs=_READERS, tags=["policy"])
async def get_policy_version(request: HttpRequest, version: FromPath[int]) -> Version:
    """One version with its files."""
    return await _desk(request).version(version)


@post("/v1/policy/check", needs=_READERS, status_code=200, tags=["policy"])
async def post_policy_check(request: HttpRequest, data: JSONBody[Bundle]) -> CheckAnswer:
    """Says everything that is wrong with a bundle, by file and line, with what to write instead. Changes nothing."""
    made = await _desk(request).check(data.files)
    return CheckAnswer(valid=not made.wrong, wrong=made.wrong, remarks=made.remarks)


@post("/v1/policy/diff", needs=_READERS, status_code=200, tags=["policy"])
async def post_policy_diff(request: HttpRequest, data: JSONBody[Bundle]) -> list[Difference]:
    """What a bundle would change of what is in force, rule by rule. Changes nothing."""
    return await _desk(request).diff(data.files)


@post("/v1/policy", needs=_OPERATORS, status_code=200, tags=["policy"])
async def post_policy(request: HttpRequest, data: JSONBody[Application]) -> Applied:
    """Makes a bundle the next version; answers when every cell that can be reached decides by it."""
    if not data.files:
        # Its rules would be the settings' and its accounts gone, which nobody means who sends nothing.
        raise Refusal(
            Code.INVALID, "files is empty: send the bundle's; version 1 has the settings' own rules", field="files"
        )
    actor = actor_of(speaker_of(request))
    id = id_of_request(request, data.id)
    return await _desk(request).apply(data.files, actor=actor, id=id, note=data.note, base=data.base)


@post("/v1/policy/rollback", needs=_OPERATORS, status_code=200, tags=["policy"])
async def post_policy_rollback(request: HttpRequest, data: JSONBody[Return]) -> Applied:
    """Makes an earlier version's bundle the next version. Nothing is taken out of the history."""
    actor = actor_of(speaker_of(request))
    return await _desk(request).roll_back(data.version, actor=actor, id=id_of_request(request, data.id), note=data.note)


def _desk(request: HttpRequest) -> PolicyDesk:
    desk = services_of(request).policy
    if desk is None:
        raise Refusal(Code.UNAVAILABLE, "this gateway has no policy desk")
    return desk


ROUTES: list[Any] = [
    get_policy,
    get_policy_versions,
    get_policy_version,
    post_policy_check,
    post_policy_diff,
    post_policy,
    post_policy_rollback,
]
"""What `http.py` serves from here."""
