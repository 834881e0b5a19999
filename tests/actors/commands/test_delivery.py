"""The outbox as the conversation decides it: order, retries, uncertainty, dead letters."""

import msgspec
import pytest

from actors.cells import snapshots
from actors.commands import delivery as deliveries
from actors.commands import outcomes
from actors.decisions.deciding import TimerDue
from actors.rules.context import ContextRules
from actors.rules.policy import Policy
from actors.state import journey as journeys
from actors.state.conversation import DELIVERIES_MAX
from protocol.commands import (
    AnyCommand,
    Assign,
    LinkIdentity,
    ReplayDelivery,
    Reply,
    Resolve,
    SetContext,
    SettleDelivery,
    SwitchChannel,
    Take,
    UnlinkIdentity,
)
from protocol.errors import Code, Refusal
from protocol.events import (
    AnyEvent,
    DeliveryAttempted,
    DeliveryDead,
    DeliveryFailed,
    DeliverySent,
    DeliveryUncertain,
    MessageQueued,
)
from protocol.inbound import ARRIVED, REPORTED, DeliveryReport
from tests.actors.player import CONVERSATION, CUSTOMER, POLICY, Player, names


def replied(player: Player, text: str = "answer", **fields: str) -> str:
    """An agent replies; returns the delivery's id."""
    queued = next(e for e in player.command(Reply(text=text, **fields)) if isinstance(e, MessageQueued))
    return queued.delivery


def test_a_reply_is_queued_and_its_attempt_journaled_before_it_is_made() -> None:
    """The attempt is an event of the same step, and what is handed out is made of it."""
    player = Player()
    player.message(reference="mail-1@x", subject="Bill")
    events = player.command(Reply(text="answer"))
    assert names(events) == ["MessageQueued", "DeliveryAttempted"]
    queued = events[0]
    assert isinstance(queued, MessageQueued)
    assert (queued.delivery, queued.to, queued.account) == (f"{CONVERSATION}.4", "mailto:ann@example.org", "mail")
    assert queued.references == ["mail-1@x"]
    attempt = deliveries.attempt_of(player.state.conversations[CONVERSATION], queued.delivery, again=False)
    assert attempt is not None
    assert attempt.number == 1
    assert attempt.text == "answer"


def test_one_message_at_a_time_leaves_on_a_channel() -> None:
    """The second waits for the first; another channel does not."""
    player = Player()
    player.message(identities=("mailto:ann@example.org", "tel:+447700900123"))
    first, second = replied(player, "one"), replied(player, "two")
    sms = player.command(Reply(text="sms", channel="sms"))
    assert names(sms) == ["InteractionStarted", "MessageQueued", "DeliveryAttempted", "ChannelSwitched"]
    assert player.state.conversations[CONVERSATION].deliveries[second].state == "queued"
    assert names(player.outcome(first, 1, "sent", external_id="x@y")) == ["DeliverySent", "DeliveryAttempted"]
    assert player.state.conversations[CONVERSATION].deliveries[second].state == "attempting"


def test_failures_back_off_double_and_end_as_dead_letters() -> None:
    """Each failure says when the next attempt is due; the last is dead and lets the next message go."""
    player = Player()
    player.message()
    first, second = replied(player, "one"), replied(player, "two")
    failed = player.outcome(first, 1, "failed", reason="refused")
    assert isinstance(failed[0], DeliveryFailed)
    assert failed[0].retry_at_ms == player.now_ms + 1_000
    assert names(failed) == ["DeliveryFailed"]
    assert journeys.next_due_ms(player.state) == player.now_ms + 1_000
    assert player.pass_time(999) == []
    assert names(player.pass_time(1)) == ["DeliveryAttempted"]
    failed = player.outcome(first, 2, "failed")
    assert isinstance(failed[0], DeliveryFailed)
    assert failed[0].retry_at_ms == player.now_ms + 2_000
    player.pass_time(2_000)
    assert names(player.outcome(first, 3, "failed")) == ["DeliveryDead", "DeliveryAttempted"]
    assert player.state.conversations[CONVERSATION].deliveries[second].state == "attempting"


@pytest.mark.parametrize(("channel", "held"), [("email", False), ("sms", True)])
def test_uncertain_is_visible_and_treated_as_the_policy_says(channel: str, held: bool) -> None:
    """Mail is tried again under its Message-ID; an SMS waits for a person."""
    player = Player()
    identity = "tel:+447700900123" if channel == "sms" else "mailto:ann@example.org"
    player.message(channel=channel, identities=(identity,))
    delivery = replied(player)
    events = player.outcome(delivery, 1, "uncertain", reason="cut")
    assert isinstance(events[0], DeliveryUncertain)
    assert (events[0].retry_at_ms == 0) is held
    state = player.state.conversations[CONVERSATION].deliveries[delivery].state
    assert state == ("uncertain" if held else "waiting")


def test_a_held_or_dead_delivery_is_replayed_by_an_operator() -> None:
    """Only those may be, and the replay is an event and an attempt."""
    player = Player()
    player.message(channel="sms", identities=("tel:+447700900123",))
    delivery = replied(player)
    with pytest.raises(Refusal, match="attempting"):
        player.command(ReplayDelivery(delivery=delivery))
    player.outcome(delivery, 1, "refused", code="21610")
    assert player.state.conversations[CONVERSATION].deliveries[delivery].state == "dead"
    assert names(player.command(ReplayDelivery(delivery=delivery))) == ["DeliveryReplayed", "DeliveryAttempted"]


def test_a_held_delivery_that_left_is_settled_by_an_operator() -> None:
    """It is sent then, by their word, and is not sent again; of one that is not held nobody says so."""
    player = Player()
    player.message(channel="sms", identities=("tel:+447700900123",))
    delivery = replied(player)
    with pytest.raises(Refusal, match="attempting; only of an uncertain one"):
        player.command(SettleDelivery(delivery=delivery))
    player.outcome(delivery, 1, "uncertain", reason="cut")
    [sent] = player.command(SettleDelivery(delivery=delivery, external_id="SM1"))
    assert isinstance(sent, DeliverySent)
    assert (sent.actor, sent.external_id) == ("agent:ann", "SM1")
    assert player.state.conversations[CONVERSATION].deliveries == {}
    assert player.outcome(delivery, 1, "sent") == []
    with pytest.raises(Refusal, match="no undelivered message"):
        player.command(SettleDelivery(delivery=delivery))


def test_a_held_delivery_is_settled_though_its_conversation_closed() -> None:
    """Nothing is sent there any more; that something was, a person may still say, by the id that the provider has."""
    player = Player()
    player.message(channel="sms", identities=("tel:+447700900123",))
    delivery = replied(player)
    player.outcome(delivery, 1, "uncertain", reason="cut")
    player.command(Resolve())
    player.pass_time(POLICY.close_after_resolved_ms + 1)
    assert not player.state.conversations[CONVERSATION].live
    with pytest.raises(Refusal, match="its held messages be settled"):
        player.command(ReplayDelivery(delivery=delivery))
    with pytest.raises(Refusal, match="at most 512"):
        player.command(SettleDelivery(delivery=delivery, external_id="x" * 513))
    external_id = "x" * 200 + "@mail.example.org"
    [sent] = player.command(SettleDelivery(delivery=delivery, external_id=f"<{external_id}>"))
    assert isinstance(sent, DeliverySent)
    assert sent.external_id == external_id
    assert player.state.conversations[CONVERSATION].deliveries == {}


