"""A real server for tests: `throughline serve` in a process of its own, on Ray, with SQLite files in a folder.

Ports are free ones, found at the first start and kept over restarts, so that clients find it again.
"""

import asyncio
import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import SystemRandom

from orchestrator.cluster import leftovers
from orchestrator.cluster.data_folder import mark_of
from orchestrator.tokens import Tokens
from tests.leash import Leash

START_S = 150.0
"""Until a start counts as failed: Ray takes 4 s on an idle machine, and tests may share theirs with others. One that
fails says so at once."""
STOP_S = 20.0
"""Until a stop counts as failed: the server gives itself 9."""

RUNNING: set[str] = set()
"""The marks of the servers that this test run has started and not ended: what they use of the machine is no other's."""

SETTINGS = """
data = "{data}"
durability = "{durability}"
log_level = "debug"
[http]
port = {http}
[policy]
backoff_s = 0.2
[[accounts]]
kind = "email"
name = "mail"
address = "support@throughline.example"
listen = "127.0.0.1:{smtp}"
relay = "127.0.0.1:{relay}"
[[accounts]]
kind = "twilio"
name = "sms"
number = "+447700900000"
account_sid = "ACdemo00000000000000000000000000demo"
auth_token = "demo-auth-token"
api = "http://127.0.0.1:{twilio}"
public_url = "http://127.0.0.1:{http}"
[[accounts]]
kind = "gateway"
name = "chat"
channel = "chat"
trusted = true
"""


GIVEN_TO_NOBODY = range(20_000, 32_768)
"""Below what Linux gives out (`ip_local_port_range`, from 32768 on), and macOS (from 49152 on)."""


class LiveServer:
    """One server and what a client needs to know of it. `folder` holds its settings and data.

    Whatever ends the test run ends the server.
    """

    def __init__(self, folder: Path, *, durability: str = "full") -> None:
        self.folder = folder
        self.data = folder / "data"
        self.http_port, self.smtp_port, self.relay_port, self.twilio_port = _free_ports(4)
        self.url = f"http://127.0.0.1:{self.http_port}"
        self._settings = folder / "throughline.toml"
        self._settings.write_text(
            SETTINGS.format(
                data=self.data,
                durability=durability,
                http=self.http_port,
                smtp=self.smtp_port,
                relay=self.relay_port,
                twilio=self.twilio_port,
            )
        )
        self.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Lasting tokens: those a server prints are fresh at each start.
        tokens = Tokens(self.data / "tokens.json", now_ms=lambda: time.time_ns() // 1_000_000)
        self.agent_token = tokens.create(["agent"], "ann")[0]
        self.gateway_token = tokens.create(["gateway:*"], "loader")[0]
        self.operator_token = tokens.create(["operator"], "olga")[0]
        self._process: subprocess.Popen[str] | None = None
        self._leash: Leash | None = None

    @property
    def pids(self) -> dict[str, int]:
        """The processes that run now, by name (`journal`, `cell-0`, …): Ray titles them so. They change when one dies,
        and all of them when another test had the server rebuilt."""
        titles = {each.pid: (each.cmdline() or [""])[0].split(".")[0] for each in leftovers.ours(mark_of(self.data))}
        return {title.removeprefix("ray::"): pid for pid, title in titles.items() if title.startswith("ray::")}

    def start(self) -> None:
        """Starts it and returns when it serves. Raises with its last words where it does not."""
        RUNNING.add(mark_of(self.data))
        with (self.folder / "serve.err").open("a") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "orchestrator.cli", "serve", "--settings", str(self._settings), "--json"],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        self._leash = Leash(self._process.pid)
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], START_S)
        line = self._process.stdout.readline() if ready else ""
        if not line:
            self.kill()
            raise RuntimeError(f"the server did not start: {(self.folder / 'serve.err').read_text()[-2000:]}")

    def stop(self) -> int:
        """Ctrl-C; returns the exit code. Raises where it did not stop in time, and kills it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.communicate(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        self._let_go()
        return self._process.returncode

    def kill_process(self, name: str) -> None:
        """`kill -9` of one process of the running server, found by the title Ray gives it."""
        assert self._process is not None
        os.kill(self.pids[name], signal.SIGKILL)

    def kill(self) -> None:
        """`kill -9` of everything, the supervisor first so that it revives nothing."""
        assert self._process is not None
        self._process.kill()
        leftovers.end(mark_of(self.data))
        self._process.communicate()
        self._let_go()

    def _let_go(self) -> None:
        RUNNING.discard(mark_of(self.data))
        if self._leash is not None:
            self._leash.release()
            self._leash = None

    async def restart(self) -> None:
        """`kill -9` of everything, and a new start on the same data."""
        await asyncio.to_thread(self.kill)
        await asyncio.to_thread(self.start)

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs `throughline` against this server."""
        environ = {**os.environ, "THROUGHLINE_URL": self.url, "THROUGHLINE_TOKEN": self.operator_token}
        return subprocess.run(
            [sys.executable, "-m", "orchestrator.cli", *arguments],
            env=environ, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip


def _free_ports(count: int) -> list[int]:
    """Ports that are free, of those that the system gives to nobody who asks for any, nor to what connects elsewhere:
    the server must have the same ones after a restart, and until then nobody holds them."""
    free: list[int] = []
    while len(free) < count:
        port = SystemRandom().choice(GIVEN_TO_NOBODY)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            free += [port] if port not in free else []
    return free


async def until(condition: Callable[[], object], *, seconds: float = 20.0) -> None:
    """Returns when `condition()` is true; fails when it is not in time. For what another process does."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("it did not come to be in time")
        await asyncio.sleep(0.02)
