"""Context rows: what is known, what each source says of it, and what a switch of channels did with it. Pure."""

from collections.abc import Iterable
from typing import Any

from actors.archive.rows import Place, as_json
from actors.state.context_items import source_of, value_of
from protocol import events as ev
from protocol.archive import Patch
from protocol.entities import ContextValue


def context_rows(at: Place, event: ev.ContextSet) -> Iterable[Patch]:
    """`context_item`: the value that stands, in the place of the one before; `context_value`: what its source says."""
    said = value_of(event)
    says = _value_columns(said)
    stands, columns = (said, says) if event.stands is None else (event.stands, _value_columns(event.stands))
    yield at.new("context_item", at.stream, event.key, **columns, channel=stands.channel, rule=event.rule)
    channel, source = source_of(said)
    yield at.new("context_value", at.stream, event.key, channel, source, **says)


def withdrawn_rows(at: Place, event: ev.ContextWithdrawn) -> Iterable[Patch]:
    """The source's `context_value` goes, and `context_item` has what stands without it."""
    yield at.drop("context_value", at.stream, event.key, event.channel, event.side)
    if event.stands is None:
        yield at.drop("context_item", at.stream, event.key)
    else:
        columns = _value_columns(event.stands)
        yield at.new("context_item", at.stream, event.key, **columns, channel=event.stands.channel, rule=event.rule)


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
