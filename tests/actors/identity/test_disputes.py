"""What a journey knows of its identities, and of those that are contested, as facts change it."""

from struct import pack

import msgspec
import pytest

from actors.identity import disputes
from actors.identity.disputes import INHERITED_MAX, NOTED_MAX, PARTED_MAX, Disputes
from actors.identity.members import Family, Member
from actors.state.journey import Journey
from protocol.events import IdentityConflictFound, IdentityLinked, IdentityReviewClosed, IdentityUnlinked
from protocol.journal import Released

MAIL, PHONE = "mailto:ann@example.org", "tel:+447700900123"


def linked(identity: str, **changes: object) -> IdentityLinked:
    """By an event of an account, unless it is said otherwise."""
    fact = IdentityLinked(at_ms=5, actor="account:shop", identity=identity, evidence="asserted", confidence=50)
    return msgspec.structs.replace(fact, **changes)


def unlinked(identity: str) -> IdentityUnlinked:
    """By an agent."""
    return IdentityUnlinked(at_ms=6, actor="agent:ann", identity=identity)


def journey(*facts: IdentityLinked | IdentityUnlinked | IdentityConflictFound | IdentityReviewClosed) -> Journey:
    """One of which these are true."""
    state = Journey(customer="ann")
    for fact in facts:
        disputes.evolve(state, fact)
    return state


def key(number: int, at_s: int) -> bytes:
    """One packed once-key, as `actors.decisions.once` draws it."""
    return pack("<QIIII", number, 1, at_s, 0, 1)


def test_what_is_linked_is_known_with_its_evidence_and_costs_nothing_more() -> None:
    """Who has no dispute has no object for them: most customers."""
    state = journey(linked(MAIL, verified=True))
    [link] = state.links
    assert (link.identity, link.evidence, link.confidence) == (MAIL, "asserted", 50)
    assert (link.verified, link.actor, link.at_ms) == (True, "account:shop", 5)
    assert state.disputes is None
    assert disputes.of(state) == Disputes()


def test_better_evidence_stands_in_the_place_of_what_was_known() -> None:
    """The order is that in which identities came, of which the first names the person."""
    state = journey(linked(MAIL), linked(PHONE), linked(MAIL, evidence="login", confidence=90, at_ms=9))
    assert [(link.identity, link.evidence, link.at_ms) for link in state.links] == [
        (MAIL, "login", 9),
        (PHONE, "asserted", 5),
    ]


def test_an_identity_that_was_forgotten_links_nothing() -> None:
    """The person is erased; that there was a link stays in the journal."""
    state = journey(linked("", inherited={"bob": key(1, 1)}))
    assert (state.links, state.disputes) == ((), None)


def test_what_was_taken_away_is_remembered_until_it_is_given_back() -> None:
    """Once, however often it is taken; and the newest, where they are more than is kept."""
    state = journey(linked(MAIL), linked(PHONE), unlinked(MAIL), unlinked(PHONE), unlinked(MAIL))
    assert (state.links, disputes.of(state).parted) == ((), (PHONE, MAIL))
    disputes.evolve(state, linked(MAIL))
    assert ([link.identity for link in state.links], disputes.of(state).parted) == ([MAIL], (PHONE,))
    many = journey(*(unlinked(f"web:{number}") for number in range(PARTED_MAX + 2)))
    assert disputes.of(many).parted == tuple(f"web:{number}" for number in range(2, PARTED_MAX + 2))


def test_an_identity_that_leaves_leaves_the_member_that_brought_it() -> None:
    """Else an unmerge would take along what is not theirs any more."""
    state = journey(linked(MAIL), linked(PHONE))
    bob = Member(via="ann", turn=1, given_at=3, at_ms=1, seq=2, opened=0, identities=(PHONE, MAIL))
    state.disputes = Disputes(family=Family(members={"bob": bob}))
    disputes.evolve(state, unlinked(PHONE))
    assert bob.identities == (MAIL,)


def test_a_conflict_is_noted_and_stays_so_when_its_review_is_closed() -> None:
    """A person has looked: it is not found again. Of very many the oldest may be."""
    state = journey(
        IdentityConflictFound(at_ms=5, actor="system", identity=PHONE, other="bob"),
        IdentityReviewClosed(at_ms=6, actor="agent:ann", identity=PHONE, other="bob"),
    )
    assert disputes.of(state).noted == (disputes.note(PHONE, "bob"),)
    assert disputes.note(PHONE, "bob") != disputes.note(PHONE, "carl")
    facts = (IdentityConflictFound(at_ms=5, actor="system", identity=f"web:{n}", other="bob") for n in range(66))
    assert disputes.of(journey(*facts)).noted == tuple(disputes.note(f"web:{n}", "bob") for n in range(66))[-NOTED_MAX:]


def test_a_link_brings_the_once_keys_of_who_had_the_identity() -> None:
    """By customer, but not one's own, which one has; what came later to the same one is added to what was known."""
    early, late = key(1, 10), key(2, 20)
    state = journey(
        linked(PHONE, inherited={"bob": late, "ann": key(3, 30)}),
        linked(MAIL, inherited={"bob": early, "carl": early}),
    )
    assert disputes.of(state).inherited == (("bob", early + late), ("carl", early))
    disputes.evolve(state, linked(PHONE, inherited={"dan": early}))
    assert [customer for customer, _ in disputes.of(state).inherited] == ["bob", "carl"], "it was here already"


def test_of_very_many_former_customers_those_that_came_last_are_known() -> None:
    """One of whom there is more now counts as new."""
    first = {f"c{number}": key(number, number) for number in range(INHERITED_MAX)}
    known = disputes.also_of((), first)
    assert dict(known) == first
    more = disputes.also_of(known, {"c0": key(99, 99), "new": b""})
    assert [customer for customer, _ in more] == [*(f"c{n}" for n in range(2, INHERITED_MAX)), "c0", "new"]
    assert dict(more)["c0"] == key(0, 0) + key(99, 99)


@pytest.mark.parametrize(("identity", "expected"), [(PHONE, {"bob": key(1, 1)}), (MAIL, {"carl": b""}), ("web:1", {})])
def test_the_keys_that_an_identity_was_released_with_are_found_by_it(identity: str, expected: object) -> None:
    """The journal hands on several at once, and knows nothing of what is in them."""
    released = [
        Released(PHONE, 7, msgspec.msgpack.encode({"bob": key(1, 1)})),
        Released(MAIL, 8, msgspec.msgpack.encode({"carl": b""})),
    ]
    assert disputes.keys_for(released, identity) == expected
