"""A request's bounds: its bytes, its time, and the time in which its answer is read."""

import asyncio
import json
import socket
from typing import Any, cast
from unittest.mock import Mock

import pytest
from structlog.testing import capture_logs
from uvicorn.server import ServerState

from orchestrator.gateway.bounded import config, http
from orchestrator.gateway.bounded import unread as waiting
from orchestrator.gateway.bounded.config import BoundedConfig
from orchestrator.gateway.bounded.http import BoundedHttp
from orchestrator.gateway.bounded.strangers import Strangers
from orchestrator.settings import Http
from protocol.errors import Code
from tests.orchestrator.gateway.clients import DEADLINE_S
from tests.orchestrator.gateway.conftest import Running, Start, raw, until


@pytest.mark.parametrize("pieces", [1, 7])
async def test_a_head_over_the_limit_is_refused(running: Running, pieces: int) -> None:
    """However it is cut, and before it is complete."""
    head = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 20_000
    size = len(head) // pieces + 1
    status, body = await raw(running, *(head[at : at + size] for at in range(0, len(head), size)))
    assert (status, json.loads(body)["code"]) == (431, Code.TOO_LARGE)


async def test_a_small_head_with_a_long_body_is_fine(running: Running) -> None:
    """Only the head counts against the head's limit, also when both come in one read."""
    body = b"x" * 100_000
    head = b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
    status, _ = await raw(running, head + body)
    assert status == 401


async def test_trailers_without_end_are_cut_off(start: Start) -> None:
    """They count as part of the request."""
    running = await start(http=Http(port=0, body_bytes_max=1000))
    token = running.token["chat"].encode()
    head = b"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token
    head += b"\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Trailer: "
    status, body = await raw(running, head, *[b"x" * 4000] * 10)
    assert (status, json.loads(body)["code"]) == (413, Code.TOO_LARGE)


def sent_whole(port: int, head: bytes, piece: bytes, pieces: int) -> bytes:
    """The answer to a client that reads nothing before it has written everything, as most libraries."""
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as client:
        client.sendall(head)
        for _ in range(pieces):
            client.sendall(piece)
        answered = b""
        while more := client.recv(65536):
            answered += more
        return answered


@pytest.mark.parametrize(
    ("name", "framing", "said"),
    [
        ("chat", b"Content-Length: 33554432\r\n\r\n", {413}),
        # Whichever is found first, of what comes in one read.
        ("", b"Content-Length: 33554432\r\n\r\n", {401, 413}),
        ("scraper", b"Content-Length: 33554432\r\n\r\n", {403, 413}),
        ("chat", b"X-Long: ", {431}),
    ],
)
async def test_who_sends_far_too_much_before_reading_is_told_why(
    start: Start, name: str, framing: bytes, said: set[int]
) -> None:
    """A connection that is closed meanwhile is reset, and the client has a broken pipe in the place of an answer."""
    running = await start(http=Http(port=0, body_bytes_max=1024))
    token = f"Authorization: Bearer {running.token[name]}\r\n".encode() if name else b""
    head = b"POST /v1/events HTTP/1.1\r\nHost: x\r\n" + token + framing
    answered = await asyncio.to_thread(sent_whole, running.gateway.port, head, b"x" * 2**20, 32)
    assert answered.startswith(b"HTTP/1.1 ")
    assert int(answered[9:12]) in said
    assert answered.count(b"HTTP/1.1") == 1
    assert answered.endswith(b"}")


