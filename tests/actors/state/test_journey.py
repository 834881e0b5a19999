"""The journey: identity, correlation, once-keys, and the life of a conversation, decided without any shell."""

import msgspec
import pytest

from actors.cells import snapshots
from actors.state import journey as journeys
from protocol.commands import AddNote, LinkIdentity, MarkReplayed, Reopen, Reply, Resolve, Snooze
from protocol.entities import RelationKind, Status
from protocol.errors import Code, Refusal
from protocol.events import (
    AutomaticReplyReceived,
    ConversationOpened,
    IdentityConflictFound,
    IdentityLinked,
    InputQuarantined,
)
from protocol.inbound import ActivityArrived, Attachment, DeliveryReport, InteractionBegan, InteractionStopped
from protocol.links import Quarantine
from tests.actors.player import CONVERSATION, CUSTOMER, Head, Player, names


def test_first_contact_opens_a_conversation_and_assigns_the_identity() -> None:
    """One event of a stranger yields the conversation, the contact, the words and whose they are."""
    player = Player()
    events = player.message("my bill", subject="Bill")
    assert names(events) == ["ConversationOpened", "InteractionStarted", "MessageReceived", "IdentityLinked"]
    assert player.decision.identities == ["mailto:ann@example.org"]
    conversation = player.state.conversations[CONVERSATION]
    assert (conversation.head, conversation.subject, conversation.queue) == (3, "Bill", "default")
    assert player.state.head == 1


def test_another_channel_of_the_same_customer_joins_the_open_conversation() -> None:
    """A switch of channel begins an interaction, not a conversation."""
    player = Player()
    player.message(identities=("mailto:ann@example.org", "tel:+447700900123"))
    events = player.message(channel="sms", identities=("tel:+447700900123",))
    assert names(events) == ["InteractionStarted", "MessageReceived", "ChannelSwitched"]
    assert len(player.state.conversations) == 1
    assert [i.channel for i in player.state.conversations[CONVERSATION].interactions] == ["email", "sms"]


def test_conversations_are_read_by_id_and_not_changed_so() -> None:
    """What is put into the mapping would be nowhere."""
    player = Player()
    player.message()
    [conversation] = player.state.kept
    assert player.state.conversations == {CONVERSATION: conversation}
    assert player.state.conversation(CONVERSATION) is conversation
    assert player.state.conversation(f"{CUSTOMER}-2") is None
    with pytest.raises(TypeError):
        player.state.conversations[f"{CUSTOMER}-2"] = conversation  # type: ignore[index]  # which is what is refused


def test_the_queue_of_the_first_account_is_the_conversations() -> None:
    """Policy names the queue by account."""
    player = Player()
    opened = player.message(channel="sms", identities=("tel:+447700900123",))[0]
    assert isinstance(opened, ConversationOpened)
    assert opened.queue == "mobile"


def test_a_repeat_has_no_second_effect_and_repeats_its_place() -> None:
    """The same (account, source, id) with the same payload is answered with what it did."""
    player = Player()
    player.message(id="m1")
    assert player.message(id="m1") == []
    assert player.decision.status == "repeat"
    assert player.decision.repeats == (CONVERSATION, 1)


def test_the_same_id_with_another_payload_goes_to_quarantine_once() -> None:
    """A digest conflict is kept whole, and its own repeats are recognised."""
    player = Player()
    player.message("first", id="m1", digest=1)
    events = player.message("second", id="m1", digest=2)
    assert names(events) == ["InputQuarantined"]
    assert isinstance(events[0], InputQuarantined)
    assert events[0].code == Code.DIGEST_CONFLICT
    assert b"second" in events[0].raw
    assert player.decision.status == "quarantined"
    assert player.message("second", id="m1", digest=2) == []
    assert player.decision.status == "quarantined"


def test_once_keys_are_forgotten_after_their_time() -> None:
    """Retention bounds the keys; within it none is forgotten."""
    player = Player()
    player.message(id="m1")
    journeys.forget_old_keys(player.state, player.policy, player.now_ms + player.policy.once_keys_ms)
    assert len(player.state.once) == 1
    journeys.forget_old_keys(player.state, player.policy, player.now_ms + player.policy.once_keys_ms + 1000)
    assert len(player.state.once) == 0


def test_conflicting_identities_are_noted_and_nothing_is_merged() -> None:
    """A trusted event that names another customer's identity says so to a person."""
    player = Player()
    events = player.message(conflicts=(("tel:+447700900123", "cuother"),))
    assert isinstance(events[-1], IdentityConflictFound)
    assert "tel:+447700900123" not in player.state.identities


def test_the_channel_vouches_for_its_own_address_alone() -> None:
    """What it was told beside it is linked, and not verified, also where the own one is known already."""
    player = Player()
    player.message(identities=("mailto:ann@example.org",))
    events = player.message(identities=("mailto:ann@example.org", "tel:+447700900123"))
    linked = events[-1]
    assert isinstance(linked, IdentityLinked)
    assert (linked.identity, linked.verified, linked.evidence) == ("tel:+447700900123", False, "asserted_by_channel")


