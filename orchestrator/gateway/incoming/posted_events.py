"""`POST /v1/events`: CloudEvents in, each answered after its commit.

Events of one request are taken in their order, without waiting for each other. A batch has a result for each event:
200 where all are committed, 207 where one is not (as WebDAV's Multi-Status is read, RFC 4918 §13: look at each).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from litestar import Response, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example, OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType

from orchestrator.gateway.http.access import needs, unknown_account
from orchestrator.gateway.http.bodies import EventAnswer
from orchestrator.gateway.incoming.cloudevents import (
    BATCH,
    STRUCTURED,
    CloudEvent,
    read_batch,
    read_binary,
    read_structured,
    to_inbound,
)
from orchestrator.gateway.incoming.quarantine import KEPT, quarantine_of
from orchestrator.gateway.services import HttpRequest, Services, channel_of, services_of, speaker_of
from orchestrator.settings import Account
from orchestrator.tokens import Token
from orchestrator.way_in.answers import in_time
from protocol.errors import Code, Refusal, kept_because
from protocol.inbound import InboundEvent
from protocol.links import Answered

Outcome = Answered | Refusal
_EXAMPLE = {
    "specversion": "1.0",
    "id": "m-1",
    "source": "https://chat.example.org",
    "type": "throughline.message.received",
    "time": "2026-11-22T08:15:00Z",
    "account": "chat",
    "identities": "user:4711,mailto:ann@example.org",
    "data": {"text": "My bill is wrong."},
}


@dataclass
class _Posting(Operation):
    """Describes the body, which the handler reads by itself: its form depends on the request's headers."""

    def __post_init__(self) -> None:
        one = OpenAPIMediaType(
            schema=Schema(type=OpenAPIType.OBJECT), examples={"message": Example(summary="a message", value=_EXAMPLE)}
        )
        many = OpenAPIMediaType(schema=Schema(type=OpenAPIType.ARRAY, items=Schema(type=OpenAPIType.OBJECT)))
        data = OpenAPIMediaType(
            schema=Schema(type=OpenAPIType.OBJECT, description="`data`; attributes as ce-* headers")
        )
        content = {STRUCTURED: one, BATCH: many, "application/json": data}
        self.request_body = RequestBody(content=content, required=True, description="CloudEvents 1.0")


@post(
    "/v1/events",
    needs=needs("gateway"),
    operation_class=_Posting,
    status_code=200,
    responses={
        202: ResponseSpec(
            EventAnswer, description="Quarantined: taken and kept, with the reason.", generate_examples=False
        ),
        207: ResponseSpec(
            list[EventAnswer], description="A batch in which not all are committed.", generate_examples=False
        ),
    },
    tags=["events"],
)
async def post_events(request: HttpRequest) -> Response[EventAnswer | list[EventAnswer]]:
    """Takes CloudEvents: structured, binary or batched.

    A committed event answers 200 with its conversation and numbers, one that went to quarantine 202 with the reason,
    one that was refused its error. A batch answers 200 or 207 with a result for each event.
    """
    here, token = services_of(request), speaker_of(request)
    body = await request.body()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == BATCH:
        return await _batch(here, token, read_batch(body))
    if kind == STRUCTURED:
        event = read_structured(body)
    else:
        headers = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.scope["headers"])
        event = read_binary(headers, body)
    answer = await _Posted(here, token, event).answered()
    return Response(answer, status_code=202 if answer.status == "quarantined" else 200)


async def _batch(
    here: Services, token: Token, events: Sequence[CloudEvent | Refusal]
) -> Response[EventAnswer | list[EventAnswer]]:
    # All are taken before the first is awaited: a batch costs one commit and not one each, and keeps its order.
    posted = [event if isinstance(event, Refusal) else _Posted(here, token, event) for event in events]
    answers = await asyncio.gather(*(_result(here, one) for one in posted))
    good = all(answer.status in ("committed", "repeat") for answer in answers)
    return Response(list(answers), status_code=200 if good else 207)