async def _sends_on(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


async def test_what_comes_after_too_much_is_read_for_a_while_and_not_for_ever(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever goes on sending holds a connection no longer than that."""
    monkeypatch.setattr(http, "LINGERS_S", 0.02)
    running = await start(http=Http(port=0, header_bytes_max=1024))
    reader, writer = await asyncio.open_connection("127.0.0.1", running.gateway.port)
    async with asyncio.timeout(DEADLINE_S):
        writer.write(b"GET / HTTP/1.1\r\nX-Long: " + b"x" * 2000)
        assert (await reader.read()).startswith(b"HTTP/1.1 431")
        with pytest.raises(ConnectionError):
            await _sends_on(writer)
    writer.close()
    await until(lambda: not running.gateway.open_connections)


async def test_too_much_behind_an_answer_is_not_answered_again(start: Start) -> None:
    """Whoever reads the first would take a second one for that to whatever they ask next."""
    running = await start(http=Http(port=0, body_bytes_max=1024))
    reader, writer = await asyncio.open_connection("127.0.0.1", running.gateway.port)
    async with asyncio.timeout(DEADLINE_S):
        writer.write(b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 33554432\r\n\r\n")
        assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 401")
        writer.write(b"x" * 65536)
        assert await reader.read() == b""
    writer.close()


async def test_what_is_refused_of_a_second_request_is_no_answer_to_the_first(start: Start) -> None:
    """The first may be done; its answer is not heard any more, and that is no fault of ours to be logged."""
    running = await start(http=Http(port=0, body_bytes_max=1024))
    running.intake.held = True
    reader, writer = await asyncio.open_connection("127.0.0.1", running.gateway.port)
    token = running.token["chat"].encode()
    head = b"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token
    head += b"\r\nContent-Type: application/cloudevents+json\r\nContent-Length: "
    said = json.dumps(
        {
            "specversion": "1.0",
            "id": "m-1",
            "source": "test",
            "type": "throughline.message.received",
            "identities": "user:1",
            "data": {"text": "hello"},
        }
    ).encode()
    with capture_logs() as logged:
        async with asyncio.timeout(DEADLINE_S):
            writer.write(head + b"%d\r\n\r\n" % len(said) + said + head + b"33554432\r\n\r\n")
            await running.intake.took.wait()
            writer.write(b"x" * 2**20)
            assert await reader.read() == b""
            running.intake.release()
            await until(lambda: not running.gateway._listener.server_state.tasks)
        writer.close()
    assert logged == []


async def test_a_head_that_does_not_come_is_not_waited_for(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow or silent client holds no connection for long."""
    monkeypatch.setattr(http, "HEAD_WITHIN_S", 0.02)
    running = await start()
    status, body = await raw(running, b"GET /healthz HTTP/1.1\r\nHo")
    assert (status, json.loads(body)["code"]) == (408, Code.MALFORMED)


@pytest.mark.parametrize("begun", [b"GET /healthz HTTP/1.1\r\nHo", b"\r\n"])
async def test_a_later_head_that_does_not_come_is_not_waited_for_either(
    running: Running, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    """Whoever asked once has no more time for what they ask next, and line ends before it are no request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", running.gateway.port)
    async with asyncio.timeout(DEADLINE_S):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200")
        monkeypatch.setattr(http, "HEAD_WITHIN_S", 0.02)
        writer.write(begun)
        assert (await reader.read()).startswith(b"HTTP/1.1 408")
    writer.close()


@pytest.mark.parametrize("sent", [b"", b"From=%2B4477"])
async def test_a_body_that_does_not_come_is_not_waited_for(
    start: Start, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    """A vendor's webhook needs no token: a stranger's would hold its connection for as long as they like."""
    monkeypatch.setattr(config, "BODY_WITHIN_S", 0.02)
    running = await start(http=Http(port=0, body_bytes_max=1000))
    head = b"POST /webhooks/sms HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
    status, body = await raw(running, head, sent)
    assert (status, json.loads(body)["code"]) == (408, Code.MALFORMED)
    assert "body" in json.loads(body)["message"]
    await until(lambda: not running.gateway.open_connections)


async def test_a_body_that_nobody_waits_for_holds_no_connection(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer came before it: that there is no token. No second answer follows the first."""
    monkeypatch.setattr(config, "BODY_WITHIN_S", 0.02)
    running = await start(http=Http(port=0, body_bytes_max=1000))
    reader, writer = await asyncio.open_connection("127.0.0.1", running.gateway.port)
    async with asyncio.timeout(DEADLINE_S):
        writer.write(b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        answer = await reader.readuntil(b"}")
        assert answer.startswith(b"HTTP/1.1 401")
        writer.write(b"{")
        assert await reader.read() == b""
    writer.close()


async def test_a_client_that_reads_nothing_holds_no_connection(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It needs no token to ask for more than the system keeps of what nobody reads."""
    loop, client = asyncio.get_running_loop(), socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    client.setblocking(False)
    await loop.sock_connect(client, ("127.0.0.1", running.gateway.port))
    await until(lambda: running.gateway.open_connections == 1)
    monkeypatch.setattr(http, "UNREAD_WITHIN_S", 0.02)
    [connection] = running.gateway._listener.server_state.connections
    connection.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2048)
    await loop.sock_sendall(client, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 2000)
    await until(lambda: not running.gateway.open_connections)
    client.close()


async def test_what_many_leave_unread_of_short_answers_is_counted_too(running: Running) -> None:
    """Ten thousand connections, of each 64 KiB, are more than all may leave together."""
    loop, client = asyncio.get_running_loop(), socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    client.setblocking(False)
    await loop.sock_connect(client, ("127.0.0.1", running.gateway.port))
    await until(lambda: running.gateway.open_connections == 1)
    [connection] = running.gateway._listener.server_state.connections
    transport = connection.transport
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2048)
    async with asyncio.timeout(DEADLINE_S):
        while transport.get_write_buffer_size() <= http.UNCOUNTED_BYTES_MAX:
            await loop.sock_sendall(client, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            await asyncio.sleep(0)
    assert http.UNCOUNTED_BYTES_MAX < running.gateway._listener.unread_bytes < 64 * 1024
    client.close()
    await until(lambda: not running.gateway._listener.unread_bytes)


class Clock:
    """A loop that keeps the deadlines it is given and lets none come."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.set: list[Mock] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def call_later(self, delay: float, *_: object) -> Mock:
        """Keeps it."""
        handle = Mock(delay=delay, cancelled=False)
        handle.cancel.side_effect = lambda: setattr(handle, "cancelled", True)
        self.set.append(handle)
        return handle

    @property
    def due(self) -> list[float]:
        """In how many seconds each that stands would come."""
        return [handle.delay for handle in self.set if not handle.cancelled]


def connection(app: Any, beside: BoundedHttp | None = None) -> tuple[BoundedHttp, Clock, Mock]:
    """One connection, by itself or beside another one, whose deadlines do not come."""
    configured = (
        beside.config
        if beside
        else BoundedConfig(
            app,
            header_bytes_max=1000,
            body_bytes_max=2 * config.BODY_BYTES_S_MIN,
            connections_max=9,
            strangers=Strangers(0),
            refused=Mock(),
            broke=Mock(),
            interface="asgi3",
            log_config=None,
        )
    )
    clock, transport = Clock(), Mock(**{"is_closing.return_value": False, "get_extra_info.return_value": None})
    client = BoundedHttp(configured, ServerState(), {}, cast(Any, clock))
    transport.get_protocol.return_value = client
    return client, clock, transport


async def test_time_is_asked_of_what_is_awaited_and_of_nothing_else() -> None:
    """Who has said everything may wait for what becomes of it: a reader of the feed does for a minute."""

    async def never_answers(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    client, clock, transport = connection(never_answers)
    client.connection_made(transport)
    assert clock.due == [http.HEAD_WITHIN_S]
    client.data_received(b"POST / HTTP/1.1\r\nContent-Le")
    assert clock.due == [http.HEAD_WITHIN_S]
    client.data_received(b"ngth: 3\r\n\r\na")
    assert clock.due == [config.BODY_WITHIN_S + 2]
    client.data_received(b"b")
    assert clock.due == [config.BODY_WITHIN_S + 2]
    client.data_received(b"c")
    assert clock.due == []
    (answering,) = client.tasks
    answering.cancel()
    await asyncio.wait((answering,))


async def test_a_stop_does_not_wait_for_what_is_read_to_be_forgotten() -> None:
    """Its answer is given; a stranger's endless body held up a stop for two seconds."""
    client, clock, transport = connection(Mock())
    transport.get_write_buffer_size.return_value = 0
    client.connection_made(transport)
    client.data_received(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    client.data_received(b"80000\r\n" + b"x" * 0x80000)
    transport.close.assert_not_called()
    client.shutdown()
    transport.close.assert_called_once()
    client.connection_lost(None)
    assert clock.due == []
    await asyncio.wait(client.tasks)


async def test_what_was_refused_before_its_turn_has_none() -> None:
    """It waited until the answer before it was read, and was too large meanwhile: nobody hears what is done for it."""
    client, clock, transport = connection(Mock())
    transport.get_write_buffer_size.return_value = http.READ_BYTES_MIN
    client.connection_made(transport)
    client.pause_writing()
    client.data_received(b"POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n")
    client.data_received(b"x" * 1_000_000)
    [(said,)] = [call.args for call in transport.write.call_args_list]
    assert said.startswith(b"HTTP/1.1 413")
    client.resume_writing()
    assert not client.tasks
    client.connection_lost(None)
    assert clock.due == []


async def test_what_is_closed_waits_for_its_reader_as_long_as_that_reads() -> None:
    """A plain close would wait without end: here for what is read of it, piece by piece."""
    client, clock, transport = connection(Mock())
    client.connection_made(transport)
    client._cancel_deadline()
    transport.get_write_buffer_size.return_value = 3 * http.READ_BYTES_MIN
    client.timeout_keep_alive_handler()
    assert clock.due == [http.UNREAD_WITHIN_S]
    transport.get_write_buffer_size.return_value = 2 * http.READ_BYTES_MIN
    client._look_for_reader(3 * http.READ_BYTES_MIN)
    assert clock.due == [http.UNREAD_WITHIN_S]
    transport.abort.assert_not_called()
    client._look_for_reader(3 * http.READ_BYTES_MIN - 1)
    transport.abort.assert_called_once()
    client.connection_lost(None)
    assert clock.due == []


async def test_a_bug_on_a_slow_clients_behalf_ends_its_connection(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be held for as long as its client likes; the log says where, and not what was sent."""
    monkeypatch.setattr(http, "HEAD_WITHIN_S", 0.02)
    running = await start()

    def broken(code: Code, entrance: str) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(running.gateway.metrics, "refused", broken)
    with capture_logs() as logged, pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
        await raw(running, b"GET /healthz HTTP/1.1\r\nHo")
    assert [(line["event"], line["where"], line["kind"]) for line in logged] == [
        ("gateway.failed", "listener", "RuntimeError")
    ]
    assert "secret" not in str(logged)


async def test_connections_over_the_limit_are_told_so(start: Start) -> None:
    """WebSockets count as well."""
    running = await start(http=Http(port=0, connections_max=1))
    async with running.agent():
        status, body = await raw(running, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (status, json.loads(body)["code"]) == (503, Code.TOO_MANY_CONNECTIONS)


@pytest.mark.parametrize(
    "garbage", [b"\x16\x03\x01\x02\x00\x01\x00", b"HELO mail\r\n\r\n", b"GET \x00 HTTP/1.1\r\n\r\n"]
)
async def test_what_is_no_http_is_told_so_in_the_shape_of_every_error(
    running: Running, caplog: pytest.LogCaptureFixture, garbage: bytes
) -> None:
    """A TLS hello, another protocol, a broken request line: counted, and no line in the log for any of them."""
    status, body = await raw(running, garbage)
    assert (status, json.loads(body)["code"]) == (400, Code.MALFORMED)
    assert running.metric("throughline_refusals_total", code="malformed", entrance="listener") == 1
    assert not caplog.records


async def test_garbage_after_a_good_request_is_answered_too(running: Running) -> None:
    """The answer before it is over, so this one belongs to the garbage."""
    reader, writer = await asyncio.open_connection("127.0.0.1", running.gateway.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    async with asyncio.timeout(DEADLINE_S):
        assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200")
        writer.write(b"nonsense\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 400")
    writer.close()


def unread(size_bytes: int, beside: BoundedHttp | None = None) -> tuple[BoundedHttp, Mock]:
    """A connection whose answer, of so many bytes, waits to be read."""
    client, _, transport = connection(Mock(), beside)
    client.connection_made(transport)
    transport.get_write_buffer_size.return_value = size_bytes
    client.pause_writing()
    return client, transport


async def test_what_all_clients_leave_unread_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past it whoever has had the longest is cut off, also one that reads a little now and then, and no other."""
    monkeypatch.setattr(waiting, "UNREAD_BYTES_MAX", 1000)
    first, of_first = unread(400)
    _, of_second = unread(400, first)
    of_first.get_write_buffer_size.return_value = 300
    first._await_reader()
    third, of_third = unread(300, first)
    of_first.abort.assert_not_called()
    fourth, of_fourth = unread(100, first)
    of_first.abort.assert_called_once()
    for other in (of_second, of_third, of_fourth):
        other.abort.assert_not_called()
    assert first.config.unread.size_bytes == 800
    cast(Mock, first.config.refused).assert_called_once_with(Code.OVERLOADED)
    third.resume_writing()
    fourth.connection_lost(None)
    first.connection_lost(None)
    assert first.config.unread.size_bytes == 400


async def test_one_answer_alone_may_be_larger_than_all_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else nobody could have it. The others make way."""
    monkeypatch.setattr(waiting, "UNREAD_BYTES_MAX", 1000)
    first, of_first = unread(100)
    _, of_second = unread(2000, first)
    of_first.abort.assert_called_once()
    of_second.abort.assert_not_called()


async def test_of_one_connection_one_answer_is_held_at_a_time() -> None:
    """What was asked for behind an answer that nobody reads is not looked for before."""
    asked: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"long"})

    client, _, transport = connection(app)
    client.connection_made(transport)
    transport.get_write_buffer_size.return_value = 100
    transport.write.side_effect = lambda data: client.pause_writing() if b"long" in data else None
    client.data_received(b"GET /first HTTP/1.1\r\n\r\nGET /second HTTP/1.1\r\n\r\n")
    async with asyncio.timeout(DEADLINE_S):
        while client.tasks:
            await asyncio.wait(client.tasks)
        assert asked == ["/first"]
        transport.write.side_effect = None
        client.resume_writing()
        while client.tasks:
            await asyncio.wait(client.tasks)
    assert asked == ["/first", "/second"]
