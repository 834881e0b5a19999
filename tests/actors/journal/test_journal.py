"""The journal actor: groups, verdicts in order, the tail, and its bound on the archive's lag."""

import asyncio

import msgspec
import pytest

from actors.journal import journal as journals
from actors.journal.journal import Journal
from adapters.stores.errors import StoreFailed
from adapters.stores.journal.memory import MemoryJournal
from protocol.journal import Committed, Stale, Unit
from protocol.links import (
    AnyLink,
    Append,
    ArchivedIs,
    FencesRaised,
    HeadIs,
    PoliciesAre,
    RaiseFences,
    ReadTail,
    Settled,
    TailIs,
    TrimTo,
)


class Line:
    """A line that keeps what was said on it."""

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.open = True
        self.full = False
        self.said: list[AnyLink] = []

    def send(self, message: AnyLink) -> None:
        self.said.append(message)


def unit(
    batch: int, customer: str = "cu1", *, epoch: int = 1, identities: list[str] | None = None, scope: str = "shard:1"
) -> Unit:
    """A unit of one (opaque) entry."""
    return Unit(scope, epoch, batch, customer, 0, identities or [], 1, msgspec.msgpack.encode([]))


async def started(lag_max: int = 1000) -> tuple[Journal, Line, asyncio.Task[None]]:
    """A journal with a cell that has taken its scope."""
    journal = Journal(MemoryJournal(new_generation=lambda: "g"), archive_lag_max=lag_max)
    await journal.start()
    cell = Line("cell:0")
    journal.received(cell, RaiseFences(1, ["shard:1"]))
    return journal, cell, asyncio.ensure_future(journal.run())


async def turns() -> None:
    """Lets what can happen happen."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_appends_that_gathered_are_one_commit_with_a_verdict_for_each_unit() -> None:
    """Two appends received together make one transaction."""
    journal, cell, task = await started()
    journal.received(cell, Append(2, [unit(1), unit(2)]))
    journal.received(cell, Append(3, [unit(3)]))
    await turns()
    raised, first, second = cell.said
    assert isinstance(raised, FencesRaised)
    assert isinstance(first, Settled)
    assert isinstance(second, Settled)
    assert [type(v) for v in first.verdicts] == [Committed, Committed]
    assert second.verdicts == [Committed(3)]
    assert journal.commits == 1
    task.cancel()


async def test_a_stale_writer_is_refused() -> None:
    """An epoch that was raised since refuses every unit under the old one."""
    journal, cell, task = await started()
    other = Line("cell:0")
    journal.received(other, RaiseFences(1, ["shard:1"]))
    journal.received(cell, Append(2, [unit(1)]))
    await turns()
    assert cell.said[-1] == Settled(2, [Stale(2)])
    task.cancel()


async def test_a_peer_that_comes_anew_asks_once() -> None:
    """What its former line brought and is not committed yet is dropped: it is asked again, and queued once."""
    journal, cell, task = await started(lag_max=1)
    journal.received(cell, Append(2, [unit(1), unit(2)]))
    await turns()
    for _ in range(5):
        again = Line("cell:0")
        journal.opened(again, fresh=True)
        journal.received(again, Append(3, [unit(3)]))
    assert journal.status()["waiting"] == 1
    journal.received(Line("archive"), ArchivedIs(2))
    await turns()
    assert (journal.position, again.said) == (3, [PoliciesAre([]), Settled(3, [Committed(3)])])
    task.cancel()


async def test_the_tail_has_what_the_archive_has_not() -> None:
    """Units leave it when the archive says so, and their customers' loads name where the rest is."""
    journal, cell, task = await started()
    journal.received(cell, Append(2, [unit(1, "cu1"), unit(2, "cu2"), unit(3, "cu1")]))
    await turns()
    journal.received(Line("archive"), ArchivedIs(1))
    journal.received(cell, ReadTail(5, "cu1"))
    await turns()
    tail = cell.said[-1]
    assert isinstance(tail, TailIs)
    assert (tail.archived, [record.position for record in tail.records]) == (1, [3])
    task.cancel()


