"""Correcting: what an agent says about which contact belongs where, as appended events, and how it is undone."""

from collections.abc import Iterable

import msgspec
import pytest

from actors.cells import snapshots
from actors.decisions.deciding import AnyInput
from actors.rules.capture import CaptureRules, Field, Template
from actors.state import context_items, recent
from actors.state import journey as journeys
from actors.state.conversation import Conversation
from actors.state.journey import Journey
from actors.way_out import conversation_views
from protocol.commands import (
    AddNote,
    Join,
    OfferHandoff,
    Relate,
    Reply,
    Resolve,
    SetContext,
    Snooze,
    Split,
    TagInteraction,
    Take,
)
from protocol.entities import Relation, RelationKind, Status
from protocol.errors import Code, Refusal
from protocol.events import AnyEvent, CorrelationCorrected, Event, FieldMissing, NoteAdded
from protocol.inbound import GivenContext, InteractionStopped
from tests.actors.player import CONVERSATION, CUSTOMER, POLICY, Player, names

SECOND = f"{CUSTOMER}-2"
THIRD = f"{CUSTOMER}-3"

_event = msgspec.msgpack.Decoder(AnyEvent).decode


def two_contacts() -> Player:
    """A mail and a chat in one conversation."""
    player = Player()
    player.message("my bill", reference="one@x", identities=("mailto:ann@example.org", "chat:1"))
    player.message("my claim", channel="chat", identities=("chat:1",), session="s1", reference="chat-m1")
    return player


def of(player: Player, conversation: str) -> Conversation:
    """Its state."""
    return player.state.conversations[conversation]


def numbers(player: Player, conversation: str) -> list[int]:
    """The contacts it has."""
    return [interaction.number for interaction in of(player, conversation).interactions]


def only(events: Iterable[Event], kind: type) -> Event:
    """The one event of that kind."""
    (found,) = [event for event in events if isinstance(event, kind)]
    return found


def test_a_contact_is_split_off_into_a_conversation_of_its_own() -> None:
    """Both streams say so; the contact keeps what is known of it, and the new one is related to the old."""
    player = two_contacts()
    events = player.command(Split(interactions=[2], reason="that is the claim"))
    assert names(events) == [
        "CorrelationCorrected",
        "ConversationOpened",
        "InteractionMoved",
        "InteractionReceived",
        "ChannelSwitched",
    ]
    assert (of(player, CONVERSATION).channel, of(player, SECOND).channel) == ("email", "chat")
    corrected = only(events, CorrelationCorrected)
    assert isinstance(corrected, CorrelationCorrected)
    assert (corrected.correction, corrected.other, corrected.interactions) == ("split", SECOND, [2])
    assert (corrected.earlier_channel, corrected.channel) == ("email", "chat")
    assert (numbers(player, CONVERSATION), numbers(player, SECOND)) == ([1], [1])
    moved = of(player, SECOND).interactions[0]
    assert (moved.channel, moved.session, moved.origins) == ("chat", "s1", ((CONVERSATION, 2),))
    relation = of(player, SECOND).relation
    assert relation is not None
    assert (relation.kind, relation.conversation) == (RelationKind.FOLLOWS_UP, CONVERSATION)
    assert of(player, SECOND).queue == of(player, CONVERSATION).queue


def test_who_has_a_conversation_has_what_is_split_off_it() -> None:
    """Whoever splits: the customer whom she speaks with is not nobody's. An offer of the first goes on, and is not of
    the second; of what is over nobody is in charge any more."""
    player = two_contacts()
    player.command(Take())
    player.command(OfferHandoff(kind="tier", agent="bob"))
    player.command(Split(interactions=[2]), agent="cat")
    first, second = of(player, CONVERSATION), of(player, SECOND)
    assert (first.owner, second.owner) == ("ann", "ann")
    assert first.handoff is not None
    assert (first.handoff.open, second.handoff) == (True, None)
    player = two_contacts()
    player.command(Take())
    player.command(Resolve())
    player.pass_time(50_000)
    player.command(Split(interactions=[2]))
    assert of(player, SECOND).owner == ""


