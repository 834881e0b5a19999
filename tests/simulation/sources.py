"""Sources: where inbound events come from, and what became of each.

A gateway client pushes over its socket; mails come in at the channel host's own intake. Both keep what they offered
until it is answered, as sources do, and offer it again: after a break, after a restart, and now and then for no reason.
"""

import asyncio
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

import msgspec

from orchestrator.gateway.incoming.quarantine import KEPT, keep
from orchestrator.gateway.server import GATEWAY_CLIENTS
from orchestrator.way_in.once_keys import once_key
from protocol.errors import Refusal
from protocol.frames import Deliver, EventFrame
from protocol.gateway_session import EventRefused, EventsSettled, GatewaySession
from protocol.inbound import InboundEvent, MessageArrived
from tests.simulation.clients import CODEC, Client
from tests.simulation.ledger import Ledger
from tests.simulation.provider import Sending

if TYPE_CHECKING:
    from tests.simulation.world import World


@dataclass(slots=True)
class Offer:
    """One payload under one (account, source, id), and the answers it got, oldest first."""

    event: InboundEvent
    answers: list[str] = field(default_factory=list)
    """Each `committed`, `repeat`, `quarantined`, or `refused:<code>`."""
    turn: int = 0
    """Its place in the order in which sources gave them to the server. One whose name is not free yet waits."""

    @property
    def key(self) -> int:
        """Its once-key."""
        return once_key(self.event.account, self.event.source, self.event.id)

    def is_kept(self, ledger: Ledger, answer: str) -> bool:
        """Whether the journal has what the answer says: the effect, or the payload in quarantine."""
        kept = (msgspec.json.decode(each.raw, type=InboundEvent) for each in ledger.quarantined.get(self.place, ()))
        lies = any(each.data == self.event.data for each in kept)
        return lies or (answer in ("committed", "repeat") and self.key in ledger.by_once)

    @property
    def place(self) -> tuple[str, str, str]:
        """What names it."""
        return self.event.account, self.event.source, self.event.id


