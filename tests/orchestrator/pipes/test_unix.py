"""Pipes over real Unix sockets: batches, reconnects, new lives, and peers that break the rules."""

import asyncio
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from actors.lines import Line
from orchestrator.pipes.unix import Dialer, Listener
from protocol.links import AnyLink, HeadIs, SnapshotTaken
from protocol.pipe import PipeEnd


class Owner:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.freshness: list[bool] = []
        self.heard: list[AnyLink] = []
        self.closings = 0
        self.changed = asyncio.Event()

    def opened(self, line: Line, *, fresh: bool) -> None:
        self.lines.append(line)
        self.freshness.append(fresh)
        self.changed.set()

    def received(self, line: Line, message: AnyLink) -> None:
        self.heard.append(message)
        self.changed.set()

    def closed(self, line: Line) -> None:
        self.closings += 1
        self.changed.set()

    def broke(self, exc: Exception) -> None:
        raise AssertionError("nothing here breaks") from exc

    async def until(self, condition: Callable[[], object]) -> None:
        """Waits, a change at a time, until the condition holds."""
        async with asyncio.timeout(5):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


async def test_messages_arrive_in_order_and_survive_a_reconnect(tmp_path: Path) -> None:
    """What was said while the wire was down comes after it, once."""
    server, client = Owner(), Owner()
    listener = Listener(tmp_path / "s", "journal", "1", server)
    await listener.start()
    dialer = Dialer(tmp_path / "s", "cell:0", "1", client)
    dialer.start()
    await client.until(lambda: client.lines)
    for n in range(100):
        client.lines[-1].send(HeadIs(n))
    await server.until(lambda: len(server.heard) == 100)
    assert server.lines[0].peer == "cell:0"
    for wire in list(listener._wires):
        wire.close()
    await client.until(lambda: client.closings == 1)
    client.lines[-1].send(HeadIs(100))
    await server.until(lambda: len(server.heard) == 101)
    assert [m.position for m in server.heard if isinstance(m, HeadIs)] == list(range(101))
    assert client.freshness == [True, False]
    await dialer.stop()
    await listener.stop()


async def test_a_new_life_at_the_same_address_is_said(tmp_path: Path) -> None:
    """A listener that died leaves its socket behind; the next life takes the address and is fresh."""
    first, second, client = Owner(), Owner(), Owner()
    listener = Listener(tmp_path / "s", "cell:0", "1", first)
    await listener.start()
    dialer = Dialer(tmp_path / "s", "gateway:0", "1", client)
    dialer.start()
    await client.until(lambda: client.lines)
    await listener.stop()
    again = Listener(tmp_path / "s", "cell:0", "2", second)
    await again.start()
    await client.until(lambda: len(client.lines) == 2)
    assert client.freshness == [True, True]
    await dialer.stop()
    await again.stop()


async def test_a_turns_messages_beyond_a_blob_leave_as_several(tmp_path: Path) -> None:
    """However much is said in one turn, it arrives."""
    server, client = Owner(), Owner()
    listener = Listener(tmp_path / "s", "archive", "1", server)
    await listener.start()
    dialer = Dialer(tmp_path / "s", "cell:0", "1", client)
    dialer.start()
    await client.until(lambda: client.lines)
    for n in range(80):
        client.lines[-1].send(SnapshotTaken("cu", n, bytes(1024 * 1024)))
    await server.until(lambda: len(server.heard) == 80)
    assert [m.position for m in server.heard if isinstance(m, SnapshotTaken)] == list(range(80))
    await dialer.stop()
    await listener.stop()


async def test_an_answer_to_a_former_life_reaches_nobody(tmp_path: Path) -> None:
    """Refs are counted anew in each life: what a dead peer asked must not answer the next one."""
    server, first, second = Owner(), Owner(), Owner()
    listener = Listener(tmp_path / "s", "cell:0", "1", server)
    await listener.start()

    def has(owner: Owner, lines: int) -> bool:
        return len(owner.lines) == lines

    for incarnation, owner in (("1", first), ("2", second)):
        dialer = Dialer(tmp_path / "s", "gateway:0", incarnation, owner)
        dialer.start()
        await owner.until(partial(has, owner, 1))
        await server.until(partial(has, server, int(incarnation)))
        if owner is first:
            await dialer.stop()
    server.lines[0].send(HeadIs(1))
    server.lines[1].send(HeadIs(2))
    await second.until(lambda: second.heard)
    assert second.heard == [HeadIs(2)]
    await dialer.stop()
    await listener.stop()


