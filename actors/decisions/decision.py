"""A decision: what an input does to a journey, as data; and what makes every effect single.

The once-key of what came in stands on the first event that it caused, so that key and effect are journaled together; a
repeat finds it in the state, and is answered with the place of what it did before.
"""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from actors.decisions.once import OnceKeys, Seen
from actors.identity import disputes
from actors.rules.policy import Policy
from actors.state.conversation import Conversation
from actors.state.journey import Journey
from protocol.events import AnyEvent, Once
from protocol.journal import FamilyStep, MergeDue
from protocol.links import Ask, Input, Quarantine


class Decision(Struct, frozen=True, gc=False):
    """What an input does: events by stream in order, or the place of what a repeat did before.

    `identities` are those the events assign to the customer. `status` is the answer's.
    """

    events: list[tuple[str, AnyEvent]]
    status: str = "committed"
    identities: list[str] = []
    released: list[tuple[str, bytes]] = []
    """Identities that are no longer the customer's, each with the packed once-keys that its next customer must know."""
    inherits: list[tuple[str, int]] = []
    """Those of `identities` that another customer released, each with the position of that: their once-keys are known.
    """
    family: list[FamilyStep] = []
    """The steps of merges that the events are."""
    place: int = 0
    """Index of the event that carries the once-key, and whose place a repeat is told: mostly the first."""
    stray: str = ""
    """The identity for which the input was sent here by mistake: it is not the customer's. Or, with `apart`, it is, and
    says nothing of whose the input is."""
    apart: list[str] = []
    """Identities of the input that do not say whose it is."""
    repeats: tuple[str, int] | None = None
    why: tuple[int, str, str] | None = None
    """Code, field and reason of what went to quarantine."""
    version: int = 0
    """Of the policy it was made under, where its conversations do not say that."""
    merge: MergeDue | None = None
    """A merge that a rule asks for; whoever hears the answer sees to it."""


NOTHING = Decision([])


def of_one(stream: str, events: list[AnyEvent], version: int = 0) -> Decision:
    """A decision whose events are all of one stream."""
    return Decision([(stream, event) for event in events], version=version)


def payload_key(input: Input) -> int:
    """The key under which this payload is kept in quarantine: of its own, so that repeats stay single and the event
    itself may yet come in."""
    return (input.key ^ (input.digest * 0x9E3779B97F4A7C15)) & 0xFFFF_FFFF_FFFF_FFFF


def before(state: Journey, input: Input, key: int) -> tuple[str, Seen] | None:
    """What the key did before, and at which customer: this one, a member, or a former customer of an identity that is
    this one's now or about to be. None where it is new.

    What was refused of somebody who is forgotten came before, too: else the words would be back, once they are taken.
    """
    if (came := seen(state, key)) is not None:
        return came
    inherited = [*disputes.of(state).inherited]
    for released in input.released:
        inherited += disputes.keys_of(released).items()
    for customer, packed in inherited:
        keys = OnceKeys(packed)
        if (known := keys.get(key)) is not None:
            return customer, known
        if customer == disputes.FORGOTTEN and (known := keys.get(payload_key(input))) is not None:
            return customer, known
    return None


def asked_before(state: Journey, key: int) -> tuple[str, Seen] | None:
    """What a key did before: here, at a member, or at whom this customer was one with as that was asked, or came. None
    where it is new."""
    if (came := seen(state, key)) is not None:
        return came
    for customer, packed in disputes.of(state).inherited:
        if (known := OnceKeys(packed).get(key)) is not None:
            return customer, known
    return None


def seen(state: Journey, key: int) -> tuple[str, Seen] | None:
    """What the key did before, and at which customer: this one or a member. None where it is new to both."""
    if (known := state.once.get(key)) is not None:
        return state.customer, known
    if state.disputes is not None and (family := state.disputes.family) is not None:
        for id, member in family.members.items():
            if (known := member.once.get(key)) is not None:
                return id, known
    return None


def repeat(customer: str, seen: Seen, *, status: str = "repeat", why: tuple[int, str, str] | None = None) -> Decision:
    """The decision on what came before, to that customer: its first result again, and no event."""
    stream = f"{customer}-{seen.conversation}" if seen.conversation else customer
    place = ("", 0) if seen.is_elsewhere else (stream, seen.seq)
    return Decision([], status=status, repeats=place, why=why)


def keyed(decision: Decision, input: Input | Quarantine | Ask | Once, state: Journey, policy: Policy) -> Decision:
    """Puts the once-key on the first event (or the one at `place`), so that key and effect are journaled together; and
    the policy's version."""
    if decision.events:
        stream, first = decision.events[decision.place]
        version = decided_under(state, decision, policy)
        decision.events[decision.place] = (
            stream,
            msgspec.structs.replace(first, once=Once(input.key, input.digest), policy=version),
        )
    return decision


def decided_under(state: Journey, decision: Decision, policy: Policy) -> int:
    """The version that a decision was made under: the newest, unless its conversation is pinned to an earlier one. What
    concerns the customer, or conversations under different versions, is decided under the newest."""
    if decision.version:
        return decision.version
    if not policy.earlier or decision.family:
        return policy.version
    streams = dict.fromkeys(stream for stream, _ in decision.events)
    concerned = [conversation for conversation in map(state.conversation, streams) if conversation is not None]
    return rules_of(concerned, policy).version


def version_of(rules: Policy) -> int:
    """The `version` of a decision that was made by these rules. Where these are the newest, and conversations may be
    pinned to earlier ones, the decision has to say so; else 0, and `decided_under` finds it."""
    return rules.version if rules.earlier else 0


def rules_of(conversations: Sequence[Conversation], policy: Policy) -> Policy:
    """The rules for what concerns these conversations: those that all of them are pinned to, else the newest."""
    versions = {policy.at(conversation.policy).version for conversation in conversations}
    return policy.at(conversations[0].policy) if len(versions) == 1 else policy
