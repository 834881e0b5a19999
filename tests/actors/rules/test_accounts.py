"""What an agent hears, and what a rule does, where the account is gone by which something should leave."""

import msgspec
import pytest

from actors.rules.capture import CaptureRules, Field, Template
from actors.rules.context import ContextRules
from actors.rules.policy import AccountRules, ChannelRules, Policy
from protocol.commands import AnyCommand, ReplayDelivery, Reply, SwitchChannel
from protocol.errors import Code, Refusal
from protocol.events import FieldMissing, InteractionStarted, MessageQueued
from tests.actors.commands.test_delivery import replied
from tests.actors.player import POLICY, Player, names

ANN = ("mailto:ann@example.org", "tel:+447700900123")
THERE = {"mail": "email", "sms": "sms", "chat": "chat"}


def under(channel_of: dict[str, str], policy: Policy = POLICY) -> Policy:
    """The policy while these are the accounts that there are."""
    return msgspec.structs.replace(policy, channel_of=channel_of)


def player_without(gone: str, *others: tuple[str, str], policy: Policy = POLICY) -> Player:
    """One whose customer wrote by the account `gone`, which has gone since."""
    player = Player(under(THERE, policy))
    player.message(channel=THERE[gone], account=gone, identities=ANN if gone == "mail" else ANN[::-1])
    player.policy = under({name: of for name, of in THERE.items() if name != gone} | dict(others), policy)
    return player


@pytest.mark.parametrize(
    ("others", "said"),
    [
        (
            [("office", "email"), ("claims", "email")],
            "no account mail is configured; email has claims, office; name one of them as `account`, or go on by "
            "another channel",
        ),
        ([], "no account mail is configured; email has none; go on by another channel"),
    ],
)
@pytest.mark.parametrize("command", [Reply(text="hello"), Reply(text="hello", channel="email")])
def test_an_agent_hears_at_once_that_the_account_is_gone(
    command: AnyCommand, others: list[tuple[str, str]], said: str
) -> None:
    """And which others the channel has. Queued it would be a dead letter at once."""
    player = player_without("mail", *others)
    with pytest.raises(Refusal) as refused:
        player.command(command)
    told = refused.value
    assert (told.code, told.field, told.message) == (Code.NOT_ALLOWED_NOW, "account", said)
    assert names(player.command(Reply(text="hello", channel="sms")))[0] == "InteractionStarted"


@pytest.mark.parametrize("command", [Reply(text="hello"), Reply(text="hello", channel="email", account="mail")])
def test_an_agent_hears_that_the_account_is_another_channels_by_now(command: AnyCommand) -> None:
    """Whoever serves it now reaches other addresses. On its new channel it is one as any other."""
    player = Player(under(THERE))
    player.message(identities=(*ANN, "whatsapp:+447700900123"))
    channel_of = {**THERE, "mail": "whatsapp", "office": "email"}
    player.policy = msgspec.structs.replace(under(channel_of), former={"mail": frozenset({"email"})})
    with pytest.raises(Refusal) as refused:
        player.command(command)
    assert (refused.value.code, refused.value.field) == (Code.NOT_ALLOWED_NOW, "account")
    assert refused.value.message == (
        "account mail was a line of email, and is one of whatsapp by now; email has office; name one of them as "
        "`account`, or go on by another channel"
    )
    player.command(Reply(text="hello", channel="email", account="office"))
    events = player.command(Reply(text="hello", channel="whatsapp", account="mail"))
    assert names(events)[:2] == ["InteractionStarted", "MessageQueued"]


def test_of_many_accounts_some_are_named() -> None:
    """A message stays one that somebody reads."""
    player = player_without("mail", *((f"office-{number:03}", "email") for number in range(300)))
    with pytest.raises(Refusal, match=r"office-000, .*, office-015 and 284 more; name one") as refused:
        player.command(Reply(text="hello"))
    assert "office-016" not in refused.value.message


def test_a_conversation_does_not_go_on_by_an_account_that_is_gone() -> None:
    """Neither the one it spoke by there before, nor the one that the policy still names."""
    player = Player(under({"mail": "email"}))
    player.message(identities=ANN)
    with pytest.raises(Refusal, match="no account sms is configured; sms has none"):
        player.command(SwitchChannel(channel="sms"))


def test_where_nobody_delivers_agents_go_on_by_themselves() -> None:
    """By telephone say, which needs no account."""
    player = Player(under(THERE))
    player.message(identities=ANN)
    assert "ChannelSwitched" in names(player.command(SwitchChannel(channel="phone")))


