"""What a machine is told of a customer: the issue, the last steps in words, and nothing its channel may not carry."""

import msgspec

from actors import telling
from actors.rules.context import ContextRules, KeyRules
from actors.rules.policy import ChannelRules, Policy
from actors.rules.taxonomy import Label, Tagger, Taxonomy
from actors.telling import STEPS_MAX
from actors.way_out import conversation_views
from protocol.commands import (
    AddNote,
    DeclineHandoff,
    OfferHandoff,
    Reply,
    Resolve,
    SetContext,
    SwitchChannel,
    Take,
    WithdrawHandoff,
)
from protocol.entities import ConversationView, CustomerView, Status, Tag, Tags
from protocol.events import MessageQueued
from protocol.inbound import InteractionBegan
from tests.actors.player import CONVERSATION, POLICY, Player

TEL = "tel:+447700900123"
RULES = ContextRules(carries={"phone": ("normal",)})


def told(player: Player, channel: str = "") -> CustomerView:
    """As `GET /v1/context` answers."""
    live = [c for c in player.state.conversations.values() if c.live]
    views = [conversation_views.view(c, player.state.identities) for c in live]
    return telling.customer_view(player.state, views, channel=channel, policy=player.policy)


def player_with(rules: ContextRules = RULES) -> Player:
    """Ann wrote about her bill."""
    policy: Policy = msgspec.structs.replace(POLICY, context=rules)
    player = Player(policy)
    player.message("it is far too high", subject="Bill of March", identities=("mailto:ann@example.org", TEL))
    return player


def test_the_last_steps_are_told_in_words_and_without_what_was_said() -> None:
    """Who did what by which channel; the newest last, and not more than a machine can use."""
    player = player_with()
    player.command(Take())
    player.command(Reply(text="we look into it"))
    player.command(AddNote(text="she is angry"))
    player.command(SwitchChannel(channel="phone"))
    player.command(OfferHandoff(kind="tier1-tier2", queue="tier2"))
    assert [step.words for step in told(player).last_steps] == [
        "the conversation began",
        "the customer made contact by email",
        "the customer wrote by email",
        "ann has it",
        "ann answered by email",
        "ann made contact by phone",
        "it went on by phone instead of email",
        "it was offered to tier2",
    ]
    said = msgspec.json.encode(told(player).last_steps)
    for words in (b"far too high", b"look into it", b"angry"):
        assert words not in said
    for _ in range(3 * STEPS_MAX):
        player.message()
    steps = told(player).last_steps
    assert len(steps) == STEPS_MAX
    assert [step.at_ms for step in steps] == sorted(step.at_ms for step in steps)


def test_what_became_of_an_answer_that_is_held_is_told() -> None:
    """Whoever speaks to the customer next must not take for granted that it came, nor that it did not."""
    player = player_with()
    [queued, *_] = player.command(Reply(text="we look into it"))
    assert isinstance(queued, MessageQueued)
    player.outcome(queued.delivery, 1, "uncertain", reason="cut")
    assert told(player).last_steps[-1].words == "ann answered by email"
    player.pass_time(100_000)
    player.outcome(queued.delivery, 2, "refused", reason="no")
    assert told(player).last_steps[-1].words == "an answer may or may not have been delivered"


def test_an_offer_that_is_over_is_not_told_as_one_that_is_open() -> None:
    """A machine that says so would send the caller to somebody who knows nothing of it."""
    player = player_with()
    player.command(Take())
    player.command(OfferHandoff(kind="tier1-tier2", queue="tier2"))
    player.command(WithdrawHandoff(lease=1))
    assert told(player).last_steps[-1].words == "that offer was withdrawn"
    player.command(OfferHandoff(kind="tier1-tier2", agent="bob"))
    player.command(DeclineHandoff(lease=2, reason="busy"), agent="bob")
    assert told(player).last_steps[-1].words == "that offer was declined"


def test_what_is_over_is_told_where_nothing_is_open() -> None:
    """The last issue's end is the last that is known."""
    player = player_with()
    player.command(Resolve(reason="credited"))
    player.pass_time(60_000)
    view = told(player)
    assert (view.open, view.past) == ([], [CONVERSATION])
    assert [step.words for step in view.last_steps[-2:]] == ["it was resolved", "it was closed"]
    assert view.suggested_greeting == "Hello, how can we help?"


def test_topic_and_intent_are_told_where_they_are_known() -> None:
    """Of the newest open conversation."""
    player = player_with()
    assert (told(player).topic, told(player).intent) == ("", "")
    player.command(SetContext(key="topic", value="bill"))
    player.command(SetContext(key="intent", value="dispute"))
    assert (told(player).topic, told(player).intent) == ("bill", "dispute")


