"""A journey played without any shell: decide, evolve, and the events to look at."""

from collections.abc import Sequence
from typing import TypedDict, Unpack

import msgspec

from actors.decisions import deciding
from actors.decisions.deciding import AnyInput, TimerDue
from actors.decisions.decision import Decision
from actors.rules.policy import ChannelRules, Policy
from actors.state import journey as journeys
from actors.state.journey import Journey
from protocol.commands import AnyCommand
from protocol.events import AnyEvent, Event
from protocol.inbound import AnyData, Attachment, GivenContext, InboundEvent, MessageArrived
from protocol.links import Ask, Input, Outcome

POLICY = Policy(
    channels={
        "email": ChannelRules(account="mail", uncertain="retry", rest_after_ms=10_000_000),
        "sms": ChannelRules(account="sms", uncertain="hold"),
        "chat": ChannelRules(account="chat", uncertain="retry", rest_after_ms=1_000_000),
    },
    queues={"sms": "mobile"},
    close_after_resolved_ms=50_000,
    attempts_max=3,
    backoff_ms=1_000,
)
CUSTOMER = "cuaaaaaaaaaaaaaaaa"
CONVERSATION = f"{CUSTOMER}-1"


class Word(TypedDict, total=False):
    """What else the outbox may say of an attempt."""

    code: str
    reason: str
    external_id: str
    accounts: list[str]


class Head(TypedDict, total=False):
    """What of an input is not what it says: where it came from, and what the intake found out. See `Player.input`."""

    channel: str
    account: str
    identities: tuple[str, ...]
    id: str
    digest: int
    proposed: bool
    claimed: tuple[str, ...]
    conflicts: tuple[tuple[str, str], ...]
    trusted: bool


class Player:
    """One customer's journey; `now_ms` is the clock, moved by hand."""

    def __init__(self, policy: Policy = POLICY) -> None:
        self.state = Journey(customer=CUSTOMER)
        self.policy = policy
        self.now_ms = 1_000_000
        self.count = 0

    def give(self, given: AnyInput) -> list[AnyEvent]:
        """Decides and applies `given`; returns the events. The last decision is in `decision`."""
        self.decision: Decision = deciding.decide(self.state, given, self.policy, self.now_ms)
        for stream, event in self.decision.events:
            journeys.evolve(self.state, stream, event, msgspec.msgpack.encode(event))
        return [event for _, event in self.decision.events]

    def message(
        self,
        text: str = "hello",
        *,
        subject: str = "",
        attachments: Sequence[Attachment] = (),
        reference: str = "",
        in_reply_to: Sequence[str] = (),
        automatic: str = "",
        session: str = "",
        context: GivenContext | None = None,
        **head: Unpack[Head],
    ) -> list[AnyEvent]:
        """The customer writes, by a channel and an address as wanted."""
        said = MessageArrived(
            text=text,
            subject=subject,
            attachments=[*attachments],
            reference=reference,
            in_reply_to=[*in_reply_to],
            automatic=automatic,
            session=session,
            context=context,
        )
        return self.give(self.input(said, **head))

    def input(
        self,
        data: AnyData,
        *,
        channel: str = "email",
        account: str = "",
        identities: tuple[str, ...] = ("mailto:ann@example.org",),
        id: str = "",
        digest: int = 1,
        proposed: bool = True,
        claimed: tuple[str, ...] = (),
        conflicts: tuple[tuple[str, str], ...] = (),
        trusted: bool = True,
    ) -> Input:
        """An inbound event as the intake sends it on."""
        self.count += 1
        id = id or f"e{self.count}"
        event = InboundEvent(
            id=id,
            source="test",
            time_ms=self.now_ms - 5,
            account=account or {"email": "mail"}.get(channel, channel),
            channel=channel,
            identities=list(identities),
            data=data,
        )
        key = hash((event.account, id)) & 0xFFFF_FFFF_FFFF_FFFF
        others = {identity for identity, _ in conflicts}
        mine = [identity for identity in identities if identity not in others]
        return Input(
            self.count, CUSTOMER, proposed, event, mine, list(conflicts), key, digest,
            claimed=list(claimed), trusted=trusted,
        )  # fmt: skip

    def command(
        self, command: AnyCommand, *, agent: str = "ann", id: str = "", conversation: str = CONVERSATION
    ) -> list[AnyEvent]:
        """An agent asks."""
        self.count += 1
        id = id or f"c{self.count}"
        key = hash(("command", agent, id)) & 0xFFFF_FFFF_FFFF_FFFF
        return self.give(Ask(self.count, CUSTOMER, conversation, f"agent:{agent}", id, command, key, 1))

    def outcome(self, delivery: str, attempt: int, status: str, **more: Unpack[Word]) -> list[AnyEvent]:
        """The outbox reports."""
        return self.give(Outcome(0, CUSTOMER, delivery.rpartition(".")[0], delivery, attempt, status, **more))

    def pass_time(self, ms: int) -> list[AnyEvent]:
        """Moves the clock and looks at what is due."""
        self.now_ms += ms
        return self.give(TimerDue(CUSTOMER))


def names(events: Sequence[Event]) -> list[str]:
    """The facts' names."""
    return [type(event).__name__ for event in events]
