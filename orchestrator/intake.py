"""Intake: the one way in for inbound events and commands, whichever entrance they came by.

    check → normalise identities → find the customer → Input to the cell → (committed, synced) → answer

Who a new identity belongs to is a proposal until the journal's unique key decides. While a proposal is under way all
events with one of its identities follow it to the same customer; when it turns out that the identity is another
customer's (`Moved`), what is under way for the proposed one is answered first and then sent on, in its order.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec
import structlog
from msgspec import Struct

from orchestrator.cells import Cells, Reply
from protocol.codec import check_event
from protocol.commands import AnyCommand
from protocol.errors import Code, Refusal
from protocol.identities import normalise
from protocol.inbound import (
    ATTACHMENTS_MAX,
    IDENTITIES_MAX,
    REFERENCES_MAX,
    TEXT_MAX,
    DeliveryReport,
    InboundEvent,
    MessageArrived,
)
from protocol.links import Answered, AnyToCell, Ask, Input, Moved, Quarantine, Refused

_log = structlog.get_logger(__name__)

CACHE_MAX = 200_000
"""Identities remembered with their customer; the longest unused go first. About 200 bytes each."""
MOVES_MAX = 5
"""How often one event may be sent on before something must be wrong."""
ID_MAX = 512
"""Characters of an event's id or source: a mail's Message-ID is the longest seen (RFC 5322 lines have 998)."""

Done = Callable[["Answered | Refusal"], None]


class AccountRule(Struct, frozen=True):
    """What the intake knows of an account. Only a trusted one may say that several identities are one customer."""

    trusted: bool


class IntakeLimits(Struct, kw_only=True, frozen=True):
    """Bounds. Times in milliseconds, relative to now."""

    waiting_max: int
    ahead_ms: int
    behind_ms: int


class Intake:
    """See the module. `customers_of` looks identities up in the store; `new_customer` makes an id."""

    def __init__(
        self,
        cells: Cells,
        customers_of: Callable[[Sequence[str]], Awaitable[dict[str, str]]],
        accounts: Mapping[str, AccountRule],
        *,
        region: str,
        limits: IntakeLimits,
        now_ms: Callable[[], int],
        new_customer: Callable[[], str],
    ) -> None:
        self._cells = cells
        self._customers_of = customers_of
        self._accounts = accounts
        self._region = region
        self._limits = limits
        self._now_ms = now_ms
        self._new_customer = new_customer
        self._known: OrderedDict[str, str] = OrderedDict()
        self._proposed: dict[str, _Proposal] = {}
        """By identity: proposals that are under way."""
        self._taken = 0
        self._unresolved: list[_Event] = []
        self._resolving = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.waiting = 0
        """Events taken and not answered yet."""

    # Events

    def take(self, event: InboundEvent, done: Done, *, raw: bytes = b"") -> None:
        """Takes one event; `done` gets what became of it, exactly once, after its commit. `raw` is kept should it go
        to quarantine. Events of one customer keep the order in which they were taken."""
        try:
            checked = self._check(event)
        except Refusal as exc:
            done(exc)
            return
        self.waiting += 1
        self._taken += 1
        self._resolve(_Event(self._taken, checked, raw, done))

    async def submit(self, event: InboundEvent, *, raw: bytes = b"") -> Answered:
        """Takes one event and waits for its commit. Raises `Refusal`."""
        future: asyncio.Future[Answered | Refusal] = asyncio.get_running_loop().create_future()
        self.take(event, lambda outcome: None if future.done() else future.set_result(outcome), raw=raw)
        outcome = await future
        if isinstance(outcome, Refusal):
            raise outcome
        return outcome

    async def quarantine(self, *, account: str, source: str, id: str, refusal: Refusal, raw: bytes) -> Answered:
        """Keeps an input that was refused, under its account, and returns when that is committed."""
        customer = f"account:{account}"
        key, digest = once_key(account, source, id), _digest(raw)

        def make(ref: int) -> AnyToCell:
            return Quarantine(
                ref, customer, account, source, id, refusal.code, refusal.field, refusal.message, raw,
                key ^ digest, digest,
            )  # fmt: skip

        return _answer(await self._cells.call(customer, make), id)

    async def command(
        self, *, actor: str, id: str, command: AnyCommand, conversation: str = "", customer: str = ""
    ) -> Answered:
        """Asks something of a conversation or customer; returns after the commit. Raises `Refusal`."""
        customer = customer or customer_of(conversation)
        key = once_key("command", actor, id)
        digest = _digest(msgspec.msgpack.encode((conversation, command)))

        def make(ref: int) -> AnyToCell:
            return Ask(ref, customer, conversation, actor, id, command, key, digest)

        return _answer(await self._cells.call(customer, make), id)

    # Checking

    def _check(self, event: InboundEvent) -> InboundEvent:
        if self.waiting >= self._limits.waiting_max or self._cells.full:
            raise Refusal(Code.OVERLOADED, "too many events are waiting; send again after a moment", ref=event.id)
        rule = self._accounts.get(event.account)
        if rule is None:
            raise Refusal(Code.UNKNOWN_ACCOUNT, f"no account {event.account!r} is configured", ref=event.id)
        _check_form(event)
        self._check_time(event)
        identities = list(dict.fromkeys(normalise(i, region=self._region) for i in event.identities[:IDENTITIES_MAX]))
        if not identities and not isinstance(event.data, DeliveryReport):
            raise Refusal(Code.NO_IDENTITY, "the event carries no identity", ref=event.id, field="identities")
        return msgspec.structs.replace(event, identities=identities if rule.trusted else identities[:1])

    def _check_time(self, event: InboundEvent) -> None:
        offset_ms = event.time_ms - self._now_ms()
        if offset_ms > self._limits.ahead_ms or -offset_ms > self._limits.behind_ms:
            direction = "ahead of" if offset_ms > 0 else "behind"
            raise Refusal(
                Code.TIME_IMPLAUSIBLE,
                f"the event's time is {abs(offset_ms) // 1000} s {direction} the server's clock",
                ref=event.id,
                field="time",
            )

    # Finding the customer

    def _resolve(self, taken: "_Event") -> None:
        """Sends the event on if memory knows its customer, else asks the store, with all that gather meanwhile."""
        data = taken.event.data
        if isinstance(data, DeliveryReport):
            self._send(taken, customer_of(data.delivery.rpartition(".")[0]), [], [])
        elif self._unresolved or not all(self._is_known(i) for i in taken.event.identities):
            # Behind one that waits for the store everyone waits: the order of a customer's events is kept.
            self._unresolved.append(taken)
            if not self._resolving:
                self._resolving = True
                self._spawn(self._look_up())
        else:
            self._route(taken)

    def _is_known(self, identity: str) -> bool:
        return identity in self._known or identity in self._proposed

    async def _look_up(self) -> None:
        """Looks identities up in the store, a batch at a time, and routes what waited for them."""
        while self._unresolved:
            batch = list(self._unresolved)
            wanted = list({i for taken in batch for i in taken.event.identities if not self._is_known(i)})
            found = await self._customers_of(wanted) if wanted else {}
            for identity, customer in found.items():
                self._learn(identity, customer)
            del self._unresolved[: len(batch)]
            for taken in batch:
                self._route(taken)
        self._resolving = False

    def _route(self, taken: "_Event") -> None:
        """Memory knows all there is to know of the event's identities: picks the customer, and sends it there."""
        identities = taken.event.identities
        followed = next((p for i in identities if i not in self._known and (p := self._proposed.get(i))), None)
        if followed is not None and followed.moved:
            followed.held.append(taken)
            return
        owner = {i: c for i in identities if (c := self._customer(i)) is not None}
        customer = next(iter(owner.values())) if owner else self._new_customer()
        mine = [i for i in identities if owner.get(i, customer) == customer]
        unclaimed = [i for i in mine if i not in owner]
        taken.proposal = followed
        if unclaimed and taken.proposal is None:
            taken.proposal = _Proposal(customer, new=not owner)
        for identity in unclaimed:
            # Until it is answered, whoever comes with this identity goes where this event goes.
            assert taken.proposal is not None
            self._proposed[identity] = taken.proposal
            taken.claims.append(identity)
        self._send(taken, customer, mine, [(i, c) for i, c in owner.items() if c != customer])

    def _customer(self, identity: str) -> str | None:
        customer = self._known.get(identity)
        if customer is not None:
            self._known.move_to_end(identity)
            return customer
        proposal = self._proposed.get(identity)
        return proposal.customer if proposal else None

    def _learn(self, identity: str, customer: str) -> None:
        self._known[identity] = customer
        if len(self._known) > CACHE_MAX:
            self._known.popitem(last=False)

    # Asking the cell

    def _send(self, taken: "_Event", customer: str, identities: list[str], conflicts: list[tuple[str, str]]) -> None:
        taken.customer = customer
        if taken.proposal is not None:
            taken.proposal.under_way += 1
        proposed = taken.proposal is not None and taken.proposal.new
        event = taken.event

        def make(ref: int) -> AnyToCell:
            return Input(ref, customer, proposed, event, identities, conflicts, taken.key, taken.digest, taken.raw)

        self._cells.ask(customer, make, lambda reply: self._answered(taken, reply))

    def _answered(self, taken: "_Event", reply: Reply) -> None:
        proposal, taken.proposal = taken.proposal, None
        if proposal is not None:
            proposal.under_way -= 1
        if isinstance(reply, Moved):
            self._moved(taken, proposal, reply)
        else:
            if not (proposal and proposal.moved):
                self._settle_claims(taken, proposal, learn=isinstance(reply, Answered))
            self.waiting -= 1
            taken.done(_outcome(reply, taken.event.id))
        if proposal is not None and proposal.moved and not proposal.under_way:
            self._send_on(proposal)

    def _moved(self, taken: "_Event", proposal: "_Proposal | None", moved: Moved) -> None:
        """The proposal was wrong. Its events are held until the last of them is answered: none may overtake another."""
        taken.moves += 1
        if taken.moves > MOVES_MAX:
            self.waiting -= 1
            text = "the customer of the event's identities keeps changing; send again"
            taken.done(Refusal(Code.UNAVAILABLE, text, ref=taken.event.id))
        elif proposal is None:
            self._learn(moved.identity, moved.customer)
            self._resolve(taken)
        else:
            proposal.moved = True
            proposal.held.append(taken)
            proposal.moves.append((moved.identity, moved.customer))

    def _send_on(self, proposal: "_Proposal") -> None:
        for identity in [i for i, p in self._proposed.items() if p is proposal]:
            del self._proposed[identity]
        for identity, customer in proposal.moves:
            self._learn(identity, customer)
        for taken in sorted(proposal.held, key=lambda held: held.number):
            taken.claims = []
            self._resolve(taken)

    def _settle_claims(self, taken: "_Event", proposal: "_Proposal | None", *, learn: bool) -> None:
        for identity in taken.claims:
            if self._proposed.get(identity) is proposal:
                del self._proposed[identity]
            if learn:
                self._learn(identity, taken.customer)
        taken.claims = []

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Proposal:
    """A customer that identities may belong to, until the journal has decided."""

    __slots__ = ("customer", "held", "moved", "moves", "new", "under_way")

    def __init__(self, customer: str, *, new: bool) -> None:
        self.customer = customer
        self.new = new
        """No store knows the customer, so its cell need not look; else only an identity is new to it."""
        self.under_way = 0
        """Events sent under it and not answered yet."""
        self.moved = False
        """It was wrong: `held` wait until nothing is under way, then go to whom `moves` say."""
        self.moves: list[tuple[str, str]] = []
        self.held: list[_Event] = []


