"""Rows: what each event puts in a table of the archive, one function a table. Pure.

`projection.py` says which event makes which rows; here is what they hold. `docs/data-model.md` explains the columns.
"""

from collections.abc import Iterable
from typing import Any, assert_never

import msgspec
from msgspec import Struct

from actors.knowing import source_of, value_of
from actors.timers import timer_changes
from protocol import events as ev
from protocol.archive import Patch
from protocol.entities import Before, ContextValue
from protocol.identities import kind_of
from protocol.shards import shard_of

INT_MAX = 2**63 - 1
"""SQLite's and PostgreSQL's largest integer. Times from outside can be larger, and must not stop the archive."""

_json = msgspec.json.Encoder()


class Place(Struct, frozen=True, gc=False):
    """Where an event stands; makes patches that follow from it."""

    position: int
    customer: str
    stream: str
    seq: int

    def new(self, table: str, *key: str | int, **values: Any) -> Patch:
        """A whole new row."""
        return Patch(table, key, values, True, self.position)

    def change(self, table: str, *key: str | int, **values: Any) -> Patch:
        """Some columns of a row."""
        return Patch(table, key, values, False, self.position)

    def drop(self, table: str, *key: str | int) -> Patch:
        """The row goes."""
        return Patch(table, key, None, False, self.position)


def attachment_rows(at: Place, event: ev.MessageReceived) -> Iterable[Patch]:
    """`attachment`: the files that came with a message."""
    for n, file in enumerate(event.attachments):
        yield at.new(
            "attachment",
            at.stream,
            at.seq,
            n,
            name=file.name,
            media_type=file.media_type,
            size_bytes=capped(file.size_bytes),
            sha256=file.sha256,
            url=file.url,
        )


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


def _outbox_columns(
    event: ev.DeliveryAttempted | ev.DeliverySent | ev.DeliveryFailed | ev.DeliveryUncertain,
) -> dict[str, Any]:
    match event:
        case ev.DeliveryAttempted():
            return {"state": "attempting", "attempt": event.attempt, "next_at_ms": None}
        case ev.DeliverySent():
            sent = {"state": "sent", "sent_at_ms": event.at_ms, "external_id": event.external_id}
            return {**sent, "next_at_ms": None, "code": "", "reason": ""}
        case ev.DeliveryFailed():
            failed = {"state": "waiting", "code": event.code, "reason": event.reason}
            return failed | {"next_at_ms": capped(event.retry_at_ms) or None}
        case ev.DeliveryUncertain():
            state = "waiting" if event.retry_at_ms else "uncertain"
            return {"state": state, "reason": event.reason, "next_at_ms": capped(event.retry_at_ms) or None}
        case _:
            assert_never(event)


def interaction_row(at: Place, event: ev.InteractionStarted) -> Patch:
    """`interaction`: a contact that goes on."""
    before = event.before or Before()
    return at.new(
        "interaction",
        at.stream,
        event.interaction,
        channel=event.channel,
        account=event.account,
        identity=event.identity,
        direction=event.direction.value,
        session=event.session,
        started_at_ms=event.at_ms,
        ended_at_ms=None,
        end_reason="",
        reason=event.reason,
        topic="",
        intent="",
        product_line="",
        segment="",
        prior_actions=before.actions,
        resolution_attempts=before.resolution_attempts,
        unresolved_before=int(before.unresolved),
    )


def context_rows(at: Place, event: ev.ContextSet) -> Iterable[Patch]:
    """`context_item`: the value that stands, in the place of the one before; `context_value`: what its source says."""
    said = value_of(event)
    says = _value_columns(said)
    stands, columns = (said, says) if event.stands is None else (event.stands, _value_columns(event.stands))
    yield at.new("context_item", at.stream, event.key, **columns, channel=stands.channel, rule=event.rule)
    channel, source = source_of(said)
    yield at.new("context_value", at.stream, event.key, channel, source, **says)


def _value_columns(value: ContextValue) -> dict[str, Any]:
    return {
        "value": as_json(value.value),
        "interaction": value.interaction,
        "actor": value.actor,
        "at_ms": value.at_ms,
        "sensitivity": value.sensitivity,
        "version": value.version,
        "verified": int(value.verified),
        "came_from": value.came_from,
    }


def switch_row(at: Place, event: ev.ChannelSwitched) -> Patch:
    """`channel_switch`: one switch of a conversation's channel."""
    return at.new(
        "channel_switch",
        at.stream,
        at.seq,
        from_channel=event.from_channel,
        to_channel=event.to_channel,
        interaction=event.interaction,
        caused_by=event.by,
        actor=event.actor,
        at_ms=event.at_ms,
        continuity=event.continuity,
        rule=event.rule,
        policy=event.policy,
        required=as_json(event.required),
        missing=as_json(event.missing),
        missing_count=len(event.missing),
        items_before=event.items_before,
        items_after=event.items_after,
        kept=event.kept,
        proof_before=event.proof_before,
        proof_after=event.proof_after,
        reason=event.reason,
    )


