"""The journal: takes commit units from cells, commits what has gathered in one synced transaction, and says so.

    received → queue → group → store.commit → verdicts, tail, the archive is told the head

Fences, once-only batches and unique identities are checked by the store inside the transaction. The journal knows which
units the archive may not have yet (`actors/tail.py`), so that a journey can be loaded at any moment.

On an error of the store `run` raises and the process ends: it comes back by recovery, and cells send what was
unanswered again (`Fence.batch` tells the store what it had settled).

It is also who tells the policy: every cell has a line to it and begins with what it says. A unit of the customer
`policy` is the only one that it reads. And it tells cells of merges, which are taken in by another cell than gave.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Protocol, assert_never

import msgspec
import structlog

from actors.fault import Fault
from actors.lines import Line
from actors.stretch import Stretch
from actors.tail import Tail
from protocol.events import AnyEvent, PolicyApplied
from protocol.ids import POLICY
from protocol.journal import ADOPT, GIVE, POLICIES_KEPT, RELEASE, Committed, Fence, Record, Unit, Unsettled, Verdict
from protocol.links import (
    AnyLink,
    AnyToJournal,
    Append,
    ArchivedIs,
    FamiliesAre,
    FencesRaised,
    HeadIs,
    PoliciesAre,
    RaiseFences,
    ReadTail,
    Settled,
    TailIs,
    TrimTo,
)

_log = structlog.get_logger(__name__)

GROUP_UNITS_MAX = 4096
"""Units in one transaction: at 5-20 µs each it ends within a tenth of a second, which bounds everyone's wait."""


_applied = msgspec.msgpack.Decoder(list[tuple[str, int, AnyEvent]]).decode

TRIM_POSITIONS = 10_000
"""Positions that one turn trims: it ends within a tenth of a second, and appends come in between."""


class JournalState(Protocol):
    """What a store says of itself when opened."""

    @property
    def generation(self) -> str:
        """Names the life of the journal's positions."""
        ...

    @property
    def position(self) -> int:
        """The newest committed position."""
        ...


class JournalStore(Protocol):
    """The one writer of the journal's file."""

    async def open(self) -> JournalState:
        """Locks and opens it."""
        ...

    async def raise_fences(self, scopes: Sequence[str], over: Sequence[Fence], void: str) -> list[Fence]:
        """Raises each scope's epoch, durably, and forgets the fences that are `over` and those of scopes that begin
        with `void`."""
        ...

    async def commit(self, units: Sequence[Unit]) -> list[Verdict]:
        """Checks and commits in one transaction; synced when it returns."""
        ...

    async def first_position(self) -> int:
        """The oldest position that is still kept."""
        ...

    async def records(self, positions: Sequence[int]) -> list[Record]:
        """The units at these positions, in their order; those that were trimmed are left out."""
        ...

    async def whose_after(self, position: int) -> list[tuple[str, int]]:
        """The customer and the count of events of each unit after the position, in order."""
        ...

    async def policies(self) -> list[bytes]:
        """The bodies of the newest units of the customer `policy`, in order; they are kept whatever is trimmed."""
        ...

    async def unsettled(self) -> list[Unsettled]:
        """What customers have to take in of merges, in the order in which it happened."""
        ...

    async def erase(self, customer: str, redacted: Sequence[Record]) -> None:
        """Replaces these units' bodies and frees the customer's identities, in one transaction."""
        ...

    async def trim(self, through: int) -> int:
        """Drops units at or below `through`; returns how many."""
        ...

    async def close(self) -> None:
        """Closes and unlocks it."""
        ...


