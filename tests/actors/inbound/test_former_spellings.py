"""A journal of an earlier program has mail addresses in quotes that they do not need: whoever wrote so is another
customer today than by the address as it is spelled now, until somebody says that they are one."""

import pytest

from protocol.commands import CloseIdentityReview, LinkIdentity, MergeCustomers, UnlinkIdentity
from protocol.errors import Code, Refusal
from protocol.ids import customer_of
from tests.actors.world import World, world

FORMER, NOW = 'mailto:"ann"@example.org', "mailto:ann@example.org"


async def known_as(made: World, monkeypatch: pytest.MonkeyPatch, identity: str) -> str:
    """Who is in the journal by an address as it stands."""
    with monkeypatch.context() as earlier:
        earlier.setattr(made.intake, "spelled", lambda identity: identity)
        return customer_of((await made.intake.submit(made.event(identities=(identity,)))).stream)


async def known_by_the_former(made: World, monkeypatch: pytest.MonkeyPatch) -> str:
    """Who is in the journal by the address as an earlier program spelled it."""
    ann = await known_as(made, monkeypatch, FORMER)
    assert await made.journal_store.customers_of([FORMER, NOW]) == {FORMER: ann}
    return ann


async def test_who_is_linked_to_the_address_as_it_is_spelled_now_is_known_by_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before they write again. However somebody writes it, it is linked as it is spelled."""
    async with world(cells=2) as made:
        ann = await known_by_the_former(made, monkeypatch)
        await made.intake.command(actor="agent:bo", id="l", customer=ann, command=LinkIdentity(identity=FORMER))
        answer = await made.intake.submit(made.event(identities=(FORMER,)))
        assert customer_of(answer.stream) == ann


async def test_who_wrote_again_as_somebody_new_is_merged(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address in either spelling is the one customer's then."""
    async with world(cells=2) as made:
        ann = await known_by_the_former(made, monkeypatch)
        other = customer_of((await made.intake.submit(made.event(identities=(NOW,)))).stream)
        assert other != ann
        await made.intake.command(actor="agent:bo", id="m", customer=ann, command=MergeCustomers(other=other))
        assert await made.journal_store.customers_of([FORMER, NOW]) == {FORMER: ann, NOW: ann}


UNLINKED = [
    (FORMER, FORMER),
    (FORMER, NOW),
    (FORMER, 'mailto:"Ann"@Example.org'),
    ("x:Ann", "x:@ann"),
    ("x:Ann", "x:Ann"),
    ("mailto:a b@example.org", "mailto:a b@example.org"),
    ("tel:+49301234567", "tel:+49 30 1234567"),
    ("pigeon:Coo", "pigeon:Coo"),
]


@pytest.mark.parametrize(("known", "written"), UNLINKED)
async def test_an_address_is_unlinked_however_it_was_spelled(
    monkeypatch: pytest.MonkeyPatch, known: str, written: str
) -> None:
    """By its former spelling or by the one of now; also where it would be none any more. It is free, and so is what
    comes with it."""
    async with world() as made:
        ann = await known_as(made, monkeypatch, known)
        assert await made.journal_store.customers_of([known]) == {known: ann}
        unlink = UnlinkIdentity(identity=written, reason="not theirs")
        await made.intake.command(actor="agent:bo", id="u", customer=ann, command=unlink)
        assert await made.journal_store.customers_of([known]) == {}
        again = await made.intake.command(actor="agent:bo", id="u", customer=ann, command=unlink)
        assert again.status == "repeat"


async def test_an_address_is_unlinked_in_all_its_spellings(monkeypatch: pytest.MonkeyPatch) -> None:
    """One address is theirs or not."""
    async with world() as made:
        ann = await known_by_the_former(made, monkeypatch)
        await made.intake.command(actor="agent:bo", id="l", customer=ann, command=LinkIdentity(identity=NOW))
        await made.intake.command(actor="agent:bo", id="u", customer=ann, command=UnlinkIdentity(identity=NOW))
        assert await made.journal_store.customers_of([FORMER, NOW]) == {}


async def test_what_is_no_number_here_is_not_read_as_anothers_country_would(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that was let in has its country, whatever the region was then: nobody guesses one now."""
    async with world() as made:
        ann = await known_as(made, monkeypatch, "tel:+447700900123")
        monkeypatch.setattr(made.intake, "region", "US")
        unlink = UnlinkIdentity(identity="tel:07700 900123", reason="no")
        with pytest.raises(Refusal) as refused:
            await made.intake.command(actor="agent:bo", id="u", customer=ann, command=unlink)
        assert (refused.value.code, refused.value.ref, refused.value.field) == (Code.BAD_IDENTITY, "u", "identity")
        assert await made.journal_store.customers_of(["tel:+447700900123"]) == {"tel:+447700900123": ann}


async def test_what_is_no_identity_is_named_as_the_command_has_it() -> None:
    """Its field is `identity`, where an event has `identities`."""
    async with world() as made:
        with pytest.raises(Refusal) as refused:
            await made.intake.command(
                actor="agent:bo", id="l", customer="cu1", command=LinkIdentity(identity="foo:bar")
            )
        assert (refused.value.code, refused.value.ref, refused.value.field) == (Code.BAD_IDENTITY, "l", "identity")


async def test_a_review_of_a_former_spelling_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """By whichever the list shows, or by what it is now."""
    async with world() as made:
        await known_by_the_former(made, monkeypatch)
        bob = await known_as(made, monkeypatch, "web:1")
        with monkeypatch.context() as earlier:
            earlier.setattr(made.intake, "spelled", lambda identity: identity)
            await made.intake.submit(made.event(account="chat", identities=("web:1", FORMER)))
        await made.archived()
        (review,) = await made.archive_store.identity_reviews(shared_after=3)
        assert (review["customer"], review["identity"]) == (bob, FORMER)
        close = CloseIdentityReview(identity=review["identity"], other=review["owner"], reason="twins")
        await made.intake.command(actor="agent:bo", id="c", customer=bob, command=close)
        await made.archived()
        assert await made.archive_store.identity_reviews(shared_after=3) == []