@pytest.mark.parametrize("closed", [False, True])
def test_a_held_delivery_that_did_not_leave_is_a_dead_letter_by_a_persons_word(closed: bool) -> None:
    """They looked at the provider's list. Nothing of it is in doubt from then on, unless its program finds out more."""
    player, delivery = doubtful()
    if closed:
        player.command(Resolve())
        player.pass_time(POLICY.close_after_resolved_ms)
    with pytest.raises(Refusal, match="what did not leave has no id") as refused:
        player.command(SettleDelivery(delivery=delivery, left=False, external_id="SM1"))
    assert refused.value.field == "external_id"
    [dead] = player.command(SettleDelivery(delivery=delivery, left=False), agent="op")
    assert isinstance(dead, DeliveryDead)
    assert (dead.actor, dead.code) == ("agent:op", "not_left")
    assert dead.reason == "it did not leave, says op; before that: cut"
    with pytest.raises(Refusal, match="the delivery is dead"):
        player.command(SettleDelivery(delivery=delivery, left=False))
    assert reported(player, delivery, status="sent") == ["DeliveryConfirmed"]
    assert player.outcome(delivery, 1, "failed") == []
    assert names(player.outcome(delivery, 1, "sent")) == ["DeliverySent"]


def test_what_a_person_says_did_not_leave_is_dead_when_its_replay_is_refused() -> None:
    """They know of all attempts before."""
    player, delivery = doubtful()
    player.command(ReplayDelivery(delivery=delivery))
    player.outcome(delivery, 2, "refused", reason="no")
    player.command(SettleDelivery(delivery=delivery, left=False))
    assert not player.state.conversations[CONVERSATION].deliveries[delivery].earlier
    player.command(ReplayDelivery(delivery=delivery))
    assert names(player.outcome(delivery, 3, "refused", reason="no")) == ["DeliveryDead"]


def test_a_replay_counts_on_and_has_all_attempts_once_more() -> None:
    """A number of its own, since who was given an attempt answers for it from memory; and the policy's full measure."""
    player = Player()
    player.message()
    delivery = replied(player)
    for attempt in (1, 2, 3):
        player.outcome(delivery, attempt, "failed")
        player.pass_time(10_000)
    assert player.state.conversations[CONVERSATION].deliveries[delivery].state == "dead"
    player.command(ReplayDelivery(delivery=delivery))
    again = deliveries.attempt_of(player.state.conversations[CONVERSATION], delivery, again=False)
    assert again is not None
    assert again.number == 4
    assert player.outcome(delivery, 1, "sent") == []
    failed = player.outcome(delivery, 4, "failed")
    assert isinstance(failed[0], DeliveryFailed)
    assert failed[0].retry_at_ms == player.now_ms + 1_000
    player.pass_time(1_000)
    player.outcome(delivery, 5, "failed")
    player.pass_time(2_000)
    assert names(player.outcome(delivery, 6, "failed", reason="no")) == ["DeliveryDead"]
    assert player.state.conversations[CONVERSATION].deliveries[delivery].reason == "gave up after 3 attempts: no"


def test_an_old_outcome_changes_nothing() -> None:
    """Outcomes are matched by attempt: a repeat or a late one has no effect."""
    player = Player()
    player.message()
    delivery = replied(player)
    player.outcome(delivery, 1, "failed")
    player.pass_time(1_000)
    assert player.outcome(delivery, 1, "sent") == []
    assert player.outcome(delivery, 2, "sent") != []
    assert player.outcome(delivery, 2, "sent") == []


@pytest.mark.parametrize("held", [False, True])
def test_an_answer_that_comes_by_others_counts_for_its_own_account_alone(held: bool) -> None:
    """By another process than the one that gave the attempt out, it says which accounts its client takes. What answers
    nothing changes nothing, and is told from what counts by having decided nothing."""
    player = Player()
    player.message()
    delivery = replied(player)
    if held:
        player.outcome(delivery, 1, "uncertain", reason="cut")
    with pytest.raises(Refusal, match="another account's client") as refused:
        player.outcome(delivery, 1, "refused", accounts=["chat", "sms"])
    assert (refused.value.code, refused.value.ref) == (Code.UNKNOWN_ACCOUNT, delivery)
    assert player.outcome(delivery, 2, "sent", accounts=["chat", "mail"]) == []
    assert names(player.outcome(delivery, 1, "sent", accounts=["chat", "mail"])) == ["DeliverySent"]
    assert player.outcome(delivery, 1, "sent", accounts=["chat"]) == []


@pytest.mark.parametrize("channel", ["email", "sms"])
@pytest.mark.parametrize("again", ["untaken", "uncertain"])
def test_a_repeated_doubt_puts_nothing_off(channel: str, again: str) -> None:
    """Whether it waits for its next attempt or is held: only what ends the doubt is news."""
    player = Player()
    player.message(
        channel=channel, identities=("mailto:ann@example.org" if channel == "email" else "tel:+447700900123",)
    )
    delivery = replied(player)
    player.outcome(delivery, 1, "uncertain", reason="cut")
    before = player.state.conversations[CONVERSATION].deliveries[delivery]
    assert before.state == ("waiting" if channel == "email" else "uncertain")
    assert player.outcome(delivery, 1, again, reason="no") == []


def test_a_late_answer_settles_what_an_operator_has_sent_again() -> None:
    """Held, and replayed: it waits behind another one, and its client finds out that it had left."""
    player, delivery = doubtful()
    second = replied(player, "two")
    player.command(ReplayDelivery(delivery=delivery))
    assert unsent(player)[delivery] == ("queued", "")
    assert player.outcome(delivery, 0, "sent") == []
    assert names(player.outcome(delivery, 1, "sent")) == ["DeliverySent"]
    assert unsent(player) == {second: ("attempting", "")}


@pytest.mark.parametrize("attempt", [-1, 0])
def test_of_a_message_that_was_not_tried_nobody_says_that_it_was_sent(attempt: int) -> None:
    """It waits for its turn."""
    player = Player()
    player.message()
    replied(player, "one")
    assert player.outcome(replied(player, "two"), attempt, "sent") == []


def test_a_late_answer_on_an_earlier_attempt_settles_its_doubt() -> None:
    """The next one surely failed, and was to be made again though the client knows by now that the first had left."""
    player, delivery = doubtful("email")
    player.pass_time(100_000)
    player.outcome(delivery, 2, "failed")
    for late in ("failed", "refused", "uncertain", "untaken"):
        assert player.outcome(delivery, 1, late) == []
    [sent] = player.outcome(delivery, 1, "sent", external_id="x@y")
    assert isinstance(sent, DeliverySent)
    assert sent.external_id == "x@y"
    assert unsent(player) == {}