def test_an_agent_links_an_identity() -> None:
    """A link is a fact of the customer's own stream; doing it twice is refused."""
    player = Player()
    player.message()
    events = player.command(LinkIdentity(identity="tel:+44 7700 900123"), conversation="")
    assert isinstance(events[0], IdentityLinked)
    assert events[0].evidence == "agent"
    assert player.decision.identities == ["tel:+447700900123"]
    with pytest.raises(Refusal, match="already"):
        player.command(LinkIdentity(identity="tel:+447700900123"), conversation="")


def test_the_customers_word_wakes_and_reopens() -> None:
    """Snoozed and resolved conversations come back when the customer speaks."""
    player = Player()
    player.message()
    player.command(Snooze(until_ms=player.now_ms + 1000))
    assert names(player.message()) == ["ConversationWoken", "MessageReceived"]
    player.command(Resolve())
    assert names(player.message()) == ["ConversationReopened", "MessageReceived"]
    assert player.state.conversations[CONVERSATION].status is Status.OPEN


def test_a_machines_answer_does_not_reopen() -> None:
    """An out-of-office reply is shown and changes nothing else."""
    player = Player()
    player.message()
    player.command(Resolve())
    assert names(player.message(automatic="auto_reply")) == ["AutomaticReplyReceived"]
    assert player.state.conversations[CONVERSATION].status is Status.RESOLVED


def test_a_machines_answer_keeps_its_files() -> None:
    """A scanner and a booking system write so too."""
    files = [Attachment(name="scan.pdf", sha256="0" * 64)]
    player = Player()
    player.message()
    [answer] = player.message(automatic="auto_reply", attachments=files)
    assert isinstance(answer, AutomaticReplyReceived)
    assert answer.attachments == files


def test_a_resolved_conversation_closes_in_time_and_the_next_contact_follows_it_up() -> None:
    """Closing is the timer's; what comes next is a new conversation with a typed relation."""
    player = Player()
    player.message()
    player.command(Resolve())
    assert journeys.next_due_ms(player.state) == player.now_ms + 50_000
    assert player.pass_time(49_999) == []
    assert names(player.pass_time(1)) == ["ConversationClosed"]
    opened = player.message()[0]
    assert isinstance(opened, ConversationOpened)
    assert opened.relation is not None
    assert (opened.relation.kind, opened.relation.conversation) == (RelationKind.FOLLOWS_UP, CONVERSATION)
    assert f"{CUSTOMER}-2" in player.state.conversations


def test_a_conversation_does_not_close_on_a_message_that_still_has_to_leave() -> None:
    """It closes when that is settled."""
    player = Player()
    player.message()
    player.command(Reply(text="bye"))
    player.command(Resolve())
    assert player.pass_time(50_000) == []
    assert journeys.next_due_ms(player.state) is None, "a closing that waits for a message sets no alarm"
    player.outcome(f"{CONVERSATION}.4", 1, "sent")
    assert journeys.next_due_ms(player.state) == player.now_ms
    assert names(player.pass_time(0)) == ["ConversationClosed"]


def test_a_snooze_of_a_resolved_conversation_takes_its_closing_back() -> None:
    """It wakes when it should, and is open then."""
    player = Player()
    player.message()
    player.command(Resolve())
    player.command(Snooze(until_ms=player.now_ms + 90_000))
    assert journeys.next_due_ms(player.state) == player.now_ms + 90_000
    assert names(player.pass_time(90_000)) == ["ConversationWoken"]


def test_an_answer_to_a_closed_conversations_mail_continues_it() -> None:
    """Our own Message-IDs name the conversation for as long as mails are kept."""
    player = Player()
    player.message()
    player.command(Resolve())
    player.pass_time(50_000)
    opened = player.message(in_reply_to=[f"{CONVERSATION}.4@example.org"])[0]
    assert isinstance(opened, ConversationOpened)
    assert opened.relation is not None
    assert opened.relation.kind is RelationKind.CONTINUES


def test_a_thread_reference_beats_the_newer_conversation() -> None:
    """A mail that answers an older issue goes there, though another is newer."""
    player = Player()
    player.message(reference="one@x")
    player.command(Resolve())
    player.pass_time(50_000)
    player.message(reference="two@x")
    second = f"{CUSTOMER}-2"
    player.message(in_reply_to=["two@x"])
    assert player.state.conversations[second].head == 4


