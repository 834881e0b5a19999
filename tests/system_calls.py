"""What processes asked the kernel for, as strace saw it: writes and syncs, with the files and sockets they were on.

    17924 1795340776.156594 fdatasync(56</data/journal.sqlite-wal>) = 0 <0.000494>
    17884 1795340776.157516 write(61<UNIX-STREAM:[480608->480214,"/run/journal.sock"]>, "\\0\\0…", 38) = 38 <0.000028>
    17924 1795340776.164774 fdatasync(56</data/journal.sqlite-wal> <unfinished ...>
    17924 1795340776.165206 <... fdatasync resumed>) = 0 <0.000432>

strace writes a call in one line where nothing happened between its begin and its end, and otherwise in two. So the
lines are in the order of what happened, over all threads of all processes it watches.
"""

import re
import signal
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.peers import require_strace

SYNCS = frozenset({"fsync", "fdatasync"})
WRITES = frozenset({"write", "writev", "pwrite64", "sendto", "sendmsg"})
TEXT_BYTES = 16_384
"""Of a call's data that strace shows: a page of SQLite's and more."""
DETACH_S = 20.0

_LINE = re.compile(
    r"(?P<thread>\d+) +(?P<at>\d+\.\d+) (?:(?P<name>\w+)\((?P<asked>.*)|<\.\.\. (?P<resumed>\w+) resumed>.*)"
)
_UNFINISHED = " <unfinished ...>"


@dataclass(slots=True)
class Call:
    """One system call. `begun` and `ended` are places in the one order of all begins and ends; `ended` is None where
    the trace ended first."""

    name: str
    asked: str
    """The arguments as strace writes them: the file's or socket's name, then the data."""
    begun: int
    ended: int | None


def read(lines: Iterable[str]) -> list[Call]:
    """The calls of a trace, in the order of their begins."""
    calls: list[Call] = []
    under_way: dict[str, Call] = {}
    for place, line in enumerate(lines):
        match = _LINE.match(line)
        if match is None:
            continue  # A process or a thread came or went.
        if match["resumed"]:
            # One that had begun before strace came has no begin.
            if call := under_way.pop(match["thread"], None):
                call.ended = place
            continue
        unfinished = line.rstrip().endswith(_UNFINISHED)
        call = Call(match["name"], match["asked"], place, None if unfinished else place)
        calls.append(call)
        if unfinished:
            under_way[match["thread"]] = call
    return calls


class Watching:
    """strace on some running processes, with all their threads, while the context lasts; then `calls` are there."""

    def __init__(self, pids: Iterable[int], file: Path) -> None:
        self._pids = list(pids)
        self._file = file
        self.calls: list[Call] = []

    def __enter__(self) -> Self:
        """Returns when it watches all of them."""
        program = [
            require_strace(), "-f", "-ttt", "-yy", "-s", str(TEXT_BYTES), "-o", str(self._file), "-e", "signal=none",
            "-e", f"trace={','.join(sorted(SYNCS | WRITES))}", *(f"--attach={pid}" for pid in self._pids),
        ]  # fmt: skip
        self._strace = subprocess.Popen(program, stderr=subprocess.PIPE, text=True)
        assert self._strace.stderr is not None
        for _ in self._pids:
            said = self._strace.stderr.readline()
            if "attached" not in said:
                self._strace.kill()
                self._strace.communicate()
                raise AssertionError(f"strace does not watch: {said}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Lets them go on unwatched, and reads what it saw."""
        self._strace.send_signal(signal.SIGINT)
        self._strace.communicate(timeout=DETACH_S)
        with self._file.open(errors="replace") as lines:
            self.calls = read(lines)
