"""Acked is durable: the system calls of journal and gateway show the sync between an event's write and its ack.

A kill cannot show it: what a killed process has written is in the kernel's cache and survives. So strace watches, for
each event:

    journal   pwrite64  the event, into journal.sqlite-wal
    journal   fdatasync journal.sqlite-wal                      done
    journal   write     the verdict, to the cell's pipe         begun after that
    gateway   write     the ack, to the client's socket         begun after that
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from orchestrator.client import GatewayClient
from tests.live_server import LiveServer
from tests.people import Customer
from tests.system_calls import SYNCS, WRITES, Call, Watching, read

EVENTS = 10
DEADLINE_S = 60.0
WAL = "/journal.sqlite-wal>"
PIPE = '/journal.sock"]>'


class Commit(NamedTuple):
    """What became of one event."""

    synced: bool
    """Whether all that its commit wrote was synced before the verdict left the journal."""
    acked_after: bool
    """Whether the ack left the gateway after the verdict left the journal."""


def commit_of(event: str, calls: Sequence[Call]) -> Commit:
    """How the event with this id was committed. Events have gone one at a time: the first verdict is its own."""
    writes = [call for call in calls if call.name in WRITES]
    wrote = next(call for call in writes if WAL in call.asked and event in call.asked)
    verdict = next(call for call in writes if PIPE in call.asked and call.begun > wrote.begun)
    ack = next(call for call in writes if "TCP" in call.asked and event in call.asked and "committed" in call.asked)
    last = max(_end(call) for call in writes if WAL in call.asked and wrote.begun <= call.begun < verdict.begun)
    syncs = [call for call in calls if call.name in SYNCS and WAL in call.asked]
    return Commit(
        synced=any(last < call.begun and _end(call) < verdict.begun for call in syncs),
        acked_after=verdict.begun < ack.begun,
    )


def _end(call: Call) -> float:
    return float("inf") if call.ended is None else call.ended


async def watched(server: LiveServer, file: Path) -> list[Commit]:
    """Sends events one at a time, each from somebody new, under the eyes of strace."""
    ids: list[str] = []
    with Watching([server.pids["journal"], server.pids["gateway"]], file) as watching:
        async with asyncio.timeout(DEADLINE_S), GatewayClient(server.url, server.gateway_token) as gateway:
            for number in range(EVENTS):
                event = Customer().chat(f"number {number}")
                assert await gateway.send(event) == "committed"
                ids.append(event.id)
    return [commit_of(id, watching.calls) for id in ids]


@pytest.mark.slow
async def test_an_ack_leaves_after_the_sync(server: LiveServer, tmp_path: Path) -> None:
    """Every event is on disk before anybody is told that it is."""
    assert await watched(server, tmp_path / "calls") == [Commit(synced=True, acked_after=True)] * EVENTS


@pytest.mark.slow
async def test_the_weaker_mode_does_not_sync(tmp_path: Path) -> None:
    """`durability = "process"` says so and does so; and the test above would see it."""
    server = LiveServer(tmp_path, durability="process")
    server.start()
    try:
        assert await watched(server, tmp_path / "calls") == [Commit(synced=False, acked_after=True)] * EVENTS
    finally:
        assert server.stop() == 0


WROTE = '1 1.0 pwrite64(5</d/journal.sqlite-wal>, "…e1…", 4096, 0) = 4096'
SYNCED = "1 1.1 fdatasync(5</d/journal.sqlite-wal>) = 0"
SYNCING = "1 1.1 fdatasync(5</d/journal.sqlite-wal> <unfinished ...>"
DONE = "1 1.3 <... fdatasync resumed>) = 0"
OTHER = "1 1.1 fdatasync(6</d/archive.sqlite-wal>) = 0"
TOLD = '2 1.2 write(6<UNIX-STREAM:[1->2,"/r/journal.sock"]>, "…", 38) = 38'
ACKED = '3 1.4 write(7<TCP:[127.0.0.1:1->127.0.0.1:2]>, "…e1…committed", 66) = 66'


@pytest.mark.parametrize(
    ("trace", "commit"),
    [
        ([WROTE, SYNCED, TOLD, ACKED], (True, True)),
        ([WROTE, SYNCING, DONE, TOLD, ACKED], (True, True)),
        ([WROTE, SYNCING, TOLD, DONE, ACKED], (False, True)),
        ([WROTE, TOLD, SYNCED, ACKED], (False, True)),
        ([SYNCED, WROTE, TOLD, ACKED], (False, True)),
        ([WROTE, SYNCED, WROTE, TOLD, ACKED], (False, True)),
        ([WROTE, OTHER, TOLD, ACKED], (False, True)),
        ([WROTE, SYNCED, ACKED, TOLD], (True, False)),
    ],
)
def test_a_wrong_order_is_seen(trace: list[str], commit: tuple[bool, bool]) -> None:
    """A sync that is late, early, not of everything, of another file, or not done; an ack before the verdict."""
    assert commit_of("e1", read(trace)) == commit