def test_a_topic_that_the_taxonomy_found_is_told_without_the_words_it_was_found_by() -> None:
    """Nor the numbers they named; an agent's screen has both."""
    taxonomy = Taxonomy(
        topics={"claim": Label(taggers=(Tagger(words=("collision",)),))}, keys={"claim": ("CLM-######",)}
    )
    player = player_with()
    player.policy = msgspec.structs.replace(player.policy, taxonomy=taxonomy)
    player.message("about the collision, CLM-123456")
    assert b"CLM123456" in msgspec.json.encode(told(player))
    view = told(player, "phone")
    assert view.topic == "claim"
    assert view.open[0].tags == Tags(topic=Tag(value="claim"))
    for words in (b"collision", b"CLM123456"):
        assert words not in msgspec.json.encode(view)


def test_a_topic_in_the_taxonomys_words_comes_before_a_channels() -> None:
    """A machine is told a name that it knows, not whatever a menu calls it; an agent's word comes before both."""
    topics = {"premium": Label(title="Bills", taggers=(Tagger(property="menu", values=("billing",)),))}
    player = Player(msgspec.structs.replace(POLICY, taxonomy=Taxonomy(topics=topics)))
    ringing = InteractionBegan(session="1", context={"menu": "billing", "topic": "billing"})
    player.give(player.input(ringing, channel="phone", identities=(TEL,)))
    assert (told(player).topic, told(player).suggested_greeting) == (
        "premium",
        "Hello, are you calling about “Bills”?",
    )
    player.command(SetContext(key="topic", value="a refund"))
    assert told(player).topic == "a refund"


def test_what_a_channel_may_not_carry_is_not_told_by_a_subject_or_another_item_either() -> None:
    """Nor said in the greeting; and why a contact belongs where it is has numbers that were named."""
    policy = msgspec.structs.replace(
        POLICY,
        context=ContextRules(carries={"phone": ("normal",)}, keys={"iban": KeyRules(sensitivity="secret")}),
        taxonomy=Taxonomy(keys={"claim": ("CLM-######",)}),
    )
    player = Player(policy)
    player.message("CLM-123456", subject="My account de89 3704 0044 0532", identities=(TEL,))
    player.command(SetContext(key="iban", value="DE89370400440532"))
    player.command(SetContext(key="told", value="pays from DE89 3704 0044 0532"))
    player.command(SetContext(key="plan", value="gold"))
    player.message("CLM-123456", channel="sms", identities=(TEL,))
    assert b"CLM123456" in msgspec.json.encode(told(player))
    view = told(player, "phone")
    assert [item.key for item in view.open[0].context] == ["plan"]
    assert (view.open[0].subject, view.open[0].withheld) == ("", ["iban", "told"])
    assert view.suggested_greeting == "Hello, are you calling about your open request?"
    for words in (b"3704", b"CLM"):
        assert words not in msgspec.json.encode(view)
    assert told(player, "email").open[0].subject == "My account de89 3704 0044 0532"


def test_what_agents_say_to_each_other_as_they_hand_over_is_not_told_on_a_channel() -> None:
    """The note may say anything, and the package has the subject and the numbers that were named; that it is offered,
    and to whom, a machine may know."""
    policy = msgspec.structs.replace(
        POLICY,
        context=ContextRules(carries={"phone": ("normal",)}, keys={"iban": KeyRules(sensitivity="secret")}),
        taxonomy=Taxonomy(keys={"claim": ("CLM-######",)}),
    )
    player = Player(policy)
    player.message("CLM-123456", subject="My account DE89370400440532", identities=(TEL,))
    player.command(SetContext(key="iban", value="DE89370400440532"))
    player.command(Take())
    player.command(OfferHandoff(kind="tier1-tier2", queue="tier2", note="pays from DE89370400440532"))
    view = told(player, "phone")
    for words in (b"3704", b"CLM"):
        assert words in msgspec.json.encode(told(player).open[0].handoff)
        assert words not in msgspec.json.encode(view)
    handoff = view.open[0].handoff
    assert handoff is not None
    assert (handoff.to, handoff.open) == ("queue:tier2", True)
    player.command(DeclineHandoff(lease=1, reason="DE89370400440532 is not ours"), agent="bo")
    assert b"3704" in msgspec.json.encode(told(player).open[0].handoff)
    assert b"3704" not in msgspec.json.encode(told(player, "phone"))


def test_the_greeting_names_the_issue_and_fits_the_channel() -> None:
    """By its subject, else its topic, else that there is one."""
    player = player_with()
    assert told(player, "phone").suggested_greeting == "Hello, are you calling about “Bill of March”?"
    assert told(player, "chat").suggested_greeting == "Hello, is this about “Bill of March”?"
    plain = Player(player.policy)
    plain.message(channel="sms", identities=(TEL,))
    assert told(plain).suggested_greeting == "Hello, are you calling about your open request?"
    plain.command(SetContext(key="topic", value="meter reading"))
    assert told(plain).suggested_greeting == "Hello, are you calling about “meter reading”?"


