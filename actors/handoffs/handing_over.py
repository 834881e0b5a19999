"""Handing over: transfers of ownership with a context package, decided. Pure; raises `Refusal`.

The giver stays the owner until the taker accepts with the package's hash: no conversation has two. An offer ends by its
taker's answer, by its giver's word, by its lease's end, or because somebody changed the owner or the queue or resolved
the conversation meanwhile, which withdraws it. `handoff_states.py` has the states as a table.
"""

from collections.abc import Mapping, Sequence
from typing import assert_never

from msgspec import Struct

from actors.handoffs.handoff_package import package as pack
from actors.handoffs.handoff_states import Move, may
from actors.rules.handoffs import GIVER, NEXT, TAKER, HandoffRules
from actors.rules.policy import Policy
from actors.state.conversation import Conversation
from protocol.commands import AcceptHandoff, DeclineHandoff, OfferHandoff, WithdrawHandoff
from protocol.entities import ContextItem, Status
from protocol.errors import Code, Refusal, shown
from protocol.events import (
    AnyEvent,
    ContextSet,
    HandoffAccepted,
    HandoffDeclined,
    HandoffExpired,
    HandoffOffered,
    HandoffWithdrawn,
    OwnerChanged,
    QueueChanged,
)
from protocol.events.event import SYSTEM
from protocol.handoffs import Handoff, HandoffPackage, HandoffState, package_sha256

_AGENT, _QUEUE = "agent:", "queue:"


class _Terms(Struct, frozen=True):
    """What an offer says beside its package."""

    kind: str
    to: str
    giver: str
    note: str


def offer(
    state: Conversation,
    command: OfferHandoff,
    given: Sequence[AnyEvent],
    known: Mapping[str, ContextItem | ContextSet],
    actor: str,
    identities: Sequence[str],
    policy: Policy,
    now_ms: int,
) -> list[AnyEvent]:
    """`given` is what the giver brings with the offer, `known` the conversation's context with it."""
    giver = _name_of(actor)
    if policy.handoffs.only_listed and command.kind not in policy.handoffs.kinds:
        kinds = ", ".join(sorted(policy.handoffs.kinds)) or "none"
        raise Refusal(Code.INVALID, f"the policy has no handoff {shown(command.kind)!r}; it has {kinds}", field="kind")
    rules = policy.handoffs.rules(command.kind)
    to = _target(command, rules, giver, policy)
    if state.status is Status.RESOLVED:
        raise _not_now("the conversation is resolved; reopen it to hand it over")
    if state.owner and state.owner != giver:
        raise _not_now(f"{state.owner} owns the conversation, and hands it over; take it first")
    if not may(state.handoff, Move.OFFER):
        assert state.handoff is not None
        raise _not_now(f"handoff {state.handoff.lease} to {state.handoff.to} is open; withdraw it first")
    terms = _Terms(command.kind, to, giver, command.note)
    lease = state.handoff.lease + 1 if state.handoff else 1
    through = state.head + len(given)
    package = pack(state, rules.required, known, identities, note=command.note, lease=lease, through=through)
    offered = _offered(terms, package, rules, actor, policy, now_ms)
    missing = offered.package.missing
    if missing and rules.incomplete == "block":
        raise Refusal(
            Code.NOT_ALLOWED_NOW,
            f"the package for {shown(command.kind)!r} lacks {', '.join(missing)}: {_how_to_give(missing)}",
            field="note" if missing == ["note"] else "fields",
        )
    return [*given, offered]


def _how_to_give(missing: Sequence[str]) -> str:
    """The giver's own words are no item of the context: they come with the offer."""
    items = [field for field in missing if field != "note"]
    said = f"set {', '.join(items)} as context, or give it in fields" if items else ""
    return "; ".join(filter(None, (said, "write a note" if "note" in missing else "")))


