"""Contacts that time ends: a chat times out and a mail thread rests without anyone's next word."""

from typing import Any

import msgspec
import pytest

from actors.cells import remains, snapshots
from actors.rules.policy import ChannelRules, Policy
from actors.state import journey as journeys
from protocol.commands import Join, LinkIdentity, Reply, Resolve, Snooze, Split
from protocol.events import (
    AnyEvent,
    InteractionEnded,
    InteractionStarted,
    InteractionWentOn,
    MessageReceived,
)
from protocol.inbound import InteractionBegan, InteractionStopped, MessageArrived
from tests.actors.player import CONVERSATION, CUSTOMER, POLICY, Head, Player, names
from tests.actors.world import world

MINUTE_MS = 60_000
CHAT: Head = {"channel": "chat", "identities": ("web:1",)}
PHONE: Head = {"channel": "phone", "identities": ("tel:+447700900123",)}
TIMED = Policy(
    channels={
        "chat": ChannelRules(account="chat", rest_after_ms=15 * MINUTE_MS, end_in_time=True),
        "email": ChannelRules(account="mail", rest_after_ms=72 * 60 * MINUTE_MS, end_in_time=True),
        "phone": ChannelRules(account="phone"),
    },
    close_after_resolved_ms=5 * MINUTE_MS,
)


def test_a_chat_times_out() -> None:
    """At its time, without a next word; what comes then is another contact."""
    player = Player(TIMED)
    (started,) = [e for e in player.message(**CHAT) if isinstance(e, InteractionStarted)]
    assert started.rest_at_ms == player.now_ms + 15 * MINUTE_MS == journeys.next_due_ms(player.state)
    assert player.pass_time(15 * MINUTE_MS - 1) == []
    (ended,) = player.pass_time(1)
    assert isinstance(ended, InteractionEnded)
    assert (ended.interaction, ended.reason) == (1, "rest")
    assert journeys.next_due_ms(player.state) is None
    assert names(player.message(**CHAT)) == ["InteractionStarted", "MessageReceived"]


def test_a_chat_that_was_heard_meanwhile_goes_on() -> None:
    """Its time is moved once for all that was said, and counts from the last word, ours as well as theirs."""
    player = Player(TIMED)
    player.message(**CHAT)
    player.now_ms += 10 * MINUTE_MS
    player.message(**CHAT)
    player.now_ms += 2 * MINUTE_MS
    player.command(Reply(text="one moment"))
    (went_on,) = player.pass_time(3 * MINUTE_MS)
    assert isinstance(went_on, InteractionWentOn)
    assert went_on.rest_at_ms == player.now_ms + 12 * MINUTE_MS == journeys.next_due_ms(player.state)
    assert names(player.pass_time(12 * MINUTE_MS)) == ["InteractionEnded"]


def test_each_channel_has_its_time() -> None:
    """The mail rests later; a call that no time ends is over when it is hung up."""
    player = Player(TIMED)
    player.message(identities=("mailto:ann@example.org", "web:1", "tel:+447700900123"))
    player.message(**CHAT)
    player.give(player.input(InteractionBegan(session="c1"), **PHONE))
    for after_ms, interaction in ((15 * MINUTE_MS, 2), (72 * 60 * MINUTE_MS, 1)):
        (ended,) = player.pass_time(after_ms)
        assert isinstance(ended, InteractionEnded)
        assert ended.interaction == interaction
    stopped = player.input(InteractionStopped(session="c1", reason="hung up"), **PHONE)
    (ended,) = player.give(stopped)
    assert isinstance(ended, InteractionEnded)
    assert (ended.interaction, ended.reason) == (3, "hung up")


def test_no_time_ends_a_contact_unless_the_policy_says_so() -> None:
    """As it was: noted when the next one begins."""
    player = Player(POLICY)
    player.message(**CHAT)
    assert journeys.next_due_ms(player.state) is None
    assert player.pass_time(1_000_001) == []
    assert names(player.message(**CHAT))[0] == "InteractionEnded"


def test_a_conversation_that_closes_ends_its_contacts() -> None:
    """So that no timer is left of it."""
    player = Player(TIMED)
    player.message(**CHAT)
    player.command(Resolve())
    assert names(player.pass_time(5 * MINUTE_MS)) == ["InteractionEnded", "ConversationClosed"]
    assert journeys.next_due_ms(player.state) is None


def test_what_is_over_rests_no_more_though_nothing_says_that_its_contacts_ended() -> None:
    """An old snapshot knows the contact, and of what followed retention left the closing alone."""
    player = Player(TIMED)
    player.message(**CHAT)
    old = snapshots.thaw(snapshots.freeze(player.state))
    assert old is not None
    player.command(Resolve())
    *_, closed = player.pass_time(5 * MINUTE_MS)
    remains.skip_to(old, CONVERSATION, player.state.conversations[CONVERSATION].head, closed)
    journeys.evolve(old, CONVERSATION, closed, msgspec.msgpack.encode(closed))
    assert journeys.next_due_ms(old) is None


