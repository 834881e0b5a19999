"""Capture: a table of templates and events, and what is captured, missing, asked and refused; once each."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from actors.capture.capturing import capture
from actors.cells import snapshots
from actors.commands.delivery import attempt_of
from actors.rules.capture import CaptureRules, Field, Template
from actors.rules.context import ContextRules, KeyRules, Sensitivity, SwitchRules
from actors.rules.correlation import CorrelationRules, Window
from actors.rules.handoffs import HandoffRules, Handoffs
from actors.rules.taxonomy import Label, Tagger, Taxonomy
from actors.state.context_items import Given
from actors.way_out import conversation_views
from protocol.commands import OfferHandoff, Reply, Resolve, SetContext, Snooze, Take
from protocol.entities import ContextItem, Tag, Tags
from protocol.errors import Code, Refusal
from protocol.events import (
    ChannelSwitched,
    ContextSet,
    DeliveryAttempted,
    Event,
    FieldMissing,
    HandoffOffered,
    InputQuarantined,
    MessageQueued,
    MessageReceived,
)
from protocol.inbound import ActivityArrived, DeliveryReport, InteractionBegan, InteractionStopped, MessageArrived
from protocol.links import Replay
from tests.actors.player import CONVERSATION, CUSTOMER, POLICY, Player, names

TEL = ("tel:+447700900123",)


def played(*fields: Field, channel: str = "chat", topic: bool = False, **template: Any) -> Player:
    """A journey under one template; without `topic` the floor's own is put out of the way."""
    quiet = () if topic else (Field(name="topic"),)
    rules = CaptureRules(templates=(Template(channel=channel, fields=(*fields, *quiet), **template),))
    return Player(msgspec.structs.replace(POLICY, version=9, capture=rules))


def captured(events: Sequence[Event]) -> dict[str, Any]:
    """Context items that the events set."""
    return {event.key: event.value for event in events if isinstance(event, ContextSet)}


def missing(events: Sequence[Event]) -> dict[str, str]:
    """Fields that the events say are missing, and what follows."""
    return {event.field: event.action for event in events if isinstance(event, FieldMissing)}


SAID = MessageArrived(text="contract B1234, please", subject="Bill")

FOUND: dict[str, tuple[Field, Any]] = {
    "at a path": (Field(name="x", found_at=("data.subject",)), "Bill"),
    "at the second path": (Field(name="x", found_at=("raw.none", "data.subject")), "Bill"),
    "in a list": (Field(name="x", found_at=("identities.0",)), "chat:1"),
    "in the event's own attributes": (Field(name="x", found_at=("account",)), "chat"),
    "by a pattern, in the text": (Field(name="x", pattern=r"\b[A-Z]\d{4}\b"), "B1234"),
    "by a pattern's group": (Field(name="x", pattern=r"contract (\w+)"), "B1234"),
    "by the group that took part": (Field(name="x", pattern=r"claim (\w+)|contract (\w+)"), "B1234"),
    "by a pattern at a path": (Field(name="x", found_at=("data.subject",), pattern="B.*"), "Bill"),
    "by an expression": (Field(name="x", found_by='text.contains("contract") ? "contract" : ""'), "contract"),
    "by an expression behind a path": (Field(name="x", found_at=("raw.none",), found_by="subject"), "Bill"),
    "as a truth": (Field(name="x", found_by='channel == "chat"'), True),
    "as a number": (Field(name="x", found_by="size(text)"), 22),
}
MISSED: dict[str, Field] = {
    "at no such path": Field(name="x", found_at=("data.properties.contract",)),
    "beyond a list": Field(name="x", found_at=("identities.7",)),
    "below a word": Field(name="x", found_at=("channel.name",)),
    "where an object is": Field(name="x", found_at=("data",)),
    "where a list is": Field(name="x", found_at=("identities",)),
    "where it is empty": Field(name="x", found_at=("data.session",)),
    "where no pattern fits": Field(name="x", pattern=r"\d{9}"),
    "where the path has it not": Field(name="x", found_at=("data.subject",), pattern="B1234"),
    "by an expression that fails": Field(name="x", found_by="raw.menu"),
    "by an expression that says nothing": Field(name="x", found_by='""'),
    "where nothing says where": Field(name="x"),
}


