"""What only the journal in memory does: fail and crash when told to."""

import asyncio

import pytest

from adapters.stores.errors import StoreFailed
from adapters.stores.journal.memory import Fault, MemoryJournal
from adapters.stores.journal.memory_disk import MemoryDisk
from protocol.journal import Committed
from tests.adapters.stores.units import Writer


def journal(disk: MemoryDisk) -> MemoryJournal:
    """A journal on the disk."""
    return MemoryJournal(disk, new_generation=lambda: "g")


@pytest.mark.parametrize(("fault", "kept"), [("lost", 0), ("ambiguous", 1)])
async def test_a_commit_fails_as_told(fault: Fault, kept: int) -> None:
    """Whichever way it failed, the resend after recovery ends in one record."""
    disk = MemoryDisk()
    store = journal(disk)
    await store.open()
    one = Writer((await store.raise_fences(["shard:1"]))[0])
    unit = one.unit("cu1", "chat:a")
    store.fail_next = fault
    with pytest.raises(StoreFailed):
        await store.commit([unit])
    with pytest.raises(StoreFailed):
        await store.commit([unit])
    store = journal(disk)
    assert (await store.open()).position == kept
    assert await store.commit([unit]) == [Committed(1)]
    assert len(await store.read(0, 10)) == 1


async def test_a_crash_before_the_sync_loses_the_commit() -> None:
    """The commit is held between its write and its sync while the machine dies."""
    disk, written, never = MemoryDisk(), asyncio.Event(), asyncio.Event()

    taken = asyncio.Event()

    async def hold() -> None:
        if taken.is_set():
            written.set()
            await never.wait()

    store = MemoryJournal(disk, new_generation=lambda: "g", before_sync=hold)
    await store.open()
    one = Writer((await store.raise_fences(["shard:1"]))[0])
    taken.set()
    committing = asyncio.create_task(store.commit([one.unit("cu1", "chat:a")]))
    await written.wait()
    store.crash()
    never.set()
    with pytest.raises(StoreFailed):
        await committing
    after = journal(disk)
    assert (await after.open()).position == 0
    assert await after.customers_of(["chat:a"]) == {}
