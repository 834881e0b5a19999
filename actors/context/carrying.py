"""Carrying over: what a new conversation takes along from the earlier one that it is related to. Pure.

    a conversation in memory ─┐
                              ├─ Kept ── carry, by the policy ──▶ CarryOver (what was done) and items (what was known)
    bytes of one that left ───┘

Memory holds the newest closed conversations whole. Of those that leave it, what another may yet take along stays as a
few bytes, where there is any (`pack`). What the policy leaves behind is named in the fact that opens the new one.
"""

from collections.abc import Collection, Sequence

import msgspec
from msgspec import Struct

from actors.inbound.relating import spell
from actors.rules.context import CarryRules
from actors.state import recent
from actors.state.context_items import Given, drop, item_of, put, source_of, values_of
from actors.state.conversation import Conversation, name_speakers
from protocol.entities import CarryOver, ContextItem, ContextValue, PriorAction, RelationKind, Status
from protocol.events import (
    AnyEvent,
    ContextSet,
    ContextWithdrawn,
    ConversationReopened,
    ConversationResolved,
    CorrelationCorrected,
    MessageQueued,
    NoteAdded,
    QueueChanged,
)
from protocol.ids import customer_of

PRIOR_ACTIONS = 5
"""Actions of the earlier conversation that a new one takes along: what was tried last."""
DETAIL_MAX = 120
KEPT_MAX = 12
"""Conversations that left memory of which something is kept; of older ones the archive alone knows."""
KEPT_BYTES_MAX = 4096
"""Of each: over it the items that were said first are dropped, and `Kept.crowded` says how many."""
LEFT_NAMED_MAX = 64
"""Keys named as left behind; a conversation with more of them is told from its number of items."""


class Kept(Struct, array_like=True, frozen=True, gc=False):
    """What may be carried over from one conversation."""

    done: CarryOver
    at_ms: int
    """When it last changed."""
    context: list[ContextItem] = []
    crowded: int = 0
    """Items that found no room here."""
    worked: bool = False
    """Whether anything was done, there or in what it took along itself."""


class Carried(Struct, frozen=True, gc=False):
    """What a new conversation begins with: the account of it, and the items as they were given."""

    over: CarryOver | None = None
    items: Sequence[Given] = ()


NOTHING = Carried()

_event = msgspec.msgpack.Decoder(AnyEvent).decode
_encode = msgspec.msgpack.Encoder().encode
_kept = msgspec.msgpack.Decoder(Kept).decode


def of_conversation(earlier: Conversation) -> Kept:
    """What may be carried over from a conversation that is in memory."""
    work = earlier.work
    done = CarryOver(
        conversation=earlier.id,
        subject=earlier.subject,
        topic=earlier.tags.topic.value if earlier.tags and earlier.tags.topic else "",
        unresolved=earlier.live and earlier.status is not Status.RESOLVED,
        resolution_attempts=work.resolutions if work else 0,
        actions=_actions(earlier) if work else [],
    )
    worked = work is not None and bool(work.actions or work.carried)
    context = name_speakers(earlier, earlier.interactions)
    return Kept(done, earlier.updated_at_ms, list(context.values()), worked=worked)


def pack(leaving: Conversation) -> bytes:
    """What is kept of a conversation that leaves memory: empty where nothing was known or done."""
    kept = of_conversation(leaving)
    if not kept.context and not kept.worked:
        return b""
    items = sorted(kept.context, key=lambda item: item.at_ms)
    while len(packed := _encode(kept)) > KEPT_BYTES_MAX and items:
        # Half of them at a time: how long an item is shows only once it is encoded.
        gone = (len(items) + 1) // 2
        del items[:gone]
        kept = msgspec.structs.replace(kept, context=list(items), crowded=kept.crowded + gone)
    return packed


def unpack(packed: bytes) -> Kept:
    """What `pack` kept."""
    return _kept(packed)


Correction = ContextSet | ContextWithdrawn | CorrelationCorrected
"""What an unmerge says of a conversation that left memory: of what is kept of it, that changes something."""


