"""The journal: takes commit units from cells, commits what has gathered in one synced transaction, and says so.

    received → queue → group → store.commit → verdicts to the cells, the tail grows, the archive is told the head

Fences, once-only batches and unique identities are checked by the store inside the transaction. The journal knows which
units the archive may not have yet (`actors/journal/tail.py`), so that a journey can be loaded at any moment.

On an error of the store `run` raises and the process ends. It comes back by recovery, and cells send again what was not
answered; `Fence.batch` tells the store which of that it had settled.

The journal also tells the cells of the policy and of merges (`actors/journal/notices.py`), since each has a line to it.
"""

import asyncio
from collections import deque
from typing import assert_never

import msgspec
import structlog

from actors.fault import Fault, Tasks
from actors.journal.journal_store import JournalStore
from actors.journal.notices import Notices
from actors.journal.stretch import Stretch
from actors.journal.tail import Tail
from actors.lines import Line
from protocol.ids import POLICY
from protocol.journal import Committed
from protocol.links import (
    AnyLink,
    AnyToJournal,
    Append,
    ArchivedIs,
    FencesRaised,
    HeadIs,
    RaiseFences,
    ReadTail,
    Settled,
    TailIs,
    TrimTo,
)

_log = structlog.get_logger(__name__)

GROUP_UNITS_MAX = 4096
"""Units in one transaction: at 5-20 µs each it ends within a tenth of a second, which bounds everyone's wait."""

TRIM_POSITIONS = 10_000
"""Positions that one turn trims: it ends within a tenth of a second, and appends come in between."""


