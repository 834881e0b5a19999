"""The versions that a cell knows, and how an application becomes one."""

from typing import Literal

import msgspec
import pytest

from actors.own_streams import applying
from actors.rules.capture import CaptureRules, Field, Template
from actors.rules.context import ContextRules
from actors.rules.policies import Policies, packed
from actors.rules.policy import AccountRules, ChannelRules, Policy
from protocol.commands import ApplyPolicy, Reply, SetContext
from protocol.errors import Code, Refusal
from protocol.events import DeliveryUncertain, MessageQueued, PolicyApplied
from protocol.ids import POLICY
from protocol.journal import POLICIES_KEPT, Unit
from protocol.links import Answered, Ask
from tests.actors.player import POLICY as PLAIN
from tests.actors.player import Player
from tests.actors.world import world

PINNED = Policy(live_conversations="pinned")


def told(version: int, policy: Policy = PINNED) -> tuple[int, bytes]:
    """A version as the journal tells it; its queue says which it is."""
    return version, packed(msgspec.structs.replace(policy, queue_default=f"q{version}"))


def unit_of(version: int, body: bytes) -> Unit:
    """The unit that brought a version."""
    applied = PolicyApplied(at_ms=1, actor="agent:ann", version=version, body=body, files={})
    return Unit("shard:1", 1, 1, POLICY, 1, [], 1, msgspec.msgpack.encode([(POLICY, version, applied)]))


def test_rules_that_no_cell_could_read_are_not_applied() -> None:
    """Each cell, and each life after it, would end by them."""
    with pytest.raises(msgspec.ValidationError, match="queue_default"):
        packed(Policy(queue_default=""))


def test_the_newest_decides() -> None:
    """Whatever is told again or late; and only a newer one is a switch."""
    known = Policies(Policy())
    assert not known.learn([])
    assert known.learn([told(3), told(4)])
    assert not known.learn([told(4), told(2)])
    assert (known.newest.version, known.newest.queue_default) == (4, "q4")


def test_pinned_conversations_find_their_version() -> None:
    """The settings' own among them, for as long as the newest says so."""
    known = Policies(Policy(queue_default="q1"))
    known.learn([told(2), told(3)])
    assert [known.newest.at(version).queue_default for version in (1, 2, 3)] == ["q1", "q2", "q3"]
    known.learn([told(4, Policy())])
    assert [known.newest.at(version).queue_default for version in (1, 2, 3)] == ["q4", "q4", "q4"]


def test_which_channels_accounts_were_lines_of_before() -> None:
    """By the versions that are known, the settings' own among them; pinned conversations know it, too."""
    known = Policies(Policy(channel_of={"mail": "email", "line": "chat"}))
    for version, lines in enumerate(
        ({"line": "sms", "page": "x"}, {"page": "x"}, {"line": "whatsapp", "page": "x"}), 2
    ):
        rules = {name: AccountRules(channel=channel) for name, channel in lines.items()}
        known.learn([told(version, msgspec.structs.replace(PINNED, accounts=rules))])
    assert known.newest.former == {"line": frozenset({"chat", "sms"})}
    assert known.newest.at(2).former == known.newest.former
    assert [known.newest.moved("line", channel) for channel in ("chat", "sms", "whatsapp")] == [True, True, False]
    known.learn([told(5)])
    assert known.newest.former == {"line": frozenset({"sms", "whatsapp"}), "page": frozenset({"x"})}
    assert not known.newest.moved("page", "x")  # There is none: that is what is said of it.


def test_what_an_account_of_the_settings_was_is_known_under_every_version() -> None:
    """Also where a bundle has one of that name: of what it was before, what it is by now is left out."""
    was = {"mail": frozenset({"email"}), "line": frozenset({"chat", "web"})}
    known = Policies(Policy(channel_of={"mail": "post", "line": "sms"}, former=was))
    assert known.newest.former == was
    known.learn([told(2)])
    assert known.newest.former == was
    known.learn([told(3, Policy(accounts={"line": AccountRules(channel="chat")}))])
    assert known.newest.former == {"mail": frozenset({"email"}), "line": frozenset({"sms", "web"})}


