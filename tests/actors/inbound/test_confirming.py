"""Reports on messages that left: each account speaks of its own, however long ago they left, and of nothing else."""

import pytest

from actors.state.conversation import LEFT_BY_MAX
from actors.state.recent import EVENTS_MAX
from actors.state.worded import MESSAGES_MAX
from protocol.commands import Reply, Resolve, Split
from protocol.errors import SHOWN_MAX, Code, Refusal
from protocol.events import AnyEvent, MessageQueued
from protocol.inbound import DeliveryReport
from protocol.wording import digest_of
from tests.actors.player import CONVERSATION, CUSTOMER, POLICY, Player, names


def report(player: Player, delivery: str, account: str, digest: str = "") -> list[AnyEvent]:
    """What the account's channel says became of a message."""
    said = DeliveryReport(delivery=delivery, status="read", digest=digest)
    return player.give(player.input(said, channel="email", account=account, identities=()))


@pytest.mark.parametrize("state", ["under way", "sent", "sent long ago"])
def test_an_account_reports_on_what_left_by_it_alone(state: str) -> None:
    """Another one's report changes nothing: whoever has that one's token speaks of its own messages."""
    player = Player()
    player.message()
    queued = next(event for event in player.command(Reply(text="hello")) if isinstance(event, MessageQueued))
    if state != "under way":
        player.outcome(queued.delivery, 1, "sent")
    if state == "sent long ago":
        for number in range(EVENTS_MAX):
            player.message(f"word {number}")
    head = player.state.conversations[CONVERSATION].head
    with pytest.raises(Refusal, match="did not leave by account chat") as refused:
        report(player, queued.delivery, "chat")
    assert (refused.value.code, refused.value.field) == (Code.UNKNOWN_ACCOUNT, "data.delivery")
    assert player.state.conversations[CONVERSATION].head == head
    assert names(report(player, queued.delivery, "mail")) == ["DeliveryConfirmed"]


@pytest.mark.parametrize("number", ["0", "9", "-1", "1e1", "²", "", "1" * 5000])
def test_a_report_on_no_message_is_refused(number: str) -> None:
    """It would be a fact of the conversation, as long as whoever sends it likes."""
    player = Player()
    player.message()
    player.command(Reply(text="hello"))
    with pytest.raises(Refusal, match=r"no message .* left this conversation") as refused:
        report(player, f"{CONVERSATION}.{number}", "mail")
    assert refused.value.code is Code.NOT_FOUND
    assert len(refused.value.message) < 400


@pytest.mark.parametrize("words_since", [0, EVENTS_MAX])
def test_each_account_of_a_conversation_reports_on_its_own(words_since: int) -> None:
    """However long ago a message left: what came since has nothing to do with who may speak of it."""
    player = Player()
    player.message(identities=("mailto:ann@example.org", "tel:+447700900123"))
    left: list[tuple[str, str, str]] = []
    for channel, account, other in (("email", "mail", "sms"), ("sms", "sms", "mail"), ("email", "mail", "sms")) * 2:
        events = player.command(Reply(text="hello", channel=channel))
        [queued] = [event for event in events if isinstance(event, MessageQueued)]
        player.outcome(queued.delivery, 1, "sent")
        left.append((queued.delivery, account, other))
    for number in range(words_since):
        player.message(f"word {number}")
    for delivery, account, other in left:
        with pytest.raises(Refusal, match=f"did not leave by account {other}"):
            report(player, delivery, other)
        assert names(report(player, delivery, account)) == ["DeliveryConfirmed"]


def test_a_report_on_what_never_was_names_it_cut() -> None:
    """What comes as an id may have any length; it went back whole."""
    player = Player()
    player.message()
    with pytest.raises(Refusal, match=f"^conversation {CUSTOMER}-{'1' * (SHOWN_MAX - len(CUSTOMER) - 1)}… is closed"):
        report(player, f"{CUSTOMER}-{'1' * 5000}.1", "mail")


def test_a_report_on_what_came_before_the_first_message_is_refused() -> None:
    """No message of ours has that number."""
    player = Player()
    player.message()
    player.command(Reply(text="hello"))
    with pytest.raises(Refusal, match=r"no message .* left this conversation"):
        report(player, f"{CONVERSATION}.1", "mail")


