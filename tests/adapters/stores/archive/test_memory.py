"""What only the archive in memory does: crash when told to."""

import pytest

from adapters.stores.archive.memory import MemoryArchive
from adapters.stores.errors import StoreLocked
from protocol.archive import Changes


async def test_the_archive_crashes_back_to_its_last_sync() -> None:
    """It is then behind the journal, by its own position, and can follow again."""
    store = MemoryArchive()
    await store.open()
    await store.apply(Changes(7, [], [], []))
    with pytest.raises(StoreLocked):
        await store.open()
    assert await store.sync() == 7
    await store.apply(Changes(9, [], [], []))
    store.crash()
    assert await store.open() == 7
    await store.close()
    assert await store.open() == 7
    await store.close()
