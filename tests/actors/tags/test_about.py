"""About: tags, repeat contacts and what is carried over, as a journey journals them."""

import msgspec
import pytest

from actors.rules.correlation import CorrelationRules, Window
from actors.rules.policy import Policy
from actors.rules.taxonomy import Label, Tagger, Taxonomy
from actors.tags import about
from actors.tags.tagging import tags_of
from protocol.commands import AddNote, OfferHandoff, Reopen, Reply, Resolve, TagInteraction
from protocol.entities import Before, Relation, RelationKind, Tag
from protocol.errors import Code, Refusal
from protocol.events import AnyEvent, ConversationOpened, InteractionStarted, InteractionTagged, RepeatContactFound
from protocol.inbound import ActivityArrived, ContextScalar, InteractionBegan, InteractionStopped, MessageArrived
from tests.actors.player import CONVERSATION, CUSTOMER, POLICY, Player, names

DAY_MS = 86_400_000
SECOND = f"{CUSTOMER}-2"
TAXONOMY = Taxonomy(
    topics={
        "bill": Label(taggers=(Tagger(words=("bill",)), Tagger(property="menu", values=("1",)))),
        "claim": Label(taggers=(Tagger(words=("claim",)), Tagger(property="menu", values=("2",)))),
    },
    intents={
        "pay": Label(taggers=(Tagger(words=("pay",)), Tagger(property="menu", values=("3",)))),
        "complaint": Label(taggers=(Tagger(words=("complain",)),)),
    },
    keys={"claim": ("CLM-######",)},
)
TAGGED = Policy(
    channels=POLICY.channels,
    close_after_resolved_ms=50_000,
    taxonomy=TAXONOMY,
    correlation=CorrelationRules(repeat_within_ms=7 * DAY_MS),
)
PHONE = ("tel:+447700900123",)


def closed(player: Player, text: str) -> Player:
    """One conversation, begun with these words, that is over."""
    player.message(text)
    player.command(Resolve(reason="explained"))
    player.pass_time(50_000)
    return player


def the(events: list[AnyEvent], kind: type) -> list[AnyEvent]:
    """The events of a kind."""
    return [event for event in events if isinstance(event, kind)]


def test_a_tag_is_journaled_once_with_its_evidence() -> None:
    """The second message about it says nothing new."""
    player = Player(TAGGED)
    events = player.message("my bill and claim CLM-123456")
    (tagged,) = the(events, InteractionTagged)
    assert isinstance(tagged, InteractionTagged)
    assert tagged.topic == Tag(value="bill", tagger="words", matched="bill")
    assert (tagged.actor, tagged.keys) == ("system", ["claim:CLM123456"])
    assert names(player.message("the bill again, CLM-123456")) == ["MessageReceived"]
    assert the(player.message("and CLM-999999"), InteractionTagged) == [
        InteractionTagged(at_ms=player.now_ms, actor="system", interaction=1, keys=["claim:CLM999999"])
    ]


@pytest.mark.parametrize("resolved", [False, True], ids=["open", "resolved"])
@pytest.mark.parametrize("first", ["hello", "my bill", "I pay", "my bill, CLM-123456", "I pay the bill"])
def test_what_is_said_already_needs_no_look(first: str, *, resolved: bool) -> None:
    """Whatever the words are: of what is known there is nothing to say, whoever looks."""
    player = Player(TAGGED)
    player.message(first)
    if resolved:
        player.command(Resolve(reason="explained"))
    [conversation] = player.state.kept
    said: set[str] = set()
    for text in (
        "hello",
        "my bill",
        "I pay",
        "my bill, CLM-123456",
        "my bill, CLM-999999",
        "I pay the bill",
        "my claim",
    ):
        event = player.input(MessageArrived(text=text)).event
        found = tags_of(event, TAXONOMY)
        for number in (1, 2):
            facts = about.after_contact(
                conversation, number, event, found=found, relation=None, remembered=(), others=player.state.kept,
                rules=TAGGED.correlation, said_ms=player.now_ms, now_ms=player.now_ms,
            )  # fmt: skip
            if about.is_said_already(conversation, number, found):
                assert facts == []
                said.add(text)
    assert said == ({first} if "bill" in first and not resolved else set())


