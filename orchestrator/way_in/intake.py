"""Intake: the one way in for inbound events and commands, whichever entrance they came by.

check (`event_checks.py`) → normalise identities → find the customer (`attribution.py`) → Input to the cell
→ (committed) → answer (`answers.py`)
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import msgspec
from msgspec import Struct

from actors.capture.templates import identities_in
from actors.rules.capture import CaptureRules
from orchestrator.cell_lines.cells import Cells
from orchestrator.cell_lines.questions import Reply
from orchestrator.way_in import merging
from orchestrator.way_in.answers import answer_of, in_time, outcome_of
from orchestrator.way_in.attribution import Attribution
from orchestrator.way_in.event_checks import check_form, check_time
from orchestrator.way_in.lookups import LookUp
from orchestrator.way_in.once_keys import digest_of_bytes, once_key, payload_of
from orchestrator.way_in.proposals import Done, TakenEvent
from protocol.commands import (
    AnyCommand,
    CloseIdentityReview,
    LinkIdentity,
    MergeCustomers,
    UnlinkIdentity,
    UnmergeCustomers,
)
from protocol.errors import Code, Refusal, shown
from protocol.events.event import POLICY
from protocol.identities import TELEPHONE_KINDS, again, kind_of, normalise, value_of
from protocol.ids import customer_of
from protocol.inbound import DeliveryReport, InboundEvent, PastConversation
from protocol.journal import MergeDue
from protocol.links import Answered, AnyToCell, Ask, Quarantine, Replay


class AccountRule(Struct, frozen=True):
    """What the intake knows of an account. Only a trusted one may say that several identities are one customer, and
    only its word may count as verified."""

    trusted: bool


WAITING_BYTES_MAX = 256 * 1024 * 1024
"""Of events taken, or on their way into quarantine, and not answered yet: a cell that cannot commit keeps about twice
as much of them."""


class IntakeLimits(Struct, kw_only=True, frozen=True):
    """Past these an event is refused."""

    waiting_max: int
    """Events taken, or on their way into quarantine, and not answered yet (`OVERLOADED`)."""
    waiting_bytes_max: int = WAITING_BYTES_MAX
    """What they say, together (`OVERLOADED`)."""
    ahead_ms: int
    behind_ms: int
    """How far an event's time may lie after its arrival, and before (`TIME_IMPLAUSIBLE`)."""