@pytest.mark.parametrize("outcome", ["failed", "refused", "untaken", "uncertain"])
def test_a_late_answer_on_an_earlier_attempt_counts_as_a_report_during_the_next(outcome: str) -> None:
    """Whatever comes of that one, the first has left. Said again, it is old."""
    player, delivery = doubtful("email")
    player.pass_time(100_000)
    assert names(player.outcome(delivery, 1, "sent", external_id="x@y")) == ["DeliveryConfirmed"]
    assert player.outcome(delivery, 1, "sent", external_id="x@y") == []
    [sent] = player.outcome(delivery, 2, outcome)
    assert isinstance(sent, DeliverySent)
    assert sent.external_id == "x@y"


def test_a_late_answer_on_an_earlier_attempt_that_was_in_no_doubt_is_old() -> None:
    """It surely failed, as was said: the next is under way, or its turn comes."""
    player = Player()
    player.message()
    delivery = replied(player)
    player.outcome(delivery, 1, "failed")
    player.pass_time(100_000)
    assert player.outcome(delivery, 1, "sent") == []
    player.outcome(delivery, 2, "failed")
    assert player.outcome(delivery, 1, "sent") == []


def test_a_late_answer_settles_an_uncertain_attempt() -> None:
    """What turns out to have been sent is not sent again, nor held."""
    player = Player()
    player.message()
    delivery = replied(player)
    player.outcome(delivery, 1, "uncertain")
    assert names(player.outcome(delivery, 1, "sent")) == ["DeliverySent"]
    assert player.state.conversations[CONVERSATION].deliveries == {}


def doubtful(channel: str = "sms", policy: Policy = POLICY, attempts: int = 1, also: str = "") -> tuple[Player, str]:
    """A message of which nobody knows whether its newest attempt left: on SMS it is held, a mail is tried again. Its
    customer has another identity, if so wanted."""
    player = Player(policy)
    player.message(channel=channel, identities=(MAIL if channel == "email" else TEL, *([also] if also else [])))
    delivery = replied(player)
    for attempt in range(1, attempts):
        player.outcome(delivery, attempt, "failed")
        player.pass_time(100_000)
    player.outcome(delivery, attempts, "uncertain", reason="cut")
    return player, delivery


def test_one_that_was_held_is_tried_again_when_it_surely_did_not_leave() -> None:
    """As any that failed, and nobody has to look; said again, it is old."""
    player, delivery = doubtful()
    assert player.pass_time(100_000) == []
    [failed] = player.outcome(delivery, 1, "failed", code="503", reason="no")
    assert isinstance(failed, DeliveryFailed)
    assert (failed.code, failed.reason, failed.retry_at_ms) == ("503", "no", player.now_ms + 1_000)
    assert player.outcome(delivery, 1, "failed") == []
    assert names(player.pass_time(1_000)) == ["DeliveryAttempted"]
    assert names(player.outcome(delivery, 2, "sent")) == ["DeliverySent"]


def test_one_that_is_to_be_tried_again_keeps_its_time_when_it_surely_did_not_leave() -> None:
    """And it is known not to have left, should its identity be unlinked."""
    player, delivery = doubtful("email")
    due_ms = journeys.next_due_ms(player.state)
    player.pass_time(500)
    [failed] = player.outcome(delivery, 1, "failed", reason="no")
    assert isinstance(failed, DeliveryFailed)
    assert failed.retry_at_ms == due_ms
    assert player.outcome(delivery, 1, "failed") == []
    assert names(unlinked(player, MAIL)) == ["IdentityUnlinked", "DeliveryDead"]


def test_one_that_stepped_out_of_the_line_and_did_not_leave_goes_next() -> None:
    """Not beside the one that is under way, and ahead of those that came later."""
    player, first = doubtful()
    second, third = replied(player, "two"), replied(player, "three")
    [failed] = player.outcome(first, 1, "failed", reason="no")
    assert isinstance(failed, DeliveryFailed)
    assert failed.retry_at_ms == 0
    assert player.pass_time(100_000) == []
    assert [state for state, _ in unsent(player).values()] == ["queued", "attempting", "queued"]
    _, attempted = player.outcome(second, 1, "sent")
    assert isinstance(attempted, DeliveryAttempted)
    assert (attempted.delivery, attempted.attempt) == (first, 2)
    assert names(player.outcome(first, 2, "failed")) == ["DeliveryFailed"]
    player.pass_time(100_000)
    assert names(player.outcome(first, 3, "failed")) == ["DeliveryDead", "DeliveryAttempted"]
    assert list(unsent(player)) == [first, third]


def test_one_that_did_not_leave_is_given_up_where_it_would_be_without_a_doubt() -> None:
    """After its last attempt; to who is somebody else's by now; in a conversation that is over."""
    player, delivery = doubtful(attempts=POLICY.attempts_max)
    assert names(player.outcome(delivery, POLICY.attempts_max, "failed", reason="no")) == ["DeliveryDead"]
    assert unsent(player) == {delivery: ("dead", "gave up after 3 attempts: no")}

    player, delivery = doubtful()
    player.command(LinkIdentity(identity=MAIL), conversation="")
    unlinked(player, TEL)
    assert names(player.outcome(delivery, 1, "failed", reason="no")) == ["DeliveryDead"]
    assert unsent(player)[delivery][1] == f"{TEL} was unlinked from the customer; before that: no"

    player, delivery = doubtful()
    player.command(Resolve())
    assert names(player.pass_time(POLICY.close_after_resolved_ms)) == ["ConversationClosed"]
    assert names(player.outcome(delivery, 1, "failed", code="503", reason="no")) == ["DeliveryDead"]
    closed = player.state.conversation(CONVERSATION)
    assert closed is not None
    assert closed.deliveries[delivery].reason == "the conversation is closed; before that: no"


@pytest.mark.parametrize("outcome", ["refused", "failed", "untaken"])
def test_what_is_given_up_and_may_have_left_before_is_held(outcome: str) -> None:
    """A dead letter is sent again, or said by another channel, by who does not ask the provider; of one that is held a
    person says what became of it. What is said of it again is old."""
    rules = ContextRules(fallback={"email": "sms"})
    player, delivery = doubtful("email", msgspec.structs.replace(POLICY, context=rules), also=TEL)
    last = POLICY.attempts_max if outcome == "failed" else 2
    for attempt in range(2, last):
        player.pass_time(100_000)
        player.outcome(delivery, attempt, "failed")
    player.pass_time(100_000)
    second = replied(player, "two")
    if outcome == "untaken":
        player.outcome(delivery, last, outcome)
        player.pass_time(POLICY.line_wait_ms)
        last += 1
    held, attempted = player.outcome(delivery, last, outcome, code="550", reason="no")
    assert isinstance(held, DeliveryUncertain)
    assert (held.code, held.retry_at_ms) == ("no_taker" if outcome == "untaken" else "550", 0)
    assert held.reason.endswith("no; an earlier attempt may have sent it")
    assert isinstance(attempted, DeliveryAttempted)
    assert attempted.delivery == second
    for late in ("refused", "failed", "untaken", "uncertain"):
        assert player.outcome(delivery, last, late, reason="no") == []
    assert names(player.command(SettleDelivery(delivery=delivery))) == ["DeliverySent"]


