"""Identifying: evidence, and what a better one changes."""

from collections.abc import Sequence
from typing import Any

import pytest

from actors import telling
from actors.cells import snapshots
from actors.identity import disputes
from actors.identity.members import Family
from actors.inbound import identifying
from actors.rules.identity import IdentityRules, MatchRule
from actors.rules.policy import Policy
from protocol.commands import CloseIdentityReview, LinkIdentity, UnlinkIdentity
from protocol.entities import IdentityLink
from protocol.errors import Code, Refusal
from protocol.events import (
    AnyEvent,
    IdentityConflictFound,
    IdentityLinked,
    IdentityReviewClosed,
)
from protocol.inbound import MessageArrived
from tests.actors.player import POLICY, Player

MAIL, PHONE = "mailto:ann@example.org", "tel:+447700900123"


def test_every_link_says_why_who_and_when() -> None:
    """The customer's view has the evidence of each identity, in the identities' order."""
    player = Player()
    player.message()
    player.pass_time(5_000)
    player.command(LinkIdentity(identity=PHONE), conversation="")
    view = telling.customer_view(player.state, [], policy=player.policy)
    assert view.identities == [MAIL, PHONE]
    assert view.links == [
        IdentityLink(
            identity=MAIL,
            evidence="first_contact",
            confidence=90,
            verified=True,
            actor="account:mail",
            at_ms=1_000_000,
        ),
        IdentityLink(identity=PHONE, evidence="agent", confidence=80, actor="agent:ann", at_ms=1_005_000),
    ]


@pytest.mark.parametrize(
    ("identity", "evidence", "verified"),
    [("user:42", "login", True), ("crm:A7", "crm", False), (PHONE, "asserted_by_channel", False)],
)
def test_what_a_channel_names_beside_its_own_address(identity: str, evidence: str, verified: bool) -> None:
    """A signed-in account is a login; a CRM's number the CRM's word; anything else is only said."""
    player = Player()
    linked = player.message(identities=(MAIL, identity))[-1]
    assert isinstance(linked, IdentityLinked)
    assert (linked.identity, linked.evidence, linked.verified) == (identity, evidence, verified)


@pytest.mark.parametrize(
    ("identity", "trusted", "verified"),
    [("user:42", True, True), ("user:42", False, False), ("crm:A7", False, False), (MAIL, False, True)],
)
def test_a_login_is_only_verified_by_an_account_that_checks(identity: str, trusted: bool, verified: bool) -> None:
    """Whoever has a token for a channel may write as any user; the address a message came from is its own proof."""
    player = Player()
    linked = player.message(identities=(identity,), trusted=trusted)[-1]
    assert isinstance(linked, IdentityLinked)
    assert (linked.identity, linked.verified) == (identity, verified)


