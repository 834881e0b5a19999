"""The SMTP server, spoken to by real clients over real sockets."""

import asyncio
import contextlib
import gc
import logging
import socket
import weakref
from collections.abc import AsyncIterator, Callable
from email.message import Message
from pathlib import Path
from typing import Any

import aiosmtplib
import msgspec
import pytest

from adapters.attachments import AttachmentStore
from adapters.channels.email import mime, smtp
from adapters.channels.email.entrance import Entrance, Mailbox
from adapters.channels.email.taking import INLINE_BYTES_MAX
from protocol.errors import Code, Refusal
from protocol.inbound import InboundEvent, MessageArrived
from protocol.links import Answered
from tests.adapters.channels.letters import ADDRESS, ARRIVED_MS, letter
from tests.peers import require_peer

SALES = "sales@throughline.example"
NOISE = [
    pytest.param(b"\x00\xff\xfe\r\n", id="not text"),
    pytest.param(b"A" * 200_000 + b"\r\n", id="a line without end"),
    pytest.param(b"FOO\r\nBAR\r\nBAZ\r\nQUX\r\nXYZ\r\nABC\r\n", id="unknown commands"),
    pytest.param(b"RCPT TO:<x>\r\nDATA\r\nMAIL FROM:\r\n", id="out of order"),
]


class FakeIntake:
    """Takes what it is given, in order; `refusals` are raised first, one for each call."""

    def __init__(self) -> None:
        self.events: list[InboundEvent] = []
        self.quarantined: list[dict[str, Any]] = []
        self.refusals: list[Refusal] = []
        self.status = "committed"
        self.commit = asyncio.Event()
        self.commit.set()
        self.asked = asyncio.Event()
        self.on_submit: Callable[[InboundEvent], None] = lambda _event: None

    async def submit(self, event: InboundEvent, *, raw: bytes = b"") -> Answered:
        self.on_submit(event)
        self.asked.set()
        if self.refusals:
            raise self.refusals.pop(0)
        await self.commit.wait()
        self.events.append(event)
        return Answered(1, self.status, "cu1-1", 1, 7)

    async def quarantine(
        self, *, account: str, source: str, id: str, refusal: Refusal, raw: bytes, event: InboundEvent | None = None
    ) -> Answered:
        if self.refusals:
            raise self.refusals.pop(0)
        self.quarantined.append({"account": account, "source": source, "id": id, "code": refusal.code, "raw": raw})
        return Answered(1, "quarantined", f"account:{account}", 1, 8)


class Running:
    """An entrance that listens, with its fake intake and real attachment store."""

    def __init__(self, folder: Path, **given: Any) -> None:
        self.intake = FakeIntake()
        self.store = AttachmentStore(folder)
        self.store.open()
        self.entrance = Entrance(
            [Mailbox("mail", ADDRESS, 100_000), Mailbox("sales", SALES, 5_000)],
            intake=self.intake,
            attachments=given.pop("attachments", self.store),
            now_ms=lambda: ARRIVED_MS,
            **given,
        )
        self.port = 0

    async def send(self, raw: bytes, *, sender: str = "ann@example.org", to: tuple[str, ...] = (ADDRESS,)) -> str:
        """Sends by aiosmtplib; returns the answer to the content."""
        _, answer = await aiosmtplib.send(
            raw, sender=sender, recipients=list(to), hostname="127.0.0.1", port=self.port, start_tls=False
        )
        return answer


Start = Callable[..., Any]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts entrances, and stops them in the end."""
    running: list[Running] = []

    async def make(**given: Any) -> Running:
        made = Running(tmp_path / f"attachments{len(running)}", **given)
        made.port = await made.entrance.start("127.0.0.1", 0)
        running.append(made)
        return made

    yield make
    for made in running:
        made.intake.commit.set()
        await made.entrance.stop(5.0)
        assert made.entrance.held_bytes == 0


async def raw_client(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A client that can misbehave."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    return reader, writer


async def begin(port: int, *, sender: str = "ann@example.org") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A client that has come up to the content."""
    reader, writer = await raw_client(port)
    await reader.readline()
    for command in ("HELO x", f"MAIL FROM:<{sender}>", f"RCPT TO:<{ADDRESS}>", "DATA"):
        writer.write(f"{command}\r\n".encode())
        await reader.readline()
    return reader, writer


async def test_a_mail_is_submitted(start: Start) -> None:
    """The answer to the content is 250, and the event is there."""
    running = await start()
    assert (await running.send(letter("Hello\n"))).startswith("2.0.0 taken")
    (event,) = running.intake.events
    assert isinstance(event.data, MessageArrived)
    assert event.data.text.strip() == "Hello"
    assert running.entrance.counts == {"taken": 1}


