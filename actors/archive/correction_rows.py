"""Correction rows: what tags, repeat contacts and corrections put in the archive's tables. Pure."""

from collections.abc import Iterable

from actors.archive.rows import Place, as_json
from protocol import events as ev
from protocol.archive import Patch
from protocol.entities import Before, Relation, Tags


def tagged_rows(at: Place, event: ev.InteractionTagged) -> Iterable[Patch]:
    """`interaction`: what it is about; `interaction_key`: the keys that are new. The evidence is in the view `tag`."""
    tags = (("topic", event.topic), ("intent", event.intent), ("product_line", event.product_line))
    columns = {name: tag.value for name, tag in (*tags, ("segment", event.segment)) if tag is not None}
    if columns:
        yield at.change("interaction", at.stream, event.interaction, **columns)
    for key in event.keys:
        yield at.new("interaction_key", at.stream, event.interaction, key)


def repeat_rows(at: Place, event: ev.RepeatContactFound) -> Iterable[Patch]:
    """`repeat_contact`, and the relation it changes."""
    yield at.new(
        "repeat_contact",
        at.stream,
        at.seq,
        interaction=event.interaction,
        earlier=event.earlier,
        topic=event.topic,
        channel=event.channel,
        resolved_at_ms=event.resolved_at_ms,
        at_ms=event.at_ms,
    )
    yield from _related(at, event)


def corrected_rows(at: Place, event: ev.CorrelationCorrected) -> Iterable[Patch]:
    """`correction`, `action`, and the relation and the subject it changes."""
    yield at.new(
        "correction",
        at.stream,
        at.seq,
        kind=event.correction,
        other=event.other,
        interactions=as_json(event.interactions),
        relation=_kind(event.relation),
        previous_relation=_kind(event.previous),
        earlier_channel=event.earlier_channel,
        channel=event.channel,
        actor=event.actor,
        reason=event.reason,
        at_ms=event.at_ms,
    )
    detail = f"{event.correction} {event.other}".strip()
    yield at.new("action", at.stream, at.seq, kind="corrected", actor=event.actor, at_ms=event.at_ms, detail=detail)
    if event.subject is not None:
        yield at.change("conversation", at.stream, subject=event.subject)
    yield from _related(at, event)


def moved_rows(at: Place, event: ev.InteractionMoved) -> Iterable[Patch]:
    """`interaction` and its keys: they are the other conversation's."""
    yield at.drop("interaction", at.stream, event.interaction)
    for key in event.keys:
        yield at.drop("interaction_key", at.stream, event.interaction, key)


def came_rows(at: Place, event: ev.InteractionReceived) -> Iterable[Patch]:
    """`interaction` and its keys, and `moved`: where its messages are."""
    came = event.interaction
    tags, before = came.tags or Tags(), came.before or Before()
    yield at.new(
        "interaction",
        at.stream,
        came.number,
        channel=came.channel,
        account=came.account,
        identity=came.identity,
        direction=came.direction.value,
        session=came.session,
        started_at_ms=came.started_at_ms,
        ended_at_ms=came.ended_at_ms or None,
        end_reason=came.end_reason,
        reason=came.reason,
        topic=tags.topic.value if tags.topic else "",
        intent=tags.intent.value if tags.intent else "",
        product_line=tags.product_line.value if tags.product_line else "",
        segment=tags.segment.value if tags.segment else "",
        prior_actions=before.actions,
        resolution_attempts=before.resolution_attempts,
        unresolved_before=int(before.unresolved),
    )
    for key in tags.keys:
        yield at.new("interaction_key", at.stream, came.number, key)
    yield at.drop("moved", at.stream, came.number)  # It may have come home.
    for origin, number in came.origins:
        yield at.new("moved", origin, number, conversation=at.stream, interaction=came.number, at_ms=event.at_ms)


def _related(at: Place, event: ev.RepeatContactFound | ev.CorrelationCorrected) -> Iterable[Patch]:
    before, after = event.previous, event.relation
    if before is not None:
        yield at.drop("relation", at.stream, before.conversation)
    if after is not None:
        yield at.new(
            "relation", at.stream, after.conversation, kind=after.kind.value, reason=after.reason, at_ms=event.at_ms
        )


def _kind(relation: Relation | None) -> str:
    return relation.kind.value if relation else ""