def test_a_contact_takes_its_time_along() -> None:
    """Split off and joined back, it ends when it would have ended."""
    player = Player(TIMED)
    player.message(identities=("mailto:ann@example.org", "web:1"))
    player.message(**CHAT)
    due_ms = journeys.next_due_ms(player.state)
    player.command(Split(interactions=[2]))
    assert player.state.conversations[f"{CUSTOMER}-2"].rest_at_ms == due_ms
    player.command(Join(other=f"{CUSTOMER}-2"))
    assert player.state.conversations[CONVERSATION].rest_at_ms == due_ms
    assert names(player.pass_time(15 * MINUTE_MS)) == ["InteractionEnded"]


async def test_a_contact_ends_though_its_cell_died() -> None:
    """The timer is a row: the next life of the cell finds it, and its row goes with it."""
    async with world(cells=1, policy=msgspec.structs.replace(TIMED, queues={})) as made:
        answer = await made.intake.submit(made.event(account="chat", identities=("web:1",)))
        await made.archived()
        assert len(await made.archive_store.rows("timer")) == 1
        made.kill_cell(0)
        cell = await made.start_cell(0)
        made.now_ms += 15 * MINUTE_MS
        cell.tick(made.now_ms)
        await made.until(lambda: made.journal.position >= answer.position + 1)
        await made.archived()
        events = await made.archive_store.events_of_stream(answer.stream, 0, 10)
        assert b"InteractionEnded" in events[-1].body
        assert await made.archive_store.rows("timer") == []


def test_another_channel_of_the_same_account_is_another_contact() -> None:
    """One program may serve an app's pages and its chat; back on the first one, that contact goes on."""
    player = Player()
    one = ("web:1",)
    player.message(channel="chat", account="app", identities=one)
    events = player.message(channel="whatsapp", account="app", identities=one)
    assert names(events) == ["InteractionStarted", "MessageReceived", "ChannelSwitched"]
    assert [i.channel for i in player.state.conversations[CONVERSATION].interactions] == ["chat", "whatsapp"]
    assert names(player.message(channel="chat", account="app", identities=one)) == [
        "MessageReceived",
        "ChannelSwitched",
    ]


def _call(player: Player, session: str = "c1") -> None:
    """Rings, and is hung up a minute later."""
    player.give(player.input(InteractionBegan(session=session), **PHONE))
    player.now_ms += MINUTE_MS
    player.give(player.input(InteractionStopped(session=session, reason="hung up"), **PHONE))


def _late(player: Player, late_ms: int, session: str = "c1") -> list[AnyEvent]:
    """What was said in the call, handed in now, `late_ms` after it was said."""
    given = player.input(MessageArrived(text="my roof leaks", session=session), **PHONE)
    event = msgspec.structs.replace(given.event, time_ms=player.now_ms - late_ms)
    return player.give(msgspec.structs.replace(given, event=event))


def test_what_was_said_in_a_call_and_comes_after_it_is_of_that_call() -> None:
    """A transcript is ready when the call is over: that is no second call, and moves nothing to another channel."""
    player = Player(TIMED)
    _call(player)
    player.command(LinkIdentity(identity="web:1"), conversation="")
    player.message(channel="chat", identities=("web:1",))
    player.now_ms += MINUTE_MS
    (late,) = _late(player, 2 * MINUTE_MS)
    assert isinstance(late, MessageReceived)
    assert late.interaction == 1
    assert len(player.state.conversations[CONVERSATION].interactions) == 2


def test_who_speaks_on_after_the_end_of_a_call_begins_another_contact() -> None:
    """Whatever the session: that was said later."""
    player = Player(TIMED)
    _call(player)
    player.now_ms += 2 * MINUTE_MS
    assert names(_late(player, MINUTE_MS)) == ["InteractionStarted", "MessageReceived"]
    assert names(_late(player, 5 * MINUTE_MS, "c9")) == ["InteractionStarted", "MessageReceived"]


def test_what_is_written_down_of_a_call_opens_nothing_again() -> None:
    """It was said before the conversation was done, or snoozed after the call; and is no newer than a chat since."""
    player = Player(TIMED)
    _call(player)
    (call,) = player.state.conversations[CONVERSATION].interactions
    ended_ms = call.last_at_ms
    for done in (Resolve(), Snooze(until_ms=player.now_ms + 100 * MINUTE_MS)):
        player.command(done)
        status = player.state.conversations[CONVERSATION].status
        player.now_ms += MINUTE_MS
        assert names(_late(player, 2 * MINUTE_MS)) == ["MessageReceived"]
        assert player.state.conversations[CONVERSATION].status is status
        player.give(player.input(InteractionBegan(session="c2"), **PHONE))
        player.give(player.input(InteractionStopped(session="c2", reason="hung up"), **PHONE))
    first = player.state.conversations[CONVERSATION].interactions[0]
    assert (first.session, first.last_at_ms) == ("c1", ended_ms)