@pytest.mark.parametrize("channel", ["", "email"])
def test_an_agent_names_the_account_to_speak_by(channel: str) -> None:
    """It begins a contact by which the next reply leaves as well."""
    player = player_without("mail", ("office", "email"))
    started, queued, *_ = player.command(Reply(text="hello", channel=channel, account="office"))
    assert isinstance(started, InteractionStarted)
    assert isinstance(queued, MessageQueued)
    assert (started.channel, started.account, started.identity) == ("email", "office", ANN[0])
    assert (queued.account, queued.interaction) == ("office", started.interaction)
    [again, *_] = player.command(Reply(text="and"))
    assert isinstance(again, MessageQueued)
    assert (again.account, again.interaction) == ("office", started.interaction)


def test_an_agent_goes_on_by_an_account_of_another_channel() -> None:
    """Its name alone says on which; and of several that a channel has they choose."""
    player = Player(under({**THERE, "mobile": "sms"}))
    player.message(identities=ANN)
    events = player.command(SwitchChannel(channel="sms", account="mobile"))
    assert isinstance(events[0], InteractionStarted)
    assert (events[0].account, names(events)[-1]) == ("mobile", "ChannelSwitched")
    by_name = player.command(Reply(text="hello", account="chat", to=ANN[0]))
    assert isinstance(by_name[0], InteractionStarted)
    assert by_name[0].channel == "chat"


@pytest.mark.parametrize(
    ("named", "code", "said"),
    [
        ("sms", Code.INVALID, "account sms is one of sms, not of email; email has mail"),
        ("post", Code.NOT_ALLOWED_NOW, "no account post is configured; email has mail; name one"),
        ("x" * 129, Code.INVALID, "account must have at most 128 printable characters"),
    ],
)
def test_an_account_that_does_not_serve_the_channel_is_refused(named: str, code: Code, said: str) -> None:
    """With those that do."""
    player = Player(under(THERE))
    player.message(identities=ANN)
    with pytest.raises(Refusal) as refused:
        player.command(Reply(text="hello", channel="email", account=named))
    assert (refused.value.code, refused.value.field) == (code, "account")
    assert refused.value.message.startswith(said)


def test_one_account_may_serve_several_channels() -> None:
    """An app's pages and its chat, say: where the customer was met by it, they are answered by it."""
    player = Player(under(THERE))
    player.message(channel="web", account="chat", identities=("web:1", "web:2"))
    for to, begun in (("web:1", []), ("web:2", ["InteractionStarted"])):
        events = player.command(Reply(text="hello", channel="web", account="chat", to=to))
        assert names(events)[: len(begun) + 1] == [*begun, "MessageQueued"]


def test_a_dead_letter_of_an_account_that_is_gone_is_not_replayed() -> None:
    """It would be one at once. With the account it can be again."""
    player = Player(under(THERE))
    player.message()
    delivery = replied(player)
    player.outcome(delivery, 1, "refused", code="no_account")
    player.policy = under({"office": "email"})
    with pytest.raises(Refusal, match="no account mail is configured; email has office; say it anew by one of them"):
        player.command(ReplayDelivery(delivery=delivery))
    player.policy = under(THERE)
    assert names(player.command(ReplayDelivery(delivery=delivery))) == ["DeliveryReplayed", "DeliveryAttempted"]


@pytest.mark.parametrize(
    ("channel_of", "former", "there"),
    [
        (THERE, {}, True),
        ({"mail": "email"}, {}, False),
        ({**THERE, "sms": "whatsapp"}, {"sms": frozenset({"sms"})}, False),
    ],
)
def test_a_rule_moves_no_conversation_to_where_nothing_can_leave(
    channel_of: dict[str, str], former: dict[str, frozenset[str]], there: bool
) -> None:
    """The message is a dead letter where it was, and what it would have moved to is no better."""
    policy = msgspec.structs.replace(POLICY, context=ContextRules(fallback={"email": "sms"}))
    player = Player(under(THERE, policy))
    player.message(identities=ANN)
    delivery = replied(player)
    player.policy = msgspec.structs.replace(under(channel_of, policy), former=former)
    moved = ["InteractionStarted", "ChannelSwitched"] if there else []
    assert names(player.outcome(delivery, 1, "refused")) == ["DeliveryDead", *moved]


