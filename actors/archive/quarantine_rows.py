"""Quarantine rows: a refused input, and how it comes in after all. Pure."""

from collections.abc import Iterable

from actors.archive.rows import Place, action_row, capped
from protocol import events as ev
from protocol.archive import Patch


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


def begun_rows(at: Place, event: ev.ReplayBegun) -> Iterable[Patch]:
    """`quarantine`, `action`: it is on its way in, as it was or as it was edited to."""
    edited = event.raw or None
    yield at.change("quarantine", event.quarantine, replaying_at_ms=event.at_ms, edited=edited)
    yield action_row(at, event, "replay_begun", event.quarantine)


def came_in_rows(at: Place, event: ev.QuarantineReplayed) -> Iterable[Patch]:
    """`quarantine`, `action`: where it came in."""
    yield at.change(
        "quarantine",
        event.quarantine,
        replayed_at_ms=event.at_ms,
        replaying_at_ms=None,
        replayed_stream=event.stream,
        replayed_seq=event.seq,
    )
    yield action_row(at, event, "quarantine_replayed", event.quarantine)


def refused_again_rows(at: Place, event: ev.ReplayRefused) -> Iterable[Patch]:
    """`quarantine`, `action`: why it did not."""
    refused = {"refused_code": event.code, "refused_field": event.field, "refused_reason": event.reason}
    yield at.change("quarantine", event.quarantine, replaying_at_ms=None, **refused)
    yield action_row(at, event, "replay_refused", event.quarantine)


def erased_rows(at: Place, event: ev.InputErased) -> Iterable[Patch]:
    """`quarantine`, `action`: it is forgotten, and on its way in no more."""
    yield at.change("quarantine", event.quarantine, replaying_at_ms=None)
    yield action_row(at, event, "input_erased", event.quarantine)
