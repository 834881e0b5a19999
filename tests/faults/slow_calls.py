"""Slow system calls: strace holds a running process's calls of one kind back, as a slow disk does."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.peers import require_strace

DETACH_S = 20.0


@contextmanager
def delayed(pid: int, call: str, delay_ms: int, file: Path) -> Iterator[None]:
    """Each such call of the process's threads takes `delay_ms` more to return. `file` is strace's, for what it saw."""
    program = [
        require_strace(), "-f", "-o", str(file), "-e", "signal=none", "-e", f"trace={call}",
        "-e", f"inject={call}:delay_exit={delay_ms * 1000}", f"--attach={pid}",
    ]  # fmt: skip
    strace = subprocess.Popen(program, stderr=subprocess.PIPE, text=True)
    assert strace.stderr is not None
    said = strace.stderr.readline()
    try:
        assert "attached" in said, f"strace does not watch: {said}"
        yield
    finally:
        strace.send_signal(signal.SIGINT)
        strace.communicate(timeout=DETACH_S)
