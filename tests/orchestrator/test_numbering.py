"""A conversation's numbers after retention: a load finds where they end."""

from functools import partial
from pathlib import Path

import msgspec
import pytest

from actors.cells.loading import reached
from orchestrator.settings import Placement, PolicySettings
from protocol.commands import Reply, Resolve
from protocol.ids import customer_of
from protocol.inbound import DeliveryReport, MessageArrived
from protocol.links import Outcome
from tests.orchestrator.erasure.test_erasing import (
    ANN,
    arrival,
    check_against_rebuilt,
    closed,
    dropped,
    server,
    settings_of,
)


@pytest.mark.parametrize("placement", ["pooled", "dedicated"])
async def test_what_is_said_of_a_dropped_conversation_has_the_next_number(tmp_path: Path, placement: Placement) -> None:
    """A report came after the closing, and another one after retention and a start: no number is given twice."""
    settings = settings_of(tmp_path, placement)
    settings = msgspec.structs.replace(settings, policy=PolicySettings(close_after_resolved_s=0))
    async with server(settings) as (_, front):
        stream = (await front.intake.submit(arrival("m1", MessageArrived(text="hello"), ANN))).stream
        for command in (Reply(text="yes"), Resolve()):
            last = await front.intake.command(actor="agent:bo", id=f"{command}", command=command, conversation=stream)
            await reached(front.archive, last.position)
            if isinstance(command, Reply):
                [delivery] = [row["delivery"] for row in await front.archive.outbox(["attempting"], 10)]
                sent = partial(Outcome, customer=customer_of(stream), conversation=stream, delivery=delivery)
                await front.cells.call(customer_of(stream), partial(sent, attempt=1, status="sent"))
        await closed(front, stream)
        report = DeliveryReport(delivery=delivery, status="delivered")
        first = await front.intake.submit(arrival("r1", report))
        await reached(front.archive, first.position)
    assert (await dropped(settings))["closed_conversations"] == 1
    async with server(settings) as (_, front):
        report = DeliveryReport(delivery=delivery, status="read")
        second = await front.intake.submit(arrival("r2", report))
        assert (second.stream, second.seq) == (stream, first.seq + 1)
        await reached(front.archive, second.position)
    await check_against_rebuilt(settings)