@pytest.mark.parametrize("case", FOUND)
def test_what_is_found_becomes_a_context_item(case: str) -> None:
    """A value becomes a context item, with the contact it came in."""
    field, value = FOUND[case]
    player = played(field)
    events = player.give(player.input(SAID, channel="chat", identities=("chat:1",)))
    assert captured(events) == {"x": value}
    item = player.state.conversations[CONVERSATION].context["x"]
    assert item == ContextItem(key="x", value=value, channel="chat", interaction=1, actor="customer", at_ms=1_000_000)
    assert {event.policy for event in events if isinstance(event, ContextSet)} == {9}


@pytest.mark.parametrize("case", MISSED)
@pytest.mark.parametrize("action", ["ignore", "ask_agent", "ask_customer", "default", "quarantine"])
def test_what_is_missing_is_met_as_its_field_says(case: str, action: str) -> None:
    """What then follows is the field's own word."""
    more = {"question": "Which?", "default": "none"}
    player = played(msgspec.structs.replace(MISSED[case], when_missing=action, **more))
    events = player.give(player.input(SAID, channel="chat", identities=("chat:1",)))
    expected: dict[str, tuple[dict[str, Any], dict[str, str], int, str]] = {
        "ignore": ({}, {}, 0, "committed"),
        "ask_agent": ({}, {"x": "ask_agent"}, 0, "committed"),
        "ask_customer": ({}, {"x": "ask_customer"}, 1, "committed"),
        "default": ({"x": "none"}, {}, 0, "committed"),
        "quarantine": ({}, {}, 0, "quarantined"),
    }
    asked = sum(isinstance(event, MessageQueued) for event in events)
    assert (captured(events), missing(events), asked, player.decision.status) == expected[action]


ASKED = Field(name="contract", pattern=r"[A-Z]\d{4}", when_missing="ask_customer", question=" Which contract? ")
MONTH = Field(name="month", pattern="January|June", when_missing="ask_customer", question="Which month?")
NOTED = Field(name="mood", found_at=("raw.mood",), when_missing="ask_agent")


def test_without_a_template_nothing_is_looked_for() -> None:
    """Another channel's contacts are as they were."""
    player = played(ASKED, topic=True)
    events = player.message(channel="sms", identities=TEL)
    assert names(events) == ["ConversationOpened", "InteractionStarted", "MessageReceived", "IdentityLinked"]


def test_the_floor_has_a_topic() -> None:
    """A subject is taken, and kept where the next one differs; without any the agent is shown that it is missing."""
    player = played(topic=True)
    assert missing(player.message("hello", channel="chat")) == {"topic": "ask_agent"}
    assert captured(player.message("hello", subject="Bill", channel="chat")) == {"topic": "Bill"}
    assert captured(player.message("hello", subject="Re: Bill", channel="chat")) == {}


def test_a_customer_is_asked_once_for_all_that_is_missing() -> None:
    """One message, on their channel, by the account they wrote to; it leaves as any other."""
    player = played(ASKED, NOTED, MONTH)
    events = player.message("my bill is wrong", channel="chat", identities=("chat:1",))
    assert names(events)[3:] == ["FieldMissing"] * 3 + ["MessageQueued", "DeliveryAttempted", "IdentityLinked"]
    [question] = [event for event in events if isinstance(event, MessageQueued)]
    assert (question.text, question.to, question.account) == ("Which contract?\nWhich month?", "chat:1", "chat")
    assert question.delivery == f"{CONVERSATION}.7"
    noted = [(e.field, e.delivery) for e in events if isinstance(e, FieldMissing)]
    assert noted == [("contract", question.delivery), ("mood", ""), ("month", question.delivery)]
    assert names(player.message("hello?", channel="chat", identities=("chat:1",))) == ["MessageReceived"]
    assert names(player.outcome(question.delivery, 1, "sent")) == ["DeliverySent"]


