"""The load generator's WebSocket, against `websockets`' own server."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Any

import msgpack
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.http11 import Request, Response

from benchmarks.figures.ledger import Ledger
from benchmarks.inputs.traffic import Order
from benchmarks.load.crowd import Seat
from benchmarks.load.gateway_client import GatewayClient, Pushes
from benchmarks.load.pushing import Shape
from benchmarks.load.wire import SUBPROTOCOL, Hear, Refused, Wire, greet, open_wire

Handle = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def _wire(handle: Handle) -> AsyncIterator[Wire]:
    """A wire to a server that does `handle` with it."""
    async with serve(handle, "127.0.0.1", 0) as server:
        wire = await open_wire(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        yield wire
        await wire.close()


async def _echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def _abort(connection: ServerConnection) -> None:
    """Breaks off without a goodbye, once something was said."""
    await connection.recv()
    connection.transport.abort()


async def test_what_was_read_before_is_not_heard_again() -> None:
    """Messages come in order: the first ones to who reads, all the others to who listens."""
    async with _wire(_echo) as wire:
        for number in range(3):
            wire.write({"number": number})
        assert await wire.read() == {"number": 0}
        heard: list[Any] = []
        done = asyncio.Event()

        def hear(message: Any) -> None:
            heard.append(message)
            if message == {"number": 3}:
                done.set()

        listening = asyncio.create_task(wire.listen(hear))
        wire.write({"number": 3})
        await done.wait()
        assert heard == [{"number": 1}, {"number": 2}, {"number": 3}]
        await wire.close()
        await listening


async def test_a_message_in_several_frames_is_one() -> None:
    """The parts are put together, and a long message comes whole."""
    long = msgpack.packb(["x" * 300_000])

    async def in_parts(connection: ServerConnection) -> None:
        await connection.send([long[:1], long[1:7], long[7:]])
        await connection.send(msgpack.packb("next"))
        await connection.wait_closed()

    async with _wire(in_parts) as wire:
        assert await wire.read() == ["x" * 300_000]
        assert await wire.read() == "next"


async def test_a_handshake_that_is_refused_says_with_what_status() -> None:
    """As `websockets` says it, which `options.run` shows to who runs the benchmark."""

    def refuse(connection: ServerConnection, _: Request) -> Response:
        return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "full\n")

    async with serve(_echo, "127.0.0.1", 0, process_request=refuse) as server:
        with pytest.raises(InvalidStatus, match="503"):
            await open_wire(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/")


async def test_nobody_there_is_an_error_of_the_system() -> None:
    """A port on which nobody listens."""
    async with serve(_echo, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
    with pytest.raises(OSError, match=r"refused|Connect call failed"):
        await open_wire(f"ws://127.0.0.1:{port}/")


async def test_an_end_that_is_no_goodbye_is_raised() -> None:
    """To who reads and to who listens: a load must not end as if all were well."""
    async with _wire(_abort) as wire:
        wire.write("bye")
        with pytest.raises((ConnectionClosedError, OSError)):
            await wire.listen(lambda message: None)
        with pytest.raises((ConnectionClosedError, OSError)):
            await wire.read()


async def test_what_who_hears_raises_ends_the_connection() -> None:
    """And comes out of `listen`."""

    def hear(message: Any) -> None:
        raise ValueError(message)

    async with _wire(_echo) as wire:
        wire.write("unheard of")
        with pytest.raises(ValueError, match="unheard of"):
            await wire.listen(hear)


async def test_a_server_that_says_goodbye_ends_it_in_good_order() -> None:
    """Nothing is raised then."""

    async def leave(connection: ServerConnection) -> None:
        await connection.close()

    async with _wire(leave) as wire:
        await asyncio.wait_for(wire.listen(lambda message: None), 5)


def _seat(wire: Wire) -> Hear:
    return Seat(wire).hear


def _gateway_client(wire: Wire) -> Hear:
    return GatewayClient(Pushes(lambda number: {}, Order(first=0, seed=0), Ledger(), Shape()), wire, 1).hear


@pytest.mark.parametrize(
    ("who", "question"),
    [
        (_seat, {"op": "heads", "heads": {}}),
        (_gateway_client, {"op": "ping"}),
        (_gateway_client, {"op": "deliver", "delivery": "d", "attempt": 1}),
    ],
)
async def test_a_goodbye_in_the_same_read_as_a_question_ends_it_in_good_order(
    who: Callable[[Wire], Hear], question: dict[str, Any]
) -> None:
    """Nobody waits for the answer any more, and nothing of the load is lost by that."""

    async def leave(connection: ServerConnection) -> None:
        connection.protocol.send_binary(msgpack.packb(question))
        connection.protocol.send_close(1000)
        connection.transport.write(b"".join(connection.protocol.data_to_send()))
        await connection.wait_closed()

    heard: list[Any] = []
    async with _wire(leave) as wire:
        hear = who(wire)

        def hear_and_note(message: Any) -> None:
            heard.append(message)
            hear(message)

        await asyncio.wait_for(wire.listen(hear_and_note), 5)
    assert heard == [question]


async def test_what_is_written_after_the_end_is_said_to_be_lost() -> None:
    """Who writes counts it as sent; only after a goodbye of our own nobody is owed anything."""
    async with _wire(_abort) as wire:
        wire.write("bye")
        with pytest.raises((ConnectionClosedError, OSError)):
            await wire.read()
        with pytest.raises((ConnectionClosedError, OSError)):
            wire.write("lost")
    async with _wire(_echo) as wire:
        await wire.close()
        wire.write({"op": "pong"})


async def test_what_is_written_after_the_server_s_goodbye_is_said_to_be_lost() -> None:
    """Also where the end itself was in good order."""

    async def leave(connection: ServerConnection) -> None:
        await connection.close()

    async with _wire(leave) as wire:
        await wire.listen(lambda message: None)
        with pytest.raises(ConnectionClosedError):
            wire.write("lost")


@pytest.mark.parametrize(
    ("answer", "error"),
    [(b"", TimeoutError), (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", InvalidStatus)],
)
async def test_a_handshake_that_fails_leaves_nothing_open(
    answer: bytes, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether no answer comes in time, or it is a no by a server that holds on to the connection."""
    monkeypatch.setattr("benchmarks.load.wire.OPEN_TIMEOUT_S", 0.2)
    over = asyncio.Event()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        with suppress(ConnectionResetError):
            await reader.read()
        over.set()
        writer.close()

    async with await asyncio.start_server(hold, "127.0.0.1", 0) as server:
        with pytest.raises(error):
            await open_wire(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        await asyncio.wait_for(over.wait(), 5)


async def test_a_hello_that_is_refused_leaves_nothing_open() -> None:
    """Though the server waits for another one."""
    over = asyncio.Event()

    async def refuse(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send(msgpack.packb({"op": "error", "code": 4010, "message": "unknown token"}))
        await connection.wait_closed()
        over.set()

    async with serve(refuse, "127.0.0.1", 0, subprotocols=[SUBPROTOCOL]) as server:
        with pytest.raises(Refused, match="4010 unknown token"):
            await greet(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", "/v1/agent", token="x", name="one")
        await asyncio.wait_for(over.wait(), 5)
