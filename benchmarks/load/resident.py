"""What a server keeps in memory: settings under which nothing leaves it, and what it holds once it is calm."""

import asyncio
import time

from benchmarks.figures.processes import Memory, memory, role_of
from benchmarks.load.filling import Filling
from benchmarks.load.server import LiveServer, NotServing

WARM = Filling(conversations=500)
"""What is there before anything is measured."""
SETTLE_S = 2.0
COUNTED_WITHIN_S = 10.0
"""The figures of a cell are up to a second old, and more on a busy machine."""

Snapshot = dict[str, Memory]
"""Memory by role."""


def limits(conversations: int) -> str:
    """Settings under which nothing leaves memory while it is measured."""
    most = 2 * conversations + 10_000
    return f"[limits]\nlive_journeys_max = {most}\nlive_bytes_max = {1024**4}\npassivate_after_s = 86400\n"


async def settled(server: LiveServer) -> Snapshot:
    """After a moment without anything to do."""
    await asyncio.sleep(SETTLE_S)
    found: Snapshot = {}
    for process in server.processes().values():
        one, role = memory(process), role_of(process.cmdline())
        had = found.get(role, Memory())
        found[role] = Memory(had.rss + one.rss, had.pss + one.pss)
    if not {"cell", "gateway"} <= found.keys():
        raise NotServing(f"a process is missing; there are {', '.join(sorted(found))}")
    return found


async def live_journeys(server: LiveServer, expected: int) -> int:
    """The journeys in memory, by the cells' own count; waits a little until it shows all."""
    until_s = time.monotonic() + COUNTED_WITHIN_S
    while True:
        live = sum((await asyncio.to_thread(server.figure, "live_journeys")).values())
        if live >= expected or time.monotonic() > until_s:
            return int(live)
        await asyncio.sleep(SETTLE_S / 4)
