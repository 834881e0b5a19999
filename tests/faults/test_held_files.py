"""Files that someone else has locked, and disks that are slow or hang: what is acked is kept, and status says which."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from orchestrator.client import GatewayClient
from tests.faults.looking import Operator, at_least, exactly
from tests.faults.memory import assert_bounded, press, resident
from tests.faults.others import patience
from tests.faults.slow_calls import delayed
from tests.faults.victim import SEATS
from tests.live_server import LiveServer
from tests.people import Customer

pytestmark = pytest.mark.slow

LOCKED_WITHIN_S = 14.0
"""SQLite waits 5 s for the lock before it gives up; then a restart's first try waits as long."""
WELL_WITHIN_S = 20.0
SLOW_MS = 300
CROWD = 40
HUNG_MS = 8_000


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Somebody's shell in the midst of a transaction."""
    with closing(sqlite3.connect(file, isolation_level=None, timeout=10.0)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            shell.execute("ROLLBACK")


async def test_a_locked_journal_says_so_and_goes_on(server: LiveServer) -> None:
    """What was sent meanwhile, as much as is let in, is acked once the lock is gone."""
    before = resident(server)
    async with Operator(server) as operator, GatewayClient(server.url, server.gateway_token) as gateway:
        with locked(server.data / "journal.sqlite"):
            sending = asyncio.ensure_future(press(gateway))
            await operator.shows(
                "journal: .*database is locked.*another program has it locked",
                metrics={'throughline_process_up{process="journal"}': exactly(0.0)},
                within_s=LOCKED_WITHIN_S,
            )
            assert not sending.done()
        assert await asyncio.wait_for(sending, patience(WELL_WITHIN_S)) <= {"committed", "repeat"}
        await operator.until_well(within_s=WELL_WITHIN_S)
    assert_bounded(server, before)


async def test_a_locked_archive_keeps_nobody_waiting(server: LiveServer) -> None:
    """Acks need no archive; it says why it does not follow, and follows again."""
    async with Operator(server) as operator, GatewayClient(server.url, server.gateway_token) as gateway:
        with locked(server.data / "archive.sqlite"):
            assert await gateway.send(Customer().chat("one")) == "committed"
            await operator.shows(
                "archive: .*database is locked",
                metrics={'throughline_process_up{process="archive"}': exactly(0.0)},
                within_s=LOCKED_WITHIN_S,
            )
            began_s = time.monotonic()
            assert await gateway.send(Customer().chat("two")) == "committed"
            assert time.monotonic() - began_s < patience(1.0)
        await operator.until_well(within_s=WELL_WITHIN_S)


async def test_a_slow_disk_is_waited_for_together(
    server: LiveServer, somebody: Callable[[], Customer], tmp_path: Path
) -> None:
    """Each sync takes 0.3 s: forty events at once share a few of them, and no ack comes before one."""
    people = [somebody() for _ in range(CROWD)]
    async with Operator(server) as operator, GatewayClient(server.url, server.gateway_token) as gateway:
        # Where each has a seat, all of them.
        for each in people[:SEATS]:
            assert await gateway.send(each.chat("before")) == "committed"
        with delayed(server.pids["journal"], "fdatasync", SLOW_MS, tmp_path / "calls"):
            began_s = time.monotonic()
            answers = await asyncio.gather(*(gateway.send(each.chat(f"slow {n}")) for n, each in enumerate(people)))
            took_s = time.monotonic() - began_s
        await operator.shows(
            metrics={'throughline_process{figure="last_commit_ms",process="journal"}': at_least(SLOW_MS)},
            status={"last_commit_ms": at_least(SLOW_MS)},
        )
    assert set(answers) == {"committed"}
    assert SLOW_MS / 1000 <= took_s < patience(SLOW_MS / 1000 * 8), "not one sync each"


async def test_a_disk_that_hangs_is_named(server: LiveServer, tmp_path: Path) -> None:
    """The journal's process answers, but one commit is under way for seconds."""
    async with Operator(server) as operator, GatewayClient(server.url, server.gateway_token) as gateway:
        with delayed(server.pids["journal"], "fdatasync", HUNG_MS, tmp_path / "calls"):
            sending = asyncio.ensure_future(gateway.send(Customer().chat("while the disk hangs")))
            await operator.shows(
                "journal: one commit has been under way for .*disk hangs",
                metrics={'throughline_process{figure="turn_ms",process="journal"}': at_least(HUNG_MS / 2)},
            )
            assert not sending.done()
            assert await asyncio.wait_for(sending, patience(2 * HUNG_MS / 1000)) == "committed"
        await operator.until_well(within_s=WELL_WITHIN_S)
