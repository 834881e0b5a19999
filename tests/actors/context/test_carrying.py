"""Carrying over: what a new conversation knows from the earlier one that it is related to, as a journey journals it."""

from typing import Any

import msgspec
import pytest

from actors.cells.snapshots import freeze, thaw
from actors.context import carrying
from actors.rules.capture import CaptureRules, Field, Template
from actors.rules.context import CarryRules, ContextRules
from actors.rules.policy import Policy
from actors.state import journey as journeys
from protocol.commands import AddNote, Resolve, SetContext
from protocol.entities import CarryOver, RelationKind
from protocol.events import AnyEvent, ContextSet, ContextWithheld, ConversationOpened, FieldMissing
from tests.actors.player import CONVERSATION, CUSTOMER, POLICY, Player, names

DAY_MS = 86_400_000
CARRY = CarryRules(within_ms=30 * DAY_MS, never=("last_page",))
BOTH = ("mailto:ann@example.org", "tel:+447700900123")


def with_rules(carry: CarryRules = CARRY, **more: Any) -> Policy:
    """The player's policy, with context rules."""
    return msgspec.structs.replace(POLICY, version=4, context=ContextRules(carry_over=carry, **more))


def told(policy: Policy) -> Player:
    """A conversation in which things were said is over."""
    player = Player(policy)
    player.message("my bill", subject="Bill 7", identities=BOTH)
    player.command(SetContext(key="contract", value="4711", verified=True))
    player.command(SetContext(key="born", value="1980-02-01", sensitivity="personal"))
    player.command(SetContext(key="last_page", value="/bills"))
    player.command(Resolve(reason="explained"))
    player.pass_time(50_000)
    return player


def carried_in(events: list[AnyEvent]) -> CarryOver | None:
    """What the conversation that they open took along."""
    opened = events[0]
    assert isinstance(opened, ConversationOpened)
    return opened.carried


def items(player: Player, number: int) -> dict[str, Any]:
    """What the customer's conversation of that number knows."""
    return {k: i.value for k, i in player.state.conversations[f"{CUSTOMER}-{number}"].context.items()}


def test_what_was_known_is_known_in_the_next_conversation_with_its_origin() -> None:
    """Whose word it was, where, when, and in which conversation; what stays behind is named with the rule."""
    player = told(with_rules())
    said_at_ms = player.now_ms - 50_000
    player.now_ms += DAY_MS
    events = player.message("again")
    assert names(events) == ["ConversationOpened", "InteractionStarted", "MessageReceived", "ContextSet", "ContextSet"]
    item = player.state.conversations[f"{CUSTOMER}-2"].context["contract"]
    assert (item.value, item.channel, item.actor, item.at_ms) == ("4711", "email", "agent:ann", said_at_ms)
    assert (item.came_from, item.interaction, item.verified) == (CONVERSATION, 0, True)
    over = carried_in(events)
    assert over is not None
    assert (over.conversation, over.items, over.left) == (CONVERSATION, 2, ["last_page"])
    assert over.rule == "carry_over: all with follows_up, never last_page"
    assert (over.resolution_attempts, over.unresolved) == (1, False)


def test_without_a_rule_nothing_known_comes_along() -> None:
    """What was done does, as ever."""
    player = told(POLICY)
    events = player.message("again")
    assert items(player, 2) == {}
    over = carried_in(events)
    assert over is not None
    assert (over.items, over.left, over.rule, over.resolution_attempts) == (0, [], "", 1)


def test_what_is_too_old_stays_behind_and_is_named() -> None:
    """The bound is the policy's, from the earlier one's last change."""
    player = told(with_rules())
    player.now_ms += 30 * DAY_MS + 1
    over = carried_in(player.message("again"))
    assert over is not None
    assert (over.items, over.left) == (0, ["born", "contract", "last_page"])
    assert over.rule == "carry_over: within 30 days"
    assert items(player, 2) == {}


def test_with_another_issue_only_what_is_true_of_the_customer_comes_along() -> None:
    """`always`, whatever the relation."""
    player = told(with_rules(CarryRules(within_ms=DAY_MS, all_with=("continues",), always=("born",))))
    over = carried_in(player.message("something else"))
    assert items(player, 2) == {"born": "1980-02-01"}
    assert over is not None
    assert (over.left, over.rule) == (["contract", "last_page"], "carry_over: with follows_up born")


