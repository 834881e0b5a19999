"""What customers say, and who they are, never reaches a log: neither from the server at its most talkative, nor from
an exception's own text.

A customer's words, address and number are unique marks here; each goes in by every way there is, also by ways that
fail, and then every file that the server wrote about itself is read.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import Sequence
from logging.handlers import RotatingFileHandler
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
import structlog
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from adapters.channels.fakes.mailbox import behave_once
from orchestrator.client import AgentClient, GatewayClient
from orchestrator.cluster.logs import log_to
from protocol.errors import Refusal
from protocol.events import AnyEvent, DeliveryDead, DeliverySent, MessageQueued, NoteAdded
from tests.live_server import LiveServer
from tests.people import Customer, Desk, desk_at, outside

DEADLINE_S = 90.0


def found(files: Sequence[Path], marks: Sequence[str]) -> set[tuple[str, str]]:
    """Which marks stand in which files, in whatever case."""
    texts = {file.name: file.read_text(errors="replace").lower() for file in files}
    return {(name, mark) for name, text in texts.items() for mark in marks if mark.lower() in text}


def files_of(server: LiveServer) -> list[Path]:
    """All that the server writes for its operator to read."""
    return [*sorted((server.data / "log").iterdir()), server.folder / "serve.err"]


class Marks:
    """Words that stand nowhere else. `all` are those given out."""

    def __init__(self) -> None:
        self.all: list[str] = []

    def word(self) -> str:
        """A fresh one."""
        self.all.append(f"word{uuid4().hex}")
        return self.all[-1]

    def know(self, customer: Customer) -> Customer:
        """The customer's name, which is in the address too, and number, also as another country writes it."""
        self.all += [customer.name, customer.phone.removeprefix("+44")]
        return customer


@pytest.mark.slow
async def test_no_customers_word_address_or_number_is_in_any_log(server: LiveServer) -> None:
    """A chat, mails, texts, replies, a note; events refused, frames and requests malformed, deliveries that fail."""
    marks = Marks()
    ann = marks.know(Customer())
    async with (
        asyncio.timeout(DEADLINE_S),
        outside(server) as (mailbox, twilio),
        desk_at(server) as desk,
        GatewayClient(server.url, server.gateway_token) as gateway,
    ):
        first, webhook = marks.word(), f"{server.url}/webhooks/sms"
        await gateway.send(ann.chat(first))
        conversation = await desk.conversation_with(first)
        await asyncio.to_thread(ann.send_mail, server, marks.word(), subject=marks.word())
        assert (await twilio.text(webhook, sender=ann.phone, body=marks.word())).status_code == 200
        await desk.agent.note(conversation, marks.word())
        mailbox.behave = behave_once("RCPT", f"550 5.1.1 <{ann.mail}> {marks.word()}")
        refused = await _reply(desk, conversation, marks.word(), "email", DeliveryDead)
        sent = await _reply(desk, conversation, marks.word(), "email", DeliverySent)
        twilio.unsubscribed.add(ann.phone)
        unsubscribed = await _reply(desk, conversation, marks.word(), "sms", DeliveryDead)
        await desk.happened(conversation, lambda event: isinstance(event, NoteAdded))
        await _go_wrong(server, marks, marks.know(Customer()))

    files = files_of(server)
    assert found(files, marks.all) == set()
    deliveries = [refused, sent, unsubscribed]
    assert found(files, deliveries) == {("channels.log", one) for one in deliveries}, (
        "the search reads what was written"
    )


async def _reply(desk: Desk, conversation: str, text: str, channel: str, end: type[AnyEvent]) -> str:
    """Sends a reply and waits for the end of its delivery, whose id it returns."""
    await desk.agent.reply(conversation, text, channel=channel)
    queued = await desk.happened(conversation, lambda event: isinstance(event, MessageQueued) and event.text == text)
    assert isinstance(queued, MessageQueued)
    await desk.happened(
        conversation, lambda event: isinstance(event, end) and getattr(event, "delivery", "") == queued.delivery
    )
    return queued.delivery


