"""A gateway client's connection: events in, answered after their commit; deliveries out.

Credits bound what is unanswered: each event costs one until its `ack` or `nack`. Answers of one turn of the loop leave
together, one `ack` per status and account.
"""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

from actors.fault import guarded
from orchestrator.gateway.failures import failed
from orchestrator.gateway.http.access import unknown_account
from orchestrator.gateway.incoming.quarantine import KEPT, keep
from orchestrator.gateway.peers import Intake
from orchestrator.gateway.websockets.connection import Connection, Terms
from orchestrator.gateway.websockets.deliveries import Deliveries
from orchestrator.settings import Account, GatewayAccount
from orchestrator.tokens import Token
from protocol.codec import Codec
from protocol.errors import Code, Refusal, kept_because
from protocol.frames import Accounts, Ack, Deliver, Delivered, Error, EventFrame, EventsFrame, Frame, Hello, Nack, Ping
from protocol.inbound import InboundEvent
from protocol.links import Answered

QUARANTINED = "quarantined"
NAMED_MAX = 1024
"""Accounts of one `hello`: each is looked at again with every version of the policy. A client of more lines opens more
connections."""
NAME_LENGTH_MAX = 64
"""Characters of an account's name (`actors.rules.names.Name`): there will never be one that is called longer."""


