"""What every journal store does, on SQLite and in memory alike."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from msgspec import msgpack

from adapters.stores.errors import StoreFailed, StoreLocked, StoreTrimmed
from protocol.ids import POLICY
from protocol.journal import (
    ADOPT,
    GIVE,
    POLICIES_KEPT,
    RELEASE,
    RETURN,
    Committed,
    FamilyStep,
    Fence,
    Freed,
    Record,
    Released,
    Skipped,
    Stale,
    Taken,
    Unmergeable,
    Unsettled,
    claim_of,
)
from tests.adapters.stores.journals import Harness, MemoryHarness, SqliteHarness, Store
from tests.adapters.stores.units import AT_MS, Writer


@pytest.fixture(params=[SqliteHarness, MemoryHarness], ids=["sqlite", "memory"])
async def harness(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Harness]:
    """A place for journals of each kind."""
    harness: Harness = request.param(tmp_path)
    yield harness
    await harness.close()


@pytest.fixture
async def store(harness: Harness) -> Store:
    """An opened, empty journal."""
    store = harness.store()
    await store.open()
    return store


async def writer(store: Store, scope: str = "shard:1") -> Writer:
    """Takes a scope."""
    return Writer((await store.raise_fences([scope]))[0])


async def test_a_new_journal_is_empty_and_has_a_generation(harness: Harness) -> None:
    """Nothing is at position 0, and the life of the positions has a name."""
    store = harness.store()
    state = await store.open()
    reader = await harness.reader(store)
    assert (state.generation, state.position) == ("generation-1", 0)
    assert await reader.position() == 0
    assert await reader.read(0, 10) == []
    assert await store.first_position() == 1


async def test_units_are_committed_in_order_and_read_back_whole(harness: Harness, store: Store) -> None:
    """Positions ascend across scopes, and a record has all that its unit had."""
    one, two = map(Writer, await store.raise_fences(["shard:1", "shard:2"]))
    units = [one.unit("cu1", "tel:+447700900001", "mailto:a@example.org"), two.unit("cu2"), one.unit("cu1")]
    assert await store.commit(units) == [Committed(1), Committed(2), Committed(3)]
    reader = await harness.reader(store)
    assert await reader.read(0, 10) == [
        Record(position, unit.customer, AT_MS, unit.identities, 1, unit.body)
        for position, unit in enumerate(units, start=1)
    ]
    assert [record.position for record in await reader.read(1, 1)] == [2]
    assert await reader.position() == 3


async def test_fences_are_raised_one_by_one_and_answered_in_order(store: Store) -> None:
    """An epoch begins at 1, grows by 1, and counts its batches anew."""
    first = await writer(store, "shard:7")
    await store.commit([first.unit("cu1")])
    assert await store.raise_fences(["shard:9", "shard:7"]) == [Fence("shard:9", 1, 0), Fence("shard:7", 2, 0)]


@pytest.mark.parametrize("crashed", [False, True], ids=["same life", "after a crash"])
async def test_an_epoch_is_never_given_twice(harness: Harness, store: Store, crashed: bool) -> None:
    """Also of a scope whose fence was forgotten in between: whoever hung meanwhile stays stale."""
    hung = await writer(store, "customer:cu1")
    newer = await store.raise_fences(["customer:cu1"])
    assert await store.raise_fences(["customer:cu2"], over=newer) == [Fence("customer:cu2", 1, 0)]
    assert await store.commit([hung.unit("cu1")]) == [Stale(0)]
    if crashed:
        harness.crash(store)
        store = harness.store()
        await store.open()
    assert await store.raise_fences(["customer:cu1"]) == [Fence("customer:cu1", 3, 0)]
    assert await store.commit([hung.unit("cu1")]) == [Stale(3)]


async def test_only_its_holder_gives_a_fence_up(store: Store) -> None:
    """A former one that says so late takes nothing from who has it now."""
    older = await store.raise_fences(["customer:cu1"])
    now = await writer(store, "customer:cu1")
    await store.raise_fences(["customer:cu2"], over=older)
    assert await store.commit([now.unit("cu1")]) == [Committed(1)]
    again = await store.raise_fences(["customer:cu1"], over=[Fence(now.scope, now.epoch, now.batch)])
    assert again == [Fence("customer:cu1", 3, 0)], "given up and taken again at once, it is held"
    assert await store.commit([Writer(again[0]).unit("cu1")]) == [Committed(2)]


async def test_the_other_placements_writers_are_stale(store: Store) -> None:
    """Whoever takes scopes says which kind is void; those of its own kind stay."""
    shard, other = map(Writer, await store.raise_fences(["shard:1", "shard:2"]))
    own = await writer(store, "customer:cu1")
    await store.raise_fences(["shard:2"], void="customer:")
    assert await store.commit([shard.unit("cu1"), other.unit("cu2"), own.unit("cu1")]) == [
        Committed(1),
        Stale(2),
        Stale(0),
    ]


async def test_an_older_epoch_is_stale(store: Store) -> None:
    """A writer whose scope was taken learns the newer epoch, and nothing of it is kept."""
    old = await writer(store)
    new = await writer(store)
    assert await store.commit([old.unit("cu1"), new.unit("cu2")]) == [Stale(2), Committed(1)]


async def test_a_scope_nobody_raised_is_stale(store: Store) -> None:
    """There is no writing without a fence."""
    assert await store.commit([Writer(Fence("shard:3", 1, 0)).unit("cu1")]) == [Stale(0)]


async def test_a_resent_unit_is_committed_once(harness: Harness, store: Store) -> None:
    """After an ambiguous failure the same units come again: they are answered, not repeated."""
    one = await writer(store)
    units = [one.unit("cu1"), one.unit("cu2")]
    await store.commit(units)
    again = await store.commit([*units, one.unit("cu1")])
    assert [type(verdict) for verdict in again] == [Committed, Committed, Committed]
    assert [record.position for record in await (await harness.reader(store)).read(0, 10)] == [1, 2, 3]


async def test_an_identity_has_one_customer(harness: Harness, store: Store) -> None:
    """The unit that assigns it again is refused with the customer it has, and its followers are not looked at."""
    one = await writer(store)
    await store.commit([one.unit("cu1", "tel:+447700900001")])
    taken = Taken("tel:+447700900001", "cu1")
    group = [one.unit("cu2", "chat:b", "tel:+447700900001"), one.unit("cu2"), one.unit("cu3", "chat:b")]
    assert await store.commit(group) == [taken, Skipped(), Committed(2)]
    owners = await (await harness.reader(store)).customers_of(["tel:+447700900001", "chat:b", "chat:unknown"])
    assert owners == {"tel:+447700900001": "cu1", "chat:b": "cu3"}


async def test_the_first_of_a_group_gets_the_identity(store: Store) -> None:
    """Two strangers' units claim one identity in the same group, from two cells."""
    one, two = map(Writer, await store.raise_fences(["shard:1", "shard:2"]))
    group = [one.unit("cu1", "chat:a"), two.unit("cu2", "chat:a")]
    assert await store.commit(group) == [Committed(1), Taken("chat:a", "cu1")]


