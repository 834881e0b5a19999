"""Walks of messages, drawn by a seed: whatever is said of them, and in which order, sent once or visibly uncertain.

The provider's list says which attempts really left. Programs, the provider and people say what is true, late, twice or
not at all; nobody lies.
"""

from collections import Counter, defaultdict
from collections.abc import Callable
from random import Random

import pytest

from actors.state import journey as journeys
from protocol.commands import LinkIdentity, ReplayDelivery, Reply, SettleDelivery, UnlinkIdentity
from protocol.entities import Delivery
from protocol.errors import Code, Refusal
from protocol.events import (
    AnyEvent,
    DeliveryAttempted,
    DeliveryDead,
    DeliveryFailed,
    DeliverySent,
    DeliveryUncertain,
    MessageQueued,
)
from protocol.events.event import Event
from protocol.inbound import REPORTED, DeliveryReport
from tests.actors.player import CONVERSATION, Player

MAIL, TEL, OTHER = "mailto:ann@example.org", "tel:+447700900123", "tel:+447700900999"
REACHED = {"email": [MAIL], "sms": [TEL, OTHER]}
ACCOUNTS = {"email": "mail", "sms": "sms"}
STEPS = 100
UNSENT_MAX = 8
IN_LINE = ("attempting", "waiting")


