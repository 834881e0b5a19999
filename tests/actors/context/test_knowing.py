"""What a conversation knows: which of two sources' values stands, by the rule that is said, and that both are kept."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.context import knowing
from actors.rules.context import ContextRules, KeyRules
from actors.state import context_items
from actors.state.context_items import Given, Known
from protocol.entities import ContextItem
from protocol.events import ContextRefused, ContextSet

NOW_MS = 1_000_000
PLAIN = ContextRules()
AGENT_FIRST = ContextRules(winner=("agent", "newest"))
OLDEST = ContextRules(winner=("first",))
BY_CHANNEL = ContextRules(keys={"k": KeyRules(winner=("channel",), channels=("app", "phone"))})
OF_OTHER_KEY = ContextRules(keys={"other": KeyRules(winner=("first",))})

Words = tuple[str, str, Any, bool]
"""Channel, actor, value, verified."""
APP, PHONE, SMS = (
    ("app", "account:app", "A", False),
    ("phone", "account:pbx", "B", False),
    ("sms", "customer", "C", False),
)
APP_SURE, AGENT = ("app", "account:app", "A", True), ("sms", "agent:ann", "D", False)
AGENT_SURE = ("sms", "agent:ann", "D", True)


def told(rules: ContextRules, *words: Words, key: str = "k") -> ContextItem:
    """The item after all of them spoke, one after the other."""
    known: Known = {}
    for channel, actor, value, verified in words:
        one = Given(key=key, value=value, actor=actor, channel=channel, verified=verified)
        known = knowing.take(known, [one], rules, 3, NOW_MS).known
    return known[key]


CONFLICTS: list[tuple[str, ContextRules, list[Words], str, str]] = [
    ("one source has no conflict", PLAIN, [APP], "A", ""),
    ("the newest stands", PLAIN, [APP, PHONE], "B", "newest"),
    ("the newest of three stands", PLAIN, [APP, PHONE, SMS], "C", "newest"),
    ("a verified one stands though it is older", PLAIN, [APP_SURE, PHONE], "A", "verified"),
    ("a verified one stands as it comes", PLAIN, [PHONE, APP_SURE], "A", "verified"),
    ("of two verified ones the newest", PLAIN, [APP_SURE, AGENT_SURE], "D", "newest"),
    ("an agent's word is one of others", PLAIN, [AGENT, PHONE], "B", "newest"),
    ("an agent's word first, where the policy says so", AGENT_FIRST, [AGENT, PHONE], "D", "agent"),
    ("the first, where the policy says so", OLDEST, [APP, PHONE, SMS], "A", "first"),
    ("the better channel", BY_CHANNEL, [APP, PHONE, SMS], "A", "channel"),
    ("the better channel among the worse", BY_CHANNEL, [SMS, PHONE], "B", "channel"),
    ("a channel that is not named is the last", BY_CHANNEL, [PHONE, SMS], "B", "channel"),
    ("another key's rule does not hold", OF_OTHER_KEY, [APP, PHONE], "B", "newest"),
    ("a source corrects itself", PLAIN, [APP, ("app", "account:app", "Z", False)], "Z", ""),
    ("both say the same", PLAIN, [APP, ("phone", "account:pbx", "A", False)], "A", ""),
    ("customer and agent on one channel are two sources", PLAIN, [SMS, AGENT], "D", "newest"),
    (
        "who takes back the value that stood makes room for the better of the others",
        ContextRules(winner=("verified", "first")),
        [APP_SURE, PHONE, SMS, ("app", "account:app", "Z", False)],
        "B",
        "first",
    ),
]


@pytest.mark.parametrize(
    ("rules", "words", "stands", "rule"), [case[1:] for case in CONFLICTS], ids=[case[0] for case in CONFLICTS]
)
def test_which_value_stands(rules: ContextRules, words: list[Words], stands: str, rule: str) -> None:
    """The winner and the rule that made it one; every source's newest word is kept."""
    item = told(rules, *words)
    assert (item.value, item.rule) == (stands, rule)
    newest = {(channel, context_items.side_of(actor)): value for channel, actor, value, _ in words}
    assert {context_items.source_of(value): value.value for value in context_items.values_of(item)} == newest
    assert max(value.version for value in context_items.values_of(item)) == len(words)