def test_a_late_refusal_of_the_newest_attempt_says_nothing_of_the_one_before() -> None:
    """It was held for the newest, which was refused; it is held for the other one, and says so once."""
    player, delivery = doubtful()
    player.command(ReplayDelivery(delivery=delivery))
    player.outcome(delivery, 2, "uncertain", reason="cut")
    assert unsent(player) == {delivery: ("uncertain", "cut")}
    assert names(player.outcome(delivery, 2, "refused", reason="no")) == ["DeliveryUncertain"]
    assert unsent(player) == {delivery: ("uncertain", "no; an earlier attempt may have sent it")}
    assert player.outcome(delivery, 2, "refused", reason="no") == []
    assert names(player.outcome(delivery, 2, "sent")) == ["DeliverySent"]


def test_what_is_held_for_an_earlier_attempt_is_reported_and_sent_again_as_any() -> None:
    """Its provider's word settles it; and a replay of it is an attempt of which nothing is known yet."""
    player, delivery = doubtful()
    player.command(ReplayDelivery(delivery=delivery))
    player.outcome(delivery, 2, "refused", reason="no")
    assert player.state.conversations[CONVERSATION].deliveries[delivery].earlier
    player.command(ReplayDelivery(delivery=delivery))
    assert not player.state.conversations[CONVERSATION].deliveries[delivery].earlier
    assert names(player.outcome(delivery, 3, "uncertain", reason="cut")) == ["DeliveryUncertain"]
    assert names(player.outcome(delivery, 3, "failed")) == ["DeliveryFailed"]
    player.pass_time(100_000)
    player.outcome(delivery, 4, "refused", reason="no")
    assert unsent(player) == {delivery: ("uncertain", "no; an earlier attempt may have sent it")}
    assert reported(player, delivery, status="undelivered") == ["DeliverySent", "DeliveryConfirmed"]


@pytest.mark.parametrize("channel", ["email", "sms"])
@pytest.mark.parametrize("status", REPORTED)
def test_a_providers_report_settles_a_doubt(channel: str, status: str) -> None:
    """Who can report on it had it, also where it did not arrive: it is not sent again, and what waited for it goes."""
    player, delivery = doubtful(channel)
    second = replied(player, "two")
    report = DeliveryReport(delivery=delivery, status=status, external_id="SM1")
    account = "mail" if channel == "email" else channel
    events = player.give(player.input(report, channel=channel, account=account, identities=()))
    goes = ["DeliveryAttempted"] if channel == "email" else []
    assert names(events) == ["DeliverySent", *goes, "DeliveryConfirmed"]
    assert isinstance(events[0], DeliverySent)
    assert events[0].external_id == "SM1"
    assert unsent(player) == {second: ("attempting", "")}
    assert player.outcome(delivery, 1, "failed") == []


def reported(player: Player, delivery: str, *, channel: str = "sms", status: str = "delivered") -> list[str]:
    """Its provider reports on it; returns what that became."""
    report = DeliveryReport(delivery=delivery, status=status, external_id="SM1")
    account = "mail" if channel == "email" else channel
    return names(player.give(player.input(report, channel=channel, account=account, identities=())))


@pytest.mark.parametrize("channel", ["email", "sms"])
@pytest.mark.parametrize("status", REPORTED)
def test_a_report_that_comes_ahead_of_the_outcome_settles_its_doubt(channel: str, status: str) -> None:
    """A provider's callback overtakes its answer, which is then lost: nobody has to look, and nothing is sent twice."""
    player = Player()
    player.message(channel=channel, identities=(MAIL if channel == "email" else TEL,))
    delivery, second = replied(player), replied(player, "two")
    assert reported(player, delivery, channel=channel, status=status) == ["DeliveryConfirmed"]
    events = player.outcome(delivery, 1, "uncertain", reason="cut")
    assert names(events) == ["DeliverySent", "DeliveryAttempted"]
    assert isinstance(events[0], DeliverySent)
    assert events[0].external_id == "SM1"
    assert unsent(player) == {second: ("attempting", "")}


def test_a_senders_own_id_counts_before_the_reports() -> None:
    """It is what answers name, and the outcome says it."""
    player = Player()
    player.message(channel="sms", identities=(TEL,))
    delivery = replied(player)
    reported(player, delivery)
    [sent] = player.outcome(delivery, 1, "sent", external_id="SM2")
    assert isinstance(sent, DeliverySent)
    assert sent.external_id == "SM2"


@pytest.mark.parametrize("outcome", ["failed", "untaken", "refused", "uncertain"])
def test_a_report_during_a_later_attempt_settles_an_earlier_ones_doubt(outcome: str) -> None:
    """It left by one of them, also where this one surely did not leave."""
    player, delivery = doubtful("email")
    player.pass_time(100_000)
    assert reported(player, delivery, channel="email") == ["DeliveryConfirmed"]
    assert names(player.outcome(delivery, 2, outcome)) == ["DeliverySent"]
    assert unsent(player) == {}


def test_a_report_settles_a_doubt_that_later_attempts_did_not_end() -> None:
    """One that may have left, and then surely did not by the next attempt, is as doubtful as before."""
    player, delivery = doubtful("email")
    player.pass_time(100_000)
    assert names(player.outcome(delivery, 2, "failed")) == ["DeliveryFailed"]
    assert reported(player, delivery, channel="email") == ["DeliverySent", "DeliveryConfirmed"]
    assert (unsent(player), player.pass_time(100_000)) == ({}, [])


def test_a_report_during_the_third_attempt_settles_the_firsts_doubt() -> None:
    """However many have surely failed since."""
    player, delivery = doubtful("email")
    player.pass_time(100_000)
    player.outcome(delivery, 2, "failed")
    player.pass_time(100_000)
    assert reported(player, delivery, channel="email") == ["DeliveryConfirmed"]
    assert names(player.outcome(delivery, 3, "failed")) == ["DeliverySent"]


def test_a_report_settles_what_an_operator_has_sent_again() -> None:
    """Held, and replayed: it waits behind another one, and had left."""
    player, delivery = doubtful()
    second = replied(player, "two")
    assert names(player.command(ReplayDelivery(delivery=delivery))) == ["DeliveryReplayed"]
    assert reported(player, delivery) == ["DeliverySent", "DeliveryConfirmed"]
    assert unsent(player) == {second: ("attempting", "")}


UNARRIVED = ["undelivered", "bounced"]