class Journal:
    """The actor around a journal store. `archive_lag_max` is in events; past it commits wait for the archive."""

    def __init__(self, store: JournalStore, *, archive_lag_max: int) -> None:
        self._store = store
        self._archive_lag_max = archive_lag_max
        self._waiting: deque[tuple[Line, RaiseFences | Append | TrimTo]] = deque()
        self._work = asyncio.Event()
        """Something has come, or may go on."""
        self._behind: int | None = None
        """The archive's position, where it lies before this life's start: the tail is to be counted from there."""
        self._archives: list[Line] = []
        self._told = 0
        """The head that the archive was told last."""
        self._notices = Notices()
        self._tail = Tail(0)
        self._reads = Tasks(self.broke)
        """Tails that are read from the file; bounded by the journeys that cells load."""
        self._draining = False
        self._fault = Fault()
        self.position = 0
        self.trimmed = 0
        """The last position that retention has dropped."""
        self.generation = ""
        self.commits = 0
        self.units = 0
        self._working = Stretch()
        self._committing = Stretch()
        self._held = Stretch()

    async def start(self) -> None:
        """Opens the store. Before it returns no line may be opened."""
        state = await self._store.open()
        self.position, self.generation = state.position, state.generation
        self.trimmed = await self._store.first_position() - 1
        self._tail = Tail(state.position)
        self._notices.recovered(await self._store.policies(), await self._store.unsettled())

    async def run(self) -> None:
        """Commits until cancelled or told to drain; raises what the store raises."""
        while True:
            await self._work.wait()
            self._work.clear()
            self._fault.check()
            if self._behind is not None:
                await self._count_again()
            while self._waiting and self._may_go_on():
                with self._working:
                    await self._turn()
                self._fault.check()
            if self._draining and not self._waiting:
                return

    def drain(self) -> None:
        """`run` returns once everything received is settled."""
        self._draining = True
        self._work.set()

    async def close(self) -> None:
        """Closes the store."""
        await self._store.close()

    def status(self) -> dict[str, int | str]:
        """Figures for operators."""
        return {
            "position": self.position,
            "generation": self.generation,
            "trimmed": self.trimmed,
            "archived": self._tail.archived,
            "archive_lag_events": self._tail.events,
            "commits": self.commits,
            "units": self.units,
            "policy": self._notices.version,
            "waiting": len(self._waiting),
            # What an operator asks of a journal that answers nobody: does the disk hang, or the archive?
            "turn_ms": self._working.so_far_ms,
            "last_commit_ms": self._committing.last_ms,
            "held_ms": self._held.so_far_ms,
        }

    # Lines

    def opened(self, line: Line, *, fresh: bool) -> None:
        """A cell is told the policy, before all else; an archive is told the head. What was asked on a former line is
        dropped: a peer that was not answered asks again, and so the queue stays bounded."""
        if fresh:
            self._waiting = deque(asked for asked in self._waiting if asked[0].peer != line.peer)
        if line.peer.startswith("archive"):
            self._archives = [*(each for each in self._archives if each.peer != line.peer), line]
            self._told = self.position
            line.send(HeadIs(self.position))
        elif line.peer.startswith("cell"):
            self._notices.opened(line)

    def closed(self, line: Line) -> None:
        """The line reconnects by itself."""
        self._notices.closed(line)

    def broke(self, exc: Exception) -> None:
        """`run` raises it."""
        self._fault.set(exc)
        self._work.set()

    def received(self, line: Line, message: AnyLink) -> None:
        """Queues what the store must do; answers what memory can."""
        assert isinstance(message, AnyToJournal), message
        match message:
            case Append() | RaiseFences():
                # Bounded by the cells: on its newest line each has one append and one question under way.
                self._waiting.append((line, message))
                self._work.set()
            case TrimTo():
                # Bounded by the archive, which says so once an hour.
                self._waiting.append((line, message))
                self._work.set()
            case ReadTail():
                self._read_tail(line, message)
            case ArchivedIs():
                self._archived_is(message.position)
            case _:
                assert_never(message)

    def _archived_is(self, position: int) -> None:
        if position < self._tail.first_known:
            # The archive is behind this life's start, and only the former life knew by how much.
            self._behind = position
        self._tail.archived_to(position)
        self._tell_head()
        self._work.set()

    def _tell_head(self) -> None:
        """Tells the archive the head, once it has reached the one that it was told before. That is once for each of its
        batches; once for each commit would wake it a thousand times a second."""
        if self.position > self._told and self._tail.archived_word >= self._told:
            self._told = self.position
            for archive in self._archives:
                archive.send(HeadIs(self.position))

    def _read_tail(self, line: Line, asked: ReadTail) -> None:
        """Answers from memory where there is nothing to read. Whoever asks is the customer's only writer and has
        nothing under way, so no unit can join these meanwhile; and whatever is archived meanwhile is only there
        twice."""
        archived, positions = self._tail.archived, self._tail.of(asked.customer)
        tail = TailIs(asked.ref, archived, [], self._notices.unsettled_of(asked.customer))
        if not positions:
            line.send(tail)
            return
        self._reads.begin(self._answer_tail(line, tail, positions))

    async def _answer_tail(self, line: Line, tail: TailIs, positions: list[int]) -> None:
        line.send(msgspec.structs.replace(tail, records=await self._store.records(positions)))

    # The worker's turns

    def _may_go_on(self) -> bool:
        """Whether the next turn may be taken. While the archive is too far behind only fences are raised: a cell that
        takes over must not wait for it."""
        if self._tail.events <= self._archive_lag_max:
            self._held.end()
            return True
        fences = next((asked for asked in self._waiting if isinstance(asked[1], RaiseFences)), None)
        if fences is None:
            self._held.begin()
            return False
        self._waiting.remove(fences)
        self._waiting.appendleft(fences)
        return True

    async def _count_again(self) -> None:
        """Counts the tail from the archive's position on. Until then the archive was assumed to have everything, and a
        load waited until it had."""
        assert self._behind is not None
        # The archive has all that was trimmed, whatever position it said last.
        after = max(self._behind, self.trimmed)
        tail = Tail(after)
        for position, (customer, events) in enumerate(await self._store.whose_after(after), start=after + 1):
            tail.add(position, customer, events)
        self._behind = None
        # Nothing was committed meanwhile, but the archive may have come nearer.
        tail.archived_to(self._tail.archived_word)
        self._tail = tail

    async def _turn(self) -> None:
        line, message = self._waiting[0]
        if isinstance(message, RaiseFences):
            self._waiting.popleft()
            fences = await self._store.raise_fences(message.scopes, message.over, message.void)
            line.send(FencesRaised(message.ref, fences, self.position, self.generation))
        elif isinstance(message, TrimTo):
            self._waiting.popleft()
            await self._trim(line, message)
        else:
            await self._commit(self._gather())

    async def _trim(self, line: Line, message: TrimTo) -> None:
        """Drops a step of what the archive has on disk; the rest queues up behind what came meanwhile."""
        target = min(message.position, self._tail.archived)
        through = min(target, self.trimmed + TRIM_POSITIONS)
        # A stop does not wait for this: the archive asks for it again after the next start.
        if through <= self.trimmed or self._draining:
            return
        dropped = await self._store.trim(through)
        self.trimmed = through
        _log.info("journal.trimmed", through=through, units=dropped)
        if through < target:
            self._waiting.append((line, message))

    def _gather(self) -> list[tuple[Line, Append]]:
        """Takes the appends at the front of the queue, up to a group."""
        group: list[tuple[Line, Append]] = []
        units = 0
        while self._waiting and units < GROUP_UNITS_MAX:
            line, message = self._waiting[0]
            if not isinstance(message, Append):
                break  # Fences and trims keep their place between appends.
            self._waiting.popleft()
            group.append((line, message))
            units += len(message.units)
        return group

    async def _commit(self, group: list[tuple[Line, Append]]) -> None:
        units = [unit for _, append in group for unit in append.units]
        with self._committing:
            verdicts = await self._store.commit(units)
        for unit, verdict in zip(units, verdicts, strict=True):
            # A resent unit's answer names no position of its own: the unit is in the tail already, or archived.
            if isinstance(verdict, Committed) and verdict.position > self.position:
                self.position = verdict.position
                self._tail.add(verdict.position, unit.customer, unit.entries)
                if unit.customer == POLICY or unit.family:
                    self._notices.committed(verdict.position, unit)
        self.commits += 1
        self.units += len(units)
        start = 0
        for line, append in group:
            line.send(Settled(append.ref, verdicts[start : start + len(append.units)]))
            start += len(append.units)
        self._tell_head()
