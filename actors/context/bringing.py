"""Bringing: context items that an agent gives a conversation, one by one or with an offer to hand over. Pure."""

from collections.abc import Sequence

from actors.commands import checks
from actors.context import knowing
from actors.context.switching import withhold
from actors.handoffs import handing_over
from actors.rules.context import SENSITIVITIES
from actors.rules.policy import Policy
from actors.state import context_items
from actors.state.context_items import Given, Known
from actors.state.conversation import Conversation
from protocol.commands import OfferHandoff, SetContext
from protocol.errors import Code, Refusal
from protocol.events import AnyEvent, ContextSet
from protocol.events.event import SYSTEM

HANDOFF_FIELDS_MAX = 32
"""Fields that one offer brings."""


def set_context(state: Conversation, command: SetContext, actor: str, policy: Policy, now_ms: int) -> list[AnyEvent]:
    """The item, and what of it the channel may not carry."""
    item = _item(state, state.context, command, actor, policy, now_ms)
    known = context_items.after(state.context, [item])
    return [item, *withhold(known, state.channel, state.withheld, policy, actor=SYSTEM, now_ms=now_ms)]


def _item(
    state: Conversation,
    known: Known,
    command: SetContext,
    actor: str,
    policy: Policy,
    now_ms: int,
    *,
    field: str = "key",
) -> ContextSet:
    """The item that is set, beside what is `known` by then; `field` is where a refusal points for want of room."""
    checks.check_name(command.key, "key")
    checks.check_value(command.value)
    if command.sensitivity not in SENSITIVITIES:
        raise Refusal(Code.INVALID, f"sensitivity is one of {', '.join(SENSITIVITIES)}", field="sensitivity")
    newest = state.interactions[-1] if state.interactions else None
    given = Given(
        key=command.key,
        value=command.value,
        actor=actor,
        channel=newest.channel if newest else "",
        interaction=newest.number if newest else 0,
        sensitivity=command.sensitivity,
        verified=command.verified,
    )
    if reason := knowing.no_room(known, given.key, given.channel, actor):
        raise Refusal(Code.OVER_LIMIT, reason, field=field)
    return knowing.decide(known.get(command.key), given, policy.context, policy.version, now_ms)


def offer(
    state: Conversation, command: OfferHandoff, actor: str, identities: Sequence[str], policy: Policy, now_ms: int
) -> list[AnyEvent]:
    """An offer, and the context items that its fields become; those that say nothing new become none."""
    checks.check_name(command.kind, "kind")
    checks.check_name(command.agent, "agent", empty=True)
    checks.check_name(command.queue, "queue", empty=True)
    checks.check_words(command.note, "note")
    if len(command.fields) > HANDOFF_FIELDS_MAX:
        raise Refusal(Code.OVER_LIMIT, f"an offer brings at most {HANDOFF_FIELDS_MAX} fields", field="fields")
    given: list[AnyEvent] = []
    known: Known = state.context
    for key, value in command.fields.items():
        item = known.get(key)
        if item is None or item.value != value or type(item.value) is not type(value):
            asked = SetContext(key=key, value=value, sensitivity=item.sensitivity if item else "normal")
            given.append(_item(state, known, asked, actor, policy, now_ms, field="fields"))
            known = context_items.after(state.context, given)
    given += withhold(known, state.channel, state.withheld, policy, actor=SYSTEM, now_ms=now_ms) if given else []
    return handing_over.offer(state, command, given, known, actor, identities, policy, now_ms)
