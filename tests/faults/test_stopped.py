"""Processes that stand still (SIGSTOP): each is named within seconds, the others serve, and SIGCONT makes it well."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from orchestrator.client import GatewayClient
from orchestrator.cluster import leftovers
from orchestrator.cluster.data_folder import mark_of
from tests.faults.looking import SHOWN_S, Operator, exactly
from tests.faults.memory import assert_bounded, press, resident
from tests.faults.others import patience
from tests.live_server import LiveServer
from tests.people import Customer

pytestmark = pytest.mark.slow

WELL_WITHIN_S = 6.0
SERVED_WITHIN_S = 1.0
"""An ack's latency while somebody stands still who has no part in it."""


def up(process: str) -> str:
    """The sample that says whether it serves."""
    return f'throughline_process_up{{process="{process}"}}'


@contextmanager
def stopped(server: LiveServer, *names: str) -> Iterator[None]:
    """These stand still."""
    pids = [_pid_of(server, name) for name in names]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def _pid_of(server: LiveServer, name: str) -> int:
    if (pid := server.pids.get(name)) is not None:
        return pid
    for process in leftovers.ours(mark_of(server.data)):
        if process.name() == name or (name == "node" and "orchestrator.cluster.node" in process.cmdline()):
            return int(process.pid)
    assert name == "supervisor"
    assert server._process is not None
    return server._process.pid


async def test_who_hangs_beside_the_way_is_named_and_nobody_waits(server: LiveServer) -> None:
    """The archive, the channel host, Ray's two and the supervisor: an ack needs none of them."""
    beside = ("archive", "channels", "raylet", "gcs_server", "supervisor")
    async with Operator(server) as operator, GatewayClient(server.url, server.gateway_token) as gateway:
        assert await gateway.send(Customer().chat("before")) == "committed"
        with stopped(server, *beside):
            for name in beside:
                await operator.until_said(f"{name}: not answering for", within_s=SHOWN_S)
                began_s = time.monotonic()
                assert await gateway.send(Customer().chat(f"while {name} hangs")) == "committed"
                assert time.monotonic() - began_s < patience(SERVED_WITHIN_S)
            await operator.shows(
                *(f"{name}: not answering for" for name in beside), metrics={up("archive"): exactly(0.0)}
            )
        await operator.shows(metrics={up("archive"): exactly(1.0)}, within_s=WELL_WITHIN_S)


@pytest.mark.parametrize(
    ("placed", "names"),
    [("pooled", ["journal"]), ("pooled", ["cell-0"]), ("dedicated", ["journal", "usher"])],
    indirect=["placed"],
)
async def test_who_hangs_on_the_way_is_named_and_what_came_is_acked_later(placed: LiveServer, names: list[str]) -> None:
    """Events sent meanwhile, as many as are let in, have their acks when they go on, and no second effect."""
    async with Operator(placed) as operator, GatewayClient(placed.url, placed.gateway_token) as gateway:
        assert await gateway.send(Customer().chat("before")) == "committed"
        before = resident(placed)
        with stopped(placed, *names):
            sending = asyncio.ensure_future(press(gateway))
            await operator.shows(
                *(f"{name}: not answering for" for name in names), metrics={up(name): exactly(0.0) for name in names}
            )
            assert not sending.done()
        assert await asyncio.wait_for(sending, patience(WELL_WITHIN_S)) == {"committed"}
        await operator.until_well(within_s=WELL_WITHIN_S)
    assert_bounded(placed, before)


async def test_a_node_that_hangs_is_named(server: LiveServer) -> None:
    """Who tells the others' states is itself missed."""
    async with Operator(server) as operator, GatewayClient(server.url, server.gateway_token) as gateway:
        with stopped(server, "node"):
            await operator.shows("node: not answering for")
            assert await gateway.send(Customer().chat("while the node hangs")) == "committed"
        await operator.until_well(within_s=WELL_WITHIN_S)


async def test_a_gateway_that_hangs_keeps_nothing(server: LiveServer) -> None:
    """`throughline status` asks the run folder then; its clients' events are acked when it goes on."""
    async with Operator(server) as operator, GatewayClient(server.url, server.gateway_token) as gateway:
        before = resident(server)
        with stopped(server, "gateway"):
            sending = asyncio.ensure_future(press(gateway))
            code, shown = await operator.status()
            assert code == 3
            assert await operator.reasons() == ["the gateway does not answer"]
            assert "✗ gateway: not answering for" in shown
            assert not sending.done()
        # A connection may have been given up meanwhile, and the event sent again on the next.
        assert await asyncio.wait_for(sending, patience(WELL_WITHIN_S)) <= {"committed", "repeat"}
        await operator.until_well(within_s=WELL_WITHIN_S)
    assert_bounded(server, before)
