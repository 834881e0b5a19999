"""The lines between the node and its processes, over a real Unix socket: asked, answered, drained, and broken."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from actors.seats.seating import Wanted
from orchestrator.cluster.asked import LINE_BYTES_MAX, SOCKET
from orchestrator.cluster.host import serve_with
from orchestrator.cluster.hosts import Hosts, NotServing
from orchestrator.cluster.node_line import NodeLine


class Counting:
    """A part that answers as the test says."""

    def __init__(self) -> None:
        self.figures: dict[str, object] | None = {"turns": 3}
        self.drains = asyncio.Event()

    async def start(self) -> dict[str, str | int]:
        return {}

    async def run(self) -> None:
        await self.drains.wait()

    async def drain(self) -> None:
        self.drains.set()

    async def stop(self) -> None:
        pass

    def status(self) -> dict[str, object]:
        if self.figures is None:
            raise ValueError("a bug")
        return self.figures


class Serving:
    """What the node heard of who serves, one after the other; and of which lives have begun."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
        self.begun: asyncio.Queue[str] = asyncio.Queue()

    def __call__(self, name: str, facts: dict[str, str | int]) -> None:
        self.heard.put_nowait((name, int(facts["pid"])))


async def served(run: Path, part: Counting, pid: int, process: str = "cell-0") -> NodeLine:
    """A process's end, which serves."""
    line = await NodeLine.open(run, process)
    line.serves(part, {"pid": pid})
    return line


@asynccontextmanager
async def hosts_in(run: Path) -> AsyncIterator[tuple[Hosts, Serving]]:
    """A node's end."""
    serving = Serving()
    hosts = Hosts(run, begins=serving.begun.put_nowait, serves=serving)
    await hosts.open()
    try:
        yield hosts, serving
    finally:
        await hosts.close()


async def test_a_process_says_that_it_serves_and_what_it_counts(tmp_path: Path) -> None:
    """Its facts come with its first word; its figures each time it is asked."""
    part = Counting()
    async with hosts_in(tmp_path) as (hosts, serving):
        line = await served(tmp_path, part, 7)
        assert await serving.heard.get() == ("cell-0", 7)
        assert await hosts.figures("cell-0") == {"turns": 3}
        part.figures = {"turns": 4}
        assert await hosts.figures("cell-0") == {"turns": 4}
        await line.close()


async def test_a_life_is_heard_of_before_it_serves(tmp_path: Path) -> None:
    """So that an end while its part starts counts as its own; it is not asked anything yet."""
    async with hosts_in(tmp_path) as (hosts, serving):
        line = await NodeLine.open(tmp_path, "cell-0")
        assert await serving.begun.get() == "cell-0"
        with pytest.raises(NotServing):
            await hosts.figures("cell-0")
        assert serving.heard.empty()
        line.serves(Counting(), {"pid": 7})
        assert await serving.heard.get() == ("cell-0", 7)
        await line.close()


async def test_who_is_not_there_is_not_waited_for(tmp_path: Path) -> None:
    """Neither one that never came nor one that has gone; a drain of it is done."""
    async with hosts_in(tmp_path) as (hosts, serving):
        with pytest.raises(NotServing):
            await hosts.figures("cell-0")
        line = await served(tmp_path, Counting(), 7)
        await serving.heard.get()
        await line.close()
        await hosts.drain("cell-0")
        with pytest.raises(NotServing):
            await hosts.figures("cell-0")


async def test_a_drain_lasts_until_the_process_ends(tmp_path: Path) -> None:
    """And the process still says what it counts meanwhile."""
    part = Counting()
    async with hosts_in(tmp_path) as (hosts, serving):
        line = await served(tmp_path, part, 7)
        await serving.heard.get()
        drain = asyncio.create_task(hosts.drain("cell-0"))
        await part.drains.wait()
        assert await hosts.figures("cell-0") == {"turns": 3}
        assert not drain.done()
        await line.close()
        await drain


async def test_a_drain_is_waited_for_no_longer_than_asked(tmp_path: Path) -> None:
    """The node goes on to others, and kills who did not end."""
    part = Counting()
    async with hosts_in(tmp_path) as (hosts, serving):
        line = await served(tmp_path, part, 7)
        await serving.heard.get()
        await hosts.drain("cell-0", within_s=0.01)
        await part.drains.wait()
        await line.close()