async def test_a_customers_own_identity_is_taken_too(store: Store) -> None:
    """A writer that assigns what its customer has already knew too little, and must load."""
    one = await writer(store)
    await store.commit([one.unit("cu1", "chat:a")])
    assert await store.commit([one.unit("cu1", "chat:a")]) == [Taken("chat:a", "cu1")]


async def test_a_released_identity_is_nobodys(harness: Harness, store: Store) -> None:
    """It leaves its customer with the unit that says so; the reader finds nobody for it."""
    one = await writer(store)
    await store.commit([one.unit("cu1", "chat:a", "chat:b")])
    assert await store.commit([one.unit("cu1", released=[("chat:a", b"keys")])]) == [Committed(2)]
    reader = await harness.reader(store)
    assert await reader.customers_of(["chat:a", "chat:b"]) == {"chat:b": "cu1"}


@pytest.mark.parametrize("crashed", [False, True], ids=["same life", "after a crash"])
async def test_who_gets_a_released_identity_has_to_know_its_once_keys(
    harness: Harness, store: Store, crashed: bool
) -> None:
    """The first try is refused with them; the one that names the release's position is committed."""
    one = await writer(store)
    await store.commit([one.unit("cu1", "chat:a")])
    await store.commit([one.unit("cu1", released=[("chat:a", b"keys")])])
    if crashed:
        harness.crash(store)
        store = harness.store()
        await store.open()
    ignorant = one.unit("cu2", "chat:a")
    assert await store.commit([ignorant, one.unit("cu2")]) == [Released("chat:a", 2, b"keys"), Skipped()]
    assert await store.commit([ignorant]) == [Skipped()]
    knowing = one.unit("cu2", "chat:a", inherits=[("chat:a", 2)])
    assert await store.commit([knowing]) == [Committed(3)]
    assert await store.commit([one.unit("cu3", "chat:a")]) == [Taken("chat:a", "cu2")]
    assert await (await harness.reader(store)).customers_of(["chat:a"]) == {"chat:a": "cu2"}


