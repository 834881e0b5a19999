"""Linking and unlinking by command: what evidence may be named, and what becomes of who loses an identity."""

import pytest
from msgspec import msgpack

from actors.inbound.identifying import IDENTITIES_MAX
from actors.state import journey as journeys
from actors.state.journey import Journey
from protocol.commands import CloseIdentityReview, LinkIdentity, Reply, UnlinkIdentity
from protocol.errors import Code, Refusal
from protocol.events import CustomerErased, IdentityUnlinked, MessageQueued
from protocol.ids import POLICY as POLICYS
from tests.actors.player import CUSTOMER, Player

MAIL, PHONE = "mailto:ann@example.org", "tel:+447700900123"


def test_better_evidence_takes_the_place_of_what_was_known() -> None:
    """A one-time password verifies what an agent linked: the identity stays one, and is assigned once."""
    player = Player()
    player.message()
    player.command(LinkIdentity(identity=PHONE), conversation="")
    player.command(LinkIdentity(identity=PHONE, evidence="verified_by_otp"), conversation="")
    assert player.decision.identities == []
    assert player.state.identities == (MAIL, PHONE)
    assert (player.state.links[1].evidence, player.state.links[1].confidence) == ("verified_by_otp", 100)
    with pytest.raises(Refusal, match="by evidence as good"):
        player.command(LinkIdentity(identity=PHONE, evidence="crm"), conversation="")


@pytest.mark.parametrize(
    ("command", "field"),
    [
        (LinkIdentity(identity=PHONE, evidence="rumour"), "evidence"),
        (LinkIdentity(identity=PHONE, confidence=101), "confidence"),
        (LinkIdentity(identity=PHONE, confidence=-1), "confidence"),
    ],
)
def test_evidence_that_is_none_is_refused(command: LinkIdentity, field: str) -> None:
    """With the field at fault."""
    player = Player()
    player.message()
    with pytest.raises(Refusal) as caught:
        player.command(command, conversation="")
    assert (caught.value.code, caught.value.field) == (Code.INVALID, field)


def test_a_customer_s_identities_are_bounded() -> None:
    """One more is refused; better evidence of one that is known is none."""
    player = Player()
    player.message()
    for number in range(IDENTITIES_MAX - 1):
        player.command(LinkIdentity(identity=f"user:{number}"), conversation="")
    with pytest.raises(Refusal, match="at most") as caught:
        player.command(LinkIdentity(identity="user:more"), conversation="")
    assert (caught.value.code, caught.value.field) == (Code.OVER_LIMIT, "identity")
    player.command(LinkIdentity(identity="user:0", evidence="verified_by_otp"), conversation="")
    assert len(player.state.identities) == IDENTITIES_MAX
    player.message(identities=(MAIL, "user:more"), proposed=False, claimed=("user:more",))
    assert len(player.state.identities) == IDENTITIES_MAX


def test_an_unlinked_identity_leaves_and_its_events_are_sent_away() -> None:
    """What comes for it is told so; a repeat of what came before is still known."""
    player = Player()
    player.message(id="m1")
    player.command(LinkIdentity(identity="user:1"), conversation="")
    (unlinked,) = player.command(UnlinkIdentity(identity=MAIL.upper().replace("MAILTO", "mailto")), conversation="")
    assert isinstance(unlinked, IdentityUnlinked)
    assert [identity for identity, _ in player.decision.released] == [MAIL]
    assert player.state.identities == ("user:1",)
    assert player.message(proposed=False) == []
    assert player.decision.stray == MAIL
    assert player.message(id="m1") == []
    assert player.decision.status == "repeat"
    with pytest.raises(Refusal, match="is not this customer's"):
        player.command(UnlinkIdentity(identity=MAIL), conversation="")


def test_nobody_is_answered_at_an_address_that_is_not_theirs_any_more() -> None:
    """A reply goes to the customer's other address, or names one."""
    player = Player()
    player.message(channel="sms", identities=(PHONE,))
    player.command(LinkIdentity(identity=MAIL), conversation="")
    player.command(UnlinkIdentity(identity=PHONE), conversation="")
    with pytest.raises(Refusal, match="no tel identity"):
        player.command(Reply(text="hello"))
    queued = player.command(Reply(text="hello", channel="email"))[1]
    assert isinstance(queued, MessageQueued)
    assert queued.to == MAIL


def test_a_customer_may_lose_every_identity_and_get_one_back() -> None:
    """It stays a customer, with its conversations."""
    player = Player()
    player.message()
    player.command(UnlinkIdentity(identity=MAIL), conversation="")
    without = player.state.identities
    assert without == ()
    player.command(LinkIdentity(identity=MAIL), conversation="")
    assert player.state.identities == (MAIL,)


def test_a_stranger_and_an_account_are_no_customers_to_link() -> None:
    """Nobody is there, so nothing is said about them."""
    player = Player()
    for command in (LinkIdentity(identity=MAIL), UnlinkIdentity(identity=MAIL), CloseIdentityReview(identity=MAIL)):
        with pytest.raises(Refusal) as caught:
            player.command(command, conversation="")
        assert caught.value.code == Code.NOT_FOUND


def test_the_policys_stream_is_nobodys() -> None:
    """It counts versions by its events: one more, and the newest version would be another."""
    player = Player()
    player.state = Journey(customer=POLICYS, head=3)
    for command in (LinkIdentity(identity="user:evil"), CloseIdentityReview(identity="user:evil", other="cu1")):
        with pytest.raises(Refusal) as refused:
            player.command(command, conversation="")
        assert refused.value.code == Code.NOT_FOUND


def test_who_is_erased_has_no_links_left() -> None:
    """Else the next link would bring them back, empty as they are."""
    player = Player()
    player.message()
    erased = CustomerErased(at_ms=1, reason="asked for")
    journeys.evolve(player.state, CUSTOMER, erased, msgpack.encode(erased))
    assert (player.state.identities, player.state.links, player.state.disputes) == ((), (), None)