class Journal:
    """The actor around a journal store. `archive_lag_max` is in events; past it commits wait for the archive."""

    def __init__(self, store: JournalStore, *, archive_lag_max: int) -> None:
        self._store = store
        self._archive_lag_max = archive_lag_max
        self._waiting: deque[tuple[Line, RaiseFences | Append | TrimTo]] = deque()
        self._work = asyncio.Event()
        """Something has come, or may go on."""
        self._behind: int | None = None
        """Where a former life's archive still was when it said so: the tail is to be counted from there."""
        self._archives: list[Line] = []
        self._told = 0
        """The head that the archive was told last."""
        self._cells: dict[str, Line] = {}
        """Those that can be reached now, by name."""
        self._policies: list[tuple[int, bytes]] = []
        """The newest versions of the policy, `POLICIES_KEPT` of them at most, in order."""
        self._unsettled: list[Unsettled] = []
        """What customers have to take in of merges: those under way."""
        self._tail = Tail(0)
        self._reads: set[asyncio.Task[None]] = set()
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
        self._policies = _versions(await self._store.policies())
        self._unsettled = await self._store.unsettled()

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
            "policy": self._policies[-1][0] if self._policies else 1,
            "waiting": len(self._waiting),
            # What an operator asks of a journal that answers nobody: does the disk hang, or the archive?
            "turn_ms": self._working.so_far_ms,
            "last_commit_ms": self._committing.last_ms,
            "held_ms": self._held.so_far_ms,
        }

    # Lines

    def opened(self, line: Line, *, fresh: bool) -> None:
        """A cell is told the policy, before all else; an archive is told the head. What a former life of the peer asked
        for, or this one on a former line, is dropped: who was not answered asks again, and the queue stays bounded."""
        if fresh:
            self._waiting = deque(asked for asked in self._waiting if asked[0].peer != line.peer)
        if line.peer.startswith("archive"):
            self._archives = [*(each for each in self._archives if each.peer != line.peer), line]
            self._told = self.position
            line.send(HeadIs(self.position))
        elif line.peer.startswith("cell"):
            self._cells[line.peer] = line
            # Also after a reconnect: what was applied meanwhile was not sent.
            line.send(PoliciesAre(self._policies))
            if self._unsettled:
                line.send(FamiliesAre(self._unsettled))

    def closed(self, line: Line) -> None:
        """The line reconnects by itself. A cell is told then what it missed, should it come back."""
        if self._cells.get(line.peer) is line:
            del self._cells[line.peer]

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
            # This life took over from one that knew how far the archive was behind.
            self._behind = position
        self._tail.archived_to(position)
        self._tell_head()
        self._work.set()

    def _tell_policy(self, applied: list[tuple[int, bytes]]) -> None:
        """Tells every cell, ahead of the answer to who applied it."""
        self._policies = [*self._policies, *applied][-POLICIES_KEPT:]
        for line in self._cells.values():
            line.send(PoliciesAre(applied))

    def _tell_families(self, position: int, unit: Unit) -> None:
        """Tells every cell of a step that another has to take in. A customer's cell has it read with its tail, too."""
        for step in unit.family:
            if step.step in (GIVE, RELEASE):
                who, other = (step.other, step.customer) if step.step == GIVE else (step.customer, step.other)
                told = Unsettled(who, other, step.turn, position)
                self._unsettled = [*self._unsettled, told]
                for line in self._cells.values():
                    line.send(FamiliesAre([told]))
            else:
                who, other = (step.other, step.customer) if step.step == ADOPT else (step.customer, step.other)
                self._unsettled = [each for each in self._unsettled if (each.customer, each.other) != (who, other)]

    def _tell_head(self) -> None:
        """Tells the archive the head, once it has come to the one it was told before: a word for each of its batches
        and not for each commit, which would wake it a thousand times a second."""
        if self.position > self._told and self._tail.archived_word >= self._told:
            self._told = self.position
            for archive in self._archives:
                archive.send(HeadIs(self.position))

    def _read_tail(self, line: Line, asked: ReadTail) -> None:
        """Answers from memory where there is nothing to read. Who asks is the customer's only writer and has nothing
        under way, so no unit can join these meanwhile; and whatever is archived meanwhile is only there twice."""
        archived, positions = self._tail.archived, self._tail.of(asked.customer)
        unsettled = [each for each in self._unsettled if each.customer == asked.customer] if self._unsettled else []
        tail = TailIs(asked.ref, archived, [], unsettled)
        if not positions:
            line.send(tail)
            return
        task = asyncio.get_running_loop().create_task(self._answer_tail(line, tail, positions))
        self._reads.add(task)
        task.add_done_callback(self._tail_read)

    async def _answer_tail(self, line: Line, tail: TailIs, positions: list[int]) -> None:
        line.send(msgspec.structs.replace(tail, records=await self._store.records(positions)))

    def _tail_read(self, task: asyncio.Task[None]) -> None:
        self._reads.discard(task)
        if not task.cancelled() and isinstance(exc := task.exception(), Exception):
            self.broke(exc)

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
        """Counts the tail from where the archive is. Until then it was taken for level: loads waited for all of it."""
        assert self._behind is not None
        # What was trimmed the archive has, whatever it said last.
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
        # A stop does not wait for it: the archive says it again after the next start.
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
                if unit.customer == POLICY:
                    self._tell_policy(_versions([unit.body]))
                if unit.family:
                    self._tell_families(verdict.position, unit)
        self.commits += 1
        self.units += len(units)
        start = 0
        for line, append in group:
            line.send(Settled(append.ref, verdicts[start : start + len(append.units)]))
            start += len(append.units)
        self._tell_head()


def _versions(bodies: Sequence[bytes]) -> list[tuple[int, bytes]]:
    """The policy versions that these units of the customer `policy` brought."""
    events = [event for body in bodies for _, _, event in _applied(body)]
    return [(event.version, event.body) for event in events if isinstance(event, PolicyApplied)][-POLICIES_KEPT:]
