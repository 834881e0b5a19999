"""The usher: in dedicated placement, decides which customer sits in which seat, and wakes those with something due.

    gateway, channel host ── Locate ──▶ usher ── Take ──▶ seat ── Sitting ──▶ usher ── SeatIs ──▶ all

Its knowledge is soft: a new life hears it again from the seats, and the journal's fences decide which seat writes. Once
a customer sits, its events do not pass by the usher.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import assert_never

from actors.cells.alarms import DUE_MAX, HORIZON_MS, REFRESH_MS, Alarms
from actors.cells.loading import ArchiveReader
from actors.fault import Fault
from actors.lines import Line
from actors.seats.seating import Effect, Seating, ToFronts, ToSeat, Wanted
from actors.way_out.untaken import READ_MAX, Untaken
from protocol.links import AnyLink, Left, Locate, SeatsAre, Sitting, TakersAre, Touched
from protocol.shards import SHARDS

HEARING_S = 0.5
"""How long a new life listens before it seats anyone: seats that exist reach it within a redial or two."""
TICK_S = 0.25
"""How often time is looked at, as in a cell."""


class Usher:
    """The actor. `archive` has the timers of customers that do not sit."""

    def __init__(self, seating: Seating, archive: ArchiveReader, *, now_ms: Callable[[], int]) -> None:
        self._seating = seating
        self._archive = archive
        self._now_ms = now_ms
        self._seats: dict[int, Line] = {}
        self._fronts: dict[str, Line] = {}
        self._behind: set[str] = set()
        """Fronts whose line was full when they should have been told: they are told everything when it has room."""
        self._alarms = Alarms()
        self._untaken = Untaken()
        """Customers that wait for someone to take what they have to send, as the archive has them."""
        self._untaken_to: int | None = None
        """How far the archive must be when they are read; None when that was done since takers last changed."""
        self._refresh_at_ms = 0
        self._needed = 0
        """The position from which on the archive has every timer that customers left behind as they left their
        seats."""
        self._refreshed = -1
        self._hearing = True
        self._wanted = Wanted([], [])
        self._changed = asyncio.Event()
        self._changes = 0
        self._fault = Fault()

    # Life

    async def run(self) -> None:
        """Listens for a moment, then seats whom it is asked for and looks at the time, until cancelled."""
        await self._pause(HEARING_S)
        self._hearing = False
        self._carry_out(self._seating.open(self._now_ms()))
        for line in self._fronts.values():
            line.send(self._everything())
        while True:
            await self._refresh(self._now_ms())
            self.tick(self._now_ms())
            await self._pause(TICK_S)

    def tick(self, now_ms: int) -> None:
        """Does what time asks for."""
        for customer in (*self._alarms.due(now_ms), *self._untaken.to_look_at(_not_counted)):
            self._carry_out(self._seating.due(customer, now_ms))
        self._carry_out(self._seating.look(now_ms))
        self._seating.retire(now_ms)
        for peer in [peer for peer in self._behind if not self._fronts[peer].full]:
            self._behind.discard(peer)
            self._fronts[peer].send(self._everything())
        self._look_at_wanted()

    async def wanted(self, known: int) -> tuple[int, Wanted]:
        """Waits until which seats there should be has changed since the number `known`; returns the new number, and
        which. Ask with 0 first."""
        while self._changes == known:
            self._changed.clear()
            await self._changed.wait()
        return self._changes, self._wanted

    def status(self) -> dict[str, int]:
        """Figures for operators."""
        return {**self._seating.figures(), "fronts": len(self._fronts), "alarms": len(self._alarms)}

    # Lines

    def opened(self, line: Line, *, fresh: bool) -> None:
        """A seat says who it is by its first word; a gateway or channel host that is new is told everything."""
        kind, _, number = line.peer.partition(":")
        match kind:
            case "cell":
                if fresh:
                    self._lose(int(number))
                self._seats[int(number)] = line
            case "archive":
                pass  # Its file is read; the line only shows that it was there once.
            case _:
                self._fronts[line.peer] = line
                self._behind.discard(line.peer)
                if fresh:
                    self._untaken.takers_are(line.peer, [])
                if fresh and not self._hearing:
                    line.send(self._everything())

    def closed(self, line: Line) -> None:
        """A seat that cannot be reached counts as gone: another one serves its customer sooner than it comes back."""
        index = _seat(line)
        if index is not None:
            self._lose(index)

    def broke(self, exc: Exception) -> None:
        """`run` raises it."""
        self._fault.set(exc)

    def received(self, line: Line, message: AnyLink) -> None:
        """One message of a seat, a gateway or a channel host."""
        now_ms = self._now_ms()
        match message:
            case Locate():
                answer, effects = self._seating.locate(message.customer, message.denied, now_ms)
                if answer is not None:
                    line.send(answer)
                self._carry_out(effects)
            case Sitting():
                self._needed = max(self._needed, message.position)
                self._carry_out(self._seating.sits(message.seat, message.customer, now_ms, sitting=message.sitting))
            case Left():
                # Without one an older alarm stays: the customer may have left unread. It rings in vain at the worst.
                if message.due_ms is not None:
                    self._alarms.set(message.customer, message.due_ms, now_ms)
                self._carry_out(self._seating.left(_index(line), message.customer, now_ms))
            case TakersAre():
                self._untaken.takers_are(line.peer, message.accounts)
                self._untaken_to, self._refresh_at_ms = self._needed, 0
            case Touched():
                self._seating.touched(_index(line), now_ms)
            case _:
                raise AssertionError(f"an usher is not sent {type(message).__name__}")

    def _lose(self, index: int) -> None:
        if self._seats.pop(index, None) is not None:
            self._carry_out(self._seating.gone(index, self._now_ms()))

    # Telling

    def _carry_out(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case ToSeat():
                    self._seats[effect.seat].send(effect.message)
                case ToFronts():
                    for peer, line in self._fronts.items():
                        self._tell(peer, line, effect)
                case _:
                    assert_never(effect)
        self._look_at_wanted()

    def _tell(self, peer: str, line: Line, effect: ToFronts) -> None:
        if self._hearing:
            return  # It will be told everything.
        if line.full:
            self._behind.add(peer)
        elif peer not in self._behind:
            line.send(effect.message)

    def _everything(self) -> SeatsAre:
        return SeatsAre(self._seating.seats())

    def _look_at_wanted(self) -> None:
        wanted = self._seating.wanted()
        if wanted != self._wanted:
            self._wanted = wanted
            self._changes += 1
            self._changed.set()

    # Time

    async def _refresh(self, now_ms: int) -> None:
        """Reads the timers that are near: every half hour, and once the archive has what a seat's word says that it
        must have. Of those who sit, too: their seats keep no alarm further off."""
        if now_ms < self._refresh_at_ms and self._needed <= self._refreshed:
            return
        position = await self._archive.position()
        if now_ms < self._refresh_at_ms and position < self._needed:
            return
        due = await self._archive.due(list(range(SHARDS)), now_ms + HORIZON_MS, DUE_MAX)
        self._refreshed = position
        self._refresh_at_ms = now_ms + (REFRESH_MS if len(due) < DUE_MAX else REFRESH_MS // 30)
        for each in due:
            self._alarms.set(each.customer, each.due_ms, now_ms)
        if self._untaken_to is not None and self._untaken.taken:
            # Not at each refresh: who was looked at stands in the archive until that has caught up.
            if position >= self._untaken_to:
                self._untaken_to = None
            for customer, account in await self._archive.untaken(list(range(SHARDS)), READ_MAX):
                self._untaken.waits(customer, [account])

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._fault.raised()


def _not_counted(account: str) -> int:
    """How many of an account's attempts are under way is not known here: as many as there are seats, at the most."""
    return 0


def _seat(line: Line) -> int | None:
    """The seat at the line's other end; None for a gateway or channel host."""
    kind, _, number = line.peer.partition(":")
    return int(number) if kind == "cell" else None


def _index(line: Line) -> int:
    index = _seat(line)
    assert index is not None, line.peer
    return index