def test_a_question_has_no_subject_that_its_channel_may_not_carry() -> None:
    """It came by another one, and nobody looks over what a rule sends."""
    cases: list[tuple[tuple[Sensitivity, ...], str]] = [
        (("normal",), ""),
        (("normal", "secret"), "My account DE89 3704"),
    ]
    for carried, subject in cases:
        player = played(ASKED)
        rules = ContextRules(carries={"chat": carried}, keys={"iban": KeyRules(sensitivity="secret")})
        player.policy = msgspec.structs.replace(player.policy, context=rules)
        both = (*TEL, "chat:1")
        player.message("hello", subject="My account DE89 3704", channel="sms", identities=both)
        player.command(SetContext(key="iban", value="DE893704"))
        events = player.message("hello", channel="chat", identities=("chat:1",))
        assert [event.subject for event in events if isinstance(event, MessageQueued)] == [subject]


def test_a_call_that_rings_once_more_lacks_what_it_lacks_by_its_own_number() -> None:
    """It wakes what is asleep, and is the contact that it was, also where another one began since: what it says, and
    came without, goes where it goes."""
    player = played(NOTED, channel="phone")
    rings = player.input(InteractionBegan(session="s1", context={"menu": "2"}), channel="phone", identities=TEL)
    player.message(channel="chat", identities=(*TEL, "chat:1"), session="c1")
    player.command(SetContext(key="mood", value="calm"))
    player.give(player.input(InteractionBegan(session="s1"), channel="phone", identities=TEL))
    player.message(channel="chat", identities=("chat:1",), session="c2")
    player.command(SetContext(key="mood", value=None))
    player.command(Snooze(until_ms=player.now_ms + 1000))
    events = player.give(rings)
    assert names(events) == ["ConversationWoken", "ContextSet", "ChannelSwitched", "FieldMissing"]
    assert [getattr(event, "interaction", 2) for event in events] == [2, 2, 2, 2]


def test_an_answer_ends_what_is_missing() -> None:
    """The view has what nobody has said yet; who said it, customer or agent, does not matter."""
    player = played(ASKED, NOTED)
    player.message("my bill is wrong", channel="chat")
    assert seen(player) == ["contract", "mood"]
    assert captured(player.message("B1234", channel="chat")) == {"contract": "B1234"}
    assert seen(player) == ["mood"]
    player.command(SetContext(key="mood", value="calm"))
    assert seen(player) == []


def seen(player: Player) -> list[str]:
    """What an agent's view says is missing."""
    return [gap.field for gap in conversation_views.view(player.state.conversations[CONVERSATION], []).missing]


def test_what_was_said_on_another_channel_is_not_asked_for_again() -> None:
    """Context is the conversation's: here an agent wrote it down while the customer was on the phone."""
    player = played(ASKED)
    player.message(channel="sms", identities=TEL)
    player.command(SetContext(key="contract", value="B1234"))
    events = player.message("hello", channel="chat", identities=TEL)
    assert names(events) == ["InteractionStarted", "MessageReceived", "ChannelSwitched"]


def test_what_the_event_brings_is_not_missing() -> None:
    """Its channel knows it, the website's properties say it, or the words have it: a switch counts it, too."""
    switches = {"any to chat": SwitchRules(required=("contract",))}
    context = ContextRules(properties={"contract_number": "contract"}, switches=switches)
    said = MessageArrived(text="B1234")
    known = MessageArrived(text="hello", context={"contract": "B1234"})
    viewed = ActivityArrived(name="bill.viewed", properties={"contract_number": "B1234"})
    for data in (said, known, viewed):
        player = played(ASKED, events=("message", "activity"))
        player.policy = msgspec.structs.replace(player.policy, context=context)
        player.message(channel="sms", identities=TEL)
        events = player.give(player.input(data, channel="chat", identities=TEL))
        assert captured(events) == {"contract": "B1234"}
        assert missing(events) == {}
        switched = [event for event in events if isinstance(event, ChannelSwitched)]
        assert [event.missing for event in switched] == ([] if data is viewed else [[]])


