"""Outcomes: what an attempt to send a message came to, and what that means for the message. Pure.

By its outcome, which is whoever made it that says so; by its channel's report, which may come before the outcome or
long after; and where the identity it was for is the customer's no more. What still has to leave, and when, is in
`delivery.py`, where the states are drawn.
"""

from collections.abc import Collection

import msgspec

from actors.commands.delivery import in_line, next_in_line
from actors.rules.policy import Policy
from actors.state.conversation import Conversation
from protocol.entities import Delivery
from protocol.events import (
    AnyEvent,
    DeliveryConfirmed,
    DeliveryDead,
    DeliveryFailed,
    DeliverySent,
    DeliveryUncertain,
)
from protocol.events.event import SYSTEM
from protocol.inbound import ARRIVED, SENT, DeliveryReport
from protocol.links import Outcome

NO_TAKER = "no_taker"
"""The code of a failure for want of someone to take it: who looks for those that wait so finds them by it."""
UNLINKED = "unlinked"
"""The code of what was given up because the identity it was for is the customer's no more."""
NOT_LEFT = "not_left"
"""The code of what was held, and did not leave by any attempt, as a person says."""
NOT_THEIRS = "delivered: the attempt was given to another account's client; this one's hello does not name that"
_SAID_SENT = "its channel says that it was sent, and its attempt that it failed"


def decide_outcome(
    state: Conversation, outcome: Outcome, policy: Policy, now_ms: int, *, parted: Collection[str] = ()
) -> list[AnyEvent]:
    """What an attempt's outcome means. An outcome of another attempt than the newest is an old repeat: [], unless it
    says that one was sent which had been in doubt.

    An attempt that was given up as uncertain may still turn out to have been sent, or refused, or not to have left. One
    for an identity that was unlinked meanwhile (`parted`) is the last.
    """
    delivery = state.deliveries.get(outcome.delivery)
    if delivery is None or not 0 < outcome.attempt <= delivery.attempt:
        return []
    if outcome.attempt < delivery.attempt:
        return _sent_before(state, delivery, outcome, policy, now_ms) if outcome.status == "sent" else []
    if delivery.state != "attempting" and not _is_news(delivery, outcome.status):
        return []
    status = "sent" if _is_out(delivery, outcome.status) else outcome.status
    match status:
        case "sent":
            settled: AnyEvent = _sent(delivery.id, outcome.external_id or delivery.reported_id, now_ms)
        case "failed" | "untaken" if delivery.state == "attempting" and delivery.said_sent:
            settled = _uncertain(delivery, outcome.code, f"{_SAID_SENT}: {outcome.reason}", policy, now_ms)
        case "failed":
            settled = _failed(delivery, outcome, policy, now_ms)
            if delivery.state != "attempting":
                settled = _failed_late(state, delivery, settled, now_ms)
        case "untaken":
            settled = _untaken(delivery, outcome, policy, now_ms)
        case "refused":
            settled = _dead(delivery, outcome.code, outcome.reason, now_ms)
        case _:
            settled = _uncertain(delivery, outcome.code, outcome.reason, policy, now_ms)
    if isinstance(settled, DeliveryFailed) or (isinstance(settled, DeliveryUncertain) and settled.retry_at_ms):
        if delivery.to not in parted:
            return [settled]  # It stays at the head of its line, or takes its place there.
        settled = _not_again(delivery, settled)
    return [settled, *next_in_line(state, delivery.channel, [delivery], now_ms)]