def test_the_greeting_calls_a_topic_as_people_do() -> None:
    """By the policy's title; by its name where there is none, or it is no name of the taxonomy."""
    topics = {"bill_dispute": Label(title="a bill that seems wrong"), "meter": Label()}
    player = Player(msgspec.structs.replace(POLICY, taxonomy=Taxonomy(topics=topics)))
    player.message(channel="sms", identities=(TEL,))
    for said, spoken in (("bill_dispute", "a bill that seems wrong"), ("meter", "meter"), ("my cat", "my cat")):
        player.command(SetContext(key="topic", value=said))
        assert told(player).suggested_greeting == f"Hello, are you calling about “{spoken}”?"
        assert told(player).topic == said


def test_a_pinned_conversation_is_tagged_and_told_by_its_own_version() -> None:
    """Not by the newest: its facts name the version that they were decided under."""
    words = (Tagger(words=("bill",)),)
    first = msgspec.structs.replace(
        POLICY,
        context=ContextRules(carries={"sms": ("normal",)}, keys={"iban": KeyRules(sensitivity="secret")}),
        taxonomy=Taxonomy(topics={"bill": Label(taggers=words)}),
    )
    second = msgspec.structs.replace(
        POLICY, version=2, live_conversations="pinned", taxonomy=Taxonomy(topics={"invoice": Label(taggers=words)})
    )
    player = Player(first)
    player.message("hello")
    player.command(SetContext(key="iban", value="GB123456"))
    player.policy = msgspec.structs.replace(second, earlier={1: first, 2: second})
    assert told(player, "sms").open[0].context == []
    player.message("my bill")
    assert told(player).topic == "bill"


def test_the_greeting_is_about_the_issue_that_was_spoken_of_last() -> None:
    """As the topic and the last steps are, not about the one that was opened last."""
    views = [
        ConversationView(conversation="a", customer="cu", status=Status.OPEN, subject="The bill", updated_at_ms=2),
        ConversationView(conversation="b", customer="cu", status=Status.OPEN, subject="The claim", updated_at_ms=1),
    ]
    assert telling.greeting(views, "", "phone") == "Hello, are you calling about “The bill”?"


def test_what_a_channel_may_not_carry_is_not_told_there() -> None:
    """Its key alone is; a value of another source that is more sensitive hides the item as well. Who names no channel
    gets all."""
    player = player_with()
    player.command(SetContext(key="iban", value="DE89", sensitivity="secret"))
    player.command(SetContext(key="topic", value="bill"))
    player.command(SetContext(key="plan", value="gold", sensitivity="personal"))
    player.command(SwitchChannel(channel="phone"))
    player.command(SetContext(key="plan", value="gold"))
    [view] = told(player, "phone").open
    assert ([item.key for item in view.context], view.withheld) == (["topic"], ["iban", "plan"])
    assert view.deliveries == []
    assert b"DE89" not in msgspec.json.encode(told(player, "phone"))
    assert {item.key for item in told(player).open[0].context} == {"iban", "topic", "plan"}
    assert told(player, "chat").open[0].withheld == [], "a channel that is not named carries everything"


def test_a_channel_in_capitals_carries_no_more_than_in_small_letters() -> None:
    """A machine's `Phone` is the policy's `phone`: a word that the policy does not have may carry everything."""
    player = player_with()
    player.command(SetContext(key="iban", value="GB33BUKB20201555555555", sensitivity="secret"))
    for channel in ("phone", "Phone", " PHONE "):
        (view,) = told(player, channel).open
        assert (view.withheld, [item.key for item in view.context if item.key == "iban"]) == (["iban"], [])
        assert told(player, channel).suggested_greeting.startswith("Hello, are you calling")


def test_a_channel_in_capitals_that_came_later_than_the_conversation_carries_no_more() -> None:
    """The rules of its own version do not know the channel: those that made it hold, however it is spelled."""
    player = player_with(ContextRules())
    player.command(SetContext(key="iban", value="GB33BUKB20201555555555", sensitivity="secret"))
    channels = {**player.policy.channels, "phone": ChannelRules()}
    earlier = {player.policy.version: player.policy}
    player.policy = msgspec.structs.replace(
        player.policy, version=player.policy.version + 1, channels=channels, context=RULES, earlier=earlier
    )
    assert [told(player, word).open[0].withheld for word in ("phone", "PHONE", "phone ")] == [["iban"]] * 3
