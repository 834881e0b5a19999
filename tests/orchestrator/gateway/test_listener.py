"""The listener: the port, and the count of what is answered there."""

import json
import resource

import pytest
from structlog.testing import capture_logs

from orchestrator.gateway.bounded import http
from orchestrator.settings import Http
from orchestrator.settings.addresses import ListenError
from protocol.errors import Code
from tests.orchestrator.gateway.conftest import Running, Start, raw, until


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


async def test_a_connection_for_which_no_file_is_left_is_told_so(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the answer that one too many gets, and not by a connection that is closed without a word."""
    monkeypatch.setattr(resource, "getrlimit", lambda what: (2, 2))
    with capture_logs() as logged:
        running = await start()
    (line,) = [each for each in logged if each["event"] == "gateway.fewer_connections"]
    assert (line["wanted"], line["taken"], line["open_files"]) == (10_000, 1, 2)
    async with running.agent():
        status, body = await raw(running, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (status, json.loads(body)["code"]) == (503, Code.TOO_MANY_CONNECTIONS)


async def test_each_answer_of_the_listener_is_counted(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A head too long, one too slow, a connection too many, a broken handshake."""
    monkeypatch.setattr(http, "HEAD_WITHIN_S", 0.02)
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
