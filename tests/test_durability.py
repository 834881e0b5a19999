"""Acked is durable: the system calls of journal and gateway show the sync between an event's write and its ack.

A kill cannot show it: what a killed process has written is in the kernel's cache and survives. So strace watches, for
each event:

    journal   pwrite64  the event, into journal.sqlite-wal
    journal   fdatasync journal.sqlite-wal                      done
    journal   write     the verdict, to the cell's pipe         begun after that
    gateway   write     the ack, to the client's socket         begun after that

Under load many events share a commit, commits follow each other closely, and now and then one pays for a checkpoint:
what the WAL holds is copied into the file, and the WAL begins anew at its first byte, over what was acked. So there:

    journal   fdatasync journal.sqlite-wal                      done before the first page is copied
    journal   pwrite64  pages, into journal.sqlite
    journal   fdatasync journal.sqlite                          done
    journal   pwrite64  journal.sqlite-wal, at its first byte   begun after that
"""

import asyncio
import re
from collections.abc import Callable, Collection, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pytest
from msgspec.structs import replace

from orchestrator.client import GatewayClient
from tests.faults.victim import Victim
from tests.live_server import LiveServer
from tests.people import Customer
from tests.system_calls import SYNCS, WRITES, Call, Watching, read

EVENTS = 10
DEADLINE_S = 60.0
WAL = "/journal.sqlite-wal>"
FILE = "/journal.sqlite>"
PIPE = '/journal.sock"]>'
SETTLED = r"\2233"
"""How a verdict begins, as strace writes it: an array of three, and the tag of `protocol.links.Settled`. What else the
journal tells its cells while an event is under way is none."""
OFFSET = re.compile(r", (\d+)(?:\) += \d+.*| <unfinished \.\.\.>)$")
"""The last argument of a `pwrite64`."""


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
    verdict = next(call for call in writes if PIPE in call.asked and SETTLED in call.asked and call.begun > wrote.begun)
    ack = next(call for call in writes if "TCP" in call.asked and event in call.asked and "committed" in call.asked)
    last = max(_end(call) for call in writes if WAL in call.asked and wrote.begun <= call.begun < verdict.begun)
    syncs = [call for call in calls if call.name in SYNCS and WAL in call.asked]
    return Commit(
        synced=any(last < call.begun and _end(call) < verdict.begun for call in syncs),
        acked_after=verdict.begun < ack.begun,
    )


def _end(call: Call) -> float:
    return float("inf") if call.ended is None else call.ended


async def watched(server: LiveServer, file: Path, *, whose: Callable[[], Customer] = Customer) -> list[Commit]:
    """Sends events one at a time, each from somebody new where not told otherwise, under the eyes of strace."""
    ids: list[str] = []
    with Watching([server.pids["journal"], server.pids["gateway"]], file) as watching:
        async with asyncio.timeout(DEADLINE_S), GatewayClient(server.url, server.gateway_token) as gateway:
            for number in range(EVENTS):
                event = whose().chat(f"number {number}")
                assert await gateway.send(event) == "committed"
                ids.append(event.id)
    return [commit_of(id, watching.calls) for id in ids]


@pytest.mark.slow
async def test_an_ack_leaves_after_the_sync(server: LiveServer, placement: str, tmp_path: Path) -> None:
    """Every event is on disk before anybody is told that it is."""
    if placement == "dedicated":
        pytest.skip("the next test is this one for customers with a process")
    assert await watched(server, tmp_path / "calls") == [Commit(synced=True, acked_after=True)] * EVENTS


@pytest.mark.slow
async def test_an_ack_leaves_after_the_sync_where_a_customer_has_a_process(dedicated: Victim, tmp_path: Path) -> None:
    """Of one who has a seat by then: the journal's other answers, about fences, are none of these events'."""
    person = Customer()
    async with GatewayClient(dedicated.url, dedicated.gateway_token) as gateway:
        assert await gateway.send(person.chat("before")) == "committed"
    commits = await watched(dedicated, tmp_path / "calls", whose=lambda: person)
    assert commits == [Commit(synced=True, acked_after=True)] * EVENTS


@pytest.mark.slow
async def test_the_weaker_mode_does_not_sync(tmp_path: Path) -> None:
    """`durability = "process"` says so and does so; and the test above would see it."""
    server = LiveServer(tmp_path, durability="process")
    server.start()
    try:
        assert await watched(server, tmp_path / "calls") == [Commit(synced=False, acked_after=True)] * EVENTS
    finally:
        assert server.stop() == 0


LOAD = 300
LOAD_ID = re.compile(r"load-\d{6}")
FILLERS = 220
FILLER_CHARACTERS = 100_000
"""Together 22 MB: more than the 16 MiB after which SQLite makes a checkpoint."""
TOGETHER = 20
"""Fillers that are under way at once, with some of the load between them."""


def acked_before_their_sync(ids: Collection[str], calls: Sequence[Call]) -> list[str]:
    """Those of these events whose ack left before a sync that began after their bytes had been written."""
    written: dict[str, float] = {}
    acked: dict[str, int] = {}
    for call in calls:
        if call.name not in WRITES:
            continue
        for id in LOAD_ID.findall(call.asked):
            if WAL in call.asked:
                # A page is written again with whatever is added to it: its first time is the event's own.
                written.setdefault(id, _end(call))
            elif "TCP" in call.asked and "committed" in call.asked:
                acked.setdefault(id, call.begun)
    syncs = [call for call in calls if call.name in SYNCS and WAL in call.asked]
    never = float("inf")
    return [
        id
        for id in ids
        if not any(written.get(id, never) < sync.begun and _end(sync) < acked.get(id, -1) for sync in syncs)
    ]


