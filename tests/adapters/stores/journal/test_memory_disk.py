"""The disk in memory: what readers see of a transaction, and what a power failure leaves of it."""

import asyncio

from adapters.stores.journal.memory import MemoryJournal, MemoryJournalReader
from adapters.stores.journal.memory_disk import MemoryDisk
from tests.adapters.stores.units import Writer


async def test_readers_see_nothing_before_the_sync_and_a_power_failure_loses_it() -> None:
    """Fences as well as units."""
    disk, written, may_sync = MemoryDisk(), asyncio.Event(), asyncio.Event()
    may_sync.set()

    async def before_sync() -> None:
        written.set()
        await may_sync.wait()

    journal = MemoryJournal(disk, new_generation=lambda: "g1", before_sync=before_sync)
    await journal.open()
    reader = MemoryJournalReader(disk)
    [fence] = await journal.raise_fences(["shard:1"])
    writer = Writer(fence)
    await journal.commit([writer.unit("cu1")])
    assert (await reader.position(), disk.unpublished) == (1, 0)
    may_sync.clear()
    written.clear()
    under_way = asyncio.ensure_future(journal.commit([writer.unit("cu1")]))
    await written.wait()
    assert (await journal.position(), await reader.position(), disk.unpublished) == (2, 1, 1)
    assert disk.crash() == 1
    under_way.cancel()
    assert (await reader.position(), disk.crash()) == (1, 0)