async def test_swaks_delivers_a_mail(start: Start, tmp_path: Path) -> None:
    """A mail program that is none of ours, with an attachment."""
    swaks = require_peer("swaks")
    running = await start()
    (tmp_path / "bill.txt").write_text("40 pounds")
    process = await asyncio.create_subprocess_exec(
        swaks, "--server", f"127.0.0.1:{running.port}", "--from", "ann@example.org", "--to", ADDRESS,
        "--body", "Hello from swaks", "--header", "Subject: My bill", "--attach", f"@{tmp_path / 'bill.txt'}",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, out.decode()
    (event,) = running.intake.events
    assert isinstance(event.data, MessageArrived)
    assert event.data.text.strip() == "Hello from swaks"
    assert event.identities == ["mailto:ann@example.org"]
    assert running.store.read(event.data.attachments[-1].sha256).strip() == b"40 pounds"


async def test_250_comes_after_the_commit(start: Start) -> None:
    """While the commit is under way the client waits."""
    running = await start()
    running.intake.commit.clear()
    sending = asyncio.create_task(running.send(letter()))
    await asyncio.wait_for(running.intake.asked.wait(), 10)
    assert not sending.done()
    running.intake.commit.set()
    assert (await asyncio.wait_for(sending, 10)).startswith("2.0.0")


async def test_files_are_synced_before_the_event_is_submitted(start: Start, tmp_path: Path) -> None:
    """A committed event never speaks of a file that is not there."""
    calls: list[str] = []
    store = AttachmentStore(tmp_path / "kept", sync=lambda _: calls.append("sync"))
    store.open()
    running = await start(attachments=store)
    running.intake.on_submit = lambda event: calls.append(
        f"submit with {store.read(event.data.attachments[0].sha256).decode().strip()}"
    )
    calls.clear()
    body = "--a\nContent-Type: text/plain\n\nhi\n--a\nContent-Type: text/plain; name=a.txt\n\nfile\n--a--\n"
    await running.send(letter(body, content_type="multipart/mixed; boundary=a"))
    assert calls == ["sync", "sync", "sync", "submit with file"]


async def test_a_disk_that_takes_no_file_defers_the_mail(start: Start, tmp_path: Path) -> None:
    """451: nothing was submitted, the client still has it."""
    broken = AttachmentStore(tmp_path / "gone")
    running = await start(attachments=broken)
    body = "--a\nContent-Type: application/pdf; name=a.pdf\n\nfile\n--a--\n"
    with pytest.raises(aiosmtplib.SMTPDataError, match="DISK") as caught:
        await running.send(letter(body, content_type="multipart/mixed; boundary=a"))
    assert caught.value.code == 451
    assert not running.intake.events


async def test_a_stranger_address_is_refused_at_once(start: Start) -> None:
    """550 before any content."""
    running = await start()
    with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as caught:
        await running.send(letter(), to=("nobody@throughline.example",))
    assert caught.value.recipients[0].code == 550
    assert running.entrance.replies == {"550": 1}


async def test_a_subaddress_is_ours(start: Start) -> None:
    """`support+bills@…` and other spellings of case reach the account once."""
    running = await start()
    await running.send(letter(), to=("Support+bills@Throughline.example", ADDRESS))
    assert [event.account for event in running.intake.events] == ["mail"]


async def test_a_mail_to_two_accounts_is_two_events(start: Start) -> None:
    """Each account has its own."""
    running = await start()
    await running.send(letter(), to=(ADDRESS, SALES))
    assert [event.account for event in running.intake.events] == ["mail", "sales"]


async def test_the_null_sender_comes_through(start: Start) -> None:
    """`MAIL FROM:<>` marks an automatic mail."""
    running = await start()
    reader, writer = await begin(running.port, sender="")
    writer.write(letter() + b".\r\n")
    assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"250")
    writer.close()
    data = running.intake.events[0].data
    assert isinstance(data, MessageArrived)
    assert data.automatic == "auto_reply"


async def test_non_ascii_addresses_do_no_harm(start: Start) -> None:
    """SMTPUTF8 is spoken; raw bytes in commands are answered."""
    running = await start()
    reader, writer = await raw_client(running.port)
    writer.write(
        b"EHLO x\r\nMAIL FROM:<j\xc3\xb6rg@example.org> SMTPUTF8\r\nRCPT TO:<\xff\xfe@x>\r\nVRFY \xff\r\nQUIT\r\n"
    )
    said = await asyncio.wait_for(reader.read(), 10)
    assert b"250-SMTPUTF8" in said
    assert b"550 5.1.1" in said or b"553" in said
    assert said.endswith(b"221 Bye\r\n")
    writer.close()


