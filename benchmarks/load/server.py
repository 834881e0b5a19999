"""A server of the run's own: settings with one chat line, a fresh data folder, `throughline serve` as a subprocess."""

import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
from msgspec import Struct

from benchmarks.figures.processes import Used, used
from benchmarks.inputs import bundle
from orchestrator.cli.exits import Failure
from orchestrator.cli.server import find
from orchestrator.cluster import leftovers
from orchestrator.cluster.data_folder import mark_of

ACCOUNT = "benchmark"
QUEUE = "new"
READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0
SAID_MAX = 2000
"""Characters of the server's last words that are shown."""
_POLL_S = 0.1

_SETTINGS = """\
data = "{data}"
cells = {cells}
durability = "full"
{more}
[[accounts]]
kind = "gateway"
name = "benchmark"
channel = "chat"
queue = "new"

[[accounts]]
kind = "gateway"
name = "past"
channel = "chat"
queue = "past"
"""


class Setup(Struct, frozen=True, kw_only=True):
    """How a server of the run's own is set up. `more` is settings text for the file's top: keys, then tables."""

    folder: Path
    cells: int = 0
    keep: bool = False
    more: str = ""
    fill: Callable[[Path], None] | None = None
    """Writes the stores into the data folder before the server starts."""
    bundle: str = ""
    """The policy that is in force from the start (see `benchmarks.inputs.bundle`); empty: what the settings make."""


class NotServing(Exception):
    """The server did not start; the message has the end of what it said."""


class LiveServer(Struct, frozen=True):
    """A running server. `data` and `pid` are known only of one that the run started itself."""

    url: str
    agent_token: str
    gateway_token: str
    operator_token: str = ""
    data: Path | None = None
    pid: int = 0

    def lines(self, account: str) -> list[str]:
        """The accounts whose deliveries a load for `account` takes, so that what rules ask strangers is sent. None of a
        server that is not ours: there they may be real customers'."""
        return [account] if self.data is not None else []

    def processes(self) -> dict[int, psutil.Process]:
        """All of its processes, Ray's included, by pid; none of a server that is not ours."""
        if self.data is None:
            return {}
        found = {process.pid: process for process in leftovers.ours(mark_of(self.data))}
        return {self.pid: psutil.Process(self.pid)} | found

    def figure(self, name: str) -> dict[str, float]:
        """What each process counts under this name, by its `/metrics`: up to a second old."""
        headers = {"Authorization": f"Bearer {self.operator_token}"}
        text = httpx.get(f"{self.url}/metrics", headers=headers, trust_env=False).raise_for_status().text
        found = re.findall(rf'^throughline_process{{figure="{name}",process="([^"]+)"}} (\S+)$', text, re.MULTILINE)
        return {process: float(value) for process, value in found}

    def used(self) -> Used:
        """The CPU seconds that they have used."""
        return used(self.processes())


@contextmanager
def serving(setup: Setup) -> Iterator[LiveServer]:
    """Starts a server with its data below a folder, and stops it at the end. Raises `NotServing`, and
    `NoBundle` where it does not take the bundle."""
    files = bundle.read(setup.bundle) if setup.bundle else None
    root = Path(tempfile.mkdtemp(prefix="throughline-benchmark-", dir=setup.folder)).resolve()
    try:
        with _served(setup, root) as server:
            if files is not None:
                bundle.apply(server.url, server.operator_token, files, "for a benchmark")
            yield server
    finally:
        if not setup.keep:
            shutil.rmtree(root)


@contextmanager
def _served(setup: Setup, root: Path) -> Iterator[LiveServer]:
    data, said, settings = root / "data", root / "serve.log", root / "throughline.toml"
    settings.write_text(_SETTINGS.format(data=data, cells=setup.cells, more=setup.more), encoding="utf-8")
    if setup.fill is not None:
        setup.fill(data)
    command = [sys.executable, "-m", "orchestrator.cli", "serve", "--settings", str(settings), "--port", "0"]
    with said.open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        yield _ready(process, data, said)
    finally:
        _stop(process, data)


def _ready(process: subprocess.Popen[bytes], data: Path, said: Path) -> LiveServer:
    deadline_s = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline_s and process.poll() is None:
        try:
            running = find(url="", token="", data=data, environ={})
        except Failure:
            time.sleep(_POLL_S)
            continue
        return LiveServer(running.url, running.agent, running.gateway, running.operator, data, process.pid)
    why = f"did not serve within {READY_TIMEOUT_S:.0f} s" if process.poll() is None else "ended at its start"
    words = said.read_text(encoding="utf-8", errors="replace")
    raise NotServing(f"the server {why}; it said: …{words[-SAID_MAX:]}")


def _stop(process: subprocess.Popen[bytes], data: Path) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        leftovers.end(mark_of(data))
