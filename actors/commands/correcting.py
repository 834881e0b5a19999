"""Correcting: an agent says that contacts were put together, or kept apart, wrongly. Pure.

    split     some interactions of a conversation go to a new one       undone by joining it back
    join      everything of another one comes here; it closes           undone by splitting it off
    relate    what the conversation is to an earlier one

One that is over can be corrected like any other while it is in memory; nothing is joined into it.

Nothing that was journaled moves: each correction is appended, in the streams of both conversations, and the messages of
an interaction stay where they were said (`Interaction.origins`). An interaction that comes home has its number again.
"""

from collections.abc import Mapping, Sequence

from actors.commands import moving
from actors.commands.moving import Events
from actors.rules.policy import Policy
from actors.state.conversation import Conversation
from protocol.commands import Join, Relate, Split
from protocol.entities import Interaction, Relation, Status
from protocol.errors import Code, Refusal, shown
from protocol.events import (
    AnyEvent,
    ConversationClosed,
    ConversationOpened,
    ConversationReopened,
    CorrelationCorrected,
    InteractionReceived,
    OwnerChanged,
)

REASON_MAX = 500
"""Characters of a correction's reason."""


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
    # Who has the one goes on speaking with the customer in the other, until somebody hands that over.
    owned = _own(new, state.owner, actor, now_ms) if state.live else []
    left = [interaction for interaction in state.interactions if interaction not in leaving]
    # Those that had come by a join leave with their words: what these took the place of stands again.
    came = all(interaction.origins for interaction in leaving)
    return [
        (state.id, corrected),
        (new, opened),
        *owned,
        *moving.take_along(state, fresh, leaving, actor, policy, now_ms),
        *moving.elsewhere(state, left, actor, policy, now_ms, again=moving.overruled(state, left) if came else ()),
    ]


def _join(state: Conversation, other: Conversation, asked: Join, actor: str, policy: Policy, now_ms: int) -> Events:
    if leaving := [d.id for d in other.deliveries.values() if d.state != "dead"]:
        text = f"{len(leaving)} messages of {other.id} have not left yet, or are held; join it when they are settled"
        raise _not_now(text)
    moves = moving.moves(
        state=other, to=state, leaving=other.interactions, actor=actor, now_ms=now_ms, all_references=True
    )
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
    # Where one is offered, who has it is being decided: another owner would take it back from whom it is offered to.
    if other.live and not state.owner and not (state.handoff and state.handoff.open):
        events += _own(state.id, other.owner, actor, now_ms)
    if state.status is Status.RESOLVED and other.status in (Status.OPEN, Status.SNOOZED):
        reopened = ConversationReopened(at_ms=now_ms, actor=actor, reason=f"{other.id} was joined into it")
        events.append((state.id, reopened))
    numbers = dict(zip([i.number for i in other.interactions], [i.number for i in came], strict=True))
    events += moves
    events += [(state.id, event) for event in moving.context_of(state, other, numbers, policy, now_ms)]
    if other.live:
        events.append((other.id, ConversationClosed(at_ms=now_ms, actor=actor, reason=f"joined into {state.id}")))
    return events


def _own(conversation: str, owner: str, actor: str, now_ms: int) -> Events:
    """That nobody's conversation is the other one's owner's; nothing where that has none."""
    return [(conversation, OwnerChanged(at_ms=now_ms, actor=actor, owner=owner))] if owner else []


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
            raise Refusal(Code.NOT_FOUND, f"{shown(earlier)} is no conversation of this customer", field="earlier")
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


# What is asked of


def _other(conversations: Mapping[str, Conversation], state: Conversation, other: str) -> Conversation:
    found = conversations.get(other)
    if other == state.id:
        raise Refusal(Code.INVALID, "a conversation is not joined with itself", field="other")
    if found is None:
        text = f"{shown(other)} is no conversation of this customer that is open or among those that closed last"
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
