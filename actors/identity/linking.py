"""Linking: what people and programs say of a customer's identities, by command. Pure.

link            an identity is this customer's; if it was already, the evidence must be better than what is known
unlink          it is not; its next customer is told the once-keys of what came with it
close_review    a conflict that was noted needs no decision any more
"""

from collections.abc import Sequence

from msgspec import msgpack

from actors.identity import disputes
from actors.inbound.identifying import IDENTITIES_MAX, VERIFYING, Identified, inherited_by
from actors.rules.identity import IdentityRules
from actors.state.journey import Journey
from protocol.commands import CloseIdentityReview, LinkIdentity, UnlinkIdentity
from protocol.errors import Code, Refusal, shown
from protocol.events import IdentityLinked, IdentityReviewClosed, IdentityUnlinked
from protocol.identities import again
from protocol.ids import may_be_person
from protocol.journal import Released
from protocol.links import Ask

REASON_MAX = 500
"""Characters of a reason."""
ASKED = ("agent", "crm", "login", "verified_by_otp")
"""The evidence a command may name."""


def link(
    state: Journey,
    command: LinkIdentity,
    identity: str,
    released: Sequence[Released],
    actor: str,
    rules: IdentityRules,
    now_ms: int,
) -> Identified:
    """The link that `command` asks for; `identity` is its identity, normalised. Raises `Refusal`."""
    _check_is_known(state)
    if command.evidence not in ASKED:
        raise Refusal(Code.INVALID, f"evidence is one of {', '.join(ASKED)}", field="evidence")
    if not 0 <= command.confidence <= 100:
        text = "confidence is a percentage, 1 to 100; 0 leaves it to the policy"
        raise Refusal(Code.INVALID, text, field="confidence")
    linked = IdentityLinked(
        at_ms=now_ms,
        actor=actor,
        identity=identity,
        evidence=command.evidence,
        verified=command.evidence in VERIFYING,
        confidence=command.confidence or rules.confidence_in(command.evidence),
        inherited=disputes.keys_for(released, identity),
    )
    known = next((link for link in state.links if link.identity == identity), None)
    if known is None:
        if len(state.links) >= IDENTITIES_MAX:
            raise Refusal(Code.OVER_LIMIT, f"a customer has at most {IDENTITIES_MAX} identities", field="identity")
        return Identified([linked], [identity], inherited_by(released, [identity]))
    if (linked.verified, linked.confidence) <= (known.verified, known.confidence):
        text = f"{identity} is this customer's already, by evidence as good ({known.evidence}, {known.confidence} %)"
        raise Refusal(Code.NOT_ALLOWED_NOW, text, field="identity")
    return Identified([linked])


def unlink(state: Journey, command: UnlinkIdentity, actor: str, now_ms: int) -> tuple[list[IdentityUnlinked], bytes]:
    """The end of an identity's link, under whichever spelling it is this customer's, and the packed once-keys that its
    next customer must know. Raises `Refusal`."""
    _check_is_known(state)
    theirs = [each for each in state.identities if _is_meant(each, command.identity)]
    if not theirs:
        raise Refusal(Code.NOT_ALLOWED_NOW, f"{again(command.identity)} is not this customer's", field="identity")
    _check_reason(command.reason)
    unlinked = [IdentityUnlinked(at_ms=now_ms, actor=actor, identity=each, reason=command.reason) for each in theirs]
    return unlinked, msgpack.encode(keys_of(state))


def keys_of(state: Journey) -> dict[str, bytes]:
    """The once-keys of what came to the customer, to its members, and for its identities before they were its own."""
    known, family = disputes.of(state), disputes.of(state).family
    keys = {**dict(known.inherited), state.customer: state.once.packed}
    if family is not None:
        keys |= {id: member.once.packed for id, member in family.members.items()}
    return keys


def close_review(state: Journey, command: CloseIdentityReview, actor: str, now_ms: int) -> IdentityReviewClosed:
    """The end of a review. Raises `Refusal` where none of that conflict was ever opened, or it is closed."""
    _check_is_known(state)
    _check_reason(command.reason)
    noted = (note.rpartition(" ") for note in disputes.of(state).noted)
    found = next((each for each, _, other in noted if other == command.other and _is_meant(each, command.identity)), "")
    if not found:
        text = f"no review of {shown(command.identity)} is open for this customer; see GET /v1/identity/reviews"
        raise Refusal(Code.NOT_FOUND, text, field="identity")
    return IdentityReviewClosed(at_ms=now_ms, actor=actor, identity=found, other=command.other, reason=command.reason)


def _is_meant(known: str, identity: str) -> bool:
    """Whether an identity that is known is the one that somebody wrote: as it stands, or as either is spelled now. An
    earlier program may have spelled it otherwise, or have let in what none is now."""
    if known == identity:
        return True
    try:
        return again(known) == again(identity)
    except Refusal:
        return False


def _check_reason(reason: str) -> None:
    if len(reason) > REASON_MAX:
        raise Refusal(Code.OVER_LIMIT, f"a reason has at most {REASON_MAX} characters", field="reason")


def links(asked: Ask, identity: str) -> bool:
    """Whether a command would link that (normalised) identity; one that is no identity links nothing."""
    if not isinstance(asked.command, LinkIdentity):
        return False
    try:
        return again(asked.command.identity) == identity
    except Refusal:
        return False


def _check_is_known(state: Journey) -> None:
    if not state.head or not may_be_person(state.customer):
        raise Refusal(Code.NOT_FOUND, f"no customer {shown(state.customer)}", field="customer")