async def test_past_the_lag_bound_commits_wait_for_the_archive() -> None:
    """Ingest is slowed, nothing is dropped, and it goes on by itself."""
    journal, cell, task = await started(lag_max=1)
    journal.received(cell, Append(2, [unit(1), unit(2)]))
    await turns()
    journal.received(cell, Append(3, [unit(3)]))
    await turns()
    assert journal.position == 2
    journal.received(Line("archive"), ArchivedIs(2))
    await turns()
    assert journal.position == 3
    task.cancel()


async def test_the_archive_may_be_faster_than_the_journal() -> None:
    """It reads the file, and says that it has a unit before the journal has heard of its own commit: that unit is not
    waited for."""
    journal, cell, task = await started(lag_max=1)
    journal.received(cell, Append(2, [unit(1), unit(2)]))
    journal.received(Line("archive"), ArchivedIs(2))
    await turns()
    journal.received(cell, Append(3, [unit(3)]))
    await turns()
    assert (journal.position, journal.status()["archive_lag_events"]) == (3, 1)
    task.cancel()


async def test_what_the_archive_has_on_disk_is_trimmed_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """An append that came meanwhile is not kept waiting, and positions go on."""
    monkeypatch.setattr("actors.journal.journal.TRIM_POSITIONS", 2)
    journal, cell, task = await started()
    archive = Line("archive")
    journal.received(cell, Append(2, [unit(n) for n in range(1, 6)]))
    await turns()
    journal.received(archive, ArchivedIs(4))
    journal.received(archive, TrimTo(4))
    journal.received(cell, Append(3, [unit(6)]))
    journal.received(archive, TrimTo(4))
    await turns()
    assert cell.said[-1] == Settled(3, [Committed(6)])
    assert (journal.trimmed, journal.position) == (4, 6)
    journal.received(cell, ReadTail(5, "cu1"))
    await turns()
    tail = cell.said[-1]
    assert isinstance(tail, TailIs)
    assert (tail.archived, [record.position for record in tail.records]) == (4, [5, 6])
    task.cancel()


async def test_nothing_is_trimmed_that_the_archive_has_not() -> None:
    """Whatever the archive says."""
    journal, cell, task = await started()
    journal.received(cell, Append(2, [unit(1), unit(2)]))
    await turns()
    journal.received(Line("archive"), ArchivedIs(1))
    journal.received(Line("archive"), TrimTo(2))
    await turns()
    assert journal.trimmed == 1
    task.cancel()


async def test_a_stop_does_not_wait_for_a_trim() -> None:
    """What is left is trimmed another day; the next life knows what is gone."""
    store = MemoryJournal(new_generation=lambda: "g")
    journal = Journal(store, archive_lag_max=10)
    await journal.start()
    cell = Line("cell:0")
    journal.received(cell, RaiseFences(1, ["shard:1"]))
    journal.received(cell, Append(2, [unit(1), unit(2)]))
    journal.drain()
    await journal.run()
    await store.trim(1)
    journal.received(cell, ArchivedIs(2))
    journal.received(cell, TrimTo(2))
    await journal.run()
    await journal.close()
    assert journal.trimmed == 0
    again = Journal(MemoryJournal(store.disk, new_generation=lambda: "g"), archive_lag_max=10)
    await again.start()
    assert (again.trimmed, again.position) == (1, 2)


async def test_a_store_that_fails_ends_the_journal() -> None:
    """It comes back by recovery, never by going on."""
    store = MemoryJournal(new_generation=lambda: "g")
    journal = Journal(store, archive_lag_max=10)
    await journal.start()
    cell = Line("cell:0")
    journal.received(cell, RaiseFences(1, ["shard:1"]))
    journal.received(cell, Append(2, [unit(1)]))
    store.fail_next = "lost"
    with pytest.raises(StoreFailed):
        await journal.run()
    assert len(cell.said) == 1


