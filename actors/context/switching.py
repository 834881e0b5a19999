"""Switching: a conversation goes on on another channel, and what was known goes with it. Pure.

A switch is where the customer or we begin to speak on another channel than before: by a message, a call, a reply, the
command `switch_channel`, or the policy's `fallback`. What is only looked at (an activity) and what a machine answers
switch nothing. The fact names who caused it, who owns the continuity, what the policy requires for that pair of
channels and what of it was missing, and has a proof that nothing was lost:

    proof   BLAKE2b (128 bits, hex) over a line for each value of each item, sorted, joined by line feeds; a line is the
            JSON array [key, channel, source, version, value, sensitivity] without spaces, in UTF-8

so that anyone with the archive can compute it too (`context_value` has these columns).
"""

import hashlib
from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct

from actors.rules.policy import Policy
from actors.state.context_items import Known, is_said, sensitivity_of, source_of, values_of
from actors.state.conversation import Conversation, tagged_by, told
from protocol.entities import ContextItem
from protocol.events import AnyEvent, ChannelSwitched, ContextWithheld, ConversationOpened

_line = msgspec.json.Encoder().encode


class Change(Struct, kw_only=True, frozen=True, gc=False):
    """That a conversation goes on on another channel."""

    origin: str
    target: str
    interaction: int
    """The contact there."""
    by: str
    """Who caused it: `customer`, `agent` or `rule`."""
    actor: str
    reason: str = ""


def switch(
    state: Conversation,
    known: Known,
    change: Change,
    policy: Policy,
    now_ms: int,
    *,
    decided: Sequence[AnyEvent] = (),
) -> list[AnyEvent]:
    """The fact of the change, and what is withheld on its target. `state` is as before the change; `known` is what is
    known with it, and `decided` are the facts decided with it, which may tell what the conversation is about."""
    pair, rules = policy.context.between(change.origin, change.target)
    before, now_told = state.context, tagged_by(decided)
    switched = ChannelSwitched(
        at_ms=now_ms,
        actor=change.actor,
        policy=policy.version,
        from_channel=change.origin,
        to_channel=change.target,
        interaction=change.interaction,
        by=change.by,
        continuity=_continuity(state, decided, rules.continuity or policy.context.continuity),
        rule=pair,
        required=list(rules.required),
        missing=[key for key in rules.required if not (is_said(known, key) or told(state, key) or key in now_told)],
        items_before=len(before),
        items_after=len(known),
        kept=kept(before, known),
        proof_before=proof(before.values()),
        proof_after=proof(known.values()),
        reason=change.reason,
    )
    return [switched, *withhold(known, change.target, (), policy, actor=change.actor, now_ms=now_ms)]


def withhold(
    known: Known, channel: str, already: Sequence[str], policy: Policy, *, actor: str, now_ms: int
) -> list[AnyEvent]:
    """The fact that items are withheld from a channel, without those that are `already`; [] where there are none."""
    rules = policy.context
    if channel not in rules.carries:
        return []
    keys = [
        key for key, item in known.items() if key not in already and not rules.may_carry(channel, sensitivity_of(item))
    ]
    if not keys:
        return []
    carried = ", ".join(rules.carries[channel]) or "nothing"
    rule = f"carries: {channel} carries {carried}"
    return [
        ContextWithheld(at_ms=now_ms, actor=actor, policy=policy.version, channel=channel, keys=sorted(keys), rule=rule)
    ]


def kept(before: Known, now: Known) -> int:
    """How many items of `before` are there now with each source's value, the same or a newer one."""
    return sum(1 for key, item in before.items() if key in now and _kept(item, now[key]))


def _kept(before: ContextItem, now: ContextItem) -> bool:
    versions = {source_of(value): value.version for value in values_of(now)}
    return all(versions.get(source_of(value), 0) >= value.version for value in values_of(before))


def proof(items: Iterable[ContextItem]) -> str:
    """The proof over the items; empty where there are none."""
    lines = sorted(
        _line([item.key, *source_of(value), value.version, value.value, value.sensitivity])
        for item in items
        for value in values_of(item)
    )
    return hashlib.blake2b(b"\n".join(lines), digest_size=16).hexdigest() if lines else ""


def _continuity(state: Conversation, decided: Sequence[AnyEvent], named: str) -> str:
    match named:
        case "owner" if state.owner:
            return f"agent:{state.owner}"
        case "owner" | "queue":
            # A conversation that is just being opened has no queue in its state yet.
            opened = next((fact.queue for fact in decided if isinstance(fact, ConversationOpened)), state.queue)
            return f"queue:{opened}"
        case _:
            return named
