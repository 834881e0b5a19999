"""Correcting: an agent says that contacts were put together, or kept apart, wrongly. Pure.

    split     some interactions of a conversation go to a new one       undone by joining it back
    join      everything of another one comes here; it closes           undone by splitting it off
    relate    what the conversation is to an earlier one

One that is over can be corrected like any other while it is in memory; nothing is joined into it.

Nothing that was journaled moves: each correction is appended, in the streams of both conversations, and the messages of
an interaction stay where they were said (`Interaction.origins`). An interaction that comes home has its number again.
"""

from collections.abc import Mapping, Sequence
from copy import copy

import msgspec

from actors import knowing, recent
from actors.conversation import Conversation
from actors.knowing import Given
from actors.policy import Policy
from actors.switching import switch, withhold
from protocol.commands import Join, Relate, Split
from protocol.entities import Interaction, Relation, Status
from protocol.errors import Code, Refusal
from protocol.events import (
    AnyEvent,
    AutomaticReplyReceived,
    ContextRefused,
    ConversationClosed,
    ConversationOpened,
    ConversationReopened,
    CorrelationCorrected,
    DeliverySent,
    InteractionMoved,
    InteractionReceived,
    MessageQueued,
    MessageReceived,
)

ORIGINS_MAX = 16
"""How often one interaction may be moved: each time its messages are in one more place."""
REASON_MAX = 500
"""Characters of a correction's reason."""

_event = msgspec.msgpack.Decoder(AnyEvent).decode
Events = list[tuple[str, AnyEvent]]


def decide(
    conversations: Mapping[str, Conversation],
    known: Sequence[str],
    command: Split | Join | Relate,
    state: Conversation,
    new: str,
    actor: str,
    policy: Policy,
    now_ms: int,
) -> Events:
    """The events of a correction of `state`, by stream. `known` are the ids of the customer's other conversations, live
    and past; `new` is the id of one that would be opened. Raises `Refusal`."""
    if not state.live and isinstance(command, Join):
        raise _not_now(f"{state.id} is closed, and nothing comes into it; join it into a conversation that is open")
    if len(command.reason) > REASON_MAX:
        raise Refusal(Code.OVER_LIMIT, f"a reason has at most {REASON_MAX} characters", field="reason")
    match command:
        case Split():
            return _split(state, command, new, actor, policy, now_ms)
        case Join():
            return _join(state, _other(conversations, state, command.other), command, actor, policy, now_ms)
        case Relate():
            return [(state.id, _relate(conversations, state, known, command, actor, now_ms))]


def _leads_to(conversations: Mapping[str, Conversation], start: str, goal: str) -> str:
    """The conversation, from `start` back along what is in memory, that is related to `goal`; empty where none is."""
    seen = set[str]()
    at = start
    while at not in seen and (found := conversations.get(at)) is not None and found.relation is not None:
        if found.relation.conversation == goal:
            return at
        seen.add(at)
        at = found.relation.conversation
    return ""


def _split(state: Conversation, asked: Split, new: str, actor: str, policy: Policy, now_ms: int) -> Events:
    leaving = [_interaction(state, number) for number in dict.fromkeys(asked.interactions)]
    if not leaving:
        raise Refusal(Code.INVALID, "interactions names none: say which contacts to split off", field="interactions")
    if len(leaving) == len(state.interactions):
        raise _not_now("these are all its contacts: there is nothing to split them from; `relate` may be what is meant")
    relation = Relation(kind=asked.kind, conversation=state.id, reason=asked.reason or "split off by an agent")
    corrected = CorrelationCorrected(
        at_ms=now_ms,
        actor=actor,
        correction="split",
        other=new,
        interactions=[interaction.number for interaction in leaving],
        earlier_channel=_channel_before(state, leaving[0]),
        channel=leaving[0].channel,
        reason=asked.reason,
    )
    opened = ConversationOpened(
        at_ms=now_ms,
        actor=actor,
        policy=policy.version,
        customer=state.customer,
        queue=state.queue,
        relation=relation,
        reason="split off by an agent",
    )
    fresh = Conversation(id=new, customer=state.customer)
    left = [interaction for interaction in state.interactions if interaction not in leaving]
    return [
        (state.id, corrected),
        (new, opened),
        *take_along(state, fresh, leaving, actor, policy, now_ms),
        *elsewhere(state, left, actor, policy, now_ms),
    ]


def take_along(
    state: Conversation, fresh: Conversation, leaving: Sequence[Interaction], actor: str, policy: Policy, now_ms: int
) -> Events:
    """The moves of these interactions to a conversation that was just opened, with what was said in them."""
    moved = _moves(state, fresh, leaving, actor, now_ms)
    came = [event.interaction for _, event in moved if isinstance(event, InteractionReceived)]
    numbers = dict(zip([i.number for i in leaving], [i.number for i in came], strict=True))
    # What was said in them is known where they are from now on: nobody asks for it again. It stays known here, too.
    said = _context(fresh, state, numbers, policy, now_ms, of_contacts=True, channel=came[-1].channel)
    return [*moved, *((fresh.id, event) for event in said)]


