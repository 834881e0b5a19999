"""A journal of an earlier program has mail addresses in quotes that they do not need: whoever wrote so is another
customer today than by the address as it is spelled now, until somebody says that they are one."""

import pytest

from protocol.commands import LinkIdentity, MergeCustomers
from protocol.ids import customer_of
from tests.actors.world import World, world

FORMER, NOW = 'mailto:"ann"@example.org', "mailto:ann@example.org"


async def known_by_the_former(made: World, monkeypatch: pytest.MonkeyPatch) -> str:
    """Who is in the journal by the address as an earlier program spelled it."""
    with monkeypatch.context() as earlier:
        earlier.setattr(made.intake, "spelled", lambda identity: identity)
        answer = await made.intake.submit(made.event(identities=(FORMER,)))
    assert await made.journal_store.customers_of([FORMER, NOW]) == {FORMER: customer_of(answer.stream)}
    return customer_of(answer.stream)


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
