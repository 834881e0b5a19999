"""Dedicated placement on real Ray: more customers than seats, seats that start as they are wanted, and kills."""

import asyncio
import os
import re
import signal

import pytest

from orchestrator.client import GatewayClient
from protocol.events import MessageReceived
from tests.faults.looking import Operator
from tests.faults.truth import Truth
from tests.faults.victim import SEATS, Victim
from tests.live_server import until
from tests.people import Customer, Desk, desk_at

pytestmark = pytest.mark.slow

CUSTOMERS = 10
TEST_S = 120.0
HANGS_S = 8.0
"""A seat that hangs makes way for nobody: who should sit there next waits two seconds, and then for another seat."""
WELL_WITHIN_S = 10.0


async def test_customers_take_turns_on_a_few_seats_whoever_is_killed(dedicated: Victim) -> None:
    """What is acked is in the journal, in order; who watches sees each event once, without a gap."""
    people = [Customer() for _ in range(CUSTOMERS)]
    said: dict[str, list[str]] = {person.name: [] for person in people}
    async with (
        asyncio.timeout(TEST_S),
        desk_at(dedicated) as desk,
        Operator(dedicated) as operator,
        GatewayClient(dedicated.url, dedicated.gateway_token) as gateway,
    ):
        await _round(gateway, people, said, "first")
        conversations = [await desk.conversation_with(f"first {person.name}") for person in people]
        await until(lambda: len(_seats(dedicated)) == SEATS)
        for victim in (_seats(dedicated)[-1], "usher", _seats(dedicated)[0]):
            os.kill(dedicated.pids[victim], signal.SIGKILL)
            await _round(gateway, people, said, f"as {victim} died")
        await _hang_one(dedicated, gateway, people, said)
        await _round(gateway, people, said, "last")
        for person, conversation in zip(people, conversations, strict=True):
            await desk.heard(conversation, *said[person.name])
            _gap_free(desk, conversation)
        await operator.until_well(within_s=WELL_WITHIN_S)
    truth = Truth(dedicated.data).read()
    assert truth.faults == []
    for person, conversation in zip(people, conversations, strict=True):
        kept = [e.text for e in truth.streams[conversation] if isinstance(e, MessageReceived)]
        assert kept == said[person.name]


async def _round(gateway: GatewayClient, people: list[Customer], said: dict[str, list[str]], text: str) -> None:
    """Everyone says it, at once; returns when all are acked."""
    for person in people:
        said[person.name].append(f"{text} {person.name}")
    await asyncio.gather(*(gateway.send(person.chat(f"{text} {person.name}")) for person in people))


async def _hang_one(server: Victim, gateway: GatewayClient, people: list[Customer], said: dict[str, list[str]]) -> None:
    """A seat stands still: everyone but who sits there is served, and that one as soon as it goes on."""
    pid = server.pids[_seats(server)[1]]
    os.kill(pid, signal.SIGSTOP)
    try:
        everyone = asyncio.ensure_future(_round(gateway, people, said, "one hangs"))
        await asyncio.wait([everyone], timeout=HANGS_S)
        assert gateway.unanswered <= 1
    finally:
        os.kill(pid, signal.SIGCONT)
    await everyone


def _seats(server: Victim) -> list[str]:
    # While Ray starts one its title is another for a moment.
    return sorted(name for name in server.pids if re.fullmatch(r"cell-\d+", name))


def _gap_free(desk: Desk, conversation: str) -> None:
    seqs = [seq for seq, _ in desk.events[conversation]]
    assert seqs == list(range(1, len(seqs) + 1))
