"""Importing a contact of the past: its facts at their times, once, closed, and in its place among what is over."""

from typing import Unpack

import msgspec

from actors.rules.taxonomy import Label, Tagger, Taxonomy
from protocol import events as ev
from protocol.commands import Resolve
from protocol.entities import Direction, Relation, RelationKind
from protocol.inbound import PastConversation, PastMessage
from tests.actors.player import CONVERSATION, CUSTOMER, POLICY, Head, Player, names

PAST = PastConversation(
    messages=[
        PastMessage(at_ms=900, text="Which?", direction=Direction.OUTBOUND, author="bo"),
        PastMessage(at_ms=500, text="My bill is wrong"),
    ],
    subject="Bill",
    queue="bills",
    ended_ms=1000,
)


def imported(player: Player, past: PastConversation = PAST, **changes: Unpack[Head]) -> list[ev.AnyEvent]:
    """An operator imports it."""
    return player.give(player.input(past, **changes))


def test_it_leaves_the_facts_it_would_have_left() -> None:
    """In the order of their times; what was sent then is not to be sent; the fact of now comes first."""
    player = Player()
    events = imported(player)
    assert names(events)[:8] == [
        "PastImported",
        "ConversationOpened",
        "InteractionStarted",
        "MessageReceived",
        "MessageQueued",
        "DeliverySent",
        "InteractionEnded",
        "ConversationClosed",
    ]
    assert [event.at_ms for event in events[:8]] == [player.now_ms, 500, 500, 500, 900, 900, 1000, 1000]
    own, opened = events[0], events[1]
    assert isinstance(own, ev.PastImported)
    assert isinstance(opened, ev.ConversationOpened)
    assert (own.once is not None, own.conversation, opened.queue, opened.subject) == (
        True,
        CONVERSATION,
        "bills",
        "Bill",
    )
    queued, sent = events[4], events[5]
    assert isinstance(queued, ev.MessageQueued)
    assert isinstance(sent, ev.DeliverySent)
    assert queued.delivery == sent.delivery == f"{CONVERSATION}.4"
    assert player.decision.events[0][0] == CUSTOMER
    assert not player.state.conversations[CONVERSATION].deliveries


def test_it_comes_in_once() -> None:
    """A repeat gets the first one's place."""
    player = Player()
    imported(player, id="old-1")
    assert imported(player, id="old-1") == []
    assert (player.decision.status, player.decision.repeats) == ("repeat", (CUSTOMER, 1))


def test_what_is_open_goes_on_and_nobody_is_woken() -> None:
    """The open conversation is as it was, and time has nothing to do for the old one."""
    player = Player()
    player.message()
    imported(player)
    assert player.state.conversations[CONVERSATION].live
    assert not player.state.conversations[f"{CUSTOMER}-2"].live
    assert player.pass_time(10**9) == []
    player.message("more")
    assert player.decision.events[0][0] == CONVERSATION


def test_what_closed_later_stays_the_newest() -> None:
    """The next contact follows what was last, and not what was imported last."""
    player = Player()
    player.message()
    player.command(Resolve())
    player.pass_time(10**9)
    imported(player)
    imported(player, PastConversation(ended_ms=700, messages=[PastMessage(at_ms=600, text="x")]))
    assert player.state.past == (f"{CUSTOMER}-3", f"{CUSTOMER}-2", CONVERSATION)
    player.message("again")
    opened = player.decision.events[0][1]
    assert isinstance(opened, ev.ConversationOpened)
    assert opened.relation is not None
    assert opened.relation.conversation == CONVERSATION


def test_a_contact_without_words_has_its_time() -> None:
    """A call, say."""
    player = Player()
    events = imported(player, PastConversation())
    assert [event.at_ms for event in events[1:5]] == [player.now_ms - 5] * 4


def test_what_it_was_about_is_known() -> None:
    """By the customer's words and the subject, at their times: the next contact about the same claim continues it."""
    bills = Label(taggers=(Tagger(subject=("bill",)),))
    cars = Label(taggers=(Tagger(words=("car",)),))
    taxonomy = Taxonomy(topics={"bill": bills}, product_lines={"motor": cars}, keys={"claim": ("C-######",)})
    player = Player(msgspec.structs.replace(POLICY, taxonomy=taxonomy))
    said = [
        PastMessage(at_ms=500, text="it is wrong"),
        PastMessage(at_ms=600, text="the car of C-111111?", direction=Direction.OUTBOUND, author="bo"),
        PastMessage(at_ms=700, text="no, the car of C-222222"),
    ]
    events = imported(player, PastConversation(messages=said, subject="Bill"))
    first, second = (event for event in events if isinstance(event, ev.InteractionTagged))
    assert (first.at_ms, first.topic and first.topic.value, first.product_line) == (500, "bill", None)
    assert (second.at_ms, second.topic, second.keys) == (700, None, ["claim:C222222"])
    sent = next(event for event in events if isinstance(event, ev.DeliverySent))
    assert sent.delivery == f"{CONVERSATION}.5"
    imported(player, PastConversation(subject="Your bill"), id="call")
    player.message("C-222222 again")
    opened = player.decision.events[0][1]
    assert isinstance(opened, ev.ConversationOpened)
    assert opened.relation == Relation(
        kind=RelationKind.CONTINUES, conversation=CONVERSATION, reason="both name claim C222222"
    )