def test_who_has_a_conversation_has_what_it_is_joined_into() -> None:
    """Where nobody else does, and it is offered to nobody."""
    player = two_contacts()
    player.command(Split(interactions=[2]))
    player.command(Take(), conversation=SECOND)
    player.command(Join(other=SECOND))
    assert of(player, CONVERSATION).owner == "ann"
    player.command(Split(interactions=[2]))
    player.command(Take(force=True), conversation=THIRD, agent="bob")
    player.command(Join(other=THIRD))
    assert of(player, CONVERSATION).owner == "ann"
    player = two_contacts()
    player.command(Split(interactions=[2]))
    player.command(OfferHandoff(kind="tier", agent="bob"))
    player.command(Take(), conversation=SECOND)
    player.command(Join(other=SECOND))
    state = of(player, CONVERSATION)
    assert state.handoff is not None
    assert (state.owner, state.handoff.open) == ("", True)


def test_what_follows_a_split_goes_to_the_new_conversation() -> None:
    """The chat's next word and its end by the session, an answer to one of its messages by the reference."""
    player = two_contacts()
    player.command(Split(interactions=[2]))
    player.message("and?", channel="chat", identities=("chat:1",), session="s1")
    assert player.decision.events[0][0] == SECOND
    player.message("as I said", in_reply_to=["chat-m1"])
    assert player.decision.events[0][0] == SECOND
    player.message("the bill again", in_reply_to=["one@x"])
    assert player.decision.events[0][0] == CONVERSATION
    player.give(player.input(InteractionStopped(session="s1"), channel="chat", identities=("chat:1",)))
    assert of(player, SECOND).interactions[0].ended_at_ms


def test_an_answer_to_our_reply_follows_the_contact_it_was_part_of() -> None:
    """The references of what we sent in it move with it."""
    player = two_contacts()
    player.command(Reply(text="we look at the claim", channel="chat"))
    player.outcome(f"{CONVERSATION}.5", 1, "sent", external_id="ours@x")
    player.command(Split(interactions=[2]))
    player.message("thank you", in_reply_to=["ours@x"])
    assert "MessageReceived" in _kinds(player, SECOND)
    assert "ours@x" not in of(player, CONVERSATION).references


def test_what_was_said_in_a_contact_is_known_where_it_goes() -> None:
    """So that nobody asks for it again; what others said stays with them, and nothing is taken away."""
    player = two_contacts()
    player.message(context={"contract": "C-1"})
    player.message("a claim", channel="chat", identities=("chat:1",), session="s1", context={"claim": "C-2"})
    player.command(Split(interactions=[2]))
    there = of(player, SECOND).context
    assert {key: (item.value, item.interaction, item.channel) for key, item in there.items()} == {
        "claim": ("C-2", 1, "chat")
    }
    assert set(of(player, CONVERSATION).context) == {"contract", "claim"}


def test_a_contacts_own_word_is_known_where_it_goes() -> None:
    """Another chat's had taken its place, as a newer word of the same source does while they are one issue. Nothing is
    taken away where that one stays."""
    player = Player()
    for session, claim in (("s1", "C-1"), ("s2", "C-2")):
        known: GivenContext = {"claim": f"{claim}?", "name": "Ann"}
        player.message("my claim", session=session, context=known, channel="chat", identities=("chat:1",))
        player.message("no, it is", session=session, context={"claim": claim}, channel="chat", identities=("chat:1",))
        player.give(player.input(InteractionStopped(session=session), channel="chat", identities=("chat:1",)))
    both = {"claim": ("C-2", 2), "name": ("Ann", 1)}
    assert said(player, CONVERSATION) == both
    player.command(Split(interactions=[1]))
    assert said(player, CONVERSATION) == both
    assert said(player, SECOND) == {"claim": ("C-1", 1), "name": ("Ann", 1)}