def test_a_choice_in_a_menu_changes_what_words_said() -> None:
    """The stronger evidence is the conversation's, too."""
    player = Player(TAGGED)
    player.give(player.input(InteractionBegan(session="c1", subject="claim"), channel="phone", identities=PHONE))
    player.give(player.input(ActivityArrived(name="ivr", properties={"menu": "1"}), channel="phone", identities=PHONE))
    conversation = player.state.conversations[CONVERSATION]
    assert conversation.tags is not None
    assert conversation.tags.topic == Tag(value="bill", tagger="channel", matched="menu: 1")
    assert conversation.interactions[0].tags == conversation.tags


def test_the_latest_intent_counts_unless_what_says_it_is_weaker() -> None:
    """Of equally strong words the last; the earlier one stays in the journal. Words do not undo a choice in a menu."""
    player = Player(TAGGED)
    told = the([*player.message("I want to pay the bill"), *player.message("and I complain of it")], InteractionTagged)
    intents = [event.intent for event in told if isinstance(event, InteractionTagged)]
    assert [intent and intent.value for intent in intents] == ["pay", "complaint"]
    assert names(player.message("I complain again")) == ["MessageReceived"]
    conversation = player.state.conversations[CONVERSATION]
    assert conversation.tags is not None
    assert conversation.interactions[0].tags == conversation.tags
    assert conversation.tags.intent == Tag(value="complaint", tagger="words", matched="complain")
    player.give(player.input(ActivityArrived(name="ivr", properties={"menu": "3"})))
    assert the(player.message("I complain"), InteractionTagged) == []
    assert player.state.conversations[CONVERSATION].interactions[0].tags == conversation.tags
    assert conversation.tags.intent == Tag(value="pay", tagger="channel", matched="menu: 3")


def test_a_late_answer_about_an_earlier_contact_does_not_change_the_intent() -> None:
    """It is that contact's; the conversation's is what the customer wanted since."""
    player = Player(TAGGED)
    player.message("my bill", identities=("mailto:ann@example.org", *PHONE))
    player.now_ms += 10
    player.message("hello", channel="sms", identities=PHONE)
    for interaction, intent in ((2, "complaint"), (1, "pay")):
        player.command(TagInteraction(interaction=interaction, intent=intent, classified=True), agent="model")
    conversation = player.state.conversations[CONVERSATION]
    intents = [each.tags and each.tags.intent for each in conversation.interactions]
    assert [intent and intent.value for intent in intents] == ["pay", "complaint"]
    assert conversation.tags is not None
    assert conversation.tags.intent == Tag(value="complaint", tagger="classifier", matched="model")


def test_nothing_is_tagged_without_a_taxonomy() -> None:
    """The same words, under the default policy."""
    player = Player()
    assert the(player.message("my bill CLM-123456"), InteractionTagged) == []
    assert player.state.conversations[CONVERSATION].tags is None


def test_an_agent_says_what_it_is_about() -> None:
    """It counts more than what was found, and must be of the taxonomy."""
    player = Player(TAGGED)
    player.message("my bill")
    (tagged,) = player.command(TagInteraction(topic="claim"))
    assert isinstance(tagged, InteractionTagged)
    assert tagged.topic == Tag(value="claim", tagger="agent", matched="ann")
    assert the(player.message("my bill"), InteractionTagged) == []
    with pytest.raises(Refusal, match="already"):
        player.command(TagInteraction(topic="claim"))
    with pytest.raises(Refusal, match="bill, claim"):
        player.command(TagInteraction(topic="weather"))
    with pytest.raises(Refusal, match="nothing is said"):
        player.command(TagInteraction())
    with pytest.raises(Refusal) as refused:
        player.command(TagInteraction(interaction=7, topic="bill"))
    assert refused.value.code == Code.NOT_FOUND


