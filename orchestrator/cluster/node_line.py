"""The node's line: a process's end of it (see `asked.py` for what goes over it)."""

import asyncio
import contextlib
from pathlib import Path
from typing import assert_never

import structlog

from actors.seats.seating import Wanted
from orchestrator.cluster.asked import (
    LINE_BYTES_MAX,
    SOCKET,
    Begins,
    Count,
    Counted,
    Drain,
    Serves,
    Wants,
    line_of,
    to_host,
)
from orchestrator.cluster.part import Part

_log = structlog.get_logger(__name__)


class NodeLine:
    """From `open` on the process counts as begun; from `serves` on as serving, and answers the node; at `close` it
    counts as ended."""

    def __init__(self, process: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._draining: asyncio.Task[None] | None = None
        self._answering: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, run_folder: Path, process: str) -> "NodeLine":
        """Dials, and says that it begins. Raises `OSError` where there is no node."""
        reader, writer = await asyncio.open_unix_connection(run_folder / SOCKET, limit=LINE_BYTES_MAX)
        writer.write(line_of(Begins(process)))
        return cls(process, reader, writer)

    def serves(self, part: Part, facts: dict[str, str | int]) -> None:
        """Says that the part serves, and answers for it from now on."""
        self._writer.write(line_of(Serves(self._process, facts)))
        self._answering = asyncio.create_task(self._answer(part), name="node line")

    def wants(self, wanted: Wanted) -> None:
        """Passes the usher's word on."""
        self._writer.write(line_of(Wants(wanted)))

    async def close(self) -> None:
        """Answers no more."""
        if self._answering is not None:
            self._answering.cancel()
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def _answer(self, part: Part) -> None:
        while asked := await self._reader.readline():
            match message := to_host(asked):
                case Count():
                    self._count(part)
                case Drain():
                    # Beside the answers: an operator sees how far it is.
                    self._draining = asyncio.create_task(self._drain(part), name="drain")
                case _:
                    assert_never(message)

    def _count(self, part: Part) -> None:
        try:
            self._writer.write(line_of(Counted(part.status())))
        except Exception:  # noqa: BLE001 - a bug; without an answer the process counts as hanging
            _log.error("host.status_broke", exc_info=True)

    async def _drain(self, part: Part) -> None:
        try:
            await part.drain()
        except Exception:  # noqa: BLE001 - a bug; the node ends what has not ended in time
            _log.error("host.drain_broke", exc_info=True)