async def _go_wrong(server: LiveServer, marks: Marks, bob: Customer) -> None:
    """All that a server may want to complain of, with the customer's words in it."""
    event = {
        "specversion": "1.0", "id": marks.word(), "source": "shop", "type": "throughline.message.received",
        "time": "1970-01-01T00:00:00Z", "account": "chat", "identities": f"mailto:{bob.mail}",
        "data": {"text": marks.word()},
    }  # fmt: skip
    cloud = {"Content-Type": "application/cloudevents+json"}
    headers = {"Authorization": f"Bearer {server.gateway_token}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, trust_env=False) as http:
        answer = await http.post("/v1/events", content=json.dumps(event), headers=cloud)
        assert answer.json()["status"] == "quarantined"
        for body in (f'{{"id": "{marks.word()}', json.dumps({**event, "identities": f"tel:{bob.phone}", "time": 7})):
            assert (await http.post("/v1/events", content=body, headers=cloud)).is_client_error
        assert (await http.post("/webhooks/sms", data={"From": bob.phone, "Body": marks.word()})).is_client_error
        asked = {"identity": f"mailto:{bob.mail}", marks.word(): marks.word()}
        assert (await http.get("/v1/context", params=asked)).is_client_error
        assert (await http.get(f"/v1/{marks.word()}")).is_client_error
    for path in ("/v1/agent", "/v1/gateway"):
        await _say_nonsense(server, path, marks.word())
    with pytest.raises(Refusal):
        async with AgentClient(server.url, server.agent_token) as agent:
            await agent.reply(marks.word(), marks.word())


async def _say_nonsense(server: LiveServer, path: str, word: str) -> None:
    """A frame that is none, to a server that then hangs up."""
    address = server.url.replace("http", "ws", 1) + path
    protocols = [Subprotocol("throughline.v1.json")]
    async with connect(address, subprotocols=protocols, proxy=None) as socket:
        await socket.send(f'[{{"t": "{word}"')
        await socket.wait_closed()
        assert socket.close_code is not None
        assert socket.close_code >= 4000


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A log file that this process writes meanwhile, as a server's process does."""
    log_to(tmp_path / "own.log", "debug")
    return tmp_path / "own.log"


def test_the_search_finds_what_must_not_be_there(logs: Path) -> None:
    """A word in a field, in an event's name, or in a library's warning, is found."""
    marks = Marks()
    field, name, warned = (marks.word() for _ in range(3))
    structlog.get_logger("orchestrator.test").debug("said", text=field.upper())
    structlog.get_logger("orchestrator.test").info(f"said {name}")
    logging.getLogger("library").warning("cannot read %s", warned)
    assert found([logs], [*marks.all, "absent"]) == {("own.log", mark) for mark in marks.all}


def test_an_exception_is_logged_without_its_words(logs: Path) -> None:
    """By its type and the places it passed, its cause as well; only an error raised on purpose says its text."""
    word = Marks().word()
    try:
        try:
            raise KeyError(word)
        except KeyError as exc:
            raise OSError(28, "disk full") from exc
    except OSError:
        structlog.get_logger("orchestrator.test").error("broke", exc_info=True)
    [line] = [json.loads(line) for line in logs.read_text().splitlines()]
    assert [(each["type"], each["text"]) for each in line["exception"]] == [
        ("OSError", "[Errno 28] disk full"),
        ("KeyError", ""),
    ]
    assert "test_logs.py" in line["exception"][0]["at"][0]
    assert found([logs], [word]) == set()


def test_a_full_disk_is_said_in_one_line_and_not_for_each_event(
    logs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the file takes no more, the operator's terminal gets the reason once, and no trace of each event."""
    handler = next(each for each in logging.getLogger().handlers if isinstance(each, RotatingFileHandler))
    # What it was given and did not take makes it fail once more as it is closed.
    with contextlib.suppress(OSError), open("/dev/full", "w") as full:
        monkeypatch.setattr(handler, "stream", full)
        for _ in range(3):
            structlog.get_logger("orchestrator.test").error("thing_happened")
        told = capsys.readouterr().err
        monkeypatch.undo()
    assert told == f"{logs} takes no log lines: No space left on device\n"
    structlog.get_logger("orchestrator.test").error("thing_happened")
    assert "thing_happened" in logs.read_text()