def answer(
    state: Conversation,
    command: AcceptHandoff | DeclineHandoff | WithdrawHandoff,
    actor: str,
    identities: Sequence[str],
    policy: Policy,
    now_ms: int,
) -> list[AnyEvent]:
    """An acceptance, a refusal, or the giver's change of mind."""
    agent = _name_of(actor)
    handoff = _open(state, command.lease, now_ms)
    match command:
        case AcceptHandoff():
            _check_taker(handoff, agent, policy)
            return _accept(state, handoff, command, agent, actor, now_ms)
        case DeclineHandoff(reason=reason):
            _check_taker(handoff, agent, policy)
            declined = HandoffDeclined(
                at_ms=now_ms, actor=actor, policy=policy.version, lease=handoff.lease, reason=reason
            )
            does = policy.handoffs.rules(handoff.kind).on_decline
            return [declined, *_without(state, handoff, does, identities, policy, now_ms)]
        case WithdrawHandoff(reason=reason):
            if agent != handoff.giver:
                raise _not_now(
                    f"{handoff.giver} offered handoff {handoff.lease}, and can withdraw it; take or assign the "
                    "conversation to end it for them"
                )
            return [HandoffWithdrawn(at_ms=now_ms, actor=actor, lease=handoff.lease, reason=reason)]
        case _:
            assert_never(command)


def next_due_ms(state: Conversation) -> int | None:
    """When `decide_due` next has something to decide."""
    return state.handoff.expires_at_ms if state.handoff is not None and state.handoff.open and state.live else None


def decide_due(state: Conversation, identities: Sequence[str], policy: Policy, now_ms: int) -> list[AnyEvent]:
    """The end of a lease, and what the policy does then."""
    due_ms = next_due_ms(state)
    if due_ms is None or due_ms > now_ms:
        return []
    handoff = state.handoff
    assert handoff is not None
    expired = HandoffExpired(at_ms=now_ms, actor=SYSTEM, policy=policy.version, lease=handoff.lease)
    does = policy.handoffs.rules(handoff.kind).on_expiry
    return [expired, *_without(state, handoff, does, identities, policy, now_ms)]


def _target(command: OfferHandoff, rules: HandoffRules, giver: str, policy: Policy) -> str:
    if command.agent and command.queue:
        raise Refusal(Code.INVALID, "offer it to an agent or to a queue, not to both", field="queue")
    if command.agent:
        to = _AGENT + command.agent
    elif command.queue:
        to = _QUEUE + command.queue
    else:
        asked = [target for target in rules.to if target != _AGENT + giver]
        to = next((target for target in asked if policy.handoffs.has_takers(target, giver)), "".join(asked[:1]))
    if not to:
        raise Refusal(
            Code.INVALID,
            f"offer it to an agent or to a queue: the policy names nobody for {shown(command.kind)!r}",
            field="agent",
        )
    if to == _AGENT + giver:
        raise Refusal(Code.INVALID, "nobody hands over to themselves", field="agent")
    if not policy.handoffs.has_takers(to, giver):
        text = f"{to} has no member who could take it: name somebody in handoffs.yaml (members), or offer it elsewhere"
        raise Refusal(Code.NOT_ALLOWED_NOW, text, field="queue")
    return to


def _offered(
    terms: _Terms, package: HandoffPackage, rules: HandoffRules, actor: str, policy: Policy, now_ms: int
) -> HandoffOffered:
    return HandoffOffered(
        at_ms=now_ms,
        actor=actor,
        policy=policy.version,
        lease=package.lease,
        kind=terms.kind,
        giver=terms.giver,
        to=terms.to,
        continuity=_continuity(rules, terms),
        package=package,
        sha256=package_sha256(package),
        expires_at_ms=now_ms + rules.waits_ms,
    )


def _continuity(rules: HandoffRules, terms: _Terms) -> str:
    named = {GIVER: _AGENT + terms.giver, TAKER: terms.to}
    return named.get(rules.continuity, rules.continuity)


