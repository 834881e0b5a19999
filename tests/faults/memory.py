"""Memory: what a fault may add to any process of a server, while as much comes in as it lets in."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

import psutil

from orchestrator.client import GatewayClient
from orchestrator.cluster import leftovers
from orchestrator.cluster.data_folder import mark_of
from tests.live_server import LiveServer
from tests.people import Customer

MIB = 1024 * 1024
GROWN_MIB_MAX = 64.0
"""Of one process: 4,096 credits of events, what they become, and what the allocator keeps of it."""
CREDITS = 4_096
PRESSED = CREDITS + 400
"""More events than a gateway client may have unanswered: the rest waits where it comes from."""
PEOPLE = 4

Resident = Mapping[tuple[str, int], float]
"""MiB of each process, by title and pid."""


def resident(server: LiveServer) -> Resident:
    """All of its processes, Ray's too."""
    found: dict[tuple[str, int], float] = {}
    for process in leftovers.ours(mark_of(server.data)):
        with suppress(psutil.Error):  # It has just ended.
            title = (process.cmdline() or [process.name()])[0]
            found[title, process.pid] = resident_mib(process.pid)
    return found


def resident_mib(pid: int) -> float:
    """One process's."""
    return float(psutil.Process(pid).memory_info().rss) / MIB


def grown_mib(before: Resident, after: Resident) -> float:
    """What the one that grew most did so by, of those that lived all the while; 0 where none did."""
    return max((mib - before[each] for each, mib in after.items() if each in before), default=0.0)


def assert_bounded(server: LiveServer, before: Resident) -> None:
    """None of those that were there before has grown past the bound."""
    after = resident(server)
    assert grown_mib(before, after) < GROWN_MIB_MAX, {each: (before.get(each), mib) for each, mib in after.items()}


async def press(gateway: GatewayClient) -> set[str]:
    """Sends as much as the server lets in, and more; returns the answers there were. Of a few people, since what each
    live one takes is state, and where it has a process of its own it is much."""
    people = [Customer() for _ in range(PEOPLE)]
    events = [people[number % PEOPLE].chat(f"pressed {number}") for number in range(PRESSED)]
    return set(await asyncio.gather(*map(gateway.send, events)))
