"""Tagging: each tagger finds what it is for, says what it found, and gives way to stronger evidence alone."""

from typing import Any

import msgspec
import pytest

from actors.rules.correlation import CorrelationRules
from actors.rules.policy import Policy
from actors.rules.taxonomy import NO_TAXONOMY, Label, Tagger, Taxonomy
from actors.tags import tagging
from actors.tags.labels import KEYS_MAX, NO_TAGS, Labels
from actors.tags.tagging import merged, news, tags_of, with_before
from protocol.entities import Tag, Tags
from protocol.inbound import (
    ActivityArrived,
    AnyData,
    DeliveryReport,
    InboundEvent,
    InteractionBegan,
    InteractionStopped,
    MessageArrived,
)
from protocol.journal import POLICIES_KEPT

TAXONOMY = Taxonomy(
    topics={
        "bill": Label(
            taggers=(
                Tagger(words=("bill", "invoice*", "direct debit")),
                Tagger(property="menu", values=("1", "billing")),
                Tagger(property="page", values=("/bills/*",)),
            )
        ),
        "claim": Label(
            taggers=(
                Tagger(words=("claim", "accident", "stolen")),
                Tagger(subject=("claim",)),
                Tagger(accounts=("claims-mail",)),
                Tagger(rule='channel == "phone" && kind == "start" && subject.startsWith("CL")'),
            )
        ),
        "weather": Label(title="Nothing finds it"),
    },
    intents={
        "complaint": Label(taggers=(Tagger(words=("complain*", "not acceptable")),)),
        "pay": Label(taggers=(Tagger(channels=("sms",), words=("pay",)),)),
        "broken": Label(taggers=(Tagger(rule="properties.amount > 100.0"),)),
    },
    product_lines={"motor": Label(taggers=(Tagger(words=("car", "Škoda")),))},
    segments={"trade": Label(taggers=(Tagger(rule='text.matches("(?i)vat number")'),))},
    keys={"claim": ("CLM-######", "CL @@####"), "order": ("A####",)},
)


def said(data: AnyData | str, channel: str = "email", account: str = "") -> InboundEvent:
    """An event; a text is a message."""
    return InboundEvent(
        id="e1",
        source="test",
        time_ms=1,
        account=account or channel,
        channel=channel,
        identities=["x:1"],
        data=MessageArrived(text=data) if isinstance(data, str) else data,
    )


def activity(**properties: Any) -> InboundEvent:
    """A choice in a menu, or a page."""
    return said(ActivityArrived(name="ivr.choice", properties=properties), "phone")


def along(data: AnyData, **raw: Any) -> InboundEvent:
    """A contact by phone, with what the channel says along."""
    return msgspec.structs.replace(said(data, "phone"), raw=raw)


