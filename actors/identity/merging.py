"""Merging: one customer becomes a member of another, and leaves again. Pure.

    give      the customer's last fact for now: its affairs are another's      return    they are its own again
    adopt     the other has all of it: conversations, identities, keys         release   what is its own leaves with it

Nothing in history moves. What a member's state was is folded from its own streams up to the give; what happens in them
afterwards changes the joined state, and after a release both can be folded from their streams alone.
"""

from collections.abc import Sequence
from copy import copy
from typing import TYPE_CHECKING

from msgspec.structs import replace

from actors.context.carrying import KEPT_MAX
from actors.identity import disputes, mixed
from actors.identity.members import LEFT_MAX, MIXED_MAX, Family, GivenAway, Member, home_of
from actors.state import recent
from protocol.commands import GiveCustomer
from protocol.errors import Code, Refusal, shown
from protocol.events import CustomerGiven, CustomerMerged, CustomerReleased, CustomerReturned
from protocol.identities import kind_of
from protocol.ids import may_be_person
from protocol.journal import Unsettled

if TYPE_CHECKING:
    from actors.state.journey import Aside, Journey

REASON_MAX = 500
"""Characters of a reason."""


def family_of(state: "Journey") -> Family | None:
    """The customer's members; None where it never had any."""
    return state.disputes.family if state.disputes is not None else None


def given_of(state: "Journey") -> GivenAway | None:
    """Into whom the customer was merged; None where its affairs are its own."""
    return state.disputes.given if state.disputes is not None else None


def is_member(state: "Journey", customer: str) -> bool:
    """Whether that one's affairs are this one's."""
    family = family_of(state)
    return family is not None and customer in family.members


# Deciding


def give(state: "Journey", command: GiveCustomer, actor: str, single: Sequence[str], now_ms: int) -> CustomerGiven:
    """Of `single` kinds a customer has one, unless a person says otherwise. Raises `Refusal`."""
    if state.customer != command.customer:
        text = f"{command.customer} is merged into {state.customer} already"
        if command.to != state.customer:
            text += f": merge that one into {command.to}, or unmerge {command.customer} first"
        raise Refusal(Code.NOT_ALLOWED_NOW, text, field="other")
    _check_may_merge(state, command, single)
    family = family_of(state)
    return CustomerGiven(
        at_ms=now_ms,
        actor=actor,
        to=command.to,
        turn=disputes.of(state).turn + 1,
        members=[state.customer, *(family.members if family else ())],
        reason=command.reason,
    )


def _check_may_merge(state: "Journey", command: GiveCustomer, single: Sequence[str]) -> None:
    if not state.head or not may_be_person(state.customer):
        raise Refusal(Code.NOT_FOUND, f"no customer {shown(state.customer)}", field="other")
    if command.to == state.customer:
        raise Refusal(Code.INVALID, "a customer is not merged into itself", field="other")
    if len(command.reason) > REASON_MAX:
        raise Refusal(Code.OVER_LIMIT, f"a reason has at most {REASON_MAX} characters", field="reason")
    if command.identity:
        link = next((link for link in state.links if link.identity == command.identity), None)
        both = {kind_of(identity) for identity in state.identities}.intersection(single, command.kinds)
        if link is None or (link.verified and command.verified) or both or command.to in _parted_from(state):
            raise Refusal(Code.NOT_ALLOWED_NOW, "a person has to say whether they are one", field="identity")


def _parted_from(state: "Journey") -> set[str]:
    """Customers whom this one was one with, and is not any more."""
    family = family_of(state)
    left = set(family.left) if family is not None else set()
    return left | {customer for customer, _ in disputes.of(state).inherited}


def adopt(other: "Journey", told: Unsettled, now_ms: int) -> CustomerMerged:
    """What follows from the give that `other` ends with."""
    given, family = given_of(other), family_of(other)
    assert given is not None, f"{other.customer} was not given to {told.customer}"
    return CustomerMerged(
        at_ms=now_ms,
        actor=given.actor,
        other=other.customer,
        turn=told.turn,
        given_at=told.position,
        members=[other.customer, *(family.members if family else ())],
        identities=list(other.identities),
        reason=given.reason,
    )


def returned(released: CustomerReleased, told: Unsettled, now_ms: int) -> CustomerReturned:
    """What follows from the release."""
    return CustomerReturned(
        at_ms=now_ms,
        actor=released.actor,
        other=told.other,
        turn=released.turn,
        released_at=told.position,
        links=released.links,
        inherited=released.inherited,
        replaying=released.replaying,
        replayed=released.replayed,
    )


# Evolving


def evolve_given(state: "Journey", event: CustomerGiven) -> None:
    """The customer's affairs are another's."""
    given = GivenAway(event.to, event.actor, event.reason)
    state.disputes = replace(disputes.of(state), given=given, turn=event.turn)


def evolve_returned(state: "Journey", event: CustomerReturned) -> None:
    """They are its own again. The state was folded through what happened in its streams meanwhile."""
    state.links = tuple(event.links)
    family = family_of(state)
    if family is not None:
        for member in family.members.values():
            member.identities = tuple(each for each in member.identities if state.has(each))
    if state.aside is not None:
        state.aside.forms = {}  # What was begun meanwhile may have been begun in another form than before.
    if event.replaying or event.replayed or (state.aside is not None and event.replaying is not None):
        aside = state.set_aside()
        aside.replaying = tuple(event.replaying if event.replaying is not None else aside.replaying)
        aside.replayed = tuple(dict.fromkeys((*aside.replayed, *event.replayed)))
    known = disputes.of(state)
    inherited = disputes.also_of(known.inherited, event.inherited)
    state.disputes = replace(known, given=None, turn=event.turn, inherited=inherited)