@pytest.mark.parametrize("when_missing", ["default", "quarantine"])
def test_what_the_event_brings_is_neither_defaulted_nor_refused(when_missing: Any) -> None:
    """Also where the words do not have it: its channel's value stands, and the rule's is not put in its place."""
    player = played(Field(name="contract", pattern=r"[A-Z]\d{4}", when_missing=when_missing, default="none"))
    known = MessageArrived(text="hello", context={"contract": "B1234"})
    events = player.give(player.input(known, channel="chat", identities=TEL))
    assert [event.value for event in events if isinstance(event, ContextSet)] == ["B1234"]
    assert "MessageReceived" in names(events)


def test_what_an_earlier_conversation_knew_stays_where_the_first_word_counts() -> None:
    """A new conversation takes it along: what is said now is not looked for, nor is a default put in its place."""
    player = played(ASKED)
    player.message("hello", channel="chat")
    field = Field(name="contract", pattern=r"[A-Z]\d{4}", keep="first", when_missing="default", default="none")
    rules = CaptureRules(templates=(Template(channel="chat", fields=(field, Field(name="topic"))),))
    policy = msgspec.structs.replace(POLICY, capture=rules)
    taken = [Given(key="contract", value="A0001", actor="customer", channel="chat")]
    for text in ("B1234", "hello"):
        event = player.input(MessageArrived(text=text), channel="chat").event
        state = player.state.conversations[CONVERSATION]
        assert capture(state, event, [], policy, taken) is None
        found = capture(state, event, [], policy)
        assert found is not None
        assert (len(found.found), len(found.missing)) == ((1, 0) if text == "B1234" else (0, 1))


def test_the_first_topic_stays_where_the_first_word_counts() -> None:
    """It is a tag, and no item of the context."""
    player = played(Field(name="topic", found_at=("data.subject",), keep="first"), topic=True)
    assert captured(player.message(subject="Bill", channel="chat")) == {"topic": "Bill"}
    player.state.conversations[CONVERSATION].context.clear()
    player.state.conversations[CONVERSATION].tags = Tags(topic=Tag(value="bill"))
    assert captured(player.message(subject="Meter", channel="chat")) == {}


def test_the_same_value_again_is_no_fact_and_another_one_is_a_version() -> None:
    """A context item counts its changes."""
    player = played(ASKED)
    player.message("B1234", channel="chat")
    assert captured(player.message("B1234, I said", channel="chat")) == {}
    [changed] = [e for e in player.message("sorry, B9999", channel="chat") if isinstance(e, ContextSet)]
    assert (changed.value, changed.version) == ("B9999", 2)


def test_a_machines_words_are_neither_looked_at_nor_answered() -> None:
    """Two machines would ask each other for ever."""
    player = played(ASKED)
    events = player.message("I am away", automatic="auto_reply", channel="chat")
    assert names(events)[2:] == ["AutomaticReplyReceived", "IdentityLinked"]


def test_only_the_templates_events_are_looked_at() -> None:
    """By default words and beginnings; a page view where it says so."""
    field = Field(name="page", found_at=("data.properties.page",), when_missing="ask_agent")
    viewed = ActivityArrived(name="bill.viewed", properties={"page": "june"})
    for events, expected in ((("message", "start"), {}), (("activity",), {"page": "june"})):
        player = played(field, events=events)
        player.message(channel="sms", identities=TEL)
        assert captured(player.give(player.input(viewed, channel="chat", identities=TEL))) == expected


def test_a_call_that_begins_is_looked_at() -> None:
    """An IVR's menu stands in the event's own extras or its subject."""
    player = played(Field(name="menu", found_at=("data.subject",)), channel="phone", topic=True)
    events = player.give(player.input(InteractionBegan(session="s1", subject="claims"), channel="phone"))
    assert captured(events) == {"menu": "claims", "topic": "claims"}