def corrected(packed: bytes, event: Correction) -> bytes:
    """What is kept, without another person's word; one's own may stand again in its place."""
    kept = _kept(packed)
    known = {item.key: item for item in kept.context}
    match event:
        case ContextSet():
            known[event.key] = put(known.get(event.key), event)
        case ContextWithdrawn():
            known = drop(known, event)
        case CorrelationCorrected(subject=str() as subject):
            kept = msgspec.structs.replace(kept, done=msgspec.structs.replace(kept.done, subject=subject))
        case CorrelationCorrected():
            pass
    return _encode(msgspec.structs.replace(kept, context=list(known.values())))


def own(kept: Kept, customers: Collection[str], conversations: Sequence[Conversation]) -> Kept:
    """What was said in conversations of these customers, or by a contact of theirs that came from another's: not what
    had come along from another's else. `conversations` are theirs that are in memory."""
    context: list[ContextItem] = []
    for item in kept.context:
        values = [
            value
            for value in values_of(item)
            if not value.came_from
            or customer_of(value.came_from) in customers
            or _was_said_in_one(conversations, item.key, value)
        ]
        if values:
            context.append(item if len(values) == 1 + len(item.others) else item_of(item.key, values, item.rule))
    return msgspec.structs.replace(kept, context=context)


def _was_said_in_one(conversations: Sequence[Conversation], key: str, word: ContextValue) -> bool:
    """Whether a contact said it that is there by now: what it says goes with it."""
    return any(
        not value.came_from and (source_of(value), value.at_ms) == (source_of(word), word.at_ms)
        for conversation in conversations
        if (item := conversation.context.get(key)) is not None
        for value in values_of(item)
    )


def carry(kept: Kept | None, kind: RelationKind, rules: CarryRules, now_ms: int) -> Carried:
    """What a conversation that is `kind` to the earlier one takes along, by the policy's rules."""
    if kept is None:
        return NOTHING
    over = kept.done
    if not rules.within_ms or not (kept.context or kept.crowded):
        return Carried(over) if kept.worked else NOTHING
    recent_enough = now_ms - kept.at_ms <= rules.within_ms
    taken = [item for item in kept.context if recent_enough and rules.takes(item.key, kind.value)]
    left = sorted(item.key for item in kept.context if item not in taken)
    over = msgspec.structs.replace(
        over,
        items=len(taken),
        left=left[:LEFT_NAMED_MAX],
        crowded=kept.crowded,
        rule=rules.spelled(kind.value) if recent_enough else f"carry_over: within {spell(rules.within_ms)}",
    )
    return Carried(over, [given for item in taken for given in _given(item, over.conversation)])


def _given(item: ContextItem, earlier: str) -> list[Given]:
    """Each source's word, as it was said then and there."""
    return [
        Given(
            key=item.key,
            value=value.value,
            actor=value.actor,
            channel=value.channel,
            sensitivity=value.sensitivity,
            verified=value.verified,
            said_at_ms=value.at_ms,
            came_from=value.came_from or earlier,
            said_by=value.said_by,
        )
        for value in sorted(values_of(item), key=lambda value: value.version)
    ]


def _actions(earlier: Conversation) -> list[PriorAction]:
    found: list[PriorAction] = []
    for encoded in recent.events(earlier.recent):
        match event := _event(encoded):
            case ConversationResolved(reason=detail) | ConversationReopened(reason=detail) | QueueChanged(queue=detail):
                found.append(_action(event, detail))
            case MessageQueued(channel=detail):
                found.append(_action(event, detail))
            case NoteAdded():
                found.append(_action(event, ""))  # Its words are in the earlier conversation's journal.
    return found[-PRIOR_ACTIONS:]


def _action(event: AnyEvent, detail: str) -> PriorAction:
    return PriorAction(kind=type(event).__name__, actor=event.actor, at_ms=event.at_ms, detail=detail[:DETAIL_MAX])