async def test_knowledge_of_an_earlier_release_is_not_enough(store: Store) -> None:
    """Somebody had the identity meanwhile, and released it with more keys."""
    one = await writer(store)
    await store.commit([one.unit("cu1", "chat:a"), one.unit("cu1", released=[("chat:a", b"1")])])
    await store.commit([one.unit("cu2", "chat:a", inherits=[("chat:a", 2)])])
    await store.commit([one.unit("cu2", released=[("chat:a", b"12")])])
    assert await store.commit([one.unit("cu3", "chat:a", inherits=[("chat:a", 2)])]) == [Released("chat:a", 4, b"12")]


async def test_a_group_sees_what_it_released_and_assigned(harness: Harness, store: Store) -> None:
    """In one group: assigned, released, asked for by two, of whom one knows; the first that knows has it."""
    one, two = map(Writer, await store.raise_fences(["shard:1", "shard:2"]))
    group = [
        one.unit("cu1", "chat:a"),
        one.unit("cu1", released=[("chat:a", b"k")]),
        two.unit("cu2", "chat:a"),
        two.unit("cu3", "chat:a", inherits=[("chat:a", 2)]),
        two.unit("cu4", "chat:a", inherits=[("chat:a", 2)]),
    ]
    verdicts = [Committed(1), Committed(2), Released("chat:a", 2, b"k"), Committed(3), Taken("chat:a", "cu3")]
    assert await store.commit(group) == verdicts
    assert await (await harness.reader(store)).customers_of(["chat:a"]) == {"chat:a": "cu3"}


async def test_a_unit_may_assign_and_release(harness: Harness, store: Store) -> None:
    """A step that linked and unlinked: nobody has it afterwards, and it was unique meanwhile."""
    one = await writer(store)
    await store.commit([one.unit("cu1", "chat:a")])
    unit = one.unit("cu2", "chat:b", released=[("chat:b", b"k")])
    assert await store.commit([unit, one.unit("cu3", "chat:a")]) == [Committed(2), Taken("chat:a", "cu1")]
    assert await store.commit([one.unit("cu3", "chat:b")]) == [Released("chat:b", 2, b"k")]
    assert await (await harness.reader(store)).customers_of(["chat:b"]) == {}


async def test_nobody_releases_what_is_anothers(store: Store) -> None:
    """That would be our own bug: a customer's only writer knows what it has."""
    one = await writer(store)
    await store.commit([one.unit("cu1", "chat:a")])
    with pytest.raises(AssertionError, match="cu2 releases an identity of cu1"):
        await store.commit([one.unit("cu2", released=[("chat:a", b"")])])