def decide_report(state: Conversation, report: DeliveryReport, policy: Policy, now_ms: int) -> list[AnyEvent]:
    """What a provider's report on a message means for one that is not known to have left: that it did, or may have.

        what is said          nobody knows whether it left    it failed, and is to leave again    it is dead
        delivered, read       it is sent                      it is sent: the customer has it     the same
        sent                  it is sent                      nobody knows: one word is wrong     nothing
        undelivered, bounced  it is sent                      nothing: who says that it did not arrive may have said so
                                                              as its outcome, and it is tried again

    An attempt that is under way has an answer of its own to come; see `_is_out` and `said_sent`.
    """
    delivery = state.deliveries.get(report.delivery)
    if delivery is None and report.status in ARRIVED and _made_way(state, report.delivery):
        return [_sent(report.delivery, report.external_id, now_ms)]
    if delivery is None or delivery.state == "attempting":
        return []
    if _in_doubt(delivery) or delivery.doubted or report.status in ARRIVED:
        settled: AnyEvent = _sent(delivery.id, report.external_id, now_ms)
    elif report.status == SENT and delivery.state in ("queued", "waiting"):
        settled = _in_doubt_after_all(delivery, policy, now_ms)
        if delivery.state == "waiting" and settled.retry_at_ms:
            return [settled]
    else:
        return []
    return [settled, *next_in_line(state, delivery.channel, [delivery], now_ms)]


def give_up_for(state: Conversation, identities: Collection[str], now_ms: int) -> list[AnyEvent]:
    """Gives up what has not left for identities that are unlinked: whoever answers there is somebody else. What may
    have left, by whichever attempt, is held."""
    over = [d for d in state.deliveries.values() if d.to in identities and d.state in ("queued", "waiting")]
    events = [_given_up(each, now_ms) for each in over]
    for channel in dict.fromkeys(each.channel for each in over):
        events += next_in_line(state, channel, over, now_ms)
    return events


def _sent(delivery: str, external_id: str, now_ms: int) -> DeliverySent:
    return DeliverySent(at_ms=now_ms, actor=SYSTEM, delivery=delivery, external_id=external_id)


def _made_way(state: Conversation, delivery: str) -> bool:
    """Whether it is a dead letter that left memory."""
    return state.work is not None and any(f"{state.id}.{seq}" == delivery for seq in state.work.given_up)


def _sent_before(
    state: Conversation, delivery: Delivery, outcome: Outcome, policy: Policy, now_ms: int
) -> list[AnyEvent]:
    """What it means that an attempt before the newest was sent: what a report means that says so."""
    if not delivery.doubted:
        return []
    report = DeliveryReport(delivery=delivery.id, status="sent", external_id=outcome.external_id)
    if delivery.state != "attempting":
        return decide_report(state, report, policy, now_ms)
    if delivery.reported:
        return []
    confirmed = DeliveryConfirmed(
        at_ms=now_ms, actor=SYSTEM, delivery=delivery.id, status=report.status, external_id=report.external_id
    )
    return [confirmed]


def _in_doubt(delivery: Delivery) -> bool:
    """Whether its newest attempt is over, and may have left."""
    if delivery.state == "uncertain":
        return not delivery.earlier
    return delivery.state in ("queued", "waiting") and delivery.unsure


def _is_out(delivery: Delivery, status: str) -> bool:
    """Whether the message left although its attempt does not say so: its channel reported on it meanwhile. What surely
    did not leave by this attempt then did by an earlier one, if that was in doubt; and what the customer has left."""
    return delivery.arrived or (delivery.reported and (status == "uncertain" or delivery.doubted))


def _is_news(delivery: Delivery, status: str) -> bool:
    """Whether an outcome says something of an attempt that was settled before."""
    if status == "failed":  # Once more it says nothing new to what its channel said since.
        return _in_doubt(delivery) and not delivery.said_sent
    if status == "refused":  # One that an operator sends again may not be refused the next time.
        return delivery.state == "waiting" or (delivery.state == "uncertain" and not delivery.earlier)
    # Also of a dead letter: whoever called it one, by another's word, did not make the attempt. And of one that is in
    # the line anew.
    return status == "sent"


def _failed_late(state: Conversation, delivery: Delivery, failed: AnyEvent, now_ms: int) -> AnyEvent:
    """What a failure means that ends a doubt. Who is to be tried again stays so; who was held takes their place in the
    line, of which the others had gone on."""
    if not isinstance(failed, DeliveryFailed):
        return failed
    if delivery.state == "waiting":
        return msgspec.structs.replace(failed, retry_at_ms=delivery.next_at_ms)
    if not state.live:
        return _dead(delivery, failed.code, f"the conversation is closed; before that: {failed.reason}", now_ms)
    if in_line(state, delivery.channel):
        return msgspec.structs.replace(failed, retry_at_ms=0)
    return failed


