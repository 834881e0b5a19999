"""Delivery rows: the archive's `outbox`, and what changes there with each attempt. Pure."""

from collections.abc import Iterable
from typing import Any, assert_never

from actors.archive.rows import Place, action_row, capped
from protocol import events as ev
from protocol.archive import Patch
from protocol.shards import shard_of


def outbox_row(at: Place, event: ev.MessageQueued) -> Patch:
    """`outbox`: a delivery before its first attempt."""
    return at.new(
        "outbox",
        event.delivery,
        conversation=at.stream,
        customer=at.customer,
        shard=shard_of(at.customer),
        channel=event.channel,
        account=event.account,
        recipient=event.to,
        state="queued",
        attempt=0,
        queued_at_ms=event.at_ms,
        next_at_ms=event.at_ms,
        sent_at_ms=None,
        dead_at_ms=None,
        external_id="",
        code="",
        reason="",
        confirmed="",
    )


def outbox_change(
    at: Place, event: ev.DeliveryAttempted | ev.DeliverySent | ev.DeliveryFailed | ev.DeliveryUncertain
) -> Patch:
    """`outbox`: what an attempt and its outcome change."""
    return Patch("outbox", (event.delivery,), _outbox_columns(event), False, at.position)


def confirmed_row(at: Place, event: ev.DeliveryConfirmed) -> Patch:
    """`outbox`: what a provider said of a message. Its words may come in any order: the one that says most stays."""
    code = {"code": event.code} if event.code else {}  # Else what its attempt came to stays.
    return Patch("outbox", (event.delivery,), code, False, at.position, {"confirmed": event.status})


def _outbox_columns(
    event: ev.DeliveryAttempted | ev.DeliverySent | ev.DeliveryFailed | ev.DeliveryUncertain,
) -> dict[str, Any]:
    match event:
        case ev.DeliveryAttempted():
            return {"state": "attempting", "attempt": event.attempt, "next_at_ms": None}
        case ev.DeliverySent():
            sent = {"state": "sent", "sent_at_ms": event.at_ms, "external_id": event.external_id}
            return {**sent, "next_at_ms": None, "dead_at_ms": None, "code": "", "reason": ""}
        case ev.DeliveryFailed():
            state = "waiting" if event.retry_at_ms else "queued"
            failed = {"state": state, "code": event.code, "reason": event.reason}
            return failed | {"next_at_ms": capped(event.retry_at_ms) or None}
        case ev.DeliveryUncertain():
            state = "waiting" if event.retry_at_ms else "uncertain"
            unsure = {"state": state, "code": event.code, "reason": event.reason}
            return unsure | {"next_at_ms": capped(event.retry_at_ms) or None}
        case _:
            assert_never(event)


def dead_rows(at: Place, event: ev.DeliveryDead) -> Iterable[Patch]:
    """`outbox`, `action`: it waits for a person's word."""
    yield at.change(
        "outbox",
        event.delivery,
        state="dead",
        code=event.code,
        reason=event.reason,
        next_at_ms=None,
        dead_at_ms=event.at_ms,
    )
    yield action_row(at, event, "delivery_dead", event.delivery)


def replayed_rows(at: Place, event: ev.DeliveryReplayed) -> Iterable[Patch]:
    """`outbox`, `action`: a person has it tried again."""
    again = {"state": "queued", "next_at_ms": event.at_ms, "dead_at_ms": None, "confirmed": ""}
    yield at.change("outbox", event.delivery, **again)
    yield action_row(at, event, "delivery_replayed", event.delivery)