@pytest.mark.parametrize("code", [Code.OVERLOADED, Code.UNAVAILABLE, Code.TIMED_OUT])
async def test_what_may_work_later_is_deferred(start: Start, code: Code) -> None:
    """451 names the reason; the same mail goes through afterwards."""
    running = await start()
    running.intake.refusals = [Refusal(code, "not now")]
    with pytest.raises(aiosmtplib.SMTPDataError, match=code.name) as caught:
        await running.send(letter())
    assert caught.value.code == 451
    await running.send(letter())
    assert len(running.intake.events) == 1


async def test_a_commit_that_takes_too_long_is_deferred(start: Start) -> None:
    """The client is told in time, and repeats it under the same id."""
    running = await start(submit_timeout_s=0.05)
    running.intake.commit.clear()
    with pytest.raises(aiosmtplib.SMTPDataError, match="TIMED_OUT"):
        await running.send(letter())


async def test_a_refused_event_lies_in_quarantine_as_it_can_be_replayed(start: Start) -> None:
    """250: it is ours now; what is kept is the event itself."""
    running = await start()
    running.intake.refusals = [Refusal(Code.BAD_IDENTITY, "no such identity")]
    assert "held for an operator" in await running.send(letter())
    (kept,) = running.intake.quarantined
    assert (kept["id"], kept["source"], kept["code"]) == ("first@example.org", "/email/mail", Code.BAD_IDENTITY)
    assert msgspec.json.decode(kept["raw"], type=InboundEvent).data == MessageArrived(
        text="Hello", subject="My bill", reference="first@example.org"
    )


async def test_an_unreadable_mail_lies_in_quarantine_whole(start: Start) -> None:
    """Small ones as they came, below who the envelope said they are from."""
    running = await start()
    raw = letter("--a\n\n" * 1000, content_type="multipart/mixed; boundary=a")
    assert "TOO_LARGE" in await running.send(raw)
    assert running.intake.quarantined[0]["raw"] == b"Return-Path: <ann@example.org>\r\n" + raw
    assert running.entrance.counts == {"quarantined": 1}


async def test_a_large_unreadable_mail_is_kept_as_a_file(start: Start) -> None:
    """The journal gets its hash, not its megabytes."""
    running = await start()
    roomy = Entrance(
        [Mailbox("mail", ADDRESS, 10_000_000)], intake=running.intake, attachments=running.store, now_ms=lambda: 0
    )
    raw = letter("--a\n\n" * 60_000, content_type="multipart/mixed; boundary=a")
    assert len(raw) > INLINE_BYTES_MAX
    answer = await roomy.take(raw, sender="a@x.example", recipients=[ADDRESS])
    assert answer.startswith("250")
    kept = msgspec.json.decode(running.intake.quarantined[0]["raw"])
    assert running.store.read(kept["message_sha256"]) == b"Return-Path: <a@x.example>\r\n" + raw


async def test_what_even_the_quarantine_refuses_is_told(start: Start) -> None:
    """554, and the client's own user hears of it."""
    running = await start()
    running.intake.refusals = [Refusal(Code.BAD_IDENTITY, "bad\r\nname"), Refusal(Code.OVER_LIMIT, "too many")]
    with pytest.raises(aiosmtplib.SMTPDataError, match="OVER_LIMIT: too many") as caught:
        await running.send(letter())
    assert caught.value.code == 554


async def test_what_the_cell_quarantined_is_counted(start: Start) -> None:
    """Such as the same Message-ID with another content."""
    running = await start()
    running.intake.status = "quarantined"
    assert "held for an operator" in await running.send(letter())
    assert running.entrance.counts == {"quarantined": 1}
    assert running.entrance.faults == {"digest_conflict": 1}


async def test_the_size_is_bounded_for_each_account(start: Start) -> None:
    """552 at MAIL where the client says the size, after the content where it does not, and for the smaller account."""
    running = await start()
    with pytest.raises(aiosmtplib.SMTPSenderRefused, match="may have 100000 bytes") as early:
        await running.send(letter("x" * 200_000))
    assert early.value.code == 552
    with pytest.raises(aiosmtplib.SMTPDataError, match="5000") as smaller:
        await running.send(letter("x\n" * 5_000), to=(SALES,))
    assert smaller.value.code == 552
    assert running.entrance.faults == {"too_large": 1}
    reader, writer = await begin(running.port)
    writer.write((b"x" * 70 + b"\r\n") * 2000 + b".\r\n")
    assert b"552 5.3.4 a mail may have 100000 bytes; send a smaller" in await asyncio.wait_for(reader.readline(), 10)
    writer.close()
    assert running.entrance.replies == {"552": 3}