def test_reopening_by_an_agent_and_illegal_moves() -> None:
    """Illegal commands change nothing and say why."""
    player = Player()
    player.message()
    with pytest.raises(Refusal, match="not resolved"):
        player.command(Reopen())
    player.command(Resolve())
    assert names(player.command(Reopen())) == ["ConversationReopened"]
    with pytest.raises(Refusal, match="future"):
        player.command(Snooze(until_ms=1))
    with pytest.raises(Refusal, match="no live conversation"):
        player.command(AddNote(text="x"), conversation=f"{CUSTOMER}-9")


def test_a_snooze_ends_by_itself() -> None:
    """Its timer wakes it."""
    player = Player()
    player.message()
    player.command(Snooze(until_ms=player.now_ms + 1000))
    assert names(player.pass_time(1000)) == ["ConversationWoken"]
    assert journeys.next_due_ms(player.state) is None


def test_a_repeated_command_repeats_its_result() -> None:
    """Commands carry ids under the same rule as events."""
    player = Player()
    player.message()
    player.command(AddNote(text="note"), id="k")
    assert player.command(AddNote(text="note"), id="k") == []
    assert player.decision.status == "repeat"
    assert player.decision.repeats is not None
    assert player.decision.repeats[1] == 4


def test_activity_without_an_open_conversation_stays_with_the_person() -> None:
    """A page view opens no work; within a conversation it is part of it."""
    player = Player()
    seen = player.input(ActivityArrived(name="bill.viewed"), channel="web", identities=("web:1",))
    assert names(player.give(seen)) == ["ActivitySeen", "IdentityLinked"]
    assert player.state.conversations == {}
    player.message(identities=("mailto:ann@example.org", "web:1"))
    seen = player.input(ActivityArrived(name="bill.viewed"), channel="web", identities=("web:1",))
    assert names(player.give(seen)) == ["InteractionStarted", "ActivitySeen"]


def test_sessions_begin_and_end_interactions() -> None:
    """A call rings, is hung up, and cannot be hung up twice."""
    player = Player()
    began = InteractionBegan(session="call-1", subject="Bill")
    ring: Head = {"channel": "phone", "identities": ("tel:+447700900123",)}
    assert names(player.give(player.input(began, **ring)))[:2] == ["ConversationOpened", "InteractionStarted"]
    with pytest.raises(Refusal, match="goes on already"):
        player.give(player.input(began, **ring))
    stopped = InteractionStopped(session="call-1", reason="hung up")
    assert names(player.give(player.input(stopped, **ring))) == ["InteractionEnded"]
    with pytest.raises(Refusal, match="no interaction"):
        player.give(player.input(stopped, **ring))


def test_silence_ends_an_interaction() -> None:
    """After the policy's rest the next word on the channel is another contact."""
    player = Player()
    player.message(channel="chat", identities=("web:1",))
    player.now_ms += 1_000_001
    assert names(player.message(channel="chat", identities=("web:1",))) == [
        "InteractionEnded",
        "InteractionStarted",
        "MessageReceived",
    ]


@pytest.mark.parametrize("delivery", [f"{CUSTOMER}-7.3", "of somebody else", ""])
def test_a_report_on_a_conversation_that_left_memory_is_refused(delivery: str) -> None:
    """Nobody is opened a conversation for by a delivery report."""
    player = Player()
    report = DeliveryReport(delivery=delivery, status="delivered")
    with pytest.raises(Refusal) as refused:
        player.give(player.input(report, identities=()))
    assert refused.value.code == Code.NOT_FOUND


def test_quarantined_inputs_are_kept_and_marked_replayed_once() -> None:
    """An account's own stream keeps what was refused."""
    player = Player()
    kept = Quarantine(1, CUSTOMER, "mail", "src", "id", Code.INVALID, "data.text", "missing", b"{}", 7, 7)
    events = player.give(kept)
    assert isinstance(events[0], InputQuarantined)
    name = events[0].quarantine
    assert names(player.command(MarkReplayed(quarantine=name), conversation="")) == ["QuarantineReplayed"]
    with pytest.raises(Refusal, match="already"):
        player.command(MarkReplayed(quarantine=name), conversation="")


def test_what_fitted_nothing_is_not_taken_the_second_time_either() -> None:
    """A source whose connection broke asks again, and hears again that it lies in quarantine."""
    player = Player()
    kept = Quarantine(1, CUSTOMER, "mail", "src", "id", Code.INVALID, "data.text", "missing", b"{}", 7, 7)
    player.give(kept)
    assert player.give(kept) == []
    assert (player.decision.status, player.decision.repeats) == ("quarantined", (CUSTOMER, 1))


def test_a_snapshot_is_the_state() -> None:
    """Freezing and thawing loses nothing; another version's snapshot is not read."""
    player = Player()
    player.message(reference="a@b")
    player.message(channel="sms", identities=("tel:+447700900123",))
    body = snapshots.freeze(player.state)
    assert snapshots.thaw(body) == player.state
    version, state = msgspec.msgpack.decode(body)
    assert snapshots.thaw(msgspec.msgpack.encode((version + 1, state))) is None