FOUND: list[tuple[str, InboundEvent, dict[str, tuple[str, str, str]]]] = [
    ("a word", said("My bill is wrong"), {"topic": ("bill", "words", "bill")}),
    ("a word in capitals", said("MY BILL!"), {"topic": ("bill", "words", "bill")}),
    ("a part of a word is no word", said("my billboard"), {}),
    ("a word's beginning, where that is meant", said("two invoices"), {"topic": ("bill", "words", "invoice*")}),
    ("a phrase over a line's end", said("the direct\ndebit"), {"topic": ("bill", "words", "direct debit")}),
    ("a phrase's words apart", said("debit the account, direct"), {}),
    ("a word with a mark above", said("meine ŠKODA"), {"product_line": ("motor", "words", "Škoda")}),
    ("more different words win", said("the bill of my stolen phone after the accident"),
     {"topic": ("claim", "words", "accident, stolen")}),
    ("as many words: the first of the taxonomy", said("claim the bill"), {"topic": ("bill", "words", "bill")}),
    ("a subject is stronger than words", said(MessageArrived(text="bill, direct debit", subject="Claim")),
     {"topic": ("claim", "subject", "claim")}),
    ("a subject's words count as words", said(MessageArrived(text="see above", subject="my bill")),
     {"topic": ("bill", "words", "bill")}),
    ("the mailbox it came by", said("my bill, the direct debit", account="claims-mail"),
     {"topic": ("claim", "channel", "claims-mail")}),
    ("a choice in a menu", activity(menu="1"), {"topic": ("bill", "channel", "menu: 1")}),
    ("a choice that is a number", activity(menu=1), {"topic": ("bill", "channel", "menu: 1")}),
    ("another choice", activity(menu="2"), {}),
    ("a yes is no number", activity(menu=True), {}),
    ("a page below a path", said(ActivityArrived(name="page.viewed", properties={"page": "/bills/7"}), "web"),
     {"topic": ("bill", "channel", "page: /bills/7")}),
    ("a rule about a call", said(InteractionBegan(session="1", subject="CLM line"), "phone"),
     {"topic": ("claim", "rule", 'channel == "phone" && kind == "start" && subject.startsWith("CL")')}),
    ("a rule that fails on what is missing", activity(menu="3"), {}),
    ("a rule about a property", activity(amount=150.0), {"intent": ("broken", "rule", "properties.amount > 100.0")}),
    ("words on one channel alone", said("I want to pay", "sms"), {"intent": ("pay", "words", "pay")}),
    ("the same words elsewhere", said("I want to pay"), {}),
    ("a choice that was made before the call", said(InteractionBegan(session="1", context={"menu": "1"}), "phone"),
     {"topic": ("bill", "channel", "menu: 1")}),
    ("a choice among a call's extras", along(InteractionBegan(session="1"), menu="billing"),
     {"topic": ("bill", "channel", "menu: billing")}),
    ("context counts before the extras", along(InteractionBegan(session="1", context={"menu": "2"}), menu="1"), {}),
    ("the page that a chat was opened on", along(MessageArrived(text="Hello"), page="/bills/7"),
     {"topic": ("bill", "channel", "page: /bills/7")}),
    ("a rule about what a form says", along(MessageArrived(text="Hello"), amount=150.0),
     {"intent": ("broken", "rule", "properties.amount > 100.0")}),
    ("a topic and an intent", said("I complain about the bill"),
     {"topic": ("bill", "words", "bill"), "intent": ("complaint", "words", "complain*")}),
    ("a segment", said("our VAT number is 5"), {"segment": ("trade", "rule", 'text.matches("(?i)vat number")')}),
    ("a machine's answer", said(MessageArrived(text="my bill", automatic="auto_reply")), {}),
    ("a report", said(DeliveryReport(delivery="cu1-1.2", status="read")), {}),
    ("the end of a call", said(InteractionStopped(session="1")), {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "event", "expected"), FOUND, ids=[row[0] for row in FOUND])
def test_what_a_tagger_finds_is_labelled_with_what_matched(
    name: str, event: InboundEvent, expected: dict[str, tuple[str, str, str]]
) -> None:
    """The label, what said so, and what matched."""
    tags = tags_of(event, TAXONOMY)
    found = {dimension: getattr(tags, dimension) for dimension in ("topic", "intent", "product_line", "segment")}
    assert {d: (t.value, t.tagger, t.matched) for d, t in found.items() if t is not None} == expected


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("about CLM-123456.", ("claim:CLM123456",)),
        ("about clm 123456", ("claim:CLM123456",)),
        ("about CLM123456", ("claim:CLM123456",)),
        ("about CLM-1234567", ()),
        ("XCLM-123456", ()),
        ("CL ab1234 and order A1000", ("claim:CLAB1234", "order:A1000")),
        ("order A1000 of CLM-123456", ("claim:CLM123456", "order:A1000")),  # In the taxonomy's order, which decides.
        ("CLM-123456 and CLM-123456", ("claim:CLM123456",)),
        (" ".join(f"A{n}" for n in range(1000, 1000 + KEYS_MAX + 1)), ()),
    ],
)
def test_numbers_that_name_a_matter(text: str, keys: tuple[str, ...]) -> None:
    """In one spelling; a list of them names none."""
    assert tags_of(said(text), TAXONOMY).keys == keys


@pytest.mark.parametrize(
    ("event", "keys"),
    [
        (along(InteractionBegan(session="1", context={"claim": "CLM-123456"})), ("claim:CLM123456",)),
        (along(InteractionBegan(session="1"), typed="clm 123456"), ("claim:CLM123456",)),
        (activity(claim_number="CLM123456"), ("claim:CLM123456",)),
        (along(MessageArrived(text="order A1000"), claim="CLM123456"), ("claim:CLM123456", "order:A1000")),
        (along(MessageArrived(text="CLM123456"), claim="CLM-123456"), ("claim:CLM123456",)),
        (along(MessageArrived(text="Hello"), url="/claims/CLM123456", parts=["CLM123456"], yes=True, none=None), ()),
        (along(MessageArrived(text="Hello"), token="CLM1234567"), ()),
    ],
)
def test_numbers_that_a_channel_says_along(event: InboundEvent, keys: tuple[str, ...]) -> None:
    """What was typed in before a call counts as if it was said; what only has a number in it does not."""
    assert tags_of(event, TAXONOMY).keys == keys


def test_what_was_looked_at_names_a_matter_unless_the_words_are_about_another() -> None:
    """Of a kind that the words name, or about another topic, what was looked at is not what they mean."""
    claim, bill = Tag(value="claim", tagger="words"), Tag(value="bill", tagger="words")
    seen = Tags(topic=claim, keys=("claim:CLM123456",))
    assert with_before(NO_TAGS, seen).keys == ("claim:CLM123456",)
    assert with_before(Tags(topic=claim, keys=("order:A1000",)), seen).keys == ("claim:CLM123456", "order:A1000")
    assert with_before(Tags(keys=("claim:CLM999999",)), seen).keys == ("claim:CLM999999",)
    assert with_before(Tags(topic=bill), seen).keys == ()