class GatewayConnection(Connection):
    """One gateway client at one socket. `accounts` are the configured ones, which the policy may change."""

    kind: ClassVar[str] = "gateway"

    def __init__(
        self,
        terms: Terms,
        codec: Codec,
        presented: str,
        *,
        intake: Intake,
        deliveries: Deliveries,
        accounts: Mapping[str, Account],
        clock: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(terms, codec, presented)
        self._intake = intake
        self._deliveries = deliveries
        self._accounts = accounts
        self._clock = clock
        self._speaker: Token | None = None
        self._named: list[str] = []
        """The accounts of its `hello`, each once."""
        self._untaken: dict[str, str] = {}
        """Of these: the ones that it does not take deliveries of, and why not, as it was told."""
        self._unanswered = 0
        self._acks: dict[tuple[str, str], list[str]] = {}
        """By status and account: the ids of events that are answered in this turn."""
        self._nacks: list[Nack] = []
        self._flushing = False

    def decode(self, message: bytes | str) -> list[Any]:
        """Gateway clients' frames."""
        return list(self.codec.decode_gateway(message))

    def opened(self, hello: Hello, token: Token) -> None:
        """Welcomes a gateway client; from now on it takes deliveries of the accounts it names."""
        if not any(scope.startswith("gateway:") for scope in token.scopes):
            raise Refusal(Code.FORBIDDEN, "this entrance needs a token with a scope `gateway:<account>`")
        if len(hello.accounts) > NAMED_MAX:
            text = f"hello: it names {len(hello.accounts)} accounts, and one connection has at most {NAMED_MAX}"
            raise Refusal(Code.TOO_LARGE, text)
        self._speaker = token
        self._named = list(dict.fromkeys(hello.accounts))
        self._untaken = self._not_to_be_taken()
        if self._named and len(self._untaken) == len(self._named):
            raise Refusal(Code.FORBIDDEN, f"hello: {self._untaken[self._named[0]]}")
        self.welcome(token, credits=self.terms.credits)
        if self._untaken:
            self._say_accounts()
        speaks_for = [name for name in self._named if len(name) <= NAME_LENGTH_MAX and token.speaks_for(name)]
        self._deliveries.join(self, speaks_for, self._taken)

    def frame(self, frame: Any) -> None:
        """Takes events and answers to deliveries."""
        match frame:
            case EventFrame(event=event):
                self._event(event)
            case EventsFrame(events=events):
                for event in events:
                    self._event(event)
            case Delivered():
                self._delivered(frame)
            case _:
                raise AssertionError(f"the codec lets no {type(frame).__name__} through here")

    def refused_input(self, refusal: Refusal) -> None:
        """A refusal of an event that has an id is a `nack`; of anything else an `error`."""
        if refusal.ref:
            self.send(_nack(refusal.ref, refusal))
        else:
            self.send(Error(code=refusal.code, message=refusal.message))

    def heartbeat(self) -> Frame:
        """A ping; also the moment at which overdue deliveries are given up."""
        self._deliveries.expire(self)
        return Ping()

    def sent(self) -> None:
        """Nothing waits for the socket here: the client's credits bound what is owed to it."""

    def closed(self) -> None:
        """Its deliveries are settled. Its events go on: the client sends them again, and gets the same answer."""
        self._deliveries.leave(self)

    # Accounts

    def accounts_changed(self) -> None:
        """The policy has others by now. What it was given of one that is gone it may still answer."""
        if self.token is None or self.closing or (untaken := self._not_to_be_taken()) == self._untaken:
            return
        self._untaken = untaken
        self._say_accounts()
        self._deliveries.take(self, self._taken)

    @property
    def _taken(self) -> list[str]:
        return [account for account in self._named if account not in self._untaken]

    def _say_accounts(self) -> None:
        self.send(Accounts(taken=self._taken, untaken=self._untaken))

    def _not_to_be_taken(self) -> dict[str, str]:
        """The accounts that it named and cannot be given deliveries of, and why not."""
        untaken = {}
        for account in self._named:
            if not self.speaks_for(account):
                untaken[account] = unknown_account(account, ref="").message
            elif not isinstance(self._accounts[account], GatewayAccount):
                untaken[account] = f"account {account!r} is not one that gateway clients deliver for"
        return untaken

    # Events

    def _event(self, event: InboundEvent) -> None:
        if self._unanswered >= self.terms.credits:
            raise Refusal(Code.CREDITS_EXCEEDED, f"{self.terms.credits} events are unanswered; wait for answers")
        self._unanswered += 1
        began_s = self._clock.time()
        if self.speaks_for(event.account):
            self._intake.take(event, partial(self._decided, event, began_s))
        else:
            self._answered(event.id, "", unknown_account(event.account, ref=event.id), began_s)

    def _decided(self, event: InboundEvent, began_s: float, outcome: Answered | Refusal) -> None:
        """Answers; but an input that would be refused again is kept first, since the client will not send it again."""
        if isinstance(outcome, Refusal) and outcome.code in KEPT:
            self.terms.tasks.begin(self._keep(event, outcome, began_s))
        else:
            if isinstance(outcome, Answered) and outcome.status == QUARANTINED:
                self._say_why(event.id, kept_because(outcome.why, event.id))
            self._answered(event.id, event.account, outcome, began_s)

    async def _keep(self, event: InboundEvent, refusal: Refusal, began_s: float) -> None:
        try:
            await keep(self._intake, event, refusal)
        except Refusal as unkept:
            self._answered(event.id, event.account, unkept, began_s)
        except Exception as exc:  # noqa: BLE001 - a bug met on one client's behalf is that client's answer
            bug = failed(exc, where="keep", new_reference=self.terms.new_id)
            self._answered(event.id, event.account, bug, began_s)
        else:
            self._say_why(event.id, refusal)
            self._answered(event.id, event.account, QUARANTINED, began_s)

    def _say_why(self, id: str, refusal: Refusal) -> None:
        """Tells why an event is in quarantine, ahead of its `ack`, which has no room for a reason."""
        self.terms.metrics.refused(refusal.code, self.kind)
        if not self.closing:
            self.send(Error(code=refusal.code, message=refusal.message, ref=id))

    def _answered(self, id: str, account: str, answer: Answered | str | Refusal, began_s: float) -> None:
        self._unanswered -= 1
        metrics = self.terms.metrics
        metrics.ack_seconds.observe(self._clock.time() - began_s)
        if isinstance(answer, Refusal):
            metrics.refused(answer.code, self.kind)
            metrics.events.labels("refused", account).inc()
            self._nacks.append(_nack(id, answer))
        else:
            status = answer if isinstance(answer, str) else answer.status
            self._acks.setdefault((status, account), []).append(id)
        if not self._flushing:
            self._flushing = True
            self._clock.call_soon(guarded, self.broke, self._flush)

    def _flush(self) -> None:
        self._flushing = False
        acks, self._acks = self._acks, {}
        nacks, self._nacks = self._nacks, []
        for (status, account), ids in acks.items():
            self.terms.metrics.events.labels(status, account).inc(len(ids))
        if self.closing:
            return
        for (status, _), ids in acks.items():
            self.send(Ack(ids=ids, status=status))
        for nack in nacks:
            self.send(nack)

    # Deliveries

    def _delivered(self, frame: Delivered) -> None:
        try:
            self._deliveries.delivered(self, frame)
        except Refusal as refusal:
            self.answered_nothing(refusal)

    def answered_nothing(self, refusal: Refusal) -> None:
        """An answer of its about a delivery was refused; the connection goes on, where it is not over by now."""
        self.terms.metrics.refused(refusal.code, self.kind)
        if not self.closing:
            self.send(Error(code=refusal.code, message=refusal.message, ref=refusal.ref))

    def deliver(self, frame: Deliver) -> int:
        """Queues a delivery."""
        return self.send(frame)

    def written(self, number: int) -> bool:
        """Whether it was given to the socket, which may still have lost it."""
        return self.outgoing.taken >= number

    def speaks_for(self, account: str) -> bool:
        """Whether the account is configured and the token covers it."""
        return account in self._accounts and self._speaker is not None and self._speaker.speaks_for(account)


def _nack(id: str, refusal: Refusal) -> Nack:
    return Nack(id=id, code=refusal.code, message=refusal.message, retryable=refusal.retryable)
