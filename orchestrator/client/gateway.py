"""The SDK for gateway clients: what a channel's program does on `/v1/gateway`."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from random import random as draw
from types import TracebackType
from typing import Self

from orchestrator.client.connection import Line
from orchestrator.client.wire import pack, refusal_of
from protocol.backoff import backoff_ms
from protocol.errors import Code, Refusal
from protocol.frames import Accounts, Deliver, Drain, Error, EventFrame, ToGateway, Welcome
from protocol.gateway_session import EVENTS_MAX, EventRefused, EventsSettled, GatewaySession
from protocol.inbound import InboundEvent

DELIVERIES_MAX = 1024
"""Deliveries that wait for the application; one on top is answered as `failed`, and the server tries it later."""

OnAnswer = Callable[[str, int, str], None]
"""Called with an event's id, its code (0: taken) and its status (`committed`, …) or the reason why not."""


class GatewayClient:
    """One gateway client's connection, which comes back by itself and sends again what has no answer.

    async with GatewayClient("http://127.0.0.1:7100", token, accounts=["chat"]) as gateway:
        await gateway.send(event)       # returns when the event is durable
        async for delivery in gateway.deliveries():
            gateway.delivered(delivery, "sent", external_id=...)
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        accounts: Sequence[str] = (),
        client: str = "throughline-sdk",
        events_max: int = EVENTS_MAX,
        deliveries_max: int = DELIVERIES_MAX,
        random: Callable[[], float] = draw,
    ) -> None:
        """`accounts` are those whose deliveries this client takes; `events_max` bounds its unanswered events."""
        self._session = GatewaySession(token=token, client=client, accounts=accounts)
        self._line = Line(
            url,
            "/v1/gateway",
            self._session,
            frames=ToGateway,
            receive=self._on_frame,
            ended=self._on_end,
            random=random,
        )
        self._random = random
        self._room = asyncio.Semaphore(min(events_max, EVENTS_MAX))
        self._answers: dict[str, OnAnswer] = {}
        self._deliveries_max = deliveries_max
        self._deliveries: deque[Deliver] = deque()
        self._something = asyncio.Event()
        self._releasing: asyncio.TimerHandle | None = None
        self._refusals_in_a_row = 0

    async def __aenter__(self) -> Self:
        """Connects. Raises `Refusal` where the server does not want this client (a bad token, say)."""
        await self._line.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Closes the connection."""
        if self._releasing:
            self._releasing.cancel()
        await self._line.close()

    @property
    def unanswered(self) -> int:
        """Events without an answer."""
        return self._session.unanswered

    @property
    def untaken(self) -> Mapping[str, str]:
        """Of its accounts: those whose deliveries it is not given now, and why not. It changes with the policy: one
        that comes back is taken again by itself."""
        return self._session.untaken

    async def send(self, event: InboundEvent) -> str:
        """Sends an event; returns once it is committed and synced: `committed`, `repeat` or `quarantined`.

        Waits while `events_max` are unanswered. Sends again by itself what the server could not take just now and what
        a broken connection left open. Raises `Refusal` where the server never will take it, or this client.
        """
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def on_answer(id: str, code: int, text: str) -> None:
            if answer.done():
                return
            if code:
                answer.set_exception(refusal_of(code, text, ref=id))
            else:
                answer.set_result(text)

        async with self._room:
            self.send_encoded(event.id, encode_event(event), on_answer)
            return await answer

    def send_encoded(self, id: str, frame: bytes, on_answer: OnAnswer) -> None:
        """Sends what `encode_event` made, without waiting: for load generators, which bound themselves.

        Raises `Refusal`: `OVERLOADED` at the session's bound, `TOO_LARGE` over the server's, `INVALID` for an id that
        is unanswered, or what stopped the client.
        """
        if self._line.failure or self._line.closed:
            raise self._line.failure or Refusal(Code.UNAVAILABLE, "the client is closed", ref=id)
        if len(frame) > self._line.message_bytes_max:
            raise Refusal(Code.TOO_LARGE, f"the event has more than {self._line.message_bytes_max} bytes", ref=id)
        frames = self._session.event(id, frame)
        self._answers[id] = on_answer
        self._line.send(frames)

    async def deliveries(self) -> AsyncIterator[Deliver]:
        """Yields what is to be sent to customers, each once; answer each with `delivered`. For one reader at a time.

        Ends when the client is closed. Raises `Refusal` where the server refuses this client for good.
        """
        while True:
            while not self._deliveries:
                if self._line.failure:
                    raise self._line.failure
                if self._line.closed:
                    return
                self._something.clear()
                await self._something.wait()
            yield self._deliveries.popleft()

    def delivered(
        self, delivery: Deliver, status: str = "sent", *, external_id: str = "", code: str = "", reason: str = ""
    ) -> None:
        """Says what became of a delivery: `sent`, `failed` (surely not sent, worth retrying), `refused` (never will be)
        or `uncertain`. Raises `Refusal` for another word, and for an `external_id` of over 512 characters or with a
        NUL: say it without."""
        self._line.send(self._session.delivered(delivery, status, external_id=external_id, code=code, reason=reason))

    def _on_frame(self, frame: ToGateway) -> None:
        turn = self._session.receive(frame, room=len(self._deliveries) < self._deliveries_max)
        self._line.send(turn.send)
        if turn.held and not self._releasing:
            self._release_later()
        for happening in turn.happened:
            match happening:
                case EventsSettled(ids=ids, status=status):
                    self._refusals_in_a_row = 0
                    for id in ids:
                        self._answer(id, 0, status)
                case EventRefused(id=id, code=code, message=message):
                    self._answer(id, code, message)
                case Deliver():
                    self._deliveries.append(happening)
                    self._something.set()
                case Welcome() | Accounts() | Drain() | Error():
                    pass  # The line comes and goes by itself, and stops where an error says so.

    def _release_later(self) -> None:
        wait_ms = backoff_ms(self._refusals_in_a_row, random=self._random())
        self._refusals_in_a_row += 1
        self._releasing = self._line.later(wait_ms / 1000, self._release)

    def _release(self) -> None:
        self._releasing = None
        self._line.send(self._session.release())

    def _answer(self, id: str, code: int, text: str) -> None:
        if on_answer := self._answers.pop(id, None):
            on_answer(id, code, text)

    def _on_end(self) -> None:
        self._something.set()
        failure = self._line.failure
        code = failure.code if failure else Code.TIMED_OUT
        text = failure.message if failure else "the client was closed before the answer; it may have happened"
        for id in list(self._answers):
            self._answer(id, code, text)


def encode_event(event: InboundEvent) -> bytes:
    """Returns the bytes of an `event` frame."""
    return pack(EventFrame(event=event))
