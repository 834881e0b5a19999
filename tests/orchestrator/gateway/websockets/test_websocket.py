"""The WebSocket door: who gets in, what a connection survives, how it ends."""

import asyncio
import json
import logging
from typing import Any

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from orchestrator.gateway.failures import failed
from orchestrator.gateway.websockets import connection, websocket
from orchestrator.settings import Http
from protocol.errors import Code, Refusal, retryable
from tests.orchestrator.gateway.clients import DEADLINE_S
from tests.orchestrator.gateway.conftest import Running, Start, until
from tests.orchestrator.gateway.fakes import note
from tests.orchestrator.gateway.websockets.test_gateway_clients import event


async def refused(running: Running, path: str = "/v1/agent", **options: Any) -> tuple[int, dict[str, Any]]:
    """A handshake that is refused: its status and body."""
    options = {"subprotocols": ["throughline.v1.msgpack"], "proxy": None, **options}
    with pytest.raises(InvalidStatus) as caught:
        await connect(running.url.replace("http", "ws") + path, **options)
    response = caught.value.response
    return response.status_code, json.loads(response.body)


async def test_a_path_that_is_none_is_not_found(running: Running) -> None:
    """The body says where WebSockets are."""
    status, body = await refused(running, "/v1/nothing")
    assert (status, body["code"]) == (404, Code.NOT_FOUND)


@pytest.mark.parametrize("offered", [[], ["throughline.v9.msgpack", "graphql-ws"]])
async def test_a_subprotocol_is_needed(running: Running, offered: list[str]) -> None:
    """One the server speaks must be among those offered."""
    status, body = await refused(running, subprotocols=offered or None)
    assert (status, body["code"]) == (400, Code.UNSUPPORTED_PROTOCOL)
    assert running.metric("throughline_refusals_total", code="unsupported_protocol", entrance="websocket") == 1


async def test_a_refused_handshake_is_over_for_the_engine_too(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    """Which would otherwise complain of it, as an error of ours."""
    caplog.set_level(logging.WARNING, "uvicorn.error")
    await refused(running, "/v1/nothing")
    await until(lambda: not running.gateway.open_connections)
    assert not caplog.records


async def test_strangers_leave_no_line_in_the_log(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    """Refused handshakes and text that is not UTF-8 are counted; a log that anybody can fill hides what matters."""
    await refused(running, "/v1/nothing")
    await refused(running, subprotocols=None)
    reader, writer = await asyncio.open_connection("127.0.0.1", running.gateway.port)
    writer.write(
        b"GET /v1/agent HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: throughline.v1.json\r\n\r\n"
    )
    async with asyncio.timeout(DEADLINE_S):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"\x81\x81\x00\x00\x00\x00\xff")  # A masked text frame of one byte, 0xff (RFC 6455 §5.2).
        await reader.read()
    writer.close()
    assert [record for record in caplog.records if record.name.startswith(("uvicorn", "websockets"))] == []
    assert running.metric("throughline_refusals_total", code="not_found", entrance="websocket") == 1
    assert running.metric("throughline_refusals_total", code="malformed", entrance="agent") == 1


async def test_another_sites_page_may_not_connect(start: Start) -> None:
    """The server's own origin and the configured ones may; programs send none."""
    running = await start(http=Http(port=0, origins=["https://desk.example.org"]))
    for other in ("https://evil.example.org", "null", "http://["):
        status, body = await refused(running, origin=other)
        assert (status, body["code"]) == (403, Code.BAD_ORIGIN)
    for origin in ("https://desk.example.org", running.url):
        async with running.socket("/v1/agent", origin=origin) as client:
            await client.hello(running.token["agent"])


async def test_the_token_may_come_with_the_request(running: Running) -> None:
    """`Authorization: Bearer` stands in for the token of `hello`."""
    headers = {"Authorization": f"Bearer {running.token['agent']}"}
    async with running.socket("/v1/agent", additional_headers=headers) as client:
        assert (await client.hello(""))["name"] == "agent"


@pytest.mark.parametrize("token", ["", "tl_x", "tl_000000000000_" + "A" * 43])
async def test_a_bad_token_is_unauthenticated(running: Running, token: str) -> None:
    """The connection is closed with the code."""
    async with running.socket("/v1/agent") as client:
        await client.send({"op": "hello", "token": token})
        assert (await client.next("error"))["code"] == Code.UNAUTHENTICATED
        assert await client.close_code() == Code.UNAUTHENTICATED


async def test_a_gateway_clients_token_is_no_agents(running: Running) -> None:
    """Each entrance has its scope."""
    async with running.socket("/v1/agent") as client:
        await client.send({"op": "hello", "token": running.token["chat"]})
        assert await client.close_code() == Code.FORBIDDEN


async def test_hello_must_come_in_time(start: Start) -> None:
    """A connection that says nothing is closed, by a code that has its client come again: a server to which a thousand
    come back at once may be late to read it."""
    running = await start(hello_within_s=0.02)
    async with running.socket("/v1/agent") as client:
        assert await client.close_code() == Code.HEARTBEAT_MISSED
    assert retryable(Code.HEARTBEAT_MISSED)


async def test_hello_comes_first_and_once(running: Running) -> None:
    """Anything else before it, or it again, ends the connection."""
    async with running.socket("/v1/agent") as client:
        await client.send({"op": "pong"})
        assert await client.close_code() == Code.HELLO_EXPECTED
    async with running.agent() as client:
        await client.send({"op": "hello", "token": running.token["agent"]})
        assert await client.close_code() == Code.HELLO_EXPECTED


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"\xc1", Code.MALFORMED),
        (b"", Code.MALFORMED),
        ("text", Code.MALFORMED),
        (msgpack.packb([1]), Code.MALFORMED),
        (msgpack.packb({"op": "fly"}), Code.UNKNOWN_OP),
        (msgpack.packb({"op": "event", "event": {}}), Code.UNKNOWN_OP),
        (msgpack.packb({"op": "watch", "conversation": 1}), Code.MALFORMED),
        (msgpack.packb([{"op": "pong"}] * 5000), Code.TOO_LARGE),
        (b"\x91" * 100_000 + b"\xc0", Code.TOO_LARGE),
        (b"\xc4" + b"\x00" * 1_100_000, Code.TOO_LARGE),
    ],
)
async def test_bad_frames_end_the_connection_with_a_precise_code(
    running: Running, message: bytes | str, code: Code
) -> None:
    """An `error` frame says what was wrong, the close code repeats it, the metrics count it."""
    async with running.agent() as client:
        await client.socket.send(message)
        error = await client.next("error")
        assert error["code"] == code
        assert error["message"]
        assert await client.close_code() == code
    assert running.metric("throughline_refusals_total", code=code.name.lower(), entrance="agent") == 1


