"""Switches of channel: who causes them, what they must bring along, what is withheld, and that nothing is lost."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.cells import snapshots
from actors.context.switching import kept, proof
from actors.decisions.deciding import AnyInput
from actors.rules.context import ContextRules, KeyRules, SwitchRules
from actors.rules.policy import ChannelRules, Policy
from actors.state import context_items
from actors.state import journey as journeys
from actors.state.journey import Journey
from protocol.commands import Reply, SetContext, SwitchChannel, Take
from protocol.entities import Tag, Tags
from protocol.errors import Code, Refusal
from protocol.events import (
    AnyEvent,
    ChannelSwitched,
    ContextSet,
    ContextWithheld,
    InteractionStarted,
    MessageQueued,
)
from protocol.inbound import ActivityArrived, InteractionBegan, InteractionStopped, MessageArrived
from tests.actors.player import CONVERSATION, CUSTOMER, POLICY, Player, names

TEL, MAIL = "tel:+447700900123", "mailto:ann@example.org"
RULES = ContextRules(
    keys={"iban": KeyRules(sensitivity="secret"), "born": KeyRules(sensitivity="personal")},
    carries={"sms": ("normal",), "phone": ("normal", "personal")},
    switches={
        "sms to phone": SwitchRules(required=("contract", "reason"), continuity="team:voice"),
        "any to phone": SwitchRules(required=("contract",)),
        "email to any": SwitchRules(required=("topic",), continuity="queue"),
    },
)


class Recorder(Player):
    """A player that keeps the journal."""

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self.journal: list[tuple[str, bytes]] = []

    def give(self, given: AnyInput) -> list[AnyEvent]:
        """As `Player.give`."""
        events = super().give(given)
        self.journal += [(stream, msgspec.msgpack.encode(event)) for stream, event in self.decision.events]
        return events

    def read_back(self) -> Journey:
        """The state that the journal's bytes make."""
        read = Journey(customer=CUSTOMER)
        for stream, encoded in self.journal:
            journeys.evolve(read, stream, _decode(encoded), encoded)
        return read


_decode = msgspec.msgpack.Decoder(AnyEvent).decode


def player_with(rules: ContextRules = RULES) -> Recorder:
    """Ann's conversation began by mail; she has a phone, too."""
    player = Recorder(msgspec.structs.replace(POLICY, version=7, context=rules))
    player.message(identities=(MAIL, TEL))
    return player


def switches(events: list[AnyEvent]) -> list[ChannelSwitched]:
    """Those among the events."""
    return [event for event in events if isinstance(event, ChannelSwitched)]


def call(player: Player, **more: Any) -> list[AnyEvent]:
    """Ann calls."""
    more = {"session": f"call {player.count}", **more}
    return player.give(player.input(InteractionBegan(**more), channel="phone", account="pbx", identities=(TEL,)))


def test_the_customer_switches_by_speaking_elsewhere() -> None:
    """A call beside an open mail: from where, to where, by whom, under which version."""
    player = player_with()
    player.command(SetContext(key="contract", value="4711"))
    [switched] = switches(call(player))
    assert (switched.from_channel, switched.to_channel, switched.interaction) == ("email", "phone", 2)
    assert (switched.by, switched.actor, switched.policy) == ("customer", "customer", 7)
    assert (switched.items_before, switched.items_after, switched.kept) == (1, 1, 1)
    assert (
        switched.proof_before
        == switched.proof_after
        == proof(player.state.conversations[CONVERSATION].context.values())
    )
    assert player.state.conversations[CONVERSATION].channel == "phone"


def test_coming_back_to_a_contact_that_goes_on_is_a_switch_too() -> None:
    """Mail, call, and the mail again within its rest: nothing begins, and where we speak changes all the same."""
    player = player_with()
    call(player)
    events = player.message(identities=(MAIL,))
    assert names(events) == ["MessageReceived", "ChannelSwitched"]
    assert names(player.message(identities=(MAIL,))) == ["MessageReceived"]


def test_what_is_looked_at_and_what_a_machine_answers_switch_nothing() -> None:
    """An activity is no contact with words; neither is an automatic reply, nor the end of a call."""
    player = player_with()
    seen = player.give(player.input(ActivityArrived(name="viewed"), channel="app", identities=(MAIL,)))
    machine = player.message(channel="sms", identities=(TEL,), automatic="auto_reply")
    assert switches([*seen, *machine]) == []
    call(player, session="c")
    player.message(identities=(MAIL,))
    ended = player.give(
        player.input(InteractionStopped(session="c"), channel="phone", account="pbx", identities=(TEL,))
    )
    assert names(ended) == ["InteractionEnded"]