def test_a_report_is_under_no_template() -> None:
    """It says nothing of the customer."""
    player = played(ASKED)
    player.message("my bill", channel="chat")
    report = DeliveryReport(delivery=f"{CONVERSATION}.5", status="read")
    assert names(player.give(player.input(report, channel="chat", identities=()))) == ["DeliveryConfirmed"]


def test_an_accounts_template_goes_before_its_channels() -> None:
    """And alone: the two are not mixed."""
    both = CaptureRules(
        templates=(
            Template(channel="chat", fields=(ASKED, Field(name="topic"))),
            Template(channel="chat", account="vip", fields=(NOTED, Field(name="topic"))),
        )
    )
    for account, expected in (("chat", {"contract": "ask_customer"}), ("vip", {"mood": "ask_agent"})):
        player = Player(msgspec.structs.replace(POLICY, capture=both))
        events = player.message("my bill", channel="chat", account=account)
        assert missing(events) == expected
        assert {event.template for event in events if isinstance(event, FieldMissing)} == {
            "chat" if account == "chat" else "chat/vip"
        }


def test_a_question_by_mail_is_part_of_the_thread() -> None:
    """It answers the mail that lacks something, and those before it."""
    player = played(ASKED, channel="email")
    events = player.message("my bill", subject="Bill", reference="m1@example.org")
    [question] = [event for event in events if isinstance(event, MessageQueued)]
    assert (question.subject, question.references) == ("Bill", ["m1@example.org"])


def test_a_question_says_that_no_person_wrote_it() -> None:
    """Machines are not to answer it; what an agent writes is a person's. A machine's own mail asks for nothing."""
    player = played(ASKED, channel="email")
    machine = player.message("I am away", automatic="auto_reply")
    assert not [event for event in machine if isinstance(event, MessageQueued)]
    leaving = []
    for events in (player.message("my bill"), player.command(Reply(text="It is paid."))):
        [queued] = [event.delivery for event in events if isinstance(event, MessageQueued)]
        leaving.append(attempt_of(player.state.conversations[CONVERSATION], queued, again=False))
        player.outcome(queued, 1, "sent")
    assert [attempt and attempt.automatic for attempt in leaving] == [True, False]


def test_where_nobody_can_be_asked_the_agent_is() -> None:
    """The fact says why."""
    player = played(ASKED)
    events = player.give(player.input(MessageArrived(text="my bill"), channel="chat", identities=()))
    [noted] = [event for event in events if isinstance(event, FieldMissing)]
    assert (noted.action, noted.reason) == ("ask_agent", "the contact has no address to ask at")
    assert not any(isinstance(event, MessageQueued | DeliveryAttempted) for event in events)


STRICT = Field(name="contract", pattern=r"[A-Z]\d{4}", when_missing="quarantine")


def test_a_refused_event_is_kept_whole_with_field_rule_and_version() -> None:
    """Who sent it is known from then on, and no conversation opens."""
    player = played(STRICT)
    events = player.message("my bill is wrong", channel="chat", id="m")
    assert names(events) == ["InputQuarantined", "IdentityLinked"]
    kept = events[0]
    assert isinstance(kept, InputQuarantined)
    assert (kept.field, kept.rule, kept.policy, kept.code) == ("contract", "capture:chat", 9, Code.INVALID)
    assert "policy 9" in kept.reason
    assert b"my bill is wrong" in kept.raw
    assert player.decision.why == (Code.INVALID, "contract", kept.reason)
    assert player.state.conversations == {}


