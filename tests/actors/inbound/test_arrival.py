"""What an inbound event brings beside itself: context, and what the customer did before the conversation began."""

from typing import Any

import msgspec
import pytest

from actors.inbound import arrival
from actors.rules.context import ContextRules
from protocol.events import ActivityCarried, ActivitySeen, AnyEvent, ChannelSwitched, ContextSet
from protocol.inbound import ActivityArrived, DeliveryReport, InteractionBegan, InteractionStopped
from tests.actors.player import CONVERSATION, POLICY, Player, names

USER, TEL = "user:7", "tel:+447700900123"
HOUR_MS = 3_600_000
RULES = ContextRules(looks_back_ms=HOUR_MS, properties={"bill_number": "bill"}, verified_channels=("app",))


def player_with(rules: ContextRules = RULES) -> Player:
    """Nothing has happened yet."""
    return Player(msgspec.structs.replace(POLICY, version=3, context=rules))


def looked(player: Player, name: str = "bill.viewed", **more: Any) -> list[AnyEvent]:
    """Ann looks at something in the app."""
    return player.give(player.input(ActivityArrived(name=name, **more), channel="app", identities=(USER,)))


def texted(player: Player, **more: Any) -> list[AnyEvent]:
    """She texts; her number is her account's."""
    return player.message(channel="sms", identities=(TEL, USER), **more)


def items(player: Player) -> dict[str, Any]:
    """What the conversation knows."""
    return {key: item.value for key, item in player.state.conversations[CONVERSATION].context.items()}


def test_what_was_done_shortly_before_is_part_of_the_conversation() -> None:
    """A bill viewed in the app, then a text: the agent sees the view, the bill's number with its origin, and where she
    came from."""
    player = player_with()
    assert names(looked(player, properties={"bill_number": "R-7", "page": 2})) == ["ActivitySeen", "IdentityLinked"]
    player.now_ms += 60_000
    events = texted(player)
    assert names(events) == [
        "ConversationOpened",
        "InteractionStarted",
        "MessageReceived",
        "ActivityCarried",
        "ContextSet",
        "ChannelSwitched",
        "IdentityLinked",
    ]
    carried = next(event for event in events if isinstance(event, ActivityCarried))
    assert (carried.channel, carried.name, carried.seen_at_ms) == ("app", "bill.viewed", player.now_ms - 60_000)
    item = player.state.conversations[CONVERSATION].context["bill"]
    assert (item.value, item.channel, item.at_ms, item.verified) == ("R-7", "app", player.now_ms - 60_000, True)
    switched = next(event for event in events if isinstance(event, ChannelSwitched))
    assert (switched.from_channel, switched.to_channel) == ("app", "sms")
    assert switched.continuity == "queue:mobile", "the one that it is opened in"
    assert player.state.aside is not None
    assert player.state.aside.before == b"", "a second conversation does not begin with it again"


def test_what_was_done_long_before_is_not() -> None:
    """The policy says how far it looks back; without a word it does not."""
    player = player_with()
    looked(player, name="old", context={"a": 1})
    player.now_ms += HOUR_MS + 1
    looked(player, name="new", context={"b": 2})
    texted(player)
    assert items(player) == {"b": 2}
    plain = player_with(ContextRules())
    looked(plain, context={"a": 1})
    assert names(texted(plain))[:3] == ["ConversationOpened", "InteractionStarted", "MessageReceived"]
    assert items(plain) == {}


def test_what_is_kept_of_activities_is_bounded() -> None:
    """A customer who browses for days and never writes costs a few kilobytes."""
    player = player_with()
    for number in range(200):
        looked(player, name=f"page.{number}", properties={"text": "x" * 100})
    assert player.state.aside is not None
    assert len(player.state.aside.before) <= 4096
    carried = [event.name for event in texted(player) if isinstance(event, ActivityCarried)]
    assert carried == [f"page.{number}" for number in range(200 - len(carried), 200)]


def test_context_that_comes_before_a_conversation_is_kept_with_its_activity() -> None:
    """In the customer's own stream, where nothing is open."""
    player = player_with()
    seen = looked(player, context={"plan": "gold"})[0]
    assert isinstance(seen, ActivitySeen)
    assert seen.context == {"plan": "gold"}


@pytest.mark.parametrize(
    ("data", "fact"),
    [
        (ActivityArrived(name="viewed", context={"plan": "gold"}), "ActivitySeen"),
        (InteractionBegan(session="s", context={"plan": "gold"}), "InteractionStarted"),
        (InteractionStopped(session="c", context={"plan": "gold"}), "InteractionEnded"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_every_event_but_a_report_can_bring_context(data: Any, fact: str) -> None:
    """Its value's channel, contact and account are the event's."""
    player = player_with()
    player.give(player.input(InteractionBegan(session="c"), channel="chat", identities=(USER,)))
    events = player.give(player.input(data, channel="chat", identities=(USER,)))
    assert fact in names(events)
    given = next(event for event in events if isinstance(event, ContextSet))
    contact = player.state.conversations[CONVERSATION].interaction_count
    assert (given.key, given.value, given.channel, given.actor) == ("plan", "gold", "chat", "account:chat")
    assert (given.interaction, given.policy, given.verified) == (contact, 3, False)


def test_properties_that_fit_no_value_stay_in_the_activity() -> None:
    """An object, a list, a text that is too long; the event has them."""
    player = player_with(ContextRules(properties={"a": "a", "b": "b", "c": "c", "d": "d", "e": "e"}))
    texted(player)
    looked(player, properties={"a": {"b": 1}, "b": [1], "c": "x" * 5000, "d": 4.5, "e": False})
    assert items(player) == {"d": 4.5, "e": False}


def test_most_events_bring_nothing_and_are_not_asked() -> None:
    """The hot path: a plain message where the conversation is."""
    player = player_with()
    texted(player)
    state = player.state.conversations[CONVERSATION]
    plain = player.input(DeliveryReport(delivery="x", status="sent"), channel="email").event
    assert not arrival.brings(state, plain)
    texted(player)
    assert names(texted(player)) == ["MessageReceived"]


def test_an_untrusted_account_says_nothing_that_counts_as_verified() -> None:
    """A sender names its event's channel: that it is the app's alone proves nothing, now or before a conversation."""
    player = player_with()
    viewed = ActivityArrived(name="bill.viewed", context={"bill": "R-7"})
    seen = player.give(player.input(viewed, channel="app", account="chat", identities=(USER,), trusted=False))[0]
    assert isinstance(seen, ActivitySeen)
    assert not seen.verified
    texted(player)
    context = player.state.conversations[CONVERSATION].context
    assert (context["bill"].value, context["bill"].verified) == ("R-7", False)
    again = ActivityArrived(name="plan.viewed", context={"plan": "gold"})
    player.give(player.input(again, channel="app", account="chat", identities=(USER,), trusted=False))
    assert not player.state.conversations[CONVERSATION].context["plan"].verified
    player.give(player.input(ActivityArrived(name="x", context={"plan": "silver"}), channel="app", identities=(USER,)))
    assert player.state.conversations[CONVERSATION].context["plan"].verified