def test_what_is_written_down_of_a_call_of_a_closed_conversation_is_known_there() -> None:
    """It opens no work for anybody, asks nothing, and makes nobody who is back about the same."""
    player = Player(TIMED)
    _call(player)
    player.command(Resolve())
    player.pass_time(5 * MINUTE_MS)
    closed = player.state.conversations[CONVERSATION]
    assert not closed.live
    head, contacts = closed.head, len(closed.interactions)
    (late,) = _late(player, 6 * MINUTE_MS)
    assert isinstance(late, MessageReceived)
    assert [stream for stream, _ in player.decision.events] == [CONVERSATION]
    assert (late.interaction, closed.head, len(closed.interactions)) == (1, head + 1, contacts)
    assert (closed.live, player.state.opened, journeys.next_due_ms(player.state)) == (False, 1, None)


@pytest.mark.parametrize(("said_ms", "first"), [(-MINUTE_MS, "MessageReceived"), (1, "ConversationOpened")])
def test_what_is_written_down_of_a_call_that_nobody_hung_up_is_of_it_when_all_is_over(said_ms: int, first: str) -> None:
    """No time ends such a call: its conversation's end does. What was said after that was done is news."""
    player = Player(TIMED)
    player.give(player.input(InteractionBegan(session="c1"), **PHONE))
    (call,) = player.state.conversations[CONVERSATION].interactions
    began_ms = player.now_ms
    player.now_ms += 2 * MINUTE_MS
    player.command(Resolve())
    resolved_ms = player.now_ms
    assert names(player.pass_time(60 * MINUTE_MS)) == ["ConversationClosed"]
    late = _late(player, player.now_ms - resolved_ms - said_ms)
    assert names(late)[0] == first
    assert (call.last_at_ms, call.ended_at_ms) == (began_ms, 0)


def test_a_word_after_the_end_of_a_call_of_a_closed_conversation_begins_a_new_one() -> None:
    """Whatever the session: that was said later, and somebody has to look at it. So it is where retention has left
    nothing of the contact."""
    player = Player(TIMED)
    _call(player)
    player.command(Resolve())
    player.pass_time(5 * MINUTE_MS)
    assert names(_late(player, MINUTE_MS))[0] == "ConversationOpened"
    player = Player(TIMED)
    _call(player)
    player.command(Resolve())
    player.pass_time(5 * MINUTE_MS)
    remains.forget(player.state, {CONVERSATION})
    assert names(_late(player, 6 * MINUTE_MS))[0] == "ConversationOpened"


@pytest.mark.parametrize(
    ("contact", "closing"),
    [(CHAT, ["InteractionEnded", "ConversationClosed"]), (PHONE, ["ConversationClosed"])],
    ids=["which time ends", "which no time ends"],
)
def test_a_word_on_its_way_as_its_conversation_closes_is_not_lost_there(
    contact: dict[str, Any], closing: list[str]
) -> None:
    """The closing ended the contact, and nobody had said that it was over: where conversations wait a while to close
    the word would have opened it again. What comes long after it was said was written down."""
    for late_ms, first in ((MINUTE_MS, "ConversationOpened"), (60 * MINUTE_MS, "MessageReceived")):
        player = Player(msgspec.structs.replace(TIMED, close_after_resolved_ms=0))
        player.message(**contact, session="s1")
        said_ms = player.now_ms
        player.now_ms += 1
        player.command(Resolve())
        assert names(player.pass_time(0)) == closing
        player.now_ms = said_ms + late_ms
        given = player.input(MessageArrived(text="one more thing", session="s1"), **contact)
        event = msgspec.structs.replace(given.event, time_ms=said_ms)
        assert names(player.give(msgspec.structs.replace(given, event=event)))[0] == first


@pytest.mark.parametrize(("after_ms", "automatic", "first"), [
    (0, "", "MessageReceived"),
    (1, "", "ConversationOpened"),
    (1, "auto_reply", "AutomaticReplyReceived"),
])  # fmt: skip
def test_what_was_said_in_a_call_after_its_conversation_was_done_is_news_there_too(
    after_ms: int, automatic: str, first: str
) -> None:
    """As it would have opened one that is resolved: the customer may have said that it is not done."""
    player = Player(TIMED)
    player.give(player.input(InteractionBegan(session="c1"), **PHONE))
    player.command(Resolve())
    resolved_ms = player.now_ms
    player.now_ms += MINUTE_MS
    player.give(player.input(InteractionStopped(session="c1", reason="hung up"), **PHONE))
    player.pass_time(60 * MINUTE_MS)
    data = MessageArrived(text="it is not", session="c1", automatic=automatic)
    given = player.input(data, **PHONE)
    event = msgspec.structs.replace(given.event, time_ms=resolved_ms + after_ms)
    assert names(player.give(msgspec.structs.replace(given, event=event)))[0] == first
