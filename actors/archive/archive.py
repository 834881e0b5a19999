"""The archive: follows the journal by position and keeps its relational, queryable projection.

    the head moves → read records after our position → project → apply in one transaction → say how far

It reads the journal's store itself, by position, so that following, catching up after a start and rebuilding are one
path. Snapshots come from cells; one is stored only when the archive has reached its position, since a snapshot ahead of
the rows beside it would hide what is between.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import assert_never

from actors.archive import retention
from actors.archive.archive_store import ArchiveStore, JournalReader
from actors.archive.projection import entries_of, project, runs
from actors.archive.retention import Retention
from actors.cells import snapshots
from actors.fault import Fault
from actors.lines import Line
from actors.rules.policies import still_accepted
from protocol.errors import ThroughlineError
from protocol.events import PolicyApplied
from protocol.ids import POLICY
from protocol.journal import Record
from protocol.links import AnyLink, AnyToArchive, ArchivedIs, HeadIs, SnapshotTaken, TrimTo
from protocol.oldest import forget_oldest

CALM_PER_S = 200
GATHER_TIMES_MAX = 15
"""Up to so many records a second the archive waits its `gather_s` after a batch, above it longer in proportion. What a
batch costs is mostly the pages it changes: one of 8,000 changes half as many for each record as one of 2,000, and under
load the cores are better used by those whom someone waits for."""
INDEX_EVERY_S = 0.25
"""Between two steps of the full text while records come. A step's cost is a transaction's more than its words'."""
TURN_S = 0.5
"""A batch and the wait after it, where the batch leaves time to wait at all: the lag stays below two turns. With turns
of twice that the archive was further behind at full load, and an event cost no less (`docs/benchmarks.md`)."""
BATCH_RECORDS = 8000
"""Records in one transaction: large enough to coalesce a busy conversation's rows, small enough for a few 100 ms."""
SNAPSHOTS_WAITING_MAX = 10_000
"""Snapshots kept until their position is reached; past it the oldest are dropped, and a load reads more events."""


class ArchiveBehind(ThroughlineError):
    """What the archive would have to read next is no longer in the journal: following would leave it out silently."""


class ArchiveAhead(ThroughlineError):
    """The archive has what the journal has not: it would take the next commits for those that it knows."""


