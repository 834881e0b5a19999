"""Rows: what each event puts in a table of the archive, one function a table. Pure.

`contents.py` says which event makes which rows; what they hold is here and, by subject, in the files whose names end
in `_rows.py`. `docs/data-model.md` explains the columns.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from actors.archive.timers import timer_changes
from protocol import events as ev
from protocol.archive import Patch
from protocol.entities import Before
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


def attachment_rows(at: Place, event: ev.MessageReceived | ev.AutomaticReplyReceived) -> Iterable[Patch]:
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


def action_row(at: Place, event: ev.AnyEvent, kind: str, detail: str) -> Patch:
    """`action`: what somebody did about it."""
    return at.new("action", at.stream, at.seq, kind=kind, actor=event.actor, at_ms=event.at_ms, detail=detail)


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