def test_an_account_that_the_settings_gave_up_may_come_back_in_a_bundle() -> None:
    """As a line of another channel, by which nothing leaves that waits for what it was two starts ago."""
    known = Policies(Policy(channel_of={"mail": "email"}, former={"line": frozenset({"sms"})}))
    known.learn([told(2, Policy(accounts={"line": AccountRules(channel="whatsapp")}))])
    assert known.newest.moved("line", "sms")


def test_the_newest_version_s_rules_are_the_newest_policy_itself() -> None:
    """So that nothing is read twice for a conversation that was begun under it, which most were."""
    known = Policies(Policy())
    known.learn([told(2), told(3)])
    assert known.newest.at(3) is known.newest
    assert known.newest.at(2) is not known.newest


def test_a_channel_that_came_later_is_by_the_version_that_has_it() -> None:
    """Also what happens there in a conversation that is pinned to an earlier one, and it names that version: its
    template, what it may carry, what becomes of an attempt. All else stays with the earlier one."""
    asks = Field(name="ring", when_missing="ask_customer", question="Which ring?")
    second = msgspec.structs.replace(
        PLAIN,
        version=2,
        live_conversations="pinned",
        channels=PLAIN.channels | {"pigeon": ChannelRules(account="loft", uncertain="retry")},
        capture=CaptureRules(templates=(Template(channel="pigeon", fields=(asks,)), Template(channel="email"))),
        context=ContextRules(carries={"pigeon": ("normal",), "email": ("normal",)}),
    )
    player = Player(PLAIN)
    player.message("hello")
    player.command(SetContext(key="iban", value="DE89", sensitivity="secret"))
    player.policy = msgspec.structs.replace(second, earlier={1: PLAIN, 2: second})
    first, *_, asked, _ = player.message("coo", channel="pigeon", account="loft")
    assert isinstance(asked, MessageQueued)
    assert (first.policy, asked.text) == (2, "Which ring?")
    [unsure] = player.outcome(asked.delivery, 1, "uncertain")
    assert isinstance(unsure, DeliveryUncertain)
    assert unsure.retry_at_ms
    assert player.decision.version == 2
    with pytest.raises(Refusal, match="pigeon may not carry"):
        player.command(Reply(text="DE89", channel="pigeon"))
    written = player.message("again", channel="email")
    assert {event.policy for event in written} <= {0, 1}
    assert player.command(Reply(text="DE89", channel="email"))[0].policy == 1


def test_the_versions_kept_are_bounded() -> None:
    """A conversation that names an older one follows the newest."""
    known = Policies(Policy(queue_default="q1"))
    for version in range(2, POLICIES_KEPT + 4):
        known.learn([told(version)])
    newest = known.newest
    assert len(newest.earlier) == POLICIES_KEPT + 1
    assert [newest.at(version).version for version in (1, 2, 3, 4, 5)] == [1, newest.version, newest.version, 4, 5]


def test_all_rules_survive_packing() -> None:
    """But for the place among the versions."""
    known = Policies(Policy())
    known.learn([told(2), told(3)])
    again = Policies(Policy())
    again.learn([(7, packed(known.newest))])
    assert again.newest.version == 7
    assert packed(again.newest) == packed(known.newest)


ACCOUNTS = {"mail": "email"}
"""The settings'."""


def with_line(version: int, account: str, live: Literal["follow", "pinned"] = "follow") -> tuple[int, bytes]:
    """A version with an account of its own."""
    return version, packed(Policy(accounts={account: AccountRules(channel="chat")}, live_conversations=live))


