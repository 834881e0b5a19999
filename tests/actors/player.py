"""A journey played without any shell: decide, evolve, and the events to look at."""

from typing import Any

import msgspec

from actors.decisions import deciding
from actors.decisions.deciding import AnyInput, TimerDue
from actors.decisions.decision import Decision
from actors.rules.policy import ChannelRules, Policy
from actors.state import journey as journeys
from actors.state.journey import Journey
from protocol.commands import AnyCommand
from protocol.events import Event
from protocol.inbound import AnyData, InboundEvent, MessageArrived
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


class Player:
    """One customer's journey; `now_ms` is the clock, moved by hand."""

    def __init__(self, policy: Policy = POLICY) -> None:
        self.state = Journey(customer=CUSTOMER)
        self.policy = policy
        self.now_ms = 1_000_000
        self.count = 0

    def give(self, given: AnyInput) -> list[Event]:
        """Decides and applies `given`; returns the events. The last decision is in `decision`."""
        self.decision: Decision = deciding.decide(self.state, given, self.policy, self.now_ms)
        for stream, event in self.decision.events:
            journeys.evolve(self.state, stream, event, msgspec.msgpack.encode(event))  # type: ignore[arg-type]
        return [event for _, event in self.decision.events]

    def message(self, text: str = "hello", **changes: object) -> list[Event]:
        """The customer writes; `channel`, `account`, `identity` and `id` as wanted, the rest goes to the message."""
        return self.give(self.input(MessageArrived(text=text, **_data(changes)), **_head(changes)))

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
    ) -> list[Event]:
        """An agent asks."""
        self.count += 1
        id = id or f"c{self.count}"
        key = hash(("command", agent, id)) & 0xFFFF_FFFF_FFFF_FFFF
        return self.give(Ask(self.count, CUSTOMER, conversation, f"agent:{agent}", id, command, key, 1))

    def outcome(self, delivery: str, attempt: int, status: str, **more: Any) -> list[Event]:
        """The outbox reports."""
        return self.give(Outcome(0, CUSTOMER, delivery.rpartition(".")[0], delivery, attempt, status, **more))

    def pass_time(self, ms: int) -> list[Event]:
        """Moves the clock and looks at what is due."""
        self.now_ms += ms
        return self.give(TimerDue(CUSTOMER))


_HEAD = {"channel", "account", "identities", "id", "digest", "proposed", "claimed", "conflicts", "trusted"}


def _head(changes: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in changes.items() if name in _HEAD}


def _data(changes: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in changes.items() if name not in _HEAD}


def names(events: list[Event]) -> list[str]:
    """The facts' names."""
    return [type(event).__name__ for event in events]
