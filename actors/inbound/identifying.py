"""Identifying: whose the identities of an event are, by which evidence, and what the policy makes of that. Pure.

The channel vouches for the address that an event came from, its first identity; the others are only what it was told. A
login and a one-time password verify an identity; an agent's or a CRM's word links it and verifies nothing.

    nobody has it, the evidence will do       linked
    nobody has it, the evidence is too weak   noted for review
    another customer has it                   noted for review: `merge` where the policy's level is reached
    somebody took it from this customer       noted for review: an event alone does not link it again
    nobody has it, of a kind that is single   noted for review: the customer has another of its kind
    it is shared, and the event names more    nothing: it stands for several people
    the event came from one that was taken    the event is not this customer's, whatever else it names
    … or from one that is new, and only       the same: what else it names leads nowhere
    weak evidence leads here, or the customer
    has another of a kind that is single
"""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from actors.identity import disputes
from actors.rules.identity import IdentityRules
from actors.state.journey import Journey
from protocol.events import AnyEvent, IdentityConflictFound, IdentityLinked
from protocol.events.event import POLICY as BY_POLICY
from protocol.identities import kind_of
from protocol.journal import MergeDue, Released
from protocol.links import Input

IDENTITIES_MAX = 64
"""Of a customer."""
VERIFYING = frozenset(("login", "verified_by_otp"))
"""Evidence that shows the customer to have the identity."""
EVIDENCE_OF_KIND = {"user": "login", "crm": "crm"}
"""The evidence that it is when a channel names an identity of this kind beside its own; any other kind is only
asserted.
"""


class Identified(Struct, frozen=True, gc=False):
    """What an input says about people: facts for the customer's own stream, the identities that they assign, and which
    of these were released before, at which position. Or `stray`, an identity that belongs elsewhere; with `apart`,
    these led here and do not say whose the event is."""

    facts: list[AnyEvent] = []
    assigned: list[str] = []
    inherits: list[tuple[str, int]] = []
    stray: str = ""
    apart: list[str] = []
    merge: MergeDue | None = None
    """The merge that a rule asks for, because of one of the conflicts."""


NOTHING_NEW = Identified()


def identify(state: Journey, input: Input, rules: IdentityRules, now_ms: int) -> Identified:
    """What an inbound event says about who the customer is."""
    if not state.head and _is_stranger(state, input):
        claim = _claim(input.identities[0], input, rules)
        # A new customer has at least the identity that made it one.
        return Identified([_linked(claim, input, now_ms)], [claim.identity])
    new = [identity for identity in input.identities if not state.has(identity)]
    if not new and not input.conflicts:
        return NOTHING_NEW
    ties = [identity for identity in input.identities if state.has(identity)]
    shared = [identity for identity in input.event.identities if rules.is_shared(identity)] if rules.shared else []
    if len(shared) == len(input.event.identities):
        shared = []  # There is nothing better to go by.
    own, others = input.event.identities[0], [identity for identity, _ in input.conflicts]
    # Unlinked since the event was sent here. That does not matter beside an identity that is the customer's.
    unknown = [identity for identity in new if not input.proposed and identity not in input.claimed]
    if own in unknown or own in others or (unknown and not ties):
        return Identified(stray=own if own in (*unknown, *others) else unknown[0])
    new = [identity for identity in new if identity not in unknown]
    if input.event.identities[:1] == new[:1] and _is_another(state, input, new[0], ties, rules):
        # Whoever writes from there is not this customer: the others that the event names lead astray.
        return Identified(stray=(*ties, new[0])[0], apart=ties)
    if state.head and all(tie in shared for tie in ties):
        return Identified(stray=(*ties, *new, *others)[0], apart=shared if ties else [])
    return _facts(state, input, [i for i in new if i not in shared], shared, rules, now_ms)


def _is_stranger(state: Journey, input: Input) -> bool:
    """Whether somebody unknown comes by one address that nobody has or ever had. So most new customers come, and there
    is nothing to weigh."""
    if state.disputes is not None or input.conflicts or input.released or not input.proposed:
        return False
    return len(input.identities) == 1 and input.identities == input.event.identities


def _is_another(state: Journey, input: Input, own: str, ties: Sequence[str], rules: IdentityRules) -> bool:
    """Whether the event is somebody else's, though other identities that it names are this customer's: a person
    unlinked its address; or it is one more of a kind of which a customer has one; or the others, by their evidence,
    would not link."""
    if own in disputes.of(state).parted:
        return True
    if not ties or _by_person(input):
        return False
    return _is_second(own, state.identities, rules) or not any(_claim(tie, input, rules).links for tie in ties)


def _by_person(input: Input) -> bool:
    return input.said_by not in ("", BY_POLICY)


def _is_second(identity: str, known: Iterable[str], rules: IdentityRules) -> bool:
    """Whether it is of a kind of which a customer has one, and another of that kind is among `known`."""
    kind = kind_of(identity)
    return kind in rules.single and any(kind_of(other) == kind for other in known)