def test_an_agent_switches_by_command_and_by_replying_elsewhere() -> None:
    """ "I call you": a contact that we begin, on the customer's number; a reply elsewhere is a switch by itself."""
    player = player_with()
    events = player.command(SwitchChannel(channel="phone", reason="easier to explain"))
    assert names(events) == ["InteractionStarted", "ChannelSwitched"]
    started, switched = events
    assert isinstance(started, InteractionStarted)
    assert isinstance(switched, ChannelSwitched)
    assert (started.identity, started.direction, started.actor) == (TEL, "outbound", "agent:ann")
    assert (switched.by, switched.actor, switched.reason) == ("agent", "agent:ann", "easier to explain")
    [back] = switches(player.command(Reply(text="as promised", channel="email")))
    assert (back.from_channel, back.to_channel, back.by, back.interaction) == ("phone", "email", "agent", 1)
    assert switches(player.command(Reply(text="and more", channel="email"))) == []


@pytest.mark.parametrize(
    ("command", "code", "field", "said"),
    [
        (SwitchChannel(channel="email"), Code.NOT_ALLOWED_NOW, "", "goes on by email already"),
        (SwitchChannel(channel=""), Code.INVALID, "channel", "1 to 128 printable"),
        (SwitchChannel(channel="whatsapp"), Code.INVALID, "channel", "no whatsapp identity .*; link one first, or"),
        (SwitchChannel(channel="phone", to="tel:+441"), Code.INVALID, "to", "not this customer's"),
    ],
)
def test_a_switch_that_cannot_be_is_refused(command: SwitchChannel, code: Code, field: str, said: str) -> None:
    """It changes nothing and says what to do."""
    with pytest.raises(Refusal, match=said) as refused:
        player_with().command(command)
    assert (refused.value.code, refused.value.field) == (code, field)


def test_the_policy_switches_where_a_message_was_given_up() -> None:
    """`fallback`: SMS does not reach her, mail does; without an identity there, or elsewhere already, it stays."""
    rules = ContextRules(fallback={"sms": "email"})
    player = player_with(rules)
    player.message(channel="sms", identities=(TEL,))
    queued = player.command(Reply(text="hello", channel="sms"))[0]
    assert isinstance(queued, MessageQueued)
    events = player.outcome(queued.delivery, 1, "refused", code="30006", reason="landline")
    [switched] = switches(events)
    assert (switched.from_channel, switched.to_channel, switched.by) == ("sms", "email", "rule")
    assert switched.reason == f"fallback: sms goes on by email; {queued.delivery} was given up"
    alone = Player(msgspec.structs.replace(POLICY, context=rules))
    alone.message(channel="sms", identities=(TEL,))
    queued = alone.command(Reply(text="hello"))[0]
    assert isinstance(queued, MessageQueued)
    assert switches(alone.outcome(queued.delivery, 1, "refused", code="1", reason="no")) == []


def test_a_rule_begins_a_contact_and_says_nothing_in_it() -> None:
    """It says that it was a rule; what was given up is not sent there by itself."""
    player = Player(msgspec.structs.replace(POLICY, context=ContextRules(fallback={"sms": "email"})))
    player.message(channel="sms", identities=(TEL, "mailto:ann@example.org"))
    queued = player.command(Reply(text="hello"))[0]
    assert isinstance(queued, MessageQueued)
    events = player.outcome(queued.delivery, 1, "refused", code="30006", reason="landline")
    assert names(events) == ["DeliveryDead", "InteractionStarted", "ChannelSwitched"]
    started = events[1]
    assert isinstance(started, InteractionStarted)
    assert (started.actor, started.channel, started.reason) == ("system", "email", "a rule of the policy began it")


REQUIRED: list[tuple[str, str, dict[str, Any], list[str], str, str]] = [
    ("the pair's own rules hold", "sms", {"contract": "4711"}, ["reason"], "team:voice", "sms to phone"),
    ("nothing is missing", "sms", {"contract": "4711", "reason": "bill"}, [], "team:voice", "sms to phone"),
    ("all is missing", "sms", {}, ["contract", "reason"], "team:voice", "sms to phone"),
    (
        "an empty value is missing",
        "sms",
        {"contract": "", "reason": None},
        ["contract", "reason"],
        "team:voice",
        "sms to phone",
    ),
    ("a false one is not", "sms", {"contract": 0, "reason": False}, [], "team:voice", "sms to phone"),
    ("any to a channel", "chat", {}, ["contract"], "queue:default", "any to phone"),
]