def test_as_many_taxonomies_are_kept_read_as_conversations_may_be_pinned_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """One less, and each of the others would be read anew for each event."""
    read: list[Taxonomy] = []

    def noted(taxonomy: Taxonomy) -> Labels:
        read.append(taxonomy)
        return Labels(taxonomy)

    monkeypatch.setattr(tagging, "Labels", noted)
    versions = [Taxonomy(topics={"bill": Label()}) for _ in range(POLICIES_KEPT + 1)]
    for taxonomy in [*versions, *versions]:
        tags_of(said("hello"), taxonomy)
    assert read == versions


def test_nothing_is_looked_at_without_a_taxonomy() -> None:
    """Neither without one nor with an empty one."""
    assert tags_of(said("my bill CLM-123456"), NO_TAXONOMY) is NO_TAGS
    assert tags_of(said("my bill CLM-123456"), Taxonomy()) is NO_TAGS


def test_a_tag_gives_way_to_stronger_evidence_alone() -> None:
    """Words do not change what a menu said; an agent does, and an agent's word is changed by an agent's."""
    words, menu = Tags(topic=Tag(value="bill", tagger="words")), Tags(topic=Tag(value="claim", tagger="channel"))
    agent, other = Tags(topic=Tag(value="bill", tagger="agent")), Tags(topic=Tag(value="claim", tagger="agent"))
    assert merged(words, menu) == menu
    assert merged(menu, words) == menu
    assert merged(menu, agent) == agent
    assert merged(agent, other) == other
    assert news(agent, agent) == NO_TAGS
    assert merged(words, Tags(topic=Tag(value="claim", tagger="words"))) == words


def test_an_intent_gives_way_to_a_later_one_that_is_as_strong() -> None:
    """Not to a weaker one, nor to an earlier one that is heard of later; the same once more is no news."""
    pay, complain = Tag(value="pay", tagger="words"), Tag(value="complaint", tagger="words")
    menu = Tags(intent=Tag(value="broken", tagger="channel"))
    assert news(Tags(intent=pay), Tags(intent=complain)) == Tags(intent=complain)
    assert merged(Tags(intent=pay), Tags(intent=complain)).intent == complain
    assert merged(Tags(intent=pay), Tags(intent=complain), later=False).intent == pay
    assert news(Tags(intent=pay), Tags(intent=msgspec.structs.replace(pay, matched="pays"))) == Tags()
    assert merged(menu, Tags(intent=complain)) == menu
    assert merged(Tags(intent=complain), menu) == menu


def test_keys_gather_up_to_their_bound() -> None:
    """Those that are known are no news."""
    known = Tags(keys=tuple(f"order:A{n}" for n in range(KEYS_MAX - 1)))
    assert news(known, Tags(keys=("order:A0", "order:B1", "order:B2"))).keys == ("order:B1",)
    assert len(merged(known, Tags(keys=("order:B1", "order:B2"))).keys) == KEYS_MAX


def test_what_is_wrong_with_a_taxonomy_is_said_with_its_place() -> None:
    """A path of keys, and what to write instead."""
    wrong = Taxonomy(
        topics={"bill": Label(taggers=(Tagger(), Tagger(property="menu"), Tagger(rule="texd.size() > 1")))},
        intents={"pay": Label(taggers=(Tagger(values=("1",)),))},
        keys={"order": ("A##",)},
    )
    faults = dict(wrong.faults(Policy(taxonomy=wrong)))
    assert set(faults) == {
        ("topics", "bill", "taggers", "1"),
        ("topics", "bill", "taggers", "2", "property"),
        ("topics", "bill", "taggers", "3", "rule"),
        ("intents", "pay", "taggers", "1", "values"),
        ("keys", "order", "1"),
    }
    assert "'texd'" in faults[("topics", "bill", "taggers", "3", "rule")]
    assert list(TAXONOMY.faults(Policy(taxonomy=TAXONOMY))) == []


def test_correlation_rules_name_what_there_is() -> None:
    """An intent that escalates and a broad key are of the taxonomy; repeats need topics."""
    rules = CorrelationRules(
        escalating_intents=("complaint", "moan"), repeat_within_ms=1, broad_keys=("order", "contract")
    )
    faults = dict(rules.faults(Policy(taxonomy=TAXONOMY)))
    assert set(faults) == {("escalating_intents", "2"), ("broad_keys", "2")}
    assert set(dict(rules.faults(Policy()))) >= {("repeat_within",), ("escalating_intents", "1")}