def join(state: "Journey", other: "Journey", event: CustomerMerged) -> None:
    """`other`, as it gave itself, becomes part of `state`."""
    _join_conversations(state, other)
    state.links = (*state.links, *other.links)
    state.aside = _joined_aside(state.aside, other.aside)
    known, theirs = disputes.of(state), disputes.of(other)
    parted = tuple(each for each in theirs.parted if each not in known.parted and not state.has(each))
    noted = tuple(each for each in theirs.noted if each not in known.noted)
    family, brought = known.family or Family(), theirs.family or Family()
    onces = {id: each.once for id, each in {**family.members, **brought.members}.items()}
    onces |= {state.customer: state.once, other.customer: other.once}
    of_members = {identity for member in brought.members.values() for identity in member.identities}
    heads = _heads(other, brought)
    for earlier in family.members.values():
        if earlier.heads is not None:
            earlier.heads |= heads
    family.members[other.customer] = Member(
        via=state.customer,
        turn=event.turn,
        given_at=event.given_at,
        at_ms=event.at_ms,
        seq=state.head,
        opened=other.opened,
        identities=tuple(each for each in other.identities if each not in of_members),
        once=other.once,
        parted=parted,
        noted=noted,
        marks={id: once.newest for id, once in onces.items()},
        heads=_heads(state, family),
    )
    family.members |= brought.members
    family.mixed = (*brought.mixed, *family.mixed)[-MIXED_MAX:]
    family.packed = (*brought.packed, *family.packed)
    mixed.bound(family)
    family.left = {id: left for id, left in family.left.items() if id not in event.members}
    state.disputes = replace(
        known,
        parted=(*parted, *known.parted),
        noted=(*noted, *known.noted),
        inherited=disputes.also_of(theirs.inherited, dict(known.inherited)),
        family=family,
    )


def _heads(state: "Journey", family: Family) -> dict[str, int]:
    """Where the conversations stand of which memory has anything that is taken apart."""
    packed = (mixed.again(each) for _, each in family.packed)
    return {conversation.id: conversation.head for conversation in (*packed, *state.kept)}


def _join_conversations(state: "Journey", other: "Journey") -> None:
    for conversation in other.kept:
        conversation.customer = state.customer
    state.kept = (*other.kept, *state.kept)
    # Which closed first, nobody remembers; those that are in memory are the last to be forgotten.
    past = (*other.past, *state.past)
    gone = tuple(id for id in past if state.conversation(id) is None)
    state.past = (*gone, *(id for id in past if id not in gone))


def evolve_released(state: "Journey", event: CustomerReleased) -> None:
    """The member and those that it brought leave, with what is theirs."""
    known = disputes.of(state)
    family = known.family
    assert family is not None, f"{event.other} leaves {state.customer}, and never came"
    gone = set(event.members)
    own = state.customer
    leaving = {link.identity for link in event.links}
    state.kept = tuple(each for each in state.kept if home_of(each.id, own) not in gone)
    state.past = tuple(id for id in state.past if home_of(id, own) not in gone)
    state.links = tuple(link for link in state.links if link.identity not in leaving)
    if state.aside is not None:
        remembered = tuple(past for past in state.aside.remembered if home_of(past.conversation, own) not in gone)
        state.aside.remembered = remembered
        state.aside.left = tuple(each for each in state.aside.left if home_of(each[0], own) not in gone)
        state.aside.replaying = tuple(id for id in state.aside.replaying if kept_by(id) not in gone)
        state.aside.forms = {id: form for id, form in state.aside.forms.items() if kept_by(id) not in gone}
        state.aside.replayed = tuple(id for id in state.aside.replayed if kept_by(id) not in gone)
    members = {id: member for id, member in family.members.items() if id in gone}
    family.members = {id: member for id, member in family.members.items() if id not in gone}
    stay = {id: left for id, left in family.left.items() if id not in gone}
    left = {**stay, **dict.fromkeys(event.members, (event.other, event.turn))}
    family.left = dict(list(left.items())[-LEFT_MAX:])
    family.mixed = tuple(id for id in family.mixed if home_of(id, own) not in gone)
    # Once nobody is left there is nothing to take apart.
    family.packed = tuple(each for each in family.packed if family.members and home_of(each[0], own) not in gone)
    brought = {each for member in members.values() for each in (*member.parted, *member.noted)}
    marks = members[event.other].marks
    # Another's word may have been heard here in one of their conversations: repeats of it come to this customer.
    keys = {id: member.once.since(marks.get(id, b"")) for id, member in members.items()}
    state.disputes = replace(
        known,
        parted=tuple(each for each in known.parted if each not in brought),
        noted=tuple(each for each in known.noted if each not in brought),
        inherited=disputes.also_of(known.inherited, keys),
    )


def kept_by(quarantine: str) -> str:
    """Whose a quarantined input was when it was kept, of which this is the id."""
    return quarantine.rpartition(".")[0]


def _joined_aside(one: "Aside | None", other: "Aside | None") -> "Aside | None":
    if one is None or other is None:
        return copy(other) if one is None else one
    joined = copy(one)
    joined.replayed = (*other.replayed, *one.replayed)
    joined.replaying = (*other.replaying, *one.replaying)
    joined.forms = {**other.forms, **one.forms}
    joined.remembered = tuple(sorted((*other.remembered, *one.remembered), key=lambda past: past.resolved_at_ms))
    joined.left = (*other.left, *one.left)[-KEPT_MAX:]
    for encoded in recent.events(other.before):
        joined.before, joined.before_count = recent.add(joined.before, joined.before_count, encoded)
    if other.glimpse is not None and (one.glimpse is None or one.glimpse.at_ms < other.glimpse.at_ms):
        joined.glimpse = other.glimpse
    return joined