@pytest.mark.parametrize(
    ("origin", "known", "missing", "continuity", "rule"), [case[1:] for case in REQUIRED], ids=[c[0] for c in REQUIRED]
)
def test_what_a_switch_requires(
    origin: str, known: dict[str, Any], missing: list[str], continuity: str, rule: str
) -> None:
    """By the pair of channels: what should be known, what of it is not, and who sees to it."""
    player = Player(msgspec.structs.replace(POLICY, context=RULES))
    player.message(channel=origin, identities=(TEL,))
    for key, value in known.items():
        player.command(SetContext(key=key, value=value))
    [switched] = switches(call(player))
    assert (switched.missing, switched.continuity, switched.rule) == (missing, continuity, rule)


def test_what_the_call_itself_brings_is_not_missing() -> None:
    """An IVR asks for the contract number before it connects: it comes with the call."""
    player = Player(msgspec.structs.replace(POLICY, context=RULES))
    player.message(channel="sms", identities=(TEL,))
    events = call(player, context={"contract": "4711", "reason": "bill"})
    assert names(events) == ["InteractionStarted", "ContextSet", "ContextSet", "ChannelSwitched"]
    [switched] = switches(events)
    assert (switched.missing, switched.items_before, switched.items_after) == ([], 0, 2)


def test_what_was_told_before_is_not_missing() -> None:
    """A topic and a contract's number that the words named are tags, and no items of the context."""
    rules = ContextRules(switches={"sms to phone": SwitchRules(required=("topic", "intent", "contract", "claim"))})
    player = Player(msgspec.structs.replace(POLICY, context=rules))
    player.message(channel="sms", identities=(TEL,))
    player.state.conversations[CONVERSATION].tags = Tags(topic=Tag(value="bill"), keys=("contract:P1000",))
    [switched] = switches(call(player))
    assert switched.missing == ["intent", "claim"]


@pytest.mark.parametrize(
    ("named", "owned", "continuity"),
    [
        ("owner", True, "agent:ann"),
        ("owner", False, "queue:default"),
        ("queue", True, "queue:default"),
        ("team:claims", True, "team:claims"),
    ],
)
def test_every_switch_has_an_owner_of_its_continuity(named: str, owned: bool, continuity: str) -> None:
    """Also where no rules are written for the pair, and nobody has the conversation."""
    player = player_with(ContextRules(continuity=named))
    if owned:
        player.command(Take())
    [switched] = switches(call(player))
    assert (switched.continuity, switched.rule, switched.required) == (continuity, "", [])


WITHHELD: list[tuple[str, ContextRules, dict[str, str], list[str]]] = [
    ("nothing where no table is written", ContextRules(), {"iban": "secret", "born": "personal"}, []),
    ("what the channel may not carry", RULES, {"iban": "normal", "born": "normal", "plan": "normal"}, ["born", "iban"]),
    ("what an agent called sensitive", RULES, {"plan": "personal", "colour": "normal"}, ["plan"]),
    ("nothing where all may go", RULES, {"plan": "normal"}, []),
    ("everything of a channel that carries nothing", ContextRules(carries={"sms": ()}), {"plan": "normal"}, ["plan"]),
    ("another channel's table does not hold", ContextRules(carries={"phone": ()}), {"plan": "secret"}, []),
]


@pytest.mark.parametrize(
    ("rules", "items", "withheld"), [case[1:] for case in WITHHELD], ids=[case[0] for case in WITHHELD]
)
def test_what_is_withheld_on_a_channel(rules: ContextRules, items: dict[str, str], withheld: list[str]) -> None:
    """By sensitivity and channel, as an event with version and rule; the journey keeps all, and agents see which."""
    player = player_with(rules)
    for key, sensitivity in items.items():
        player.command(SetContext(key=key, value=f"{key} value", sensitivity=sensitivity))
    events = player.message(channel="sms", identities=(TEL,))
    told = [event for event in events if isinstance(event, ContextWithheld)]
    assert [key for event in told for key in event.keys] == withheld
    assert all((event.channel, event.policy) == ("sms", 7) and event.rule.startswith("carries: sms") for event in told)
    conversation = player.state.conversations[CONVERSATION]
    assert set(conversation.context) == set(items)
    assert sorted(conversation.withheld) == withheld