@pytest.mark.parametrize("status", UNARRIVED)
def test_a_report_on_an_attempt_that_surely_failed_is_no_word_on_the_next(status: str) -> None:
    """Nothing was in doubt: it is tried again, and what comes of that is its own."""
    player = Player()
    player.message(channel="sms", identities=(TEL,))
    delivery = replied(player)
    reported(player, delivery, status=status)
    assert names(player.outcome(delivery, 1, "failed", reason="no")) == ["DeliveryFailed"]
    player.pass_time(100_000)
    assert names(player.outcome(delivery, 2, "uncertain", reason="cut")) == ["DeliveryUncertain"]
    assert unsent(player) == {delivery: ("uncertain", "cut")}


@pytest.mark.parametrize("status", UNARRIVED)
def test_a_report_that_it_did_not_arrive_settles_nothing_that_is_in_no_doubt(status: str) -> None:
    """It may be the outcome in other words. What failed is tried again, and a dead letter is one."""
    player = Player()
    player.message()
    delivery = replied(player)
    player.outcome(delivery, 1, "failed", reason="no")
    assert reported(player, delivery, channel="email", status=status) == ["DeliveryConfirmed"]
    assert unsent(player) == {delivery: ("waiting", "no")}
    player.pass_time(100_000)
    player.outcome(delivery, 2, "refused", reason="never")
    assert reported(player, delivery, channel="email", status=status) == ["DeliveryConfirmed"]
    assert unsent(player) == {delivery: ("dead", "never")}


SAID = "its channel says that it was sent, and its attempt that it failed"


@pytest.mark.parametrize("first", ["report", "outcome"])
def test_what_failed_and_is_said_to_be_sent_is_in_doubt(first: str) -> None:
    """A provider answers that it failed, and calls back that it sent it: it is held, and what waits behind it goes. A
    failure that is told once more does not end that; the provider's next word does."""
    player = Player()
    player.message(channel="sms", identities=(TEL,))
    delivery, second = replied(player), replied(player, "two")
    if first == "report":
        assert reported(player, delivery, status="sent") == ["DeliveryConfirmed"]
        assert names(player.outcome(delivery, 1, "failed", reason="500")) == ["DeliveryUncertain", "DeliveryAttempted"]
    else:
        player.outcome(delivery, 1, "failed", reason="500")
        events = ["DeliveryUncertain", "DeliveryAttempted", "DeliveryConfirmed"]
        assert reported(player, delivery, status="sent") == events
    assert unsent(player) == {delivery: ("uncertain", f"{SAID}: 500"), second: ("attempting", "")}
    assert player.outcome(delivery, 1, "failed", reason="500") == []
    assert player.pass_time(100_000) == []
    assert reported(player, delivery, status="sent") == ["DeliverySent", "DeliveryConfirmed"]
    assert unsent(player) == {second: ("attempting", "")}


def test_where_the_policy_retries_what_is_in_doubt_so_is_what_is_said_to_be_sent_and_failed() -> None:
    """In its place in the line, with the doubt noted: one more report settles it, ahead of its attempt or after."""
    player = Player()
    player.message()
    delivery, second = replied(player), replied(player, "two")
    player.outcome(delivery, 1, "failed", reason="451")
    assert reported(player, delivery, channel="email", status="sent") == ["DeliveryUncertain", "DeliveryConfirmed"]
    assert unsent(player) == {delivery: ("waiting", f"{SAID}: 451"), second: ("queued", "")}
    assert names(player.pass_time(100_000)) == ["DeliveryAttempted"]
    player.outcome(delivery, 2, "refused", reason="no")
    assert unsent(player)[delivery] == ("uncertain", "no; an earlier attempt may have sent it")


@pytest.mark.parametrize("outcome", ["failed", "untaken"])
def test_a_word_on_an_attempt_before_leaves_the_next_in_doubt_if_it_fails(outcome: str) -> None:
    """The callback of the first comes while the second is under way: it may have been either's."""
    player = Player()
    player.message(channel="sms", identities=(TEL,))
    delivery = replied(player)
    player.outcome(delivery, 1, "failed", reason="503")
    player.pass_time(100_000)
    assert reported(player, delivery, status="sent") == ["DeliveryConfirmed"]
    assert names(player.outcome(delivery, 2, outcome, reason="500")) == ["DeliveryUncertain"]


def test_what_is_replayed_and_waits_for_its_turn_is_held_by_a_word_that_it_was_sent() -> None:
    """It stepped out of the line, and another is under way. A dead letter stays one: whoever replays it looks."""
    player = Player()
    player.message()
    delivery = replied(player)
    player.outcome(delivery, 1, "refused", reason="no")
    assert reported(player, delivery, channel="email", status="sent") == ["DeliveryConfirmed"]
    assert unsent(player) == {delivery: ("dead", "no")}
    second = replied(player, "two")
    player.command(ReplayDelivery(delivery=delivery))
    assert reported(player, delivery, channel="email", status="sent") == ["DeliveryUncertain", "DeliveryConfirmed"]
    assert unsent(player) == {delivery: ("uncertain", SAID), second: ("attempting", "")}
    player.command(ReplayDelivery(delivery=delivery))
    player.outcome(second, 1, "sent")
    assert names(player.outcome(delivery, 2, "failed", reason="no")) == ["DeliveryFailed"]


@pytest.mark.parametrize("status", ARRIVED)
@pytest.mark.parametrize("outcome", ["failed", "refused", "untaken", "uncertain"])
def test_what_the_customer_has_is_sent_whatever_its_attempt_says_then(status: str, outcome: str) -> None:
    """Its provider's word comes ahead of the outcome: it is not tried again, nor does its conversation go elsewhere."""
    player = Player(msgspec.structs.replace(POLICY, context=ContextRules(fallback={"sms": "email"})))
    player.message(channel="sms", identities=(TEL, MAIL))
    delivery, second = replied(player), replied(player, "two")
    assert reported(player, delivery, status=status) == ["DeliveryConfirmed"]
    assert names(player.outcome(delivery, 1, outcome)) == ["DeliverySent", "DeliveryAttempted"]
    assert unsent(player) == {second: ("attempting", "")}


@pytest.mark.parametrize("status", ARRIVED)
@pytest.mark.parametrize("outcome", ["failed", "untaken"])
def test_what_the_customer_has_is_not_tried_again(status: str, outcome: str) -> None:
    """Though its attempt failed: what waits behind it goes."""
    player = Player()
    player.message(channel="sms", identities=(TEL,))
    delivery, second = replied(player), replied(player, "two")
    player.outcome(delivery, 1, outcome)
    assert reported(player, delivery, status=status) == ["DeliverySent", "DeliveryAttempted", "DeliveryConfirmed"]
    assert unsent(player) == {second: ("attempting", "")}