def test_a_classifiers_answer_counts_less_and_only_in_time() -> None:
    """Above words, below the channel and a person; names of the taxonomy alone, and with what it goes by."""
    player = Player(TAGGED)
    player.message("my bill", identities=("mailto:ann@example.org", *PHONE))
    by_model = TagInteraction(topic="claim", classified=True, evidence="m1, 0.9")
    (tagged,) = player.command(by_model, agent="model")
    assert isinstance(tagged, InteractionTagged)
    assert tagged.topic == Tag(value="claim", tagger="classifier", matched="model: m1, 0.9")
    player.command(TagInteraction(topic="bill"))
    with pytest.raises(Refusal, match="outweighed"):
        player.command(by_model, agent="model")
    player.message("hello", channel="sms", identities=PHONE)
    player.now_ms += TAXONOMY.classify_within_ms
    player.command(by_model, agent="model")
    player.now_ms += 1
    with pytest.raises(Refusal, match="too late"):
        player.command(TagInteraction(topic="bill", classified=True), agent="model")


def test_the_reason_is_journaled_where_a_contact_begins() -> None:
    """On the contact that joins, and on the conversation that is a new one; a customer's first needs none."""
    player = Player(TAGGED)
    opened, first = player.message("my bill", identities=("mailto:ann@example.org", *PHONE))[:2]
    assert isinstance(opened, ConversationOpened)
    assert isinstance(first, InteractionStarted)
    assert (opened.reason, first.reason) == ("", "")
    (started,) = the(player.message("my bill", channel="sms", identities=PHONE), InteractionStarted)
    assert isinstance(started, InteractionStarted)
    assert started.reason == "the same topic: bill"
    assert player.state.conversations[CONVERSATION].interactions[1].reason == "the same topic: bill"
    player.command(Resolve())
    player.pass_time(50_000)
    opened = player.message("something else")[0]
    assert isinstance(opened, ConversationOpened)
    assert opened.reason == "no conversation is open"


def test_what_was_done_before_a_contact_is_known_with_it() -> None:
    """Actions, attempts to resolve it, and whether it was left unresolved."""
    player = Player()
    player.message(identities=("mailto:ann@example.org", *PHONE))
    player.command(AddNote(text="calls back"))
    player.command(Resolve())
    player.command(Reopen())
    (started,) = the(player.message(channel="sms", identities=PHONE), InteractionStarted)
    assert isinstance(started, InteractionStarted)
    assert started.before == Before(actions=2, resolution_attempts=1, unresolved=True)
    player.command(Resolve())
    player.now_ms += 2 * DAY_MS
    started = the(player.message(channel="sms", identities=PHONE), InteractionStarted)[0]
    assert isinstance(started, InteractionStarted)
    assert started.before == Before(actions=3, resolution_attempts=2)


def test_a_new_conversation_takes_along_what_was_done_in_the_one_before() -> None:
    """Its subject, topic, attempts and last actions; none of a note's words."""
    player = Player(TAGGED)
    player.message("my bill", subject="Bill 7")
    player.command(AddNote(text="secret"))
    player.command(Reply(text="it is right"))
    player.outcome(f"{CONVERSATION}.6", 1, "sent")
    player.command(Resolve(reason="explained"))
    player.pass_time(50_000)
    opened = player.message("my claim")[0]
    assert isinstance(opened, ConversationOpened)
    carried = opened.carried
    assert carried is not None
    assert (carried.conversation, carried.subject, carried.topic) == (CONVERSATION, "Bill 7", "bill")
    assert (carried.unresolved, carried.resolution_attempts) == (False, 1)
    assert [(action.kind, action.actor, action.detail) for action in carried.actions] == [
        ("NoteAdded", "agent:ann", ""),
        ("MessageQueued", "agent:ann", "email"),
        ("ConversationResolved", "agent:ann", "explained"),
    ]


def test_what_is_still_open_is_carried_over_as_unresolved() -> None:
    """A contact outside every window begins a new conversation; the one before goes on."""
    rules = CorrelationRules(windows=(Window(within_ms=1000),), unlisted="new")
    player = Player(Policy(correlation=rules))
    player.message()
    player.command(AddNote(text="calls back"))
    player.now_ms += 1001
    opened = player.message()[0]
    assert isinstance(opened, ConversationOpened)
    assert opened.carried is not None
    assert opened.carried.unresolved
    assert opened.reason == "no open conversation has its topic, or a window for it"
    assert len([c for c in player.state.conversations.values() if c.live]) == 2


