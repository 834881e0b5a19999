"""Templates: which one an event falls under, whose it says the event is, and what stands where it says."""

from typing import Any

import msgspec
import pytest

from actors.capture.templates import VALUE_MAX, WHOLE_MAX, Finder, identities_in, template_for
from actors.rules.capture import CaptureRules, Field, Template, Who
from actors.rules.patterns import SEARCHED_MAX
from protocol.inbound import (
    ActivityArrived,
    AnyData,
    Attachment,
    DeliveryReport,
    InboundEvent,
    InteractionBegan,
    MessageArrived,
)
from protocol.journal import POLICIES_KEPT

TEXT = MessageArrived(text="my bill", subject="Bill", attachments=[Attachment(name="bill.pdf")])
RAW = {"menu": "2", "steps": [{"key": "a"}, {"key": "b"}], "call": {"from": {"number": "0123"}}}


def event(data: AnyData = TEXT, *, channel: str = "chat", account: str = "chat", **raw: Any) -> InboundEvent:
    """One of a chat."""
    return InboundEvent(
        id="e1", source="s", time_ms=7, account=account, channel=channel, identities=["chat:1", "tel:+1"],
        data=data, raw=raw or RAW,
    )  # fmt: skip


def found(field: Field | Who, given: InboundEvent) -> Any:
    """What the field finds in it, in a template with some other one's pattern."""
    fields = (field,) if isinstance(field, Field) else ()
    who = (field,) if isinstance(field, Who) else ()
    rules = CaptureRules(
        templates=(
            Template(channel="chat", identities=who, fields=(*fields, Field(name="other", pattern="never there"))),
        )
    )
    template = template_for(rules, event())
    assert template is not None
    return Finder(field).find(given, template.look())


PLACES: dict[str, tuple[str, Any]] = {
    "of the message": ("data.subject", "Bill"),
    "of the event": ("source", "s"),
    "the event's time": ("time_ms", 7),
    "what kind of event it is": ("type", "throughline.message.received"),
    "the text, by its short name": ("text", "my bill"),
    "the subject, by its short name": ("subject", "Bill"),
    "in the extras": ("raw.menu", "2"),
    "deep in the extras": ("raw.call.from.number", "0123"),
    "in a list of the extras": ("raw.steps.1.key", "b"),
    "the last of a list": ("identities.1", "tel:+1"),
    "one beyond a list": ("identities.2", None),
    "one beyond all lists": (f"identities.{'1' * 5000}", None),
    "from a list's end": ("identities.-1", None),
    "a word in a list": ("identities.tel", None),
    "nothing in the extras": ("raw.none", None),
    "nothing deep in the extras": ("raw.call.to.number", None),
    "nothing of the message": ("data.properties", None),
    "nothing below the message": ("data.properties.x", None),
    "a method of the event": ("data.__class__", None),
    "a method below the event": ("data.text.upper", None),
    "below a word": ("data.text.0", None),
    "of a file of the message": ("data.attachments.0.name", "bill.pdf"),
    "what comes with the message's type": ("data.__doc__", None),
    "what comes with a file's type": ("data.attachments.0.__doc__", None),
    "an object": ("raw.call", None),
    "a list": ("identities", None),
}


@pytest.mark.parametrize("case", PLACES)
def test_a_path_finds_the_value_that_stands_there(case: str) -> None:
    """What stands there, where it is a value; nothing that merely comes with our own types."""
    path, value = PLACES[case]
    assert found(Field(name="x", found_at=(path,)), event()) == value


@pytest.mark.parametrize("path", ["text", "subject", "data.text", "data.subject"])
def test_a_place_that_this_kind_of_event_has_not(path: str) -> None:
    """A template is for several kinds; a page view has no words."""
    assert found(Field(name="x", found_at=(path,)), event(ActivityArrived(name="x"))) is None