def test_what_is_withheld_is_not_sent() -> None:
    """A reply that says it is refused on that channel, and leaves on another."""
    player = player_with()
    player.command(SetContext(key="iban", value="DE89370400440532013000"))
    player.message(channel="sms", identities=(TEL,))
    with pytest.raises(Refusal, match="'iban', which sms may not carry"):
        player.command(Reply(text="Is DE89370400440532013000 still right?", channel="sms"))
    assert "MessageQueued" in names(player.command(Reply(text="Is your account still right?", channel="sms")))
    assert "MessageQueued" in names(player.command(Reply(text="Is DE89370400440532013000 right?", channel="email")))


def test_what_is_withheld_does_not_leave_in_the_conversations_subject() -> None:
    """The agent did not write it; their own is refused as the text is. Where the channel may carry it, it stays."""
    player = player_with()
    player.message(subject="My account DE89 3704 0044 0532 0130 00")
    player.command(SetContext(key="iban", value="DE89370400440532013000"))
    player.message(channel="sms", identities=(TEL,))
    with pytest.raises(Refusal, match="'iban', which sms may not carry"):
        player.command(Reply(text="Hello", subject="DE89370400440532013000", channel="sms"))
    for channel, subject in (("sms", ""), ("email", "My account DE89 3704 0044 0532 0130 00")):
        queued = [e for e in player.command(Reply(text="Hello", channel=channel)) if isinstance(e, MessageQueued)]
        assert [event.subject for event in queued] == [subject]


@pytest.mark.parametrize(
    ("iban", "text", "withheld"),
    [
        ("DE89370400440532013000", "Is DE89 3704 0044 0532 0130 00 still right?", True),
        ("DE89 3704 0044 0532 0130 00", "Is de89370400440532013000 still right?", True),
        ("1980-02-01", "Born on 1980/02/01?", True),
        ("Dr. Müller", "dr. müller wrote", True),
        ("DE89370400440532013000", "Does it end with 3000?", False),
        ("1234", "At 12:34?", False),
        ("1234", "Is it 1234?", True),
    ],
)
def test_what_is_withheld_is_found_however_it_is_spaced(iban: str, text: str, withheld: bool) -> None:
    """As people write account numbers and dates; short values only as they stand."""
    player = player_with()
    player.command(SetContext(key="iban", value=iban))
    player.message(channel="sms", identities=(TEL,))
    if withheld:
        with pytest.raises(Refusal, match="'iban', which sms may not carry"):
            player.command(Reply(text=text, channel="sms"))
    else:
        assert "MessageQueued" in names(player.command(Reply(text=text, channel="sms")))


def test_what_becomes_known_on_a_channel_that_may_not_carry_it_is_withheld_there_too() -> None:
    """Once for each key; another channel begins anew."""
    player = player_with()
    player.message(channel="sms", identities=(TEL,))
    assert names(player.command(SetContext(key="iban", value="1234"))) == ["ContextSet", "ContextWithheld"]
    assert names(player.command(SetContext(key="iban", value="5678"))) == ["ContextSet"]
    assert names(player.command(SetContext(key="plan", value="x"))) == ["ContextSet"]
    call(player)
    assert player.state.conversations[CONVERSATION].withheld == ("iban",)
    player.message(identities=(MAIL,))
    assert player.state.conversations[CONVERSATION].withheld == ()


def test_a_proof_sees_each_part_of_each_value() -> None:
    """Another value, version, channel or sensitivity is another proof; the order is none."""
    player = player_with()
    for key in "ab":
        player.command(SetContext(key=key, value="1"))
    items = list(player.state.conversations[CONVERSATION].context.values())
    assert proof(items) == proof(items[::-1])
    for change in ({"value": 1}, {"version": 9}, {"channel": "x"}, {"sensitivity": "secret"}, {"actor": "customer"}):
        assert proof([msgspec.structs.replace(items[0], **change), items[1]]) != proof(items)
    assert proof([]) == ""
    before = {item.key: item for item in items}
    assert kept(before, before) == 2
    assert kept(before, {"a": before["a"]}) == 1
    assert kept({"a": msgspec.structs.replace(items[0], version=5)}, before) == 0


