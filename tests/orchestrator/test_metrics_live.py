"""What other processes than the gateway count, scraped from a real server."""

import asyncio
import time
from uuid import uuid4

import aiosmtplib
import httpx
import pytest

from tests.live_server import LiveServer

pytestmark = pytest.mark.slow

DEADLINE_S = 20.0


async def scraped(server: LiveServer) -> dict[str, float]:
    """Each sample's value now."""
    headers = {"Authorization": f"Bearer {server.operator_token}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, trust_env=False) as http:
        text = (await http.get("/metrics")).raise_for_status().text
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


async def grown(server: LiveServer, sample: str, above: float) -> dict[str, float]:
    """The first scrape in which the sample is above this: figures are gathered once a second."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            samples = await scraped(server)
            if samples.get(sample, 0.0) > above:
                return samples


async def mail(server: LiveServer, id: str, text: str, to: str = "support@throughline.example") -> str:
    """Sends a mail; returns the answer."""
    raw = f"From: ann-{id}@example.org\nTo: {to}\nMessage-ID: <{id}@example.org>\n\n{text}\n".encode()
    _, answer = await aiosmtplib.send(
        raw, sender="ann@example.org", recipients=[to], hostname="127.0.0.1", port=server.smtp_port, start_tls=False
    )
    return answer


async def test_mail_is_counted_by_what_became_of_it(server: LiveServer) -> None:
    """Taken, held since its id came before with another text, and refused to a stranger's address."""
    listener = f'listener="127.0.0.1:{server.smtp_port}"'
    taken, held = (f'throughline_mails_total{{{listener},outcome="{end}"}}' for end in ("taken", "quarantined"))
    conflict = f'throughline_mail_faults_total{{code="digest_conflict",{listener}}}'
    unknown = f'throughline_smtp_refusals_total{{{listener},reply="550"}}'
    before = await scraped(server)
    id = f"{uuid4().hex}.{time.time_ns()}"
    assert "written down" in await mail(server, id, "Hello")
    assert "DIGEST_CONFLICT" in await mail(server, id, "Something else")
    with pytest.raises(aiosmtplib.SMTPRecipientsRefused):
        await mail(server, id, "Hello", to="nobody@throughline.example")
    after = await grown(server, unknown, before.get(unknown, 0.0))
    for sample in (taken, held, conflict):
        assert after[sample] == before.get(sample, 0.0) + 1
    assert after['throughline_process{figure="live_journeys",process="cell-0"}'] >= 1
