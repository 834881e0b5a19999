"""A whole server around toy parts, in processes of its own, for tests to kill.

As a program (`python -m tests.orchestrator.toy_server DATA`) it serves, and prints one JSON line each time it is ready;
exit code 3: `serve` refused, with its words on stderr.
"""

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import psutil

from orchestrator.cluster import leftovers
from orchestrator.cluster.data_folder import mark_of
from orchestrator.cluster.run_folder import run_folder
from orchestrator.cluster.supervisor import Serving, serve
from orchestrator.settings import Http, Limits, Settings
from protocol.errors import ThroughlineError
from tests.leash import Leash
from tests.orchestrator.toy_parts import NEWS

ROOT = Path(__file__).resolve().parents[2]
BUILD = "tests.orchestrator.toy_parts:build"
REFUSED = 3

DEADLINE_S = 40.0
"""For anything to happen: far more than it takes, since a busy machine may run other things."""


class ToyServer:
    """One running program, and what its parts tell."""

    def __init__(self, data: Path) -> None:
        data.mkdir(parents=True, exist_ok=True)
        self.data = data
        if not (data / NEWS).exists():
            os.mkfifo(data / NEWS)
        # Opened for both, so that it neither blocks nor ends while nobody writes.
        self.news = os.open(data / NEWS, os.O_RDWR | os.O_NONBLOCK)
        self._unread = b""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.orchestrator.toy_server", str(data)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._leash = Leash(self.process.pid)

    @property
    def mark(self) -> str:
        """The mark of its processes."""
        return mark_of(self.data)

    def ready(self) -> Serving:
        """Waits until it says that it is ready (again)."""
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], DEADLINE_S)
        line = self.process.stdout.readline() if readable else b""
        assert line, f"not ready; exit code {self.process.poll()}"
        return msgspec.json.decode(line, type=Serving)

    def told(self, what: str, count: int) -> list[tuple[str, int]]:
        """Waits until `count` parts told this, from now on; who, and their pids."""
        found: list[tuple[str, int]] = []
        deadline = time.monotonic() + DEADLINE_S
        while len(found) < count:
            readable, _, _ = select.select([self.news], [], [], max(0.0, deadline - time.monotonic()))
            assert readable, f"only {found} told {what}"
            *lines, self._unread = (self._unread + os.read(self.news, 65536)).split(b"\n")
            words = [line.decode().split() for line in lines]
            found += [(name, int(pid)) for said, name, pid in words if said == what]
        return found

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """Sends a signal and waits for the end; the exit code, and how long it took in seconds."""
        since = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(DEADLINE_S)
        return code, time.monotonic() - since

    def close(self) -> None:
        """Stops it where it runs; what was killed is cleaned up after, since no next start will do it."""
        self.process.terminate()
        self.process.communicate(timeout=DEADLINE_S)
        leftovers.end(self.mark)
        with run_folder(self.mark):
            self.let_go()

    def let_go(self) -> None:
        """Forgets a program that has ended."""
        self._leash.release()
        os.close(self.news)


def gone(pids: list[int], within_s: float = DEADLINE_S) -> bool:
    """Waits for the end of processes that are not ours to wait for."""
    processes = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    _, alive = psutil.wait_procs(processes, timeout=within_s)
    return all(process.status() == psutil.STATUS_ZOMBIE for process in alive if process.is_running())


def _announce(serving: Serving) -> None:
    sys.stdout.write(msgspec.json.encode(serving).decode() + "\n")
    sys.stdout.flush()


def _main(data: str) -> int:
    try:
        settings = Settings(data=data, cells=1, http=Http(port=0), accounts=[], limits=Limits(hang_s=8.0))
        serve(settings, on_ready=_announce, build=BUILD)
    except ThroughlineError as exc:
        sys.stderr.write(f"{exc}\n")
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1]))
