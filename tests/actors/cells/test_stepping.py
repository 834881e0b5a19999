"""Stepping: what a step hands to those who list conversations, and whose word ends a watch."""

from collections.abc import Iterable

import pytest

from actors.cells import stepping
from actors.cells.live import Envelope, Live
from actors.decisions.deciding import TimerDue
from actors.identity.disputes import Disputes
from actors.identity.members import Family, GivenAway, Member
from actors.rules.correlation import CorrelationRules, Window
from actors.rules.policy import Policy
from actors.state.closing import CLOSED_MAX
from actors.way_out.watching import Watchers
from protocol.commands import Resolve
from protocol.entities import Status
from protocol.inbound import PastConversation, PastMessage
from protocol.links import UnwatchConversation
from tests.actors.player import CONVERSATION, CUSTOMER, Player
from tests.actors.way_out.test_watching import Line

CLOSE_AFTER_MS = 50_000
APART_MS = 1_000
EACH_ANEW = Policy(
    correlation=CorrelationRules(windows=(Window(within_ms=APART_MS - 1),), unlisted="new"),
    close_after_resolved_ms=CLOSE_AFTER_MS,
)
CONVERSATIONS = [f"{CUSTOMER}-{number}" for number in range(1, CLOSED_MAX + 4)]
"""More than the closed ones that stay in memory, by three."""


def resolved(player: Player, apart_ms: int) -> Live:
    """A customer in a cell whose conversations are all said to be done, in their order, `apart_ms` apart."""
    for conversation in CONVERSATIONS:
        player.message("hello")
        player.now_ms += APART_MS
        assert player.state.conversation(conversation) is not None
    for conversation in CONVERSATIONS:
        player.command(Resolve(), conversation=conversation)
        player.now_ms += apart_ms
    live = Live(CUSTOMER, "shard:0")
    live.journey = player.state
    return live


def turn(live: Live, player: Player) -> None:
    """Time itself steps the journey; nothing is committed yet."""
    stepping.step(live, Envelope(None, TimerDue(CUSTOMER)), Watchers(), player.policy, player.now_ms)


def told_of(live: Live) -> list[str]:
    """Whose leaving list watchers hear of after the commit, since they stood in lists before: each as it is by then."""
    assert live.journey is not None
    assert live.open is not None
    assert live.listed is not None
    to_tell = [*live.open.gone, *live.journey.kept]
    return [each.id for each in to_tell if each.id in live.listed and each.status is Status.CLOSED]


def in_order(ids: Iterable[str]) -> list[str]:
    """Each as often as it is there."""
    return sorted(ids, key=CONVERSATIONS.index)


@pytest.mark.parametrize("apart_ms", [0, 1])
def test_watchers_hear_of_all_that_close_before_a_commit(apart_ms: int) -> None:
    """Together in one turn of time, or one in each: those that made room in memory are told of, too, and once."""
    player = Player(EACH_ANEW)
    live = resolved(player, apart_ms)
    player.now_ms += CLOSE_AFTER_MS - len(CONVERSATIONS) * apart_ms
    for _ in CONVERSATIONS:
        turn(live, player)
        player.now_ms += apart_ms
    assert live.journey is not None
    assert [each.id for each in live.journey.kept] == CONVERSATIONS[-CLOSED_MAX:]
    assert in_order(told_of(live)) == CONVERSATIONS


def test_what_is_imported_is_numbered_to_its_end() -> None:
    """Also where it is older than all that is over and kept: it has left memory as its last fact is written down."""
    player = Player(EACH_ANEW)
    resolved(player, 0)
    player.pass_time(CLOSE_AFTER_MS)
    live = Live(CUSTOMER, "shard:0")
    live.journey = player.state
    said = PastConversation(messages=[PastMessage(at_ms=1, text="long ago")])
    stepping.step(live, Envelope(None, player.input(said)), Watchers(), player.policy, player.now_ms)
    assert live.open is not None
    imported = f"{CUSTOMER}-{len(CONVERSATIONS) + 1}"
    assert [entry.seq for entry in live.open.entries if entry.stream == imported] == [1, 2, 3, 4, 5]
    assert player.state.conversation(imported) is None


MEMBERS = "anns-1"
"""A conversation of a customer that is, was, or will be a member."""
MEMBER = Member(via=CUSTOMER, turn=1, given_at=1, at_ms=1, seq=1, opened=1)


@pytest.mark.parametrize(
    ("conversation", "disputes", "ends"),
    [
        (CONVERSATION, None, True),
        (CONVERSATION, Disputes(given=GivenAway("bob", "", ""), turn=1), False),
        (MEMBERS, Disputes(family=Family(left={"anns": ("anns", 2)})), False),
        (MEMBERS, Disputes(family=Family(members={"anns": MEMBER}, left={"anns": ("anns", 2)})), True),
    ],
)
def test_a_late_word_ends_no_watch_of_what_has_changed_hands(
    conversation: str, disputes: Disputes | None, ends: bool
) -> None:
    """It waited in the customer's mailbox, and was said before the watch, which went by way of whose it is since."""
    player = Player()
    player.message("hello")
    live = Live(CUSTOMER, "shard:0")
    live.journey = player.state
    live.journey.disputes = disputes
    watchers, line = Watchers(), Line()
    watchers.watch(conversation, line)
    late = Envelope(line, UnwatchConversation(conversation, CUSTOMER))
    stepping.step(live, late, watchers, player.policy, player.now_ms)
    assert watchers.counts()["watched_conversations"] == (0 if ends else 1)
