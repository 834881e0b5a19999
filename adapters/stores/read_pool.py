"""A pool of readers: several connections to one file, for whoever asks, each for so long.

    who asks ─▶ their lane, one read at a time ─▶ a free connection ─▶ the read, cut off when its time is over

A lane holds one connection at most, and connections go to the lanes in the order in which they came: whoever asks for
much, or for something dear, waits behind their own reads, and others behind one read of theirs. What the server asks
for itself has a lane as well, and all the time it takes.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from msgspec import Struct

from adapters.stores.connection import Connection, Reader, open_reader
from adapters.stores.errors import ReadCutOff, ReadsWait

P = ParamSpec("P")
R = TypeVar("R")

AGAIN_S = 0.05
"""Between two interrupts of a read that goes on."""
THE_SERVER = ""
"""Who asks where nobody else does."""


class Sharing(Struct, frozen=True, kw_only=True):
    """How readers share a file."""

    connections: int = 1
    within_s: float | None = None
    """For one read, and for the wait until it begins; None: all the time it takes."""
    asker: Callable[[], str] = lambda: THE_SERVER
    """Says whose the read is that is asked for now."""


ALONE = Sharing()
"""One connection, for the server itself."""


class _Lane:
    """The reads of one asker: under way, and waiting."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.reads = 0


class ReadPool:
    """Readers of one file."""

    def __init__(self, path: Path, check: Callable[[sqlite3.Connection], None], sharing: Sharing) -> None:
        self._path = path
        self._check = check
        self._sharing = sharing
        self._connections: list[Connection] = []
        self._free: asyncio.Queue[Connection] = asyncio.Queue()
        self._lanes: dict[str, _Lane] = {}

    async def open(self) -> None:
        """Raises `StoreFailed` where the file is not there, and what `check` of it raises."""
        try:
            while len(self._connections) < self._sharing.connections:
                connection = await open_reader(self._path, self._check)
                self._connections.append(connection)
                self._free.put_nowait(connection)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Lets what is under way end, and gives the connections back."""
        while self._connections:
            await self._connections.pop().close()

    async def run(self, step: Callable[Concatenate[sqlite3.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs the read when it is its asker's turn. Raises `StoreFailed`; `ReadsWait` where it was not in time,
        `ReadCutOff` where the read took too long."""
        asker = self._sharing.asker()
        within_s = None if asker == THE_SERVER else self._sharing.within_s
        lane = self._lanes.setdefault(asker, _Lane())
        lane.reads += 1
        try:
            async with asyncio.timeout(within_s) as waiting, lane.turn:
                connection = await self._free.get()
                waiting.reschedule(None)
                try:
                    return await _in_time(within_s, connection, step, *args, **kwargs)
                finally:
                    self._free.put_nowait(connection)
        except TimeoutError as exc:
            raise ReadsWait(f"{self._path.name}: {lane.reads - 1} reads of the same asker, and others', wait") from exc
        finally:
            lane.reads -= 1
            if not lane.reads:
                del self._lanes[asker]


class _End:
    """Of a read. It comes again and again until the read has ended: a statement that was about to begin is interrupted
    by none that came before."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._next: asyncio.TimerHandle | None = None

    def comes(self, in_s: float) -> None:
        """Unless it is past before."""
        self.is_past()
        self._next = asyncio.get_running_loop().call_later(in_s, self.come)

    def come(self) -> None:
        """Cuts the read off."""
        self._reader.cut_off()
        self.comes(AGAIN_S)

    def is_past(self) -> None:
        """The read has ended."""
        if self._next is not None:
            self._next.cancel()


async def _in_time(
    within_s: float | None,
    connection: Connection,
    step: Callable[Concatenate[sqlite3.Connection, P], R],
    *args: P.args,
    **kwargs: P.kwargs,
) -> R:
    reader = connection.reader
    reader.is_over = False
    end = _End(reader)
    if within_s is not None:
        end.comes(within_s)
    try:
        return await connection.run(_ended, step, *args, **kwargs)
    except ReadCutOff as exc:
        raise ReadCutOff(f"{exc} after {within_s:g} s", within_s=within_s) from exc
    except asyncio.CancelledError:
        # Its thread goes on without its caller, and takes up the next step when it is done.
        end.come()
        await connection.run(_nothing)
        raise
    finally:
        end.is_past()


def _ended(
    db: sqlite3.Connection, step: Callable[Concatenate[sqlite3.Connection, P], R], /, *args: P.args, **kwargs: P.kwargs
) -> R:
    assert isinstance(db, Reader)
    try:
        return step(db, *args, **kwargs)
    finally:
        if db.is_over:
            db.rollback()


def _nothing(_: sqlite3.Connection) -> None:
    pass