VALUES: dict[str, tuple[Any, Any]] = {
    "words": ("B1234", "B1234"),
    "words with blanks around them": ("  B 1234\n", "B 1234"),
    "words as long as may be": ("x" * VALUE_MAX, "x" * VALUE_MAX),
    "more than that": ("x" * VALUE_MAX + "y", "x" * VALUE_MAX),
    "no words": ("", None),
    "blanks": (" \n", None),
    "a truth": (True, True),
    "an untruth": (False, False),
    "a number": (12, 12),
    "nought": (0, 0),
    "the largest that JSON has": (WHOLE_MAX, WHOLE_MAX),
    "one more": (WHOLE_MAX + 1, str(WHOLE_MAX + 1)),
    "the smallest that JSON has": (-WHOLE_MAX, -WHOLE_MAX),
    "one less": (-WHOLE_MAX - 1, str(-WHOLE_MAX - 1)),
    "a fraction": (-1.5, -1.5),
    "endless": (float("inf"), None),
    "endless below": (float("-inf"), None),
    "no number": (float("nan"), None),
    "nothing": (None, None),
    "a list": (["B1234"], None),
    "an object": ({"x": 1}, None),
}


@pytest.mark.parametrize("case", VALUES)
def test_a_value_is_what_a_context_item_can_hold(case: str) -> None:
    """As a context item can hold it: what JSON has, in every language, and not without an end."""
    given, value = VALUES[case]
    finding = found(Field(name="x", found_at=("raw.x",)), event(x=given))
    assert (finding, type(finding)) == (value, type(value))


PATTERNS: dict[str, tuple[Field, dict[str, Any], Any]] = {
    "in the text first": (Field(name="x", pattern=r"\w+ill"), {}, "bill"),
    "in the subject where the text has none": (Field(name="x", pattern="B.*"), {}, "Bill"),
    "at the second place where the first has none": (
        Field(name="x", found_at=("raw.a", "raw.b"), pattern=r"\d+"), {"a": "none", "b": "no. 12"}, "12",
    ),
    "where the first place has nothing but an object": (
        Field(name="x", found_at=("raw.a", "raw.b"), pattern=r"\d+"), {"a": {"n": "1"}, "b": "2"}, "2",
    ),
    "in a number": (Field(name="x", found_at=("raw.a",), pattern=r"^\d{2}"), {"a": 1234}, "12"),
    "in a list": (Field(name="x", found_at=("raw.a",), pattern=r"\d"), {"a": ["1"]}, None),
    "of blanks": (Field(name="x", found_at=("raw.a", "raw.b"), pattern="^ +|b"), {"a": "  ", "b": "b"}, "b"),
    "as far as is searched": (
        Field(name="x", found_at=("raw.a",), pattern="y+"), {"a": "x" * (SEARCHED_MAX - 1) + "yy"}, "y",
    ),
    "beyond": (Field(name="x", found_at=("raw.a",), pattern="y+"), {"a": "x" * SEARCHED_MAX + "y"}, None),
    "before the expression": (Field(name="x", pattern="bill", found_by='"by rule"'), {}, "bill"),
    "or by the expression": (Field(name="x", pattern="claim", found_by='"by rule"'), {}, "by rule"),
}  # fmt: skip


@pytest.mark.parametrize("case", PATTERNS)
def test_a_pattern_takes_its_part_of_the_first_value_that_has_it(case: str) -> None:
    """The part of the first value that has it."""
    field, raw, value = PATTERNS[case]
    assert found(field, event(**raw)) == value


def test_patterns_that_are_too_large_to_be_looked_for_together() -> None:
    """Each is looked for alone, and a text may have none of them."""
    large = [Field(name=letter, pattern=rf"(?:[\p{{L}}\p{{N}}]{{300}}{letter}|{letter}y)") for letter in "abcdefgh"]
    template = template_for(CaptureRules(templates=(Template(channel="chat", fields=tuple(large)),)), event())
    assert template is not None
    given, look = event(MessageArrived(text="by and by")), template.look()
    values = {field.name: finder.find(given, look) for field, finder in template.finders}
    assert values == {**dict.fromkeys("acdefgh"), "b": "by", "topic": None}