def _failed(delivery: Delivery, outcome: Outcome, policy: Policy, now_ms: int) -> AnyEvent:
    tried = delivery.attempt - delivery.attempts_before
    if tried >= policy.attempts_max:
        return _dead(delivery, outcome.code, f"gave up after {tried} attempts: {outcome.reason}", now_ms)
    return DeliveryFailed(
        at_ms=now_ms,
        actor=SYSTEM,
        delivery=delivery.id,
        code=outcome.code,
        reason=outcome.reason,
        retry_at_ms=policy.retry_at_ms(max(tried, 1), now_ms),  # None where it was replayed, and is in the line.
    )


def _untaken(delivery: Delivery, outcome: Outcome, policy: Policy, now_ms: int) -> AnyEvent:
    until_ms = delivery.untaken_until_ms or now_ms + policy.line_wait_ms
    if until_ms <= now_ms:
        return _dead(delivery, NO_TAKER, f"gave up, as {outcome.reason}", now_ms)
    return DeliveryFailed(
        at_ms=now_ms,
        actor=SYSTEM,
        delivery=delivery.id,
        code=NO_TAKER,
        reason=outcome.reason,
        retry_at_ms=until_ms,
        untaken=True,
    )


def _uncertain(delivery: Delivery, code: str, reason: str, policy: Policy, now_ms: int) -> DeliveryUncertain:
    tried = delivery.attempt - delivery.attempts_before
    retry = policy.channel(delivery.channel).uncertain == "retry" and tried < policy.attempts_max
    return DeliveryUncertain(
        at_ms=now_ms,
        actor=SYSTEM,
        delivery=delivery.id,
        code=code,
        reason=reason,
        retry_at_ms=policy.retry_at_ms(max(tried, 1), now_ms) if retry else 0,
    )


def _in_doubt_after_all(delivery: Delivery, policy: Policy, now_ms: int) -> DeliveryUncertain:
    """What surely had not left, until its channel said that it was sent. One whose turn is yet to come is held: what is
    tried again by itself waits at the head of its line."""
    reason = f"{_SAID_SENT}: {delivery.reason}" if delivery.reason else _SAID_SENT
    uncertain = _uncertain(delivery, "", reason, policy, now_ms)
    return uncertain if delivery.state == "waiting" else msgspec.structs.replace(uncertain, retry_at_ms=0)


def _dead(delivery: Delivery, code: str, reason: str, now_ms: int) -> AnyEvent:
    """What is not tried again: dead where it surely did not leave, held where an attempt before the newest may have
    sent it."""
    if not delivery.doubted:
        return DeliveryDead(at_ms=now_ms, actor=SYSTEM, delivery=delivery.id, code=code, reason=reason)
    return DeliveryUncertain(
        at_ms=now_ms,
        actor=SYSTEM,
        delivery=delivery.id,
        code=code,
        reason=f"{reason}; an earlier attempt may have sent it",
        earlier=True,
    )


def _not_again(delivery: Delivery, settled: DeliveryFailed | DeliveryUncertain) -> AnyEvent:
    """What would be tried again, and is not: whether it left is as unknown as it was."""
    if isinstance(settled, DeliveryUncertain):
        return msgspec.structs.replace(settled, retry_at_ms=0)
    return _dead(delivery, UNLINKED, f"{_unlinked(delivery)}; before that: {settled.reason}", settled.at_ms)


def _given_up(delivery: Delivery, now_ms: int) -> AnyEvent:
    if delivery.unsure:
        reason = _unlinked(delivery) + (f"; before that: {delivery.reason}" if delivery.reason else "")
        return DeliveryUncertain(at_ms=now_ms, actor=SYSTEM, delivery=delivery.id, code=UNLINKED, reason=reason)
    return _dead(delivery, UNLINKED, _unlinked(delivery), now_ms)


def _unlinked(delivery: Delivery) -> str:
    return f"{delivery.to} was unlinked from the customer"