class Walk:
    """One conversation's messages, and what really became of them."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.player = Player()
        self.player.message(identities=(MAIL, TEL, OTHER))
        self.queued: dict[str, MessageQueued] = {}
        self.newest: Counter[str] = Counter()
        """Delivery → its newest attempt."""
        self.left: dict[str, set[int]] = defaultdict(set)
        """Delivery → its attempts that really left: the provider's list."""
        self.doubted: dict[str, set[int]] = defaultdict(set)
        """Delivery → its attempts of which the journal says that they may have left."""
        self.told: set[str] = set()
        """What the server has heard of that it left."""
        self.heard_of: Counter[type[Event]] = Counter()

    @property
    def unsent(self) -> dict[str, Delivery]:
        """As the conversation has them."""
        return self.player.state.conversations[CONVERSATION].deliveries

    def step(self) -> None:
        """Something happens."""
        ways = [self.reply, self.time, self.outcome, self.outcome, self.late, self.report, self.person, self.link]
        self.random.choice(ways)()
        self.check()

    def reply(self) -> None:
        """An agent writes, where there is room."""
        channel = self.random.choice(list(REACHED))
        to = self.random.choice(REACHED[channel])
        if len(self.unsent) < UNSENT_MAX:
            self.hear(lambda: self.player.command(Reply(text="x", channel=channel, to=to)))

    def time(self) -> None:
        """It passes: a little, to the next attempt, or past the wait for somebody who takes it."""
        ms = self.random.choice([100, 5_000, 5_000, 10_000_000])
        self.hear(lambda: self.player.pass_time(ms))

    def outcome(self) -> None:
        """An attempt under way ends."""
        if found := self.under_way():
            if self.random.random() < 0.5:
                self.left[found.id].add(found.attempt)
            really = found.attempt in self.left[found.id]
            self.say(
                found.id,
                found.attempt,
                ("sent", "uncertain") if really else ("failed", "refused", "untaken", "uncertain"),
            )

    def late(self) -> None:
        """The truth about an attempt that is over, perhaps once more."""
        if self.newest:
            tried = [delivery for delivery in self.newest if delivery in self.unsent]
            delivery = self.random.choice(tried if tried and self.random.random() < 0.8 else list(self.newest))
            over = self.newest[delivery] - (delivery in self.unsent and self.unsent[delivery].state == "attempting")
            if over:
                attempt = self.random.randint(1, over)
                self.say(delivery, attempt, ("sent",) if attempt in self.left[delivery] else ("failed", "refused"))

    def say(self, delivery: str, attempt: int, among: tuple[str, ...]) -> None:
        """An attempt's outcome, by one of these words."""
        status = self.random.choice(among)
        if status == "sent":
            self.told.add(delivery)
        self.hear(lambda: self.player.outcome(delivery, attempt, status, reason="because"))

    def report(self) -> None:
        """The provider reports on what it had, also ahead of the attempt's outcome."""
        if (found := self.under_way()) and self.random.random() < 0.5:
            self.left[found.id].add(found.attempt)
        if had := [delivery for delivery, attempts in self.left.items() if attempts]:
            delivery, status = self.random.choice(had), self.random.choice(REPORTED)
            channel = self.queued[delivery].channel
            report = DeliveryReport(delivery=delivery, status=status)
            given = self.player.input(report, channel=channel, account=ACCOUNTS[channel], identities=())
            self.told.add(delivery)
            self.hear(lambda: self.player.give(given))

    def person(self) -> None:
        """Somebody looks after one that waits for that: at the provider's list, or not."""
        if held := [each for each in self.unsent.values() if each.state in ("dead", "uncertain")]:
            found = self.random.choice(held)
            if found.state == "uncertain" and self.random.random() < 0.5:
                command = SettleDelivery(delivery=found.id, left=bool(self.left[found.id]))
                self.hear(lambda: self.player.command(command))
            else:
                self.hear(lambda: self.player.command(ReplayDelivery(delivery=found.id)))

    def link(self) -> None:
        """A number turns out to be somebody else's, or hers after all."""
        unlinked = UnlinkIdentity(identity=OTHER, reason="sold")
        command = unlinked if OTHER in self.player.state.identities else LinkIdentity(identity=OTHER)
        if self.random.random() < 0.3:
            self.hear(lambda: self.player.command(command, conversation=""))

    def under_way(self) -> Delivery | None:
        """One of the attempts that have no outcome yet."""
        found = [each for each in self.unsent.values() if each.state == "attempting"]
        return self.random.choice(found) if found else None

    def hear(self, ask: Callable[[], list[AnyEvent]]) -> None:
        """Each fact is true, and none brings the customer unseen what they may have."""
        try:
            events = ask()
        except Refusal as exc:
            if exc.code not in (Code.NOT_ALLOWED_NOW, Code.INVALID):  # To who is unlinked nothing is sent.
                raise
            return
        for event in events:
            self.heard_of[type(event)] += 1
            match event:
                case MessageQueued():
                    self.queued[event.delivery] = event
                case DeliveryAttempted(delivery=delivery):
                    assert event.attempt == self.newest[delivery] + 1
                    assert self.left[delivery] <= self.doubted[delivery]
                    assert delivery not in self.told
                    assert self.queued[delivery].to in self.player.state.identities
                    self.newest[delivery] = event.attempt
                case DeliverySent(delivery=delivery):
                    assert self.left[delivery]
                case DeliveryFailed(delivery=delivery):
                    assert self.newest[delivery] not in self.left[delivery]
                case DeliveryDead(delivery=delivery):
                    assert not self.left[delivery]
                case DeliveryUncertain(delivery=delivery, earlier=True):
                    assert self.newest[delivery] not in self.left[delivery]
                    assert self.doubted[delivery]
                case DeliveryUncertain(delivery=delivery):
                    self.doubted[delivery].add(self.newest[delivery])
                case _:
                    pass

    def check(self) -> None:
        """What left as far as anybody said is in no line; on each channel one message goes at a time, and none waits
        for nothing."""
        for delivery in self.told & self.unsent.keys():
            assert self.unsent[delivery].state == "attempting"
        for channel in REACHED:
            states = [each.state for each in self.unsent.values() if each.channel == channel]
            assert sum(state in IN_LINE for state in states) <= 1
            assert "queued" not in states or any(state in IN_LINE for state in states)
        if any(each.state == "waiting" for each in self.unsent.values()):
            assert journeys.next_due_ms(self.player.state) is not None


@pytest.mark.parametrize("first", range(0, 400, 100))
def test_messages_are_sent_once_or_visibly_uncertain(first: int) -> None:
    """Also where their attempts are lost, refused, reported ahead, replayed, settled, and their address unlinked."""
    heard: Counter[type[Event]] = Counter()
    for seed in range(first, first + 100):
        walk = Walk(seed)
        for number in range(STEPS):
            try:
                walk.step()
            except AssertionError as exc:
                raise AssertionError(f"seed {seed}, step {number}") from exc
        heard += walk.heard_of
    assert min(heard[kind] for kind in (DeliverySent, DeliveryFailed, DeliveryDead, DeliveryUncertain)) > 100
