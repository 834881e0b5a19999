"""The rules' own bound; what they answer is shown on every store in `test_conformance.py`."""

from adapters.stores.journal.memory import MemoryJournal
from adapters.stores.journal.rules import REFUSALS_KEPT, forgotten_below
from protocol.journal import Committed, Skipped, Taken
from tests.adapters.stores.units import Writer


async def test_refusals_are_remembered_within_a_bound() -> None:
    """A scope's memory of refusals does not grow with its life; one within the bound is still answered right."""
    store = MemoryJournal(new_generation=lambda: "g")
    await store.open()
    one = Writer((await store.raise_fences(["shard:1"]))[0])
    await store.commit([one.unit("cu1", "chat:a")])
    refused = [one.unit("cu2", "chat:a") for _ in range(3)]
    await store.commit(refused)
    await store.commit([one.unit("cu3") for _ in range(REFUSALS_KEPT - 4)])
    await store.commit([one.unit("cu2", "chat:a")])
    assert forgotten_below(one.batch) == 1
    assert await store.commit(refused[:1]) == [Taken("chat:a", "cu1")]
    await store.commit([one.unit("cu3"), one.unit("cu3"), one.unit("cu2", "chat:a")])
    assert isinstance((await store.commit(refused[:1]))[0], Committed)
    assert await store.commit(refused[2:]) == [Skipped()]
