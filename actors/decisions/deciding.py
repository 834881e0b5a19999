"""Deciding: one input, one decision, on the state of one journey. Pure.

    decide(state, input, policy, now_ms) -> Decision       what happens, or the result of a repeat; or a Refusal

"Is this the same issue?", "did this come before?" and "who is this?" are decided here, in one place, on one state. This
file chooses by the kind of input; what an inbound event does is in `receiving.py`, a conversation's command in
`commanding.py`, an attempt's outcome in `outcomes.py`.
"""

from collections.abc import Collection
from typing import assert_never

import msgspec
from msgspec import Struct

from actors.commands import commanding, correcting, delivery, outcomes, replying
from actors.decisions.decision import NOTHING, Decision, asked_before, keyed, of_one, repeat, rules_of, version_of
from actors.handoffs import handing_over, withdrawing
from actors.identity import disputes, linking, merging, unmixing
from actors.inbound import contact, replaying
from actors.inbound.keeping import quarantine
from actors.inbound.receiving import first, perhaps_again
from actors.own_streams import applying, findings
from actors.rules.policy import Policy
from actors.state.closing import CLOSED_MAX
from actors.state.conversation import Conversation
from actors.state.journey import Aside, Journey
from protocol.commands import (
    ApplyPolicy,
    BeginReplay,
    CloseIdentityReview,
    DismissFinding,
    EndReplay,
    GiveCustomer,
    Join,
    LinkIdentity,
    MakeReport,
    MarkReplayed,
    Relate,
    ResolveFinding,
    Split,
    UnlinkIdentity,
    UnmergeCustomers,
)
from protocol.entities import Status
from protocol.errors import Code, Refusal, shown
from protocol.events import AnyEvent, ConversationClosed, ConversationWoken, DeliveryDead, ReplayBegun
from protocol.events.event import SYSTEM
from protocol.identities import again
from protocol.journal import GIVE, RELEASE, FamilyStep
from protocol.links import Ask, Input, Outcome, Quarantine


class TimerDue(Struct, frozen=True, gc=False):
    """Time has passed: decides what is due in the journey. Deliveries that waited for a client of one of the accounts
    in `taken` are due as well."""

    customer: str
    taken: frozenset[str] = frozenset()


AnyInput = Input | Quarantine | Ask | Outcome | TimerDue


def decide(state: Journey, input: AnyInput, policy: Policy, now_ms: int) -> Decision:
    """Decides one input. Raises `Refusal` where it may not happen."""
    match input:
        case Input():
            if state.disputes is None and not input.released and state.once.get(input.key) is None:
                return first(state, input, policy, now_ms)
            return perhaps_again(state, input, policy, now_ms)
        case Quarantine():
            if (known := state.once.get(input.key)) is None:
                return keyed(quarantine(state, input, policy, now_ms), input, state, policy)
            # What fitted nothing fits no better the second time, and its sender may not have heard so.
            return repeat(state.customer, known, status="quarantined") if known.digest == input.digest else NOTHING
        case Ask():
            if (came := asked_before(state, input.key)) is None:
                return keyed(_ask(state, input, policy, now_ms), input, state, policy)
            if came[1].digest != input.digest:
                raise Refusal(Code.DIGEST_CONFLICT, "this command id came before with another command", ref=input.id)
            return repeat(*came)
        case Outcome():
            conversation = state.conversation(input.conversation)
            if conversation is None:
                return NOTHING
            left = conversation.deliveries.get(input.delivery)
            if left is not None and input.accounts and left.account not in input.accounts:
                raise Refusal(Code.UNKNOWN_ACCOUNT, outcomes.NOT_THEIRS, ref=input.delivery)
            rules = policy.at(conversation.policy, left.channel if left else "")
            decided = _outcome(state, conversation, input, rules, now_ms)
            return of_one(conversation.id, decided, version_of(rules))
        case TimerDue():
            return _due(state, policy, now_ms, input.taken)
        case _:
            assert_never(input)


def _ask(state: Journey, ask: Ask, policy: Policy, now_ms: int) -> Decision:
    """Decides a command. An open handoff offer whose conversation it assigns, moves or ends is withdrawn first."""
    decision = _asked(state, ask, policy, now_ms)
    events = decision.events
    for conversation in state.kept:
        if conversation.handoff is not None:
            events = withdrawing.withdrawn_by(conversation, events, ask.actor, now_ms)
    return decision if events is decision.events else msgspec.structs.replace(decision, events=events)


def _asked(state: Journey, ask: Ask, policy: Policy, now_ms: int) -> Decision:
    if ask.conversation:
        conversation = state.conversation(ask.conversation)
        if conversation is None or not conversation.whole:
            raise Refusal(Code.NOT_FOUND, _gone(state, conversation, ask.conversation), ref=ask.id)
        channel = getattr(ask.command, "channel", "") or conversation.channel
        rules = policy.at(conversation.policy, channel)
        if isinstance(ask.command, Split | Join | Relate):
            return _correct(state, conversation, ask.command, ask.actor, policy, now_ms)
        parted = disputes.of(state).parted
        decided = commanding.decide(
            conversation, ask.command, ask.actor, state.identities, rules, now_ms, parted=parted
        )
        return of_one(conversation.id, decided, version_of(rules))
    match ask.command:
        case LinkIdentity():
            return _link(state, ask, ask.command, policy, now_ms)
        case UnlinkIdentity():
            return _unlink(state, ask.command, ask.actor, policy, now_ms)
        case GiveCustomer():
            given_away = merging.give(state, ask.command, ask.actor, policy.identity.single, now_ms)
            step = FamilyStep(GIVE, state.customer, given_away.to, given_away.turn)
            return Decision([(state.customer, given_away)], family=[step])
        case UnmergeCustomers():
            return _release(state, ask.command, ask.actor, policy, now_ms)
        case CloseIdentityReview():
            closed = linking.close_review(state, ask.command, ask.actor, now_ms)
            return Decision([(state.customer, closed)])
        case MarkReplayed() | BeginReplay() | EndReplay():
            aside = state.aside or Aside()
            replay = replaying.decide(ask.command, ask.actor, aside.replayed, aside.replaying, now_ms, aside.forms)
            if isinstance(replay, ReplayBegun) and (own := replaying.input_of(ask.command)) is not None:
                replay = replaying.anothers(replay, own, asked_before(state, own.key))
            return Decision([(state.customer, replay)])
        case ApplyPolicy():
            return of_one(state.customer, applying.decide(state.customer, state.head, ask, now_ms))
        case MakeReport() | ResolveFinding() | DismissFinding():
            known = state.aside.findings if state.aside else None
            decided = findings.decide(known, state.customer, ask.command, ask.actor, policy, now_ms)
            return of_one(state.customer, decided)
        case _:
            raise Refusal(Code.INVALID, "this command is addressed to a conversation", ref=ask.id, field="do")