def test_the_same_again_is_no_fact() -> None:
    """An app that says with every page what it said before fills no journal; one that is sure now says more."""
    one = Given(key="k", value="A", actor="account:app", channel="app")
    known = knowing.take({}, [one], PLAIN, 1, NOW_MS).known
    assert knowing.take(known, [one, one], PLAIN, 1, NOW_MS).facts == []
    assert len(knowing.take(known, [msgspec.structs.replace(one, verified=True)], PLAIN, 1, NOW_MS).facts) == 1
    assert len(knowing.take(known, [msgspec.structs.replace(one, value=1)], PLAIN, 1, NOW_MS).facts) == 1


def test_true_is_not_one() -> None:
    """A changed type is a change."""
    one = Given(key="k", value=1, actor="account:app", channel="app")
    known = knowing.take({}, [one], PLAIN, 1, NOW_MS).known
    assert len(knowing.take(known, [msgspec.structs.replace(one, value=True)], PLAIN, 1, NOW_MS).facts) == 1


def test_a_key_is_as_sensitive_as_the_policy_says_at_least() -> None:
    """A source may say more, not less."""
    rules = ContextRules(keys={"k": KeyRules(sensitivity="personal")})
    given = [Given(key="k", value="A", actor="agent:ann", channel="sms", sensitivity=s) for s in ("normal", "secret")]
    assert [knowing.decide(None, one, rules, 1, NOW_MS).sensitivity for one in given] == ["personal", "secret"]


def test_what_finds_no_room_is_an_event_that_has_it() -> None:
    """Items of a conversation and sources of an item are bounded; nothing goes silently."""
    many = [Given(key=f"k{n}", value=n, actor="account:app", channel="app") for n in range(knowing.CONTEXT_MAX + 1)]
    events = knowing.take({}, many, PLAIN, 7, NOW_MS).facts
    assert [type(event) for event in events[-2:]] == [ContextSet, ContextRefused]
    refused = events[-1]
    assert isinstance(refused, ContextRefused)
    assert (refused.key, refused.value, refused.policy) == (f"k{knowing.CONTEXT_MAX}", knowing.CONTEXT_MAX, 7)
    assert "256 context items" in refused.reason
    sources = [Given(key="k", value=n, actor="account:a", channel=f"c{n}") for n in range(knowing.VALUES_MAX + 1)]
    events = knowing.take({}, sources, PLAIN, 7, NOW_MS).facts
    assert [type(event) for event in events] == [ContextSet] * knowing.VALUES_MAX + [ContextRefused]
    again = knowing.take(
        context_items.after({}, events), [msgspec.structs.replace(sources[0], value="n")], PLAIN, 7, NOW_MS
    ).facts
    assert [type(event) for event in again] == [ContextSet], "a known source may always say more"


words = st.tuples(
    st.sampled_from(["app", "phone", "sms"]),
    st.sampled_from(["customer", "agent:ann", "agent:bob", "account:x"]),
    st.sampled_from(["A", "B", 1, True, None]),
    st.booleans(),
)
criteria = st.lists(st.sampled_from(["verified", "agent", "newest", "first"]), max_size=3).map(tuple)


@given(st.lists(words, min_size=1, max_size=12), criteria)
def test_no_source_is_ever_lost_and_the_winner_is_one_of_them(said: list[Words], winner: Any) -> None:
    """Whatever is said in whatever order under whatever rule: each source's newest word is there, once, and the events
    alone, read back from the journal's bytes, make the same item."""
    rules = ContextRules(winner=winner)
    known: Known = {}
    facts: list[bytes] = []
    for channel, actor, value, verified in said:
        one = Given(key="k", value=value, actor=actor, channel=channel, verified=verified)
        for fact in knowing.take(known, [one], rules, 1, NOW_MS).facts:
            facts.append(msgspec.msgpack.encode(fact))
            known = context_items.after(known, [fact])
    newest = {(channel, context_items.side_of(actor)): (value, sure) for channel, actor, value, sure in said}
    values = context_items.values_of(known["k"])
    assert {context_items.source_of(value): (value.value, value.verified) for value in values} == newest
    assert len(values) == len(newest)
    read: ContextItem | None = None
    for encoded in facts:
        read = context_items.put(read, msgspec.msgpack.decode(encoded, type=ContextSet))
    assert read == known["k"]
    if winner[:1] == ("verified",) and any(value.verified for value in values):
        assert known["k"].verified
