"""Receiving: what an inbound event does, in the order of the questions it raises. Pure.

    whose is it → did it come before → what is it about → which conversation → what happens there → what is missing

`first` and `perhaps_again` are the two ways in: most events are
surely new ones, of a customer whose identities nobody disputes.
"""

import msgspec
from msgspec import Struct

from actors.capture import capturing
from actors.context import carrying
from actors.context.carrying import Carried
from actors.decisions.decision import Decision, before, keyed, repeat, version_of
from actors.decisions.once import Seen
from actors.identity.disputes import FORGOTTEN
from actors.identity.merging import is_member
from actors.inbound import arrival, contact, identifying, importing
from actors.inbound.arrival import NOTHING_ALONG, Along
from actors.inbound.correlation import Correlated, Glimpse, correlate, glimpsed
from actors.inbound.identifying import NOTHING_NEW, Identified
from actors.inbound.keeping import conflict, keep
from actors.rules.capture import Field
from actors.rules.policy import Policy
from actors.state.conversation import Conversation
from actors.state.journey import Journey
from actors.tags import about
from actors.tags.labels import NO_TAGS
from actors.tags.tagging import tags_of, with_before
from protocol.entities import Relation, Tags
from protocol.errors import Code, Refusal, shown
from protocol.events import ActivitySeen, AnyEvent
from protocol.events.event import CUSTOMER
from protocol.inbound import (
    ActivityArrived,
    DeliveryReport,
    InboundEvent,
    InteractionBegan,
    MessageArrived,
    PastConversation,
)
from protocol.journal import claim_of
from protocol.links import Input


class _Came(Struct, frozen=True, gc=False):
    """An event that came, for what is decided on it."""

    state: Journey
    input: Input
    known: Identified
    said_ms: int
    """When it was said: of replayed input that may be long before `now_ms`."""
    now_ms: int


def first(state: Journey, input: Input, policy: Policy, now_ms: int) -> Decision:
    """An input that surely did not come before."""
    decision = receive(state, input, policy, now_ms)
    if input.replay is not None and decision.events:
        # No once-key knows the forms of an input for one, nor has anybody all whom they may come to.
        claimed = [*decision.identities, claim_of(input.replay.quarantine)]
        decision = msgspec.structs.replace(decision, identities=claimed)
    return decision if decision.why else keyed(decision, input, state, policy)


def perhaps_again(state: Journey, input: Input, policy: Policy, now_ms: int) -> Decision:
    """An input that came before, or may have, to this customer or to a former one of its identities."""
    came = before(state, input, input.key)
    if came is None or (input.replay is not None and _was_given_away(*came)):
        return first(state, input, policy, now_ms)
    if came[1].covers(input.digest):
        return repeat(*came)
    known = identifying.identify(state, input, policy.identity, now_ms)
    if known.stray:
        return Decision([], stray=known.stray, apart=known.apart)
    decision = conflict(state, input, policy, now_ms)
    if not decision.events or came[0] == state.customer or is_member(state, came[0]):
        return decision
    # Kept where the identity is from now on: there the next of the kind will be looked for.
    events = [*decision.events, *((state.customer, event) for event in known.facts)]
    return msgspec.structs.replace(decision, events=events, identities=known.assigned, inherits=known.inherits)


def _was_given_away(customer: str, seen: Seen) -> bool:
    """Whether it was to be somebody else's: who takes it out of quarantine after all means this customer."""
    return seen.is_elsewhere and customer != FORGOTTEN


def receive(state: Journey, input: Input, policy: Policy, now_ms: int) -> Decision:
    """What the event does, without its once-key."""
    event = input.event
    known = identifying.identify(state, input, policy.identity, now_ms)
    if known.stray:
        return Decision([], stray=known.stray, apart=known.apart)
    if isinstance(event.data, PastConversation):
        return _imported(state, event, event.data, known, policy, now_ms)
    # What is replayed belongs where it would have belonged when it happened.
    said_ms = min(now_ms, event.time_ms) if input.replay else now_ms
    came = _Came(state, input, known, said_ms, now_ms)
    tags = tags_of(event, policy.taxonomy)
    if state.glimpse is not None:
        tags = _with_glimpse(state.glimpse, event, tags, policy, said_ms)
    correlated = correlate(
        state.kept,
        state.past,
        event,
        tags=tags,
        rules=policy.correlation,
        remembered=state.remembered,
        now_ms=said_ms,
    )
    if correlated.conversation or isinstance(event.data, DeliveryReport):
        return _goes_on(came, correlated, tags, policy)
    if isinstance(event.data, ActivityArrived):
        # Nothing is open: what they look at is kept with the person, and opens no work for anyone.
        verified = arrival.verifies(event, input.trusted, policy)
        seen = _activity(event, event.data, None if tags is NO_TAGS else tags, verified, now_ms)
        return _decided(came, state.customer, [seen], policy)
    return _begins(came, correlated, tags, policy)


def _imported(
    state: Journey, event: InboundEvent, data: PastConversation, known: Identified, policy: Policy, now_ms: int
) -> Decision:
    past = importing.decide(event, data, state.customer, _next_id(state), policy, now_ms)
    about = [(state.customer, fact) for fact in known.facts]
    return Decision([*past, *about], identities=known.assigned, inherits=known.inherits)