@pytest.mark.parametrize("crashed", [False, True], ids=["same life", "after a crash"])
async def test_a_resent_refusal_is_refused_again(harness: Harness, store: Store, crashed: bool) -> None:
    """Also by a journal that was opened anew; what the writer decided since then on top of it is skipped."""
    one = await writer(store)
    await store.commit([one.unit("cu1", "chat:a")])
    group = [one.unit("cu2", "chat:a"), one.unit("cu2"), one.unit("cu3")]
    refused = [Taken("chat:a", "cu1"), Skipped(), Committed(2)]
    assert await store.commit(group) == refused
    if crashed:
        harness.crash(store)
        store = harness.store()
        await store.open()
    assert await store.commit([*group, one.unit("cu2"), one.unit("cu4")]) == [*refused, Skipped(), Committed(3)]


async def test_refusals_are_forgotten_with_their_epoch(store: Store) -> None:
    """The next writer's batches begin at 1 again and owe nothing to the old ones."""
    one = await writer(store)
    await store.commit([one.unit("cu1", "chat:a"), one.unit("cu2", "chat:a")])
    two = await writer(store)
    assert await store.commit([two.unit("cu1"), two.unit("cu2")]) == [Committed(2), Committed(3)]


async def test_a_gap_in_the_batches_is_our_bug(store: Store) -> None:
    """A lost unit must not pass for an order."""
    one = await writer(store)
    one.unit("cu1")
    with pytest.raises(AssertionError, match="batch 2 came after 0"):
        await store.commit([one.unit("cu1")])


async def test_committed_units_survive_a_crash(harness: Harness, store: Store) -> None:
    """With `full` durability an answered commit is there, under the same generation, and its fence with it."""
    one = await writer(store)
    await store.commit([one.unit("cu1", "chat:a")])
    harness.crash(store)
    store = harness.store()
    state = await store.open()
    assert (state.generation, state.position) == ("generation-1", 1)
    assert await store.commit([one.unit("cu1")]) == [Committed(2)]
    assert await (await harness.reader(store)).customers_of(["chat:a"]) == {"chat:a": "cu1"}


async def test_a_clean_end_keeps_the_generation(harness: Harness) -> None:
    """Positions stay valid over an ordinary stop, with either durability."""
    for durability in ("full", "process", "process", "full"):
        store = harness.store(durability)
        assert (await store.open()).generation == "generation-1"
        await store.close()


async def test_an_unclean_end_of_a_weaker_mode_begins_a_generation(harness: Harness) -> None:
    """`process` may have lost the newest commits: positions given out are void, whatever mode comes next."""
    store = harness.store("process")
    await store.open()
    await store.commit([(await writer(store)).unit("cu1")])
    harness.crash(store)
    store = harness.store("full")
    assert (await store.open()).generation == "generation-2"
    through = await (await harness.reader(store)).position()
    await store.commit([(await writer(store)).unit("cu1")])
    await store.close()
    store = harness.store("full")
    assert (await store.open()).generation == "generation-2"
    reader = await harness.reader(store)
    assert [await reader.shared_with(f"generation-{n}") for n in (1, 2, 3)] == [through, through + 1, None]


async def test_trimming_drops_the_oldest_and_positions_go_on(harness: Harness, store: Store) -> None:
    """Even where nothing is left, and over a new start."""
    one = await writer(store)
    await store.commit([one.unit("cu1", "chat:a") if n == 0 else one.unit("cu1") for n in range(5)])
    assert await store.trim(2) == 2
    assert await store.first_position() == 3
    reader = await harness.reader(store)
    assert [record.position for record in await reader.read(0, 10)] == [3, 4, 5]
    assert await store.records([2, 4]) == [record for record in await reader.read(0, 10) if record.position == 4]
    assert await store.trim(99) == 3
    assert (await reader.position(), await store.first_position()) == (5, 6)
    assert await reader.customers_of(["chat:a"]) == {"chat:a": "cu1"}
    harness.crash(store)
    store = harness.store()
    assert (await store.open()).position == 5
    assert await store.commit([one.unit("cu1")]) == [Committed(6)]


