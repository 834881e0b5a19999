"""Arrival: what an inbound event brings beside itself. Pure.

Items of context, which its channel knows already or which the policy reads from an activity's properties; a switch,
where the customer speaks on another channel than before; and, as a conversation begins, what they did on the web or in
the app shortly before.
"""

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct

from actors.context import knowing
from actors.context.switching import Change, switch, withhold
from actors.inbound import contact
from actors.rules.policy import Policy
from actors.state import context_items, recent
from actors.state.context_items import Given
from actors.state.conversation import Conversation
from protocol.events import ActivityCarried, ActivitySeen, AnyEvent, InteractionEnded, InteractionStarted
from protocol.events.event import CUSTOMER, SYSTEM
from protocol.inbound import (
    CONTEXT_VALUE_MAX,
    ActivityArrived,
    ContextScalar,
    DeliveryReport,
    InboundEvent,
    InteractionBegan,
    MessageArrived,
    PastConversation,
)

_WITHOUT_CONTEXT = (DeliveryReport, PastConversation)
_decode = msgspec.msgpack.Decoder(AnyEvent).decode


class Along(Struct, frozen=True, gc=False):
    """What a conversation that begins takes along of what was before it."""

    activities: Sequence[ActivitySeen] = ()
    """What the customer did shortly before, to be carried into it."""
    items: Sequence[Given] = ()
    """Context of the earlier conversation that it is related to."""


NOTHING_ALONG = Along()


def brings(state: Conversation, event: InboundEvent) -> bool:
    """Whether `brought` is to be asked at all: of most events it need not."""
    data = event.data
    if isinstance(data, _WITHOUT_CONTEXT):
        return False
    return event.channel != state.channel or data.context is not None or type(data) is ActivityArrived


def brought(
    state: Conversation,
    event: InboundEvent,
    decided: Sequence[AnyEvent],
    along: Along,
    captured: Sequence[Given],
    policy: Policy,
    now_ms: int,
    *,
    trusted: bool,
) -> list[AnyEvent]:
    """The facts that follow `decided`, by which the event takes place in the conversation; `state` is as before them.

    `captured` is what a template found in the event. `trusted`: its account checks who its customers are."""
    interaction = _interaction_of(decided) or contact.number_of(state, event, ())
    before = along.activities
    given = [*along.items, *(item for seen in before for item in _of_activity(seen, policy))]
    given += _given(state, event, interaction, policy, trusted)
    given += captured
    origin = state.channel or (before[-1].channel if before else "")
    if not given and not origin:
        return []  # So it is with most of those who are new, where no template finds anything.
    known = context_items.after(state.context, decided)
    items = knowing.take(known, given, policy.context, policy.version, now_ms)
    facts: list[AnyEvent] = [*(_carried(seen, now_ms) for seen in before), *items.facts]
    if origin and origin != event.channel and _speaks(event) and contact.said_in(state, event) is None:
        change = Change(origin=origin, target=event.channel, interaction=interaction, by="customer", actor=CUSTOMER)
        return facts + switch(state, items.known, change, policy, now_ms, decided=decided)
    if items.facts:
        spoken = state.channel or event.channel
        facts += withhold(items.known, spoken, state.withheld, policy, actor=SYSTEM, now_ms=now_ms)
    return facts


def verifies(event: InboundEvent, trusted: bool, policy: Policy) -> bool:
    """Whether what the event says counts as verified: its channel's word does, and it comes by an account that checks
    who its customers are. A sender names the channel, so that the channel alone says nothing."""
    return trusted and event.channel in policy.context.verified_channels


def shortly_before(packed: bytes, policy: Policy, now_ms: int) -> list[ActivitySeen]:
    """Those of a customer's newest activities (see `journey.Aside`) that belong to a conversation which begins now."""
    since_ms = now_ms - policy.context.looks_back_ms
    if not packed or since_ms == now_ms:
        return []
    seen = [_decode(encoded) for encoded in recent.events(packed)]
    return [event for event in seen if isinstance(event, ActivitySeen) and event.at_ms >= since_ms]


def _speaks(event: InboundEvent) -> bool:
    """Whether the customer does; a machine that answers for them moves nothing."""
    match event.data:
        case MessageArrived(automatic=automatic):
            return not automatic
        case _:
            return isinstance(event.data, InteractionBegan)


def _interaction_of(decided: Sequence[AnyEvent]) -> int:
    """The contact that the facts speak of; 0 where they speak of none."""
    for fact in reversed(decided):
        if isinstance(fact, InteractionStarted | InteractionEnded):
            return fact.interaction
        if (number := getattr(fact, "interaction", 0)) > 0:
            return int(number)
    return 0


def _given(
    state: Conversation, event: InboundEvent, interaction: int, policy: Policy, trusted: bool
) -> Iterable[Given]:
    data = event.data
    if isinstance(data, _WITHOUT_CONTEXT):
        return ()
    values: dict[str, ContextScalar] = {}
    if isinstance(data, ActivityArrived):
        values |= _mapped(data.properties, policy)
    values |= data.context or {}
    if not values:
        return ()
    return _items(
        values,
        event.channel,
        f"account:{event.account}",
        interaction=interaction,
        verified=verifies(event, trusted, policy),
        said_by=contact.other_speaker(state, event, interaction),
    )


def _of_activity(seen: ActivitySeen, policy: Policy) -> Iterable[Given]:
    values = {**_mapped(seen.properties, policy), **(seen.context or {})}
    return _items(
        values, seen.channel, seen.actor, said_at_ms=seen.at_ms, verified=seen.verified, said_by=seen.identity
    )


def _mapped(properties: dict[str, object], policy: Policy) -> dict[str, ContextScalar]:
    """What the policy reads from an activity's properties: plain values that are not too long. The activity has all."""
    read: dict[str, ContextScalar] = {}
    for name, key in policy.context.properties.items():
        value = properties.get(name)
        if isinstance(value, str | int | float) and (not isinstance(value, str) or len(value) <= CONTEXT_VALUE_MAX):
            read[key] = value
    return read


def _items(
    values: dict[str, ContextScalar],
    channel: str,
    actor: str,
    *,
    interaction: int = 0,
    said_at_ms: int = 0,
    verified: bool,
    said_by: str,
) -> list[Given]:
    return [
        Given(
            key=key,
            value=value,
            actor=actor,
            channel=channel,
            interaction=interaction,
            verified=verified,
            said_at_ms=said_at_ms,
            said_by=said_by,
        )
        for key, value in values.items()
    ]


def _carried(seen: ActivitySeen, now_ms: int) -> ActivityCarried:
    return ActivityCarried(
        at_ms=now_ms,
        actor=seen.actor,
        channel=seen.channel,
        identity=seen.identity,
        provider_ms=seen.provider_ms,
        name=seen.name,
        properties=seen.properties,
        seen_at_ms=seen.at_ms,
    )