class _Event:
    """An event on its way, and who hears of it."""

    __slots__ = ("claims", "customer", "digest", "done", "event", "key", "moves", "number", "proposal", "raw")

    def __init__(self, number: int, event: InboundEvent, raw: bytes, done: Done) -> None:
        self.number = number
        self.event = event
        self.raw = raw
        self.done = done
        self.customer = ""
        self.proposal: _Proposal | None = None
        self.claims: list[str] = []
        self.moves = 0
        self.key = once_key(event.account, event.source, event.id)
        # Not over the time: a source that has none sends the repeat under a new time of arrival.
        self.digest = _digest(_encode(event.data))


_encode = msgspec.msgpack.Encoder(order="deterministic").encode


def once_key(account: str, source: str, id: str) -> int:
    """64 bits of BLAKE2b over the three, NUL between: within one customer a collision is one in 10^13 at 1,000 keys."""
    return int.from_bytes(hashlib.blake2b(f"{account}\0{source}\0{id}".encode(), digest_size=8).digest(), "big")


def customer_of(conversation: str) -> str:
    """A conversation's id is `<customer>-<number>`."""
    return conversation.rpartition("-")[0]


def _digest(payload: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(payload, digest_size=4).digest(), "big")


def _check_form(event: InboundEvent) -> None:
    """What the types cannot say: lengths and counts."""
    for name, value in (("id", event.id), ("source", event.source)):
        if not value or len(value) > ID_MAX:
            raise Refusal(Code.INVALID, f"{name} must have 1 to {ID_MAX} characters", ref=event.id[:ID_MAX], field=name)
    if len(event.identities) > IDENTITIES_MAX:
        raise Refusal(
            Code.OVER_LIMIT, f"an event has at most {IDENTITIES_MAX} identities", ref=event.id, field="identities"
        )
    if isinstance(event.data, MessageArrived):
        data = event.data
        for name, count, most in (
            ("text", len(data.text), TEXT_MAX),
            ("attachments", len(data.attachments), ATTACHMENTS_MAX),
            ("in_reply_to", len(data.in_reply_to), REFERENCES_MAX),
        ):
            if count > most:
                raise Refusal(
                    Code.OVER_LIMIT, f"{name} is over its limit of {most}", ref=event.id, field=f"data.{name}"
                )
    if refusal := check_event(event):
        raise refusal


def _outcome(reply: Reply, id: str) -> Answered | Refusal:
    match reply:
        case Answered():
            return reply
        case Refused():
            return Refusal(Code(reply.code), reply.message, ref=id, field=reply.field)
        case _:
            raise AssertionError(f"{type(reply).__name__} does not answer an event or command")


def _answer(reply: Reply, id: str) -> Answered:
    outcome = _outcome(reply, id)
    if isinstance(outcome, Refusal):
        raise outcome
    return outcome
