"""A WebSocket's bounds: its handshake, and what strangers send."""

import asyncio
import gc
import json

import pytest

from orchestrator.gateway.bounded import websocket
from protocol.errors import Code
from tests.orchestrator.gateway.clients import DEADLINE_S
from tests.orchestrator.gateway.conftest import Running, raw, until

KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
VERSION = b"Sec-WebSocket-Version: 13\r\n"
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


async def test_a_websocket_waits_for_its_client_from_where_uvicorn_lets_it(running: Running) -> None:
    """HTTP waits earlier, since its answers are counted; frames have a queue."""
    async with running.agent():
        [connection] = running.gateway._listener.server_state.connections
        assert connection.transport.get_write_buffer_limits()[1] == 64 * 1024


@pytest.mark.parametrize("path", ["/v1/agent", "/v1/gateway"])
async def test_a_handshake_that_a_proxy_made_a_plain_request_is_told_so(running: Running, path: str) -> None:
    """The token is in `hello`, so to ask for one would say nothing of what is wrong."""
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n".encode()
    status, body = await raw(running, request + KEY + VERSION + b"\r\n")
    error = json.loads(body)
    assert (status, error["code"]) == (400, Code.UNSUPPORTED_PROTOCOL)
    assert "proxy" in error["message"]


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
    monkeypatch.setattr(websocket, "UNPROVEN_BYTES_MAX", 100_000)
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
    sockets = [each for each in gc.get_objects() if type(each) is websocket.BoundedWebSocket]
    [held] = [each for each in sockets if not each.disconnected]
    writer.write(UNFINISHED + b"x" * 500_000)
    await until(lambda: len(held.conn.reader.buffer) > 400_000)
    writer.close()
    await until(lambda: not running.gateway.open_connections)
    assert not held.conn.reader.buffer
