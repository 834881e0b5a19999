"""Backfill: the older part of a long absence, read from the archive.

A live conversation has its newest events at hand. Whoever was away for longer gets those before them from the archive,
in the same `update` frames, and then goes on with the cell: an agent's stream stays a gap-free prefix.
"""

import asyncio
from collections.abc import Callable

import msgspec
import structlog
from msgspec import Raw

from actors.fault import Tasks
from orchestrator.gateway.peers import Archive
from orchestrator.gateway.reads.sharing import for_the_server
from protocol.events import AnyEvent

EVENTS_MAX = 1000
"""A longer absence is answered by a snapshot; what lies between is read over HTTP by whoever needs it."""
BYTES_MAX = 256 * 1024
"""Bytes of one read, which becomes one frame; what is left is read next."""
TRIES = 100
PAUSE_S = 0.04
"""The archive may not have the events yet. Under full load it is about two seconds behind, so it is given four."""

_log = structlog.get_logger(__name__)

Done = Callable[[list[Raw]], None]

_from_json = msgspec.json.Decoder(AnyEvent).decode
_encode = msgspec.msgpack.Encoder().encode


class Backfill:
    """Reads for the hub. Each `read` ends in one call of its `done`, with the events found, perhaps none. `broke` hears
    what `done` raises."""

    def __init__(self, archive: Archive, broke: Callable[[Exception], None]) -> None:
        self._archive = archive
        self._tasks = Tasks(broke)

    def read(self, conversation: str, after: int, done: Done) -> None:
        """Reads the conversation's next events after the seq `after`, at most `EVENTS_MAX`, as their bytes."""
        self._tasks.begin(self._read(conversation, after, done))

    async def _read(self, conversation: str, after: int, done: Done) -> None:
        for_the_server()
        events: list[Raw] = []
        try:
            for _ in range(TRIES):
                stored = await self._archive.events_of_stream(conversation, after, EVENTS_MAX)
                # Retention may have taken the middle out: only what follows without a gap is a suffix.
                unbroken = [event for n, event in enumerate(stored) if event.seq == after + 1 + n]
                events = _first(BYTES_MAX, [event.body for event in unbroken])
                if stored:
                    break
                await asyncio.sleep(PAUSE_S)
        except Exception as exc:  # noqa: BLE001 - whatever the store's fault is, the stream that waits gets a snapshot
            _log.error("backfill.failed", conversation=conversation, error=type(exc).__name__)
        done(events)


def _first(bytes_max: int, bodies: list[bytes]) -> list[Raw]:
    """The bodies up to so many bytes, and one in any case, as clients get them."""
    events: list[Raw] = []
    for body in bodies:
        bytes_max -= len(body)
        if bytes_max < 0 and events:
            break
        events.append(Raw(_encode(_from_json(body))))
    return events