async def test_fences_pass_commits_that_wait_for_the_archive() -> None:
    """A cell that takes over is not kept from it by an archive that is behind; what waits keeps its turn."""
    journal, cell, task = await started(lag_max=1)
    journal.received(cell, Append(2, [unit(1), unit(2)]))
    await turns()
    journal.received(cell, Append(3, [unit(3)]))
    other = Line("cell:1")
    journal.received(other, RaiseFences(1, ["shard:9"]))
    await turns()
    assert [type(said) for said in other.said] == [FencesRaised]
    settled = cell.said[-1]
    assert isinstance(settled, Settled)
    assert settled.ref == 2
    journal.received(Line("archive"), ArchivedIs(2))
    await turns()
    assert cell.said[-1] == Settled(3, [Committed(3)])
    task.cancel()


async def test_a_new_life_knows_how_far_the_archive_is_behind() -> None:
    """The archive says where it is, and the tail is counted from there: commits wait again, and loads need not."""
    store = MemoryJournal(new_generation=lambda: "g")
    first = Journal(store, archive_lag_max=10)
    await first.start()
    cell, archive = Line("cell:0"), Line("archive")
    first.received(cell, RaiseFences(1, ["shard:1"]))
    first.received(cell, Append(2, [unit(1, "cu1"), unit(2, "cu2"), unit(3, "cu1")]))
    first.drain()
    await first.run()
    await first.close()
    journal = Journal(MemoryJournal(store.disk, new_generation=lambda: "g"), archive_lag_max=1)
    await journal.start()
    task = asyncio.ensure_future(journal.run())
    journal.received(archive, ArchivedIs(1))
    await turns()
    assert journal.status()["archive_lag_events"] == 2
    journal.received(cell, ReadTail(5, "cu1"))
    journal.received(cell, RaiseFences(6, ["shard:2"]))
    journal.received(cell, Append(7, [unit(1, "cu3", scope="shard:2")]))
    await turns()
    tail = next(said for said in cell.said if isinstance(said, TailIs))
    assert (tail.archived, [record.position for record in tail.records]) == (1, [3])
    assert not any(isinstance(said, Settled) and said.ref == 7 for said in cell.said)
    journal.received(archive, ArchivedIs(3))
    await turns()
    assert cell.said[-1] == Settled(7, [Committed(4)])
    task.cancel()


async def test_the_archive_is_told_the_head_once_for_each_of_its_batches() -> None:
    """Commits that come while it works on what it was told are told together, when it has come that far."""
    journal, cell, task = await started()
    archive = Line("archive")
    journal.opened(archive, fresh=True)
    for number in range(1, 4):
        journal.received(cell, Append(1 + number, [unit(number)]))
        await turns()
    assert archive.said == [HeadIs(0), HeadIs(1)]
    journal.received(archive, ArchivedIs(1))
    assert archive.said[2:] == [HeadIs(3)]
    journal.received(archive, ArchivedIs(3))
    assert archive.said[3:] == []
    task.cancel()


async def test_a_group_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much gathered: what is over the bound is the next commit's, in its order."""
    monkeypatch.setattr(journals, "GROUP_UNITS_MAX", 2)
    journal, cell, task = await started()
    for number in range(1, 6):
        journal.received(cell, Append(number + 1, [unit(number)]))
    await turns()
    settled = [said.verdicts for said in cell.said if isinstance(said, Settled)]
    assert settled == [[Committed(number)] for number in range(1, 6)]
    assert journal.commits == 3
    task.cancel()


async def test_much_is_trimmed_a_step_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """As far as the archive has it, and what came meanwhile goes between; a stop waits for no more of it."""
    monkeypatch.setattr(journals, "TRIM_POSITIONS", 2)
    journal, cell, task = await started()
    archive = Line("archive:0")
    journal.opened(archive, fresh=True)
    journal.received(cell, Append(2, [unit(number) for number in range(1, 8)]))
    await turns()
    journal.received(archive, ArchivedIs(5))
    journal.received(archive, TrimTo(7))
    journal.received(cell, Append(3, [unit(8)]))
    await turns()
    assert (journal.trimmed, journal.position) == (5, 8)
    task.cancel()