def said(player: Player, conversation: str) -> dict[str, tuple[object, int]]:
    """What stands, and the contacts it is from."""
    return {key: (item.value, item.interaction) for key, item in of(player, conversation).context.items()}


def asking() -> Player:
    """A mail, which lacks a contract, and a chat, which lacks a claim; each customer's side was asked for its own."""
    templates = tuple(
        Template(
            channel=channel,
            fields=(Field(name=field, when_missing="ask_customer", question=f"Which {field}?"), Field(name="topic")),
        )
        for channel, field in (("email", "contract"), ("chat", "claim"))
    )
    player = Player(msgspec.structs.replace(POLICY, capture=CaptureRules(templates=templates)))
    player.message("my bill", identities=("mailto:ann@example.org", "chat:1"))
    player.message("my claim", channel="chat", identities=("chat:1",), session="s1")
    all_leave(player)
    return player


def all_leave(player: Player) -> None:
    """What waits to be sent is sent."""
    for conversation in player.state.kept:
        for delivery in conversation.deliveries:
            player.outcome(delivery, 1, "sent")


def gaps(player: Player, conversation: str) -> list[tuple[str, int]]:
    """What is missing in it, and the contacts that came without it."""
    view = conversation_views.view(of(player, conversation), ())
    return [(gap.field, gap.interaction) for gap in view.missing]


def next_word(player: Player) -> tuple[set[str], list[str]]:
    """Where the next word of the chat goes, and what is found missing then."""
    events = player.message("well?", channel="chat", identities=("chat:1",), session="s1")
    return {stream for stream, _ in player.decision.events}, [e.field for e in events if isinstance(e, FieldMissing)]


def test_what_a_contact_came_without_is_missing_where_it_goes() -> None:
    """It was asked for there and is not asked for again; where it came from it is not missing any more."""
    player = asking()
    assert gaps(player, CONVERSATION) == [("contract", 1), ("claim", 2)]
    player.command(Split(interactions=[2]))
    assert (gaps(player, CONVERSATION), gaps(player, SECOND)) == ([("contract", 1)], [("claim", 1)])
    assert next_word(player) == ({SECOND}, [])
    player.command(Join(other=SECOND))
    assert next_word(player) == ({CONVERSATION}, [])
    assert (gaps(player, CONVERSATION), gaps(player, SECOND)) == ([("contract", 1), ("claim", 2)], [])


def test_what_two_contacts_came_without_is_missing_once() -> None:
    """Of those that became one conversation; each takes its own along where they part again."""
    player = asking()
    player.command(Split(interactions=[2]))
    player.message("another", channel="email", in_reply_to=[f"{SECOND}.1"])
    assert gaps(player, SECOND) == [("claim", 1), ("contract", 2)]
    all_leave(player)
    player.command(Join(other=SECOND))
    assert gaps(player, CONVERSATION) == [("contract", 1), ("claim", 2)]
    player.command(Split(interactions=[3]))
    assert (gaps(player, CONVERSATION), gaps(player, THIRD)) == ([("contract", 1), ("claim", 2)], [("contract", 1)])


def test_a_split_is_undone_by_joining_back() -> None:
    """The contact has its old number, and what was said in between comes with it; the other conversation is over."""
    player = two_contacts()
    player.command(Split(interactions=[2]))
    player.message("and?", channel="chat", identities=("chat:1",), session="s1")
    events = player.command(Join(other=SECOND))
    assert names(events)[0] == "CorrelationCorrected"
    assert names(events)[-1] == "ConversationClosed"
    assert numbers(player, CONVERSATION) == [1, 2]
    assert of(player, CONVERSATION).interactions[1].origins == ((SECOND, 1),)
    assert of(player, CONVERSATION).interaction_count == 2
    assert of(player, SECOND).status is Status.CLOSED
    player.message("more", channel="chat", identities=("chat:1",), session="s1")
    assert numbers(player, CONVERSATION) == [1, 2]