def _open(state: Conversation, lease: int, now_ms: int) -> Handoff:
    """The offer that an answer means. The lease fences: an answer to an older offer never counts for a newer one."""
    handoff = state.handoff
    if handoff is None:
        raise Refusal(Code.NOT_FOUND, "this conversation was never offered to anybody", field="lease")
    if lease > handoff.lease:
        raise Refusal(Code.NOT_FOUND, f"there is no handoff {lease}; the newest is {handoff.lease}", field="lease")
    if lease < handoff.lease:
        raise _not_now(f"handoff {lease} is over; {handoff.lease}, to {handoff.to}, came after it")
    if handoff.state is not HandoffState.OFFERED:
        by = f" by {handoff.ended_by}" if handoff.ended_by != SYSTEM else ""
        raise _not_now(f"handoff {lease} is over: {handoff.state}{by} {_ago(handoff.ended_at_ms, now_ms)}")
    if now_ms >= handoff.expires_at_ms:
        raise _not_now(f"handoff {lease} is over: its lease ended {_ago(handoff.expires_at_ms, now_ms)}")
    return handoff


def _ago(at_ms: int, now_ms: int) -> str:
    return f"{max(0, now_ms - at_ms) // 1000} s ago"


def _check_taker(handoff: Handoff, agent: str, policy: Policy) -> None:
    if agent == handoff.giver:
        raise _not_now(f"handoff {handoff.lease} is your own offer; withdraw it instead")
    if not policy.handoffs.may_take(handoff.to, agent):
        member = "" if handoff.to.startswith(_AGENT) else ", of which you are no member (handoffs.yaml: members)"
        raise _not_now(f"handoff {handoff.lease} was offered to {handoff.to}, not to you{member}")


def _accept(
    state: Conversation, handoff: Handoff, command: AcceptHandoff, agent: str, actor: str, now_ms: int
) -> list[AnyEvent]:
    if command.sha256 != handoff.sha256:
        raise Refusal(
            Code.INVALID,
            f"sha256 is not the hash of handoff {handoff.lease}'s package; take it from what you were given",
            field="sha256",
        )
    events: list[AnyEvent] = [
        HandoffAccepted(
            at_ms=now_ms,
            actor=actor,
            lease=handoff.lease,
            sha256=handoff.sha256,
            # Where the queue was to answer for the context, the agent who accepts does from now on.
            continuity=_AGENT + agent if handoff.continuity == handoff.to else handoff.continuity,
        )
    ]
    if state.owner != agent:
        events.append(OwnerChanged(at_ms=now_ms, actor=actor, owner=agent, previous=state.owner))
    if handoff.to.startswith(_QUEUE):
        events += _into(state, handoff.to, actor, now_ms)
    return events


def _without(
    state: Conversation, handoff: Handoff, does: str, identities: Sequence[str], policy: Policy, now_ms: int
) -> list[AnyEvent]:
    """What the policy does with a conversation whose offer was not accepted."""
    if does == GIVER:
        return []
    if does != NEXT:
        nobodys = [OwnerChanged(at_ms=now_ms, actor=SYSTEM, owner="", previous=state.owner)] if state.owner else []
        return [*nobodys, *_into(state, does, SYSTEM, now_ms)]
    rules = policy.handoffs.rules(handoff.kind)
    to = _next(handoff, rules, policy)
    if not to:
        return []
    note = handoff.package.note if handoff.package else ""
    # The next offer follows the event that ends this one: its package counts the events up to there.
    lease, through = handoff.lease + 1, state.head + 1
    package = pack(state, rules.required, state.context, identities, note=note, lease=lease, through=through)
    return [_offered(_Terms(handoff.kind, to, handoff.giver, note), package, rules, SYSTEM, policy, now_ms)]


def _next(handoff: Handoff, rules: HandoffRules, policy: Policy) -> str:
    """The target after this one; each is asked once, the giver never, and no queue in which nobody could take it."""
    after = rules.to.index(handoff.to) + 1 if handoff.to in rules.to else 0
    giver = handoff.giver
    asked = (target for target in rules.to[after:] if target != _AGENT + giver)
    return next((target for target in asked if policy.handoffs.has_takers(target, giver)), "")


def _into(state: Conversation, target: str, actor: str, now_ms: int) -> list[AnyEvent]:
    queue = target.removeprefix(_QUEUE)
    if queue == state.queue:
        return []
    return [QueueChanged(at_ms=now_ms, actor=actor, queue=queue, previous=state.queue)]


def _name_of(actor: str) -> str:
    return actor.partition(":")[2]


def _not_now(message: str) -> Refusal:
    return Refusal(Code.NOT_ALLOWED_NOW, message)