async def test_an_input_from_quarantine_is_claimed_once_until_that_is_trimmed(harness: Harness, store: Store) -> None:
    """By anybody, also once more by who has it; and nothing is told of it where the customer is erased."""
    one, claim = await writer(store), claim_of("mail.1")
    assert await store.commit([one.unit("cu1", claim), one.unit("cu2", claim)]) == [Committed(1), Taken(claim, "cu1")]
    assert await store.commit([one.unit("cu1", claim)]) == [Taken(claim, "cu1")]
    await store.erase("cu1", [], freed())
    assert await store.commit([one.unit("cu2", claim)]) == [Committed(2)]
    assert await store.trim(1) == 1
    assert await store.commit([one.unit("cu3", claim)]) == [Taken(claim, "cu2")]
    assert await store.trim(2) == 1
    assert await store.commit([one.unit("cu3", claim)]) == [Committed(3)]


async def test_what_is_old_is_found_by_time(harness: Harness, store: Store) -> None:
    """Up to the first unit that is young: one that a wrong clock made old does not take the young ones before it."""
    one = await writer(store)
    await store.commit([one.unit("cu1", at_ms=at_ms) for at_ms in (10, 20, 30, 5)])
    reader = await harness.reader(store)
    assert [await reader.position_before(at_ms) for at_ms in (10, 11, 20, 30, 31)] == [0, 1, 1, 2, 4]
    await store.trim(3)
    assert [await reader.position_before(at_ms) for at_ms in (5, 6)] == [3, 4]
    await store.trim(4)
    assert await reader.position_before(99) == 4


async def test_a_trimmed_journal_must_stay_synced(harness: Harness, store: Store) -> None:
    """Should it lose commits, its archive would have to be made anew from what it no longer has."""
    one = await writer(store)
    await store.commit([one.unit("cu1")])
    await store.trim(1)
    await store.close()
    with pytest.raises(StoreTrimmed, match="position 1"):
        await harness.store("process").open()
    assert (await harness.store("full").open()).generation == "generation-1"


async def test_it_has_one_writer(harness: Harness, store: Store) -> None:
    """A second writer is turned away; after the first has closed it may come."""
    second = harness.store()
    with pytest.raises(StoreLocked):
        await second.open()
    await store.close()
    await second.open()


async def test_a_closed_journal_answers_nothing(store: Store) -> None:
    """It says so by name."""
    await store.close()
    with pytest.raises(StoreFailed, match="not open"):
        await store.raise_fences(["shard:1"])


async def test_the_policys_units_stay(harness: Harness, store: Store) -> None:
    """The newest sixteen, in order, over a trim and a new life; nobody else's are among them."""
    scope = await writer(store)
    units = [scope.unit(POLICY if number % 2 else "cu1") for number in range(2 * POLICIES_KEPT + 6)]
    await store.commit(units)
    kept = [unit.body for unit in units if unit.customer == POLICY][-POLICIES_KEPT:]
    assert await store.policies() == kept
    await store.trim(len(units))
    await store.close()
    again = harness.store()
    await again.open()
    assert await again.policies() == kept


async def test_erasing_replaces_bodies_and_frees_identities(harness: Harness) -> None:
    """Of one customer: positions and the others' units stay, and whoever comes next with the identity gets it."""
    store = harness.store()
    await store.open()
    writer = Writer((await store.raise_fences(["shard:1"]))[0])
    await store.commit([writer.unit("cu1", "chat:1"), writer.unit("cu2", "chat:2"), writer.unit("cu1")])
    reader = await harness.reader(store)
    one, two, three = await reader.read(0, 10)
    await store.erase("cu1", [msgspec.structs.replace(one, body=b"\x90")])
    assert await reader.read(0, 10) == [msgspec.structs.replace(one, body=b"\x90", identities=[]), two, three]
    assert await reader.customers_of(["chat:1", "chat:2"]) == {"chat:2": "cu2"}
    assert await store.commit([writer.unit("cu3", "chat:1")]) == [Committed(4)]
    await store.close()


def freed(*identities: str, until_ms: int = AT_MS + 1000, **keys: bytes) -> Freed:
    """What an erasure says of these addresses."""
    return Freed([*identities], msgpack.encode(keys or {"": b"k"}), until_ms)