async def test_one_that_hangs_is_asked_once_and_its_end_is_heard(tmp_path: Path) -> None:
    """However often its figures are wanted, one question is under way; at its end nobody waits any longer."""
    async with hosts_in(tmp_path) as (hosts, serving):
        reader, writer = await asyncio.open_unix_connection(tmp_path / SOCKET)
        writer.write(b'{"said":"serves","process":"cell-0","facts":{"pid":7}}\n')
        await serving.heard.get()
        first = asyncio.create_task(hosts.figures("cell-0"))
        assert await reader.readline() == b'{"asks":"count"}\n'
        first.cancel()
        second = asyncio.create_task(hosts.figures("cell-0"))
        drain = asyncio.create_task(hosts.drain("cell-0"))
        assert await reader.readline() == b'{"asks":"drain"}\n'
        writer.close()
        with pytest.raises(NotServing):
            await second
        await drain


async def test_the_next_life_takes_the_name_over(tmp_path: Path) -> None:
    """The end of the former connection, heard late, does not take the new one away."""
    async with hosts_in(tmp_path) as (hosts, serving):
        former = await served(tmp_path, Counting(), 7)
        assert await serving.heard.get() == ("cell-0", 7)
        line = await served(tmp_path, Counting(), 8)
        assert await serving.heard.get() == ("cell-0", 8)
        await former.close()
        assert await hosts.figures("cell-0") == {"turns": 3}
        await line.close()


async def test_of_several_words_of_the_usher_the_last_counts(tmp_path: Path) -> None:
    """Each says all that is wanted, so that one that was missed is no loss."""
    async with hosts_in(tmp_path) as (hosts, serving):
        line = await served(tmp_path, Counting(), 7, "usher")
        await serving.heard.get()
        line.wants(Wanted([0], []))
        line.wants(Wanted([0, 1], []))
        await hosts.figures("usher")  # Answered behind both.
        assert await hosts.wanted() == Wanted([0, 1], [])
        line.wants(Wanted([0], [1]))
        assert await hosts.wanted() == Wanted([0], [1])
        await line.close()


async def test_a_status_that_raises_is_no_answer_and_no_end(tmp_path: Path) -> None:
    """The process counts as hanging, which ends it; till then it can be drained."""
    part = Counting()
    part.figures = None
    async with hosts_in(tmp_path) as (hosts, serving):
        line = await served(tmp_path, part, 7)
        await serving.heard.get()
        asked = asyncio.create_task(hosts.figures("cell-0"))
        drain = asyncio.create_task(hosts.drain("cell-0"))
        await part.drains.wait()
        assert not asked.done()
        await line.close()
        await drain
        with pytest.raises(NotServing):
            await asked


@pytest.mark.parametrize("words", [b"{}\n", b'{"said":"serves"', b"x" * (2 * LINE_BYTES_MAX)])
async def test_a_line_that_makes_no_sense_is_ended(tmp_path: Path, words: bytes) -> None:
    """A half, a stranger's or one without end: nothing is kept of it, and the others are served."""
    async with hosts_in(tmp_path) as (hosts, serving):
        reader, writer = await asyncio.open_unix_connection(tmp_path / SOCKET)
        writer.write(words)
        writer.write_eof()
        with suppress(ConnectionResetError):  # What was sent beyond the bound is left unread.
            assert await reader.read() == b""
        writer.close()
        line = await served(tmp_path, Counting(), 7)
        assert await serving.heard.get() == ("cell-0", 7)
        assert await hosts.figures("cell-0") == {"turns": 3}
        await line.close()


class Wishing(Counting):
    """A part that wants seats, and breaks over saying which."""

    async def wanted(self, known: int) -> tuple[int, Wanted]:
        raise ValueError("a bug")


async def test_a_part_whose_wishes_are_not_passed_on_ends(tmp_path: Path) -> None:
    """Customers would wait for seats that no node hears of."""
    async with hosts_in(tmp_path):
        line = await NodeLine.open(tmp_path, "usher")
        with pytest.raises(ValueError, match="a bug"):
            async with asyncio.timeout(5):
                await serve_with(Wishing(), {"pid": 7}, line)
        await line.close()
