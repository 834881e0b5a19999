"""Disputes: what is known of a customer's identities, and of those that are contested. Pure.

What was linked stands in the journey (`links`); what was taken away, what was noted for a person to look at, and whose
once-keys came with an identity stands here, since most customers have nothing of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from sys import intern
from typing import TYPE_CHECKING

from msgspec import Struct, msgpack
from msgspec.structs import replace

from actors.decisions.once import united
from actors.identity.members import Family, GivenAway
from protocol.entities import IdentityLink
from protocol.events import IdentityConflictFound, IdentityLinked, IdentityReviewClosed, IdentityUnlinked
from protocol.journal import Released

if TYPE_CHECKING:
    from actors.state.journey import Journey

PARTED_MAX = 64
NOTED_MAX = 64
INHERITED_MAX = 32
"""Bounds of a customer, the oldest going first: identities that were taken from it, conflicts that are noted once, and
former customers of its identities whose once-keys it knows: a whole family's (16) that it was one with, and more."""

FORGOTTEN = ""
"""In the place of a customer's id: of somebody who was erased, and is not to be known again by the keys."""

_decode_keys = msgpack.Decoder(dict[str, bytes]).decode


class Disputes(Struct, kw_only=True, frozen=True, gc=False):
    """What most customers have nothing of: kept apart, since each field costs every live journey eight bytes."""

    parted: tuple[str, ...] = ()
    """Identities that somebody unlinked: an event alone does not link them again."""
    noted: tuple[str, ...] = ()
    """Conflicts that were noted, so that each is noted once: the identity, a space, and whose it is."""
    inherited: tuple[tuple[str, bytes], ...] = ()
    """By former customer of identities that are this one's now: the once-keys of what came for them."""
    given: GivenAway | None = None
    """It is a member of another customer."""
    turn: int = 0
    """How often it was merged into another customer, or released again; odd while it is merged."""
    family: Family | None = None
    """Its members, and those that left; changed in place."""


_NO_DISPUTES = Disputes()


def of(state: "Journey") -> Disputes:
    """The customer's."""
    return state.disputes or _NO_DISPUTES


def note(identity: str, other: str) -> str:
    """A conflict as `Disputes.noted` has it."""
    return f"{identity} {other}"


def keys_of(released: Released) -> dict[str, bytes]:
    """By former customer of a released identity: the once-keys of what came for it."""
    return _decode_keys(released.keys)


def keys_for(released: Sequence[Released], identity: str) -> dict[str, bytes]:
    """The same for one identity, if it is among the released; else nothing."""
    return next((keys_of(known) for known in released if known.identity == identity), {})


def also_of(known: Iterable[tuple[str, bytes]], more: Mapping[str, bytes]) -> tuple[tuple[str, bytes], ...]:
    """Once-keys by customer, with more of them. A customer who is in both has the keys of both: the newer may have
    fewer.
    """
    found = dict(known)
    for customer, keys in more.items():
        found[customer] = united(found.pop(customer, b""), keys)
    return tuple(found.items())[-INHERITED_MAX:]


# Evolving


def evolve(
    state: "Journey", event: IdentityLinked | IdentityUnlinked | IdentityConflictFound | IdentityReviewClosed
) -> None:
    """Applies a fact about the customer's identities, in place."""
    match event:
        case IdentityLinked():
            _evolve_linked(state, event)
        case IdentityUnlinked():
            state.links = tuple(known for known in state.links if known.identity != event.identity)
            parted = (*_without(of(state).parted, event.identity), event.identity)
            state.disputes = replace(of(state), parted=parted[-PARTED_MAX:])
            for member in state.disputes.family.members.values() if state.disputes.family else ():
                member.identities = _without(member.identities, event.identity)
        case IdentityConflictFound():
            noted = (*of(state).noted, note(event.identity, event.other))
            state.disputes = replace(of(state), noted=noted[-NOTED_MAX:])
        case IdentityReviewClosed():
            pass  # It stays in `noted`, so that the same conflict is not noted again.


def _evolve_linked(state: "Journey", event: IdentityLinked) -> None:
    if not event.identity:
        return  # It is forgotten, with the person.
    linked = IdentityLink(
        identity=event.identity,
        evidence=intern(event.evidence),
        confidence=event.confidence,
        verified=event.verified,
        actor=intern(event.actor),
        at_ms=event.at_ms,
    )
    if state.has(event.identity):
        # Better evidence, in the place of what was known.
        state.links = tuple(linked if known.identity == event.identity else known for known in state.links)
        return
    state.links = (*state.links, linked)
    if event.identity in of(state).parted:
        state.disputes = replace(of(state), parted=_without(of(state).parted, event.identity))
    if event.inherited:
        others = {customer: keys for customer, keys in event.inherited.items() if customer != state.customer}
        state.disputes = replace(of(state), inherited=also_of(of(state).inherited, others))


def _without(identities: tuple[str, ...], gone: str) -> tuple[str, ...]:
    return tuple(identity for identity in identities if identity != gone)