def _facts(
    state: Journey, input: Input, new: list[str], shared: list[str], rules: IdentityRules, now_ms: int
) -> Identified:
    claims = [_claim(identity, input, rules) for identity in new]
    links, seconds = _linkable(state, input, claims, rules)
    if claims and not links and not state.head:
        links = claims[:1]  # A new customer has at least the identity that made it one.
    links = links[: max(0, IDENTITIES_MAX - len(state.identities))]
    facts: list[AnyEvent] = [_linked(claim, input, now_ms) for claim in links]
    for claim in claims:
        if claim not in links and not claim.links:
            facts += _noted(state, input, claim, "", "weak", now_ms)
        elif claim.identity in disputes.of(state).parted:
            facts += _noted(state, input, claim, "", "unlinked", now_ms)
        elif claim.identity in seconds:
            facts += _noted(state, input, claim, "", "second", now_ms)
    merge: MergeDue | None = None
    for identity, other in input.conflicts:
        if identity not in shared:
            claim = _claim(identity, input, rules)
            facts += _noted(state, input, claim, other, "merge" if claim.merges else "conflict", now_ms)
            merge = merge or _due(state, input, claim, other, rules)
    assigned = [claim.identity for claim in links]
    return Identified(facts, assigned, inherited_by(input.released, assigned), merge=merge)


def _linkable(
    state: Journey, input: Input, claims: Sequence["_Claim"], rules: IdentityRules
) -> tuple[list["_Claim"], list[str]]:
    """The claims that link, and the identities that do not, since the customer has one of their kind already and no
    person says otherwise."""
    links: list[_Claim] = []
    seconds: list[str] = []
    for claim in claims:
        if not claim.links or claim.identity in disputes.of(state).parted:
            continue
        new = [link.identity for link in links]
        if not _by_person(input) and _is_second(claim.identity, (*state.identities, *new), rules):
            seconds.append(claim.identity)
        else:
            links.append(claim)
    return links, seconds


def _due(state: Journey, input: Input, claim: "_Claim", other: str, rules: IdentityRules) -> MergeDue | None:
    """The merge that a rule asks for, of the customer who has the identity into this one."""
    rule = rules.rule_for(claim.identity, claim.evidence, input.event.account)
    known = disputes.of(state)
    apart = {*(known.family.left if known.family else ()), *(customer for customer, _ in known.inherited)}
    if claim.confidence < rule.merge_by_itself_at or other in apart or claim.identity in known.parted:
        return None
    return MergeDue(state.customer, other, claim.identity, claim.verified, rules.place_of(rule))


class _Claim(Struct, frozen=True, gc=False):
    """An identity that an event names as the customer's."""

    identity: str
    evidence: str
    verified: bool
    confidence: int
    links: bool
    merges: bool


def _claim(identity: str, input: Input, rules: IdentityRules) -> _Claim:
    own = input.event.identities[0] if input.event.identities else ""
    if input.said_by:
        verified, evidence = False, "policy" if input.said_by == BY_POLICY else "agent"
    elif identity == own:
        # The event's own string, which its contact keeps too: a conversation has it once.
        identity = own
        # A message surely came from its address. That somebody is signed in to an account an untrusted sender only
        # says.
        verified = input.trusted or kind_of(own) not in EVIDENCE_OF_KIND
        evidence = "first_contact" if input.proposed else "asserted_by_channel"
    else:
        evidence = EVIDENCE_OF_KIND.get(kind_of(identity), "asserted_by_channel")
        verified = evidence in VERIFYING
    confidence = rules.confidence_in(evidence)
    rule = rules.rule_for(identity, evidence, input.event.account)
    # The address that the event came from has to be somebody's, however weak the evidence.
    links = identity == own or confidence >= rule.link_at
    return _Claim(identity, evidence, verified, confidence, links, confidence >= rule.merge_at)


def _linked(claim: _Claim, input: Input, now_ms: int) -> IdentityLinked:
    return IdentityLinked(
        at_ms=now_ms,
        actor=input.said_by or f"account:{input.event.account}",
        identity=claim.identity,
        evidence=claim.evidence,
        verified=claim.verified,
        account=input.event.account,
        confidence=claim.confidence,
        inherited=disputes.keys_for(input.released, claim.identity),
    )


def _noted(
    state: Journey, input: Input, claim: _Claim, other: str, kind: str, now_ms: int
) -> list[IdentityConflictFound]:
    """The conflict, for a person to look at: noted once, though a channel may say it with every event."""
    if disputes.note(claim.identity, other) in disputes.of(state).noted:
        return []
    found = IdentityConflictFound(
        at_ms=now_ms,
        actor=input.said_by or f"account:{input.event.account}",
        identity=claim.identity,
        other=other,
        kind=kind,
        evidence=claim.evidence,
        verified=claim.verified,
        confidence=claim.confidence,
    )
    return [found]


def inherited_by(released: Sequence[Released], assigned: Sequence[str]) -> list[tuple[str, int]]:
    """Of those that are assigned: which were released before, and at which position."""
    return [(known.identity, known.position) for known in released if known.identity in assigned]