@pytest.mark.parametrize("status", ARRIVED)
def test_a_dead_letter_that_the_customer_has_is_sent(status: str) -> None:
    """Nobody can replay it then. That its conversation went on elsewhere meanwhile stays so."""
    player = Player(msgspec.structs.replace(POLICY, context=ContextRules(fallback={"sms": "email"})))
    player.message(channel="sms", identities=(TEL, MAIL))
    delivery = replied(player)
    assert "ChannelSwitched" in names(player.outcome(delivery, 1, "refused", code="30006", reason="landline"))
    assert reported(player, delivery, status=status) == ["DeliverySent", "DeliveryConfirmed"]
    assert (unsent(player), player.state.conversations[CONVERSATION].channel) == ({}, "email")
    with pytest.raises(Refusal, match="no undelivered message"):
        player.command(ReplayDelivery(delivery=delivery))


def test_a_dead_letter_that_is_replayed_and_that_the_customer_has_is_sent() -> None:
    """It waits behind another one, and is not tried again; or its next attempt is under way, and fails."""
    player = Player()
    player.message(channel="sms", identities=(TEL,))
    delivery = replied(player)
    player.outcome(delivery, 1, "refused", reason="no")
    second = replied(player, "two")
    player.command(ReplayDelivery(delivery=delivery))
    assert reported(player, delivery) == ["DeliverySent", "DeliveryConfirmed"]
    player.outcome(second, 1, "refused", reason="no")
    player.command(ReplayDelivery(delivery=second))
    assert reported(player, second) == ["DeliveryConfirmed"]
    assert names(player.outcome(second, 2, "refused")) == ["DeliverySent"]


def test_a_dead_letter_of_a_closed_conversation_is_sent_by_its_providers_word() -> None:
    """Nothing is sent there any more, so nothing follows."""
    player = Player()
    player.message(channel="sms", identities=(TEL,))
    delivery = replied(player)
    player.outcome(delivery, 1, "refused", reason="no")
    player.command(Resolve())
    player.pass_time(POLICY.close_after_resolved_ms)
    assert reported(player, delivery) == ["DeliverySent", "DeliveryConfirmed"]


@pytest.mark.parametrize("status", REPORTED)
def test_a_dead_letter_of_an_earlier_version_that_may_have_left_is_sent_by_any_report(status: str) -> None:
    """It would be held by now."""
    player, delivery = doubtful()
    player.command(ReplayDelivery(delivery=delivery))
    dead = DeliveryDead(at_ms=player.now_ms, delivery=delivery, code="1", reason="no")
    journeys.evolve(player.state, CONVERSATION, dead, msgspec.msgpack.encode(dead))
    assert unsent(player) == {delivery: ("dead", "no")}
    assert reported(player, delivery, status=status) == ["DeliverySent", "DeliveryConfirmed"]


@pytest.mark.parametrize("status", REPORTED)
def test_a_report_on_what_no_attempt_was_made_of_is_refused(status: str) -> None:
    """It waits for its turn: whoever reports means another message."""
    player = Player()
    player.message(channel="sms", identities=(TEL,))
    first, second = replied(player), replied(player, "two")
    with pytest.raises(Refusal, match=f"delivery {second} waits for its first attempt") as refused:
        reported(player, second, status=status)
    assert refused.value.code is Code.NOT_FOUND
    player.outcome(first, 1, "sent")
    assert reported(player, second, status=status) == ["DeliveryConfirmed"]


def test_a_late_answer_does_not_start_another_message_beside_the_one_under_way() -> None:
    """One message at a time on a channel, also where an older one stepped out of the line and comes back."""
    player = Player()
    player.message(channel="sms", identities=("tel:+447700900123",))
    first, second, third = replied(player, "one"), replied(player, "two"), replied(player, "three")
    player.outcome(first, 1, "refused")
    player.outcome(second, 1, "uncertain")
    assert player.state.conversations[CONVERSATION].deliveries[third].state == "attempting"
    assert names(player.command(ReplayDelivery(delivery=first))) == ["DeliveryReplayed"]
    assert names(player.outcome(second, 1, "sent")) == ["DeliverySent"]
    assert names(player.outcome(third, 1, "sent")) == ["DeliverySent", "DeliveryAttempted"]
    assert player.state.conversations[CONVERSATION].deliveries[first].state == "attempting"


TEL, MAIL = "tel:+447700900123", "mailto:ann@example.org"


def unlinked(player: Player, identity: str) -> list[AnyEvent]:
    """Somebody found out that it is another person's."""
    return player.command(UnlinkIdentity(identity=identity, reason="the number was sold"), conversation="")


def unsent(player: Player) -> dict[str, tuple[str, str]]:
    """Deliveries that have not left: state and reason."""
    found = player.state.conversations[CONVERSATION].deliveries
    return {id: (each.state, each.reason) for id, each in found.items()}


def test_what_has_not_left_for_two_identities_at_once_makes_no_room_for_itself() -> None:
    """An address that stands under two spellings: what waits for the one is followed by what is queued for neither."""
    player = Player()
    player.message()
    first, second, third = replied(player, "one"), replied(player, "two"), replied(player, "three")
    player.outcome(first, 1, "failed")
    state = player.state.conversations[CONVERSATION]
    state.deliveries[second].to = 'mailto:"ann"@example.org'
    state.deliveries[third].to = "mailto:bob@example.org"
    gone = [state.deliveries[first].to, state.deliveries[second].to]
    *dead, attempted = outcomes.give_up_for(state, gone, player.now_ms)
    assert names(dead) == ["DeliveryDead", "DeliveryDead"]
    assert isinstance(attempted, DeliveryAttempted)
    assert attempted.delivery == third


def test_what_has_not_left_for_an_identity_goes_no_more_when_it_is_unlinked() -> None:
    """Whoever answers there is somebody else. What is for another address goes on, in its order."""
    player = Player()
    player.message(channel="sms", identities=(TEL, "tel:+447700900999"))
    waiting, queued = replied(player, "one", to=TEL), replied(player, "two", to=TEL)
    other = replied(player, "three", to="tel:+447700900999")
    player.outcome(waiting, 1, "failed", reason="busy")
    events = unlinked(player, TEL)
    assert names(events) == ["IdentityUnlinked", "DeliveryDead", "DeliveryDead", "DeliveryAttempted"]
    reason = f"{TEL} was unlinked from the customer"
    assert unsent(player) == {waiting: ("dead", reason), queued: ("dead", reason), other: ("attempting", "")}
    assert player.pass_time(1_000_000) == []
    with pytest.raises(Refusal, match="was unlinked from the customer: whoever answers there is somebody else"):
        player.command(ReplayDelivery(delivery=waiting))
    player.command(LinkIdentity(identity=TEL), conversation="")
    assert names(player.command(ReplayDelivery(delivery=waiting))) == ["DeliveryReplayed"]