async def test_a_line_that_never_ends_names_the_limit(start: Start) -> None:
    """500, after the content, with what to do; and a command's likewise."""
    running = await start()
    reader, writer = await begin(running.port)
    writer.write(b"x" * 70_000 + b"\r\n.\r\n")
    answer = await asyncio.wait_for(reader.readline(), 10)
    assert answer == b"500 5.5.2 a line of the mail is longer than 65536 bytes; wrap it and send it again\r\n"
    writer.write(b"NOOP " + b"x" * 5_000 + b"\r\n")
    assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"500 5.5.2 the command is longer")
    writer.close()
    assert running.entrance.replies == {"500": 2}


async def test_a_content_without_line_ends_is_cut_off(start: Start) -> None:
    """It cannot fill the memory: the connection ends."""
    running = await start()
    reader, writer = await begin(running.port)
    writer.write(b"x" * 1_000_000)
    assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"552 5.3.4")
    writer.close()


async def test_all_contents_together_are_bounded(start: Start) -> None:
    """452: come again."""
    running = await start(held_bytes_max=10_000)
    reader, writer = await begin(running.port)
    writer.write((b"x" * 70 + b"\r\n") * 500)
    assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"452 4.3.1")
    writer.close()
    assert running.entrance.replies == {"452": 1}
    await running.send(letter())


async def test_a_content_that_was_broken_off_is_let_go_with_its_connection(start: Start) -> None:
    """Not when the interpreter next looks for circles, which goes by how many objects there are."""
    running = await start()
    gc.disable()
    try:
        _, writer = await begin(running.port)
        writer.write(b"words\r\n" * 1000)
        # What has come so far is held by the task that reads it.
        [reading] = [weakref.ref(each._handler_coroutine) for each in running.entrance.connections]
        async with asyncio.timeout(10):
            while not running.entrance.held_bytes:  # noqa: ASYNC110 - it happens inside the entrance
                await asyncio.sleep(0)
            writer.transport.abort()
            while reading() is not None:  # noqa: ASYNC110 - likewise
                await asyncio.sleep(0)
        assert running.entrance.held_bytes == 0
    finally:
        gc.enable()


async def test_connections_are_bounded(start: Start) -> None:
    """421 says what the limit is; a place that is free again is given."""
    running = await start(connections_max=1)
    reader, writer = await raw_client(running.port)
    await reader.readline()
    second, other = await raw_client(running.port)
    assert b"1 connections are open" in await asyncio.wait_for(second.read(), 10)
    assert running.entrance.replies == {"421": 1}
    other.close()
    writer.write(b"QUIT\r\n")
    await asyncio.wait_for(reader.read(), 10)
    writer.close()
    await running.send(letter())


async def test_a_silent_client_is_dropped(start: Start) -> None:
    """The timeout is between commands, and for the content."""
    running = await start(timeout_s=0.05)
    reader, writer = await raw_client(running.port)
    await asyncio.wait_for(reader.read(), 10)
    writer.close()


async def test_a_client_that_says_nothing_of_use_is_dropped(start: Start) -> None:
    """Empty lines are no commands that the library counts: a flood of them would go on, and stop the loop."""
    running = await start()
    reader, writer = await raw_client(running.port)
    writer.write(b"\n" * 10_000)
    said = (await asyncio.wait_for(reader.read(), 10)).splitlines()
    assert (len(said), said[-1][:9]) == (smtp.REFUSALS_MAX + 2, b"421 4.7.0")
    writer.close()
    await running.send(letter())


async def test_a_connection_ends_however_busy_it_is(start: Start) -> None:
    """A command now and then keeps no place for ever."""
    running = await start(session_s=0.01)
    reader, writer = await raw_client(running.port)
    said = 0
    async with asyncio.timeout(10):
        # What it says once the other end has closed is read by nobody, and may cost it the last answers.
        with contextlib.suppress(ConnectionError):
            while await reader.readline():
                said += 1
                writer.write(b"NOOP\r\n")
    writer.close()
    assert 0 < said < smtp.COMMANDS_MAX
    assert running.entrance.replies == {"421": 1}


