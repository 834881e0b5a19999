"""A mail over a limit, from its SMTP answer to its replay: a whole server in one loop, real SMTP and HTTP."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosmtplib
import httpx
import pytest

from adapters.channels.email import mime
from orchestrator.inprocess import in_process
from orchestrator.settings import EmailAccount, Http, Settings
from orchestrator.tokens import Tokens
from protocol.errors import Code
from tests.adapters.channels.letters import ADDRESS, ARRIVED_MS, SENT_MS, letter

MULTIPART = {"content_type": "multipart/mixed; boundary=xx"}


def mail(bill: bytes, **fields: Any) -> bytes:
    """A text and a file: three parts with what holds them."""
    body = (
        "--xx\nContent-Type: text/plain\n\nSee the bill\n"
        "--xx\nContent-Type: text/html; name=bill.html\nContent-Disposition: attachment\n"
        f"Content-Transfer-Encoding: base64\n\n{base64.encodebytes(bill).decode()}\n--xx--\n"
    )
    return letter(body, **MULTIPART, **fields)


class Server:
    """A server with one mail account, and an operator at it. `now_ms` is its clock."""

    def __init__(self, http: httpx.AsyncClient, port: int) -> None:
        self.http = http
        self.port = port
        self.now_ms = ARRIVED_MS

    async def send(self, raw: bytes, *, sender: str = "ann@example.org") -> str:
        """Sends a mail; returns the answer to its content."""
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=self.port, start_tls=False) as smtp:
            _, answer = await smtp.sendmail(sender, [ADDRESS], raw)
            return answer

    async def get(self, path: str) -> Any:
        """What a read answers."""
        response = await self.http.get(path)
        assert response.status_code == 200, response.text
        return response.json()

    async def quarantined(self) -> str:
        """The id of the one input in quarantine, once the archive has it."""
        position = (await self.get("/v1/status"))["journal_position"]
        await self.get(f"/v1/conversations?at_least={position}")
        [row] = await self.get("/v1/quarantine")
        return str(row["quarantine"])

    async def replay(self, quarantine: str) -> dict[str, Any]:
        """Takes it in after all."""
        response = await self.http.post(f"/v1/quarantine/{quarantine}/replay")
        return {"http": response.status_code, **response.json()}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    """It runs on memory stores; attachments are files."""
    async with serving(tmp_path) as running:
        yield running


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Server]:
    """A server in this loop."""
    account = EmailAccount(name="mail", address=ADDRESS, listen="127.0.0.1:0", relay="127.0.0.1:9")
    settings = Settings(data=str(folder), store="memory", cells=1, http=Http(port=0), accounts=[account])
    text, _ = Tokens(folder / "tokens.json", now_ms=lambda: ARRIVED_MS).create(["operator"], "olga")
    made: list[Server] = []
    async with (
        in_process(settings, folder, now_ms=lambda: made[0].now_ms if made else ARRIVED_MS) as parts,
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{parts.facts['gateway']['port']}",
            headers={"Authorization": f"Bearer {text}"},
            trust_env=False,
        ) as http,
    ):
        made.append(Server(http, int(parts.facts["channels"]["smtp:mail"])))
        yield made[0]


@pytest.mark.parametrize("size", [100, 300_000], ids=["in the journal", "as a file"])
async def test_a_mail_over_a_limit_comes_in_once_the_limit_is_raised(
    server: Server, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """With its files, at the time it was sent, and no second time."""
    bill = b"<script>" * (size // 8)
    with monkeypatch.context() as low:
        low.setattr(mime, "PARTS_MAX", 2)
        assert "held for an operator" in await server.send(mail(bill))
        quarantine = await server.quarantined()
        assert (await server.replay(quarantine))["code"] == Code.TOO_LARGE
    server.now_ms += 3_600_000
    replayed = await server.replay(quarantine)
    assert (replayed["http"], replayed["status"]) == (200, "committed")
    shown = await server.get(f"/v1/conversations/{replayed['stream']}?at_least={replayed['position']}")
    [message] = [event for event in shown["events"] if event["type"] == "MessageReceived"]
    assert message["text"].strip() == "See the bill"
    assert (message["identity"], message["provider_ms"]) == ("mailto:ann@example.org", SENT_MS)
    [file] = message["attachments"]
    assert (await server.http.get(f"/v1/attachments/{file['sha256']}")).content == bill
    assert (await server.replay(quarantine))["code"] == Code.NOT_ALLOWED_NOW
    # The sender's own second try, meanwhile, is the same mail.
    assert "taken" in await server.send(mail(bill))
    after = await server.get(f"/v1/conversations/{replayed['stream']}?at_least={replayed['position']}")
    assert [event["type"] for event in after["events"]].count("MessageReceived") == 1


async def test_who_the_envelope_named_is_known_at_the_replay(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mail without From is its envelope's sender's; a report, whose envelope names nobody, stays a machine's."""
    with monkeypatch.context() as low:
        low.setattr(mime, "PARTS_MAX", 2)
        await server.send(mail(b"x", from_=None, message_id="<1@x>"), sender="bob@example.org")
        first = await server.quarantined()
    replayed = await server.replay(first)
    row = await server.get(f"/v1/conversations/{replayed['stream']}?at_least={replayed['position']}")
    assert {interaction["identity"] for interaction in row["interactions"]} == {"mailto:bob@example.org"}


async def test_a_mail_is_edited_as_an_event(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `show` reads in it, with its files, may come back with other words; it is the sender's all the same."""
    with monkeypatch.context() as low:
        low.setattr(mime, "PARTS_MAX", 2)
        await server.send(mail(b"bill"))
        quarantine = await server.quarantined()
        assert (await server.get(f"/v1/quarantine/{quarantine}"))["event"] is None
    event = (await server.get(f"/v1/quarantine/{quarantine}"))["event"]
    event["data"]["text"] = "See the bill of June"
    answer = await server.http.post(f"/v1/quarantine/{quarantine}/replay", json={"event": event})
    assert answer.status_code == 200, answer.text
    replayed = answer.json()
    shown = await server.get(f"/v1/conversations/{replayed['stream']}?at_least={replayed['position']}")
    [message] = [event for event in shown["events"] if event["type"] == "MessageReceived"]
    assert (message["text"], message["provider_ms"]) == ("See the bill of June", SENT_MS)
    assert [file["name"] for file in message["attachments"]] == ["bill.html"]
    customer = await server.get(f"/v1/customers/{replayed['stream'].rpartition('-')[0]}/journey")
    assert [identity["verified"] for identity in customer["identities"]] == [1]


async def test_a_mail_cannot_pass_for_another_kind_of_input(server: Server) -> None:
    """Bytes that would be an event of a trusted channel, or name somebody's file, are a mail all the same."""
    forged = b'{"id":"1","source":"s","account":"mail","channel":"chat","time_ms":1,"identities":["user:7"]}\r\n'
    assert "NO_IDENTITY" in await server.send(forged, sender="")
    assert (await server.replay(await server.quarantined()))["code"] == Code.NO_IDENTITY