def _gone(state: Journey, remains: Conversation | None, conversation: str) -> str:
    """Why a conversation takes no command, in words for whoever sent it."""
    if remains is not None:
        return f"{conversation} is over, and what was said in it was dropped by retention; nothing is corrected there"
    if conversation in state.past:
        return f"{conversation} closed too long ago: only a customer's last {CLOSED_MAX} closed ones can be corrected"
    return f"no live conversation {shown(conversation)}"


def _outcome(
    state: Journey, conversation: Conversation, outcome: Outcome, policy: Policy, now_ms: int
) -> list[AnyEvent]:
    """What an attempt's outcome means; a message that is given up may move the conversation, as the policy says."""
    parted = disputes.of(state).parted
    decided = outcomes.decide_outcome(conversation, outcome, policy, now_ms, parted=parted)
    if policy.context.fallback and any(isinstance(fact, DeliveryDead) for fact in decided):
        decided += replying.fall_back(
            conversation,
            state.identities,
            outcome.delivery,
            policy,
            now_ms,
            parted=parted,
        )
    return decided


def _correct(
    state: Journey,
    conversation: Conversation,
    command: Split | Join | Relate,
    actor: str,
    policy: Policy,
    now_ms: int,
) -> Decision:
    known = (*state.conversations, *state.past)
    new = f"{state.customer}-{state.opened + 1}"
    other = state.conversation(command.other) if isinstance(command, Join) else None
    rules = rules_of([conversation, *([other] if other else [])], policy)
    return Decision(correcting.decide(state.conversations, known, command, conversation, new, actor, rules, now_ms))


def _link(state: Journey, ask: Ask, command: LinkIdentity, policy: Policy, now_ms: int) -> Decision:
    identity = again(command.identity)
    linked = linking.link(state, command, identity, ask.released, ask.actor, policy.identity, now_ms)
    events = [(state.customer, event) for event in linked.facts]
    return Decision(events, identities=linked.assigned, inherits=linked.inherits)


def _unlink(state: Journey, command: UnlinkIdentity, actor: str, policy: Policy, now_ms: int) -> Decision:
    unlinked, keys = linking.unlink(state, command, actor, now_ms)
    events: list[tuple[str, AnyEvent]] = [(state.customer, each) for each in unlinked]
    theirs = [each.identity for each in unlinked]
    for conversation in state.kept:
        events += [(conversation.id, event) for event in outcomes.give_up_for(conversation, theirs, now_ms)]
    return Decision(events, released=[(each, keys) for each in theirs], version=version_of(policy))


def _release(state: Journey, command: UnmergeCustomers, actor: str, policy: Policy, now_ms: int) -> Decision:
    """The release is the last event: what became mixed is taken apart before, while all of it is one journey."""
    moves, released = unmixing.release(state, command, actor, policy, now_ms)
    step = FamilyStep(RELEASE, released.other, state.customer, released.turn)
    # The once-key goes on the release, which is this customer's own event: a repeat is asked of this customer.
    return Decision([*moves, (state.customer, released)], family=[step], place=-1)


def _due(state: Journey, policy: Policy, now_ms: int, taken: Collection[str]) -> Decision:
    events: list[tuple[str, AnyEvent]] = []
    version = 0
    for conversation in state.kept:
        rules = policy.at(conversation.policy)
        if events and rules.version != version:
            continue  # A decision is made under one version: it rings again once this one is committed.
        version = rules.version
        if conversation.handoff:
            # First: a package counts the events before it from the state's head.
            ended = handing_over.decide_due(conversation, state.identities, rules, now_ms)
            events += [(conversation.id, event) for event in ended]
        if conversation.status is Status.SNOOZED and conversation.wake_at_ms <= now_ms:
            events.append((conversation.id, ConversationWoken(at_ms=now_ms, actor=SYSTEM, reason="time")))
        attempts = delivery.decide_due(conversation, now_ms, taken)
        events += [(conversation.id, event) for event in attempts]
        # What still has to leave keeps it from closing: it rings again when that is settled.
        resolved = conversation.status is Status.RESOLVED and conversation.close_at_ms <= now_ms
        if not resolved or delivery.in_line(conversation):
            events += [(conversation.id, event) for event in contact.decide_due(conversation, rules, now_ms)]
            continue
        events += [(conversation.id, event) for event in contact.end_all(conversation, now_ms)]
        events.append((conversation.id, ConversationClosed(at_ms=now_ms, actor=SYSTEM, reason="resolved")))
    return Decision(events)
