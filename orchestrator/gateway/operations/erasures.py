"""Erasures over HTTP: asked of a running server, carried out when it is stopped (`orchestrator.erasure.pending`)."""

import asyncio
from typing import Any

import msgspec
from litestar import get, post
from litestar.params import FromPath, JSONBody
from msgspec import Struct

from orchestrator.erasure.pending import WAITING_MAX, Waiting, ask, waiting, withdraw
from orchestrator.gateway.http.access import needs
from orchestrator.gateway.incoming.replaying import quarantined
from orchestrator.gateway.operations.operations import actor_of
from orchestrator.gateway.services import HttpRequest, Services, services_of, speaker_of
from protocol.errors import Code, Refusal
from protocol.ids import ACCOUNT

_OPERATORS = needs()
REASON_MAX = 1000


class ErasureRequest(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Why; it is kept with the act, so name nobody in it."""

    reason: str


@get("/v1/erasures", needs=_OPERATORS, tags=["erasure"])
async def get_erasures(request: HttpRequest) -> list[dict[str, Any]]:
    """Erasures that wait for the server to be stopped, the longest first; `refused` says why one could not be carried
    out when it was tried. Until then nothing of the person is gone."""
    found = await asyncio.to_thread(waiting, services_of(request).erasures)
    return [msgspec.structs.asdict(each) for each in found]


@post("/v1/customers/{customer:str}/erasure", needs=_OPERATORS, status_code=202, tags=["erasure"])
async def post_erasure(request: HttpRequest, customer: FromPath[str], data: JSONBody[ErasureRequest]) -> Waiting:
    """Has a customer erased when the server is next stopped or started. Nothing is gone before."""
    here = services_of(request)
    reason = _reason(data)
    journey = await here.history.journey(customer, limit=0)
    if journey is None:
        raise Refusal(Code.NOT_FOUND, "there is no such customer", ref=customer)
    # It would be refused when it is carried out, and whoever asked has gone home by then.
    if others := [each for each in (journey["customer"], *journey.get("members", ())) if each != customer]:
        text = f"{customer} is merged with {', '.join(others)}: unmerge them, and then erase each"
        raise Refusal(Code.NOT_ALLOWED_NOW, text, ref=customer)
    actor = actor_of(speaker_of(request))
    return await _ask(here, Waiting(customer=customer, actor=actor, reason=reason, asked_at_ms=here.now_ms()))


@post("/v1/customers/{customer:str}/erasure/withdraw", needs=_OPERATORS, status_code=200, tags=["erasure"])
async def post_erasure_withdraw(request: HttpRequest, customer: FromPath[str]) -> dict[str, str]:
    """Takes back an erasure that waits."""
    if not await asyncio.to_thread(withdraw, services_of(request).erasures, customer):
        raise Refusal(Code.NOT_FOUND, "no erasure of this customer waits", ref=customer[:64])
    return {"customer": customer}


@post("/v1/quarantine/{quarantine:str}/erasure", needs=_OPERATORS, status_code=202, tags=["erasure"])
async def post_input_erasure(
    request: HttpRequest, quarantine: FromPath[str], data: JSONBody[ErasureRequest]
) -> Waiting:
    """Has one input that an account refused erased when the server is next stopped or started. Nothing is gone before.
    What a customer's quarantine has goes with the customer."""
    here = services_of(request)
    reason = _reason(data)
    stream = (await quarantined(here, quarantine))["stream"]
    if not stream.startswith(ACCOUNT):
        raise Refusal(Code.NOT_ALLOWED_NOW, f"it is kept for {stream}: erase that customer", ref=quarantine)
    actor = actor_of(speaker_of(request))
    asked = Waiting(customer="", quarantine=quarantine, actor=actor, reason=reason, asked_at_ms=here.now_ms())
    return await _ask(here, asked)


@post("/v1/quarantine/{quarantine:str}/erasure/withdraw", needs=_OPERATORS, status_code=200, tags=["erasure"])
async def post_input_erasure_withdraw(request: HttpRequest, quarantine: FromPath[str]) -> dict[str, str]:
    """Takes back the erasure of an input that waits."""
    if not await asyncio.to_thread(withdraw, services_of(request).erasures, quarantine):
        raise Refusal(Code.NOT_FOUND, "no erasure of this input waits", ref=quarantine[:128])
    return {"quarantine": quarantine}


def _reason(data: ErasureRequest) -> str:
    if not data.reason.strip() or len(data.reason) > REASON_MAX:
        raise Refusal(Code.INVALID, f"reason says why, in at most {REASON_MAX} characters", field="reason")
    return data.reason.strip()


async def _ask(here: Services, asked: Waiting) -> Waiting:
    if len(await asyncio.to_thread(waiting, here.erasures)) >= WAITING_MAX:
        raise Refusal(Code.OVER_LIMIT, f"{WAITING_MAX} erasures wait: stop the server and start it again")
    await asyncio.to_thread(ask, here.erasures, asked)
    return asked


ROUTES: list[Any] = [
    get_erasures,
    post_erasure,
    post_erasure_withdraw,
    post_input_erasure,
    post_input_erasure_withdraw,
]
"""What `http.py` serves from here."""
