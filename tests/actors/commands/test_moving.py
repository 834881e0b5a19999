"""Contacts that go from one conversation to another: what each stream says of it, and what is known where they come."""

from collections.abc import Sequence
from copy import copy

import msgspec
import pytest

from actors.commands import moving
from actors.commands.moving import ORIGINS_MAX
from actors.context.knowing import CONTEXT_MAX
from actors.rules.context import ContextRules, KeyRules
from actors.state.conversation import Conversation
from actors.state.evolving import MISSING_MAX, evolve
from protocol.commands import Reply, Resolve, SetContext, Split
from protocol.entities import MissingField, Tags
from protocol.errors import Code, Refusal
from protocol.events import (
    AnyEvent,
    ChannelSwitched,
    ContextSet,
    ContextWithheld,
    InteractionMoved,
    InteractionReceived,
    MessageQueued,
)
from tests.actors.player import CONVERSATION, CUSTOMER, POLICY, Player

NOW_MS = 2_000_000
SECOND = f"{CUSTOMER}-2"
CHAT = ("chat:1",)


def two_contacts() -> Player:
    """A mail and a chat in one conversation."""
    player = Player()
    player.message("my bill", reference="one@x", identities=("mailto:ann@example.org", *CHAT))
    player.message("my claim", channel="chat", identities=CHAT, session="s1", reference="chat-m1")
    return player


def fresh() -> Conversation:
    """One that was just opened."""
    return Conversation(id=SECOND, customer=CUSTOMER)


def moves(state: Conversation, to: Conversation, *numbers: int, every: bool = False) -> list[tuple[str, AnyEvent]]:
    """The moves of these contacts."""
    leaving = [each for each in state.interactions if each.number in numbers]
    return moving.moves(state, to, leaving, "agent:ann", NOW_MS, all_references=every)


def received(events: Sequence[tuple[str, AnyEvent]]) -> list[InteractionReceived]:
    """What came."""
    return [event for _, event in events if isinstance(event, InteractionReceived)]


def context(events: Sequence[AnyEvent]) -> dict[str, tuple[object, int, str]]:
    """What was brought: value, contact and channel."""
    return {e.key: (e.value, e.interaction, e.channel) for e in events if isinstance(e, ContextSet)}


def test_a_contact_leaves_one_stream_and_comes_in_the_other() -> None:
    """Each says where it was or is; where we speak from now on; and what is left is as it was."""
    state = two_contacts().state.conversations[CONVERSATION]
    (here, left), (there, came) = moves(state, fresh(), 2)
    assert isinstance(left, InteractionMoved)
    assert isinstance(came, InteractionReceived)
    assert (here, left.interaction, left.to, left.number, left.channel) == (CONVERSATION, 2, SECOND, 1, "email")
    assert (there, came.came_from, came.channel) == (SECOND, CONVERSATION, "chat")
    assert (came.interaction.number, came.interaction.session) == (1, "s1")
    assert came.interaction.origins == ((CONVERSATION, 2),)
    assert (left.at_ms, left.actor, came.at_ms, came.actor) == (NOW_MS, "agent:ann", NOW_MS, "agent:ann")
    assert [each.number for each in state.interactions] == [1, 2], "the state follows from the events alone"
    assert state.interactions[1].origins == ()


def test_several_go_in_their_order_and_are_numbered_behind_those_that_are_there() -> None:
    """Each pair of events stands for itself: the channel is where we speak once that contact has gone or come."""
    state = two_contacts().state.conversations[CONVERSATION]
    events = moves(state, fresh(), 1, 2)
    assert [stream for stream, _ in events] == [CONVERSATION, SECOND, CONVERSATION, SECOND]
    assert [(each.interaction.number, each.channel) for each in received(events)] == [(1, "email"), (2, "chat")]
    assert [e.channel for _, e in events if isinstance(e, InteractionMoved)] == ["chat", ""]