def withheld_rows(at: Place, event: ev.ContextWithheld) -> Iterable[Patch]:
    """`context_withheld`: items that were not to be said on a channel."""
    for key in event.keys:
        yield at.new(
            "context_withheld",
            at.stream,
            at.seq,
            key,
            channel=event.channel,
            rule=event.rule,
            policy=event.policy,
            at_ms=event.at_ms,
        )


def handoff_row(at: Place, event: ev.HandoffOffered) -> Patch:
    """`handoff`: an offer that waits for its answer."""
    return at.new(
        "handoff",
        at.stream,
        event.lease,
        kind=event.kind,
        state="offered",
        giver=event.giver,
        offered_to=event.to,
        continuity=event.continuity,
        sha256=event.sha256,
        items=len(event.package.items),
        missing=as_json(event.package.missing),
        seq=at.seq,
        offered_at_ms=event.at_ms,
        expires_at_ms=capped(event.expires_at_ms),
        ended_at_ms=None,
        ended_by="",
        reason="",
        policy=event.policy,
    )


def handoff_end(
    at: Place, event: ev.HandoffAccepted | ev.HandoffDeclined | ev.HandoffExpired | ev.HandoffWithdrawn
) -> Iterable[Patch]:
    """`handoff` after its end, and the `action` it was."""
    state, more = "accepted", {}
    match event:
        case ev.HandoffAccepted():
            more = {"continuity": event.continuity}
        case ev.HandoffDeclined():
            state, more = "declined", {"reason": event.reason}
        case ev.HandoffExpired():
            state = "expired"
        case ev.HandoffWithdrawn():
            state, more = "withdrawn", {"reason": event.reason}
        case _:
            assert_never(event)
    yield at.change(
        "handoff", at.stream, event.lease, state=state, ended_at_ms=event.at_ms, ended_by=event.actor, **more
    )
    yield action_row(at, event, f"handoff_{state}", more.get("reason", ""))


def action_row(at: Place, event: ev.AnyEvent, kind: str, detail: str) -> Patch:
    """`action`: what somebody did about it."""
    return at.new("action", at.stream, at.seq, kind=kind, actor=event.actor, at_ms=event.at_ms, detail=detail)


def identity_row(at: Place, event: ev.IdentityLinked) -> Patch:
    """`identity`: whose it is, and why."""
    return at.new(
        "identity",
        event.identity,
        customer=at.customer,
        kind=kind_of(event.identity),
        evidence=event.evidence,
        verified=int(event.verified),
        confidence=event.confidence,
        account=event.account,
        linked_by=event.actor,
        linked_at_ms=event.at_ms,
    )


def review_row(at: Place, event: ev.IdentityConflictFound) -> Patch:
    """`identity_review`: a conflict for a person to look at."""
    return at.new(
        "identity_review",
        at.customer,
        event.identity,
        event.other,
        kind=event.kind,
        evidence=event.evidence,
        verified=int(event.verified),
        confidence=event.confidence,
        found_by=event.actor,
        found_at_ms=event.at_ms,
        closed_by="",
        closed_at_ms=None,
        reason="",
    )


def review_closed(event: ev.IdentityReviewClosed) -> dict[str, Any]:
    """The columns of `identity_review` that its end changes."""
    return {"closed_by": event.actor, "closed_at_ms": event.at_ms, "reason": event.reason}


def quarantine_row(at: Place, event: ev.InputQuarantined) -> Patch:
    """`quarantine`: a refused input, whole."""
    return at.new(
        "quarantine",
        event.quarantine,
        stream=at.stream,
        seq=at.seq,
        account=event.account,
        source=event.source,
        id=event.id,
        code=event.code,
        field=event.field,
        reason=event.reason,
        raw=event.raw,
        received_ms=capped(event.received_ms),
        at_ms=event.at_ms,
        rule=event.rule,
        product_line=event.product_line,
        policy=event.policy,
        replaying_at_ms=None,
        edited=None,
        refused_code=0,
        refused_field="",
        refused_reason="",
        replayed_at_ms=None,
        replayed_stream="",
        replayed_seq=0,
    )


def timer_rows(at: Place, event: ev.AnyEvent) -> Iterable[Patch]:
    """`timer`: those that the event sets and clears."""
    for kind, due_ms in timer_changes(event):
        if due_ms is None:
            yield at.drop("timer", at.stream, kind)
        else:
            shard = shard_of(at.customer)
            yield at.new("timer", at.stream, kind, customer=at.customer, shard=shard, due_ms=capped(due_ms))


def capped(value: int) -> int:
    """A whole number that fits a column."""
    return min(value, INT_MAX)


def as_json(value: object) -> str:
    """JSON text. What MessagePack carries and JSON can't (extension types, keys that are neither text nor number)
    becomes its description: the journal has the original."""
    try:
        return _json.encode(value).decode()
    except TypeError:
        return _json.encode(_plain(msgspec.to_builtins(value, enc_hook=repr))).decode()


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key if isinstance(key, str) else repr(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