class Archive:
    """The actor around an archive store.

    `gather_s` is how long it waits after a batch for more to gather, and longer under load: fewer, larger batches cost
    the machine less, and nobody's ack waits for the archive. Without `retention` everything is kept.
    """

    def __init__(
        self,
        journal: JournalReader,
        store: ArchiveStore,
        *,
        gather_s: float,
        retention: Retention | None = None,
    ) -> None:
        self._journal = journal
        self._store = store
        self._gather_s = gather_s
        self._retention = retention
        self._head = 0
        self._moved = asyncio.Event()
        self._journals: list[Line] = []
        self._snapshots: dict[str, SnapshotTaken] = {}
        self._draining = False
        self._fault = Fault()
        self._index_at_s = 0.0
        """By the loop's clock: when the full text is due again, though records come."""
        self._opened = False
        """Whether `position` is the store's: a journal takes the first word it hears for where the archive is."""
        self.position = 0
        self.events = 0

    async def start(self) -> None:
        """Opens the store and catches up with the journal, so that whoever reads afterwards finds all of it.

        Raises `ArchiveBehind` where retention has taken from the journal what this archive would need, and
        `ArchiveAhead` where the journal is of an older backup than the archive.
        """
        keeps = await self._fits(await self._store.open())
        self.position = await self._store.adopt(await self._journal.generation(), keeps=keeps)
        self._opened = True
        newest = await self._store.policy()
        # The journal may have one since: what is not accepted any more is none to go by.
        if self._retention is not None and newest is not None and (policy := still_accepted(*newest)):
            self._retention.policy_is(policy)
        self._say_position()
        await self.catch_up()
        await self._store.redrop()

    async def catch_up(self) -> None:
        """Follows the journal to where it is now."""
        self._head = await self._journal.position()
        while self.position < self._head:
            await self._follow()

    async def run(self) -> None:
        """Follows until cancelled or told to drain; raises what a store raises."""
        clock = asyncio.get_running_loop().time
        since_s = clock()
        while True:
            idle = self.position >= self._head and not self._ready_snapshots()
            if idle and self._draining:
                return
            if idle and not self._retaining:
                if not self._moved.is_set() and await self._store.index():
                    continue
                await self._something()
            self._moved.clear()
            self._fault.check()
            began_s = clock()
            records = await self._follow()
            await self._save_snapshots()
            await self._retain()
            now_s = clock()
            if not self._draining and self._head - self.position < BATCH_RECORDS:
                within_s, took_s = now_s - since_s, now_s - began_s
                await self._pause(pause_s(self._gather_s, records=records, within_s=within_s, took_s=took_s))
            since_s = now_s

    def drain(self) -> None:
        """`run` returns once the archive has what the journal was last seen to have."""
        self._draining = True
        self._moved.set()

    async def close(self) -> None:
        """Closes the store."""
        await self._store.close()

    def status(self) -> dict[str, object]:
        """Figures for operators."""
        counted = {"position": self.position, "head": self._head, "events": self.events}
        retained = self._retention.status() if self._retention is not None else {}
        return {**counted, "snapshots": len(self._snapshots), "retention": retained}

    # Lines

    def opened(self, line: Line, *, fresh: bool) -> None:
        """A journal is told how far the archive is; cells need nothing."""
        if line.peer == "journal":
            self._journals = [line]
            self._say_position()

    def closed(self, line: Line) -> None:
        """The line reconnects by itself."""

    def broke(self, exc: Exception) -> None:
        """`run` raises it."""
        self._fault.set(exc)
        self._moved.set()

    def received(self, line: Line, message: AnyLink) -> None:
        """The head moved, or a journey was snapshotted."""
        assert isinstance(message, AnyToArchive), message
        match message:
            case HeadIs():
                self._head = max(self._head, message.position)
            case SnapshotTaken():
                self._snapshots.pop(message.customer, None)
                self._snapshots[message.customer] = message
                forget_oldest(self._snapshots, SNAPSHOTS_WAITING_MAX)
            case _:
                assert_never(message)
        self._moved.set()

    # The worker's turns

    async def _fits(self, had: int) -> bool:
        """Whether the journal goes on from this archive's position; where it does not, the archive is to be made anew.
        Raises what `start` does."""
        known, first = await self._store.generation(), await self._journal.first_position()
        through = await self._journal.shared_with(known)
        fits = through is not None and had <= through
        # What follows the former life past its end has what was lost with that: it goes, where it can be made anew.
        if through is not None and not fits and (known == await self._journal.generation() or first > 1):
            raise ArchiveAhead(
                f"this archive ends at position {had} and the journal at {through}: the journal is a backup's, and the "
                "archive is newer. Put the archive of the same backup in its place"
                + (", or make a file `restored` beside it, so that it is made anew" if first == 1 else "")
            )
        had = had if fits else 0
        if first > had + 1:
            raise ArchiveBehind(
                f"the journal begins at position {first} and this archive ends at {had}: what is between was only in "
                "the archive that is missing. Put that archive, or a backup of both, in its place"
            )
        return fits

    async def _pause(self, pause_s: float) -> None:
        """Lets records gather; meanwhile the full text comes one step nearer, where it has not just done so. Only one:
        the words of 20,000 events a second would take half of a core from those who wait for them to be acked. It
        catches up when nothing comes."""
        clock = asyncio.get_running_loop().time
        until_s = clock() + pause_s
        if not self._draining and clock() >= self._index_at_s:
            await self._store.index()
            self._index_at_s = clock() + INDEX_EVERY_S
        await asyncio.sleep(max(0.0, until_s - clock()))

    async def _something(self) -> None:
        """Waits until there is something to follow or save; retention is due on a quiet server too."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(retention.EVERY_MS / 1000 if self._limited else None):
                await self._moved.wait()

    def _say_position(self) -> None:
        if self._opened:
            for line in self._journals:
                line.send(ArchivedIs(self.position))

    async def _follow(self) -> int:
        """Applies the next records; returns how many."""
        if self.position >= self._head:
            return 0
        records = await self._journal.read(self.position, BATCH_RECORDS)
        if not records:
            return 0
        for run in runs(records):
            await self._store.apply(project(run))
            self.position = run[-1].position
        self._hear_policy(records)
        self.events += sum(record.entries for record in records)
        self._say_position()
        return len(records)

    def _hear_policy(self, records: Sequence[Record]) -> None:
        """Retention goes by the newest version of the policy, from here on."""
        if self._retention is None:
            return
        for record in records:
            if record.customer == POLICY:
                for _, _, event in entries_of(record):
                    # One that no program accepts any more is followed by one that it does.
                    if isinstance(event, PolicyApplied) and (policy := still_accepted(event.version, event.body)):
                        self._retention.policy_is(policy)

    @property
    def _limited(self) -> bool:
        return self._retention is not None and self._retention.limited

    @property
    def _retaining(self) -> bool:
        return self._retention is not None and self._retention.under_way

    def _ready_snapshots(self) -> list[SnapshotTaken]:
        return [snapshot for snapshot in self._snapshots.values() if snapshot.position <= self.position]

    async def _save_snapshots(self) -> None:
        ready = self._ready_snapshots()
        if not ready:
            return
        if dropped := await self._store.save_snapshots(ready):
            # Their cells had them in memory all the while.
            emptied = [snapshots.without(each, dropped) for each in ready if not dropped.isdisjoint(each.words)]
            await self._store.save_snapshots([each for each in emptied if each is not None])
        for snapshot in ready:
            if self._snapshots.get(snapshot.customer) is snapshot:
                del self._snapshots[snapshot.customer]

    async def _retain(self) -> None:
        if self._retention is not None and (through := await self._retention.enforce()):
            for line in self._journals:
                line.send(TrimTo(through))


def pause_s(gather_s: float, *, records: int, within_s: float, took_s: float) -> float:
    """How long the archive waits after following `records` in `within_s`, of which the batch itself took `took_s`."""
    calm = within_s * CALM_PER_S
    times = 1.0 if records <= calm else min(records / calm, GATHER_TIMES_MAX) if calm > 0 else GATHER_TIMES_MAX
    return min(gather_s * times, max(gather_s, TURN_S - took_s))


async def rebuild(journal: JournalReader, store: ArchiveStore, on_progress: Callable[[int, int], None]) -> int:
    """Makes an opened archive anew from the journal; `on_progress` gets (position, head). Returns the events applied.

    What retention had dropped is dropped again. The archive is usable only when this returns; interrupted, it catches
    up from where it came to at the next start.
    """
    head = await journal.position()
    await store.reset()
    await store.adopt(await journal.generation())
    position = events = 0
    while position < head:
        records = await journal.read(position, BATCH_RECORDS)
        if not records:
            break
        position = records[-1].position
        for run in runs(records):
            await store.apply(project(run))
        events += sum(record.entries for record in records)
        on_progress(position, head)
    await store.redrop()
    return events