async def test_whoever_gets_an_erased_address_has_to_know_what_came_from_it(harness: Harness, store: Store) -> None:
    """Once: with the link it is journaled. Also in the journal's next life, and for one that only the caller names."""
    one = await writer(store)
    await store.commit([one.unit("cu1", "chat:1"), one.unit("cu2", "chat:2")])
    await store.erase("cu1", [], freed("chat:2", "chat:gone"))
    await store.close()
    store = harness.store()
    await store.open()
    two = await writer(store)
    [refused, other] = await store.commit([two.unit("cu3", "chat:1"), two.unit("cu4", "chat:new")])
    assert isinstance(refused, Released)
    assert (refused.identity, msgpack.decode(refused.keys), other) == ("chat:1", {"": b"k"}, Committed(3))
    taken = [two.unit("cu3", "chat:1", inherits=[("chat:1", refused.position)]), two.unit("cu5", "chat:2")]
    assert await store.commit(taken) == [Committed(4), Taken("chat:2", "cu2")]
    await store.commit([two.unit("cu3", released=[("chat:1", b"now")])])
    assert await store.commit([two.unit("cu6", "chat:1")]) == [Released("chat:1", 5, b"now")]
    assert isinstance((await store.commit([two.unit("cu6", "chat:gone")]))[0], Released)
    # It was known to who had it then: nothing of it is left by the time that one is erased.
    await store.commit([two.unit("cu6", "chat:1", inherits=[("chat:1", 5)])])
    await store.erase("cu6", [])
    assert await store.commit([two.unit("cu7", "chat:1")]) == [Committed(7)]
    await store.close()


async def test_what_is_known_of_an_erased_address_ends_with_the_once_keys(store: Store) -> None:
    """By the time of what is committed: then it is an address that nobody ever had."""
    one = await writer(store)
    await store.commit([one.unit("cu1", "chat:1")])
    await store.erase("cu1", [], freed(until_ms=AT_MS + 1000))
    assert isinstance((await store.commit([one.unit("cu2", "chat:1", at_ms=AT_MS + 999)]))[0], Released)
    assert await store.commit([one.unit("cu2", "chat:1", at_ms=AT_MS + 1000)]) == [Committed(2)]


async def test_an_address_that_was_unlinked_from_who_is_erased_keeps_the_others_keys(store: Store) -> None:
    """It may have been two people's, one after the other; who was erased is not named."""
    one = await writer(store)
    await store.commit([one.unit("cu1", "chat:1"), one.unit("cu2", "chat:2")])
    keys = msgpack.encode({"cu1": b"1", "cu9": b"9"})
    await store.commit([one.unit("cu1", released=[("chat:1", keys)])])
    await store.erase("cu1", [], freed())
    [refused] = await store.commit([one.unit("cu3", "chat:1")])
    assert isinstance(refused, Released)
    assert msgpack.decode(refused.keys) == {"cu9": b"9", "": b"k"}
    # Where nothing of it may come again, nothing is kept.
    await store.erase("cu2", [])
    assert await store.commit([one.unit("cu3", "chat:2")]) == [Committed(4)]


async def test_an_erasure_that_is_begun_again_leaves_what_it_left(store: Store) -> None:
    """By then the address may be somebody else's, whom it does not concern."""
    one = await writer(store)
    await store.commit([one.unit("cu1", "chat:1", "chat:2")])
    await store.erase("cu1", [], freed("chat:1", "chat:2"))
    [refused] = await store.commit([one.unit("cu2", "chat:2")])
    assert isinstance(refused, Released)
    await store.commit([one.unit("cu2", "chat:2", inherits=[("chat:2", refused.position)])])
    await store.erase("cu1", [], freed("chat:1", "chat:2", late=b"l"))
    assert await store.commit([one.unit("cu3", "chat:2")]) == [Taken("chat:2", "cu2")]
    [known] = await store.commit([one.unit("cu3", "chat:1")])
    assert isinstance(known, Released)
    assert msgpack.decode(known.keys) == {"": b"k"}