class Checkpoints(NamedTuple):
    """What a trace shows of the WAL's copying into its file."""

    pages: int
    """Copied."""
    restarts: int
    """How often the WAL began anew."""
    faults: list[str]


def checkpoints_in(calls: Sequence[Call]) -> Checkpoints:
    """Whether each page was copied from a synced WAL, and the WAL begun anew only over a synced file."""
    pages = restarts = 0
    faults: list[str] = []
    unsynced = {WAL: False, FILE: False}
    for call in calls:
        name = WAL if WAL in call.asked else FILE if FILE in call.asked else ""
        if not name:
            continue
        if call.name in SYNCS:
            # One thread writes and syncs this file: a sync covers whatever it had written before.
            unsynced[name] = False
        elif name == FILE:
            pages += 1
            unsynced[FILE] = True
            if unsynced[WAL]:
                faults.append("a page was copied from a WAL that is not synced")
        else:
            unsynced[WAL] = True
            if _offset(call) == 0:
                restarts += 1
                if unsynced[FILE]:
                    faults.append("the WAL began anew over a file that is not synced")
    return Checkpoints(pages, restarts, faults)


def _offset(call: Call) -> int:
    match = OFFSET.search(call.asked)
    return int(match[1]) if match else -1


@pytest.mark.slow
async def test_under_load_every_ack_leaves_after_its_sync(
    server: LiveServer, somebody: Callable[[], Customer], tmp_path: Path
) -> None:
    """Hundreds of events in shared commits, beside so much that the WAL is copied and begins anew."""
    ids = [f"load-{number:06d}" for number in range(LOAD)]
    load = iter([replace(somebody().chat("hello"), id=id) for id in ids])
    with Watching([server.pids["journal"], server.pids["gateway"]], tmp_path / "calls") as watching:
        async with asyncio.timeout(DEADLINE_S), GatewayClient(server.url, server.gateway_token) as gateway:
            for _ in range(FILLERS // TOGETHER):
                fillers = [somebody().chat("x" * FILLER_CHARACTERS) for _ in range(TOGETHER)]
                between = list(islice(load, LOAD * TOGETHER // FILLERS + 1))
                answers = await asyncio.gather(*map(gateway.send, [*fillers, *between]))
                assert set(answers) == {"committed"}
    assert next(load, None) is None
    assert acked_before_their_sync(ids, watching.calls) == []
    copied = checkpoints_in(watching.calls)
    assert copied.faults == []
    assert copied.pages > 0
    assert copied.restarts > 0


WROTE = '1 1.0 pwrite64(5</d/journal.sqlite-wal>, "…e1…", 4096, 0) = 4096'
SYNCED = "1 1.1 fdatasync(5</d/journal.sqlite-wal>) = 0"
SYNCING = "1 1.1 fdatasync(5</d/journal.sqlite-wal> <unfinished ...>"
DONE = "1 1.3 <... fdatasync resumed>) = 0"
OTHER = "1 1.1 fdatasync(6</d/archive.sqlite-wal>) = 0"
TOLD = r'2 1.2 write(6<UNIX-STREAM:[1->2,"/r/journal.sock"]>, "…\2233…", 38) = 38'
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


LOADED = [WROTE.replace("e1", "load-000001"), SYNCED, ACKED.replace("e1", "load-000001")]


@pytest.mark.parametrize(
    ("trace", "early"),
    [
        (LOADED, False),
        ([LOADED[0], LOADED[2], SYNCED], True),
        ([SYNCED, LOADED[0], LOADED[2]], True),
        ([LOADED[0], OTHER, LOADED[2]], True),
        ([LOADED[0], SYNCING, LOADED[2], DONE], True),
        ([*LOADED[:2], WROTE, LOADED[2]], False),
        ([SYNCED, LOADED[2]], True),
    ],
)
def test_an_early_ack_under_load_is_seen(trace: list[str], early: bool) -> None:
    """No sync between, one of another file, one that is not done, an ack of what was never written; another's later
    write is no fault."""
    assert acked_before_their_sync(["load-000001"], read(trace)) == (["load-000001"] if early else [])


PAGE = '1 1.2 pwrite64(6</d/journal.sqlite>, "…", 4096, 8192) = 4096'
FILE_SYNCED = "1 1.3 fdatasync(6</d/journal.sqlite>) = 0"
ANEW = '1 1.4 pwrite64(5</d/journal.sqlite-wal>, "…", 32, 0) = 32'
APPENDED = '1 1.0 pwrite64(5</d/journal.sqlite-wal>, "…e1…", 4096, 4152) = 4096'


@pytest.mark.parametrize(
    ("trace", "faults"),
    [
        ([APPENDED, SYNCED, PAGE, FILE_SYNCED, ANEW], 0),
        ([APPENDED, PAGE, FILE_SYNCED, ANEW], 1),
        ([APPENDED, SYNCED, PAGE, ANEW], 1),
        ([APPENDED, SYNCED, PAGE, SYNCED, ANEW], 1),
        ([APPENDED, SYNCED, PAGE, FILE_SYNCED, PAGE, ANEW], 1),
        ([APPENDED, SYNCED, PAGE, FILE_SYNCED, APPENDED], 0),
    ],
)
def test_a_checkpoint_that_could_lose_something_is_seen(trace: list[str], faults: int) -> None:
    """Pages from an unsynced WAL, a WAL begun anew over pages that are not synced."""
    found = checkpoints_in(read(trace))
    assert len(found.faults) == faults
    assert found.pages == trace.count(PAGE)