async def test_a_message_far_over_the_limit_is_cut_off_by_the_engine(running: Running) -> None:
    """Nothing of that size is ever in memory; the close code is the protocol's own 1009."""
    async with running.agent() as client:
        await client.socket.send(b"\x00" * 3_000_000)
        assert await client.close_code() == 1009
    await until(lambda: running.metric("throughline_refusals_total", code="too_large", entrance="agent") == 1)


async def test_a_json_message_that_is_not_utf8_is_malformed(running: Running) -> None:
    """Also inside a binary message, where the engine does not look."""
    async with running.agent(codec="json") as client:
        await client.socket.send(b'{"op":"watch","conversation":"\xff"}')
        assert await client.close_code() == Code.MALFORMED


async def test_a_bug_gives_a_reference_and_no_traceback(
    running: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The client gets `INTERNAL`, the log the places and none of the words."""

    def broken(*args: object) -> None:
        raise ValueError("the customer's words")

    monkeypatch.setattr(running.gateway._hub, "watch", broken)
    async with running.agent() as client:
        await client.send({"op": "watch", "conversation": "cu1-1"})
        error = await client.next("error")
        assert error["code"] == Code.INTERNAL
        assert "words" not in error["message"]
        assert await client.close_code() == Code.INTERNAL
    log = capsys.readouterr().out
    assert error["ref"] in log
    assert "words" not in log


async def test_the_log_says_which_program_it_was(running: Running) -> None:
    """As it called itself in `hello`, for the operator's eyes."""
    with capture_logs() as logged:
        async with running.socket("/v1/agent") as client:
            await client.hello(running.token["agent"], client="desk 2.1")
        await until(lambda: any(line["event"] == "connection.ended" for line in logged))
    [ended] = [line for line in logged if line["event"] == "connection.ended"]
    assert (ended["name"], ended["client"]) == ("agent", "desk 2.1")


def broken(*args: object, **options: object) -> None:
    """A bug that nobody's frame met."""
    raise ValueError("the customer's words")


@pytest.mark.parametrize(("kind", "bug"), [("agent", "heartbeat"), ("chat", "heartbeat"), ("chat", "answers")])
async def test_a_bug_in_what_is_due_ends_the_connection(
    start: Start, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: str, bug: str
) -> None:
    """A loop would only log it, with its words: an agent would have no heartbeat any more, a client no answer."""
    running = await start(heartbeat_s=0.02 if bug == "heartbeat" else 10.0)
    gateway = running.gateway
    async with running.agent() if kind == "agent" else running.client() as client:
        if bug == "answers":
            monkeypatch.setattr(gateway.metrics.events, "labels", broken)
            await client.send({"op": "event", "event": event("a")})
        else:
            monkeypatch.setattr(gateway._hub, "heads", broken)
            monkeypatch.setattr(gateway._deliveries, "expire", broken)
        error = await client.next("error")
        assert error["code"] == Code.INTERNAL
        assert await client.close_code() == Code.INTERNAL
    log = capsys.readouterr().out
    assert error["ref"] in log
    assert "words" not in log


async def test_a_bug_as_hello_is_missed_ends_the_connection(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would stay, nameless, for as long as the client likes."""
    running = await start(hello_within_s=0.02)
    monkeypatch.setattr(running.gateway.metrics, "refused", broken)
    async with running.socket("/v1/agent") as client:
        assert await client.close_code() == Code.INTERNAL


async def test_stopping_drains_and_then_closes(start: Start) -> None:
    """Who leaves when told is not closed on; who stays is closed with `DRAINING`."""
    running = await start()
    async with running.agent() as polite, running.agent("bob") as stubborn:
        stopping = asyncio.create_task(running.gateway.stop(0.05))
        await polite.next("drain")
        await polite.socket.close()
        await stubborn.next("drain")
        assert (await stubborn.next("error"))["code"] == Code.DRAINING
        assert await stubborn.close_code() == Code.DRAINING
        await stopping


async def test_a_client_that_never_reads_does_not_keep_the_server_from_stopping(start: Start) -> None:
    """Its socket is dropped."""
    running = await start()
    running.cells.write("cu1-1", note(1))
    async with running.agent() as client:
        await client.send({"op": "watch", "conversation": "cu1-1"})
        await client.next("snapshot")
        client.socket.transport.pause_reading()
        while not running.metric("throughline_queue_overflows_total"):
            running.cells.write("cu1-1", note(2, size=60_000))
            await asyncio.sleep(0)
        async with asyncio.timeout(DEADLINE_S):
            await running.gateway.stop(0)


ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
OPS = ("watch", "unwatch", "command", "presence", "pong", "event", "events", "delivered", "x")
FIELDS = ("conversation", "customer", "inbox", "seq", "ref", "id", "command", "state", "event", "events")
FRAMES = st.fixed_dictionaries({"op": st.sampled_from(OPS)}, optional=dict.fromkeys(FIELDS, ODD))
MESSAGES = st.binary(max_size=64) | st.builds(msgpack.packb, FRAMES | st.lists(FRAMES | ODD, max_size=4) | ODD)


@pytest.mark.parametrize("path", ["/v1/agent", "/v1/gateway"])
async def test_random_frames_crash_nothing(running: Running, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """Every message is answered, passed over, or ends its own connection with a code of the table; none meets a bug."""
    token, kind = running.token["agent" if path == "/v1/agent" else "chat"], path.removeprefix("/v1/")
    bugs: list[BaseException] = []

    def noted(exc: BaseException, **more: Any) -> Refusal:
        bugs.append(exc)
        return failed(exc, **more)

    monkeypatch.setattr(websocket, "failed", noted)
    monkeypatch.setattr(connection, "failed", noted)

    async def throw(messages: list[bytes]) -> None:
        async with running.socket(path) as client:
            await client.hello(token)
            for message in messages:
                await client.socket.send(message)
            await client.socket.close()
        await until(lambda: not running.metric("throughline_connections", kind=kind))
        assert bugs == []

    loop = asyncio.get_running_loop()

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
    @given(st.lists(MESSAGES, min_size=1, max_size=5))
    def thrown(messages: list[bytes]) -> None:
        asyncio.run_coroutine_threadsafe(throw(messages), loop).result(DEADLINE_S)

    await asyncio.to_thread(thrown)
    async with running.socket(path) as client:
        await client.hello(token)