async def test_a_connection_does_not_end_while_a_mail_is_taken(start: Start) -> None:
    """Its answer comes first: without one the client would send it again."""
    running = await start()
    running.intake.commit.clear()
    reader, writer = await begin(running.port)
    writer.write(letter() + b"\r\n.\r\n")
    await asyncio.wait_for(running.intake.asked.wait(), 10)
    [connection] = running.entrance.connections
    connection.end_session()
    running.intake.commit.set()
    said = (await asyncio.wait_for(reader.read(), 10)).splitlines()
    assert [line[:3] for line in said] == [b"250", b"421"]
    writer.close()


async def test_a_client_that_reads_nothing_is_dropped(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last answer does not wait for it to read those before."""
    monkeypatch.setattr(smtp, "LAST_WORDS_S", 0.05)
    running = await start(timeout_s=0.5)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    client.setblocking(False)
    await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", running.port))
    async with asyncio.timeout(10):
        while not running.entrance.connections:  # noqa: ASYNC110 - it happens inside the entrance
            await asyncio.sleep(0)
        [connection] = running.entrance.connections
        connection.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2048)
        await asyncio.get_running_loop().sock_sendall(client, b"EHLO me\r\n" * 900)
        while running.entrance.connections:  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0)
    client.close()


@pytest.mark.parametrize("noise", NOISE)
async def test_noise_is_answered(start: Start, noise: bytes) -> None:
    """Whatever a client says, it gets an answer and no traceback, and others are served."""
    running = await start()
    reader, writer = await raw_client(running.port)
    writer.write(noise + b"QUIT\r\n")
    said = await asyncio.wait_for(reader.read(), 10)
    assert b"Traceback" not in said
    assert b"50" in said
    writer.close()
    await running.send(letter())


async def test_a_bug_of_ours_defers_the_mail(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """451 without a traceback, and the client's words in no log."""
    running = await start()
    caplog.set_level(logging.DEBUG)

    def break_down(_: InboundEvent) -> None:
        raise KeyError("customer's secret words")

    running.intake.on_submit = break_down
    with pytest.raises(aiosmtplib.SMTPDataError, match="INTERNAL") as caught:
        await running.send(letter("secret words"))
    assert caught.value.code == 451
    assert "secret" not in caplog.text
    assert "secret" not in caught.value.message
    assert "ann@example.org" not in caplog.text


async def test_stopping_lets_a_mail_come_to_its_answer(start: Start) -> None:
    """What is being taken is answered; idle clients are told."""
    running = await start()
    idle, other = await raw_client(running.port)
    await idle.readline()
    running.intake.commit.clear()
    sending = asyncio.create_task(running.send(letter()))
    await asyncio.wait_for(running.intake.asked.wait(), 10)
    stopping = asyncio.create_task(running.entrance.stop(10.0))
    running.intake.commit.set()
    assert (await asyncio.wait_for(sending, 10)).startswith("2.0.0")
    await asyncio.wait_for(stopping, 10)
    assert (await asyncio.wait_for(idle.read(), 10)).startswith(b"421")
    other.close()


async def test_a_mail_to_many_accounts_is_read_once(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has its own event of it, with the same words and files; a file is written once. What cannot be read is tried
    once, and lies in each one's quarantine."""
    here = await start()
    read: list[bytes] = []
    kept: list[bytes] = []
    reading, keeping = mime.read, here.store.keep

    def read_it(raw: bytes) -> Message:
        read.append(raw)
        return reading(raw)

    def keep(body: bytes) -> str:
        kept.append(body)
        return str(keeping(body))

    monkeypatch.setattr(mime, "read", read_it)
    monkeypatch.setattr(here.store, "keep", keep)
    body = "--a\n\nhello\n--a\nContent-Disposition: attachment; filename=f\n\nbill\n--a--\n"
    raw = letter(body, content_type="multipart/mixed; boundary=a")
    await here.send(raw, to=(ADDRESS, SALES))
    events = here.intake.events
    assert [(event.account, event.source) for event in events] == [("mail", "/email/mail"), ("sales", "/email/sales")]
    assert events[0].data == events[1].data
    assert (len(read), kept) == (1, [b"bill"])
    monkeypatch.setattr(mime, "PARTS_MAX", 2)
    await here.send(letter(body, content_type="multipart/mixed; boundary=a", message_id="<2@x>"), to=(ADDRESS, SALES))
    assert (len(read), [row["account"] for row in here.intake.quarantined]) == (2, ["mail", "sales"])