def _goes_on(came: _Came, correlated: Correlated, tags: Tags, policy: Policy) -> Decision:
    """It belongs to a conversation that there is, and is decided by the rules which that one stays with."""
    event, now_ms = came.input.event, came.now_ms
    conversation = came.state.conversation(correlated.conversation)
    if conversation is None:
        raise Refusal(
            Code.NOT_FOUND,
            f"conversation {shown(correlated.conversation)} is closed and archived, or never was",
            ref=event.id,
            field="data.delivery",
        )
    if not conversation.live and not isinstance(event.data, DeliveryReport | MessageArrived):
        raise AssertionError("correlation gives a closed conversation to reports, and to what was said there, alone")
    rules = policy.at(conversation.policy, event.channel)
    if rules is not policy:
        tags = tags_of(event, rules.taxonomy)
    decided = contact.decide(conversation, event, rules, now_ms, correlated.reason)
    if tags is not NO_TAGS:
        decided += _about(came, conversation, decided, tags, conversation.relation, rules)
    return _captured(came, conversation, decided, rules)


def _begins(came: _Came, correlated: Correlated, tags: Tags, policy: Policy) -> Decision:
    """It begins a conversation, perhaps one that is related to an earlier one."""
    state, event, relation, now_ms = came.state, came.input.event, correlated.relation, came.now_ms
    new = Conversation(id=_next_id(state), customer=state.customer)
    carried = _carried(state, relation, policy, now_ms)
    opened = contact.open_for(
        event,
        state.customer,
        relation,
        policy,
        now_ms,
        reason=correlated.reason if relation else "",
        carried=carried.over,
    )
    decided = [opened, *contact.decide(new, event, policy, now_ms)]
    if tags is not NO_TAGS:
        decided += _about(came, new, decided, tags, relation, policy)
    seen_before = arrival.shortly_before(state.aside.before, policy, now_ms) if state.aside else []
    return _captured(came, new, decided, policy, Along(seen_before, carried.items))


def _next_id(state: Journey) -> str:
    return f"{state.customer}-{state.opened + 1}"


def _carried(state: Journey, relation: Relation | None, policy: Policy, now_ms: int) -> Carried:
    """What a new conversation takes along from the one it is related to, as far as memory goes."""
    if relation is None:
        return carrying.NOTHING
    kept = state.kept_of(relation.conversation)
    return carrying.carry(kept, relation.kind, policy.context.carry_over, now_ms) if kept else carrying.NOTHING


def _about(
    came: _Came,
    conversation: Conversation,
    decided: list[AnyEvent],
    tags: Tags,
    relation: Relation | None,
    policy: Policy,
) -> list[AnyEvent]:
    """What follows from what it is about."""
    event, said_ms = came.input.event, came.said_ms
    number = contact.number_of(conversation, event, decided)
    if about.is_said_already(conversation, number, tags):
        return []
    if contact.said_in(conversation, event) is not None:
        said_ms = min(said_ms, event.time_ms)  # Only written down now: nobody is back by it.
    return about.after_contact(
        conversation,
        number,
        event,
        found=tags,
        relation=relation,
        remembered=came.state.remembered,
        others=came.state.kept,
        rules=policy.correlation,
        said_ms=said_ms,
        now_ms=came.now_ms,
    )


def _captured(
    came: _Came,
    conversation: Conversation,
    decided: list[AnyEvent],
    policy: Policy,
    along: Along = NOTHING_ALONG,
) -> Decision:
    """The decision on an event, with what it brings beside itself and what its capture template makes of it."""
    event, now_ms, found = came.input.event, came.now_ms, []
    captured = capturing.capture(conversation, event, decided, policy, along.items)
    if captured is not None:
        if captured.forbidding is not None:
            return _forbidden(came, captured.template, captured.forbidding, policy)
        found = capturing.items(conversation, event, captured, decided)
    if found or not conversation.head or arrival.brings(conversation, event):
        decided += arrival.brought(
            conversation, event, decided, along, found, policy, now_ms, trusted=came.input.trusted
        )
    if captured is not None and conversation.live:
        decided += capturing.asked(conversation, event, captured, decided, policy, now_ms)
    return _decided(came, conversation.id, decided, policy)


def _forbidden(came: _Came, template: str, field: Field, policy: Policy) -> Decision:
    """It lacks what its template requires: to quarantine. Who it came from is known, whatever becomes of what they
    said."""
    state, known = came.state, came.known
    reason = f"{field.name} is missing, which the template {template} of policy {policy.version} requires"
    if field.found_at:
        reason += f"; it is looked for in {', '.join(field.found_at)}"
    kept = keep(state, came.input, (Code.INVALID, field.name, reason), f"capture:{template}", policy, came.now_ms)
    if not kept.events:
        return kept
    events = [*kept.events, *((state.customer, fact) for fact in known.facts)]
    return msgspec.structs.replace(kept, events=events, identities=known.assigned, inherits=known.inherits)


def _decided(came: _Came, stream: str, decided: list[AnyEvent], policy: Policy) -> Decision:
    events, version, known = [(stream, event) for event in decided], version_of(policy), came.known
    if known is NOTHING_NEW:
        return Decision(events, version=version)
    events += [(came.state.customer, event) for event in known.facts]
    return Decision(events, identities=known.assigned, inherits=known.inherits, merge=known.merge, version=version)


def _activity(event: InboundEvent, data: ActivityArrived, tags: Tags | None, verified: bool, now_ms: int) -> AnyEvent:
    return ActivitySeen(
        at_ms=now_ms,
        actor=CUSTOMER,
        interaction=0,
        channel=event.channel,
        identity=event.identities[0] if event.identities else "",
        provider_ms=event.time_ms,
        name=data.name,
        properties=data.properties,
        context=data.context,
        tags=tags,
        verified=verified,
    )


def _with_glimpse(glimpse: Glimpse, event: InboundEvent, tags: Tags, policy: Policy, now_ms: int) -> Tags:
    """What a word of the customer is about, also by what they looked at before."""
    if not isinstance(event.data, MessageArrived | InteractionBegan):
        return tags
    seen = glimpsed(glimpse, event.channel, policy.correlation, now_ms)
    return tags if seen is None else with_before(tags, seen)
