"""Hosts: the node's end of its lines to the processes (see `asked.py` for what goes over them)."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, assert_never

import structlog

from actors.seats.seating import Wanted
from orchestrator.cluster.asked import (
    LINE_BYTES_MAX,
    SOCKET,
    Begins,
    Count,
    Counted,
    Drain,
    FromHost,
    Serves,
    Wants,
    from_host,
    line_of,
)

_log = structlog.get_logger("orchestrator.cluster.hosts")


class NotServing(ConnectionError):
    """The process is not there to be asked: it starts, or has just died."""


class Hosts:
    """All processes that serve. `begins` hears of each life that begins, `serves` of each that serves and its facts."""

    def __init__(
        self,
        run_folder: Path,
        *,
        begins: Callable[[str], None],
        serves: Callable[[str, dict[str, str | int]], None],
    ) -> None:
        self._path = run_folder / SOCKET
        self._begins = begins
        self._serves = serves
        self._lines: dict[str, _HostLine] = {}
        self._wanted: Wanted | None = None
        self._wants = asyncio.Event()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listens; processes dial once they serve, so this comes before the first is created."""
        self._server = await asyncio.start_unix_server(self._hear, self._path, limit=LINE_BYTES_MAX)

    async def close(self) -> None:
        """Listens no more; processes that are connected stay so until they end."""
        if self._server is not None:
            self._server.close()

    async def figures(self, name: str) -> dict[str, Any]:
        """What the process counts. Raises `NotServing`; waits where it hangs."""
        return await self._line(name).figures()

    async def drain(self, name: str, *, within_s: float | None = None) -> None:
        """Asks the process to drain; returns when it has ended, is not there, or `within_s` is over."""
        with contextlib.suppress(NotServing, TimeoutError):
            async with asyncio.timeout(within_s):
                await self._line(name).drain()

    async def wanted(self) -> Wanted:
        """The usher's newest word that was not given yet; of several that came meanwhile only the last counts."""
        while self._wanted is None:
            self._wants.clear()
            await self._wants.wait()
        wanted, self._wanted = self._wanted, None
        return wanted

    def _line(self, name: str) -> "_HostLine":
        if (line := self._lines.get(name)) is None:
            raise NotServing(name)
        return line

    async def _hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = _HostLine(writer)
        name = ""
        try:
            while said := await reader.readline():
                message = from_host(said)
                if isinstance(message, Serves):
                    name = message.process
                    self._lines[name] = line
                self._take(line, message)
        except (OSError, ValueError) as exc:
            # Half a line of one that was killed, or more than a line may hold.
            _log.warning("hosts.line_broke", name=name, reason=str(exc))
        finally:
            line.over()
            if self._lines.get(name) is line:
                del self._lines[name]

    def _take(self, line: "_HostLine", message: FromHost) -> None:
        match message:
            case Begins():
                self._begins(message.process)
            case Serves():
                self._serves(message.process, message.facts)
            case Counted():
                line.counted(message.figures)
            case Wants():
                self._wanted = message.wanted
                self._wants.set()
            case _:
                assert_never(message)


class _HostLine:
    """The line to one life of a process."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._asked: asyncio.Future[dict[str, Any]] | None = None
        """The one question that is under way: one that hangs is not asked again and again."""
        self._ended = asyncio.Event()

    async def figures(self) -> dict[str, Any]:
        if self._asked is None:
            self._asked = asyncio.get_running_loop().create_future()
            self._writer.write(line_of(Count()))
        return await asyncio.shield(self._asked)

    async def drain(self) -> None:
        self._writer.write(line_of(Drain()))
        await self._ended.wait()

    def counted(self, figures: dict[str, Any]) -> None:
        asked, self._asked = self._asked, None
        if asked is not None:
            asked.set_result(figures)

    def over(self) -> None:
        asked, self._asked = self._asked, None
        if asked is not None:
            asked.set_exception(NotServing("it ended"))
            asked.exception()  # Whoever asked may have given up; then nobody else takes note of it.
        self._writer.close()
        self._ended.set()
