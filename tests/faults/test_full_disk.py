"""A full disk: the server stays up, refuses with a code that says "again later", says what is wrong, and goes on by
itself when there is room; and nothing that it had acked is lost."""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path

import aiosmtplib
import httpx
import pytest

from orchestrator.client import GatewayClient
from protocol.errors import Code
from tests.faults.looking import Operator, exactly
from tests.faults.memory import assert_bounded, press, resident
from tests.faults.others import patience
from tests.faults.small_disk import small_disk
from tests.faults.truth import Truth
from tests.faults.victim import Victim
from tests.people import Customer

pytestmark = pytest.mark.slow

LEFT_BYTES = 256 * 1024
LETTER = 8 * 1024
SAID_WITHIN_S = 15.0
"""From the first failed write to the line: a restart that fails too lies between, and Ray takes 2 s for one."""
WELL_WITHIN_S = 20.0
"""From room to service: tries are 5 s apart by then, and a restart takes 2."""
FULL = "journal: restarting for .*database or disk is full; make room on its disk"
DOWN = {'throughline_process_up{process="journal"}': exactly(0.0)}


async def test_a_full_disk_loses_nothing_and_is_gone_on_from(
    tmp_path: Path, placement: str, somebody: Callable[[], Customer]
) -> None:
    """Events with letters of 8 KB, until no more fit; then as many more as the server lets in wait for room."""
    with small_disk(tmp_path / "data") as disk:
        server = Victim(tmp_path, placement=placement)
        await asyncio.to_thread(server.start)
        try:
            acked: list[str] = []
            full = asyncio.Event()
            async with (
                Operator(server) as operator,
                GatewayClient(server.url, server.gateway_token) as gateway,
            ):
                disk.fill(LEFT_BYTES)
                writing = asyncio.ensure_future(_write(gateway, somebody, acked, full))
                await operator.until_said(FULL, within_s=SAID_WITHIN_S)
                full.set()
                before = resident(server)
                pressing = asyncio.ensure_future(press(gateway))
                supervisor = server.supervisor
                await _refused(server)
                await _deferred(server)
                await operator.shows(FULL, metrics=DOWN)
                assert not pressing.done()
                disk.empty()
                await operator.until_well(within_s=WELL_WITHIN_S)
                await asyncio.wait_for(writing, patience(WELL_WITHIN_S))
                assert await asyncio.wait_for(pressing, patience(WELL_WITHIN_S)) <= {"committed", "repeat"}
                assert_bounded(server, before)
                assert await gateway.send(somebody().chat("with room again")) == "committed"
            assert server.supervisor == supervisor
            os.kill(supervisor, 0)
            assert await asyncio.to_thread(server.stop) == 0
            truth = Truth(server.data).read()
            assert truth.faults == []
            kept = {getattr(event, "text", "")[: len(acked[0])] for _, _, event in truth.events()}
            assert set(acked) <= kept
        finally:
            await asyncio.to_thread(server.end)


async def _write(
    gateway: GatewayClient, somebody: Callable[[], Customer], acked: list[str], full: asyncio.Event
) -> None:
    """One letter after the other, each from somebody else, until the disk is full; a word is kept once it is acked."""
    while not full.is_set():
        word = f"letter {len(acked):06d} "
        await gateway.send(somebody().chat(word + "x" * LETTER))
        acked.append(word)


async def _refused(server: Victim) -> None:
    """Somebody's events over HTTP are soon refused as ones that may come again; before, they wait."""
    headers = {
        "Authorization": f"Bearer {server.gateway_token}",
        "Content-Type": "application/cloudevents+json",
    }
    async with (
        asyncio.timeout(patience(SAID_WITHIN_S)),
        httpx.AsyncClient(base_url=server.url, trust_env=False, headers=headers, timeout=1) as http,
    ):
        for number in count():
            with suppress(httpx.TimeoutException):
                answer = await http.post("/v1/events", json=_event(number))
                assert (answer.status_code, answer.json()["code"]) == (503, Code.UNAVAILABLE), answer.text
                return


async def _deferred(server: Victim) -> None:
    """A mail is answered 451, so that its sender's mail server keeps it."""
    message = (
        b"From: ann@example.org\r\nTo: support@throughline.example\r\nMessage-ID: <1@example.org>\r\n\r\nhello\r\n"
    )
    with pytest.raises(aiosmtplib.SMTPDataError) as answered:
        await aiosmtplib.send(
            message, sender="ann@example.org", recipients=["support@throughline.example"],
            hostname="127.0.0.1", port=server.smtp_port, start_tls=False,
        )  # fmt: skip
    assert answered.value.code == 451


def _event(number: int) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "id": f"posted {number}",
        "source": "test",
        "type": "throughline.message.received",
        "account": "chat",
        "identities": "user:1",
        "data": {"text": "hello"},
    }