async def test_a_merged_customers_identities_are_the_others_until_it_is_released(
    harness: Harness, store: Store
) -> None:
    """One row says so; the identities' own rows stay, and so does what is linked meanwhile with who linked it."""
    reader = await harness.reader(store)
    one = await writer(store)
    await store.commit([one.unit("ann", "tel:1"), one.unit("bob", "tel:2")])
    given = one.unit("ann", family=[FamilyStep(GIVE, "ann", "bob", 1)])
    assert await store.commit([given]) == [Committed(3)]
    assert await reader.customers_of(["tel:1", "tel:2"]) == {"tel:1": "bob", "tel:2": "bob"}
    assert await store.unsettled() == [Unsettled("bob", "ann", 1, 3)]
    adopted = one.unit("bob", "tel:3", family=[FamilyStep(ADOPT, "ann", "bob", 1)])
    assert await store.commit([adopted, one.unit("cyd", "tel:1")]) == [Committed(4), Taken("tel:1", "bob")]
    assert await store.unsettled() == []
    released = one.unit("bob", family=[FamilyStep(RELEASE, "ann", "bob", 2)])
    assert await store.commit([released]) == [Committed(5)]
    assert await reader.customers_of(["tel:1", "tel:3"]) == {"tel:1": "ann", "tel:3": "bob"}
    assert await store.unsettled() == [Unsettled("ann", "bob", 2, 5)]
    assert await store.commit([one.unit("ann", family=[FamilyStep(RETURN, "ann", "bob", 2)])]) == [Committed(6)]
    assert await store.unsettled() == []


async def test_merges_side_by_side_make_no_circle(store: Store) -> None:
    """The first one stands, whichever scopes they come from; who is a member takes no members."""
    one, two = map(Writer, await store.raise_fences(["shard:1", "shard:2"]))
    units = [
        one.unit("ann", family=[FamilyStep(GIVE, "ann", "bob", 1)]),
        two.unit("bob", family=[FamilyStep(GIVE, "bob", "ann", 1)]),
        two.unit("cyd", family=[FamilyStep(GIVE, "cyd", "ann", 1)]),
    ]
    first, *others = await store.commit(units)
    assert first == Committed(1)
    # Bob has not taken Ann in yet, and has to before he gives himself away.
    assert others == [Skipped(), Unmergeable("ann is merged into bob: merge cyd into that one")]
    assert await store.commit([two.unit("bob", family=[FamilyStep(ADOPT, "ann", "bob", 1)])]) == [Committed(2)]
    again = await store.commit([two.unit("bob", family=[FamilyStep(GIVE, "bob", "ann", 1)])])
    assert again == [Unmergeable("ann is merged into bob: merge bob into that one")]


async def test_a_merge_survives_a_crash_and_is_taken_in_once(harness: Harness, store: Store) -> None:
    """Chains are followed to their root, also by the journal's next life; no step is taken twice."""
    one = await writer(store)
    await store.commit([one.unit("ann", "tel:1")])
    await store.commit([one.unit("ann", family=[FamilyStep(GIVE, "ann", "bob", 1)])])
    await store.commit([one.unit("bob", family=[FamilyStep(ADOPT, "ann", "bob", 1)])])
    await store.commit([one.unit("bob", family=[FamilyStep(GIVE, "bob", "cyd", 1)])])
    harness.crash(store)
    store = harness.store()
    await store.open()
    reader = await harness.reader(store)
    assert await reader.customers_of(["tel:1"]) == {"tel:1": "cyd"}
    assert await store.unsettled() == [Unsettled("cyd", "bob", 1, 4)]
    one = await writer(store)
    adopted = [one.unit("cyd", family=[FamilyStep(ADOPT, "bob", "cyd", 1)]) for _ in range(2)]
    assert await store.commit(adopted) == [Committed(5), Skipped()]
    assert await store.commit([one.unit("dan", family=[FamilyStep(GIVE, "dan", "ann", 1)])]) == [
        Unmergeable("ann is merged into cyd: merge dan into that one")
    ]