def test_a_handoff_alone_is_nothing_to_take_along() -> None:
    """Nothing was done about the issue yet, whoever was asked to."""
    player = Player(Policy(correlation=CorrelationRules(windows=(Window(within_ms=1000),), unlisted="new")))
    player.message()
    player.command(OfferHandoff(kind="team-team", queue="claims"))
    player.now_ms += 1001
    opened = player.message()[0]
    assert isinstance(opened, ConversationOpened)
    assert player.state.conversations[CONVERSATION].handoff is not None
    assert opened.carried is None


def test_a_contact_about_the_same_topic_soon_after_is_a_repeat() -> None:
    """The new conversation is related to the one that was resolved, and an event counts it."""
    player = closed(Player(TAGGED), "my bill")
    events = player.message("my bill again")
    opened, (found,) = events[0], the(events, RepeatContactFound)
    assert isinstance(opened, ConversationOpened)
    assert isinstance(found, RepeatContactFound)
    assert opened.relation is not None
    assert (opened.relation.kind, opened.relation.conversation) == (RelationKind.REPEATS, CONVERSATION)
    assert (found.earlier, found.topic, found.channel, found.relation) == (CONVERSATION, "bill", "email", None)
    assert the(player.message("the bill"), RepeatContactFound) == []


def test_of_several_that_were_resolved_the_newest_is_repeated() -> None:
    """What came of the ones before is behind it."""
    player = closed(Player(TAGGED), "my bill")
    player.message("my bill again")
    player.command(Resolve(), conversation=SECOND)
    player.pass_time(50_000)
    (found,) = the(player.message("my bill, still"), RepeatContactFound)
    assert isinstance(found, RepeatContactFound)
    assert found.earlier == SECOND


def test_a_repeat_is_found_also_when_the_topic_is_known_later() -> None:
    """The relation changes with it, and what it was stays in the event."""
    player = closed(Player(TAGGED), "my bill")
    assert the(player.message("hello, me again"), RepeatContactFound) == []
    (found,) = the(player.message("it is the bill"), RepeatContactFound)
    assert isinstance(found, RepeatContactFound)
    assert found.previous == Relation(
        kind=RelationKind.FOLLOWS_UP, conversation=CONVERSATION, reason="the customer's next contact"
    )
    relation = player.state.conversations[SECOND].relation
    assert relation is not None
    assert relation.kind is RelationKind.REPEATS


def test_a_contact_that_opens_a_resolved_conversation_again_is_a_repeat() -> None:
    """Without a relation: it is the same conversation."""
    player = Player(TAGGED)
    player.message("my bill")
    player.command(Resolve())
    page = player.input(ActivityArrived(name="page", properties={"menu": "1"}))
    assert the(player.give(page), RepeatContactFound) == [], "who looks at a page does not come back"
    (found,) = the(player.message("the bill is wrong still"), RepeatContactFound)
    assert isinstance(found, RepeatContactFound)
    assert (found.earlier, found.relation) == (CONVERSATION, None)
    assert found.resolved_at_ms == player.now_ms
    assert the(player.message("the bill!"), RepeatContactFound) == []


def test_a_contact_after_a_resolved_one_that_stays_shut_is_a_repeat() -> None:
    """The new conversation says so, and an event counts it."""
    rules = CorrelationRules(repeat_within_ms=DAY_MS, after_resolved="new")
    player = Player(Policy(taxonomy=TAXONOMY, correlation=rules))
    player.message("my bill")
    player.command(Resolve())
    events = player.message("my bill")
    opened, (found,) = events[0], the(events, RepeatContactFound)
    assert isinstance(opened, ConversationOpened)
    assert isinstance(found, RepeatContactFound)
    assert opened.relation is not None
    assert (opened.relation.kind, found.earlier) == (RelationKind.REPEATS, CONVERSATION)


def _called(player: Player, *, menu: str = "") -> int:
    """A call that is over; when it was."""
    context: dict[str, ContextScalar] | None = {"menu": menu} if menu else None
    began = InteractionBegan(session="s1", context=context)
    player.give(player.input(began, channel="phone", identities=PHONE))
    player.now_ms += 1_000
    player.give(player.input(InteractionStopped(session="s1"), channel="phone", identities=PHONE))
    return player.now_ms - 1