def test_two_open_conversations_become_one() -> None:
    """The other's contacts come, numbered on, and with them its thread references and its context."""
    player = two_contacts()
    player.command(Split(interactions=[2]))
    player.command(SetContext(key="claim", value="CLM-1"), conversation=SECOND)
    player.command(SetContext(key="phone", value="new"), conversation=SECOND)
    player.command(SetContext(key="phone", value="old"))
    player.command(Join(other=CONVERSATION), conversation=SECOND)
    assert numbers(player, SECOND) == [1, 2]
    context = of(player, SECOND).context
    assert {key: [value.value for value in context_items.values_of(item)] for key, item in context.items()} == {
        "claim": ["CLM-1"],
        "phone": ["old", "new"],
    }
    player.message("as I wrote", in_reply_to=["one@x"])
    assert player.decision.events[0][0] == SECOND
    player.message("as you wrote", in_reply_to=[f"{CONVERSATION}.9@example.org"])
    assert player.decision.events[0][0] == SECOND


def test_a_join_is_undone_by_splitting_off() -> None:
    """What came is split off again, into a conversation that begins then."""
    player = two_contacts()
    player.command(Split(interactions=[2]))
    player.command(Join(other=SECOND))
    player.command(Split(interactions=[2]))
    assert (numbers(player, CONVERSATION), numbers(player, THIRD)) == ([1], [1])
    assert of(player, THIRD).interactions[0].origins == ((SECOND, 1), (CONVERSATION, 2))


def test_a_word_that_a_join_took_the_place_of_stands_again_once_that_is_undone() -> None:
    """What came had said something newer on the same channel, and leaves with its word."""
    player = Player()
    player.message(channel="chat", identities=("chat:ann",), session="s1", context={"contract": "B1"})
    player.give(player.input(InteractionStopped(session="s1"), channel="chat", identities=("chat:ann",)))
    player.message(channel="chat", identities=("chat:ann",), session="s2")
    player.command(Split(interactions=[2]))
    player.now_ms += 1
    player.message(channel="chat", identities=("chat:ann",), session="s2", context={"contract": "B2"})
    assert player.decision.events[0][0] == SECOND
    player.command(Join(other=SECOND))
    assert of(player, CONVERSATION).context["contract"].value == "B2"
    player.command(Split(interactions=[2]))
    known = [of(player, each).context["contract"].value for each in (CONVERSATION, THIRD)]
    assert known == ["B1", "B2"]


def test_one_that_is_related_to_what_it_joins_takes_that_ones_relation() -> None:
    """Nothing is related to itself."""
    player = two_contacts()
    player.command(Split(interactions=[2]))
    corrected = only(player.command(Join(other=CONVERSATION), conversation=SECOND), CorrelationCorrected)
    assert isinstance(corrected, CorrelationCorrected)
    assert corrected.relation is None
    assert corrected.previous is not None
    assert of(player, SECOND).relation is None


def test_a_resolved_one_is_opened_by_what_is_joined_into_it() -> None:
    """The other was not done."""
    player = two_contacts()
    player.command(Split(interactions=[2]))
    player.command(Resolve())
    assert "ConversationReopened" in names(player.command(Join(other=SECOND)))
    assert of(player, CONVERSATION).status is Status.OPEN


def test_what_a_contact_was_about_leaves_with_it() -> None:
    """The topic of the conversation is that of the contacts it has."""
    player = two_contacts()
    player.command(TagInteraction(interaction=2, topic="claim"))
    assert (tags := of(player, CONVERSATION).tags) is not None
    assert tags.topic is not None
    player.command(Split(interactions=[2]))
    assert of(player, CONVERSATION).tags is None
    assert of(player, SECOND).tags == tags