async def test_an_owner_that_raises_is_told_and_hears_no_more(tmp_path: Path) -> None:
    """A message that was not taken whole is lost, so its owner must end and not go on."""

    class Breaking(Owner):
        broken: Exception | None = None

        def received(self, line: Line, message: AnyLink) -> None:
            super().received(line, message)
            raise ValueError("a bug")

        def broke(self, exc: Exception) -> None:
            self.broken = exc

    server, client = Breaking(), Owner()
    listener = Listener(tmp_path / "s", "cell:0", "1", server)
    await listener.start()
    dialer = Dialer(tmp_path / "s", "gateway:0", "1", client)
    dialer.start()
    await client.until(lambda: client.lines)
    client.lines[-1].send(HeadIs(1))
    client.lines[-1].send(HeadIs(2))
    await server.until(lambda: server.heard)
    assert isinstance(server.broken, ValueError)
    assert len(server.heard) == 1
    await dialer.stop()
    await listener.stop()


async def test_a_stranger_that_breaks_the_rules_is_cut_off(tmp_path: Path) -> None:
    """Garbage and endless blobs end the connection; the listener serves on."""
    owner = Owner()
    listener = Listener(tmp_path / "s", "cell:0", "1", owner)
    await listener.start()
    for garbage in (b"\x00\x00\x00\x02hi", b"\xff\xff\xff\xff", b"\x00\x00\x00\x11\x02" + bytes(16)):
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
        writer.write(garbage)
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        writer.close()
    assert owner.lines == []
    await listener.stop()


async def test_the_socket_is_its_owners_alone(tmp_path: Path) -> None:
    """Nobody else may connect."""
    listener = Listener(tmp_path / "s", "cell:0", "1", Owner())
    await listener.start()
    assert (tmp_path / "s").stat().st_mode & 0o077 == 0
    probe = socket.socket(socket.AF_UNIX)
    probe.connect(str(tmp_path / "s"))
    probe.close()
    await listener.stop()


async def test_a_bug_while_it_dials_breaks_the_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody would dial again, and all that is asked over the line would wait."""
    owner = Owner()
    heard: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
    monkeypatch.setattr(owner, "broke", heard.set_result)
    dialer = Dialer(Path("\ud800"), "gateway:0", "1", owner)
    dialer.start()
    async with asyncio.timeout(5):
        assert isinstance(await heard, ValueError)
    await dialer.stop()


class Ending(Owner):
    """Keeps the bugs it is told of."""

    def __init__(self) -> None:
        super().__init__()
        self.bugs: list[Exception] = []

    def broke(self, exc: Exception) -> None:
        self.bugs.append(exc)
        self.changed.set()


async def test_what_cannot_be_carried_ends_its_sender(tmp_path: Path) -> None:
    """It leaves in a turn of its own, where a loop would only log it, and all that was said with it be lost."""
    server, client = Owner(), Ending()
    listener = Listener(tmp_path / "s", "cell:0", "1", server)
    await listener.start()
    dialer = Dialer(tmp_path / "s", "gateway:0", "1", client)
    dialer.start()
    await client.until(lambda: client.lines)
    client.lines[0].send(HeadIs(2**70))
    await client.until(lambda: client.bugs)
    assert isinstance(client.bugs[0], OverflowError)
    await dialer.stop()
    await listener.stop()


@pytest.mark.parametrize("call", ["receive", "connected", "disconnected"])
async def test_a_bug_of_the_pipe_itself_ends_its_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """A loop would log it, and a wire that is made anew meet it again, for ever."""

    def broken(self: PipeEnd, *args: object) -> None:
        raise ValueError("a bug")

    server, client = Ending(), Ending()
    listener = Listener(tmp_path / "s", "cell:0", "1", server)
    await listener.start()
    dialer = Dialer(tmp_path / "s", "gateway:0", "1", client)
    if call == "disconnected":
        dialer.start()
        await server.until(lambda: server.lines)
        monkeypatch.setattr(PipeEnd, call, broken)
        await listener.stop()
    else:
        monkeypatch.setattr(PipeEnd, call, broken)
        dialer.start()
    # The one that dials says its hello first; the other end hears it.
    broken_end = server if call == "receive" else client
    await broken_end.until(lambda: broken_end.bugs)
    assert str(broken_end.bugs[0]) == "a bug"
    await dialer.stop()
    await listener.stop()
