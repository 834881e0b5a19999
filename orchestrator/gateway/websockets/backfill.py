"""Backfill: the older part of a long absence, read from the archive.

A live conversation has its newest events at hand. Whoever was away for longer gets those before them from the archive,
in the same `update` frames, and then goes on with the cell: an agent's stream stays a gap-free prefix.

The agents are read for in turn (`turns.py`): one who comes back to thousands of conversations delays each of the others
by one read at a time.
"""

import asyncio
from collections.abc import Callable, Collection

import msgspec
import structlog
from msgspec import Raw, Struct

from actors.fault import Tasks, guarded
from orchestrator.gateway.peers import Archive
from orchestrator.gateway.reads.sharing import for_the_server
from orchestrator.gateway.websockets.turns import Turns
from protocol.events import AnyEvent

EVENTS_MAX = 1000
"""A longer absence is answered by a snapshot; what lies between is read over HTTP by whoever needs it."""
BYTES_MAX = 256 * 1024
"""Bytes of one read, which becomes one frame; what is left is read next."""
WITHIN_S = 4.0
"""The archive may not have the events yet. Under full load it is about two seconds behind, so it is given four from its
first answer on. What retention took it will never have, so this is a time and no number of tries: in a long line each
takes its turn."""
PAUSE_S = 0.04
"""Before it is asked once more."""
_NOBODY = ""
"""Whose turn it is where all are gone; it costs no read."""

_log = structlog.get_logger(__name__)

Done = Callable[[list[Raw]], None]
Askers = Callable[[], Collection[str]]
"""Who waits for it by now: empty where all of them are gone."""

_from_json = msgspec.json.Decoder(AnyEvent).decode
_encode = msgspec.msgpack.Encoder().encode


class _Read(Struct):
    """One that waits for its turn."""

    conversation: str
    after: int
    askers: Askers
    done: Done
    until_s: float | None = None
    """When it is not tried any more; None before the first try."""


class Backfill:
    """Reads for the hub, one at a time. Each `read` ends in one call of its `done`, with the events found, perhaps
    none. `broke` hears what `done` raises."""

    def __init__(self, archive: Archive, broke: Callable[[Exception], None]) -> None:
        self._archive = archive
        self._broke = broke
        self._tasks = Tasks(broke)
        self._turns = Turns[_Read]()
        self._is_reading = False

    def read(self, conversation: str, after: int, askers: Askers, done: Done) -> None:
        """Reads the conversation's next events after the seq `after`, at most `EVENTS_MAX`, as their bytes, when it is
        the turn of one of `askers`. Of one that nobody waits for any more there are none."""
        self._wait(_Read(conversation, after, askers, done))

    def _wait(self, read: _Read) -> None:
        self._turns.add(read.askers() or [_NOBODY], read)
        if not self._is_reading:
            self._is_reading = True
            self._tasks.begin(self._read_all())

    async def _read_all(self) -> None:
        for_the_server()
        while (read := self._turns.take()) is not None:
            events = await self._events(read) if read.askers() else []
            if events is None:
                asyncio.get_running_loop().call_later(PAUSE_S, guarded, self._broke, self._wait, read)
            else:
                guarded(self._broke, read.done, events)
        self._is_reading = False

    async def _events(self, read: _Read) -> list[Raw] | None:
        """What there is for it; None where it has to try again."""
        try:
            stored = await self._archive.events_of_stream(read.conversation, read.after, EVENTS_MAX)
            if not stored:
                now_s = asyncio.get_running_loop().time()
                if read.until_s is None:
                    read.until_s = now_s + WITHIN_S
                return None if now_s < read.until_s else []
            # Retention may have taken the middle out: only what follows without a gap is a suffix.
            unbroken = [event for n, event in enumerate(stored) if event.seq == read.after + 1 + n]
            return _first(BYTES_MAX, [event.body for event in unbroken])
        except Exception as exc:  # noqa: BLE001 - whatever the store's fault is, the stream that waits gets a snapshot
            _log.error("backfill.failed", conversation=read.conversation, error=type(exc).__name__)
            return []


def _first(bytes_max: int, bodies: list[bytes]) -> list[Raw]:
    """The bodies up to so many bytes, and one in any case, as clients get them."""
    events: list[Raw] = []
    for body in bodies:
        bytes_max -= len(body)
        if bytes_max < 0 and events:
            break
        events.append(Raw(_encode(_from_json(body))))
    return events