def test_one_that_comes_home_has_its_number_again() -> None:
    """And where it was meanwhile is where some of its messages are."""
    player = two_contacts()
    player.message("a third", channel="sms", identities=("tel:+447700900123", *CHAT))
    player.command(Split(interactions=[2]))
    home, away = player.state.conversations[CONVERSATION], player.state.conversations[SECOND]
    (another := copy(away.interactions[0])).number, another.origins = 2, ()
    away.interactions = (*away.interactions, another)
    came = [(each.interaction.number, each.interaction.origins) for each in received(moves(away, home, 1, 2))]
    assert came == [(2, ((SECOND, 1),)), (4, ((SECOND, 2),))]


def test_a_contact_is_moved_only_so_often() -> None:
    """Each move leaves messages in one more place; the bound is said."""
    state = two_contacts().state.conversations[CONVERSATION]
    state.interactions[1].origins = tuple((f"{CUSTOMER}-{n}", 1) for n in range(10, 10 + ORIGINS_MAX - 1))
    assert len(received(moves(state, fresh(), 2))[0].interaction.origins) == ORIGINS_MAX
    state.interactions[1].origins += ((f"{CUSTOMER}-99", 1),)
    with pytest.raises(Refusal, match="interaction 2 was moved") as refused:
        moves(state, fresh(), 2)
    assert refused.value.code == Code.OVER_LIMIT


def test_the_references_of_a_contacts_messages_go_with_it() -> None:
    """The customer's and ours, so that an answer to one of them finds it; with everything go all there are, once."""
    player = two_contacts()
    for channel, reference in (("chat", "ours-chat"), ("email", "ours-mail")):
        player.command(Reply(text="we look", channel=channel))
        queued = player.decision.events[0][1]
        assert isinstance(queued, MessageQueued)
        player.outcome(queued.delivery, 1, "sent", external_id=reference)
    player.message("I am away", identities=("mailto:ann@example.org",), reference="away@x", automatic="auto_reply")
    state = player.state.conversations[CONVERSATION]
    (_, left), (_, came) = moves(state, fresh(), 2)
    assert isinstance(left, InteractionMoved)
    assert isinstance(came, InteractionReceived)
    assert left.references == came.references == ["chat-m1", "ours-chat"]
    assert received(moves(state, fresh(), 1))[0].references == ["one@x", "ours-mail", "away@x"]
    assert [each.references for each in received(moves(state, fresh(), 1, 2, every=True))] == [
        ["one@x", "chat-m1", "ours-chat", "ours-mail", "away@x"],
        [],
    ]


def test_the_keys_that_were_named_in_a_contact_are_taken_from_where_it_leaves() -> None:
    """Else a claim's number would lead to a conversation that is not about it any more."""
    state = two_contacts().state.conversations[CONVERSATION]
    state.interactions[1].tags = Tags(keys=("claim:1",))
    (_, left), _ = moves(state, fresh(), 2)
    assert isinstance(left, InteractionMoved)
    assert left.keys == ["claim:1"]


def test_of_what_contacts_came_without_the_newest_is_remembered() -> None:
    """However many of them were joined: else one conversation's state would grow with each."""
    gap = MissingField(field="claim", action="ask_agent", interaction=2)
    state = two_contacts().state.conversations[CONVERSATION]
    state.missing = tuple(gap for _ in range(9))
    (_, left), (_, came) = moves(state, fresh(), 2)
    assert isinstance(came, InteractionReceived)
    assert came.gaps == [msgspec.structs.replace(gap, interaction=1)] * 9
    there = fresh()
    there.missing = tuple(MissingField(field=f"f{n}", action="ask_agent", interaction=9) for n in range(MISSING_MAX))
    evolve(there, came, b"")
    assert (len(there.missing), there.missing[0].field) == (MISSING_MAX, "f9")
    evolve(state, left, b"")
    assert state.missing == ()


