"""Rows that are not there once somebody is forgotten: what retention had dropped, and what people were to look at."""

from functools import partial
from pathlib import Path

import pytest

from actors.cells.loading import reached
from orchestrator.parts.front import Front
from protocol.commands import CloseIdentityReview, Reply
from protocol.ids import customer_of
from protocol.inbound import MessageArrived
from protocol.links import Answered, Outcome
from tests.orchestrator.erasure.test_erasing import (
    ANN,
    ANNS_APP,
    BOB,
    arrival,
    check_against_rebuilt,
    dropped,
    erased,
    found,
    server,
    settings_of,
)


async def answered(front: Front, conversation: str, status: str) -> None:
    """An agent's reply, which comes to that."""
    said = await front.intake.command(
        actor="agent:bo", id=f"reply {status}", command=Reply(text="petrichor"), conversation=conversation
    )
    await reached(front.archive, said.position)
    [delivery] = [row["delivery"] for row in await front.archive.outbox(["attempting"], 10)]
    outcome = partial(Outcome, customer=customer_of(conversation), conversation=conversation, delivery=delivery)
    settled = await front.cells.call(customer_of(conversation), partial(outcome, attempt=1, status=status))
    assert isinstance(settled, Answered)
    await reached(front.archive, settled.position)


async def test_rows_that_retention_dropped_do_not_come_back(tmp_path: Path) -> None:
    """Of a conversation that goes on: refused input, a conflict, and messages that left, or did not."""
    settings = settings_of(tmp_path)
    async with server(settings) as (_, front):
        await front.intake.submit(arrival("b1", MessageArrived(text="hi"), BOB))
        ann = await front.intake.submit(arrival("a1", MessageArrived(text="I live in Zanzibar"), ANN))
        await front.intake.submit(arrival("a1", MessageArrived(text="Zanzibar, really"), ANN))
        await front.intake.submit(arrival("a2", MessageArrived(text="me"), ANN, BOB))
        for status in ("sent", "refused"):
            await answered(front, ann.stream, status)
        await reached(front.archive, await front.journal.position())
    kinds = {"quarantine_open": 1, "identity_reviews": 1, "sent_deliveries": 1, "dead_letters": 1}
    assert await dropped(settings) == kinds
    await erased(settings, customer_of(ann.stream))
    assert found(tmp_path) == []
    await check_against_rebuilt(settings)


@pytest.mark.parametrize("closed", [(), (ANN,), (ANNS_APP,), (ANN, ANNS_APP)])
async def test_of_two_conflicts_over_them_one_is_closed(tmp_path: Path, closed: tuple[str, ...]) -> None:
    """Once who has the addresses is forgotten, there is nothing to look at."""
    settings = settings_of(tmp_path)
    async with server(settings) as (_, front):
        bob = await front.intake.submit(arrival("b1", MessageArrived(text="hi"), BOB))
        ann = await front.intake.submit(arrival("a1", MessageArrived(text="I live in Zanzibar"), ANN, ANNS_APP))
        anns, bobs = customer_of(ann.stream), customer_of(bob.stream)
        await front.intake.submit(arrival("b2", MessageArrived(text="me"), BOB, ANN))
        await front.intake.submit(arrival("b3", MessageArrived(text="me"), BOB, ANNS_APP))
        for identity in closed:
            close = CloseIdentityReview(identity=identity, other=anns, reason="quokka")
            await front.intake.command(actor="agent:bo", id=identity, command=close, customer=bobs)
        await reached(front.archive, await front.journal.position())
    await erased(settings, anns)
    assert found(tmp_path) == []
    await check_against_rebuilt(settings)
    async with server(settings) as (_, front):
        assert await front.archive.identity_reviews(shared_after=3) == []