def elsewhere(state: Conversation, left: Sequence[Interaction], actor: str, policy: Policy, now_ms: int) -> Events:
    """The switch to a channel that is left, where the one we spoke on has gone with its contacts."""
    if not state.live or state.channel in {interaction.channel for interaction in left}:
        return []  # Nobody speaks any more where it is over.
    switched = switch(
        state,
        state.context,
        origin=state.channel,
        target=left[-1].channel,
        interaction=left[-1].number,
        by="agent",
        actor=actor,
        policy=policy,
        now_ms=now_ms,
        reason="the contacts there were split off",
    )
    return [(state.id, event) for event in switched]


def _join(state: Conversation, other: Conversation, asked: Join, actor: str, policy: Policy, now_ms: int) -> Events:
    if leaving := [d.id for d in other.deliveries.values() if d.state != "dead"]:
        raise _not_now(f"{len(leaving)} messages of {other.id} have not left yet; join it when they have")
    moves = _moves(state=other, to=state, leaving=other.interactions, actor=actor, now_ms=now_ms, all_references=True)
    came = [e.interaction for stream, e in moves if stream == state.id and isinstance(e, InteractionReceived)]
    relation = _joined_relation(state, other)
    corrected = CorrelationCorrected(
        at_ms=now_ms,
        actor=actor,
        correction="join",
        other=other.id,
        interactions=[interaction.number for interaction in came],
        relation=relation if relation != state.relation else None,
        previous=state.relation if relation != state.relation else None,
        earlier_channel=state.interactions[-1].channel if state.interactions else "",
        channel=came[0].channel if came else "",
        reason=asked.reason,
    )
    events: Events = [(state.id, corrected)]
    if state.status is Status.RESOLVED and other.status in (Status.OPEN, Status.SNOOZED):
        reopened = ConversationReopened(at_ms=now_ms, actor=actor, reason=f"{other.id} was joined into it")
        events.append((state.id, reopened))
    numbers = dict(zip([i.number for i in other.interactions], [i.number for i in came], strict=True))
    events += moves
    events += [(state.id, event) for event in _context(state, other, numbers, policy, now_ms)]
    if other.live:
        events.append((other.id, ConversationClosed(at_ms=now_ms, actor=actor, reason=f"joined into {state.id}")))
    return events


def _joined_relation(state: Conversation, other: Conversation) -> Relation | None:
    """One that is related to what it now contains takes that one's relation."""
    if state.relation is None or state.relation.conversation != other.id:
        return state.relation
    beyond = other.relation
    return None if beyond is None or beyond.conversation == state.id else beyond


def _relate(
    conversations: Mapping[str, Conversation],
    state: Conversation,
    known: Sequence[str],
    asked: Relate,
    actor: str,
    now_ms: int,
) -> AnyEvent:
    before = state.relation
    earlier = asked.earlier or (before.conversation if before else "")
    if asked.kind is None:
        if before is None or earlier != before.conversation:
            raise _not_now("it has no such relation")
        after = None
    else:
        if not earlier:
            raise Refusal(Code.INVALID, "earlier is missing: the conversation it is related to", field="earlier")
        if earlier == state.id:
            raise Refusal(Code.INVALID, "a conversation is not related to itself", field="earlier")
        if earlier not in known:
            raise Refusal(Code.NOT_FOUND, f"{earlier} is no conversation of this customer", field="earlier")
        if last := _leads_to(conversations, earlier, state.id):
            raise _not_now(f"{last} is related to {state.id}, which would come back to itself; take that back first")
        after = Relation(kind=asked.kind, conversation=earlier, reason=asked.reason or "said by an agent")
        if before is not None and (before.kind, before.conversation) == (after.kind, after.conversation):
            raise _not_now(f"it {after.kind.value} {earlier} already")
    return CorrelationCorrected(
        at_ms=now_ms,
        actor=actor,
        correction="relate",
        other=earlier,
        relation=after,
        previous=before,
        channel=state.interactions[0].channel if state.interactions else "",
        reason=asked.reason,
    )


# What moves


