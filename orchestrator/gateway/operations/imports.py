"""Importing over HTTP: contacts of the past, by an operator, each answered after its commit."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

from litestar import post
from litestar.params import JSONBody
from msgspec import Meta, Struct

from orchestrator.gateway.http.access import needs
from orchestrator.gateway.http.bodies import EventAnswer
from orchestrator.gateway.peers import Intake
from orchestrator.gateway.services import HttpRequest, Services, services_of
from orchestrator.way_in.answers import in_time
from protocol.errors import Code, Refusal
from protocol.inbound import InboundEvent
from protocol.links import Answered

BATCH_MAX = 200
"""Contacts of one request."""


class ImportRequest(Struct, kw_only=True, frozen=True):
    """Contacts of the past, as inbound events whose data is `throughline.conversation.past`. `dry_run`: only check."""

    events: Annotated[list[InboundEvent], Meta(max_length=BATCH_MAX)]
    dry_run: bool = False


@post("/v1/import", needs=needs(), status_code=200, tags=["events"])
async def post_import(request: HttpRequest, data: JSONBody[ImportRequest]) -> list[EventAnswer]:
    """Takes contacts of the past in, once each, at their own times, closed: nobody is woken and nothing is sent.

    A result for each, in order: `committed`, `repeat` or `refused`; of a dry run `known` or `new`, as the customer is.
    """
    here = services_of(request)
    return await (_look(here, data.events) if data.dry_run else take_in(here.intake, data.events))


async def take_in(intake: Intake, events: Sequence[InboundEvent]) -> list[EventAnswer]:
    """Takes contacts of the past in, and answers each after its commit. Raises `Refusal` (`UNAVAILABLE`) where nothing
    can be written."""
    intake.check_writing("")
    # All are taken before the first is awaited: they are committed together, and each customer's in their order.
    taken = [_take(intake, event) for event in events]
    return [await _result(event, outcome) for event, outcome in zip(events, taken, strict=True)]


def _take(intake: Intake, event: InboundEvent) -> asyncio.Future[Answered | Refusal]:
    future: asyncio.Future[Answered | Refusal] = asyncio.get_running_loop().create_future()
    intake.take(event, lambda outcome: None if future.done() else future.set_result(outcome), past=True)
    return future


async def _result(event: InboundEvent, future: asyncio.Future[Answered | Refusal]) -> EventAnswer:
    try:
        outcome = await in_time(future, event.id)
    except Refusal as late:
        outcome = late
    if isinstance(outcome, Refusal):
        return _refused(event, outcome)
    if outcome.status == "quarantined":
        return _refused(event, Refusal(Code.DIGEST_CONFLICT, "another contact came under this id before"))
    return EventAnswer(
        id=event.id, status=outcome.status, conversation=outcome.stream, seq=outcome.seq, position=outcome.position
    )


async def _look(here: Services, events: list[InboundEvent]) -> list[EventAnswer]:
    """What would become of them: checked as they would be, and nothing is taken."""
    answers: dict[int, EventAnswer] = {}
    checked: dict[int, InboundEvent] = {}
    for n, event in enumerate(events):
        try:
            checked[n] = here.intake.check(event, past=True)
        except Refusal as refusal:
            answers[n] = _refused(event, refusal)
    known = await here.identities.customers_of([i for event in checked.values() for i in event.identities])
    for n, event in checked.items():
        customer = next((known[identity] for identity in event.identities if identity in known), "")
        answers[n] = EventAnswer(id=event.id, status="known" if customer else "new", conversation=customer)
    return [answers[n] for n in range(len(events))]


def _refused(event: InboundEvent, refusal: Refusal) -> EventAnswer:
    return EventAnswer(id=event.id, status="refused", code=refusal.code, message=refusal.message, field=refusal.field)


ROUTES: list[Any] = [post_import]
"""What `http.py` serves from here."""