def test_what_may_have_left_for_an_identity_is_not_said_to_be_dead_when_it_is_unlinked() -> None:
    """It was to be tried again; it is held, and a late answer still settles it."""
    player = Player()
    player.message(identities=(MAIL,))
    delivery = replied(player)
    player.outcome(delivery, 1, "failed", reason="busy")
    player.pass_time(1_000)
    player.outcome(delivery, 2, "uncertain", reason="cut")
    assert unsent(player) == {delivery: ("waiting", "cut")}
    assert names(unlinked(player, MAIL)) == ["IdentityUnlinked", "DeliveryUncertain"]
    assert unsent(player) == {delivery: ("uncertain", f"{MAIL} was unlinked from the customer; before that: cut")}
    assert player.pass_time(1_000_000) == []
    assert names(player.outcome(delivery, 2, "sent")) == ["DeliverySent"]


def test_what_failed_after_it_may_have_left_is_held_when_its_identity_is_unlinked() -> None:
    """Of its newest attempt alone it is known that it did not."""
    player, delivery = doubtful("email")
    player.pass_time(100_000)
    player.outcome(delivery, 2, "failed", reason="busy")
    [_, held] = unlinked(player, MAIL)
    assert isinstance(held, DeliveryUncertain)
    assert (held.code, held.retry_at_ms, held.earlier) == ("unlinked", 0, True)
    assert held.reason == f"{MAIL} was unlinked from the customer; an earlier attempt may have sent it"
    assert unsent(player)[delivery][0] == "uncertain"


@pytest.mark.parametrize("earlier", [False, True])
def test_what_was_held_and_is_to_be_sent_again_is_held_when_its_identity_is_unlinked(earlier: bool) -> None:
    """As it was before an operator asked for that: it waited behind another one."""
    player, delivery = doubtful()
    if earlier:
        player.command(ReplayDelivery(delivery=delivery))
        player.outcome(delivery, 2, "refused", reason="no")
    replied(player, "two")
    assert names(player.command(ReplayDelivery(delivery=delivery))) == ["DeliveryReplayed"]
    [_, held] = unlinked(player, TEL)
    assert isinstance(held, DeliveryUncertain)
    assert held.earlier is earlier
    assert held.reason == f"{TEL} was unlinked from the customer" + ("; an earlier attempt may have sent it" * earlier)


def test_a_late_failure_ends_the_doubt_of_what_an_operator_sends_again() -> None:
    """It keeps its place in the line; a refusal was of the attempt before, and the next may fare better."""
    player, delivery = doubtful()
    replied(player, "two")
    player.command(ReplayDelivery(delivery=delivery))
    assert player.outcome(delivery, 1, "refused") == []
    [failed] = player.outcome(delivery, 1, "failed", reason="no")
    assert isinstance(failed, DeliveryFailed)
    assert failed.retry_at_ms == 0
    assert names(unlinked(player, TEL)) == ["IdentityUnlinked", "DeliveryDead"]


@pytest.mark.parametrize(
    ("status", "left", "state"),
    [
        ("sent", "DeliverySent", None),
        ("failed", "DeliveryDead", ("dead", f"{MAIL} was unlinked from the customer; before that: busy")),
        ("untaken", "DeliveryDead", ("dead", f"{MAIL} was unlinked from the customer; before that: busy")),
        ("uncertain", "DeliveryUncertain", ("uncertain", "busy")),
        ("refused", "DeliveryDead", ("dead", "busy")),
    ],
)
def test_an_attempt_that_is_under_way_to_an_unlinked_identity_is_the_last(
    status: str, left: str, state: tuple[str, str] | None
) -> None:
    """It cannot be taken back; nor is it made again. The next message to who is meant goes."""
    player = Player()
    player.message(identities=(MAIL, "mailto:ann@example.com"))
    under_way, other = replied(player, "one", to=MAIL), replied(player, "two", to="mailto:ann@example.com")
    assert names(unlinked(player, MAIL)) == ["IdentityUnlinked"]
    assert names(player.outcome(under_way, 1, status, reason="busy")) == [left, "DeliveryAttempted"]
    assert unsent(player) == {**({under_way: state} if state else {}), other: ("attempting", "")}
    assert player.pass_time(1_000_000) == []


def test_a_reply_needs_an_address() -> None:
    """Without an identity on the channel the refusal names the field."""
    player = Player()
    player.message()
    with pytest.raises(Refusal) as refused:
        player.command(Reply(text="x", channel="sms"))
    assert (refused.value.code, refused.value.field) == (Code.INVALID, "channel")
    with pytest.raises(Refusal, match="not this customer's") as refused:
        player.command(Reply(text="x", to="mailto:bob@example.org"))
    assert (refused.value.code, refused.value.field) == (Code.INVALID, "to")
    with pytest.raises(Refusal, match="empty"):
        player.command(Reply(text="  "))


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (Reply(text="x", to=TEL), "to: email reaches no tel identity; name a channel that does, or leave `to` out"),
        (Reply(text="x", channel="sms", to=MAIL), "to: sms reaches no mailto identity"),
        (SwitchChannel(channel="sms", to=MAIL), "to: sms reaches no mailto identity"),
    ],
)
def test_a_channel_speaks_to_whom_it_reaches(command: AnyCommand, said: str) -> None:
    """An agent hears it at once, and not by a dead letter."""
    player = Player()
    player.message(identities=(MAIL, TEL))
    with pytest.raises(Refusal, match=said) as refused:
        player.command(command)
    assert refused.value.field == "to"


def test_a_channel_may_know_people_by_anything() -> None:
    """A chat names its visitors as it likes; and a number of WhatsApp's is one that SMS' provider sends to."""
    player = Player()
    player.message(channel="chat", identities=("chat:1", MAIL, "whatsapp:+447700900123"))
    assert "MessageQueued" in names(player.command(Reply(text="x", channel="chat", to=MAIL)))
    assert "MessageQueued" in names(player.command(Reply(text="x", channel="sms", to="whatsapp:+447700900123")))


def test_one_owner_at_a_time() -> None:
    """Of two agents who take at once, one is told who was first."""
    player = Player()
    player.message()
    player.command(Take(), agent="ann")
    with pytest.raises(Refusal, match="ann owns"):
        player.command(Take(), agent="bob")
    assert names(player.command(Take(force=True), agent="bob")) == ["OwnerChanged"]
    assert names(player.command(Assign(owner=""), agent="bob")) == ["OwnerChanged"]
    assert player.state.conversations[CONVERSATION].owner == ""


def test_context_items_carry_provenance_and_a_version() -> None:
    """A second value of a key is its second version."""
    player = Player()
    player.message()
    player.command(SetContext(key="contract", value="A1"))
    player.command(SetContext(key="contract", value="A2", sensitivity="personal"), agent="bob")
    item = player.state.conversations[CONVERSATION].context["contract"]
    assert (item.value, item.version, item.actor, item.channel) == ("A2", 2, "agent:bob", "email")


def test_a_message_outlives_an_outage_of_an_hour() -> None:
    """By the default policy: a relay's greylisting or a client that is renewed must not make dead letters."""
    policy = Policy()
    waits = [policy.retry_at_ms(tried, 0) for tried in range(1, policy.attempts_max)]
    assert sum(waits) >= 60 * 60_000
    assert waits[0] == 2_000
    assert max(waits) == policy.backoff_max_ms