class Book:
    """All that was ever offered in a run."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.offers: list[Offer] = []
        self._turns = count(1)

    def add(self, event: InboundEvent) -> Offer:
        """It is offered for the first time."""
        offer = Offer(event)
        self.offers.append(offer)
        return offer

    def given(self, offer: Offer) -> None:
        """Its source gives it to the server now, or as soon as that can be reached."""
        offer.turn = next(self._turns)

    def check(self, offer: Offer, status: str) -> None:
        """The server says this of it now: what it says must be on the disk."""
        ledger = self._world.ledger
        ledger.read()
        if not offer.is_kept(ledger, status):
            self._world.broken("acked", f"{offer.event.id} was acked as {status}, and is not synced")

    def answered(self, offer: Offer, answer: str) -> None:
        """Its source heard this."""
        offer.answers.append(answer)
        self._world.trace("answered", id=offer.event.id, answer=answer)


class GatewayClient(Client):
    """A program that pushes one account's events in and takes its deliveries out."""

    path = GATEWAY_CLIENTS
    session: GatewaySession

    def __init__(self, world: "World", account: str) -> None:
        super().__init__(world, f"source:{account}")
        self.account = account
        self.session = self._new_session()
        self._open: dict[str, Offer] = {}
        """What it offered and was not answered, by id: its own durable log."""
        self._waiting: list[Offer] = []
        """Offers of an id that is under way with another payload, or once more."""
        self._program = 0

    @property
    def unanswered(self) -> int:
        """Offers without an answer."""
        return len(self._open) + len(self._waiting)

    def offer(self, offer: Offer) -> None:
        """Sends it, or when the id is free."""
        id = offer.event.id
        if id in self._open:
            self._waiting.append(offer)
            return
        self._open[id] = offer
        self.world.book.given(offer)
        self.say(self.session.event(id, EventFrame(event=offer.event)))

    def restart(self) -> None:
        """The program crashes and starts again: only its log is left."""
        self._program += 1
        self.session = self._new_session()
        for id, offer in self._open.items():
            self.session.event(id, EventFrame(event=offer.event))
        if self.socket is not None:
            self.socket.break_off(server_hears_s=0.0)

    def decode(self, data: bytes) -> list[Any]:
        return CODEC.decode_to_gateway(data)

    def left(self, data: bytes) -> None:
        self.world.witness.to_gateway_client(data, self._check)

    def take(self, frame: Any) -> None:
        turn = self.session.receive(frame)
        self.say(turn.send)
        if turn.held:
            self.world.loop.call_later(0.2, self._release)
        for happened in turn.happened:
            match happened:
                case EventsSettled(ids=ids, status=status):
                    for id in ids:
                        self._settle(id, status)
                case EventRefused(id=id, code=code):
                    self._settle(id, f"refused:{code}")
                case Deliver():
                    self._deliver(happened)

    def _check(self, id: str, status: str) -> None:
        if (offer := self._open.get(id)) is not None:
            self.world.book.check(offer, status)

    def _settle(self, id: str, answer: str) -> None:
        self.world.book.answered(self._open.pop(id), answer)
        for offer in self._waiting:
            if offer.event.id == id:
                self._waiting.remove(offer)
                self.offer(offer)
                break

    def _release(self) -> None:
        self.say(self.session.release())

    def _deliver(self, deliver: Deliver) -> None:
        provider = self.world.provider
        status, really = provider.outcome()
        program = self._program
        if provider.hangs():
            return

        def leave() -> None:
            if really and program == self._program:
                of = deliver.delivery, deliver.attempt, deliver.account, deliver.to, deliver.text, deliver.digest
                provider.record(Sending(*of))
            self.world.loop.call_later(provider.takes_s(), say)

        def say() -> None:
            if program == self._program:
                self.say(self.session.delivered(deliver, status, external_id=f"x{deliver.delivery}"))

        self.world.loop.call_later(provider.takes_s(), leave)

    def _new_session(self) -> GatewaySession:
        return GatewaySession(token=f"gateway:{self.account}", client="simulation", accounts=[self.account])


class MailRoom:
    """Mails come in at the channel host: offered until they are answered, as an SMTP client does."""

    RETRY_S = 1.0

    def __init__(self, world: "World") -> None:
        self._world = world
        self.unanswered = 0

    def offer(self, offer: Offer) -> None:
        """Submits it until it is answered for good."""
        self.unanswered += 1
        self._world.spawn(self._until_answered(offer))

    async def _until_answered(self, offer: Offer) -> None:
        while True:
            answer = await self._submit(offer)
            if answer:
                self.unanswered -= 1
                self._world.book.answered(offer, answer)
                return
            await asyncio.sleep(self.RETRY_S)

    async def _submit(self, offer: Offer) -> str:
        """The answer; empty where it is to be offered again."""
        host = self._world.server.channels
        if host is None:
            return ""
        intake = host.front.intake
        try:
            async with asyncio.timeout(5.0):
                answered = await intake.submit(offer.event)
        except TimeoutError:
            return ""
        except Refusal as refusal:
            if refusal.retryable:
                return ""
            if refusal.code not in KEPT:
                return f"refused:{refusal.code}"
            return await self._keep(offer, refusal)
        self._world.book.check(offer, answered.status)
        return answered.status

    async def _keep(self, offer: Offer, refusal: Refusal) -> str:
        host = self._world.server.channels
        if host is None:
            return ""
        try:
            async with asyncio.timeout(5.0):
                answered = await keep(host.front.intake, offer.event, refusal)
        except (TimeoutError, Refusal):
            return ""
        self._world.book.check(offer, answered.status)
        return answered.status


def with_other_words(event: InboundEvent) -> InboundEvent:
    """The same name for another payload: what a broken source does."""
    assert isinstance(event.data, MessageArrived)
    return msgspec.structs.replace(event, data=msgspec.structs.replace(event.data, text=event.data.text + " (changed)"))
