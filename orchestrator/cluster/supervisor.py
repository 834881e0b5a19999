"""The supervisor: the process the operator started. Holds the data folder, keeps a node running, ends everything.

    lock → end what a killed predecessor left → node → ready → (node gone → clean → node)* → drain → nothing is left

It never imports Ray, so nothing of Ray's can take it down; all it needs of a node is a pipe to it, a pipe from it, and
the mark that every process below carries.
"""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import structlog
from msgspec import Struct

from adapters.stores.folder import check_folder
from orchestrator.cluster import leftovers
from orchestrator.cluster.data_folder import locked, mark_of
from orchestrator.cluster.logs import log_to
from orchestrator.cluster.node_process import NodeProcess
from orchestrator.cluster.run_folder import run_folder, write_settings
from orchestrator.cluster.server_file import ServerFile
from orchestrator.data_layout import LOGS
from orchestrator.policy.first import lines_of
from orchestrator.policy.former_lines import note_lines
from orchestrator.policy.kept import check_policy
from orchestrator.settings import Settings, SettingsError
from orchestrator.settings.addresses import ListenError, check_addresses
from protocol.errors import ThroughlineError

_log = structlog.get_logger(__name__)

PARTS = "orchestrator.parts.building:build"
"""What builds the parts of each process; see `orchestrator.cluster.part.Build`."""

STOP_S_MAX = 4.0
"""What the end may take after the drain's own limit: Ray's stop takes 1.2 s. Then all is killed, so that with the
default drain of 5 s a stop stays under 10 s."""

FAILURES_MAX = 5
"""Nodes in a row that never got ready; then the supervisor gives up and says where to look."""
AGAIN_AFTER_S = 0.1
AGAIN_AFTER_MAX_S = 5.0
"""Between a node's end and the next: doubled with each failure in a row."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class CannotServe(ThroughlineError):
    """The server did not start, and would not on another try; the message says why."""


class Serving(Struct, frozen=True):
    """What a server is made of once every process serves."""

    facts: dict[str, dict[str, str | int]]
    """By process: its `pid`, and what its part says, such as the gateway's `port`."""
    vital: dict[str, int]
    """The pids of Ray's own vital processes, by program."""
    node: int
    """The node's pid."""


def serve(settings: Settings, *, on_ready: Callable[[Serving], None], build: str = PARTS) -> None:
    """Serves until SIGINT, SIGTERM or SIGHUP, then drains and stops; returns when nothing of the server is left.

    `on_ready` is called at the start, and again each time everything was rebuilt. Raises `DataFolderInUse`,
    `StoreError` for stores that this version cannot work on, `Unwritable`, and `CannotServe`.
    """
    data = Path(settings.data).resolve()
    settings = msgspec.structs.replace(settings, data=str(data))
    with locked(data):
        log_to(data / LOGS / "supervisor.log", settings.log_level)
        mark = mark_of(data)
        if left := leftovers.end(mark):
            _log.warning("supervisor.leftovers_ended", processes=left)
        # Known in milliseconds here, and only after Ray's start by whoever opens the files.
        check_folder(data)
        check_policy(data)
        try:
            check_addresses(settings)
        except (ListenError, SettingsError) as exc:
            raise CannotServe(str(exc)) from exc
        note_lines(data, lines_of(settings))
        with run_folder(mark) as run:
            write_settings(run, settings)
            file = ServerFile(data, run)

            def announce(serving: Serving) -> None:
                file.write(settings, int(serving.facts["gateway"].get("port", settings.http.port)))
                on_ready(serving)

            try:
                asyncio.run(_Supervisor(settings, run, mark, build, announce).run())
            finally:
                file.remove()


class _Supervisor:
    def __init__(
        self, settings: Settings, run: Path, mark: str, build: str, on_ready: Callable[[Serving], None]
    ) -> None:
        self._drain_s = settings.limits.drain_s
        self._logs = Path(settings.data) / LOGS
        self._run = run
        self._mark = mark
        self._build = build
        self._on_ready = on_ready
        self._asked_to_end = asyncio.Event()

    async def run(self) -> None:
        """Node after node, until asked to end. Raises `CannotServe`."""
        failures = 0
        with _set_by_signals(self._asked_to_end):
            while not self._asked_to_end.is_set():
                node = await NodeProcess.start(self._run, self._mark, self._build, errors=self._logs / "node.err")
                try:
                    await self._stay_with(node)
                finally:
                    # However it ended; and before another one starts, which needs the same sockets and locks.
                    await asyncio.to_thread(leftovers.end, self._mark)
                if node.hopeless:
                    raise CannotServe(node.hopeless)
                if self._asked_to_end.is_set():
                    break
                failures = 0 if node.ready.is_set() else failures + 1
                _log.error("supervisor.node_ended", code=await node.ended(), failures=failures)
                if failures >= FAILURES_MAX:
                    raise CannotServe(f"the server's processes failed to start {failures} times; see {self._logs}")
                await self._pause(min(AGAIN_AFTER_S * 2**failures, AGAIN_AFTER_MAX_S))
        _log.info("supervisor.stopped")

    async def _stay_with(self, node: NodeProcess) -> None:
        """Until the node ended, by itself or because we are asked to; then within the limits of a stop."""
        ended = asyncio.create_task(node.ended())
        asked = asyncio.create_task(self._asked_to_end.wait())
        ready = asyncio.create_task(node.ready.wait())
        try:
            await asyncio.wait({ended, asked, ready}, return_when=asyncio.FIRST_COMPLETED)
            if ready.done() and not asked.done():
                _log.info("supervisor.ready", facts=node.facts)
                self._on_ready(Serving(dict(node.facts), node.vital, node.pid))
                await asyncio.wait({ended, asked}, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                node.drain()
                await asyncio.wait({ended}, timeout=self._drain_s + STOP_S_MAX)
        finally:
            for task in (ended, asked, ready):
                task.cancel()

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._asked_to_end.wait(), seconds)


@contextlib.contextmanager
def _set_by_signals(event: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, event.set)
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