def test_an_agent_says_what_a_conversation_is_to_an_earlier_one() -> None:
    """Sets, changes and takes back the one relation it has."""
    player = two_contacts()
    player.command(Resolve())
    player.pass_time(50_000)
    player.message("again")
    events = player.command(Relate(kind=RelationKind.REPEATS, reason="the same bill"), conversation=SECOND)
    (corrected,) = events
    assert isinstance(corrected, CorrelationCorrected)
    assert corrected.previous is not None
    assert (corrected.previous.kind, corrected.other) == (RelationKind.FOLLOWS_UP, CONVERSATION)
    relation = of(player, SECOND).relation
    assert relation is not None
    assert (relation.kind, relation.conversation, relation.reason) == (
        RelationKind.REPEATS,
        CONVERSATION,
        "the same bill",
    )
    player.command(Relate(), conversation=SECOND)
    assert of(player, SECOND).relation is None
    player.command(Relate(kind=RelationKind.ESCALATES, earlier=CONVERSATION), conversation=SECOND)
    assert of(player, SECOND).relation is not None


def test_relations_do_not_come_back_to_where_they_began() -> None:
    """Which of two was first could not be said of them any more; the other one's relation is taken back before."""
    player = two_contacts()
    player.command(Split(interactions=[2]))
    player.command(Resolve(), conversation=SECOND)
    player.pass_time(50_000)
    with pytest.raises(Refusal, match=f"{SECOND} is related to {CONVERSATION}") as refused:
        player.command(Relate(kind=RelationKind.REPEATS, earlier=SECOND))
    assert refused.value.code == Code.NOT_ALLOWED_NOW
    player.command(Relate(), conversation=SECOND)
    player.command(Relate(kind=RelationKind.REPEATS, earlier=SECOND))
    assert of(player, CONVERSATION).relation is not None


REFUSED = [
    ("no contact is named", Split(interactions=[]), Code.INVALID),
    ("all contacts are named", Split(interactions=[1, 2]), Code.NOT_ALLOWED_NOW),
    ("a contact it does not have", Split(interactions=[7]), Code.NOT_FOUND),
    ("with itself", Join(other=CONVERSATION), Code.INVALID),
    ("with one there is not", Join(other=SECOND), Code.NOT_FOUND),
    ("with another customer's", Join(other="cubbbbbbbbbbbbbbbb-1"), Code.NOT_FOUND),
    ("related to nothing", Relate(kind=RelationKind.REPEATS), Code.INVALID),
    ("related to itself", Relate(kind=RelationKind.REPEATS, earlier=CONVERSATION), Code.INVALID),
    ("related to one there is not", Relate(kind=RelationKind.REPEATS, earlier=THIRD), Code.NOT_FOUND),
    ("no relation to take back", Relate(), Code.NOT_ALLOWED_NOW),
    ("a reason without end", Split(interactions=[2], reason="x" * 501), Code.OVER_LIMIT),
]


