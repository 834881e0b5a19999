"""The listener: the port, and the bounds that uvicorn has no setting for."""

import asyncio
import gc
import json
import socket
from typing import Any, cast
from unittest.mock import Mock

import pytest
from structlog.testing import capture_logs
from uvicorn.server import ServerState

from orchestrator.addresses import ListenError
from orchestrator.gateway import bounded
from orchestrator.settings import Http
from protocol.errors import Code
from tests.orchestrator.gateway.clients import DEADLINE_S
from tests.orchestrator.gateway.conftest import Running, Start, until

KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
VERSION = b"Sec-WebSocket-Version: 13\r\n"


async def raw(running: Running, *chunks: bytes) -> tuple[int, bytes]:
    """Sends bytes as they are; returns the status and body of the first answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", running.gateway.port)
    try:
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()
        async with asyncio.timeout(DEADLINE_S):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
            return int(head.split()[1]), await reader.readexactly(int(length.split(b":")[1]))
    finally:
        writer.close()


async def test_a_port_that_is_taken_names_the_setting(running: Running, start: Start) -> None:
    """Most likely it is another Throughline."""
    with pytest.raises(ListenError, match=r"http\.port"):
        await start(http=Http(port=running.gateway.port))


async def test_the_port_is_known_while_it_stops(start: Start) -> None:
    """The node asks for figures until the process has ended; what could not say its port logged a bug at each stop."""
    running = await start()
    port = running.gateway.port
    await running.gateway.stop(0)
    assert running.gateway.port == port


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
async def test_a_host_that_is_not_this_machine_names_the_setting(start: Start, host: str) -> None:
    """An address of the documentation's range (RFC 5737), and a name that resolves nowhere."""
    with pytest.raises(ListenError, match=r"http\.host"):
        await start(http=Http(host=host, port=0))


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


async def test_a_head_that_does_not_come_is_not_waited_for(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow or silent client holds no connection for long."""
    monkeypatch.setattr(bounded, "HEAD_WITHIN_S", 0.02)
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
        monkeypatch.setattr(bounded, "HEAD_WITHIN_S", 0.02)
        writer.write(begun)
        assert (await reader.read()).startswith(b"HTTP/1.1 408")
    writer.close()


@pytest.mark.parametrize("sent", [b"", b"From=%2B4477"])
async def test_a_body_that_does_not_come_is_not_waited_for(
    start: Start, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    """A vendor's webhook needs no token: a stranger's would hold its connection for as long as they like."""
    monkeypatch.setattr(bounded, "BODY_WITHIN_S", 0.02)
    running = await start(http=Http(port=0, body_bytes_max=1000))
    head = b"POST /webhooks/sms HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
    status, body = await raw(running, head, sent)
    assert (status, json.loads(body)["code"]) == (408, Code.MALFORMED)
    assert "body" in json.loads(body)["message"]
    await until(lambda: not running.gateway.open_connections)


async def test_a_body_that_nobody_waits_for_holds_no_connection(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer came before it: that there is no token. No second answer follows the first."""
    monkeypatch.setattr(bounded, "BODY_WITHIN_S", 0.02)
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
    monkeypatch.setattr(bounded, "UNREAD_WITHIN_S", 0.02)
    [connection] = running.gateway._listener.server_state.connections
    connection.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2048)
    await loop.sock_sendall(client, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 2000)
    await until(lambda: not running.gateway.open_connections)
    client.close()


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


def connection(app: Any) -> tuple[bounded.BoundedHttp, Clock, Mock]:
    """One connection by itself, whose deadlines do not come."""
    config = bounded.BoundedConfig(
        app,
        header_bytes_max=1000,
        body_bytes_max=2 * bounded.BODY_BYTES_S_MIN,
        connections_max=1,
        refused=Mock(),
        broke=Mock(),
        interface="asgi3",
        log_config=None,
    )
    clock, transport = Clock(), Mock(**{"is_closing.return_value": False, "get_extra_info.return_value": None})
    client = bounded.BoundedHttp(config, ServerState(), {}, cast(Any, clock))
    transport.get_protocol.return_value = client
    return client, clock, transport