def _moves(
    state: Conversation,
    to: Conversation,
    leaving: Sequence[Interaction],
    actor: str,
    now_ms: int,
    *,
    all_references: bool = False,
) -> Events:
    """Each interaction leaves one stream and comes in the other."""
    events: Events = []
    left, there = list(state.interactions), list(to.interactions)
    number = to.interaction_count
    for interaction in leaving:
        home = next((n for stream, n in interaction.origins if stream == to.id), 0)
        number += 0 if home else 1
        moved = _at(interaction, state.id, to.id, home or number)
        left = [other for other in left if other is not interaction]
        there = sorted([*there, moved], key=lambda each: each.number)
        if all_references:
            references = list(state.references) if interaction is leaving[0] else []
        else:
            references = _references_of(state, interaction.number)
        away = InteractionMoved(
            at_ms=now_ms,
            actor=actor,
            interaction=interaction.number,
            to=to.id,
            number=moved.number,
            channel=left[-1].channel if left else "",
            references=references,
            keys=list(interaction.tags.keys) if interaction.tags else [],
        )
        come = InteractionReceived(
            at_ms=now_ms,
            actor=actor,
            interaction=moved,
            came_from=state.id,
            channel=there[-1].channel,
            references=references,
        )
        events += [(state.id, away), (to.id, come)]
    return events


def _at(interaction: Interaction, came_from: str, to: str, number: int) -> Interaction:
    """The interaction as the other conversation has it."""
    origins = [origin for origin in interaction.origins if origin != (to, number)]
    origins.append((came_from, interaction.number))
    if len(origins) > ORIGINS_MAX:
        raise Refusal(Code.OVER_LIMIT, f"interaction {interaction.number} was moved {ORIGINS_MAX} times already")
    moved = copy(interaction)
    moved.number, moved.origins, moved.reason = number, tuple(origins), "an agent put it here"
    return moved


def _references_of(state: Conversation, number: int) -> list[str]:
    """The thread references of an interaction's messages, as far as memory goes: an answer to an older one finds the
    conversation it was said in."""
    found: list[str] = []
    ours: set[str] = set()
    for encoded in recent.events(state.recent):
        match _event(encoded):
            case MessageQueued(interaction=of, delivery=delivery) if of == number:
                ours.add(delivery)
            case DeliverySent(delivery=delivery, external_id=reference) if delivery in ours and reference:
                found.append(reference)
            case MessageReceived(interaction=of, reference=reference) if of == number and reference:
                found.append(reference)
            case AutomaticReplyReceived(interaction=of, reference=reference) if of == number and reference:
                found.append(reference)
    return found


def _context(
    state: Conversation,
    other: Conversation,
    numbers: Mapping[int, int],
    policy: Policy,
    now_ms: int,
    *,
    of_contacts: bool = False,
    channel: str = "",
) -> list[AnyEvent]:
    """Nothing known is lost: each source's word comes along with its provenance, unless the same source has said
    something newer here. `of_contacts`: only what was said in those of `numbers`. `channel` is where we speak here,
    before `state` knows."""
    here = {
        (item.key, knowing.source_of(value)): value.at_ms
        for item in state.context.values()
        for value in knowing.values_of(item)
    }
    given = [
        Given(
            key=item.key,
            value=value.value,
            actor=value.actor,
            channel=value.channel,
            interaction=numbers.get(value.interaction, 0),
            sensitivity=value.sensitivity,
            verified=value.verified,
            said_at_ms=value.at_ms,
            came_from=value.came_from,
        )
        for item in other.context.values()
        for value in sorted(knowing.values_of(item), key=lambda value: value.version)
        if here.get((item.key, knowing.source_of(value)), -1) < value.at_ms
        and (not of_contacts or value.interaction in numbers)
    ]
    facts = knowing.take(state.context, given, policy.context, policy.version, now_ms)
    if refused := [fact.reason for fact in facts if isinstance(fact, ContextRefused)]:
        raise Refusal(Code.OVER_LIMIT, f"they cannot be one: {refused[0]}")
    if facts:
        known = knowing.after(state.context, facts)
        facts += withhold(known, channel or state.channel, state.withheld, policy, actor="system", now_ms=now_ms)
    return facts


# What is asked of


def _other(conversations: Mapping[str, Conversation], state: Conversation, other: str) -> Conversation:
    found = conversations.get(other)
    if other == state.id:
        raise Refusal(Code.INVALID, "a conversation is not joined with itself", field="other")
    if found is None:
        text = f"{other} is no conversation of this customer that is open or among those that closed last"
        raise Refusal(Code.NOT_FOUND, text, field="other")
    if not found.live and not found.interactions:
        raise _not_now(f"{other} is closed and has no contact left: there is nothing to join")
    return found


def _interaction(state: Conversation, number: int) -> Interaction:
    for interaction in state.interactions:
        if interaction.number == number:
            return interaction
    here = ", ".join(str(interaction.number) for interaction in state.interactions)
    raise Refusal(
        Code.NOT_FOUND,
        f"no interaction {number} in {state.id} that can be moved; there are {here}",
        field="interactions",
    )


def _channel_before(state: Conversation, interaction: Interaction) -> str:
    before = [other.channel for other in state.interactions if other.number < interaction.number]
    return before[-1] if before else ""


def _not_now(message: str) -> Refusal:
    return Refusal(Code.NOT_ALLOWED_NOW, message)