def test_a_refused_event_is_kept_once_and_comes_in_once() -> None:
    """Its repeats are the copy; when the template is mended it comes in, and is then a repeat itself."""
    player = played(STRICT)
    refused = player.input(MessageArrived(text="my bill is wrong"), channel="chat", id="m")
    player.give(refused)
    assert player.give(refused) == []
    assert (player.decision.status, player.decision.repeats) == ("quarantined", (CUSTOMER, 1))
    replay = msgspec.structs.replace(refused, replay=Replay(f"{CUSTOMER}.1", 5), proposed=False)
    with pytest.raises(Refusal, match="contract is missing"):
        player.give(replay)
    player.policy = POLICY
    [_, _, message] = player.give(replay)
    assert isinstance(message, MessageReceived)
    assert message.provider_ms == refused.event.time_ms
    for again in (replay, refused):
        assert player.give(again) == []
        assert player.decision.status == "repeat"


@pytest.mark.parametrize("replayed", [True, False])
def test_what_is_replayed_belongs_where_it_belonged_when_it_happened(replayed: bool) -> None:
    """By its own time in the policy's windows; what only comes late is looked at when it comes."""
    hour_ms = 3_600_000
    windows = CorrelationRules(windows=(Window(earlier="chat", later="sms", within_ms=hour_ms),), unlisted="new")
    player = Player(msgspec.structs.replace(POLICY, correlation=windows))
    player.message(channel="chat", identities=TEL)
    player.pass_time(hour_ms // 2)
    late = player.input(MessageArrived(text="and my bill?"), channel="sms", identities=TEL)
    player.pass_time(5 * hour_ms)
    given = msgspec.structs.replace(late, replay=Replay(f"{CUSTOMER}.1", 5)) if replayed else late
    player.give(given)
    assert len(player.state.kept) == (1 if replayed else 2)


def test_what_is_known_already_lets_an_event_in() -> None:
    """A field that must be there may be there from before."""
    player = played(STRICT)
    player.message("B1234", channel="chat")
    assert names(player.message("and now?", channel="chat")) == ["MessageReceived"]


def test_what_was_missing_outlives_a_snapshot() -> None:
    """Nobody is asked again because a journey left memory."""
    player = played(ASKED, NOTED)
    player.message("my bill", channel="chat")
    thawed = snapshots.thaw(snapshots.freeze(player.state))
    assert thawed is not None
    player.state = thawed
    assert names(player.message("hello?", channel="chat")) == ["MessageReceived"]
    assert seen(player) == ["contract", "mood"]


def test_a_number_too_large_for_json_is_kept_as_words() -> None:
    """Any language's JSON is exact up to 2^53."""
    field = Field(name="n", found_at=("data.properties.n",))
    player = played(field, events=("activity",))
    player.message(channel="sms", identities=TEL)
    viewed = ActivityArrived(name="x", properties={"n": 2**60})
    assert captured(player.give(player.input(viewed, channel="chat", identities=TEL))) == {"n": str(2**60)}


def test_what_the_taxonomy_tells_is_asked_of_nobody() -> None:
    """Neither where the same words tell it, nor later; and a handoff or a change of channels has it."""
    rules = msgspec.structs.replace(
        POLICY,
        capture=CaptureRules(templates=(Template(channel="chat"),)),
        taxonomy=Taxonomy(topics={"billing": Label(taggers=(Tagger(words=("bill",)),))}),
        context=ContextRules(switches={"chat to sms": SwitchRules(required=("topic", "intent"))}),
        handoffs=Handoffs(kinds={"up": HandoffRules(required=("topic", "intent"))}),
    )
    player = Player(rules)
    assert missing(player.message(channel="chat", identities=("chat:1", *TEL), text="my bill")) == {}
    assert missing(player.message(channel="chat", identities=("chat:1",), text="hello?")) == {}
    [switched] = [e for e in player.message(channel="sms", identities=TEL) if isinstance(e, ChannelSwitched)]
    assert switched.missing == ["intent"]
    player.command(Take())
    [offered] = player.command(OfferHandoff(kind="up", queue="bills"))
    assert isinstance(offered, HandoffOffered)
    assert (offered.package.facts["topic"], offered.package.missing) == ("billing", ["intent"])


def test_a_number_that_was_named_is_asked_of_nobody() -> None:
    """Neither where a template wants it, nor at a switch or a handoff, which has the last one that was named."""
    wanted = Field(name="claim", when_missing="ask_agent")
    rules = msgspec.structs.replace(
        POLICY,
        capture=CaptureRules(templates=(Template(channel="chat", fields=(wanted,)),)),
        taxonomy=Taxonomy(keys={"claim": ("C-######",)}),
        context=ContextRules(switches={"chat to sms": SwitchRules(required=("claim", "contract"))}),
        handoffs=Handoffs(kinds={"up": HandoffRules(required=("claim", "contract"))}),
    )
    player = Player(rules)
    player.message(channel="sms", identities=TEL, text="about C-123456")
    assert "claim" not in missing(player.message(channel="chat", identities=("chat:1", *TEL), text="hello?"))
    events = player.message(channel="sms", identities=TEL, text="well?")
    [switched] = [e for e in events if isinstance(e, ChannelSwitched)]
    assert switched.missing == ["contract"]
    player.message(channel="sms", identities=TEL, text="and C-654321")
    player.command(Take())
    [offered] = player.command(OfferHandoff(kind="up", queue="claims"))
    assert isinstance(offered, HandoffOffered)
    assert (offered.package.facts["claim"], offered.package.missing) == ("C654321", ["contract"])


def test_words_that_tell_the_topic_at_the_switch_have_told_it() -> None:
    """The contact that changes channels is what says what it is about."""
    rules = msgspec.structs.replace(
        POLICY,
        taxonomy=Taxonomy(topics={"billing": Label(taggers=(Tagger(words=("bill",)),))}),
        context=ContextRules(switches={"chat to sms": SwitchRules(required=("topic",))}),
    )
    player = Player(rules)
    player.message(channel="chat", identities=("chat:1", *TEL), text="hello")
    events = player.message(channel="sms", identities=TEL, text="about my bill")
    [switched] = [e for e in events if isinstance(e, ChannelSwitched)]
    assert switched.missing == []


def test_a_careless_pattern_and_a_long_mail_stall_nobody() -> None:
    """Its time grows with the text alone; where it tried all ways through this one, the test would not end."""
    player = played(Field(name="x", pattern=r"(a+)+$", when_missing="ask_agent"))
    assert missing(player.message(channel="chat", identities=("chat:1",), text="a" * 4_000 + "b"))["x"] == "ask_agent"


@pytest.mark.parametrize("nothing", [None, ""])
def test_nothing_is_not_known(nothing: str | None) -> None:
    """One definition everywhere: an item that says nothing ends no question, and a switch misses it, too."""
    player = played(Field(name="contract", when_missing="ask_agent"))
    began = InteractionBegan(session="s", context={"contract": nothing})
    events = player.give(player.input(began, channel="chat", identities=("chat:1",)))
    assert missing(events) == {"contract": "ask_agent"}
    state = player.state.conversations[CONVERSATION]
    assert [gap.field for gap in conversation_views.view(state, ()).missing] == ["contract"]
    player.command(SetContext(key="contract", value=0))
    assert conversation_views.view(state, ()).missing == []


def test_nobody_is_asked_for_what_a_conversation_that_is_over_lacks() -> None:
    """What was said in it and comes in late, as a transcript does, brings what it has."""
    field = Field(name="contract", pattern="B[0-9]+", when_missing="ask_customer", question="Which contract?")
    player = played(field, Field(name="name", pattern="Ann", when_missing="ask_agent"))
    asking, player.policy = player.policy, POLICY
    for data in (InteractionBegan(session="s1"), InteractionStopped(session="s1")):
        player.give(player.input(data, channel="chat", identities=("chat:1",)))
    player.command(Resolve())
    player.pass_time(50_000)
    player.policy = asking
    given = player.input(MessageArrived(text="this is Ann", session="s1"), channel="chat", identities=("chat:1",))
    event = msgspec.structs.replace(given.event, time_ms=0)
    events = player.give(msgspec.structs.replace(given, event=event))
    assert names(events) == ["MessageReceived", "ContextSet"]
    assert captured(events) == {"name": "Ann"}