def test_by_which_accounts_messages_left_is_bounded() -> None:
    """Of the oldest ones any account may report that the conversation had a contact by; of the others their own."""
    player = Player()
    player.message(identities=("mailto:ann@example.org", "tel:+447700900123"))
    left: list[tuple[str, str]] = []
    for number in range(LEFT_BY_MAX + 1):
        channel, account = ("email", "mail") if number % 2 else ("sms", "sms")
        events = player.command(Reply(text="hello", channel=channel))
        [queued] = [event for event in events if isinstance(event, MessageQueued)]
        player.outcome(queued.delivery, 1, "sent")
        left.append((queued.delivery, account))
    work = player.state.conversations[CONVERSATION].work
    assert work is not None
    assert len(work.left_by) == LEFT_BY_MAX
    oldest, second = left[:2]
    assert names(report(player, oldest[0], "mail")) == ["DeliveryConfirmed"]
    with pytest.raises(Refusal, match="did not leave by account chat"):
        report(player, oldest[0], "chat")
    with pytest.raises(Refusal, match="did not leave by account sms"):
        report(player, second[0], "sms")


def test_what_left_by_a_contact_that_is_elsewhere_by_now_is_reported_on() -> None:
    """The conversation does not know any more by which accounts it spoke; a report is not lost for that."""
    player = Player()
    player.message(identities=("mailto:ann@example.org", "tel:+447700900123"))
    player.message(channel="sms", identities=("tel:+447700900123",))
    [queued, *_] = player.command(Reply(text="hello", channel="email"))
    assert isinstance(queued, MessageQueued)
    player.outcome(queued.delivery, 1, "sent")
    player.command(Split(interactions=[1]))
    for number in range(EVENTS_MAX):
        player.message(
            f"word {number}", channel="sms", identities=("tel:+447700900123",), in_reply_to=[queued.delivery]
        )
    assert names(report(player, queued.delivery, "mail")) == ["DeliveryConfirmed"]


@pytest.mark.parametrize("state", ["under way", "in doubt", "sent", "closed"])
def test_a_report_on_a_message_that_a_restore_lost_is_not_taken_for_its_heirs(state: str) -> None:
    """It has the id, and says something else: the report settles nothing of it. One without a digest is believed."""
    player = Player()
    player.message()
    [queued, *_] = player.command(Reply(text="hello"))
    assert isinstance(queued, MessageQueued)
    if state != "under way":
        player.outcome(queued.delivery, 1, "uncertain" if state == "in doubt" else "sent")
    if state == "closed":
        player.command(Resolve())
        player.pass_time(POLICY.close_after_resolved_ms)
    with pytest.raises(Refusal, match="says something else than what the report is on") as refused:
        report(player, queued.delivery, "mail", digest_of(queued.to, queued.subject, "what was lost"))
    assert (refused.value.code, refused.value.field) == (Code.NOT_FOUND, "data.digest")
    own = digest_of(queued.to, queued.subject, queued.text)
    settled = ["DeliverySent"] if state == "in doubt" else []
    assert names(report(player, queued.delivery, "mail", own)) == [*settled, "DeliveryConfirmed"]
    assert names(report(player, queued.delivery, "mail")) == ["DeliveryConfirmed"]


def test_a_report_on_what_is_no_message_any_more_is_refused() -> None:
    """Something else happened at its seq since the restore."""
    player = Player()
    player.message()
    [queued, *_] = player.command(Reply(text="hello"))
    assert isinstance(queued, MessageQueued)
    player.outcome(queued.delivery, 1, "sent")
    head = player.state.conversations[CONVERSATION].head
    with pytest.raises(Refusal, match=r"no message .* left this conversation"):
        report(player, f"{CONVERSATION}.{head}", "mail")


def test_of_what_left_long_ago_any_words_are_believed() -> None:
    """Nobody knows them any more, and a report is not lost for that."""
    player = Player()
    player.message()
    [oldest, *_] = player.command(Reply(text="hello"))
    assert isinstance(oldest, MessageQueued)
    player.outcome(oldest.delivery, 1, "sent")
    for number in range(MESSAGES_MAX):
        [queued, *_] = player.command(Reply(text=f"hello {number}"))
        assert isinstance(queued, MessageQueued)
        player.outcome(queued.delivery, 1, "sent")
    assert names(report(player, oldest.delivery, "mail", "00000000")) == ["DeliveryConfirmed"]