class Intake:
    """See the module. `customers_of` looks identities up in the store; `new_customer` makes an id."""

    def __init__(
        self,
        cells: Cells,
        customers_of: LookUp,
        accounts: Mapping[str, AccountRule],
        *,
        region: str,
        limits: IntakeLimits,
        now_ms: Callable[[], int],
        new_customer: Callable[[], str],
    ) -> None:
        self._cells = cells
        self._attribution = Attribution(cells, customers_of, new_customer, self._answered)
        self._by_rule = merging.ByRule(self._merge_by_rule, cells.broke)
        self._accounts = accounts
        self.region = region
        self._limits = limits
        self._now_ms = now_ms
        self._taken = 0
        self.waiting = 0
        """Events taken, or on their way into quarantine, and not answered yet."""
        self.waiting_bytes = 0
        """Of what they say."""
        self.capture: Callable[[], CaptureRules] = CaptureRules
        """The capture rules in force: they say where an event that comes without identities has them in its content."""
        self.kinds: Callable[[], frozenset[str]] = frozenset
        """Kinds of identity that the accounts' channels bring, beside those that every server knows."""
        self.alike: Callable[[], Mapping[str, str]] = dict
        """By kind of identity: another kind, under which the same value is the same address."""
        self.writing: Callable[[], bool] = lambda: True
        """Whether the server can write down what comes in."""

    # Events

    def take(
        self, event: InboundEvent, done: Done, *, raw: bytes = b"", replay: Replay | None = None, past: bool = False
    ) -> None:
        """Takes one event; `done` gets what became of it, exactly once, after its commit. Events that share an identity
        keep the order in which they were taken.

        `raw`, its bytes as they came, is kept should it go to quarantine; `replay` says that it comes from there, and
        `past` that an operator imports it."""
        try:
            checked = self.check(event, replay, past=past)
        except Refusal as exc:
            done(exc)
            return
        self.waiting += 1
        self._taken += 1
        key = once_key(checked.account, checked.source, checked.id)
        # The digest leaves out the time: a source without a clock sends a repeat under the time of its new arrival.
        payload = payload_of(checked.data)
        taken = TakenEvent(self._taken, checked, key, digest_of_bytes(payload), raw, done, replay)
        taken.size_bytes = len(payload) + len(raw) + (len(payload_of(checked.raw)) if checked.raw else 0)
        self.waiting_bytes += taken.size_bytes
        taken.trusted = self._accounts[checked.account].trusted
        if replay is not None:
            taken.said_by = replay.said_by
        if checked.identities and not event.identities:
            taken.said_by = POLICY
        self._attribution.send(taken)

    def check_writing(self, id: str) -> None:
        """For callers that hold a request open. Raises `Refusal` (`UNAVAILABLE`) where nothing can be written.

        A gateway client is not refused for that: its credits bound what waits, and a refused event that comes again
        would stand behind those that came after it.
        """
        if not self.writing():
            text = "the server cannot write it down just now; send again after a moment"
            raise Refusal(Code.UNAVAILABLE, text, ref=id)

    def _answered(self, reply: Reply | Refusal, taken: TakenEvent) -> None:
        self.waiting -= 1
        self.waiting_bytes -= taken.size_bytes
        if isinstance(reply, Answered) and reply.merge is not None:
            self._by_rule.due(reply.merge)
        taken.done(outcome_of(reply, taken.event.id))

    async def submit(self, event: InboundEvent, *, raw: bytes = b"", replay: Replay | None = None) -> Answered:
        """Takes one event and waits for its commit. Raises `Refusal`: also `TIMED_OUT`, where it may still happen."""
        self.check_writing(event.id)
        future: asyncio.Future[Answered | Refusal] = asyncio.get_running_loop().create_future()
        self.take(event, lambda outcome: None if future.done() else future.set_result(outcome), raw=raw, replay=replay)
        outcome = await in_time(future, event.id)
        if isinstance(outcome, Refusal):
            raise outcome
        return outcome

    async def quarantine(
        self, *, account: str, source: str, id: str, refusal: Refusal, raw: bytes, event: InboundEvent | None = None
    ) -> Answered:
        """Keeps an input that was refused, in the stream of its account, and returns when that is committed. `event` is
        the input, where it could be decoded. Each payload under one id is kept once. Raises `Refusal`."""
        self.check_writing(id)
        self._check_room(id)
        customer = f"account:{account}"
        key, digest = once_key(account, source, id), digest_of_bytes(raw)

        def make(ref: int) -> AnyToCell:
            return Quarantine(
                ref=ref,
                customer=customer,
                account=account,
                source=source,
                id=id,
                code=refusal.code,
                field=refusal.field,
                reason=refusal.message,
                raw=raw,
                key=key ^ digest,
                digest=digest,
                event=event,
            )

        # The event says about the same once more.
        size_bytes = len(raw) if event is None else 2 * len(raw)
        self.waiting += 1
        self.waiting_bytes += size_bytes
        future: asyncio.Future[Answered | Refusal] = asyncio.get_running_loop().create_future()

        def done(reply: Reply) -> None:
            # Also of one that nobody waits for any more: until now it was held.
            self.waiting -= 1
            self.waiting_bytes -= size_bytes
            if not future.done():
                future.set_result(outcome_of(reply, id))

        self._cells.ask(customer, make, done)
        outcome = await in_time(future, id)
        if isinstance(outcome, Refusal):
            raise outcome
        return outcome

    async def command(
        self,
        *,
        actor: str,
        id: str,
        command: AnyCommand,
        conversation: str = "",
        customer: str = "",
        due: MergeDue | None = None,
    ) -> Answered:
        """Asks something of a conversation or customer; returns after the commit. Raises `Refusal`."""
        self.check_writing(id)
        customer = customer or customer_of(conversation)
        if isinstance(command, LinkIdentity):
            command = msgspec.structs.replace(command, identity=_named(self.spelled, command.identity, id))
        if isinstance(command, UnlinkIdentity | CloseIdentityReview):
            command = msgspec.structs.replace(command, identity=_named(self._respelled, command.identity, id))
        key = once_key("command", actor, id)

        def ask(of: str, command: AnyCommand) -> Callable[[int], AnyToCell]:
            digest = digest_of_bytes(msgspec.msgpack.encode((conversation, command)))
            return lambda ref: Ask(
                ref=ref,
                customer=of,
                conversation=conversation,
                actor=actor,
                id=id,
                command=command,
                key=key,
                digest=digest,
            )

        match command:
            case MergeCustomers() if not conversation:
                return await merging.merge(self._cells, customer, command, ask, due)
            case UnmergeCustomers() if not conversation:
                return await merging.unmerge(self._cells, customer, command, ask)
            case _:
                return answer_of(await self._cells.call(customer, ask(customer, command)), id)

    async def _merge_by_rule(self, due: MergeDue) -> Answered:
        """Tried each time the rule says so. The give is refused where it is done already, or where a person must
        decide."""
        return await self.command(
            actor=f"policy:{due.rule}",
            id=f"{due.customer}/{due.other}/{due.identity}/{self._now_ms()}",
            command=MergeCustomers(other=due.other, reason=f"both are said to have {due.identity}"),
            customer=due.customer,
            due=due,
        )

    # Checking

    def check(self, event: InboundEvent, replay: Replay | None = None, *, past: bool = False) -> InboundEvent:
        """The event as it would be taken, with its identities in the one spelling. Raises `Refusal`."""
        if isinstance(event.data, PastConversation) is not past:
            text = "contacts of the past are an operator's to import, and nothing else is: see throughline import"
            raise Refusal(Code.UNKNOWN_TYPE, text, ref=event.id, field="type")
        self._check_room(event.id)
        rule = self._accounts.get(event.account)
        if rule is None:
            text = f"no account {shown(event.account)!r} is configured: throughline status lists those that are"
            raise Refusal(Code.UNKNOWN_ACCOUNT, text, ref=event.id)
        check_form(event)
        arrived_ms = replay.received_ms if replay else self._now_ms()
        check_time(event, arrived_ms, ahead_ms=self._limits.ahead_ms, behind_ms=self._limits.behind_ms)
        said = event.identities or self._found(event)
        identities = list(dict.fromkeys(map(self.spelled, said)))
        if not identities and not isinstance(event.data, DeliveryReport):
            mend = ": say whose it is, by `identities` or `customer` of the replay" if replay else ""
            raise Refusal(Code.NO_IDENTITY, f"the event carries no identity{mend}", ref=event.id, field="identities")
        if not rule.trusted and not (replay and replay.said_by):
            del identities[1:]
        identities += self.alike_to(identities)
        return event if identities == event.identities else msgspec.structs.replace(event, identities=identities)

    def _check_room(self, id: str) -> None:
        limits = self._limits
        if self.waiting >= limits.waiting_max or self.waiting_bytes >= limits.waiting_bytes_max or self._cells.full:
            raise Refusal(Code.OVERLOADED, "too many events are waiting; send again after a moment", ref=id)

    def spelled(self, identity: str) -> str:
        """An identity in its one spelling. Raises `Refusal`."""
        return normalise(identity, region=self.region, own=self.kinds())

    def _respelled(self, identity: str) -> str:
        """The spelling of what was let in already. What is no identity by now may have been one: its cell knows. Raises
        `Refusal`."""
        try:
            return again(identity, region=self.region)
        except Refusal:
            if kind_of(identity).strip().lower() in TELEPHONE_KINDS:
                raise  # Whichever was let in has its country: this is none of them.
            return identity

    def alike_to(self, identities: Sequence[str]) -> list[str]:
        """The same addresses under other kinds, by the policy in force; without those that are given already."""
        found: list[str] = []
        if not (alike := self.alike()):
            return found
        for identity in identities:
            if (kind := alike.get(kind_of(identity))) is None:
                continue
            try:
                other = self.spelled(f"{kind}:{value_of(identity)}")
            except Refusal:
                continue  # The value is no address of that kind.
            if other not in identities:
                found.append(other)
        return found

    def known(self, identity: str) -> str | None:
        """Whose an identity was when an event with it last came (see `Attribution.known`)."""
        return self._attribution.known(identity)

    def _found(self, event: InboundEvent) -> list[str]:
        """Identities that stand in the event's content, where the policy says where to look."""
        rules = self.capture()
        return identities_in(rules, event) if rules.templates and not isinstance(event.data, DeliveryReport) else []


def _named(spell: Callable[[str], str], identity: str, id: str) -> str:
    """The identity of a command as it is spelled. Raises `Refusal`, which names the command's own field."""
    try:
        return spell(identity)
    except Refusal as refusal:
        raise Refusal(refusal.code, refusal.message, ref=id, field="identity") from refusal