def _written_down(player: Player, text: str, said_ms: int) -> list[AnyEvent]:
    given = player.input(MessageArrived(text=text, session="s1"), channel="phone", identities=PHONE)
    return player.give(msgspec.structs.replace(given, event=msgspec.structs.replace(given.event, time_ms=said_ms)))


@pytest.mark.parametrize("passed_ms", [1_000, 60_000], ids=["resolved", "closed"])
def test_what_is_written_down_of_a_call_makes_nobody_who_is_back(passed_ms: int) -> None:
    """It was said before the conversation was done."""
    player = Player(TAGGED)
    said_ms = _called(player, menu="2")
    player.command(Resolve())
    player.pass_time(passed_ms)
    events = _written_down(player, "about my claim CLM-123456", said_ms)
    assert names(events) == ["MessageReceived", "InteractionTagged"]


def test_what_is_written_down_of_a_call_tells_that_it_was_a_repeat() -> None:
    """By when it was said: here too late to be seen by when it was written down."""
    player = closed(Player(TAGGED), "my claim")
    player.give(player.input(InteractionBegan(session="s0"), channel="phone", proposed=False))
    player.give(player.input(InteractionStopped(session="s0"), channel="phone", proposed=False))
    said_ms = player.now_ms - 1
    player.command(Resolve(), conversation=SECOND)
    player.pass_time(7 * DAY_MS)
    given = player.input(MessageArrived(text="my claim", session="s0"), channel="phone", proposed=False)
    given = msgspec.structs.replace(given, event=msgspec.structs.replace(given.event, time_ms=said_ms))
    (repeat,) = the(player.give(given), RepeatContactFound)
    assert isinstance(repeat, RepeatContactFound)
    assert (repeat.earlier, player.state.opened) == (CONVERSATION, 2)


def test_no_contact_repeats_where_the_policy_gives_no_window() -> None:
    """Nor one about another topic."""
    plain = Policy(channels=POLICY.channels, close_after_resolved_ms=50_000, taxonomy=TAXONOMY)
    assert the(closed(Player(plain), "my bill").message("my bill"), RepeatContactFound) == []
    assert the(closed(Player(TAGGED), "my bill").message("my claim"), RepeatContactFound) == []


def test_who_looks_at_something_and_then_rings_is_taken_to_ring_about_it() -> None:
    """Within the window of the pair of channels; their own words count for more, and it is used once."""
    rules = CorrelationRules(windows=(Window(earlier="web", later="phone", within_ms=7_200_000),))
    policy = Policy(taxonomy=TAXONOMY, correlation=rules, close_after_resolved_ms=50_000)
    menu = ActivityArrived(name="page", properties={"menu": "1"})
    both = ("web:1", *PHONE)
    for later, late_ms, expected in (("phone", 7_200_000, "bill"), ("phone", 7_200_001, ""), ("chat", 1, "")):
        player = Player(policy)
        player.give(player.input(menu, channel="web", identities=both))
        player.now_ms += late_ms
        player.give(player.input(InteractionBegan(session="c1"), channel=later, identities=PHONE))
        tags = player.state.conversations[CONVERSATION].tags
        assert (tags.topic.value if tags and tags.topic else "") == expected
        assert player.state.glimpse is None
    player = Player(policy)
    player.give(player.input(menu, channel="web", identities=both))
    player.message("my claim", channel="phone", identities=PHONE)
    tags = player.state.conversations[CONVERSATION].tags
    assert tags is not None
    assert tags.topic == Tag(value="claim", tagger="words", matched="claim")
    player = Player(policy)
    player.give(player.input(menu, channel="web", identities=both))
    player.give(player.input(InteractionBegan(session="c1"), channel="phone", identities=PHONE))
    player.message("no, my claim", channel="phone", identities=PHONE, session="c1")
    tags = player.state.conversations[CONVERSATION].tags
    assert tags is not None
    assert tags.topic is not None
    assert tags.topic.value == "claim"