def test_what_the_new_channel_may_not_carry_is_withheld() -> None:
    """It is known there, and not said."""
    player = told(with_rules(carries={"sms": ("normal",)}))
    events = player.message("again", channel="sms", identities=BOTH[1:])
    (withheld,) = [event for event in events if isinstance(event, ContextWithheld)]
    assert withheld.keys == ["born"]
    assert items(player, 2)["born"] == "1980-02-01"


def test_nobody_is_asked_for_what_they_said_in_the_conversation_before() -> None:
    """The template of the new contact finds it known."""
    wanted = Field(name="contract", when_missing="ask_agent", found_at=("raw.none",))
    template = Template(channel="email", fields=(wanted, Field(name="topic")))
    capture = CaptureRules(templates=(template,))
    with_template = msgspec.structs.replace(with_rules(), capture=capture)
    player = told(with_template)
    assert not [event for event in player.message("again") if isinstance(event, FieldMissing)]
    strict = msgspec.structs.replace(POLICY, version=4, capture=capture)
    player = told(strict)
    assert [event for event in player.message("again") if isinstance(event, FieldMissing)]


def test_the_same_source_says_something_newer() -> None:
    """It takes the old word's place; another source's stands beside it."""
    player = told(with_rules())
    player.message("again")
    (new,) = player.command(SetContext(key="contract", value="4712"), conversation=f"{CUSTOMER}-2")
    assert isinstance(new, ContextSet)
    item = player.state.conversations[f"{CUSTOMER}-2"].context["contract"]
    assert (item.value, item.came_from, item.version, item.others) == ("4712", "", 2, [])


def test_what_was_carried_before_keeps_its_first_origin() -> None:
    """Through two conversations."""
    player = told(with_rules())
    player.message("again")
    player.command(Resolve(), conversation=f"{CUSTOMER}-2")
    player.pass_time(50_000)
    player.message("and again")
    assert player.state.conversations[f"{CUSTOMER}-3"].context["contract"].came_from == CONVERSATION


def test_what_is_known_of_an_untouched_conversation_comes_with_its_being_unresolved() -> None:
    """Nobody has done anything: that is what the next one should know."""
    player = Player(POLICY)
    player.message()
    player.command(SetContext(key="contract", value="4711"))
    carried = carrying.carry(player.state.kept_of(CONVERSATION), RelationKind.CONTINUES, CARRY, player.now_ms)
    assert carried.over is not None
    assert (carried.over.conversation, carried.over.unresolved, carried.over.items) == (CONVERSATION, True, 1)


def test_of_one_that_left_memory_a_few_bytes_are_kept() -> None:
    """Its items and what was done; nothing where there was nothing, and through a snapshot."""
    player = told(with_rules())
    opened = ConversationOpened(at_ms=player.now_ms, customer=CUSTOMER, queue="default")
    for n in range(2, 8):
        journeys.evolve(player.state, f"{CUSTOMER}-{n}", opened, msgspec.msgpack.encode(opened))
        player.command(AddNote(text="x"), conversation=f"{CUSTOMER}-{n}")
        player.command(Resolve(), conversation=f"{CUSTOMER}-{n}")
        player.pass_time(50_000)
    assert CONVERSATION not in player.state.conversations
    restored = thaw(freeze(player.state))
    assert restored is not None
    kept = restored.kept_of(CONVERSATION)
    assert kept is not None
    assert {item.key: item.value for item in kept.context} == {
        "contract": "4711",
        "born": "1980-02-01",
        "last_page": "/bills",
    }
    assert kept.done.subject == "Bill 7"
    assert Player().state.aside is None, "a customer without any has no field more"


@pytest.mark.parametrize("length", [10, 4000])
def test_what_is_kept_is_bounded(length: int) -> None:
    """The items said first find no room, and are counted."""
    player = Player(POLICY)
    player.message()
    for n in range(200):
        player.now_ms += 1
        player.command(SetContext(key=f"k{n}", value="x" * length))
    packed = carrying.pack(player.state.conversations[CONVERSATION])
    kept = carrying.unpack(packed)
    assert len(packed) <= carrying.KEPT_BYTES_MAX
    assert len(kept.context) + kept.crowded == 200
    assert kept.crowded > 0
    assert all(item.key == f"k{200 - len(kept.context) + n}" for n, item in enumerate(kept.context))