@pytest.mark.parametrize("backoff_max_ms", [0, 600_000])
def test_a_line_that_fails_is_not_hammered(backoff_max_ms: int) -> None:
    """Whatever the policy says: a pause before each attempt, and a second in the long run."""
    policy = Policy(attempts_max=1000, backoff_ms=0, backoff_max_ms=backoff_max_ms)
    waits = [policy.retry_at_ms(tried, 0) for tried in range(1, policy.attempts_max)]
    assert waits[:5] == [100, 200, 400, 800, 1_000]
    assert set(waits[5:]) == {1_000}


def test_a_pause_that_the_policy_gives_is_as_it_says() -> None:
    """Where it is a second or more, also for the hundredth time."""
    policy = Policy(backoff_ms=1_000, backoff_max_ms=1_500)
    assert [policy.retry_at_ms(tried, 7) for tried in (1, 2, 100)] == [1_007, 1_507, 1_507]


def taken(player: Player, *accounts: str) -> list[AnyEvent]:
    """Clients of these accounts are there."""
    return player.give(TimerDue(CUSTOMER, frozenset(accounts)))


def test_what_nobody_took_goes_out_as_soon_as_somebody_does() -> None:
    """Not before, not for another account's client, in order, and at none of the policy's attempts."""
    player = Player()
    player.message()
    first, second = replied(player, "one"), replied(player, "two")
    [failed] = player.outcome(first, 1, "untaken", reason="nobody is there")
    assert isinstance(failed, DeliveryFailed)
    assert (failed.code, failed.untaken, failed.retry_at_ms) == ("no_taker", True, player.now_ms + 77 * 60_000)
    assert player.pass_time(60_000) == []
    assert taken(player, "chat") == []
    assert names(taken(player, "mail", "chat")) == ["DeliveryAttempted"]
    assert taken(player, "mail") == []
    for attempt in (2, 3):
        failed = player.outcome(first, attempt, "failed")[0]
        assert isinstance(failed, DeliveryFailed)
        assert failed.retry_at_ms - player.now_ms == 1_000 * (attempt - 1)
        assert taken(player, "mail") == []
        player.pass_time(10_000)
    assert names(player.outcome(first, 4, "failed")) == ["DeliveryDead", "DeliveryAttempted"]
    assert names(player.outcome(second, 1, "sent")) == ["DeliverySent"]


def test_a_client_that_comes_and_goes_neither_uses_attempts_up_nor_prolongs_the_wait() -> None:
    """However often it was there for a moment: the wait ends when it would have ended, and then it is a dead letter."""
    player = Player()
    player.message()
    delivery = replied(player)
    end_ms = player.now_ms + player.policy.line_wait_ms
    for attempt in range(1, 50):
        [failed] = player.outcome(delivery, attempt, "untaken")
        assert isinstance(failed, DeliveryFailed)
        assert failed.retry_at_ms == end_ms
        player.now_ms += 1_000
        assert names(taken(player, "mail")) == ["DeliveryAttempted"]
    player.outcome(delivery, 50, "untaken")
    assert journeys.next_due_ms(player.state) == end_ms
    assert names(player.pass_time(end_ms - player.now_ms)) == ["DeliveryAttempted"]
    assert names(player.outcome(delivery, 51, "untaken")) == ["DeliveryDead"]
    assert names(player.command(ReplayDelivery(delivery=delivery))) == ["DeliveryReplayed", "DeliveryAttempted"]
    [failed] = player.outcome(delivery, 52, "untaken")
    assert isinstance(failed, DeliveryFailed)
    assert failed.retry_at_ms == player.now_ms + player.policy.line_wait_ms


def test_dead_letters_do_not_keep_anybody_from_replying() -> None:
    """Whoever died first makes way in memory; what may still leave, or may have left, stays."""
    player = Player()
    player.message(identities=("mailto:ann@example.org", "tel:+447700900123"))
    held = replied(player, channel="sms")
    player.outcome(held, 1, "uncertain")
    dead = []
    for number in range(DELIVERIES_MAX - 1):
        dead.append(replied(player, f"word {number}", channel="email"))
        player.outcome(dead[-1], 1, "refused", code="550", reason="no mailbox")
    known = player.state.conversations[CONVERSATION].deliveries
    assert (len(known), {each.state for each in known.values()}) == (DELIVERIES_MAX, {"uncertain", "dead"})
    newest = [replied(player, text, channel="email") for text in ("one more", "and one")]
    assert [*player.state.conversations[CONVERSATION].deliveries] == [held, *dead[2:], *newest]
    with pytest.raises(Refusal, match="say it anew") as refused:
        player.command(ReplayDelivery(delivery=dead[0]))
    assert refused.value.code == Code.NOT_FOUND
    assert names(player.command(ReplayDelivery(delivery=dead[2]))) == ["DeliveryReplayed"]


@pytest.mark.parametrize("status", REPORTED)
def test_a_report_on_a_dead_letter_that_made_way_says_what_it_would_have(status: str) -> None:
    """That the customer has it takes it off the list of dead ones, once, also after a snapshot; anything else does
    not."""
    player = Player()
    player.message(identities=(MAIL,))
    dead = []
    for _ in range(DELIVERIES_MAX + 2):
        dead.append(replied(player))
        player.outcome(dead[-1], 1, "refused", code="550", reason="no mailbox")
    thawed = snapshots.thaw(snapshots.freeze(player.state))
    assert thawed is not None
    player.state = thawed
    assert dead[1] not in player.state.conversations[CONVERSATION].deliveries
    came = ["DeliverySent"] if status in ARRIVED else []
    assert reported(player, dead[1], channel="email", status=status) == [*came, "DeliveryConfirmed"]
    assert reported(player, dead[1], channel="email", status=status) == ["DeliveryConfirmed"]
    assert player.state.conversations[CONVERSATION].references == (("SM1",) if came else ())


def test_as_many_dead_letters_that_made_way_are_known_as_may_be_kept() -> None:
    """Of an older one a report is noted, and it stays dead."""
    player = Player()
    player.message(identities=(MAIL,))
    dead = []
    for _ in range(2 * DELIVERIES_MAX + 1):
        dead.append(replied(player))
        player.outcome(dead[-1], 1, "refused")
    assert reported(player, dead[0], channel="email") == ["DeliveryConfirmed"]
    assert reported(player, dead[1], channel="email") == ["DeliverySent", "DeliveryConfirmed"]


def test_what_may_still_leave_is_bounded() -> None:
    """One more is refused, with what to do."""
    player = Player()
    player.message()
    first = replied(player)
    for _ in range(DELIVERIES_MAX - 1):
        replied(player)
    with pytest.raises(Refusal, match="see the outbox") as refused:
        player.command(Reply(text="one more"))
    assert refused.value.code == Code.OVER_LIMIT
    player.outcome(first, 1, "refused")
    assert names(player.command(Reply(text="one more"))) == ["MessageQueued"]