def test_a_question_by_an_account_that_is_gone_is_the_agents() -> None:
    """As where the contact has no address: nothing is queued, and the note says why."""
    field = Field(name="claim", when_missing="ask_customer", question="Which claim?")
    capture = CaptureRules(templates=(Template(channel="email", fields=(field, Field(name="topic"))),))
    policy = msgspec.structs.replace(POLICY, capture=capture)
    player = Player(under({"office": "email"}, policy))
    events = player.message(identities=ANN)
    [missing] = [event for event in events if isinstance(event, FieldMissing)]
    assert (missing.action, missing.delivery) == ("ask_agent", "")
    assert missing.reason == "no account mail is configured; email has office"
    assert "MessageQueued" not in names(events)


def test_what_nobody_said_of_accounts_forbids_nothing() -> None:
    """A policy without word of them is one in whose surroundings they are not known."""
    player = Player(msgspec.structs.replace(POLICY, channels={"email": ChannelRules(account="mail")}))
    player.message()
    assert names(player.command(Reply(text="hello", account="other"))) == [
        "InteractionStarted",
        "MessageQueued",
        "DeliveryAttempted",
    ]


LIMITED = msgspec.structs.replace(POLICY, provider_max={"sms": 10}, channels={"sms": ChannelRules(text_max=8)})
EMOJI = "\N{SLIGHTLY SMILING FACE}"


@pytest.mark.parametrize(
    ("policy", "fits", "said"),
    [
        (msgspec.structs.replace(LIMITED, channels={}), "x" * 10, "has 11 characters, .* at most 10"),
        (LIMITED, "x" * 8, "has 9 characters, .* at most 8"),
        (msgspec.structs.replace(LIMITED, provider_max={"sms": 4}), "x" * 4, "has 5 characters, .* at most 4"),
        (msgspec.structs.replace(LIMITED, provider_max={"chat": 4}), EMOJI * 4, "has 9 characters, .* at most 8"),
    ],
)
def test_an_agent_hears_at_once_that_a_text_is_too_long(policy: Policy, fits: str, said: str) -> None:
    """With the limit, whether the provider says it or the policy, and how long the text is, an emoji being two."""
    player = Player(under(THERE, policy))
    player.message(channel="sms", account="sms", identities=ANN[::-1])
    with pytest.raises(Refusal, match=f"text {said}; shorten it, say it in more than one reply") as refused:
        player.command(Reply(text=f"{fits}x"))
    assert (refused.value.code, refused.value.field) == (Code.OVER_LIMIT, "text")
    assert "on sms by account sms" in refused.value.message
    assert names(player.command(Reply(text=fits)))[0] == "MessageQueued"
    assert "MessageQueued" in names(player.command(Reply(text="x" * 5000, channel="email", account="mail")))


def test_a_providers_limit_is_not_that_of_an_account_of_the_policys() -> None:
    """Which has taken the place of the settings' one of the same name: a program serves it."""
    rules = msgspec.structs.replace(LIMITED, channels={}, accounts={"sms": AccountRules(channel="sms")})
    player = Player(under(THERE, rules))
    player.message(channel="sms", account="sms", identities=ANN[::-1])
    assert names(player.command(Reply(text="x" * 11)))[0] == "MessageQueued"


def test_a_dead_letter_that_is_too_long_is_not_replayed() -> None:
    """It would be one at once."""
    player = Player(under(THERE))
    player.message(channel="sms", account="sms", identities=ANN[::-1])
    delivery = replied(player, "x" * 11)
    player.outcome(delivery, 1, "refused", code="21617")
    player.policy = under(THERE, LIMITED)
    with pytest.raises(Refusal, match="at most 8; say it anew, and shorter"):
        player.command(ReplayDelivery(delivery=delivery))


@pytest.mark.parametrize(("limit", "asked"), [(24, True), (23, False)])
def test_a_question_that_is_too_long_is_the_agents(limit: int, asked: bool) -> None:
    """All that is asked at once goes in one message; nothing is queued that could not leave."""
    fields = [Field(name=name, when_missing="ask_customer", question=f"Which {name}?") for name in ("claim", "make")]
    capture = CaptureRules(templates=(Template(channel="sms", fields=(*fields, Field(name="topic"))),))
    policy = msgspec.structs.replace(POLICY, capture=capture, channels={"sms": ChannelRules(text_max=limit)})
    player = Player(under(THERE, policy))
    events = player.message(channel="sms", account="sms", identities=ANN[::-1])
    missing = [event for event in events if isinstance(event, FieldMissing)]
    said = "the text has 24 characters, and a message on sms by account sms has at most 23"
    expected = ("ask_customer", "") if asked else ("ask_agent", said)
    assert [(each.action, each.reason) for each in missing] == [expected] * 2
    assert ("MessageQueued" in names(events)) is asked