def test_what_was_said_in_the_contacts_is_known_where_they_go() -> None:
    """Under their new numbers; what was said in the others stays."""
    player = two_contacts()
    player.message(context={"contract": "C-1"})
    player.message("a claim", channel="chat", identities=CHAT, session="s1", context={"claim": "C-2"})
    state = player.state.conversations[CONVERSATION]
    events = moving.take_along(state, fresh(), state.interactions[1:], "agent:ann", POLICY, NOW_MS)
    assert [type(event) for _, event in events[:2]] == [InteractionMoved, InteractionReceived]
    assert {stream for stream, _ in events[2:]} == {SECOND}
    assert context([event for _, event in events]) == {"claim": ("C-2", 1, "chat")}


def test_nothing_that_is_known_is_lost_where_two_become_one() -> None:
    """Each source's word comes along, unless the same source has said something newer here."""
    player, other = two_contacts(), two_contacts()
    other.message("first", context={"contract": "OLD", "meter": "M-1"})
    player.now_ms = other.now_ms + 10
    player.message("then", context={"contract": "NEW"})
    other.message("by chat", channel="chat", identities=CHAT, session="s1", context={"contract": "CHAT"})
    here, there = (each.state.conversations[CONVERSATION] for each in (player, other))
    facts = moving.context_of(here, there, {1: 7}, POLICY, NOW_MS)
    brought = [(e.key, e.value, e.interaction, e.channel) for e in facts if isinstance(e, ContextSet)]
    assert sorted(brought) == [("contract", "CHAT", 0, "chat"), ("meter", "M-1", 7, "email")]


def test_what_the_channel_may_not_carry_is_withheld_where_it_comes() -> None:
    """On the channel where we speak there, which the one that was just opened does not say yet."""
    secret = ContextRules(keys={"iban": KeyRules(sensitivity="secret")}, carries={"chat": ("normal",)})
    player = Player(msgspec.structs.replace(POLICY, context=secret))
    player.message("my bill", identities=("mailto:ann@example.org", *CHAT))
    player.message("here", channel="chat", identities=CHAT, session="s1", context={"iban": "GB1"})
    state = player.state.conversations[CONVERSATION]
    events = moving.take_along(state, fresh(), state.interactions[1:], "agent:ann", player.policy, NOW_MS)
    assert [event.keys for _, event in events if isinstance(event, ContextWithheld)] == [["iban"]]
    facts = moving.context_of(fresh(), state, {}, player.policy, NOW_MS, channel="email")
    assert [type(fact) for fact in facts] == [ContextSet]


def test_where_there_is_no_room_for_what_is_known_they_cannot_be_one() -> None:
    """Nothing is dropped in silence: nothing happens, and the reason is said."""
    player, other = two_contacts(), two_contacts()
    for number in range(CONTEXT_MAX):
        player.command(SetContext(key=f"k{number}", value="v"))
    other.message("more", context={"one more": "v"})
    here, there = (each.state.conversations[CONVERSATION] for each in (player, other))
    with pytest.raises(Refusal, match="cannot be one") as refused:
        moving.context_of(here, there, {}, POLICY, NOW_MS)
    assert refused.value.code == Code.OVER_LIMIT


def test_where_we_spoke_on_a_channel_that_has_left_we_speak_on_one_that_is_left() -> None:
    """The newest; nothing is switched where the channel has a contact still, or where it is over."""
    player = two_contacts()
    state = player.state.conversations[CONVERSATION]
    [(stream, switched), *_] = moving.elsewhere(state, state.interactions[:1], "agent:ann", POLICY, NOW_MS)
    assert isinstance(switched, ChannelSwitched)
    assert (stream, switched.by) == (CONVERSATION, "agent")
    assert (switched.from_channel, switched.to_channel, switched.interaction) == ("chat", "email", 1)
    assert moving.elsewhere(state, state.interactions, "agent:ann", POLICY, NOW_MS) == []
    player.command(Resolve())
    player.pass_time(POLICY.close_after_resolved_ms)
    assert moving.elsewhere(state, state.interactions[:1], "agent:ann", POLICY, NOW_MS) == []