def test_rules_that_say_nothing_are_refused() -> None:
    """A pair that is none, an owner who is nobody, a word that is no sensitivity: with what to write instead."""
    bad: list[tuple[dict[str, Any], str]] = [
        ({"switches": {"sms": {}}}, "two channels"),
        ({"continuity": "ann"}, "write owner, queue, agent:<name>"),
        ({"switches": {"a to b": {"continuity": "boss"}}}, "nobody"),
        ({"carries": {"sms": ["private"]}}, "Invalid enum value 'private'"),
        ({"winner": ["loudest"]}, "Invalid enum value 'loudest'"),
        ({"winers": []}, "unknown field"),
    ]
    for rules, said in bad:
        with pytest.raises(msgspec.ValidationError, match=said):
            msgspec.convert(rules, ContextRules)


# Whatever happens

KEYS, CHANNELS = ("contract", "iban", "born", "plan"), ("email", "sms", "phone", "chat")
STEPS = st.one_of(
    st.tuples(
        st.just("say"), st.sampled_from(CHANNELS), st.dictionaries(st.sampled_from(KEYS), st.integers(0, 3), max_size=3)
    ),
    st.tuples(st.just("look"), st.just("app"), st.dictionaries(st.sampled_from(KEYS), st.integers(0, 3), max_size=3)),
    st.tuples(st.just("set"), st.sampled_from(KEYS), st.integers(0, 3)),
    st.tuples(st.just("move"), st.sampled_from(CHANNELS), st.none()),
    st.tuples(st.just("reply"), st.sampled_from(CHANNELS), st.none()),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, max_size=25), st.booleans())
def test_a_switch_never_loses_an_item(steps: list[tuple[str, str, Any]], ruled: bool) -> None:
    """Whoever speaks where, and whatever is set meanwhile: what every source said last is there at every switch and at
    the end; each switch's proofs are those of the events before it; and the journal's bytes make the same state."""
    channels = {channel: ChannelRules(account=channel) for channel in CHANNELS}
    rules = RULES if ruled else ContextRules()
    player = Recorder(Policy(channels=channels, context=rules))
    identities = (MAIL, TEL, "chat:ann")
    player.message(identities=identities)
    said: dict[tuple[str, str, str], Any] = {}
    for kind, name, value in steps:
        for event in _do(player, kind, name, value, identities):
            if isinstance(event, ContextSet):
                said[event.key, event.channel, context_items.side_of(event.actor)] = event.value
    state = player.state.conversations[CONVERSATION]
    kept_now = {
        (item.key, *context_items.source_of(value)): value.value
        for item in state.context.values()
        for value in context_items.values_of(item)
    }
    assert kept_now == said
    assert player.read_back().conversations == player.state.conversations


def _do(player: Player, kind: str, name: str, value: Any, identities: tuple[str, ...]) -> list[AnyEvent]:
    before = dict(player.state.conversations[CONVERSATION].context)
    speaks_on = player.state.conversations[CONVERSATION].channel
    try:
        match kind:
            case "say":
                own = {"email": MAIL, "chat": "chat:ann"}.get(name, TEL)
                said = MessageArrived(text="hello", context=value or None)
                events = player.give(player.input(said, channel=name, identities=(own,)))
            case "look":
                viewed = ActivityArrived(name="viewed", context=value or None)
                events = player.give(player.input(viewed, channel="app", identities=(MAIL,)))
            case "set":
                events = player.command(SetContext(key=name, value=value))
            case "move":
                events = player.command(SwitchChannel(channel=name))
            case _:
                events = player.command(Reply(text="good day", channel=name))
    except Refusal:
        assert kind == "move", "only a switch to where we are may be refused here"
        return []
    after = player.state.conversations[CONVERSATION].context
    assert kept(before, after) == len(before)
    for switched in switches(events):
        assert switched.from_channel == speaks_on != switched.to_channel
        assert (switched.proof_before, switched.proof_after) == (proof(before.values()), proof(after.values()))
        assert switched.kept == switched.items_before == len(before)
        assert switched.items_after == len(after)
        assert switched.continuity
    return events


def test_a_journey_that_is_read_back_knows_the_same() -> None:
    """From the events' bytes, and from its snapshot."""
    player = player_with()
    player.command(SetContext(key="iban", value="1234", verified=True))
    player.message(channel="sms", identities=(TEL,), context={"iban": "5678"})
    player.command(SwitchChannel(channel="phone"))
    thawed = snapshots.thaw(snapshots.freeze(player.state))
    assert thawed is not None
    assert thawed == player.read_back() == player.state
    assert player.state.conversations[CONVERSATION].context["iban"].others