@pytest.mark.parametrize(("name", "command", "code"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_cannot_be_changes_nothing(name: str, command: Split | Join | Relate, code: Code) -> None:
    """And says why."""
    player = two_contacts()
    before = snapshots.freeze(player.state)
    with pytest.raises(Refusal) as refused:
        player.command(command)
    assert refused.value.code == code
    assert snapshots.freeze(player.state) == before


def test_one_whose_messages_have_not_left_is_not_joined_away() -> None:
    """Their outcome is heard where they were queued."""
    player = two_contacts()
    player.command(Split(interactions=[2]))
    player.command(Reply(text="one moment"), conversation=SECOND)
    with pytest.raises(Refusal, match="have not left"):
        player.command(Join(other=SECOND))
    delivery = next(iter(of(player, SECOND).deliveries))
    player.outcome(delivery, 1, "sent")
    assert names(player.command(Join(other=SECOND)))[-1] == "ConversationClosed"


def test_a_closed_conversation_can_be_split_related_tagged_and_noted_in() -> None:
    """What was put together wrongly is found out afterwards, too; it stays closed, and counts as what it was about."""
    player = two_contacts()
    player.command(Resolve())
    player.pass_time(50_000)
    (noted,) = player.command(AddNote(text="it was her claim"))
    assert isinstance(noted, NoteAdded)
    player.command(TagInteraction(interaction=1, topic="claim"))
    assert [(past.conversation, past.tags.topic.value) for past in player.state.remembered if past.tags.topic] == [
        (CONVERSATION, "claim")
    ]
    events = player.command(Split(interactions=[2]))
    assert "ChannelSwitched" not in names(events)
    assert of(player, CONVERSATION).status is Status.CLOSED
    assert [interaction.channel for interaction in of(player, SECOND).interactions] != []
    assert of(player, SECOND).live
    player.command(Relate(), conversation=SECOND)
    player.command(Relate(earlier=SECOND, kind=RelationKind.REPEATS))
    assert of(player, CONVERSATION).relation == Relation(
        kind=RelationKind.REPEATS, conversation=SECOND, reason="said by an agent"
    )


def test_a_closed_conversation_is_joined_into_an_open_one_and_not_the_other_way_round() -> None:
    """It closes once; what is in it then is found where it is."""
    player = two_contacts()
    player.command(Split(interactions=[2]))
    player.command(Resolve())
    player.pass_time(50_000)
    with pytest.raises(Refusal, match="nothing comes into it"):
        player.command(Join(other=SECOND))
    events = player.command(Join(other=CONVERSATION), conversation=SECOND)
    assert "ConversationClosed" not in names(events)
    assert len(of(player, SECOND).interactions) == 2
    assert not of(player, CONVERSATION).interactions
    with pytest.raises(Refusal, match="nothing to join"):
        player.command(Join(other=CONVERSATION), conversation=SECOND)


def test_nothing_goes_on_in_a_closed_conversation() -> None:
    """The refusal says what can be done instead; one that left memory says why it cannot be corrected."""
    player = two_contacts()
    player.command(Resolve())
    player.pass_time(50_000)
    with pytest.raises(Refusal, match="can only be noted in, tagged and corrected"):
        player.command(Take())
    player.state.kept = ()
    with pytest.raises(Refusal, match="closed too long ago"):
        player.command(Split(interactions=[2]))


def test_a_snoozed_conversation_can_be_corrected() -> None:
    """It sleeps on."""
    player = two_contacts()
    player.command(Snooze(until_ms=player.now_ms + 1000))
    player.command(Split(interactions=[2]))
    assert of(player, CONVERSATION).status is Status.SNOOZED


def test_the_same_correction_twice_is_one() -> None:
    """A repeated command repeats its result."""
    player = two_contacts()
    player.command(Split(interactions=[2]), id="k")
    assert player.command(Split(interactions=[2]), id="k") == []
    assert player.decision.repeats == (CONVERSATION, 7)


def test_a_snapshot_holds_corrections() -> None:
    """Freezing and thawing loses nothing of them."""
    player = two_contacts()
    player.command(TagInteraction(interaction=2, topic="claim"))
    player.command(Split(interactions=[2]))
    player.command(Relate(kind=RelationKind.ESCALATES), conversation=SECOND)
    assert snapshots.thaw(snapshots.freeze(player.state)) == player.state


def test_events_of_a_correction_make_the_same_state_anew() -> None:
    """Loaded from its journal, the journey is what it was."""
    player, again = Recorded(), Journey(customer=CUSTOMER)
    player.message("my bill", identities=("mailto:ann@example.org", "chat:1"))
    player.message("my claim", channel="chat", identities=("chat:1",), session="s1")
    player.command(Split(interactions=[2]))
    player.command(Join(other=SECOND))
    for stream, event in player.journal:
        journeys.evolve(again, stream, event, msgspec.msgpack.encode(event))
    assert snapshots.freeze(again) == snapshots.freeze(player.state)


class Recorded(Player):
    """Keeps what was journaled."""

    def __init__(self) -> None:
        super().__init__()
        self.journal: list[tuple[str, AnyEvent]] = []

    def give(self, given: AnyInput) -> list[AnyEvent]:
        """As ever."""
        events = super().give(given)
        self.journal += self.decision.events
        return events


def _kinds(player: Player, conversation: str) -> list[str]:
    """The names of a conversation's newest events."""
    return [type(_event(encoded)).__name__ for encoded in recent.events(of(player, conversation).recent)]