async def _result(here: Services, posted: "_Posted | Refusal") -> EventAnswer:
    if isinstance(posted, Refusal):
        refusal, ref = posted, posted.ref
    else:
        try:
            return await posted.answered()
        except Refusal as refused:
            refusal, ref = refused, posted.id
    here.metrics.refused(refusal.code, "http")
    return EventAnswer(id=ref, status="refused", code=refusal.code, message=refusal.message, field=refusal.field)


class _Posted:
    """One event that was posted: taken when made, answered when awaited."""

    def __init__(self, here: Services, token: Token, event: CloudEvent) -> None:
        self.id = event.id
        self._here = here
        self._raw = event.kept()
        self._source = event.source
        self._account = ""
        self._event: InboundEvent | None = None
        self._outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        try:
            account = _account(here, token, event)
            self._account = account.name
            here.intake.check_writing(event.id)
            self._event = self._inbound(event, account)
            here.intake.take(self._event, self._done, raw=self._raw)
        except Refusal as refusal:
            self._done(refusal)

    async def answered(self) -> EventAnswer:
        """What became of it. Raises `Refusal` where it was neither committed nor kept."""
        began = asyncio.get_running_loop().time()
        outcome = await in_time(self._outcome, self.id)
        answer = await self._kept(outcome) if isinstance(outcome, Refusal) else self._taken(outcome)
        self._here.metrics.ack_seconds.observe(asyncio.get_running_loop().time() - began)
        self._here.metrics.events.labels(answer.status, self._account).inc()
        return answer

    def _inbound(self, event: CloudEvent, account: Account) -> InboundEvent:
        channel = event.attribute("channel", channel_of(account))
        return to_inbound(event, account=account.name, channel=channel, arrived_ms=self._here.now_ms())

    def _done(self, outcome: Outcome) -> None:
        if not self._outcome.done():
            self._outcome.set_result(outcome)

    def _taken(self, answered: Answered) -> EventAnswer:
        if answered.status != "quarantined":
            return _event_answer(self.id, answered)
        refusal = kept_because(answered.why, self.id)
        self._here.metrics.refused(refusal.code, "http")
        return _event_answer(self.id, answered, refusal)

    async def _kept(self, refusal: Refusal) -> EventAnswer:
        if refusal.code not in KEPT or not self._account:
            self._here.metrics.events.labels("refused", self._account).inc()
            raise refusal
        kept = await self._here.intake.quarantine(
            account=self._account,
            source=self._source,
            id=self.id,
            refusal=refusal,
            raw=self._raw,
            event=self._event,
        )
        self._here.metrics.refused(refusal.code, "http")
        return _event_answer(self.id, kept, refusal)


def _account(here: Services, token: Token, event: CloudEvent) -> Account:
    """The account an event came by: the one it names, else the only one that the token speaks for."""
    named = event.attribute("account")
    spoken_for = [account for name, account in here.accounts.items() if token.speaks_for(name)]
    if named:
        for account in spoken_for:
            if account.name == named:
                return account
        raise unknown_account(named, ref=event.id)
    if not spoken_for and len(own := token.accounts) == 1 and "*" not in own:
        # It is the account that is missing, and not its name in the event.
        raise unknown_account(own[0], ref=event.id)
    if len(spoken_for) != 1:
        message = f"account is missing; the token speaks for {len(spoken_for)} accounts, so name one"
        raise Refusal(Code.INVALID, message, ref=event.id, field="account")
    return spoken_for[0]


def _event_answer(id: str, answered: Answered, refusal: Refusal | None = None) -> EventAnswer:
    return EventAnswer(
        id=id,
        status="quarantined" if refusal else answered.status,
        conversation=answered.stream,
        seq=answered.seq,
        position=answered.position,
        quarantine=quarantine_of(answered) if refusal else "",
        code=refusal.code if refusal else 0,
        message=refusal.message if refusal else "",
        field=refusal.field if refusal else "",
    )


ROUTES: list[Any] = [post_events]