def test_every_version_knows_the_accounts_that_there_are() -> None:
    """Those of the settings and of the newest version; also a version that had others, and conversations stay with."""
    known = Policies(Policy(channel_of=ACCOUNTS, provider_max={"sms": 1600}))
    assert known.newest.channel_of == ACCOUNTS
    known.learn([with_line(2, "one"), with_line(3, "two", live="pinned")])
    for version in (1, 2, 3):
        assert known.newest.at(version).channel_of == {"mail": "email", "two": "chat"}
        assert known.newest.at(version).text_max("sms", "sms") == 1600
    known.learn([told(4, Policy())])
    assert known.newest.channel_of == ACCOUNTS


def test_which_accounts_there_are_is_no_part_of_a_version() -> None:
    """It outlives starts under other settings; and its bytes are as they were before anyone said."""
    plain = Policy(queue_default="q1")
    placed = msgspec.structs.replace(plain, channel_of=ACCOUNTS, former={"a": frozenset({"b"})}, provider_max={"a": 1})
    assert packed(placed) == packed(plain)
    assert {"channel_of", "former", "provider_max"}.isdisjoint(msgspec.msgpack.decode(packed(plain)))


def ask(customer: str = POLICY, *, base: int = 0) -> Ask:
    """An application."""
    command = ApplyPolicy(files={"general.yaml": ""}, body=b"rules", note="why", base=base)
    return Ask(1, customer, "", "operator:olga", "a1", command, 7, 8)


@pytest.mark.parametrize(("head", "base"), [(0, 0), (0, 1), (4, 5)])
def test_an_application_is_the_next_version(head: int, base: int) -> None:
    """The stream's seq says which."""
    [event] = applying.decide(POLICY, head, ask(base=base), 5)
    assert event == PolicyApplied(
        at_ms=5, actor="operator:olga", version=head + 2, files={"general.yaml": ""}, body=b"rules", note="why"
    )
    assert applying.version_at(head + 1) == head + 2
    assert applying.seq_of(head + 2) == head + 1


@pytest.mark.parametrize(
    ("customer", "base", "code"),
    [(POLICY, 4, Code.NOT_ALLOWED_NOW), ("cu1", 0, Code.INVALID)],
    ids=["base", "customer"],
)
def test_an_application_that_may_not_be(customer: str, base: int, code: Code) -> None:
    """Made on another version than the newest, or addressed to a customer."""
    with pytest.raises(Refusal) as refused:
        applying.decide(customer, 4, ask(customer, base=base), 5)
    assert refused.value.code == code


async def test_a_unit_is_of_one_version() -> None:
    """What comes at the switch, while a step is open, waits for its commit and is decided under the new version; its
    order is kept, and each answer comes once."""
    async with world(cells=1) as made:
        await made.intake.submit(made.event("first"))
        answers: list[object] = []
        cell = made.cell_actors[0]
        assert cell is not None
        for number in range(6):
            made.intake.take(made.event(f"word {number}"), answers.append)
            if number == 2:
                await made.until(lambda: int(cell.status()["inputs"]) >= 4)
                made.journal._notices.committed(0, unit_of(*told(2, Policy())))
                await made.until(lambda: cell.status()["policy"] == 2)
        await made.until(lambda: len(answers) == 6)
        seqs = [answer.seq for answer in answers if isinstance(answer, Answered)]
        assert (len(seqs), sorted(seqs)) == (6, seqs)
        await made.archived()
        for record in made.disk.image.records:
            named = {event["policy"] for _, _, event in msgspec.msgpack.decode(record.body) if "policy" in event}
            assert len(named) == 1, named
        assert named == {2}


@pytest.mark.parametrize(
    ("base", "said"),
    [
        (4, "version 5 was applied meanwhile, and this was made on"),
        (9, "the newest version is 5, and this was made on"),
    ],
)
def test_an_application_on_another_version_is_told_which_there_is(base: int, said: str) -> None:
    """Also one that a restored server has no more: nothing was applied meanwhile then."""
    with pytest.raises(Refusal, match=f"^{said} version {base}: look at it first"):
        applying.decide(POLICY, 4, ask(base=base), 5)