ANYWHERE = ("", "text", "data.text", "subject", "data.subject", "raw", "raw.number", "raw.a.b", "type", "identities.0")
"""Where something may stand in a message; nowhere in particular among it."""
LOOKED_FOR = [
    *(Field(name=f"{path}/{pattern}", found_at=(path,) if path else (), pattern=pattern)
      for path in ANYWHERE for pattern in ("", r"\d{4}", "my|chat")),
    Field(name="first of two", found_at=("raw.number", "data.text"), pattern=r"\d{4}"),
    Field(name="by rule", pattern=r"\d{4}", found_by="text"),
]  # fmt: skip


@pytest.mark.parametrize("subject", ["", "no. 1234"])
@pytest.mark.parametrize("raw", [{}, {"number": "no. 1234"}, {"a": {"b": 1234}}], ids=["bare", "a number", "deep"])
@pytest.mark.parametrize("text", ["", "who", "my bill", "no. 1234", "x" * SEARCHED_MAX + "1234"], ids=len)
def test_who_is_not_asked_would_find_nothing(text: str, subject: str, raw: dict[str, Any]) -> None:
    """Whichever finders are left out: what the others find is what all of them do."""
    given = msgspec.structs.replace(event(MessageArrived(text=text, subject=subject)), raw=raw)
    for field in LOOKED_FOR:
        template = template_for(CaptureRules(templates=(Template(channel="chat", fields=(field,)),)), given)
        assert template is not None
        found = [
            {each.name: value for each, finder in asked if (value := finder.find(given, template.look())) is not None}
            for asked in (template.finders, template.likely(given, template.look()))
        ]
        assert found[0] == found[1]


def test_of_a_bare_message_few_are_asked() -> None:
    """Those that look elsewhere than at a pattern in its words, at its subject and at its extras."""
    rules = CaptureRules(templates=(Template(channel="chat", fields=tuple(LOOKED_FOR)),))
    bare = msgspec.structs.replace(event(MessageArrived(text="who")), raw={})
    template = template_for(rules, bare)
    assert template is not None
    asked = [field.name for field, _ in template.likely(bare, template.look())]
    elsewhere = [f"{path}/{pattern}" for path in ("type", "identities.0") for pattern in ("", r"\d{4}", "my|chat")]
    assert asked == ["text/", "data.text/", *elsewhere, "by rule"]


EXPRESSIONS: dict[str, tuple[str, AnyData, Any]] = {
    "the kind of event": ("type", TEXT, "throughline.message.received"),
    "the text": ("text", TEXT, "my bill"),
    "a text that is not there": ('text == ""', InteractionBegan(session="s1"), True),
    "a subject that is not there": ('subject == ""', ActivityArrived(name="x"), True),
    "the extras": ("raw.menu", TEXT, "2"),
    "the data": ("data.properties.page", ActivityArrived(name="x", properties={"page": "june"}), "june"),
}


@pytest.mark.parametrize("case", EXPRESSIONS)
def test_an_expression_sees_the_whole_event(case: str) -> None:
    """It sees the whole event, under the names that paths have."""
    found_by, data, value = EXPRESSIONS[case]
    assert found(Field(name="x", found_by=found_by), event(data)) == value


def test_an_expression_sees_extras_where_there_are_none() -> None:
    """Else the rule that asks whether there are would be one that fails."""
    bare = InboundEvent(
        id="e", source="s", time_ms=1, account="chat", channel="chat", identities=[], data=MessageArrived(text="x")
    )
    assert found(Field(name="x", found_by='has(raw.menu) ? "menu" : "none"'), bare) == "none"


CHAT = Template(channel="chat", events=("message",))
UNDER: dict[str, tuple[InboundEvent, str]] = {
    "a message": (event(), "chat"),
    "by another account": (event(account="vip"), "chat/vip"),
    "on another channel": (event(channel="sms"), ""),
    "what is not looked at": (event(InteractionBegan(session="s1")), ""),
    "what the account's template looks at": (event(InteractionBegan(session="s1"), account="vip"), "chat/vip"),
    "an activity": (event(ActivityArrived(name="x"), account="vip"), "chat/vip"),
    "a machine's words": (event(MessageArrived(text="away", automatic="auto_reply")), ""),
    "a report": (event(DeliveryReport(delivery="cu1-1.5", status="read")), ""),
}


