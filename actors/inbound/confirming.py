"""Confirming: what a channel says later of a message that left: it was delivered, read, or came back. Pure.

A report says by its delivery which message it is about, and an account reports on its own messages alone: whoever has
another one's token must not say that a customer has read what they never got.

After a restore from a backup an id may be that of a message which the backup did not know, and of which reports still
come. They are told apart by what the messages say, as far as that is kept and the channel gives the digest back.
"""

from actors.commands.delivery import under_way, untried
from actors.commands.outcomes import decide_report
from actors.rules.policy import Policy
from actors.state import worded
from actors.state.conversation import LEFT_BY_MAX, Conversation
from protocol.errors import Code, Refusal, shown
from protocol.events import AnyEvent, DeliveryConfirmed
from protocol.inbound import DeliveryReport, InboundEvent


def confirm(
    state: Conversation, event: InboundEvent, report: DeliveryReport, policy: Policy, now_ms: int
) -> list[AnyEvent]:
    """The facts that `event`, a report, becomes: of a message that was not known to have left perhaps also that it did,
    or may have. Raises `Refusal` for one on what is no message of the conversation, or another account's, or has not
    left yet."""
    delivery = report.delivery
    number = delivery.rpartition(".")[2]
    if not (number.isascii() and number.isdigit() and len(number) < 10 and 0 < int(number) <= state.head):
        raise _no_message(event, delivery)
    account = _left_by(state, int(number))
    words = worded.digest_at(state.work.worded, int(number)) if state.work else None
    if account == "" or words == "":
        raise _no_message(event, delivery)
    if report.digest and words and report.digest != words:
        text = (
            f"delivery {delivery} says something else than what the report is on: that one left before this server was "
            "restored from a backup, which does not know it"
        )
        raise Refusal(Code.NOT_FOUND, text, ref=event.id, field="data.digest")
    if event.account != account and (account is not None or not _may_have_spoken(state, event.account)):
        text = f"delivery {delivery} did not leave by account {event.account}, which reports on its own alone"
        raise Refusal(Code.UNKNOWN_ACCOUNT, text, ref=event.id, field="data.delivery")
    if untried(state, delivery):
        text = f"delivery {delivery} waits for its first attempt: the report is on another message"
        raise Refusal(Code.NOT_FOUND, text, ref=event.id, field="data.delivery")
    actor = f"account:{event.account}"
    confirmed = DeliveryConfirmed(
        at_ms=now_ms,
        actor=actor,
        delivery=delivery,
        status=report.status,
        code=report.code,
        external_id=report.external_id if under_way(state, delivery) else "",
    )
    return [*decide_report(state, report, policy, now_ms), confirmed]


def _no_message(event: InboundEvent, delivery: str) -> Refusal:
    text = f"no message {shown(delivery)} left this conversation: name the `delivery` of a `deliver` frame"
    return Refusal(Code.NOT_FOUND, text, ref=event.id, field="data.delivery")


def _left_by(state: Conversation, seq: int) -> str | None:
    """The account by which the message that was queued at `seq` left; empty where none was queued so early, None where
    that is forgotten. Of a seq between two messages it is the earlier one's."""
    changes = state.work.left_by if state.work else ()
    for since, account in reversed(changes):
        if since <= seq:
            return account
    return None if len(changes) == LEFT_BY_MAX or not state.whole else ""


def _may_have_spoken(state: Conversation, account: str) -> bool:
    """Whether the conversation had a contact by that account. Where not all of its contacts are in memory, or some are
    in another conversation by now, it may have: a report is not lost for what is forgotten here."""
    known = state.interactions
    return not known or len(known) < state.interaction_count or any(each.account == account for each in known)