async def test_time_is_asked_of_what_is_awaited_and_of_nothing_else() -> None:
    """Who has said everything may wait for what becomes of it: a reader of the feed does for a minute."""

    async def never_answers(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    client, clock, transport = connection(never_answers)
    client.connection_made(transport)
    assert clock.due == [bounded.HEAD_WITHIN_S]
    client.data_received(b"POST / HTTP/1.1\r\nContent-Le")
    assert clock.due == [bounded.HEAD_WITHIN_S]
    client.data_received(b"ngth: 3\r\n\r\na")
    assert clock.due == [bounded.BODY_WITHIN_S + 2]
    client.data_received(b"b")
    assert clock.due == [bounded.BODY_WITHIN_S + 2]
    client.data_received(b"c")
    assert clock.due == []
    (answering,) = client.tasks
    answering.cancel()
    await asyncio.wait((answering,))


async def test_what_is_closed_waits_for_its_reader_as_long_as_that_reads() -> None:
    """A plain close would wait without end: here for what is read of it, piece by piece."""
    client, clock, transport = connection(Mock())
    client.connection_made(transport)
    client._cancel_deadline()
    transport.get_write_buffer_size.return_value = 3 * bounded.READ_BYTES_MIN
    client.timeout_keep_alive_handler()
    assert clock.due == [bounded.UNREAD_WITHIN_S]
    transport.get_write_buffer_size.return_value = 2 * bounded.READ_BYTES_MIN
    client._look_for_reader(3 * bounded.READ_BYTES_MIN)
    assert clock.due == [bounded.UNREAD_WITHIN_S]
    transport.abort.assert_not_called()
    client._look_for_reader(3 * bounded.READ_BYTES_MIN - 1)
    transport.abort.assert_called_once()
    client.connection_lost(None)
    assert clock.due == []


async def test_a_bug_on_a_slow_clients_behalf_ends_its_connection(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be held for as long as its client likes; the log says where, and not what was sent."""
    monkeypatch.setattr(bounded, "HEAD_WITHIN_S", 0.02)
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


UPGRADE = b"Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
NO_HANDSHAKE: dict[str, tuple[bytes, bytes, int, Code, str]] = {
    "no key": (b"GET", b"Sec-WebSocket-Version: 13\r\n", 400, Code.MALFORMED, "Sec-WebSocket-Key"),
    "an old version": (b"GET", KEY + b"Sec-WebSocket-Version: 8\r\n", 400, Code.MALFORMED, "Sec-WebSocket-Version"),
    "another method": (b"POST", KEY + VERSION, 405, Code.MALFORMED, "POST"),
    "no list of subprotocols": (
        b"GET",
        KEY + VERSION + b"Sec-WebSocket-Protocol: ,,;\r\n",
        400,
        Code.MALFORMED,
        "Sec-WebSocket-Protocol",
    ),
    "a body": (b"GET", KEY + VERSION + b"Content-Length: 5\r\n", 400, Code.MALFORMED, "body"),
    "a long line": (b"GET", KEY + VERSION + b"X-Long: " + b"x" * 10_000 + b"\r\n", 431, Code.TOO_LARGE, "8192"),
    "many headers": (b"GET", KEY + VERSION + b"X: x\r\n" * 200, 431, Code.TOO_LARGE, "128"),
    "a long address": (b"GET ?" + b"x" * 10_000, KEY + VERSION, 414, Code.TOO_LARGE, "8192"),
}
"""Method, headers; status, code, and a word of the message."""


@pytest.mark.parametrize("name", NO_HANDSHAKE)
async def test_what_is_no_handshake_is_told_so_in_the_shape_of_every_error(running: Running, name: str) -> None:
    """Also where the engine could not read it at all; it is counted, and the connection ends."""
    method, headers, status, code, word = NO_HANDSHAKE[name]
    method, _, query = method.partition(b" ")
    answered, body = await raw(running, method + b" /v1/agent" + query + b" HTTP/1.1\r\n" + UPGRADE + headers + b"\r\n")
    error = json.loads(body)
    assert (answered, error["code"]) == (status, code)
    assert word in error["message"]
    assert "let a WebSocket library" in error["message"] or "send less" in error["message"], "it says what to do"
    assert running.metric("throughline_refusals_total", code=code.name.lower(), entrance="listener") == 1
    await until(lambda: not running.gateway.open_connections)


async def test_a_refused_handshake_repeats_little_of_what_came(running: Running) -> None:
    """The engine's own words have the header whole."""
    headers = UPGRADE + VERSION + b"Sec-WebSocket-Key: " + b"x" * 5000 + b"\r\n\r\n"
    status, body = await raw(running, b"GET /v1/agent HTTP/1.1\r\n" + headers)
    assert status == 400
    assert len(body) < 400


@pytest.mark.parametrize("path", ["/v1/agent", "/v1/gateway"])
async def test_a_handshake_that_a_proxy_made_a_plain_request_is_told_so(running: Running, path: str) -> None:
    """The token is in `hello`, so to ask for one would say nothing of what is wrong."""
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n".encode()
    status, body = await raw(running, request + KEY + VERSION + b"\r\n")
    error = json.loads(body)
    assert (status, error["code"]) == (400, Code.UNSUPPORTED_PROTOCOL)
    assert "proxy" in error["message"]


async def test_each_answer_of_the_listener_is_counted(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A head too long, one too slow, a connection too many, a broken handshake."""
    monkeypatch.setattr(bounded, "HEAD_WITHIN_S", 0.02)
    running = await start(http=Http(port=0, connections_max=1, header_bytes_max=1024))

    def counted(code: str) -> float:
        return running.metric("throughline_refusals_total", code=code, entrance="listener")

    async with running.agent():
        assert (await raw(running, b""))[0] == 503
    assert counted("too_many_connections") == 1
    await until(lambda: not running.gateway.open_connections)
    assert (await raw(running, b"GET / HTTP/1.1\r\nX-Long: " + b"x" * 2000))[0] == 431
    assert counted("too_large") == 1
    await until(lambda: not running.gateway.open_connections)
    assert (await raw(running, b"GET / HT"))[0] == 408
    assert counted("malformed") == 1
    await until(lambda: not running.gateway.open_connections)
    upgrade = b"Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    assert (await raw(running, b"GET /v1/agent HTTP/1.1\r\n" + upgrade))[0] == 400
    assert counted("malformed") == 2


UNFINISHED = bytes([0x81, 0x80 | 127]) + (1_000_000).to_bytes(8, "big") + bytes(4)
"""The head of a masked text frame (RFC 6455 §5.2)."""


async def stranger(running: Running) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """One who opened a WebSocket and said no `hello`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", running.gateway.port)
    writer.write(b"GET /v1/agent HTTP/1.1\r\n" + UPGRADE + KEY + VERSION)
    writer.write(b"Sec-WebSocket-Protocol: throughline.v1.json\r\n\r\n")
    async with asyncio.timeout(DEADLINE_S):
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
    return reader, writer


async def test_what_strangers_send_before_a_hello_is_bounded(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them together, and no longer than they are there; whoever is known counts for nothing."""
    monkeypatch.setattr(bounded, "UNPROVEN_BYTES_MAX", 100_000)
    async with running.agent() as known:
        for _ in range(3):
            two = [await stranger(running), await stranger(running)]
            for _, writer in two:
                writer.write(UNFINISHED + b"x" * 60_000)
            ends = [asyncio.ensure_future(reader.read()) for reader, _ in two]
            async with asyncio.timeout(DEADLINE_S):
                done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            assert len(done) == 1
            for _, writer in two:
                writer.close()
            await asyncio.gather(*ends, return_exceptions=True)
            await until(lambda: running.gateway.open_connections == 1)
        assert running.metric("throughline_refusals_total", code="overloaded", entrance="listener") == 3
        await known.send({"op": "watch", "conversation": "x" * 150_000, "ref": "r"})
        assert (await known.next("error"))["ref"] == "r"


async def test_what_was_not_finished_is_let_go_with_its_connection(running: Running) -> None:
    """Not when the interpreter next looks for circles, which goes by how many objects there are."""
    _, writer = await stranger(running)
    sockets = [each for each in gc.get_objects() if type(each) is bounded.BoundedWebSocket]
    [held] = [each for each in sockets if not each.disconnected]
    writer.write(UNFINISHED + b"x" * 500_000)
    await until(lambda: len(held.conn.reader.buffer) > 400_000)
    writer.close()
    await until(lambda: not running.gateway.open_connections)
    assert not held.conn.reader.buffer