@pytest.mark.parametrize("case", UNDER)
def test_an_accounts_template_goes_before_its_channels(case: str) -> None:
    """The account's before the channel's; by the kind of event."""
    given, name = UNDER[case]
    vip = Template(channel="chat", account="vip", events=("message", "start", "activity"))
    template = template_for(CaptureRules(templates=(CHAT, vip)), given)
    assert ("" if template is None else template.name) == name


def test_a_template_has_a_topic_once() -> None:
    """The floor's is a mail's or a call's subject, which counts as it was first said; or the template's own."""
    own = Field(name="topic", found_at=("raw.menu",))
    floor = template_for(CaptureRules(templates=(Template(channel="chat", fields=(Field(name="x"),)),)), event())
    said = template_for(CaptureRules(templates=(Template(channel="chat", fields=(Field(name="x"), own)),)), event())
    assert floor is not None
    assert said is not None
    assert [(each.name, finder.find(event(), floor.look())) for each, finder in floor.finders] == [
        ("x", None),
        ("topic", "Bill"),
    ]
    assert [(each.name, finder.find(event(), said.look())) for each, finder in said.finders] == [
        ("x", None),
        ("topic", "2"),
    ]
    [topic] = [each for each, _ in floor.finders if each.name == "topic"]
    assert (topic.keep, topic.when_missing) == ("first", "ask_agent")


def test_what_is_equal_to_python_alone_is_another_rule() -> None:
    """A new version that says `yes` in the place of `1`, or `1.0`, decides by what it says."""
    said = []
    for default in (1, True, 1.0):
        field = Field(name="urgent", when_missing="default", default=default)
        template = template_for(CaptureRules(templates=(Template(channel="chat", fields=(field,)),)), event())
        assert template is not None
        said.append(template.finders[0][0].default)
    assert [repr(each) for each in said] == ["1", "True", "1.0"]


def test_as_many_versions_are_kept_read_as_conversations_may_be_pinned_to() -> None:
    """One less, and each of the others would be read anew for each event."""
    versions = [CaptureRules(templates=(CHAT,)) for _ in range(POLICIES_KEPT + 1)]
    read = [template_for(rules, event()) for rules in versions]
    assert all(template_for(rules, event()) is once for rules, once in zip(versions, read, strict=True))
    assert len({id(each) for each in read}) == len(versions)


WHOSE = (
    Who(kind="tel", found_at=("data.properties.phone",)),
    Who(kind="crm", pattern=r"customer (\d+)"),
    Who(kind="user", found_by='has(data.properties) ? data.properties.user : ""'),
)
NAMED: dict[str, tuple[AnyData, list[str]]] = {
    "all, in their order": (
        ActivityArrived(name="form", properties={"user": "ann", "phone": 447700900123}),
        ["tel:447700900123", "user:ann"],
    ),
    "in the words": (MessageArrived(text="I am customer 123"), ["crm:123"]),
    "by a machine": (MessageArrived(text="customer 123", automatic="auto_reply"), ["crm:123"]),
    "none": (MessageArrived(text="hello"), []),
}  # fmt: skip


@pytest.mark.parametrize("case", NAMED)
def test_whose_an_event_is(case: str) -> None:
    """Of every kind of event, also of those that the template looks for nothing else in."""
    data, named = NAMED[case]
    rules = CaptureRules(templates=(msgspec.structs.replace(CHAT, identities=WHOSE),))
    assert identities_in(rules, event(data)) == named


def test_where_nothing_says_whose_it_is() -> None:
    """A template without a place for it, and a channel without a template."""
    rules = CaptureRules(templates=(CHAT,))
    assert identities_in(rules, event()) == identities_in(rules, event(channel="sms")) == []


def test_an_event_finds_no_more_than_it_may_bring() -> None:
    """A form with a place for each member of a family."""
    places = tuple(Who(kind="user", found_at=(f"raw.{place}",)) for place in "abcdefghijkl")
    rules = CaptureRules(templates=(msgspec.structs.replace(CHAT, identities=places),))
    given = msgspec.structs.replace(event(), raw={place: place for place in "bcdefghijkl"})
    found = identities_in(rules, given)
    assert found == [f"user:{place}" for place in "bcdefghi"]