@pytest.mark.parametrize("identity", [MAIL, "user:42", "tel:+442070000000"])
@pytest.mark.parametrize("trusted", [True, False])
def test_who_comes_by_one_address_is_known_by_it_whatever_the_rules(
    identity: str, trusted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The short way for strangers says what weighing all would: weak, single and shared is no matter of theirs."""
    match = [MatchRule(link_at=100, merge_at=101)]
    rules = IdentityRules(match=match, single=["user", "tel"], shared=["tel:+44207*"])
    policy = Policy(channels=POLICY.channels, identity=rules)
    short = Player(policy).message(identities=(identity,), trusted=trusted)
    monkeypatch.setattr(identifying, "_is_stranger", lambda state, given: False)
    assert Player(policy).message(identities=(identity,), trusted=trusted) == short
    assert isinstance(short[-1], IdentityLinked)


def test_the_policy_says_what_evidence_is_worth() -> None:
    """And a command that says how sure it is, is taken at its word."""
    rules = IdentityRules(confidence={"agent": 55})
    player = Player(Policy(channels=POLICY.channels, identity=rules))
    player.message()
    player.command(LinkIdentity(identity=PHONE), conversation="")
    player.command(LinkIdentity(identity="user:1", confidence=60), conversation="")
    assert [link.confidence for link in player.state.links] == [90, 55, 60]


def test_a_snapshot_keeps_the_evidence() -> None:
    """What is loaded is what was frozen."""
    player = Player()
    player.message()
    player.command(LinkIdentity(identity=PHONE, evidence="crm"), conversation="")
    assert snapshots.thaw(snapshots.freeze(player.state)) == player.state


# Match rules


def ruled(*, match: Sequence[MatchRule] = (), shared: Sequence[str] = (), single: Sequence[str] = ()) -> Player:
    """A player under these rules of identity."""
    return Player(
        Policy(channels=POLICY.channels, identity=IdentityRules(match=[*match], shared=[*shared], single=[*single]))
    )


def reviews(events: list[AnyEvent]) -> list[tuple[str, str, str]]:
    """What a person is to look at: identity, whose it is, kind."""
    return [(e.identity, e.other, e.kind) for e in events if isinstance(e, IdentityConflictFound)]


def test_weak_evidence_links_nothing_and_is_noted_once() -> None:
    """The first rule that fits says how sure it must be; the channel's own address is somebody's in any case."""
    player = ruled(match=[MatchRule(kinds=["tel"], accounts=["mail"], link_at=90), MatchRule(link_at=0)])
    both = (MAIL, PHONE)
    assert reviews(player.message(identities=both)) == [(PHONE, "", "weak")]
    assert player.state.identities == (MAIL,)
    assert reviews(player.message(identities=both, proposed=False, claimed=(PHONE,))) == []
    events = player.message(identities=(MAIL, "web:1"), proposed=False, claimed=("web:1",))
    assert [e.identity for e in events if isinstance(e, IdentityLinked)] == ["web:1"]


@pytest.mark.parametrize(
    ("identity", "merge_at", "kind"),
    [("user:1", 95, "merge"), ("user:1", 96, "conflict"), ("tel:+447700900199", 95, "conflict")],
)
def test_two_customers_with_one_identity_are_put_forward_from_the_rules_level_on(
    identity: str, merge_at: int, kind: str
) -> None:
    """A login is sure enough here, a number that was only named is not. Nothing is merged."""
    player = ruled(match=[MatchRule(merge_at=merge_at)])
    player.message()
    conflicts = ((identity, "cuother"),)
    events = player.message(identities=(MAIL, identity), proposed=False, conflicts=conflicts)
    assert reviews(events) == [(identity, "cuother", kind)]
    assert reviews(player.message(identities=(MAIL, identity), proposed=False, conflicts=conflicts)) == []
    assert player.state.identities == (MAIL,)


@pytest.mark.parametrize(
    ("at", "changes", "merges"),
    [
        pytest.param(95, {}, True, id="as sure as the rule asks"),
        pytest.param(96, {}, False, id="less sure"),
        pytest.param(95, {"parted": ("user:1",)}, False, id="somebody took the identity away"),
        pytest.param(95, {"inherited": (("cuother", b""),)}, False, id="this one was merged into that one before"),
        pytest.param(95, {"family": Family(left={"cuother": ("cuother", 2)})}, False, id="that one left this one"),
        pytest.param(95, {"family": Family(left={"cu3": ("cu3", 2)})}, True, id="another did"),
    ],
)
def test_a_rule_merges_by_itself_whom_nobody_parted(at: int, changes: dict[str, Any], merges: bool) -> None:
    """From its own level on; what it is not sure of is a person's, as is what somebody said otherwise of."""
    player = ruled(match=[MatchRule(merge_at=70, merge_by_itself_at=at)])
    player.message()
    player.state.disputes = disputes.Disputes(**changes)
    given = player.input(
        MessageArrived(text="x"), identities=(MAIL, "user:1"), proposed=False, conflicts=(("user:1", "cuother"),)
    )
    due = identifying.identify(player.state, given, player.policy.identity, 1).merge
    assert (due is not None) == merges
    if due is not None:
        assert (due.other, due.identity, due.verified) == ("cuother", "user:1", True)


def test_a_review_is_closed_by_a_person_and_not_raised_again() -> None:
    """One that was never opened cannot be closed."""
    player = ruled()
    player.message(conflicts=((PHONE, "cuother"),))
    close = CloseIdentityReview(identity=PHONE, other="cuother", reason="twins")
    (closed,) = player.command(close, conversation="")
    assert isinstance(closed, IdentityReviewClosed)
    assert reviews(player.message(proposed=False, conflicts=((PHONE, "cuother"),))) == []
    with pytest.raises(Refusal) as caught:
        player.command(CloseIdentityReview(identity=PHONE), conversation="")
    assert caught.value.code == Code.NOT_FOUND


def test_a_shared_identity_makes_nobody_one_with_another() -> None:
    """It is linked to nobody who is named otherwise, is no conflict, and sends an event away that it alone led here."""
    player = ruled(shared=["tel:+4477009001*", "mailto:info@*"])
    player.message(identities=(PHONE, "crm:1"))
    assert player.state.identities == ("crm:1",)
    assert reviews(player.message(identities=("crm:1", PHONE), proposed=False, conflicts=((PHONE, "cuhouse"),))) == []
    house = ruled(shared=["tel:+4477009001*"])
    house.message(identities=(PHONE,))
    assert house.state.identities == (PHONE,)
    assert house.message(identities=(PHONE, "crm:2"), proposed=False, claimed=("crm:2",)) == []
    assert (house.decision.stray, house.decision.apart) == (PHONE, [PHONE])
    assert house.message(identities=(PHONE,), proposed=False) != []


def test_what_would_not_link_does_not_say_whose_a_new_address_is() -> None:
    """A form that may not link by a number does not make its author whoever has that number; who may, does."""
    player = ruled(match=[MatchRule(kinds=["tel"], accounts=["form"], link_at=90)])
    player.message(channel="sms", identities=(PHONE,))
    named = (MAIL, PHONE)
    assert player.message(account="form", identities=named, proposed=False, claimed=(MAIL,)) == []
    assert (player.decision.stray, player.decision.apart) == (PHONE, [PHONE])
    assert player.message(account="app", identities=named, proposed=False, claimed=(MAIL,)) != []
    assert player.state.identities == (PHONE, MAIL)


def test_who_comes_from_a_second_account_is_somebody_else() -> None:
    """A couple has one phone and two logins; what the first gave does not lead to them."""
    player = ruled(single=["user"])
    player.message(identities=("user:1", PHONE))
    assert player.state.identities == ("user:1", PHONE)
    assert player.message(identities=("user:2", PHONE), proposed=False, claimed=("user:2",)) == []
    assert (player.decision.stray, player.decision.apart) == (PHONE, [PHONE])
    assert player.message(identities=("crm:2", PHONE), proposed=False, claimed=("crm:2",)) != []


def test_a_second_account_that_is_only_named_is_noted_and_a_person_may_link_it() -> None:
    """Once; of two that a stranger's first event names, the first is theirs."""
    player = ruled(single=["user"])
    assert reviews(player.message(identities=(PHONE, "user:1", "user:2"))) == [("user:2", "", "second")]
    before = player.state.identities
    assert before == (PHONE, "user:1")
    again = player.message(identities=(PHONE, "user:2"), proposed=False, claimed=("user:2",))
    assert reviews(again) == []
    player.command(LinkIdentity(identity="user:2"), conversation="")
    assert player.state.identities == (PHONE, "user:1", "user:2")


def test_an_event_whose_own_address_somebody_else_was_given_is_theirs() -> None:
    """The journal says so after it was sent here: it is sent away, and its repeat will find who took it."""
    player = Player()
    player.message()
    player.message(identities=("user:1", MAIL), proposed=False, conflicts=(("user:1", "cuother"),))
    assert player.decision.stray == "user:1"
    player.message(identities=("user:1",), proposed=False, conflicts=(("user:1", "cuother"),))
    assert player.decision.stray == "user:1"


# Unlinking


def test_what_was_unlinked_is_no_matter_beside_an_address_of_the_customers() -> None:
    """The event is the customer's by the address it came from, whatever memory the gateway had of the other one."""
    player = Player()
    player.message(identities=(MAIL, PHONE))
    player.command(UnlinkIdentity(identity=PHONE), conversation="")
    assert player.message(identities=(MAIL, PHONE), proposed=False) != []
    assert player.state.identities == (MAIL,)
    assert player.message(identities=(PHONE, MAIL), proposed=False) == []
    assert player.decision.stray == PHONE


def test_an_event_alone_does_not_link_again_what_somebody_took_away() -> None:
    """It is noted; an agent may link it again."""
    player = Player()
    player.message(identities=(MAIL, PHONE))
    player.command(UnlinkIdentity(identity=PHONE), conversation="")
    events = player.message(identities=(MAIL, PHONE), proposed=False, claimed=(PHONE,))
    assert reviews(events) == [(PHONE, "", "unlinked")]
    assert player.state.identities == (MAIL,)
    player.command(LinkIdentity(identity=PHONE), conversation="")
    assert disputes.of(player.state).parted == ()


def test_who_writes_from_where_the_customer_is_not_is_somebody_else() -> None:
    """Also where a trusted channel names the customer beside it: that is what was said not to be so."""
    player = Player()
    player.message(identities=(PHONE, "user:1"))
    player.command(UnlinkIdentity(identity=PHONE), conversation="")
    assert player.message(identities=(PHONE, "user:1"), proposed=False, claimed=(PHONE,)) == []
    assert (player.decision.stray, player.decision.apart) == ("user:1", ["user:1"])
